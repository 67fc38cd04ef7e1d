"""The rest of a line: how often it is exactly right, how sure one can be, and what accepting does to the file."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from engram_context.reader import parse
from engram_context.text import Text

from engram_lsp.evaluation.figures import Figure, coverage, mean, median, right_among
from engram_lsp.evaluation.ground import Arm, Ground, Guess, timed
from engram_lsp.evaluation.questions import Hole, Questions, names_of

Record = dict[str, float]

_STRING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|#.*""")

FIGURES = (
    Figure("exact", "exact", "share", mean("exact", "plain")),
    Figure("exact_start", "from the line's start", "share", mean("exact", "start")),
    Figure("exact_middle", "from the middle", "share", mean("exact", "middle")),
    Figure("exact_word", "from within a name", "share", mean("exact", "word")),
    Figure("exact_inside", "up to a closing bracket", "share", mean("exact", "inside")),
    Figure("similarity", "edit similarity", "share", mean("similarity", "plain")),
    Figure("any_of_4", "any of four exact", "share", mean("any", "plain")),
    Figure("exact_20", "exact, surest 20 %", "share", right_among(0.2, where="plain")),
    Figure("exact_40", "exact, surest 40 %", "share", right_among(0.4, where="plain")),
    Figure("exact_60", "exact, surest 60 %", "share", right_among(0.6, where="plain")),
    Figure("coverage_90", "coverage at 90 % precision", "share", coverage(0.9, where="plain")),
    Figure("shown", "shown by the server", "share", mean("shown", "plain")),
    Figure("perfect_shown", "exact among shown", "share", mean("perfect", "plain")),
    Figure("right_shown", "right to its end among shown", "share", mean("right", "plain")),
    Figure("names_exact", "names of other files, exact", "share", mean("names_exact")),
    Figure("names_f1", "names of other files, F1", "share", mean("names_f1")),
    Figure("repeats", "repeats what follows", "share", mean("repeats")),
    Figure("shown_repeats", "same, of those shown", "share", mean("shown_repeats")),
    Figure("syntax_kept", "syntax kept", "share", mean("syntax_kept")),
    Figure("shown_syntax_kept", "same, of those shown", "share", mean("shown_syntax_kept")),
    Figure("cpu_ms", "CPU, median ms", "ms", median("cpu_ms")),
)


def holes(questions: Questions, count: int) -> list[Hole]:
    """Half of `count` at a line's start and half in its middle; half as many again of the other two kinds."""
    half, quarter = count - count // 2, max(1, count // 4)
    return [
        *questions.lines(half, "start"),
        *questions.lines(count // 2, "middle"),
        *questions.lines(quarter, "word"),
        *questions.lines(quarter, "inside"),
    ]


def measure(
    ground: Ground, asked: Sequence[Hole], arms: Sequence[Arm], tick: Callable[[], None]
) -> dict[str, list[Record]]:
    """A row for each hole, by arm."""
    return by_arm(asked, arms, tick, lambda arm, hole: [_answered(ground, arm, hole)])


def by_arm(
    asked: Sequence[Hole],
    arms: Sequence[Arm],
    tick: Callable[[], None],
    rows: Callable[[Arm, Hole], Iterable[Record]],
) -> dict[str, list[Record]]:
    """What `rows` says of each hole, by arm; `tick` is called after each hole."""
    found: dict[str, list[Record]] = {arm.name: [] for arm in arms}
    for hole in asked:
        for arm in arms:
            found[arm.name] += rows(arm, hole)
        tick()
    return found


def _answered(ground: Ground, arm: Arm, hole: Hole) -> Record:
    query = ground.query(hole, arm.known)
    guess, spent = timed(lambda: ground.guess(arm.usual, query))
    plain = hole.kind in ("start", "middle")
    row: Record = {
        hole.kind: 1.0,
        "plain": float(plain),
        "exact": float(is_exact(guess, hole)),
        "similarity": similarity(first_line(guess), hole.hidden),
        "sureness": guess.sureness if guess else 0.0,
    }
    if arm.name in ("fused", "memory"):  # the others find the prompt read by the arm before them
        row["cpu_ms"] = spent
    row |= _of_names(ground, guess, hole) | harm(guess, hole, "")
    shown = ground.guesses(arm.usual, query)
    row["shown"] = float(bool(shown))
    if shown:
        row["perfect"] = float(is_exact(shown[0], hole))
        row["right"] = float(is_right(shown[0].added, hole.hidden + hole.after))
        row |= harm(shown[0], hole, "shown_")
    if plain and arm.name in ("fused", "memory"):
        four = ground.guesses(arm.open, ground.query(hole, arm.known, invoked=True))[:4]
        row["any"] = float(any(is_exact(one, hole) for one in (*four, guess)))
    return row


def is_exact(guess: Guess | None, hole: Hole) -> bool:
    """Whether the line that is asked for comes out as it was; of a guess of several lines the first one counts."""
    return guess is not None and first_line(guess) == hole.hidden


def first_line(guess: Guess | None) -> str:
    return guess.added.split("\n", 1)[0].rstrip() if guess else ""


def is_right(added: str, rest: str) -> bool:
    """Whether the text goes on just so, with all lines that are added, and no word is left half said."""
    if not added or not rest.startswith(added):
        return False
    joint = rest[len(added) - 1 : len(added) + 1]
    return not (len(joint) == 2 and all(letter.isalnum() or letter == "_" for letter in joint))


def similarity(said: str, truth: str) -> float:
    """1 - edit distance by the longer one's length: 1 for equal texts, 0 for those with nothing in common."""
    row = list(range(len(truth) + 1))
    for i, mine in enumerate(said, 1):
        before, row = row, [i]
        for j, theirs in enumerate(truth, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (mine != theirs)))
    return 1.0 - row[-1] / max(len(said), len(truth), 1)


