"""What is asked of a repository, what is known meanwhile, and what counts as a good answer."""

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from engram_lsp.coding import coding_of
from engram_lsp.evaluation import infill, lines, names, phases, tokens, typing
from engram_lsp.evaluation.ground import Ground, Guess, arms, memory_of, read, shifted
from engram_lsp.evaluation.questions import Hole, Kind, Questions, names_of
from engram_lsp.evaluation.repositories import Repository, RepositoryError, name_of, of_corpus, opened, repository
from engram_lsp.evaluation.run import Options, evaluate
from engram_runtime.engine import OnnxEngine, Request
from engram_runtime.models import default_model
from engram_runtime.tokenizer import Tokenizer
from engram_runtime.train.corpus import Document

TOKENIZER = Tokenizer.read(default_model() / "tokenizer.json")
CODING = coding_of(default_model() / "tokenizer.json")

SHOP = '''"""A shop sells things to people, and this docstring is never asked about."""

import os


class Basket:
    """What somebody wants to buy."""

    def __init__(self, owner, currency):
        self.owner = owner
        self.currency = currency
        self.articles = []  # in the order of choice

    def add_article(self, article, amount=1):
        """Puts an article in, several times if wanted."""
        for _ in range(amount):
            self.articles.append(article)
        return len(self.articles)

    def total(self, prices):
        return sum(prices[article] for article in self.articles)


def open_basket(owner):
    return Basket(owner, os.environ.get("CURRENCY", "EUR"))
'''
TILL = '''"""Where the articles of a basket are paid for: a till knows what each of them costs."""

from shop.basket import open_basket


def checkout(owner, articles, prices):
    basket = open_basket(owner)
    for article in articles:
        basket.add_article(article)
    return basket.total(prices)


def refund(basket, article):
    basket.articles.remove(article)
    return basket.total({article: 0})
'''
FILES = {"shop/__init__.py": "", "shop/basket.py": SHOP, "shop/till.py": TILL}


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def shop(tmp_path: Path) -> Repository:
    return repository(written(tmp_path / "shop-project", FILES))


@pytest.fixture
def ground(shop: Repository) -> Iterator[Ground]:
    with read(shop, CODING, None) as found:
        yield found


def hole_at(path: str, mark: str, hidden: str, kind: Kind = "middle") -> Hole:
    """What follows the text `mark` in a file of the shop, less `hidden`."""
    text = FILES[path]
    start = text.index(mark) + len(mark)
    assert text[start:].startswith(hidden)
    return Hole(path, text[:start], hidden, text[start + len(hidden) :], kind)


# Questions


@pytest.mark.parametrize("kind", ["start", "middle", "word", "inside"])
def test_a_hole_is_a_file_with_something_of_a_code_line_taken_out(shop: Repository, kind: Kind) -> None:
    files = dict(shop.files)
    found = Questions(shop).lines(12, kind)
    assert len(found) > 5
    for hole in found:
        assert hole.before + hole.hidden == files[hole.path][: len(hole.before + hole.hidden)]
        assert files[hole.path].endswith(hole.after)
        assert hole.hidden and "\n" not in hole.hidden
        assert "docstring" not in hole.hidden and "Puts an article" not in hole.hidden


def test_the_cursor_stands_where_the_kind_of_a_hole_says(shop: Repository) -> None:
    questions = Questions(shop)
    assert not any(hole.line_before.strip() for hole in questions.lines(9, "start"))
    assert all(hole.line_before.strip() and not hole.line_after for hole in questions.lines(9, "middle"))
    for hole in questions.lines(9, "word"):
        assert (hole.before[-1] + hole.hidden[0]).isidentifier()
    assert {hole.line_after[0] for hole in questions.lines(9, "inside")} <= set(")]}")


def test_names_are_asked_without_the_rest_of_their_line(shop: Repository) -> None:
    found = Questions(shop).names(20)
    assert {"article", "Basket"} & {hole.hidden for hole in found}
    assert all(hole.hidden.isidentifier() and not hole.line_after for hole in found)
    assert not {"self.owner", "for", "return", "import"} & {hole.hidden for hole in found}


