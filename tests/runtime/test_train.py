"""Training: what batches hold, how the optimisers step, and that a run learns, stops and goes on."""

import dataclasses
import gzip
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from engram_runtime import fim
from engram_runtime.config import CSA, SLIDING, ModelConfig
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train import loop
from engram_runtime.train.__main__ import main as module
from engram_runtime.train.corpus import Document
from engram_runtime.train.data import Batches, Mixture, in_prose, middle_end
from engram_runtime.train.loop import Run, TrainOptions, train
from engram_runtime.train.optimizers import Muon, optimizers, orthogonalise
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file
from small_model import byte_tokenizer
from torch import nn

TINY = ModelConfig(
    vocab_size=262,
    hidden_size=32,
    layer_types=(SLIDING, CSA),
    mlp_layer_types=("hash_moe", "moe"),
    num_attention_heads=2,
    head_dim=16,
    qk_rope_head_dim=8,
    q_lora_rank=16,
    o_groups=1,
    o_lora_rank=16,
    sliding_window=16,
    index_n_heads=1,
    index_head_dim=16,
    index_topk=6,
    n_routed_experts=4,
    moe_intermediate_size=16,
    engram_layers=(1,),
    engram_heads=2,
    engram_rows=499,
    engram_dim=8,
)

SOURCE = "".join(
    f"class Shape{i}:\n    def area(self, scale: float) -> float:\n        return self.width * {i} * scale\n\n\n"
    for i in range(9)
)
TEXTS = [Document("shapes", f"shapes/part{i}.py", SOURCE[i:]) for i in range(4)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "validation"):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(dataclasses.asdict(document)) + "\n" for document in TEXTS)
    (folder / "tokenizer.json").write_text(byte_tokenizer().to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def options(corpus: Path, tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        out=tmp_path / "run",
        corpus=corpus,
        config=TINY,
        minutes=None,
        tokens=4 * 128 * 40,
        rows=4,
        length=128,
        warmup_steps=4,
        validation_rows=4,
        device="cpu",
        precision="fp32",
        threads=1,
    )


def silent() -> Console:
    return Console(quiet=True)


# --- batches ---


def batches(**mixture: float) -> Batches:
    return Batches(TEXTS, byte_tokenizer(), 4, 200, 7, Mixture(**mixture))  # type: ignore[arg-type]


def test_a_batch_is_fixed_by_seed_and_number() -> None:
    a, b = batches(), batches()
    later = b.batch(5)
    for number in (5, 0, 3):
        assert np.array_equal(a.batch(number).tokens, b.batch(number).tokens)
    assert np.array_equal(a.batch(5).tokens, later.tokens)
    assert not np.array_equal(a.batch(5).tokens, a.batch(6).tokens)
    other = Batches(TEXTS, byte_tokenizer(), 4, 200, 8)
    assert not np.array_equal(a.batch(5).tokens, other.batch(5).tokens)


def samples(mixture: Mixture, count: int = 60) -> list[tuple[list[int], list[float]]]:
    """The samples of some rows: tokens, and the weight of predicting each."""
    tokenizer = byte_tokenizer()
    found: list[tuple[list[int], list[float]]] = []
    for number in range(count):
        batch = Batches(TEXTS, tokenizer, 1, 200, 3, mixture).batch(number)
        tokens, weights = batch.tokens[0].tolist(), [0.0, *batch.weights[0].tolist()]
        starts = [i for i, token in enumerate(tokens) if token == tokenizer.begin]
        found += [(tokens[a:b], weights[a:b]) for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]
    return found


def without_padding(ids: list[int]) -> list[int]:
    while ids and ids[-1] == 0:
        ids = ids[:-1]
    return ids


def test_a_rearranged_sample_is_a_prompt_and_its_answer_and_the_parts_make_up_the_text() -> None:
    tokenizer = byte_tokenizer()
    orders = {"spm": 0, "psm": 0}
    for tokens, weights in samples(Mixture(fim_share=1.0)):
        ids = without_padding(tokens)
        if tokenizer.fim_begin not in ids:
            continue  # too little room was left
        begin, hole, end = (ids.index(t) for t in (tokenizer.fim_begin, tokenizer.fim_hole, tokenizer.fim_end))
        header = ids[1:begin]
        order: fim.Order = "spm" if hole == begin + 1 else "psm"
        orders[order] += 1
        assert ids[-1] == tokenizer.end
        suffix, rest = ids[hole + 1 : end], ids[end + 1 : -1]
        prefix = ids[begin + 1 : hole]
        # Whatever the order, prefix, middle and suffix lie next to each other in one of the documents.
        text = tokenizer.decode([*prefix, *rest, *suffix])
        assert any(text in document.text for document in TEXTS)
        assert not header or tokenizer.decode(header) in {fim.path_header(document.path) for document in TEXTS}
        prompt = fim.prompt(tokenizer, prefix or rest, suffix, header, order)
        assert ids[: len(prompt)] == prompt if order == "spm" else ids[: end + 1] == prompt
        # Counted: text and the end. Not counted: header and markers.
        uncounted = [i for i, weight in enumerate(weights[: len(ids)]) if weight == 0]
        assert uncounted == sorted({*range(begin + 1), hole, end})
    assert min(orders.values()) > 0.3 * sum(orders.values())


def test_a_plain_sample_is_a_piece_of_a_document_from_the_start_of_a_line() -> None:
    tokenizer = byte_tokenizer()
    for tokens, weights in samples(Mixture(fim_share=0.0)):
        ids = without_padding(tokens)
        counted = [token for token, weight in zip(ids, weights, strict=False) if weight]
        text = tokenizer.decode(counted)
        assert any(("\n" + document.text).find("\n" + text) >= 0 for document in TEXTS)
        assert weights[0] == 0 and all(weight == 0 for weight in weights[len(ids) :])


def test_rows_begin_with_padding_of_every_length() -> None:
    rows = np.concatenate([batches().batch(number).tokens for number in range(20)])
    first = (rows != 0).argmax(axis=1)
    assert set(first.tolist()) == {0, 1, 2, 3}
    assert (rows[np.arange(len(rows)), first] == byte_tokenizer().begin).all()


LINED = [
    Document(package, f"{package}/part{part}.py", "".join(f"{package}_{part}_{line} = {line}\n" for line in range(60)))
    for package in ("alpha", "beta")
    for part in range(3)
]
"""No line occurs twice."""


@pytest.mark.parametrize("fim_share", [0.0, 1.0])
def test_a_row_begins_with_other_pieces_of_the_sample_s_package_and_then_the_sample(fim_share: float) -> None:
    tokenizer = byte_tokenizer()
    mixture = Mixture(fim_share=fim_share, excerpt_share=1.0, header_share=1.0)
    with_excerpts, of_its_own_document = 0, 0
    for number in range(80):
        tokens = Batches(LINED, tokenizer, 1, 700, 5, mixture).batch(number).tokens[0].tolist()
        ids = without_padding(tokens)
        starts = [i for i, token in enumerate(ids) if token == tokenizer.begin]
        segments = [ids[a:b] for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
        # The sample ends at the end of its document, or fills the row.
        last = next((i for i, segment in enumerate(segments) if tokenizer.end in segment), len(segments) - 1)
        texts = [tokenizer.decode(segment) for segment in segments[: last + 1]]
        paths = [text.split("\n")[0].removeprefix("# ") for text in texts]
        assert len({path.split("/")[0] for path in paths}) == 1
        whole = [line for text in texts for line in text.split("\n")[1:-1] if line]
        assert len(set(whole)) == len(whole)
        with_excerpts += last > 0
        of_its_own_document += paths[-1] in paths[:-1]
    assert with_excerpts > 70 and of_its_own_document > 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet="ab =#\"'\n", min_size=1, max_size=300), min_size=1, max_size=5),
    st.integers(32, 300),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_every_row_has_its_length_whatever_the_documents_and_the_mixture(
    texts: list[str], length: int, shares: tuple[float, ...]
) -> None:
    documents = [Document("package", f"file{i}.py", text) for i, text in enumerate(texts)]
    names = ("fim_share", "spm_share", "header_share", "excerpt_share", "prose_share")
    mixture = Mixture(**dict(zip(names, shares, strict=True)))  # type: ignore[arg-type]
    batch = Batches(documents, byte_tokenizer(), 2, length, 0, mixture).batch(0)
    assert batch.tokens.shape == (2, length + 1) and batch.weights.shape == (2, length)
    assert set(np.unique(batch.weights).tolist()) <= {0.0, 1.0}
    assert not batch.weights[batch.tokens[:, 1:] == 0].any()


