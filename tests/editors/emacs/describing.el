;;; describing.el --- Keys, commands and options, for the package's page  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: MIT

;;; Code:

(require 'engram)

(setq text-quoting-style 'grave)

(defun code (text)
  "TEXT as Markdown shows code."
  (format "`%s`" text))

(defun first-line (documentation)
  "The first line of DOCUMENTATION, as Markdown."
  (replace-regexp-in-string "`\\([^']+\\)'" "`\\1`" (car (split-string documentation "\n"))))

(defun keys ()
  "Rows of keys, those with one command together; \"<tab>\" is the same key as \"TAB\"."
  (let (rows)
    (map-keymap (lambda (event command)
                  (if (eq command 'ESC) nil
                    (if (keymapp command)
                        (map-keymap (lambda (more command) (push (cons command (key-description (vector event more))) rows))
                                    command)
                      (push (cons command (key-description (vector event))) rows))))
                engram-suggestion-map)
    (mapcar (lambda (command)
              (vector (mapconcat #'code
                                 (sort (delete "<tab>" (mapcar (lambda (key) (replace-regexp-in-string "^ESC " "M-" key))
                                                               (mapcar #'cdr (seq-filter (lambda (row) (eq (car row) command)) rows))))
                                       #'string<)
                                 ", ")
                      (code command)
                      (first-line (documentation command))))
            '(engram-accept engram-accept-word engram-accept-line engram-next engram-previous engram-dismiss))))

(defun commands ()
  "Rows of commands, without those of keys that are at work at times only."
  (let (found)
    (map-keymap (lambda (_ item)
                  (let ((command (and (eq (car-safe item) 'menu-item) (nth 2 item))))
                    (when (and (symbolp command) (string-prefix-p "engram-" (symbol-name command)))
                      (push command found))))
                engram-menu)
    (mapcar (lambda (command) (vector (code command) (first-line (documentation command))))
            (nreverse found))))

(defun options ()
  "Rows of options, in the order that they are read."
  (mapcar (lambda (option)
            (let ((value (default-value option)))
              (vector (code option)
                      (if (length> (format "%S" value) 30) "a list" (code (format "%S" value)))
                      (first-line (documentation-property option 'variable-documentation)))))
          '(engram-server-command engram-languages engram-automatic engram-idle-delay
                                  engram-inhibit-functions)))

(unless (equal (sort (delq nil (mapcar (lambda (entry) (and (eq (cadr entry) 'custom-variable)
                                                            (not (eq (car entry) 'global-engram-mode))
                                                            (car entry)))
                                       (get 'engram 'custom-group)))
                     #'string<)
               (sort (mapcar (lambda (row) (intern (string-trim (aref row 0) "`" "`"))) (options)) #'string<))
  (error "An option is missing above"))

(let ((coding-system-for-write 'no-conversion)) ; `json-serialize' encodes
  (with-temp-file (expand-file-name "described.json" (getenv "HOME"))
    (insert (json-serialize `(:keys ,(vconcat (keys)) :commands ,(vconcat (commands))
                              :options ,(vconcat (options)))))))

(provide 'describing)
;;; describing.el ends here
