"""Learns the tokenizer from the corpus.

    python -m engram_runtime.train.vocabulary [--folder FOLDER] [--size 8192] [--megabytes 30]

writes `tokenizer.json` beside the corpus. The sample is every k-th document, so the same corpus gives the same file.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import tokenizers
from rich.console import Console
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers

from engram_runtime.tokenizer import SPECIALS, Tokenizer
from engram_runtime.train.corpus import default_folder, documents

PRE_TOKENS: Final = (
    r"\s*\n[ \t]*"  # the end of a line, blank lines after it, and the next line's indentation
    r"| ?[\p{L}_][\p{L}\p{M}\p{N}_]*"  # an identifier or word, with the space before it
    r"| ?\p{N}{1,3}"  # digits in small groups
    r"| ?[^\s\p{L}\p{N}_]+"  # punctuation
    r"|\s+"
)
"""Splits a text without loss: whatever no alternative matches stands alone."""


def learn_tokenizer(texts: Iterable[str], size: int = 8192, progress: bool = False) -> Tokenizer:
    """A byte-level BPE of exactly `size` ids, specials included, when the texts have that many merges to offer."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in SPECIALS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        max_token_length=40,
        show_progress=progress,
    )
    model.train_from_iterator(texts, trainer=trainer)
    return Tokenizer.parse(model.to_str())


def sample(folder: Path, megabytes: float) -> Iterator[str]:
    """Training texts of about this much, spread evenly over the packages."""
    total = sum(len(document.text) for document in documents(folder))
    stride = max(1, round(total / (megabytes * 1e6)))
    for number, document in enumerate(documents(folder)):
        if number % stride == 0:
            yield document.text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engram_runtime.train.vocabulary", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--folder", type=Path, default=default_folder(), help="the corpus (%(default)s)")
    parser.add_argument("--size", type=int, default=8192, help="ids in the vocabulary (%(default)s)")
    parser.add_argument("--megabytes", type=float, default=30.0, help="how much text to learn from (%(default)s)")
    arguments = parser.parse_args()
    learned = learn_tokenizer(sample(arguments.folder, arguments.megabytes), arguments.size, progress=True)
    out: Path = arguments.folder / "tokenizer.json"
    out.write_text(learned.to_json(), encoding="utf-8")
    Console(stderr=True).print(f"{learned.vocab_size} ids in {out}")


if __name__ == "__main__":
    main()