def _of_names(ground: Ground, guess: Guess | None, hole: Hole) -> Record:
    """How well the names are said that only other files could tell; nothing where there are none."""
    known = set(names_of(hole.before))
    wanted = {name for name in names_of(hole.hidden) if name not in known and ground.knows_elsewhere(name, hole.path)}
    if not wanted:
        return {}
    said = {name for name in names_of(first_line(guess)) if name not in known}
    both = len(wanted & said)
    return {"names_exact": float(wanted == said), "names_f1": 2 * both / (len(wanted) + len(said))}


def harm(guess: Guess | None, hole: Hole, prefix: str) -> Record:
    """What accepting does to the file; `prefix` stands before the names of the columns."""
    if guess is None:
        return {}
    return {
        f"{prefix}repeats": float(repeats(guess.added, hole)),
        f"{prefix}syntax_kept": float(_errors(guess.text) <= _errors(hole.before + hole.after)),
    }


def repeats(added: str, hole: Hole) -> bool:
    """Whether what is added says the beginning of what follows a second time, though the true text does not."""
    right = hole.line_after.rstrip()
    if right:
        return any(_says(added, right[:size]) and not _says(hole.hidden, right[:size]) for size in _sizes(right))
    following = next((line.strip() for line in hole.after.split("\n")[1:] if line.strip()), "")
    said = {line.strip() for line in (hole.line_before + added).split("\n")}
    truly = (hole.line_before + hole.hidden).strip() == following
    return len(following) > 3 and following in said and not truly


def _sizes(right: str) -> Iterator[int]:
    """How much of the text on the right counts as its beginning: all of it, or up to the end of a word or sign."""
    return (size for size in range(1, len(right) + 1) if size == len(right) or not right[size - 1 : size + 1].isalnum())


def _says(text: str, right: str) -> bool:
    """Whether `text` ends as `right`; closing brackets only count where nothing in `text` opened them."""
    if set(right) <= set(")]}"):
        depths = itertools.accumulate((letter in "([{") - (letter in ")]}") for letter in _STRING.sub("", text))
        return min(depths, default=0) < 0
    return text.rstrip().endswith(right)


@lru_cache(maxsize=8)  # arms often say the same
def _errors(text: str) -> int:
    """How many places of a file Python's grammar cannot read."""
    tree = parse(Text.of(text), "python")
    waiting = [] if tree is None else [tree.root_node]
    count = 0
    while waiting:
        node = waiting.pop()
        count += node.is_error or node.is_missing
        waiting += node.children if node.has_error else []
    return count
