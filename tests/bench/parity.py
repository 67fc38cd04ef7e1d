"""How far the logits of our network and graph are from those of transformers, from one saved checkpoint of random weights.

    python tests/bench/parity.py [--ways 12] [--json]

The configurations are those of tests/runtime/test_fidelity.py, the text has 334 tokens, all figures are max |difference|
over all its positions and the vocabulary. "transformers' decode" is what its own cache changes: the noise of float32.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from engram_runtime.export import export
from engram_runtime.session import Session
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from v4_models import ALIKE, CONFIGS, LENGTH, TOKENS, Saved, apart, in_pieces, of_network, save

COLUMNS = ("network", "network, prefixes", "graph, prefill", "graph, pieces", "graph, decode", "transformers' decode")


@torch.no_grad()
def decoded(saved: Saved) -> np.ndarray:
    """Logits of transformers with its own cache, one token at a time."""
    tokens, state, said = torch.from_numpy(TOKENS)[None], None, []
    for position in range(LENGTH):
        answer = saved.reference(tokens[:, position : position + 1], past_key_values=state, use_cache=True)
        state = answer.past_key_values
        said.append(answer.logits[0])
    return torch.cat(said).numpy()


def figures(name: str, ways: int, root: Path) -> list[float | None]:
    """The row of one configuration; where transformers leaves the order of ties open, against our network."""
    saved = save(name, root / "saved" / name)
    export(saved.folder, root / "exported" / name, "fp32")
    session = Session.open(root / "exported" / name, ["CPUExecutionProvider"])
    expected = saved.expected if name in ALIKE else of_network(saved.network, TOKENS)
    random = np.random.default_rng(0)
    lengths = random.integers(1, LENGTH, ways)
    cuts = [random.integers(1, 141, random.integers(1, 8)).tolist() for _ in range(ways)]
    # Its cache keeps too many rows where the window is one token.
    cached = name in ALIKE and CONFIGS[name].sliding_window > 1
    return [
        apart(of_network(saved.network, TOKENS), expected) if name in ALIKE else None,
        max(apart(of_network(saved.network, TOKENS[:length]), expected[:length]) for length in lengths),
        apart(in_pieces(session, [LENGTH]), expected),
        max(apart(in_pieces(session, sizes), expected) for sizes in cuts),
        apart(in_pieces(session, [1]), expected),
        apart(decoded(saved), expected) if cached else None,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", type=int, default=12, help="how many prefixes, and cuts into pieces, are tried")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = {name: figures(name, given.ways, Path(folder)) for name in CONFIGS}
    if given.json:
        print(json.dumps({name: dict(zip(COLUMNS, row, strict=True)) for name, row in rows.items()}, indent=1))
        return
    table = Table("configuration", *COLUMNS)
    for name, row in rows.items():
        table.add_row(name, *("-" if value is None else f"{value:.1e}" for value in row))
    Console().print(table)


if __name__ == "__main__":
    main()