def test_a_stretch_is_several_whole_lines(shop: Repository) -> None:
    files = dict(shop.files)
    for hole in Questions(shop).stretches(6, 3):
        assert hole.hidden.count("\n") <= 2
        assert not hole.line_before.strip()
        assert not hole.line_after
        assert files[hole.path].startswith(hole.before + hole.hidden)


def test_equal_seeds_ask_the_same_and_others_something_else(shop: Repository) -> None:
    assert Questions(shop, 3).lines(8, "middle") == Questions(shop, 3).lines(8, "middle")
    assert Questions(shop, 3).lines(8, "middle") != Questions(shop, 4).lines(8, "middle")


def test_only_the_lines_that_a_repository_names_are_asked_about(shop: Repository) -> None:
    where = FILES["shop/till.py"].split("\n").index("    basket = open_basket(owner)")
    restricted = Repository(shop.name, shop.root, shop.files, {"shop/till.py": frozenset({where})})
    found = Questions(restricted).lines(5, "start")
    assert {(hole.path, hole.hidden) for hole in found} == {("shop/till.py", "basket = open_basket(owner)")}


# What is known meanwhile


def test_what_is_hidden_cannot_be_looked_up(tmp_path: Path) -> None:
    secret = "def unheard_of_name():\n    return unrepeatable_value + 1\n"
    root = written(tmp_path / "p", {"a.py": SHOP + secret, "b.py": TILL})
    before, hidden = SHOP + "def unheard_of_name():\n    return ", "unrepeatable_value + 1"
    hole = Hole("a.py", before, hidden, "\n")
    with read(Repository("p", root, (("a.py", SHOP + secret),)), CODING, None) as ground:
        assert ground.project.snapshot.files_naming("unrepeatable_value") == ("a.py",)
        with ground.opened(hole) as project:
            assert not project("").files_naming("unrepeatable_value")
        assert ground.project.snapshot.files_naming("unrepeatable_value") == ("a.py",)
        memory = ground.query(hole, "own").memory
        assert memory is not None
        opinion = memory.next(TOKENIZER.encode(before)[-3:])
        first = TOKENIZER.encode(" unrepeatable_value")[0]
        assert opinion is None or first not in opinion.ids.tolist()


def test_a_memory_of_another_repository_knows_the_open_document_and_nothing_else_of_this_one(tmp_path: Path) -> None:
    here = repository(written(tmp_path / "here", {"a.py": SHOP, "b.py": TILL}))
    there = repository(written(tmp_path / "there", {"z.py": "def zebra(stripes):\n    return stripes * 2\n" * 9}))
    hole = Hole("b.py", TILL + "basket.", "add_article", "\n")
    with read(here, CODING, memory_of(there, TOKENIZER)) as ground:
        views = {known: ground.query(hole, known).memory for known in ("own", "other", "nothing")}
        assert views["nothing"] is None
        assert views["own"] is not None and views["other"] is not None
        context = TOKENIZER.encode("self.")
        own, other = views["own"].next(context), views["other"].next(context)
        assert own is not None and TOKENIZER.encode("articles")[0] in own.ids.tolist()
        assert other is None or not set(own.ids.tolist()) <= set(other.ids.tolist())
        stripes = views["other"].next(TOKENIZER.encode("def zebra("))
        assert stripes is not None and TOKENIZER.encode("stripes")[0] in stripes.ids.tolist()
        basket = views["other"].next(TOKENIZER.encode("    basket."))
        assert basket is not None and "append" not in TOKENIZER.decode(basket.ids.tolist())
        assert any("add" in TOKENIZER.decode([token]) for token in basket.ids.tolist())


# Answers


