"""What a model is asked when it is measured: teacher-forced windows and completion cursors in files it never saw."""

import ast
import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document


@dataclass(frozen=True, slots=True)
class Window:
    """One teacher-forced question: `tokens` [T] of which those at positions `scored` count."""

    tokens: tuple[int, ...]
    start: int
    """The first position that is asked for; what is before it is context alone."""
    scored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """One question of rest-of-line completion."""

    prefix: str
    middle: str
    """The hidden rest of the line, never empty, without its newline."""
    suffix: str
    at_line_start: bool


def code_lines(text: str) -> frozenset[int]:
    """Zero-based numbers of the lines that hold code: not blank, not only a comment, not in a docstring.

    Empty when the text is not Python.
    """
    try:
        tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError):
        return frozenset()
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {line for token in tokens if token.type not in layout for line in range(token.start[0] - 1, token.end[0])}
    for node in ast.walk(tree):
        # A string that is a statement of its own says nothing to the machine, wherever it stands.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno - 1, node.end_lineno or node.lineno))
    return frozenset(code)


def scored_positions(tokenizer: Tokenizer, tokens: Sequence[int], lines: frozenset[int]) -> npt.NDArray[np.bool_]:
    """Which tokens of a whole file count: those that begin on a code line and hold no newline."""
    answer = np.zeros(len(tokens), dtype=np.bool_)
    line = 0
    for position, token in enumerate(tokens):
        newlines = tokenizer.token_bytes(token).count(b"\n")
        answer[position] = not newlines and line in lines
        line += newlines
    return answer


def windows(
    tokenizer: Tokenizer, files: Sequence[Document], count: int, context: int = 384, span: int = 128, seed: int = 0
) -> list[Window]:
    """`count` different windows over the files (fewer if they have not so many), long files more often.

    A window is `begin`, up to `context` tokens to its left in the file, and `span` tokens with code among them.
    """
    random = np.random.default_rng(seed)
    read: dict[int, tuple[list[int], npt.NDArray[np.bool_], list[int]]] = {}
    answer: list[Window] = []
    for number in random.choice(len(files), size=20 * count, p=_share(files)).tolist():
        if len(answer) == count:
            break
        if number not in read:
            ids = tokenizer.encode(files[number].text)
            mask = scored_positions(tokenizer, ids, code_lines(files[number].text))
            firsts = [first for first in range(0, len(ids), span) if mask[first : first + span].any()]
            read[number] = ids, mask, random.permutation(firsts).tolist()
        ids, mask, firsts = read[number]
        if not firsts:
            continue
        first = int(firsts.pop())
        left = max(0, first - context)
        shift = 1 - left
        hits = np.flatnonzero(mask[first : first + span]) + first + shift
        tokens = (tokenizer.begin, *ids[left : first + span])
        answer.append(Window(tokens, first + shift, tuple(hits.tolist())))
    return answer


def shortened(window: Window, by: int) -> Window:
    """The same question with `by` tokens less on its left, as far as there are any.

    Attention over compressed chunks of tokens sees every text in one of several phases; good models do not care which.
    """
    by = min(by, window.start - 1)
    tokens = window.tokens[:1] + window.tokens[1 + by :]
    return Window(tokens, window.start - by, tuple(position - by for position in window.scored))


def cursors(files: Sequence[Document], count: int, seed: int = 0) -> list[Cursor]:
    """`count` cursors on code lines: half right after the indentation, half before a later word of the line."""
    random = np.random.default_rng(seed)
    answer: list[Cursor] = []
    for number in random.choice(len(files), size=20 * count, p=_share(files)).tolist():
        if len(answer) == count:
            break
        at_line_start = len(answer) % 2 == 0
        code = sorted(code_lines(files[number].text))
        if code and (found := _cursor(files[number].text, int(random.choice(code)), at_line_start, random)):
            answer.append(found)
    return answer


def _cursor(text: str, line_number: int, at_line_start: bool, random: np.random.Generator) -> Cursor | None:
    lines = text.split("\n")
    line = lines[line_number]
    begin = len(line) - len(line.lstrip())
    if not at_line_start:
        later = [place for place in _word_starts(line) if place > begin]
        if not later:
            return None
        begin = later[int(random.integers(len(later)))]
    middle = line[begin:].rstrip()
    if not middle:
        return None
    before = "\n".join([*lines[:line_number], line[:begin]])
    after = "\n".join(["", *lines[line_number + 1 :]])
    return Cursor(before, middle, after, at_line_start)


def _share(files: Sequence[Document]) -> npt.NDArray[np.float64]:
    """How often each file is drawn: in proportion to its length."""
    lengths = np.array([len(file.text) for file in files], dtype=np.float64)
    return lengths / lengths.sum()


def _word_starts(line: str) -> list[int]:
    """Columns where a name, a number or a sign begins."""
    return [
        column
        for column in range(1, len(line))
        if not line[column].isspace() and not (_in_word(line[column]) and _in_word(line[column - 1]))
    ]


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
