;;; engram-server.el --- What engram-ls is to Eglot  -*- lexical-binding: t; -*-

;; Author: The engram-ls authors
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Which server is ours, what is asked of it, and what its edits change.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'project)

(defgroup engram nil
  "Ghost text, traces and file renames of engram-ls."
  :group 'eglot
  :prefix "engram-")

;;; The server

(defclass engram-server (eglot-lsp-server)
  ((status :initform nil :accessor engram--status
           :documentation "What the last `engram/status' said, a plist."))
  :documentation "An engram-ls that Eglot started.")

(cl-defmethod eglot-client-capabilities :around ((_server engram-server))
  "Declare what this package can do besides Eglot."
  (let* ((all (copy-sequence (cl-call-next-method)))
         (documents (copy-sequence (plist-get all :textDocument))))
    (plist-put all :textDocument
               (plist-put documents :inlineCompletion
                          '(:dynamicRegistration :json-false)))
    (plist-put all :experimental '(:engram (:status t)))))

(cl-defmethod eglot-handle-notification
  ((server engram-server) (_method (eql 'engram/status)) &rest status)
  "Keep SERVER's STATUS for the mode line."
  (setf (engram--status server) status)
  (force-mode-line-update t))

(defun engram--server ()
  "The engram-ls that manages this buffer, or nil."
  (when-let* ((server (and (eglot-managed-p) (eglot-current-server))))
    (and (or (cl-typep server 'engram-server)
             (equal (plist-get (eglot--server-info server) :name) "engram-ls"))
         server)))

(defun engram--servers ()
  "All servers that manage buffers."
  (delete-dups
   (delq nil (mapcar (lambda (buffer)
                       (with-current-buffer buffer (engram--server)))
                     (buffer-list)))))

(defun engram--any-server ()
  "The server of this buffer, or of its folder, or the one you choose."
  (or (engram--server)
      (let* ((servers (engram--servers))
             (here (seq-filter
                    (lambda (server)
                      (file-in-directory-p
                       default-directory
                       (project-root (eglot--project server))))
                    servers)))
        (pcase (or here servers)
          ('nil (user-error "No buffer is managed by engram-ls; try M-x eglot"))
          (`(,one) one)
          (several
           (let ((names (mapcar (lambda (server)
                                  (cons (eglot-project-nickname server) server))
                                several)))
             (cdr (assoc (completing-read "Project: " names nil t) names))))))))

(defun engram--send-changes ()
  "Tell the server what was typed here, which Eglot else does some time later."
  (when (eglot-managed-p)
    (eglot--signal-textDocument/didChange)))

(defun engram--command (command &rest arguments)
  "The parameters to execute COMMAND with ARGUMENTS."
  (list :command command :arguments (vconcat arguments)))

(defun engram--execute (command &rest arguments)
  "Have the server execute COMMAND with ARGUMENTS; its answer."
  (engram--send-changes)
  (jsonrpc-request (engram--any-server) :workspace/executeCommand
                   (apply #'engram--command command arguments)
                   :timeout 60))

(defun engram--execute-then (function timeout command &rest arguments)
  "Call FUNCTION with the server and its answer to COMMAND with ARGUMENTS.
Wait at most TIMEOUT seconds for it, without keeping anybody."
  (engram--send-changes)
  (let ((server (engram--any-server)))
    (jsonrpc-async-request
     server :workspace/executeCommand
     (apply #'engram--command command arguments)
     :timeout timeout
     :success-fn (lambda (answer) (funcall function server answer))
     :error-fn (lambda (problem) (message "engram-ls: %s" (plist-get problem :message)))
     :timeout-fn (lambda () (message "engram-ls took too long for %s" command)))))

;; Eglot 1.16 (Emacs 30) dropped one dash of these.
(defalias 'engram--path
  (if (fboundp 'eglot-uri-to-path) 'eglot-uri-to-path 'eglot--uri-to-path))
(defalias 'engram--uri
  (if (fboundp 'eglot-path-to-uri) 'eglot-path-to-uri 'eglot--path-to-uri))
(defalias 'engram--region
  (if (fboundp 'eglot-range-region) 'eglot-range-region 'eglot--range-region))

;;; Edits

(defvar eglot-confirm-server-edits)

(defun engram--changes (edit)
  "List the edits in EDIT, a WorkspaceEdit, file by file: (URI . TEXT-EDITS)."
  (or (mapcar (lambda (change)
                (cons (plist-get (plist-get change :textDocument) :uri)
                      (append (plist-get change :edits) nil)))
              (plist-get edit :documentChanges))
      (cl-loop for (uri edits) on (plist-get edit :changes) by #'cddr
               collect (cons (substring (symbol-name uri) 1) (append edits nil)))))

(defun engram--apply (server edit)
  "Apply EDIT of SERVER, to which somebody agreed.
Signal an error if a buffer has another text meanwhile."
  (let ((eglot--cached-server server) ; which says how URIs are read
        (eglot-confirm-server-edits nil))
    (eglot--apply-workspace-edit edit nil)))

(defun engram--point (position encoding)
  "Where POSITION of the protocol is, which counts characters by ENCODING."
  (goto-char (point-min))
  (forward-line (plist-get position :line))
  (let ((units (plist-get position :character)))
    (while (and (> units 0) (not (eolp)))
      (setq units (- units (engram--units (char-after) encoding)))
      (forward-char)))
  (point))

(defun engram--units (character encoding)
  "How many units CHARACTER has in ENCODING."
  (pcase encoding
    ("utf-32" 1)
    ("utf-8" (string-bytes (string character)))
    (_ (if (> character #xffff) 2 1))))

(defun engram--spans (edits encoding)
  "EDITS as a list of (BEG END NEW-TEXT) in this buffer, in its order.
Their positions count characters by ENCODING."
  (sort (mapcar (lambda (edit)
                  (let ((range (plist-get edit :range)))
                    (list (engram--point (plist-get range :start) encoding)
                          (engram--point (plist-get range :end) encoding)
                          (plist-get edit :newText))))
                edits)
        (lambda (one other) (< (car one) (car other)))))

(defun engram--hunks (text edits encoding)
  "The lines of TEXT that EDITS change: a list of (LINE OLD-LINES NEW-LINES).
The positions in EDITS count characters by ENCODING."
  (with-temp-buffer
    (insert text)
    (let ((spans (engram--spans edits encoding))
          hunks)
      (while spans
        (let* ((from (progn (goto-char (caar spans)) (pos-bol)))
               (here from) (to from) (new ""))
          (while (and spans (progn (goto-char (caar spans)) (<= (pos-bol) to)))
            (pcase-let ((`(,beg ,end ,inserted) (pop spans)))
              (setq new (concat new (buffer-substring here beg) inserted)
                    here end
                    to (progn (goto-char end) (pos-eol)))))
          (push (engram--hunk (line-number-at-pos from)
                              (split-string (buffer-substring from to) "\n")
                              (split-string (concat new (buffer-substring here to)) "\n"))
                hunks)))
      (nreverse hunks))))

(defun engram--hunk (line old new)
  "A list of LINE, OLD lines and NEW lines, without those that stay the same."
  (while (and old new (equal (car old) (car new)))
    (setq old (cdr old) new (cdr new) line (1+ line)))
  (setq old (reverse old) new (reverse new))
  (while (and old new (equal (car old) (car new)))
    (setq old (cdr old) new (cdr new)))
  (list line (reverse old) (reverse new)))

(defun engram--file-text (file)
  "The text of FILE, as its buffer has it if there is one."
  (with-temp-buffer
    (if-let* ((buffer (find-buffer-visiting file)))
        (insert (with-current-buffer buffer
                  (without-restriction (buffer-substring-no-properties 1 (point-max)))))
      (insert-file-contents file))
    (buffer-string)))

(provide 'engram-server)
;;; engram-server.el ends here