def test_a_line_is_right_when_it_comes_out_as_it_was(ground: Ground) -> None:
    (memory,) = arms(TOKENIZER, None)
    hole = hole_at("shop/till.py", "        basket.", "add_article(article)")
    guess = ground.guess(memory.usual, ground.query(hole, "own"))
    assert guess is not None and guess.text == hole.before + guess.added + hole.after
    right = Hole(hole.path, hole.before, guess.added, hole.after)
    assert lines.is_exact(guess, right)
    assert not lines.is_exact(guess, Hole(hole.path, hole.before, guess.added + "x", hole.after))
    assert not lines.is_exact(None, right)


@pytest.mark.parametrize(
    ("added", "mark", "hidden", "says_twice"),
    [
        ("article)", "basket.add_article(", "article", True),
        ("article", "basket.add_article(", "article", False),
        ("len(article)", "basket.add_article(", "article", False),
        ("article: 0})", "basket.total({", "article: 0", True),
        ("return basket.total(prices)", "for article in articles:\n        ", "basket.add_article(article)", True),
        (
            "pass\nreturn basket.total(prices)\nx",
            "for article in articles:\n        ",
            "basket.add_article(article)",
            True,
        ),
        ("basket.add_article(articles)", "for article in articles:\n        ", "basket.add_article(article)", False),
    ],
)
def test_saying_what_follows_is_told_from_closing_what_was_opened(
    added: str, mark: str, hidden: str, says_twice: bool
) -> None:
    assert lines.repeats(added, hole_at("shop/till.py", mark, hidden)) is says_twice


def test_similarity_is_one_for_the_same_and_none_for_nothing() -> None:
    assert lines.similarity("return x", "return x") == 1
    assert lines.similarity("", "return x") == 0
    assert lines.similarity("return y", "return x") == pytest.approx(7 / 8)


def test_equal_chances_do_not_count_as_right() -> None:
    flat = np.full(16, -math.log(16))
    assert tokens.judged(flat, 3, 16) == {"top1": 0.0, "top5": 0.0, "bits": pytest.approx(4)}
    assert tokens.judged(None, 3, 16) == {"top1": 0.0, "top5": 0.0, "bits": 4}
    assert tokens.judged(np.log([0.5, 0.25, 0.25]), 0, 3) == {"top1": 1.0, "top5": 1.0, "bits": pytest.approx(1)}


def test_every_hidden_token_is_asked_for_and_no_typed_one(ground: Ground) -> None:
    (memory,) = arms(TOKENIZER, None)
    hole = hole_at("shop/basket.py", "self.articles = []  # in", " the order of choice")
    asked = [token for token, _ in ground.next_tokens(memory, hole)]
    assert TOKENIZER.decode(asked) == hole.hidden
    behind_a_blank = hole_at("shop/till.py", "    basket = ", "open_basket(owner)")
    asked = [token for token, _ in ground.next_tokens(memory, behind_a_blank)]
    assert TOKENIZER.decode(asked) == " open_basket(owner)"


def test_the_list_is_the_servers_own(ground: Ground) -> None:
    (memory,) = arms(TOKENIZER, None)
    hole = hole_at("shop/till.py", "    return ", "basket.total(prices)")
    with ground.opened(hole) as project:
        snapshot = project("ba")
        found = ground.candidates(hole, "ba", snapshot)
        assert ground.listed(memory, hole, "ba", snapshot, found)[0] == "basket"
    rows = names.measure(ground, [Hole(hole.path, hole.before, "basket", hole.after)], [memory], lambda: None)
    assert [row["listed"] for row in rows["memory"]] == [1.0, 1.0, 1.0]
    assert rows["memory"][2]["typed2"] == 1.0


def test_a_rank_counts_from_one_and_what_is_not_listed_has_none() -> None:
    assert names.ranked(["a", "b"], "b") == {"top1": 0.0, "top5": 1.0, "mrr": 0.5, "listed": 1.0}
    assert names.ranked(["a", "b"], "c") == {"top1": 0.0, "top5": 0.0, "mrr": 0.0, "listed": 0.0}


