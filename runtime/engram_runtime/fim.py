"""Fill-in-the-middle prompts in DeepSeek's form: the one place that writes them, for training and for inference.

    psm   begin header fim_begin prefix fim_hole suffix fim_end | middle end
    spm   begin header fim_begin fim_hole suffix fim_end prefix | middle end

"spm" is "psm" with an empty prefix, then the prefix: what is typed only extends the prompt's end, so a cached
prefill of everything before it stays good. (Bavarian et al., arXiv 2207.14255, call this form SPMv1.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engram_runtime.tokenizer import Tokenizer

Order = Literal["spm", "psm"]


def path_header(path: str) -> str:
    """The first line that tells the model where a text is from."""
    return f"# {path}\n"


def prompt(
    tokenizer: Tokenizer,
    prefix_ids: Sequence[int],
    suffix_ids: Sequence[int],
    path_header_ids: Sequence[int] = (),
    order: Order = "spm",
) -> list[int]:
    """The ids to feed before the middle; the model then writes the middle and `tokenizer.end`."""
    opening = [tokenizer.begin, *path_header_ids, tokenizer.fim_begin]
    if order == "psm":
        return [*opening, *prefix_ids, tokenizer.fim_hole, *suffix_ids, tokenizer.fim_end]
    if order == "spm":
        return [*opening, tokenizer.fim_hole, *suffix_ids, tokenizer.fim_end, *prefix_ids]
    raise ValueError(f"order {order!r}: it is 'spm' or 'psm'")


def example(
    tokenizer: Tokenizer,
    prefix_ids: Sequence[int],
    middle_ids: Sequence[int],
    suffix_ids: Sequence[int],
    path_header_ids: Sequence[int] = (),
    order: Order = "spm",
) -> list[int]:
    """A whole training sequence: the prompt, the middle that answers it, the end."""
    return [*prompt(tokenizer, prefix_ids, suffix_ids, path_header_ids, order), *middle_ids, tokenizer.end]


@dataclass(frozen=True, slots=True)
class Parts:
    """The texts of a prompt. `suffix` is None where the prompt asks for a plain continuation."""

    header: str
    prefix: str
    suffix: str | None


def parts(tokenizer: Tokenizer, ids: Sequence[int]) -> Parts:
    """The inverse of `prompt`, for both orders: what a server with another tokenizer has to be told.

    Tokens already generated belong to the prefix. Raises ValueError when the tokens of the form do not add up.
    """
    text, tokens = tokenizer.decode, list(ids)
    counts = [tokens.count(token) for token in (tokenizer.fim_begin, tokenizer.fim_hole, tokenizer.fim_end)]
    if counts == [0, 0, 0]:
        return Parts("", text(tokens), None)
    if counts != [1, 1, 1]:
        raise ValueError("a prompt has each of the three fill-in-the-middle tokens once, or none")
    begin, hole, end = (tokens.index(t) for t in (tokenizer.fim_begin, tokenizer.fim_hole, tokenizer.fim_end))
    if not begin < hole < end:
        raise ValueError("the fill-in-the-middle tokens come in the order begin, hole, end")
    return Parts(text(tokens[:begin]), text(tokens[begin + 1 : hole] + tokens[end + 1 :]), text(tokens[hole + 1 : end]))
