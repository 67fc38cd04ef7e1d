;;; engram-test.el --- Tests of what needs no server  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Commentary:

;; emacs -Q --batch -L . -l test/engram-test.el -f ert-run-tests-batch-and-exit

;;; Code:

(require 'engram)
(require 'ert)

;;; Suggestions

(defmacro engram-test-with (texts &rest body)
  "Run BODY in a buffer that says \"let \", where TEXTS are offered at its end."
  (declare (indent 1))
  `(with-temp-buffer
     (rename-buffer "engram-test" t)
     (switch-to-buffer (current-buffer))
     (insert "let ")
     (engram-mode)
     (engram--show ,texts (point))
     ,@body))

(defun engram-test-shown ()
  "What is to be seen at point besides the text, or nil."
  (seq-some (lambda (overlay) (overlay-get overlay 'after-string))
            (overlays-in (point) (point))))

(defun engram-test-press (key)
  "Run the command of KEY, as the command loop does."
  (let ((this-command (key-binding (kbd key)))
        (last-command-event (aref (kbd key) 0)))
    (command-execute this-command)
    (run-hooks 'post-command-hook)))

(ert-deftest engram-test-a-suggestion-is-seen-at-point-with-the-cursor-before-it ()
  (engram-test-with '("x = 1")
    (should (equal (substring-no-properties (engram-test-shown)) "x = 1"))
    (should (get-text-property 0 'cursor (engram-test-shown)))
    (should (equal (buffer-string) "let "))))

(ert-deftest engram-test-typing-it-keeps-the-rest ()
  (engram-test-with '("x = 1")
    (engram-test-press "x")
    (should (equal (substring-no-properties (engram-test-shown)) " = 1"))
    (engram-test-press "SPC")
    (should (equal (substring-no-properties (engram-test-shown)) "= 1"))))

(ert-deftest engram-test-typing-its-last-letter-ends-it ()
  (engram-test-with '("x")
    (engram-test-press "x")
    (should-not (engram-test-shown))))

(ert-deftest engram-test-typing-something-else-hides-it ()
  (engram-test-with '("x = 1")
    (engram-test-press "y")
    (should-not (engram-test-shown))
    (should (equal (buffer-string) "let y"))))

(ert-deftest engram-test-typing-leaves-the-suggestions-that-begin-so ()
  (engram-test-with '("x = 1" "y = 2" "yes")
    (engram-test-press "y")
    (should (equal engram--texts '(" = 2" "es")))))

(ert-deftest engram-test-an-edit-elsewhere-hides-it ()
  (engram-test-with '("x = 1")
    (save-excursion (goto-char (point-min)) (insert "x"))
    (should-not (engram-test-shown))))

(ert-deftest engram-test-moving-away-hides-it ()
  (engram-test-with '("x = 1")
    (engram-test-press "C-a")
    (should-not (engram-test-shown))
    (should (equal (buffer-string) "let "))))

(ert-deftest engram-test-it-is-accepted-whole-by-word-and-by-line ()
  (engram-test-with '("call(one, two)\nnext")
    (engram-test-press "M-f")
    (should (equal (buffer-string) "let call"))
    (engram-test-press "M-f")
    (should (equal (buffer-string) "let call("))
    (engram-test-press "C-e")
    (should (equal (buffer-string) "let call(one, two)"))
    (engram-test-press "C-e")
    (should (equal (buffer-string) "let call(one, two)\nnext"))
    (should-not (engram-test-shown)))
  (engram-test-with '("call(one, two)\nnext")
    (engram-test-press "TAB")
    (should (equal (buffer-string) "let call(one, two)\nnext"))))

(ert-deftest engram-test-one-undo-takes-an-accepted-one-back ()
  (engram-test-with '("x = 1")
    (buffer-enable-undo)
    (engram-test-press "TAB")
    (undo-boundary)
    (undo-only)
    (should (equal (buffer-string) "let "))))

(ert-deftest engram-test-keys-are-at-work-only-while-one-is-shown ()
  (engram-test-with '("x = 1")
    (should (eq (key-binding (kbd "TAB")) 'engram-accept))
    (engram-test-press "C-g")
    (should-not (engram-test-shown))
    (should-not (memq (key-binding (kbd "TAB")) '(engram-accept nil)))
    (should (eq (key-binding (kbd "C-g")) 'keyboard-quit))))

(ert-deftest engram-test-several-are-gone-through-both-ways ()
  (engram-test-with '("one" "two" "three")
    (engram-test-press "M-n")
    (should (equal (substring-no-properties (engram-test-shown)) "two"))
    (engram-test-press "M-p")
    (engram-test-press "M-p")
    (should (equal (substring-no-properties (engram-test-shown)) "three"))
    (engram-test-press "TAB")
    (should (equal (buffer-string) "let three"))))

(ert-deftest engram-test-a-list-of-completions-hides-it ()
  (engram-test-with '("x = 1")
    (let ((completion-in-region-mode t))
      (run-hooks 'completion-in-region-mode-hook))
    (should-not (engram-test-shown))))

(ert-deftest engram-test-it-goes-with-the-mode ()
  (engram-test-with '("x = 1")
    (engram-mode -1)
    (should-not (engram-test-shown))
    (should-not (memq #'engram--post-command post-command-hook))
    (should-not (memq #'engram--after-change after-change-functions))))

(ert-deftest engram-test-an-item-is-what-it-adds-at-point ()
  (with-temp-buffer
    (insert "🧾🧾 le")
    (setq-local eglot-move-to-linepos-function #'eglot-move-to-utf-32-linepos)
    (cl-flet ((text (from to insert)
                (engram--text `(:insertText ,insert
                                :range (:start (:line 0 :character ,from)
                                        :end (:line 0 :character ,to))))))
      (should (equal (text 3 5 "left = 1") "ft = 1"))
      (should-not (text 3 4 "left = 1"))
      (should-not (text 3 5 "right"))
      (should-not (text 3 5 "le"))
      (should (equal (engram--text '(:insertText "ft")) "ft"))
      (should-not (engram--text '(:insertText (:kind "snippet" :value "ft")))))))

(ert-deftest engram-test-words ()
  (should (equal (mapcar #'engram--word '(" = foo(x)" "foo_1(x)" "(x)" "\n    return x" "  " "é🧾"))
                 '(" =" "foo_1" "(" "\n    return" "  " "é"))))

(ert-deftest engram-test-lines ()
  (should (equal (mapcar #'engram--line '("a b\nc" "\n    c\nd" "a"))
                 '("a b" "\n    c" "a"))))

;;; Edits

(defun engram-test-edit (line from to new &optional last)
  "A TextEdit from FROM in LINE to TO in LAST or LINE, to the text NEW."
  `(:range (:start (:line ,line :character ,from) :end (:line ,(or last line) :character ,to))
    :newText ,new))

(ert-deftest engram-test-hunks-are-the-lines-that-change ()
  (let ((text "one\ntwo two\nthree\nfour\n"))
    (cl-flet ((hunks (&rest edits) (engram--hunks text edits "utf-32")))
      (should (equal (hunks (engram-test-edit 1 4 7 "2") (engram-test-edit 1 0 3 "2"))
                     '((2 ("two two") ("2 2")))))
      (should (equal (hunks (engram-test-edit 3 0 4 "4") (engram-test-edit 0 0 3 "1"))
                     '((1 ("one") ("1")) (4 ("four") ("4")))))
      (should (equal (hunks (engram-test-edit 1 0 0 "new\n")) '((2 () ("new")))))
      (should (equal (hunks (engram-test-edit 1 0 0 "" 2)) '((2 ("two two") ()))))
      (should (equal (hunks (engram-test-edit 1 7 0 " " 2)) '((2 ("two two" "three") ("two two three")))))
      (should (equal (hunks (engram-test-edit 4 0 0 "five\n")) '((5 () ("five"))))))))

(ert-deftest engram-test-hunks-count-characters-as-agreed ()
  (pcase-dolist (`(,encoding . ,column) '(("utf-8" . 9) ("utf-16" . 5) ("utf-32" . 3)))
    (should (equal (engram--hunks "🧾🧾 x" (list (engram-test-edit 0 column (1+ column) "y")) encoding)
                   '((1 ("🧾🧾 x") ("🧾🧾 y")))))))

(ert-deftest engram-test-both-shapes-of-an-edit-are-understood ()
  (let ((change (engram-test-edit 0 0 0 "x")))
    (dolist (edit `((:documentChanges [(:textDocument (:uri "file:///a.py" :version 1) :edits [,change])])
                    (:changes (:file:///a.py [,change]))))
      (should (equal (engram--changes edit) `(("file:///a.py" ,change)))))
    (should-not (engram--changes nil))))

;;; Servers and texts

(ert-deftest engram-test-the-global-mode-names-the-server-and-takes-it-back ()
  (let ((eglot-server-programs eglot-server-programs)
        (before eglot-server-programs))
    (global-engram-mode)
    (global-engram-mode)
    (should (equal (cdr (eglot--lookup-mode 'python-mode)) '(engram-server "engram-ls" "serve")))
    (should (equal (cdr eglot-server-programs) before))
    (global-engram-mode -1)
    (should (equal eglot-server-programs before))))

(ert-deftest engram-test-where-a-trace-is-looked-for ()
  (with-temp-buffer
    (kill-new "killed")
    (insert "one two")
    (should (equal (engram--trace-text nil) "killed"))
    (set-mark 5)
    (setq mark-active t transient-mark-mode t)
    (should (equal (engram--trace-text nil) "two"))
    (should (equal (engram--trace-text t) "killed"))
    (setq mark-active nil)
    (compilation-mode)
    (should (equal (engram--trace-text nil) "one two"))))

(ert-deftest engram-test-without-a-server-it-is-said ()
  (should-error (engram-status) :type 'user-error)
  (with-temp-buffer
    (should-error (engram-suggest) :type 'user-error)
    (should-error (engram-accept) :type 'user-error)))

(provide 'engram-test)
;;; engram-test.el ends here