@pytest.mark.parametrize(
    ("added", "rest", "right"),
    [
        ("foo(", "foo(bar)", True),
        ("foo", "foo(bar)", True),
        ("fo", "foo(bar)", False),
        ("", "x", False),
        ("x", "y", False),
        ("x\ny", "x\ny\nz", True),
        ("x\nz", "x\ny", False),
    ],
)
def test_a_reader_accepts_what_is_right_to_its_end(added: str, rest: str, right: bool) -> None:
    assert lines.is_right(added, rest) is right


def test_indentation_costs_no_keys() -> None:
    assert typing.characters("if x:\n        return y") == len("if x:") + 1 + len("return y")


def test_a_reader_of_a_copy_accepts_most_and_every_character_is_accounted_for(tmp_path: Path) -> None:
    root = written(tmp_path / "p", {f"copy{i}/basket.py": SHOP for i in range(4)})
    (memory,) = arms(TOKENIZER, None)
    with read(repository(root), CODING, None) as ground:
        stretch = Hole("copy0/basket.py", SHOP[: SHOP.index("def open_basket")], "", "")
        rest = SHOP.removeprefix(stretch.before).rstrip()
        stretch = Hole(stretch.path, stretch.before, rest, "\n", "start")
        (row,) = typing.measure(ground, [stretch], [memory], lambda: None)["memory"]
    assert row["characters"] == typing.characters(rest)
    assert row["keystrokes"] == row["characters"] - row["accepted"] + row["taken"]
    assert row["accepted"] > 0.5 * row["characters"]


def test_accepting_what_is_no_python_is_told() -> None:
    hole = hole_at("shop/till.py", "return ", "basket.total(prices)")
    broken, whole = (Guess(added, hole.before + added + hole.after, 1.0) for added in ("basket.(", "basket"))
    assert lines.harm(broken, hole, "") == {"repeats": 0.0, "syntax_kept": 0.0}
    assert lines.harm(whole, hole, "shown_") == {"shown_repeats": 0.0, "shown_syntax_kept": 1.0}
    assert lines.harm(None, hole, "") == {}


def test_names_that_only_other_files_could_tell_are_counted(ground: Ground) -> None:
    assert names_of("for article in basket.articles: # if") == ["article", "basket", "articles"]
    assert ground.knows_elsewhere("add_article", "shop/till.py")
    assert not ground.knows_elsewhere("refund", "shop/till.py")


def test_padding_moves_what_the_model_sees_and_says_the_same_with_none() -> None:
    engine = OnnxEngine.open(default_model())
    prompt = TOKENIZER.encode(SHOP[:300])
    plain, same, moved = (shifted(engine, by, TOKENIZER.pad) for by in (0, 0, 3))
    assert np.array_equal(plain.next_log_probs(prompt), same.next_log_probs(prompt))  # type: ignore[arg-type]
    assert moved.next_log_probs(prompt) is not None
    assert moved.predict(Request(prompt, 2)).prefilled + moved.predict(Request(prompt, 2)).reused == len(prompt) + 3


def test_with_a_model_all_ways_to_answer_are_asked(tmp_path: Path) -> None:
    engine = OnnxEngine.open(default_model())
    roots = [written(tmp_path / name, FILES) for name in ("one", "two")]
    openings = [(root.name, lambda root=root: opened(root)) for root in roots]
    told: list[str] = []
    options = Options(cursors=2, groups=("tokens",))
    done = evaluate(openings, CODING, TOKENIZER, engine, options, lambda _d, _t, what: told.append(what))
    assert set(done.records["tokens"]) == {"fused", "memory", "model", "random"}
    figures = {(one.arm, one.figure.key): one for one in done.figures("tokens")}
    assert len({figures[arm, "bits"].value for arm in ("fused", "memory", "model")}) == 3
    assert set(figures["fused", "bits"].by_repository) == {"one", "two"}
    assert "two: the next token" in told


