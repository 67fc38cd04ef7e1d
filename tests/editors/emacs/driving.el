;;; driving.el --- Emacs without a terminal, driven by tests  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Batch Emacs has no command loop: what it would do is done here in words of
;; one line.  File events only come through `read-event'.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'ert)
(require 'flymake)

(setq auto-save-default nil
      backup-inhibited t
      create-lockfiles nil
      eglot-confirm-server-edits nil
      eglot-sync-connect 60
      eglot-connect-timeout 60
      jsonrpc-default-request-timeout 60
      enable-local-variables :all)

(defvar drive-project (file-name-as-directory (getenv "PROJECT")))
(defvar drive-log (getenv "MESSAGES") "Where the recorder writes what crosses the wire.")

(defun drive-until (what true)
  "Wait until TRUE, a function, returns non-nil; return that, or fail naming WHAT."
  (let ((end (+ (float-time) 60)) found)
    (while (not (setq found (funcall true)))
      (when (> (float-time) end) (ert-fail (list "waited in vain for" what)))
      (accept-process-output nil 0.03)
      (read-event nil nil 0.01))
    found))

(defun drive-open (name)
  "Visit the project's file NAME, managed by the server."
  (switch-to-buffer (find-file-noselect (expand-file-name name drive-project)))
  (unless (eglot-managed-p)
    (apply #'eglot (eglot--guess-contact)))
  (drive-until "Eglot to manage the buffer" #'eglot-managed-p)
  (current-buffer))

(defun drive-ready ()
  "Wait until the project is read; the server's status."
  (jsonrpc-request (eglot-current-server) :workspace/executeCommand
                   '(:command "engram.status" :arguments [t]) :timeout 120))

(defun drive-after (text)
  "Go behind the first TEXT of the buffer."
  (goto-char (point-min))
  (search-forward text))

(defun drive-type (text)
  "Insert TEXT as if it were typed."
  (seq-doseq (character text)
    (let ((last-command-event character) (this-command 'self-insert-command))
      (self-insert-command 1))
    (run-hooks 'post-command-hook)))

(defun drive-press (key)
  "Run the command that KEY has here."
  (let ((this-command (key-binding (kbd key))))
    (command-execute this-command)
    (run-hooks 'post-command-hook)))

(defun drive-problem (part)
  "A problem of the buffer whose text has PART in it."
  (flymake-start nil)
  (seq-find (lambda (one) (string-search part (flymake-diagnostic-text one)))
            (flymake-diagnostics)))

(defun drive-time-problem ()
  "The problem that shop/stock.py has: a module that it does not import."
  (drive-problem "'time'"))

(defun drive-problem-text (problem)
  "The text of the buffer that PROBLEM is about."
  (buffer-substring-no-properties (flymake-diagnostic-beg problem)
                                  (flymake-diagnostic-end problem)))

(defun drive-file (name)
  "The text of the project's file NAME, from its buffer if it has one."
  (let ((file (expand-file-name name drive-project)))
    (if (find-buffer-visiting file)
        (with-current-buffer (find-buffer-visiting file)
          (buffer-substring-no-properties (point-min) (point-max)))
      (with-temp-buffer (insert-file-contents file) (buffer-string)))))

(defun drive-buffer (name)
  "The text of buffer NAME."
  (with-current-buffer name (buffer-substring-no-properties (point-min) (point-max))))

(defun drive-server-pid ()
  "The process that serves now."
  (with-temp-buffer
    (insert-file-contents drive-log)
    (goto-char (point-max))
    (re-search-backward "^{\"pid\": \\([0-9]+\\)}")
    (string-to-number (match-string 1))))

(defun drive-kept-files ()
  "How many files of the project the cache folder has."
  (if-let* ((file (car (directory-files-recursively (getenv "CACHE") "\\.sqlite\\'")))
            (store (sqlite-open file)))
      (unwind-protect
          (or (ignore-errors (caar (sqlite-select store "SELECT count(*) FROM files"))) 0)
        (sqlite-close store))
    0))

(defmacro drive-answering (answers &rest body)
  "Run BODY while each question of `y-or-n-p' gets the next of ANSWERS."
  (declare (indent 1))
  `(let ((answers ,answers))
     (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) (pop answers))))
       ,@body)
     (should-not answers)))

(defun drive-forget ()
  "Leave every file as it is on disk, and no buffer but the first."
  (when (get-buffer "*engram trace*") (engram-trace-clear))
  (dolist (buffer (buffer-list))
    (with-current-buffer buffer
      (when buffer-file-name
        (set-buffer-modified-p nil)
        (kill-buffer)))))

(defun drive-run (selector)
  "Run the ERT tests of SELECTOR; leave with 0 if all of them passed."
  (let ((passed t))
    (dolist (test (ert-select-tests selector t))
      (message "--- %s" (ert-test-name test))
      (let ((result (ert-run-test test)))
        (unless (ert-test-passed-p result)
          (setq passed nil)
          (message "FAILED: %S" (ert-test-result-with-condition-condition result))
          (dolist (buffer (buffer-list))
            (when (string-match-p "EGLOT.*stderr\\|engram" (buffer-name buffer))
              (message "--- %s\n%s" (buffer-name buffer) (drive-buffer buffer)))))
        (unless (memq 'alone (ert-test-tags test)) (drive-forget))))
    (kill-emacs (if passed 0 1))))

(provide 'driving)
;;; driving.el ends here
