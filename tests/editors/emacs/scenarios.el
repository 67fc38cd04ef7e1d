;;; scenarios.el --- What a person does in Emacs with engram-ls  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Started by test_scenarios.py: those with the tag `alone' in an Emacs and
;; with a project of their own, the others one after the other, since they
;; write nothing to the disk.

;;; Code:

(require 'driving)
(require 'engram)

(global-engram-mode)

;;; Starting and ending

(ert-deftest it-starts-and-says-what-it-does ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (should (cl-typep (eglot-current-server) 'engram-server))
  (should engram-mode)
  (should (equal (plist-get (eglot--capabilities (eglot-current-server)) :positionEncoding)
                 "utf-32"))
  (drive-ready)
  (drive-until "progress, from its beginning to its end"
               (lambda ()
                 (with-temp-buffer
                   (insert-file-contents drive-log)
                   (and (search-forward "\"kind\": \"begin\"" nil t)
                        (search-forward "\"kind\": \"end\"" nil t)))))
  (drive-until "the state \"ready\""
               (lambda ()
                 (equal (plist-get (engram--status (eglot-current-server)) :state) "ready")))
  (should (equal (substring-no-properties (engram--lighter)) " Engram")))

(ert-deftest it-ends-when-eglot-says-so ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (let ((pid (drive-server-pid)))
    (should (process-attributes pid))
    (eglot-shutdown (eglot-current-server))
    (should-not engram-mode)
    (drive-until "the server to end" (lambda () (not (process-attributes pid))))))

(ert-deftest it-ends-with-emacs ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (drive-ready))

(ert-deftest killed-or-restarted-it-comes-back-with-its-memory ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (drive-ready)
  ;; Eglot starts a server again that lived for some seconds.
  (drive-until "the server to have lived long enough"
               (lambda () (null (eglot--inhibit-autoreconnect (eglot-current-server)))))
  (drive-until "the memory to be kept" (lambda () (> (drive-kept-files) 100)))
  (let ((pid (drive-server-pid)))
    (signal-process pid 9)
    (drive-until "another server" (lambda () (/= pid (drive-server-pid))))
    (drive-until "Eglot to manage the buffer again"
                 (lambda () (and (eglot-managed-p) (eglot-current-server))))
    (let ((folder (seq-elt (plist-get (drive-ready) :folders) 0)))
      (should (> (plist-get folder :fromStore) 0)))
    (should engram-mode))
  (let ((pid (drive-server-pid)))
    (engram-restart)
    (drive-until "another server"
                 (lambda () (and (/= pid (drive-server-pid)) (eglot-managed-p))))
    (should (plist-get (drive-ready) :version))))

;;; Eglot alone

(ert-deftest eglot-alone-completes-checks-and-renames ()
  :tags '(alone)
  (global-engram-mode -1)
  (add-to-list 'eglot-server-programs
               '((python-mode python-ts-mode) . ("engram-ls" "serve")))
  (drive-open "shop/stock.py")
  (should (eq (eieio-object-class (eglot-current-server)) 'eglot-lsp-server))
  (drive-ready)
  (drive-until "the problem" #'drive-time-problem)
  (complete-an-import)
  (rename-with-tax)
  (should-not engram-mode)
  ;; Asked for, a suggestion comes to the plain client too.
  (begin-handler)
  (ask-for-rest))

;;; Completion, problems, renames

(defun complete-an-import ()
  "Complete a name of another module in shop/stock.py; see what is imported."
  (drive-open "shop/stock.py")
  (goto-char (point-max))
  (drive-type "\n\nwith_ta")
  (completion-at-point)
  (let ((text (drive-file "shop/stock.py")))
    (should (string-match-p "^from shop\\.prices import with_tax$" text))
    (should (string-match-p "^with_tax" text))))

(defun rename-with-tax ()
  "Rename a function that three files mention, behind astral characters too."
  (let ((names '("shop/prices.py" "shop/cart.py" "shop/orders.py")))
    (drive-open "shop/cart.py")
    (drive-after "marks = [\"🧾🧾\", shown(with_t")
    (let ((before (mapcar #'drive-file names)))
      (eglot-rename "taxed")
      (should (equal (mapcar #'drive-file names)
                     (mapcar (lambda (text) (string-replace "with_tax" "taxed" text)) before)))
      (dolist (name names)
        (with-current-buffer (find-file-noselect (expand-file-name name drive-project))
          (undo-boundary)
          (undo-only)))
      (should (equal (mapcar #'drive-file names) before)))))

(ert-deftest completion-imports-what-it-names ()
  (drive-open "shop/stock.py")
  (drive-ready)
  (complete-an-import))

(ert-deftest problems-come-and-go ()
  (drive-open "shop/stock.py")
  (drive-ready)
  (let ((problem (drive-until "the problem" #'drive-time-problem)))
    (should (equal (drive-problem-text problem) "time")))
  (drive-after "= time")
  (delete-char -4)
  (drive-type "len")
  (eglot--signal-textDocument/didChange)
  (drive-until "the problem to go" (lambda () (not (drive-time-problem)))))

(ert-deftest problems-stand-behind-astral-characters ()
  (drive-open "shop/cart.py")
  (drive-ready)
  (drive-after "\"🧾\"")
  (drive-type ", missing")
  (eglot--signal-textDocument/didChange)
  (let ((problem (drive-until "the problem" (lambda () (drive-problem "missing")))))
    (should (equal (drive-problem-text problem) "missing"))))

(ert-deftest a-rename-changes-all-files-and-is-undone ()
  (drive-open "shop/cart.py")
  (drive-ready)
  (rename-with-tax))

(ert-deftest names-are-proposed ()
  (drive-open "shop/stock.py")
  (drive-ready)
  (drive-after "looked")
  (let (offered)
    (cl-letf (((symbol-function 'completing-read)
               (lambda (prompt names &rest _)
                 (should (equal prompt "Rename `looked_at' to: "))
                 (setq offered (mapcar #'substring-no-properties (all-completions "" names)))
                 (car offered))))
      (engram-suggest-names))
    (should offered)
    (should (string-search (format "%s = time.time()" (car offered))
                           (drive-file "shop/stock.py")))))

