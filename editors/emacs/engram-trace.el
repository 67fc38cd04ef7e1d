;;; engram-trace.el --- What a stack trace blames, and what would fix it  -*- lexical-binding: t; -*-

;; Author: The engram-ls authors
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; `engram-trace' asks the server about a text with stack traces in it, and
;; lists suspects and fixes in a buffer.

;;; Code:

(require 'engram-server)

(defvar-local engram--server-here nil "The server that this buffer is about.")

(defvar-keymap engram-trace-mode-map
  :doc "Keymap of `engram-trace-mode'."
  :parent (make-composed-keymap button-buffer-map special-mode-map)
  "n" #'forward-button
  "p" #'backward-button
  "a" #'engram-trace-apply
  "c" #'engram-trace-clear)

(define-derived-mode engram-trace-mode special-mode "Engram-Trace"
  "What a stack trace blames, and what would fix it.
\\{engram-trace-mode-map}")

(defun engram--trace-text (killed)
  "Where to look for traces: the region, a shell's buffer, or the clipboard.
If KILLED, the clipboard or last kill in any case."
  (cond (killed (current-kill 0 t))
        ((use-region-p)
         (buffer-substring-no-properties (region-beginning) (region-end)))
        ((derived-mode-p 'compilation-mode 'comint-mode 'eshell-mode 'term-mode)
         (buffer-substring-no-properties (max (point-min) (- (point-max) 100000))
                                         (point-max)))
        (t (current-kill 0 t))))

;;;###autoload
(defun engram-trace (text)
  "Show which code the stack traces in TEXT blame, and what would fix it.
TEXT is the region; without one, what a compilation or shell buffer ends
with; elsewhere, or with a prefix argument, the clipboard or last kill.
A fix is shown as what it changes, and applied when you say so."
  (interactive (list (engram--trace-text current-prefix-arg)))
  (message "Reading the trace...")
  (engram--execute-then #'engram--show-traces 120
                        "engram.trace" text nil '(:preview t)))

(defun engram--show-traces (server answer)
  "Show the ANSWER of SERVER about a text with stack traces."
  (let ((traces (plist-get answer :traces)))
    (if (seq-empty-p traces)
        (message "No stack trace was found in that text")
      (with-current-buffer (get-buffer-create "*engram trace*")
        (let ((inhibit-read-only t)
              (root (project-root (eglot--project server))))
          (erase-buffer)
          (engram-trace-mode)
          (setq engram--server-here server default-directory root)
          (let ((eglot--cached-server server)) ; which says how URIs are read
            (seq-do #'engram--insert-trace traces))
          (goto-char (point-min)))
        (display-buffer (current-buffer))
        (message nil)))))

(defun engram--insert-trace (trace)
  "Insert what is known of TRACE."
  (cl-destructuring-bind (&key error message test suspects proposals
                               &allow-other-keys)
      trace
    (insert (propertize (string-join (remove "" (list error (or message ""))) ": ")
                        'face 'error)
            (if (member test '(nil "")) "" (format "  (%s)" test))
            "\n\n" (if (seq-empty-p suspects) "Nothing here is suspected.\n" "Suspects\n"))
    (seq-do #'engram--insert-suspect suspects)
    (insert (if (seq-empty-p proposals) "\nNo fix is proposed.\n" "\nFixes\n"))
    (seq-do #'engram--insert-proposal proposals)
    (insert "\n")))

(defun engram--insert-place (uri line)
  "Insert a button that leads to LINE of URI."
  (let ((file (engram--path uri)))
    (insert-text-button
     (format "%s:%d" (file-relative-name file) line)
     'action (lambda (_)
               (pop-to-buffer (find-file-noselect file))
               (goto-char (point-min))
               (forward-line (1- line))))))

(defun engram--insert-suspect (suspect)
  "Insert a line about SUSPECT."
  (cl-destructuring-bind (&key uri function lines reasons &allow-other-keys) suspect
    (insert "  ")
    (engram--insert-place uri (if (seq-empty-p lines) 1 (seq-elt lines 0)))
    (insert "  " (or function "") "\n")
    (unless (seq-empty-p reasons)
      (insert "      " (string-join (append reasons nil) "; ") "\n"))))

(defun engram--insert-proposal (proposal)
  "Insert PROPOSAL, its difference, and a button to apply it."
  (cl-destructuring-bind (&key why confidence verified edit &allow-other-keys) proposal
    (let ((start (point)))
      (insert (format "  %s (%d %%%s) " why (round (* 100 confidence))
                      (if (equal verified "tests") ", the tests pass with it" "")))
      (when edit
        (insert-text-button "Apply" 'action (lambda (_) (engram--consider edit)))
        (insert "\n")
        (pcase-dolist (`(,uri . ,edits) (engram--changes edit))
          (engram--insert-diff uri edits))
        (put-text-property start (point) 'engram-edit edit)))
    (insert "\n")))

(defun engram--insert-diff (uri edits)
  "Insert the difference that EDITS make in the file of URI."
  (pcase-dolist (`(,line ,old ,new)
                 (engram--hunks (engram--file-text (engram--path uri)) edits
                                (plist-get (eglot--capabilities engram--server-here)
                                           :positionEncoding)))
    (insert "    ")
    (engram--insert-place uri line)
    (insert "\n")
    (dolist (text old)
      (insert (propertize (concat "    -" text "\n") 'face 'diff-removed)))
    (dolist (text new)
      (insert (propertize (concat "    +" text "\n") 'face 'diff-added)))))

(defun engram-trace-apply ()
  "Apply the fix at point, or the first one, once you agreed."
  (interactive nil engram-trace-mode)
  (let ((edit (or (get-text-property (point) 'engram-edit)
                  (save-excursion
                    (goto-char (point-min))
                    (when-let* ((found (text-property-search-forward 'engram-edit)))
                      (prop-match-value found))))))
    (unless edit (user-error "There is no fix to apply"))
    (engram--consider edit)))

(defun engram--consider (edit)
  "Apply EDIT once somebody agreed."
  (when (y-or-n-p "Apply this fix? ")
    (engram--apply engram--server-here edit)
    (message "Applied; `undo' in the changed buffers takes it back")))

(defun engram-trace-clear ()
  "Forget the last `engram-trace', whose suspects are marked in their files."
  (interactive)
  (engram--execute "engram.trace.clear")
  (when-let* ((buffer (get-buffer "*engram trace*")))
    (quit-windows-on buffer t)
    (when (buffer-live-p buffer) (kill-buffer buffer))))

(provide 'engram-trace)
;;; engram-trace.el ends here
