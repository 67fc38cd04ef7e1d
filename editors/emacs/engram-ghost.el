;;; engram-ghost.el --- Suggestions of engram-ls as ghost text  -*- lexical-binding: t; -*-

;; Author: The engram-ls authors
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; A suggestion is text that may be inserted at point.  It is shown there by
;; an overlay, follows what is typed as long as that is how it begins, and is
;; gone otherwise.  The mode that brings it about is in engram.el.

;;; Code:

(require 'engram-server)

(defcustom engram-automatic t
  "Whether suggestions come while you type.
If nil, only `engram-suggest' asks for one.  The server's own setting
`engram.inline.automatic' does the same for every editor."
  :group 'engram
  :type 'boolean)

(defcustom engram-idle-delay 0.05
  "Seconds without a key until a suggestion is asked for."
  :group 'engram
  :type 'number)

(defcustom engram-inhibit-functions '(engram-popup-p)
  "Functions without arguments that say whether to show no suggestion now.
The first that returns non-nil decides."
  :group 'engram
  :type 'hook)

(defface engram-suggestion '((t :inherit shadow))
  "Face of suggested text."
  :group 'engram)

(defvar-local engram--texts nil
  "What may be inserted at `engram--place', the one that is shown first.")
(defvar-local engram--place nil "Where `engram--texts' may be inserted.")
(defvar-local engram--overlay nil "Shows the first of `engram--texts'.")
(defvar-local engram--edited nil "Whether the running command changed the text.")
(defvar-local engram--timer nil "Runs when a suggestion is to be asked for.")

(defvar-keymap engram-suggestion-map
  :doc "Keys that work while a suggestion is shown."
  "TAB" #'engram-accept
  "<tab>" #'engram-accept
  "M-f" #'engram-accept-word
  "M-<right>" #'engram-accept-word
  "C-e" #'engram-accept-line
  "M-<down>" #'engram-accept-line
  "M-n" #'engram-next
  "M-p" #'engram-previous
  "C-g" #'engram-dismiss)

;; Before the keymaps of minor modes, some of which bind TAB.
(defvar engram--keymaps `((engram--texts . ,engram-suggestion-map))
  "The entry of this package in `emulation-mode-map-alists'.")

(defun engram-popup-p ()
  "Whether a list of completions, or another preview of one, is shown."
  (or completion-in-region-mode
      (bound-and-true-p company-candidates)
      (bound-and-true-p completion-preview-active-mode)))

(defun engram--inhibited-p ()
  "Whether no suggestion may be shown now."
  (or buffer-read-only (region-active-p)
      (run-hook-with-args-until-success 'engram-inhibit-functions)))

(defun engram--left (texts typed)
  "What is left of those TEXTS that begin with TYPED."
  (seq-keep (lambda (text)
              (and (string-prefix-p typed text)
                   (> (length text) (length typed))
                   (substring text (length typed))))
            texts))

(defun engram--word (text)
  "The first word of TEXT, or what stands between words, with space before it."
  (if (string-match
       (rx bos (* (any " \t\n\r"))
           (or (+ (any alnum "_")) (+ (not (any alnum "_ \t\n\r")))))
       text)
      (match-string 0 text)
    text))

(defun engram--line (text)
  "The first line of TEXT, which may begin with the end of the line before."
  (string-match (rx bos (? "\n") (* nonl)) text)
  (match-string 0 text))

(defun engram--text (item)
  "The text to insert at point for ITEM, an InlineCompletionItem, or nil."
  (let* ((text (plist-get item :insertText))
         (range (plist-get item :range))
         (region (if range (engram--region range) (cons (point) (point)))))
    (and (stringp text) (<= (car region) (point)) (= (cdr region) (point))
         (car (engram--left
               (list text)
               (buffer-substring-no-properties (car region) (point)))))))

(defun engram--show (texts place)
  "Offer TEXTS at PLACE, and show the first one."
  (unless (overlayp engram--overlay)
    (setq engram--overlay (make-overlay place place))
    (overlay-put engram--overlay 'priority 100))
  (move-overlay engram--overlay place place)
  (let ((shown (propertize (car texts) 'face 'engram-suggestion)))
    (put-text-property 0 1 'cursor t shown) ; the cursor stays before it
    (overlay-put engram--overlay 'after-string shown))
  (setq engram--texts texts engram--place place))

(defun engram--hide (&rest _)
  "Show no suggestion any more."
  (when engram--overlay (delete-overlay engram--overlay))
  (setq engram--texts nil engram--place nil))

(defun engram--give-way (&rest _)
  "Hide the suggestion if something else is shown meanwhile."
  (when (engram--inhibited-p) (engram--hide)))

(defun engram--after-change (beg end length)
  "Follow the change of LENGTH characters to those from BEG to END.
Where they are how the suggestion begins, its rest stays."
  (setq engram--edited t)
  (when engram--texts
    (let ((rest (and (= beg engram--place) (zerop length)
                     (engram--left engram--texts
                                   (buffer-substring-no-properties beg end)))))
      (if rest (engram--show rest end) (engram--hide)))))

(defun engram--post-command ()
  "Hide a suggestion that point has left, and ask for one after an edit."
  (let ((edited engram--edited))
    (setq engram--edited nil)
    (when (and engram--texts
               (or (/= (point) engram--place) (engram--inhibited-p)))
      (engram--hide))
    (when (and edited engram-automatic (null engram--texts)
               (not (memq this-command '(undo undo-only undo-redo))))
      (engram--ask-soon))))

(defun engram--state ()
  "What must be the same when an answer comes as when it was asked for."
  (with-current-buffer (window-buffer)
    (list (current-buffer) (buffer-chars-modified-tick) (point))))

(defun engram--ask-soon ()
  "Ask for a suggestion, unless something is typed before."
  (when engram--timer (cancel-timer engram--timer))
  (let ((state (engram--state)))
    (setq engram--timer
          (run-with-idle-timer
           engram-idle-delay nil
           (lambda ()
             (when (equal state (engram--state))
               (with-current-buffer (car state) (engram--ask 2))))))))

(defun engram--ask (trigger)
  "Ask for suggestions at point; TRIGGER is 1 on demand, 2 while typing.
An answer for a text or place that is no more is left alone; the server
gives up what it computes for one as soon as it hears of the next edit."
  (when-let* ((server (engram--server))
              (_ (not (engram--inhibited-p)))
              (state (engram--state)))
    (engram--send-changes)
    (jsonrpc-async-request
     server :textDocument/inlineCompletion
     (append (eglot--TextDocumentPositionParams)
             `(:context (:triggerKind ,trigger)))
     :success-fn (lambda (answer)
                   (when (equal state (engram--state))
                     (with-current-buffer (car state)
                       (engram--offer answer (= trigger 1)))))
     :timeout 60 ; the first one may wait for the model to be loaded
     :error-fn #'ignore
     :timeout-fn #'ignore)))

(defun engram--offer (answer asked)
  "Show the suggestions of ANSWER; if there are none and ASKED, say so."
  (let* ((items (if (vectorp answer) answer (plist-get answer :items)))
         (texts (seq-uniq (seq-keep #'engram--text items))))
    (cond ((engram--inhibited-p))
          (texts (engram--show texts (point)))
          (asked (message "No suggestion here")))))

(defun engram--accept (piece)
  "Insert PIECE of the suggestion that is shown, a function of its text."
  (unless engram--texts (user-error "No suggestion is shown"))
  (goto-char engram--place)
  (insert (funcall piece (car engram--texts))))

(defun engram-accept ()
  "Insert the suggestion."
  (interactive)
  (engram--accept #'identity))

(defun engram-accept-word ()
  "Insert the next word of the suggestion."
  (interactive)
  (engram--accept #'engram--word))

(defun engram-accept-line ()
  "Insert the next line of the suggestion."
  (interactive)
  (engram--accept #'engram--line))

(defun engram-dismiss ()
  "Hide the suggestion; without one, quit."
  (interactive)
  (if engram--texts (engram--hide) (keyboard-quit)))

(defun engram-next ()
  "Show the next suggestion, asking for more where there is but one."
  (interactive)
  (engram--turn (lambda (texts) (append (cdr texts) (list (car texts))))))

(defun engram-previous ()
  "Show the previous suggestion, asking for more where there is but one."
  (interactive)
  (engram--turn (lambda (texts) (append (last texts) (butlast texts)))))

(defun engram--turn (order)
  "Show the first of the suggestions in another ORDER."
  (if (cdr engram--texts)
      (engram--show (funcall order engram--texts) engram--place)
    (engram--ask 1)))

(provide 'engram-ghost)
;;; engram-ghost.el ends here