def prose_of(text: str) -> list[bool]:
    """For each place whether it lies in prose, by reading the text from its start."""
    found: list[bool] = []
    opened, since = "", 0
    for place in range(len(text)):
        quotes = text[max(place - 3, since) : place]
        if quotes in ('"""', "'''") and opened in ("", quotes):
            opened, since = ("" if opened else quotes), place
        line = text[:place].rpartition("\n")[2] + text[place:].partition("\n")[0]
        found.append(bool(opened) or line.lstrip().startswith("#"))
    return found


@given(
    st.lists(st.sampled_from(['x = "a"\n', "# a b\n", "    # c\n", '    """One.\n\n    Two."""\n', "'''x'''\n", "y\n"]))
)
def test_prose_is_what_reading_from_the_start_says_it_is(pieces: list[str]) -> None:
    text = "".join(pieces)
    places = range(len(text))
    # What a line's indentation belongs to is nobody's business.
    assert [in_prose(text, place) for place in places if not text[place].isspace()] == [
        prose for place, prose in zip(places, prose_of(text), strict=True) if not text[place].isspace()
    ]


def test_prose_of_other_languages_has_their_comments() -> None:
    text = "#include <a>\n// one\nint x; /* two\n three */ int y;\n"
    places = {word: text.index(word) for word in ("#include", "one", "int x", "two", "three", "int y")}
    assert {word for word, place in places.items() if in_prose(text, place, "a.c")} == {"one", "two", "three"}


