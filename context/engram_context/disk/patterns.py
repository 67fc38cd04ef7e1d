"""One line of a .gitignore as a test of a path (gitignore(5), and git's wildmatch where that is silent).

A path is tested by itself, not by the folders above it: whoever walks a folder asks about those first, for what git
once lost with a folder no later pattern brings back.

A stranger's pattern must not take long. What follows a star is therefore looked for at the first place where it is, and
nowhere else (an atomic group): the next star takes whatever a later place would have left over. Only behind the last
star is a place sought that the end of the path fits to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9a-fA-F", "print": " -~", "graph": "!-~",
    "cntrl": r"\x00-\x1f\x7f",
}  # fmt: skip


LONGEST = 4096
"""Characters of a line that is understood: paths are no longer."""

_WILD = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """`line` as it was written. `ignores` is False for one that takes back (`!line`). `regex` is None for a plain name
    or path: then `plain` is what it matches, folded where case does not count."""

    line: str
    number: int  # of the line in its file, from 1
    ignores: bool
    folders_only: bool
    whole_path: bool  # else the last part alone is tested
    regex: re.Pattern[str] | None
    plain: str = ""
    ignore_case: bool = False

    def matches(self, path: str, name: str, is_folder: bool) -> bool:
        """`path` is relative to the folder of the rule file; `name` is its last part."""
        if self.folders_only and not is_folder:
            return False
        subject = path if self.whole_path else name
        if self.regex is None:
            return (subject.casefold() if self.ignore_case else subject) == self.plain
        return self.regex.fullmatch(subject) is not None


def pattern_of(line: str, number: int = 1, *, ignore_case: bool = False) -> Pattern | None:
    """None for an empty line, a comment, and what git makes no sense of either. `ignore_case`: as git does where the
    file system does."""
    text = line.removesuffix("\r")
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    if not text or text.startswith("#"):
        return None
    ignores = not text.startswith("!")
    text = text if ignores else text[1:]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    if not text or len(text) > LONGEST:
        return None
    whole_path = "/" in text
    text = text.removeprefix("/") if whole_path else text
    if not is_wild(text):
        plain = text.casefold() if ignore_case else text
        return Pattern(line, number, ignores, folders_only, whole_path, None, plain, ignore_case)
    source = _regex(text, whole_path)
    if source is None:
        return None
    try:
        regex = re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
        return Pattern(line, number, ignores, folders_only, whole_path, regex)
    except re.error:
        return None


_STAR, _FOLDERS = "[^/]*", "(?:[^/]*/)*"


def is_wild(text: str) -> bool:
    """Whether a pattern is more than a name or a path."""
    return _WILD.search(text) is not None


def _regex(text: str, whole_path: bool) -> str | None:
    """None for a pattern that can match nothing: an open bracket, a backslash at the end."""
    parts = _parts(text, whole_path)
    if parts is None:
        return None
    levels: list[list[str]] = [[]]
    for part in parts:
        if part is _FOLDERS:
            levels.append([])
        else:
            levels[-1].append(part)
    first, *others = levels
    found = [_level(first, is_last=not others)]
    for number, level in enumerate(others, 1):
        is_last = number == len(others)
        inside = _level(level, is_last=is_last)
        found.append(f"{_FOLDERS}{inside}" if is_last else f"(?>{_FOLDERS}?{inside})")
    return "".join(found)


def _level(parts: list[str], *, is_last: bool) -> str:
    """What stands between two `**/`."""
    runs: list[str] = [""]
    for part in parts:
        if part is _STAR:
            runs.append("")
        else:
            runs[-1] += part
    first, *others = runs
    found = [f"(?>{_STAR}?{run})" for run in others]
    if others and is_last:
        found[-1] = f"{_STAR}{others[-1]}"
    return first + "".join(found)


def _parts(text: str, whole_path: bool) -> list[str] | None:
    """The pattern in pieces: `_STAR`, `_FOLDERS`, and regexes of one character each."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == "*":
            end = at
            while end < len(text) and text[end] == "*":
                end += 1
            alone = whole_path and end - at > 1 and (at == 0 or text[at - 1] == "/")
            if alone and text[end : end + 1] == "/":
                parts.append(_FOLDERS)  # any folders, or none
                end += 1
            elif alone and end == len(text):
                parts.append(".*")  # everything inside
            else:
                parts.append(_STAR)
            at = end
        elif letter == "?":
            parts.append("[^/]")
            at += 1
        elif letter == "[":
            found = _bracket(text, at)
            if found is None:
                return None
            source, at = found
            parts.append(source)
        elif letter == "\\":
            if at + 1 == len(text):
                return None
            parts.append(re.escape(text[at + 1]))
            at += 2
        else:
            parts.append(re.escape(letter))
            at += 1
    return parts


def _bracket(text: str, start: int) -> tuple[str, int] | None:
    """(regex, where it ends) of the class that begins at `start`; None when it is never closed."""
    at = start + 1
    negated = at < len(text) and text[at] in "!^"
    at += negated
    first = at
    members: list[str] = []
    while at < len(text) and (text[at] != "]" or at == first):
        named = re.match(r"\[:(\w+):\]", text[at:])
        if named is not None:
            members.append(_CLASSES.get(named[1], ""))
            at += named.end()
            continue
        low, at = _member(text, at)
        if at + 1 < len(text) and text[at] == "-" and text[at + 1] != "]":
            high, at = _member(text, at + 1)
            if low <= high:
                members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append(re.escape(low))
    if at >= len(text):
        return None
    inside = "".join(members)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return (f"[^/{inside}]" if negated else f"(?!/)[{inside}]"), at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\" and at + 1 < len(text):
        at += 1
    return text[at], at + 1
