;;; init.el --- What somebody who uses engram-ls has in an init file  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Code:

(require 'engram)
(global-engram-mode)
(add-hook 'python-base-mode-hook #'eglot-ensure)

;; What a test wants besides: nothing written beside the project's files, and
;; lines that are on the screen as they are in the file.
(setq auto-save-default nil
      create-lockfiles nil
      make-backup-files nil
      eglot-ignored-server-capabilities '(:inlayHintProvider))

;;; init.el ends here
