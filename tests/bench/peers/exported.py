"""transformers' own ONNX export of one decoding step, on ONNX Runtime with one thread.

    python tests/bench/peers/exported.py CHECKPOINT      makes (and keeps) the export, which takes 5 to 30 minutes

The export is kept in the user's cache folder and used by speed.py when it is there. It has the phase of the compressors built
in: a graph traced after n tokens runs only after n + 4k tokens, so it cannot generate. What is timed here is one step on the
state after a prompt of such a length, again and again, with inputs bound once and outputs where ONNX Runtime put them
before: less than a real loop would have to do. Prompts are read by transformers itself.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from peers import UnavailableError
from peers.eager import SAME, Eager

try:
    import onnxruntime as ort
    import torch
    import transformers
    from platformdirs import user_cache_path
    from transformers.exporters.base import ExportedModel
    from transformers.exporters.configs import OnnxConfig
    from transformers.exporters.exporter_onnx import OnnxExporter
    from transformers.exporters.utils import onnx_inputs
except ImportError as problem:
    raise UnavailableError(
        f"{problem}: pip install 'transformers>=5.23' torch onnx onnxscript onnxruntime"
    ) from problem

TRACED = 321
"""Tokens before the step that is traced, the fewest it is timed after. A state of length 1 would be built in, too: of HCA
windows two are closed then, and of the next one many tokens are there."""


def kept(folder: Path) -> Path:
    """Where the export of this checkpoint's configuration is kept (its weights are always the same random numbers)."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = {name: config[name] for name in (*SAME, "compress_rate_csa", "compress_rate_hca")}
    made_of = json.dumps([shape, TRACED, transformers.__version__, torch.__version__])
    name = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    return user_cache_path("engram-ls", appauthor=False) / "bench" / f"exported-{name}"


def export(folder: Path) -> Path:
    """Exports the step with dynamic lengths, unless that has been done."""
    out = kept(folder)
    if (out / "seconds.json").exists():
        return out
    eager = Eager(folder)
    eager.start("traced", list(range(6, 6 + TRACED)))
    inputs = {
        "input_ids": torch.tensor([[6]]),
        "past_key_values": eager.caches["traced"],
        "use_cache": True,
    }
    started = time.perf_counter()
    OnnxExporter().export(eager.model, inputs, config=OnnxConfig(dynamic=True)).save_pretrained(out)
    (out / "seconds.json").write_text(json.dumps(time.perf_counter() - started), encoding="utf-8")
    return out


class Exported(Eager):
    def __init__(self, folder: Path, exported: Path) -> None:
        super().__init__(folder)
        self.seconds: float = json.loads((exported / "seconds.json").read_text(encoding="utf-8"))
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.exported = ExportedModel.from_pretrained(
            exported, providers=["CPUExecutionProvider"], session_options=options
        )
        self.session: ort.InferenceSession = next(iter(self.exported.runners.values())).session
        self.bindings: dict[str, tuple[Any, np.ndarray, Any]] = {}

    def about(self) -> dict[str, Any]:
        return {
            "engine": f"transformers {transformers.__version__}'s ONNX export, onnxruntime {ort.__version__}",
            "export_seconds": round(self.seconds),
        }

    def start(self, slot: str, tokens: list[int]) -> int:
        # A prompt that is too short is made longer.
        count = TRACED + max(0, len(tokens) - TRACED) // 4 * 4
        best = super().start(slot, (tokens * TRACED)[:count])
        names = [given.name for given in self.session.get_inputs()]
        leaves = onnx_inputs(names, {"input_ids": torch.tensor([[6]]), "past_key_values": self.caches[slot]})
        binding = self.session.io_binding()
        arrays = {name: np.ascontiguousarray(leaf.numpy()) for name, leaf in leaves.items() if name in names}
        values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        for given in self.session.get_outputs():
            binding.bind_output(given.name, "cpu")
        self.session.run_with_iobinding(binding)
        for given, value in zip(self.session.get_outputs(), binding.get_outputs(), strict=True):
            binding.bind_ortvalue_output(given.name, value)
        at = [given.name for given in self.session.get_outputs()].index("logits")
        self.bindings[slot] = (binding, arrays["input_ids"], binding.get_outputs()[at].numpy())
        self.values = values
        return best

    def step(self, slot: str, token: int) -> int:
        binding, ids, logits = self.bindings[slot]
        ids[0, 0] = token
        self.session.run_with_iobinding(binding)
        return int(logits[0, -1].argmax())


def open_engine(folder: Path, kind: str) -> Exported:
    if not (kept(folder) / "seconds.json").exists():
        raise UnavailableError(f"no export is kept: python {Path(__file__).name} {folder}, which takes minutes")
    return Exported(folder, kept(folder))


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
