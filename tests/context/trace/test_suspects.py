"""Who is suspected, and why: the programs run, fail, and are asked about by what they printed."""

from dataclasses import replace

import pytest
from engram_context.text import Text
from engram_context.trace.parsing import parse
from engram_context.trace.suspects import suspects
from engram_context.trace.values import Trace
from failing import Failing, names, reasons
from fixture import parse_fixture, snapshot_of

SHOP = """
    -- shop/__init__.py --
    -- shop/prices.py --
    PRICES = {"tea": 3, "cup": 7}

    def price(name):
        if name in PRICES:
            return PRICES[name]

    def discount(price, percent):
        return price * (100 - percent) // 100
    -- shop/basket.py --
    from shop.prices import discount, price

    class Line:
        def __init__(self, name, count):
            self.name = name
            self.count = count

        def total(self):
            return price(self.name) * self.count

    class Basket:
        def __init__(self, owner=None):
            self.owner = owner
            self.lines = []

        def add(self, name, count):
            self.lines.append(Line(name, count))

        def total(self):
            return sum(line.total() for line in self.lines)

        def greeting(self):
            return "Dear " + self.owner.title()

    def cheaper(basket, percent):
        return discount(percent, basket.total())
    -- shop/report.py --
    def header(basket):
        f"basket of {basket.owner}"

    def lines(basket):
        return [header(basket).upper(), *(line.name for line in basket.lines)]

    def count(basket):
        last = basket.lines[len(basket.lines)]
        return last.count
    -- test_shop.py --
    from shop import report
    from shop.basket import Basket, cheaper

    def filled(*names):
        basket = Basket()
        for name in names:
            basket.add(name, 2)
        return basket

    def test_unknown():
        assert filled("milk").total() == 0

    def test_greeting():
        assert Basket().greeting() == "Dear you"

    def test_cheaper():
        assert cheaper(filled("tea", "cup"), 50) == 10

    def test_report():
        assert report.lines(filled("tea")) == ["BASKET OF NONE", "tea"]

    def test_count():
        assert report.count(filled("tea")) == 2
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Failing:
    return Failing(tmp_path_factory.mktemp("shop"), SHOP)


def test_where_an_error_was_raised_is_suspected_first(shop: Failing) -> None:
    first = shop.suspects("test_count")[0]
    assert (first.path, first.function) == ("shop/report.py", "count")
    assert "innermost" in reasons(first) and first.frame >= 0
    assert Text.of(shop.output) and first.lines[0] == 8


def test_the_function_that_returned_none_is_suspected_although_it_is_not_in_the_trace(shop: Failing) -> None:
    found = shop.suspects("test_report")
    header = next(one for one in found[:2] if one.function == "header")
    assert {"returns-none", "idle"} <= reasons(header) and header.frame == -1


def test_what_can_end_without_a_value_is_suspected_of_a_none(shop: Failing) -> None:
    found = shop.suspects("test_unknown")
    assert "price" in names(found)[:3]
    price = next(one for one in found if one.function == "price")
    assert "returns-none" in reasons(price)


def test_who_assigned_the_attribute_that_was_none_is_suspected(shop: Failing) -> None:
    assert "Basket.__init__" in names(shop.suspects("test_greeting"))[:3]


def test_of_a_claim_the_functions_that_it_runs_are_suspected(shop: Failing) -> None:
    found = shop.suspects("test_cheaper")
    assert found[0].function == "cheaper" and "swapped" in reasons(found[0])
    assert {"discount", "Basket.total"} <= set(names(found))


def test_tests_are_suspected_only_where_nothing_else_is_left(shop: Failing) -> None:
    assert all(one.path.startswith("shop/") for trace in shop.traces for one in suspects(shop.snapshot, trace))
    trace = Trace("python", "RuntimeError", "no", shop.trace("test_unknown").frames[:1])
    alone = shop.snapshot.after({path: None for path in shop.snapshot.paths if path.startswith("shop/")})
    assert names(suspects(alone, trace)) == ["test_unknown"]


def test_every_suspect_has_reasons_in_words_that_make_its_score(shop: Failing) -> None:
    for trace in shop.traces:
        for one in suspects(shop.snapshot, trace):
            assert one.reasons and all(reason.words for reason in one.reasons)
            assert one.score == pytest.approx(sum(reason.weight for reason in one.reasons), abs=0.01)


def test_a_trace_of_another_program_suspects_nobody(shop: Failing) -> None:
    frames = tuple(
        replace(frame, file=f"/srv/bank/ledger{at}.py") for at, frame in enumerate(shop.trace("test_count").frames)
    )
    assert suspects(shop.snapshot, Trace("python", "IndexError", "", frames)) == ()


def test_what_has_changed_since_the_last_commit_is_suspected_the_more(shop: Failing) -> None:
    class Changed:
        def changed_lines(self, path: str, text: Text) -> tuple[range, ...]:
            at = text.data.find(b"return price * (100")
            return () if at < 0 else (range(text.line_of(at), text.line_of(at) + 1),)

    plain, changed = (suspects(shop.snapshot, shop.trace("test_cheaper"), history) for history in (None, Changed()))
    assert names(plain).index("discount") > names(changed).index("discount")
    assert "changed" in reasons(next(one for one in changed if one.function == "discount"))


def test_the_members_of_a_group_are_suspected_like_errors_of_their_own(shop: Failing) -> None:
    one, other = shop.trace("test_count"), shop.trace("test_report")
    group = Trace("python", "ExceptionGroup", "two", one.frames[:1], (("member", one), ("member", other)))
    assert {"count", "header"} <= set(names(suspects(shop.snapshot, group))[:3])


def test_the_same_question_has_the_same_answer(shop: Failing) -> None:
    for trace in shop.traces:
        first = suspects(shop.snapshot, trace)
        again = parse_fixture(SHOP).snapshot()
        assert suspects(again, trace) == first


@pytest.mark.parametrize("cut", range(0, 900, 45))
def test_half_written_code_and_half_a_trace_make_nothing_fail(shop: Failing, cut: int) -> None:
    fixture = parse_fixture(SHOP)
    files = {path: text[: max(len(text) - cut, 0)] for path, text in fixture.files.items()}
    for trace in parse(shop.output[cut * 3 :]):
        suspects(snapshot_of(files), trace)


GO = """\
panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.last(...)
\t/home/ci/app/store/store.go:4
main.main()
\t/home/ci/app/main.go:6 +0x1d
"""


STORE = "package main\n\nfunc last(items []int) int {\n\treturn items[len(items)]\n}\n"
MAIN = 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println(last([]int{1, 2, 3}))\n}\n'


def test_frames_of_other_languages_are_suspected_by_where_they_stand() -> None:
    (trace,) = parse(GO)
    found = suspects(snapshot_of({"store/store.go": STORE, "main.go": MAIN}), trace)
    assert names(found) == ["last", "main"] and found[0].lines == (4,)