def test_cursors_are_seldom_in_prose_unless_there_is_nothing_else() -> None:
    text = "".join(f"# {i} is a number\nvalue{i} = {i}\n" for i in range(50))
    document = Document("package", "file.py", text)
    mixture = Mixture(
        fim_share=1.0, excerpt_share=0.0, prose_share=0.0, most_padding=0, header_share=0.0, spm_share=0.0
    )
    tokenizer = byte_tokenizer()
    for number in range(30):
        ids = Batches([document], tokenizer, 1, 200, 0, mixture).batch(number).tokens[0].tolist()
        prefix = tokenizer.decode(ids[2 : ids.index(tokenizer.fim_hole)])
        assert not in_prose(text, text.index(prefix) + len(prefix))
    only = Document("package", "file.py", "# nothing but this\n" * 20)
    assert Batches([only], tokenizer, 1, 200, 0, mixture).batch(0).weights.any()


@given(st.text(alphabet="ab\n", max_size=40), st.integers(0, 10_000), st.data())
def test_a_middle_ends_behind_the_cursor_and_inside_the_text(text: str, seed: int, data: st.DataObject) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    assert cursor <= middle_end(random.Random(seed), text, cursor) <= len(text)


def test_an_empty_corpus_is_an_error() -> None:
    with pytest.raises(ValueError, match="no documents"):
        Batches([], byte_tokenizer(), 1, 8, 0)


# --- optimisers ---


def test_orthogonalising_brings_singular_values_near_one_and_keeps_directions() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 40), (3, 40, 16)):
        matrices = torch.randn(shape)
        values = torch.linalg.svdvals(orthogonalise(matrices))
        assert values.min() > 0.5 and values.max() < 1.4
        U, _, V = torch.linalg.svd(matrices, full_matrices=False)
        agreement = (orthogonalise(matrices) * (U @ V)).sum(dim=(-2, -1)) / 16
        assert agreement.min() > 0.8


def test_muon_steps_a_stack_as_it_steps_its_matrices() -> None:
    torch.manual_seed(0)
    stack = nn.Parameter(torch.randn(3, 8, 12))
    apart = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    together, each = Muon([stack]), Muon(apart)
    for _ in range(3):
        gradient = torch.randn(3, 8, 12)
        stack.grad = gradient
        for parameter, part in zip(apart, gradient, strict=True):
            parameter.grad = part.clone()
        together.step()
        each.step()
    torch.testing.assert_close(stack.detach(), torch.stack([p.detach() for p in apart]), rtol=0, atol=1e-3)


def test_every_parameter_has_one_optimiser() -> None:
    model = loop.DeepseekV4(TINY, [100])
    found = optimizers(model, 1e-3, 1e-2, 1e-2)
    owned = [id(parameter) for optimizer in found for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())
    assert [type(optimizer).__name__ for optimizer in found] == ["AdamW", "Muon", "SparseAdam"]


