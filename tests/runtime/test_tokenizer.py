import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers as library
from engram_runtime import models
from engram_runtime.tokenizer import SPECIALS, Tokenizer, engram_classes
from engram_runtime.train.vocabulary import learn_tokenizer
from hypothesis import given
from hypothesis import strategies as st

SHIPPED = Tokenizer.read(Path(models.__file__).parent / "default" / "tokenizer.json")
SOURCE = "def area(self, width):\n    if width > 12345:\n        return self.Width * width\n\n\nclass Area:\n    pass\n"
SMALL = learn_tokenizer([SOURCE] * 3, size=400)

tokenizers = pytest.mark.parametrize("tokenizer", [SHIPPED, SMALL], ids=["shipped", "small"])
# Letters that meet at pre-token borders, and everything else UTF-8 can write.
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(" \t\n\rab_1.('\"é́😀\x00<｜▁>")
words = st.text("ab_1.('\"é<", min_size=1)
indents = st.from_regex(r"\n[\n ]{0,3}\t{0,2} {0,9}", fullmatch=True)


@tokenizers
@given(text=texts)
def test_any_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@tokenizers
@given(text=texts, special=st.sampled_from(SPECIALS))
def test_the_text_of_a_special_token_is_ordinary_text(tokenizer: Tokenizer, text: str, special: str) -> None:
    ids = tokenizer.encode(text + special + text)
    assert min(ids) >= len(SPECIALS)
    assert tokenizer.decode(ids) == text + special + text


@given(batch=st.lists(texts, max_size=4))
def test_a_batch_is_encoded_like_its_texts(batch: list[str]) -> None:
    assert SHIPPED.encode_batch(batch) == [SHIPPED.encode(text) for text in batch]


@tokenizers
@given(above=words, indent=indents, below=words)
def test_lines_are_encoded_independently_of_each_other(
    tokenizer: Tokenizer, above: str, indent: str, below: str
) -> None:
    apart = [*tokenizer.encode(above), *tokenizer.encode(indent), *tokenizer.encode(below)]
    assert tokenizer.encode(above + indent + below) == apart


def test_a_newline_and_its_indentation_are_one_token() -> None:
    pieces = [
        SHIPPED.token_bytes(token) for token in SHIPPED.encode("    return self.value\n        return 1\n\n    def")
    ]
    assert b"\n        " in pieces
    assert b"\n\n    " in pieces
    assert b" self" in pieces


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert SHIPPED.decode(SHIPPED.encode("a\ud800b é")) == "a\ufffdb é"
    assert SHIPPED.encode_batch(["\ud800"]) == [SHIPPED.encode("\ud800")]


def test_specials_have_deepseeks_names_and_the_first_ids_and_no_bytes() -> None:
    ids = [SHIPPED.pad, SHIPPED.begin, SHIPPED.end, SHIPPED.fim_begin, SHIPPED.fim_hole, SHIPPED.fim_end]
    assert ids == list(range(6))
    assert [SHIPPED.token_bytes(special) for special in ids] == [b""] * 6
    added = {token["id"]: token["content"] for token in json.loads(SHIPPED.to_json())["added_tokens"]}
    assert added[0] == "<｜▁pad▁｜>"
    assert added[4] == "<｜fim▁hole｜>"


def test_the_shipped_vocabulary_fits_the_default_model() -> None:
    assert SHIPPED.vocab_size == 8192
    assert len({SHIPPED.token_bytes(token) for token in range(6, 8192)}) == 8192 - 6


def test_a_tokenizer_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(SMALL.to_json(), encoding="utf-8")
    again = Tokenizer.read(tmp_path / "tokenizer.json")
    assert again.encode(SOURCE) == SMALL.encode(SOURCE)
    assert again.vocab_size == SMALL.vocab_size


def test_a_file_that_is_no_tokenizer_of_ours_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        Tokenizer.read(path)
    path.write_text(SMALL.to_json().replace("fim▁hole", "fim▁hale"), encoding="utf-8")
    with pytest.raises(ValueError, match="fim▁hole"):
        Tokenizer.read(path)


def released_tokenizer() -> library.Tokenizer:
    """One of the released kind: specials at both ends of the vocabulary, among them some that are text."""
    begin, end, pad = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
    letters = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([begin, end, pad, *letters, "ab"])}
    model = library.Tokenizer(library.models.BPE(vocabulary, [("a", "b")]))
    model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = library.decoders.ByteLevel()
    model.add_special_tokens([begin, end, pad, "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>"])
    model.add_tokens(["<think>"])
    return model


@given(text=texts)
def test_a_released_tokenizer_has_its_specials_where_it_has_them(text: str) -> None:
    tokenizer = Tokenizer.parse(released_tokenizer().to_str())
    assert (tokenizer.begin, tokenizer.end, tokenizer.pad) == (0, 1, 2)
    assert (tokenizer.fim_hole, tokenizer.fim_begin, tokenizer.fim_end) == (260, 261, 262)
    assert tokenizer.specials == {0, 1, 2, 260, 261, 262, 263}
    assert tokenizer.encode("ab<think>") == [259, 264]
    assert tokenizer.token_bytes(264) == b"<think>"
    # A model's vocabulary is rounded up: such ids stand for nothing.
    assert tokenizer.decode([259, 263, 264, 300]) == "ab<think>"
    text += "<｜fim▁hole｜>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert not tokenizer.specials & set(tokenizer.encode(text))


def test_a_tokenizer_that_is_not_of_bytes_is_refused() -> None:
    model = released_tokenizer()
    content = json.loads(model.to_str())
    content["model"]["vocab"]["漢字"] = 259
    with pytest.raises(ValueError, match=r"tokenizer\.json: '漢字' is no token of bytes"):
        Tokenizer.parse(json.dumps(content))


@tokenizers
def test_engram_classes_are_dense_and_start_with_the_padding(tokenizer: Tokenizer) -> None:
    classes = engram_classes(tokenizer)
    assert classes.shape == (tokenizer.vocab_size,)
    assert classes.dtype == np.int32
    assert classes[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert set(classes.tolist()) == set(range(int(classes.max()) + 1))
    assert not set(classes[:6].tolist()) & set(classes[6:].tolist())


def test_engram_classes_fold_case_and_white_space() -> None:
    classes = engram_classes(SHIPPED)

    def class_of(text: str) -> int:
        (token,) = SHIPPED.encode(text)
        return int(classes[token])

    assert class_of(" Path") == class_of("path")
    assert class_of("\n    ") == class_of("\n")
    assert class_of("path") != class_of("paths")
    assert class_of("\n") != class_of(" ")
