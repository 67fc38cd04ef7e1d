"""`python -m engram_runtime.train OUT`: the training loop with every option; `engram-ls train` has the usual ones."""

import argparse
from pathlib import Path

from engram_runtime.config import ModelConfig
from engram_runtime.train.corpus import default_folder
from engram_runtime.train.loop import TrainOptions, train


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m engram_runtime.train", description="Train the network.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the checkpoint")
    parser.add_argument("--corpus", type=Path, default=default_folder(), help="the corpus (%(default)s)")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json (default: the corpus folder's)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--width", type=int, default=256, help="the dial for size, in 64s (default: %(default)s)")
    shape.add_argument("--config", type=Path, help="config.json of any other shape")
    parser.add_argument("--minutes", type=float, help="budget in minutes (60, unless --tokens is given)")
    parser.add_argument("--tokens", type=int, help="budget in tokens; the first budget to run out ends the run")
    parser.add_argument("--from", dest="start_from", type=Path, metavar="CHECKPOINT", help="begin with these weights")
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    parser.add_argument("--compile", action="store_true", help="compile first (minutes): a third faster or more after")
    parser.add_argument("--compact", action="store_true", help="write weights as bfloat16: half the size to move")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (default: %(default)s)")
    for name, kind, meaning in _NUMBERS:
        default = TrainOptions.__dataclass_fields__[name].default
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{meaning} (default: %(default)s)"
        )
    given = vars(parser.parse_args(arguments))
    width, shape_file = given.pop("width"), given.pop("config")
    if given["minutes"] is None and given["tokens"] is None:
        given["minutes"] = 60.0
    try:
        given["config"] = ModelConfig.read(shape_file) if shape_file else ModelConfig.of_width(width)
        train(TrainOptions(**given))
    except (ValueError, FileNotFoundError) as problem:
        parser.exit(2, f"{parser.prog}: {problem}\n")


_NUMBERS = (
    ("rows", int, "rows of a batch"),
    ("length", int, "tokens of a row"),
    ("seed", int, "seed of weights and batches"),
    ("threads", int, "CPU threads, 0 for torch's choice"),
    ("adam_lr", float, "learning rate of embeddings, norms, routers and hyper-connections"),
    ("muon_lr", float, "learning rate of the matrices"),
    ("table_lr", float, "learning rate of the Engram tables"),
    ("warmup_steps", int, "steps until the full learning rate"),
    ("decay_share", float, "share of the budget over which the rate falls to zero"),
    ("validation_rows", int, "rows of a validation"),
    ("validate_minutes", float, "minutes between validations"),
    ("checkpoint_minutes", float, "minutes between checkpoints"),
)


if __name__ == "__main__":
    main()
