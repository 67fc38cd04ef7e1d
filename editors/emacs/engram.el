;;; engram.el --- Ghost text, traces and file renames of engram-ls, by Eglot  -*- lexical-binding: t; -*-

;; Author: The engram-ls authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "29.1"))
;; Keywords: languages, convenience, tools
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; engram-ls is a language server with a memory of the project and a model
;; of its own.  Eglot alone completes, checks and renames with it:
;;
;;   (add-to-list 'eglot-server-programs
;;                '((python-mode python-ts-mode) . ("engram-ls" "serve")))
;;
;; This package adds what Eglot has no commands for: suggestions shown as
;; ghost text at point, what a stack trace blames and what would fix it,
;; names for renames, files renamed with their imports, and what the server
;; is doing in the mode line.
;;
;;   (global-engram-mode)
;;   (add-hook 'python-base-mode-hook #'eglot-ensure)
;;
;; Nothing but Emacs 29.1 is needed.  Keys and commands: see README.md, or
;; the documentation of `engram-mode' and `engram-suggestion-map'.

;;; Code:

(require 'dired-aux)
(require 'engram-ghost)
(require 'engram-server)
(require 'engram-trace)

(defcustom engram-server-command '("engram-ls" "serve")
  "The program that Eglot starts, and its arguments."
  :group 'engram
  :type '(repeat string))

(defcustom engram-languages
  '(python-mode
    python-ts-mode
    (js-mode :language-id "javascript")
    (js-ts-mode :language-id "javascript")
    (typescript-mode :language-id "typescript")
    (typescript-ts-mode :language-id "typescript")
    (tsx-ts-mode :language-id "typescriptreact")
    go-mode go-ts-mode rust-mode rust-ts-mode java-mode java-ts-mode
    c-mode c-ts-mode
    (c++-mode :language-id "cpp")
    (c++-ts-mode :language-id "cpp"))
  "Major modes that `global-engram-mode' makes engram-ls the server of.
Each is written as in `eglot-server-programs', which then has an entry
for them all.  Nil leaves that variable as it is."
  :group 'engram
  :type '(repeat (choice symbol (cons symbol plist))))

;;; The modes

(defvar-keymap engram-mode-map :doc "Keymap of `engram-mode'.")

(easy-menu-define engram-menu engram-mode-map
  "Menu of `engram-mode'."
  '("Engram"
    ["Suggest" engram-suggest]
    ["Suggest while typing" (setq engram-automatic (not engram-automatic))
     :style toggle :selected engram-automatic]
    "--"
    ["Explain a stack trace" engram-trace]
    ["Forget the stack trace" engram-trace-clear]
    ["Rename with a better name..." engram-suggest-names]
    ["Rename this file..." engram-rename-file]
    "--"
    ["Why is this file (not) known?" engram-why]
    ["Status" engram-status]
    ["Pause reading" engram-pause-reading]
    ["Resume reading" engram-resume-reading]
    ["Read the project anew" engram-rebuild-memory]
    ["Restart the server" engram-restart]))

(defun engram--lighter ()
  "The state of the server, for the mode line."
  (let* ((server (engram--server))
         (status (and (cl-typep server 'engram-server)
                      (or (engram--status server) '(:state "starting"))))
         (percent (plist-get status :percent)))
    (propertize
     (concat " Engram"
             (pcase (plist-get status :state)
               ((or 'nil "ready") "")
               ((guard percent) (format ":%d%%%%" percent))
               (state (concat ":" state))))
     'face (and (equal (plist-get status :state) "problem") 'warning)
     'help-echo (concat (or (plist-get status :text) "engram-ls")
                        "\nmouse-1: menu")
     'mouse-face 'mode-line-highlight
     'local-map (define-keymap "<mode-line> <down-mouse-1>" engram-menu))))

;;;###autoload
(define-minor-mode engram-mode
  "Show suggestions of engram-ls at point, as ghost text.
They come while you type, where Eglot manages the buffer with engram-ls.
Typing what is suggested keeps the rest of it; moving away or typing
something else hides it.  While one is shown, these keys are at work:

\\{engram-suggestion-map}
Without `engram-automatic' only `engram-suggest' asks for suggestions."
  :lighter (:eval (engram--lighter))
  (engram--hide)
  (when engram--timer (cancel-timer engram--timer))
  (let ((change (if engram-mode #'add-hook #'remove-hook))
        (place (and engram-mode '(nil)))) ; the argument DEPTH of `add-hook'
    (pcase-dolist (`(,hook . ,function)
                   '((after-change-functions . engram--after-change)
                     (post-command-hook . engram--post-command)
                     (change-major-mode-hook . engram--hide)
                     (completion-in-region-mode-hook . engram--give-way)
                     (completion-preview-active-mode-hook . engram--give-way)
                     (company-completion-started-hook . engram--give-way)))
      (apply change hook function (append place '(t)))))
  (when engram-mode
    (add-to-list 'emulation-mode-map-alists 'engram--keymaps)))

;;;###autoload
(defun engram-suggest ()
  "Ask for a suggestion at point."
  (interactive)
  (unless (engram--server) (user-error "This buffer is not managed by engram-ls"))
  (unless engram-mode (engram-mode))
  (engram--ask 1))

(defun engram--follow-eglot ()
  "Turn `engram-mode' on where Eglot manages the buffer with engram-ls."
  (engram-mode (if (engram--server) 1 -1)))

;;;###autoload
(define-minor-mode global-engram-mode
  "Have engram-ls serve `engram-languages', with `engram-mode' in their buffers.
Eglot is to be started as ever, by `eglot-ensure' or \\[eglot]."
  :global t
  :group 'engram
  (let ((entry `(,engram-languages engram-server ,@engram-server-command)))
    (setq eglot-server-programs
          (cl-remove 'engram-server eglot-server-programs
                     :key (lambda (known) (car-safe (cdr-safe known)))))
    (when (and global-engram-mode engram-languages)
      (push entry eglot-server-programs)))
  (if global-engram-mode
      (add-hook 'eglot-managed-mode-hook #'engram--follow-eglot)
    (remove-hook 'eglot-managed-mode-hook #'engram--follow-eglot))
  (dolist (buffer (buffer-list))
    (with-current-buffer buffer
      (if global-engram-mode
          (when (engram--server) (engram-mode))
        (when engram-mode (engram-mode -1))))))

;;; Names and files

(defun engram-suggest-names ()
  "Rename what point is on, by one of the names that engram-ls proposes."
  (interactive)
  (let* ((place (eglot--TextDocumentPositionParams))
         (found (engram--execute "engram.suggestNames"
                                 (plist-get (plist-get place :textDocument) :uri)
                                 (plist-get place :position)))
         (names (mapcar (lambda (one) (cons (plist-get one :name) (plist-get one :why)))
                        found))
         (metadata `(metadata (display-sort-function . ,#'identity)
                              (annotation-function
                               . ,(lambda (name) (concat "  " (cdr (assoc name names)))))))
         (name (completing-read
                (format "Rename `%s' to: " (thing-at-point 'symbol t))
                (lambda (string predicate action)
                  (if (eq action 'metadata) metadata
                    (complete-with-action action names string predicate))))))
    (let ((this-command 'eglot-rename)) ; whose edits Eglot applies at once
      (eglot-rename name))))

(defun engram-rename-file (old new)
  "Rename the file or folder OLD to NEW, and what imports it.
Interactively, OLD is the file of this buffer, or the one at point in Dired."
  (interactive
   (let ((old (or buffer-file-name
                  (and (derived-mode-p 'dired-mode) (dired-get-filename))
                  (user-error "This buffer visits no file"))))
     (list old (read-file-name (format "Rename %s to: " (file-name-nondirectory old))
                               (file-name-directory old) nil nil
                               (file-name-nondirectory old)))))
  (let* ((old (directory-file-name (expand-file-name old)))
         (new (directory-file-name
               (if (file-directory-p new)
                   (expand-file-name (file-name-nondirectory old) new)
                 (expand-file-name new))))
         (server (engram--any-server))
         (edit (progn
                 (when (file-exists-p new) (user-error "%s is there already" new))
                 (engram--send-changes)
                 (jsonrpc-request
                  server :workspace/willRenameFiles
                  `(:files [(:oldUri ,(engram--uri old) :newUri ,(engram--uri new))])
                  :timeout 60)))
         (files (mapcar (lambda (change)
                          (file-name-nondirectory (engram--path (car change))))
                        (engram--changes edit))))
    (unless (or (null files)
                (y-or-n-p (format "Rename it, and change imports in %s? "
                                  (string-join files ", "))))
      (user-error "Nothing was renamed"))
    (when files (engram--apply server edit))
    (engram--move old new)
    (message "Renamed%s" (if files "; changed files are not saved yet" ""))))

(defun engram--move (old new)
  "Rename the file or folder OLD to NEW, with the buffers of what is in it."
  (let ((buffers (seq-filter
                  (lambda (buffer)
                    (with-current-buffer buffer
                      (and buffer-file-name (engram--server)
                           (file-in-directory-p buffer-file-name old))))
                  (buffer-list))))
    (make-directory (file-name-directory new) t)
    (dolist (buffer buffers)
      (with-current-buffer buffer (eglot--signal-textDocument/didClose)))
    (unwind-protect
        (dired-rename-file old new nil)
      (dolist (buffer buffers)
        (with-current-buffer buffer (eglot--signal-textDocument/didOpen))))))

;;; What the server knows and does

(defun engram-why ()
  "Say whether this buffer's file is in the project memory, and why."
  (interactive)
  (message "%s" (plist-get (engram--execute
                            "engram.why" (plist-get (eglot--TextDocumentIdentifier) :uri))
                           :text)))

(defun engram-status ()
  "Show a report of the server, as a bug report wants it; it has no file text."
  (interactive)
  (let ((report (engram--execute "engram.report")))
    (with-help-window "*engram status*"
      (princ report))))

(defun engram-rebuild-memory ()
  "Forget what is known of the project, and read it anew."
  (interactive)
  (message "Reading the project anew...")
  (engram--execute-then (lambda (&rest _) (message "The project was read anew"))
                        3600 "engram.rebuildMemory"))

(defun engram-pause-reading ()
  "Read no more of the project until `engram-resume-reading'."
  (interactive)
  (engram--execute "engram.pauseReading")
  (message "Reading is paused"))

(defun engram-resume-reading ()
  "Go on reading the project, with what has changed meanwhile."
  (interactive)
  (engram--execute "engram.resumeReading")
  (message "Reading goes on"))

(defun engram-restart ()
  "Start the server anew."
  (interactive)
  (eglot-reconnect (engram--any-server)))

(provide 'engram)
;;; engram.el ends here