@settings(max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_learning_rate_falls_to_zero_with_the_budget(a: float, b: float) -> None:
    options = TrainOptions(out=Path())
    low, high = sorted((a, b))
    rates = [loop.learning_rate(options, 1000, spent) for spent in (low, high)]
    assert 0 <= rates[1] <= rates[0] <= 1
    assert loop.learning_rate(options, 1000, 1.0) == 0
    assert loop.learning_rate(options, 0, 0.0) == 1 / options.warmup_steps


# --- runs ---


def test_a_run_learns_and_leaves_a_checkpoint(options: TrainOptions) -> None:
    run = train(options, silent())
    assert run.tokens == options.tokens and run.step == 40
    # 262 equally likely tokens are 8 bits; code of this sort is far less than 4 once its letters are known.
    assert run.curve[-1].validation_bits < 4
    weights = load_file(options.out / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values() if tensor.is_floating_point())
    assert ModelConfig.read(options.out / "config.json") == TINY
    assert Tokenizer.read(options.out / "tokenizer.json").vocab_size == 262
    assert np.load(options.out / "engram_classes.npy").shape == (262,)
    figures = json.loads((options.out / "training.json").read_text(encoding="utf-8"))
    assert figures["tokens"] == options.tokens and figures["curve"][-1]["step"] == 40
    assert not list(options.out.glob("*.part"))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(options, silent())
    stopped = dataclasses.replace(options, out=options.out.with_name("stopped"))
    save, saves = loop.save_checkpoint, 0

    def save_twice(*arguments: object) -> None:
        nonlocal saves
        save(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves == 15:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_twice)
    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(stopped, checkpoint_minutes=0), silent())
    monkeypatch.undo()
    resumed = train(dataclasses.replace(stopped, resume=True), silent())
    assert resumed.step == whole.step
    assert resumed.curve[-1].validation_bits == whole.curve[-1].validation_bits
    expected, got = (load_file(folder / "weights.safetensors") for folder in (options.out, stopped.out))
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name


def test_a_run_goes_on_from_another_s_weights(options: TrainOptions) -> None:
    first = train(options, silent())
    still = {"adam_lr": 1e-30, "muon_lr": 1e-30, "table_lr": 1e-30, "balance_rate": 0.0, "tokens": 4 * 128}
    again = dataclasses.replace(
        options, out=options.out.with_name("again"), start_from=options.out, config=ModelConfig(), **still
    )
    second = train(again, silent())
    assert ModelConfig.read(again.out / "config.json") == TINY
    assert second.curve[-1].validation_bits == pytest.approx(first.curve[-1].validation_bits)


def test_a_checkpoint_that_has_to_travel_is_half_the_size_and_says_nearly_the_same(options: TrainOptions) -> None:
    compact = dataclasses.replace(options, compact=True, out=options.out.with_name("compact"))
    train(options, silent())
    train(compact, silent())
    sizes = [(run.out / "weights.safetensors").stat().st_size for run in (options, compact)]
    assert sizes[1] < 0.6 * sizes[0]
    whole, half = (load_file(run.out / "weights.safetensors") for run in (options, compact))
    for name, tensor in whole.items():
        torch.testing.assert_close(half[name].to(tensor.dtype), tensor, rtol=5e-3, atol=1e-6)
    train(dataclasses.replace(options, out=options.out.with_name("on"), start_from=compact.out), silent())


def test_the_module_trains_from_the_command_line(corpus: Path, tmp_path: Path) -> None:
    TINY.write(tmp_path / "tiny.json")
    out = tmp_path / "run"
    numbers = ["--tokens", "512", "--rows", "2", "--length", "64", "--validation-rows", "2", "--threads", "1"]
    module([str(out), "--corpus", str(corpus), "--config", str(tmp_path / "tiny.json"), *numbers, "--device", "cpu"])
    assert json.loads((out / "training.json").read_text(encoding="utf-8"))["tokens"] == 512
    with pytest.raises(SystemExit, match="2"):
        module([str(tmp_path / "other"), "--corpus", str(tmp_path / "none")])


def test_a_minute_budget_ends_a_run(options: TrainOptions) -> None:
    run = train(dataclasses.replace(options, tokens=None, minutes=0.01), silent())
    assert 0.6 <= run.seconds < 30


def test_bfloat16_learns_too(options: TrainOptions) -> None:
    run = train(dataclasses.replace(options, precision="bf16"), silent())
    assert run.curve[-1].validation_bits < 4


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"tokens": None, "minutes": None}, ValueError, "minutes or tokens"),
        ({"resume": True}, FileNotFoundError, "resume"),
        ({"config": dataclasses.replace(TINY, vocab_size=200)}, ValueError, "vocab_size"),
        ({"start_from": Path("nowhere")}, FileNotFoundError, "nowhere"),
        ({"length": 4}, ValueError, "length"),
    ],
)
def test_options_that_cannot_work_say_why(
    options: TrainOptions, change: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        train(dataclasses.replace(options, **change), silent())  # type: ignore[arg-type]


def test_a_step_that_is_not_finite_is_left_out(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = nn.utils.clip_grad_norm_
    calls = 0

    def clip_once_not(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return torch.tensor(math.nan) if calls == 3 else clip(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clip_once_not)
    run: Run = train(dataclasses.replace(options, tokens=4 * 128 * 10), silent())
    assert run.step == 10
    assert math.isfinite(run.curve[-1].validation_bits)
