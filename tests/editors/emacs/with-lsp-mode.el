;;; with-lsp-mode.el --- The server with lsp-mode, as README.md sets it up  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Code:

(require 'driving)
;; Its other files are autoloaded where it is installed as a package.
(dolist (part '(lsp-mode lsp-completion lsp-diagnostics lsp-headerline lsp-lens lsp-modeline))
  (require part))

(setq lsp-auto-guess-root t
      lsp-enable-snippet nil
      lsp-modeline-code-actions-enable nil
      lsp-response-timeout 60
      lsp-restart 'ignore
      lsp-session-file (expand-file-name "lsp-session" (getenv "HOME")))

(lsp-register-client
 (make-lsp-client :new-connection (lsp-stdio-connection '("engram-ls" "serve"))
                  :activation-fn (lsp-activate-on "python")
                  :server-id 'engram))

(defun problems ()
  "The texts of the problems of the buffer's file."
  (mapcar #'lsp:diagnostic-message (gethash buffer-file-name (lsp-diagnostics t))))

(ert-deftest lsp-mode-completes-checks-and-renames ()
  (switch-to-buffer (find-file-noselect (expand-file-name "shop/stock.py" drive-project)))
  (lsp)
  (drive-until "the problem" (lambda () (member "'time' is not defined" (problems))))
  (goto-char (point-max))
  (drive-type "\n\nwith_ta")
  (completion-at-point)
  (should (equal (buffer-substring-no-properties (pos-bol) (point)) "with_tax"))
  (drive-after "= time")
  (delete-char -4)
  (drive-type "len")
  (drive-until "the problem to go" (lambda () (not (member "'time' is not defined" (problems)))))
  (drive-after "def remai")
  (lsp-rename "what_is_left")
  (should (string-search "def what_is_left(" (buffer-string)))
  (should (string-search "print(what_is_left(" (drive-file "shop/__main__.py"))))

(provide 'with-lsp-mode)
;;; with-lsp-mode.el ends here
