"""What a project says, made fit to be shown: it only says something, wherever it is put.

Documentation is a stranger's Markdown. Editors load the pictures in it, which tells their servers who looks, and some
follow links that run commands of the editor; names of files may hold line ends and orders to a terminal.
"""

import logging
import re

# Control characters, what changes the direction of text, what some take for the end of a line, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]|\r(?!\n)"
)
_PICTURE = re.compile(r"!(?=\[)")
# Links to anything but a page or a place in one: in the text, by a reference, in angle brackets. Tags that load or run.
_TITLE = r"""(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*"""
_PAGE = rf"(?!\s*<?(?:https?://|#|[\w./-]*(?:#[\w./-]*)?{_TITLE}\)))"
_LINK = re.compile(rf"(?<=\])\({_PAGE}", re.IGNORECASE)
_REFERENCE = re.compile(rf"(?<=\]):{_PAGE}", re.IGNORECASE)
_TAGS = "a|audio|embed|form|iframe|img|input|link|meta|object|script|source|style|svg|video"
_ANGLE = re.compile(rf"(?<!\\)((?:\\\\)*)<(?=[a-z][a-z0-9+.-]*:(?!//)|/?(?:{_TAGS})\b)", re.IGNORECASE)
_MEANS = re.compile(r"([\\`*\[\]<>])")

# Where code is. Programs do not agree on every text: what one of them may take for no code counts as none.
_FENCE = re.compile(r"( {0,3})(`{3,}(?=[^`|]*$)|~{3,}(?=[^|]*$))")
_IN_BLOCK = r"[ \t>*+\-\d.):]*"
_HIDDEN_FENCE = re.compile(rf"{_IN_BLOCK}(?:(?<=[ \t>])(?:```|~~~)|(?:```|~~~).*\|)")
_HTML = re.compile(rf"{_IN_BLOCK}<(?!https?://)[a-z/!?]", re.IGNORECASE)
_DEFINITION = re.compile(rf"{_IN_BLOCK}\[")
_ITEM = re.compile(r"[ \t>]*(?:[-+*:]|\d+[.)])(?:[ \t]|$)")
_INDENTED = re.compile(r"(?: {4}| {0,3}\t)")
_PROSE = re.compile(r"""(?: {0,3}[a-z("'`][^\n]*(?:\n|$))+""", re.IGNORECASE)
# Backslashes, code, and what may hold a backtick that begins no code: tags and targets of links.
_INLINE = re.compile(
    r"""\\[^\n]|`+|<(?:https?://[^\s<>`]*|/?[a-z][^<>`"'\n]*)>|<(?=[a-z/!?])"""
    r"""|\]\([^\s`()<>"'\\]*(?:\ +"[^"`\n\\]*")?\)|\]\(""",
    re.IGNORECASE,
)


def visible(text: str) -> str:
    """The text with everything in it to be seen; tabs and line ends stay."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    return visible(text).replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def documentation(text: str) -> str:
    """Markdown without pictures, without links but to pages, and without tags that load or run something; code stays
    as it is, and ends."""
    return "\n".join(_Reader().read(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))


def _tamed(text: str) -> str:
    """Markdown outside code."""
    text = _PICTURE.sub(r"\!\\", text)
    text = _REFERENCE.sub(r"\:", _LINK.sub(r"\\(", text))
    return _ANGLE.sub(r"\1\<", text)


class _Reader:
    """Goes through the lines of one text."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.lines: list[str] = []
        """Lines outside blocks of code, not yet said."""
        self.lost = False
        """Whether blocks of code can no longer be told from the rest."""

    def read(self, lines: list[str]) -> list[str]:
        fence: re.Match[str] | None = None
        before, in_list, defines = "start", False, False
        for line in lines:
            if fence is not None:
                # Where an item of a list ends, so does the code in it.
                if in_list and line.strip(" \t") and not line.startswith(fence[1]):
                    self.said.append(fence[0])
                    fence, before = None, "text"
                else:
                    ends = self._ends(line, fence)
                    self.said.append(fence[0] if ends else _tamed(line) if self.lost else line)
                    fence, before = (None, "text") if ends else (fence, before)
                    continue
            if not line.strip(" \t"):
                self._flush()
                self.said.append(line)
                before = "start" if before == "start" else "blank"
            elif before in ("blank", "code") and not in_list and not self.lost and _INDENTED.match(line):
                self.said.append(line)
                before = "code"
            elif fence := _FENCE.match(line):
                self._flush()
                in_list = in_list and bool(fence[1])
                self.said.append(_tamed(line))
            else:
                in_list = bool(_ITEM.match(line)) or (in_list and (before != "blank" or line[0] in " \t"))
                defines = defines or bool(_DEFINITION.match(line))
                hides = _HIDDEN_FENCE.match(line) or _HTML.match(line) or not line.strip()
                self.lost = self.lost or bool(hides) or (defines and "]:" in line)
                self.lines.append(line)
                before = "text"
        self._flush()
        if fence is not None:
            self.said.append(fence[0])
        return self.said

    def _ends(self, line: str, fence: re.Match[str]) -> bool:
        rest = line.lstrip(" ")
        return len(line) - len(rest) <= 3 and rest.startswith(fence[2]) and not rest.strip("`~ \t\f\v\xa0")

    def _flush(self) -> None:
        if self.lines:
            text = "\n".join(self.lines)
            self.said.append(_tamed(text) if self.lost else _between_code(text))
            self.lines.clear()


def _between_code(text: str) -> str:
    """A paragraph, or a few other lines, tamed outside the code in them."""
    prose = _PROSE.fullmatch(text) is not None
    runs = [(match.start(), match.end()) for match in re.finditer("`+", text)]
    said: list[str] = []
    done = at = run = 0
    while found := _INLINE.search(text, at):
        at = found.end()
        if found[0] in ("\\`", "<", "]("):
            break
        if found[0][0] != "`":
            continue
        while runs[run][0] < found.start():
            run += 1
        closing = (one for one in range(run + 1, len(runs)) if runs[one][1] - runs[one][0] == len(found[0]))
        run = next(closing, -1)
        if run < 0:
            break
        end = runs[run][1]
        code = text[found.start() : end]
        if "|" in code or (not prose and "\n" in code):
            break
        said += (_tamed(text[done : found.start()]), code)
        done = at = end
    return "".join((*said, _tamed(text[done:])))


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