(ert-deftest files-and-folders-are-renamed-with-their-imports ()
  :tags '(alone)
  (drive-open "shop/prices.py")
  (drive-ready)
  (let ((buffer (current-buffer))
        (new (expand-file-name "shop/costs.py" drive-project)))
    (drive-answering '(nil)
      (should-error (engram-rename-file buffer-file-name new) :type 'user-error))
    (should (file-exists-p buffer-file-name))
    (drive-answering '(t)
      (engram-rename-file buffer-file-name new))
    (should (equal (buffer-file-name buffer) new))
    (should (file-exists-p new))
    (should-not (file-exists-p (expand-file-name "shop/prices.py" drive-project)))
    (should (string-search "from shop.costs import Price, shown, with_tax"
                           (drive-file "shop/cart.py")))
    (should (string-search "from shop import costs" (drive-file "shop/orders.py")))
    ;; The server knows the buffer by its new name, and the importers by their new texts.
    (drive-open "shop/cart.py")
    (drive-after "import Price, sh")
    (drive-until "the definition to be found in the new file"
                 (lambda ()
                   (equal (xref-location-group
                           (xref-item-location
                            (car (xref-backend-definitions 'eglot "shown"))))
                          new)))
    (drive-ready)
    (should-not (drive-problem "shop.costs")))
  (save-some-buffers t)
  (drive-answering '(t)
    (engram-rename-file (expand-file-name "shop" drive-project)
                        (expand-file-name "store" drive-project)))
  (should (equal buffer-file-name (expand-file-name "store/cart.py" drive-project)))
  (should (string-search "from store.costs import" (drive-file "store/cart.py")))
  (should (string-search "from store.cart import" (drive-file "store/orders.py"))))

(ert-deftest settings-of-the-project-are-heeded ()
  :tags '(alone)
  (with-temp-file (expand-file-name ".dir-locals.el" drive-project)
    (prin1 '((nil . ((eglot-workspace-configuration
                      . (:engram (:diagnostics (:enable :json-false)))))))
           (current-buffer)))
  (drive-open "shop/stock.py")
  (drive-ready)
  (drive-type " ")
  (eglot--signal-textDocument/didChange)
  (drive-ready)
  (should-not (drive-time-problem)))

;;; Suggestions

(defun begin-handler ()
  "Type what the project has many times, and stop in the middle."
  (drive-open "shop/handlers.py")
  (goto-char (point-max))
  (insert "\n\n" (getenv "BEGUN")))

(defun ask-for-rest ()
  "Ask for a suggestion, and wait for it."
  (engram-suggest)
  (drive-until "a suggestion" (lambda () engram--texts))
  (should (equal (engram--line (car engram--texts)) (getenv "REST"))))

(defun typed-line ()
  "The line of point, up to it."
  (buffer-substring-no-properties (pos-bol) (point)))

(ert-deftest a-suggestion-is-typed-through-and-accepted-piece-by-piece ()
  (drive-open "shop/handlers.py")
  (drive-ready)
  (begin-handler)
  (ask-for-rest)
  (drive-type " %s")
  (should (equal (engram--line (car engram--texts)) (substring (getenv "REST") 3)))
  (drive-press "M-f")
  (should (equal (typed-line) "    logger.info(\"handling %s of"))
  (drive-press "C-e")
  (should (equal (typed-line) (concat "    logger.info(\"handling" (getenv "REST")))))

(ert-deftest a-suggestion-is-accepted-whole-and-undone ()
  (drive-open "shop/handlers.py")
  (drive-ready)
  (begin-handler)
  (ask-for-rest)
  (let ((before (buffer-string)) (text (car engram--texts)))
    (undo-boundary)
    (drive-press "TAB")
    (should (equal (buffer-string) (concat before text)))
    (should-not engram--texts)
    (undo-boundary)
    (undo-only)
    (should (equal (buffer-string) before))))

(ert-deftest an-answer-that-comes-too-late-is-not-shown ()
  (drive-open "shop/handlers.py")
  (drive-ready)
  (begin-handler)
  (engram-suggest)
  (drive-type " x")
  (drive-ready)
  (should-not engram--texts))

(ert-deftest a-suggestion-stands-right-behind-astral-characters ()
  (drive-open "shop/handlers.py")
  (drive-ready)
  (goto-char (point-max))
  (insert "\n\n" (string-replace "    logger" "    \"🧾🧾\"; logger" (getenv "BEGUN")))
  (engram-suggest)
  (drive-until "a suggestion" (lambda () engram--texts))
  (let ((text (car engram--texts)) (before (typed-line)))
    (drive-press "C-e")
    (should (equal (typed-line) (concat before (engram--line text))))))

(ert-deftest a-list-of-company-hides-a-suggestion ()
  (require 'company)
  (drive-open "shop/handlers.py")
  (drive-ready)
  (begin-handler)
  (ask-for-rest)
  (let ((company-frontends nil) (company-backends '((company-dabbrev-code))))
    (company-mode)
    (drive-type " ")
    (should engram--texts)
    (company-begin-with '("request" "result"))
    (should company-candidates)
    (should-not engram--texts)
    (company-abort)))

;;; Traces

(ert-deftest a-trace-becomes-a-fix-that-is-applied-on-consent ()
  (drive-open "shop/prices.py")
  (drive-ready)
  (engram-trace (getenv "TRACE"))
  (drive-until "the trace" (lambda () (get-buffer "*engram trace*")))
  (let ((before (drive-file "shop/stock.py"))
        (shown (drive-buffer "*engram trace*")))
    (should (string-search "NameError: name 'time' is not defined" shown))
    (should (string-search "shop/stock.py:5  remaining" shown))
    (should (string-search (concat "+" (getenv "REPAIRED")) shown))
    (switch-to-buffer "*engram trace*")
    (drive-answering '(nil) (drive-press "a"))
    (should (equal (drive-file "shop/stock.py") before))
    (drive-answering '(t) (drive-press "a"))
    (should (string-match-p (concat "^" (getenv "REPAIRED")) (drive-file "shop/stock.py")))
    (goto-char (point-min))
    (forward-button 1)
    (push-button)
    (should (equal buffer-file-name (expand-file-name "shop/stock.py" drive-project)))
    (should (= (line-number-at-pos) 5))))

(ert-deftest suspects-are-marked-until-they-are-forgotten ()
  (drive-open "shop/stock.py")
  (drive-ready)
  (with-temp-buffer
    (setq default-directory drive-project)
    (insert (getenv "TRACE"))
    (compilation-mode)
    (call-interactively #'engram-trace))
  (drive-until "the mark" (lambda () (drive-problem "engram trace")))
  (drive-until "the buffer" (lambda () (get-buffer "*engram trace*")))
  (engram-trace-clear)
  (should-not (get-buffer "*engram trace*"))
  (drive-until "the mark to go" (lambda () (not (drive-problem "engram trace")))))

(ert-deftest a-text-without-a-trace-is-said-to-have-none ()
  (drive-open "shop/stock.py")
  (drive-ready)
  (let (said)
    (advice-add 'message :before (lambda (text &rest _) (push text said)))
    (engram-trace "all is well")
    (drive-until "that to be said" (lambda () (member "No stack trace was found in that text" said)))
    (should-not (get-buffer "*engram trace*"))))

;;; What the server knows and does

(ert-deftest another-branch-is-followed ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (drive-ready)
  (goto-char (point-max))
  (insert "\n\nredeem_cou")
  (cl-flet ((offered ()
              (eglot--capf-session-flush)
              (pcase-let ((`(,beg ,end ,table . ,_)
                           (run-hook-with-args-until-success 'completion-at-point-functions)))
                (all-completions (buffer-substring beg end) table))))
    (should-not (offered))
    (dolist (branch '("other" "main"))
      (should (zerop (call-process "git" nil nil nil "-C" drive-project "checkout" "--quiet" branch)))
      (drive-until (format "what branch %s has" branch)
                   (lambda () (eq (not (offered)) (equal branch "main")))))))

(ert-deftest it-answers-for-itself ()
  :tags '(alone)
  (drive-open "shop/stock.py")
  (drive-ready)
  (let (said)
    (advice-add 'message :before (lambda (text &rest more) (push (apply #'format text more) said)))
    (engram-why)
    (should (member "it is in the project memory" said))
    (engram-status)
    (should (string-search (plist-get (drive-ready) :version) (drive-buffer "*engram status*")))
    (should-not (string-search "wanted" (drive-buffer "*engram status*")))
    (engram-pause-reading)
    (should (eq (plist-get (drive-ready) :paused) t))
    (drive-until "the mode line to say so"
                 (lambda () (equal (substring-no-properties (engram--lighter)) " Engram:paused")))
    (engram-resume-reading)
    (should (eq (plist-get (drive-ready) :paused) :json-false))
    (engram-rebuild-memory)
    (drive-until "the project to be read" (lambda () (member "The project was read anew" said)))))

(provide 'scenarios)
;;; scenarios.el ends here