def test_a_line_and_its_phases_are_asked_of_the_model(ground: Ground) -> None:
    engine = OnnxEngine.open(default_model())
    hole = hole_at("shop/till.py", "    basket.", "add_article(article)")
    fused = arms(TOKENIZER, engine, ("fused",))
    (row,) = lines.measure(ground, [hole], fused, lambda: None)["fused"]
    assert {"exact", "similarity", "sureness", "shown", "any", "cpu_ms", "names_f1"} <= row.keys()
    assert 0 <= row["sureness"] <= 1 and row["any"] >= row["exact"]
    found = phases.measure(ground, [hole], phases.shifted_arms(TOKENIZER, engine), lambda: None)
    assert len({found["model"][0][f"bits{phase}"] for phase in (0, 1, 2, 3)}) > 1


# Where repositories come from


def keep(file: Path, *documents: Document) -> None:
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(document)) + "\n" for document in documents)


def test_a_corpus_gives_its_held_out_repositories_and_its_validation_files(tmp_path: Path) -> None:
    script = Document("script", "script/a.js", "let x = 1\n" * 99)
    keep(tmp_path / "heldout.jsonl.gz", Document("held", "held/a.py", SHOP), script)
    standard = Document("python", "x.py", TILL)
    keep(tmp_path / "validation.jsonl.gz", script, Document("shop", "shop/basket.py", SHOP), standard)
    keep(tmp_path / "train.jsonl.gz", Document("shop", "shop/till.py", TILL), Document("other", "o.py", TILL))
    ((name, opening),) = of_corpus(tmp_path, "heldout")
    with opening() as found:
        assert (name, found.files) == ("held", (("held/a.py", SHOP),))
    ((name, opening),) = of_corpus(tmp_path, "validation")
    with opening() as found:
        assert (name, [path for path, _ in found.files]) == ("shop", ["shop/basket.py"])
        assert (found.root / "shop/till.py").read_text(encoding="utf-8") == TILL
    with pytest.raises(RepositoryError, match="is no corpus"):
        of_corpus(tmp_path / "nothing", "heldout")


def test_the_name_of_an_archive_is_what_stands_before_its_version() -> None:
    assert name_of(Path("more_itertools-11.2.1-py3-none-any.whl")) == "more_itertools"
    assert name_of(Path("shop-1.0.tar.gz")) == "shop"
    assert name_of(Path("my-project")) == "my-project"


# Doctests

SUMS = '''"""Sums of numbers, with examples in every docstring so that each can be tried."""


def total(numbers):
    """The sum of `numbers`.

    >>> total([1, 2, 3])
    6
    """
    unused = 0
    result = sum(numbers)
    return result


def broken(numbers):
    """Its example is wrong as it is.

    >>> broken([1])
    7
    """
    return sum(numbers)
'''


def test_a_line_is_hidden_where_the_functions_doctests_need_it(tmp_path: Path) -> None:
    root = written(tmp_path / "p", {"sums/__init__.py": "", "sums/core.py": SUMS})
    with infill.workshop(repository(root)) as shop:
        found = infill.questions(repository(root), shop, 9, 0)
        # Lines that nothing depends on are not asked about, nor functions whose examples fail anyway.
        assert {one.tested.name for one in found} == {"total"}
        assert {one.hole.hidden for one in found} <= {"result = sum(numbers)", "return result"}
        assert found
        question = found[0]
        assert question.hole.before + question.hole.hidden + question.hole.after == SUMS
        assert shop.passes(question.tested, SUMS.replace("sum(numbers)", "sum(list(numbers))", 1))
        assert not shop.passes(question.tested, SUMS.replace("sum(numbers)", "max(numbers)", 1))
        assert (shop.root / "sums/core.py").read_text(encoding="utf-8") == SUMS
    assert (root / "sums/core.py").read_text(encoding="utf-8") == SUMS


def test_what_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infill, "_SECONDS", 1.0)
    root = written(tmp_path / "p", {"sums.py": SUMS})
    (tested, _) = infill.tested_functions("sums.py", SUMS)
    with infill.workshop(repository(root)) as shop:
        assert not shop.passes(tested, SUMS.replace("result = sum(numbers)", "while True: pass", 1))
