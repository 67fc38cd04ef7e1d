"""What a project says, made fit to be shown: it only says something, wherever it is put.

Documentation is a stranger's Markdown. Editors load the pictures in it, which tells their servers who looks, and some
follow links that run commands of the editor; names of files may hold line ends and orders to a terminal.
"""

import logging
import re

# Control characters, what changes the direction of text, what some take for the end of a line, lone surrogates.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_PICTURE = re.compile(r"!(?=\[)")
# Links to anything but a page or a place in one: in the text, by a reference, in angle brackets. Tags that load or run.
_PAGE = r"(?!\s*<?(?:https?://|#|[\w./-]*\)))"
_LINK = re.compile(rf"(?<=\])\({_PAGE}", re.IGNORECASE)
_REFERENCE = re.compile(rf"(?m)^([ \t>]*\[[^\]\n]+\]):{_PAGE}", re.IGNORECASE)
_TAGS = "a|audio|embed|form|iframe|img|input|link|meta|object|script|source|style|svg|video"
_ANGLE = re.compile(rf"<(?=[a-z][a-z0-9+.-]*:(?!//)|/?(?:{_TAGS})\b)", re.IGNORECASE)
_MEANS = re.compile(r"([\\`*\[\]<>])")


def visible(text: str) -> str:
    """The text with everything in it to be seen; tabs and line ends stay."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def documentation(text: str) -> str:
    """Markdown without pictures, without links but to pages, and without tags that load or run something."""
    text = _PICTURE.sub(r"\!\\", text)
    text = _REFERENCE.sub(r"\1\\:", _LINK.sub(r"\\(", text))
    return _ANGLE.sub(r"\<", text)


def plain(text: str) -> str:
    """Text that is no Markdown, as Markdown."""
    return _MEANS.sub(r"\\\1", on_one_line(text))


def fenced(code: str, language: str) -> str:
    """Code as Markdown, whatever is in it."""
    runs = re.findall("`+", code)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    return f"{fence}{language}\n{code}\n{fence}"


class OneLine(logging.Formatter):
    """One line for each record, whatever the names in it hold."""

    def format(self, record: logging.LogRecord) -> str:
        return on_one_line(super().format(record))
