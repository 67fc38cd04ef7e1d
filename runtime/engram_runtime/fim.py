"""Fill-in-the-middle prompts in DeepSeek's form: the one place that writes them, for training and for inference.

    psm   begin header fim_begin prefix fim_hole suffix fim_end | middle end
    spm   begin header fim_begin fim_hole suffix fim_end prefix | middle end

"spm" is "psm" with an empty prefix, then the prefix: what is typed only extends the prompt's end, so a cached
prefill of everything before it stays good. (Bavarian et al., arXiv 2207.14255, call this form SPMv1.)
"""

from collections.abc import Sequence
from typing import Literal

from engram_runtime.tokenizer import Tokenizer

Order = Literal["spm", "psm"]


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
