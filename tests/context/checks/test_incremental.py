"""That what `affected` leaves out has the findings it had: compared with checks from scratch after random edits."""

import pytest
from edited import Edited
from engram_context.checks.catalogue import findings
from engram_context.checks.checked import Checked
from engram_context.checks.definitions import definitions
from engram_context.outside.environment import Environment
from engram_context.reader import read_record
from engram_context.text import Text
from fixture import parse_fixture
from hypothesis import given, settings
from hypothesis import strategies as st

PROJECT = """
    -- shop/__init__.py --
    from .prices import total
    from .store import *
    __all__ = ["total", "Store"]
    -- shop/prices.py --
    import shop.store
    from .taxes import rate, Rates
    from .basket import Basket
    def total(basket: Basket, tax=rate):
        return sum(price for price in basket.prices) * (1 + tax)
    def _unused(value):
        return value
    def cheapest(basket):
        found = basket.first()
        return found.name, Rates().usual
    -- shop/taxes.py --
    rate = 0.2
    class Rates:
        usual = rate
        def of(self, country):
            return self.usual
    -- shop/basket.py --
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        from .store import Item
    class Basket:
        def __init__(self, prices):
            self.prices = prices
            self.items = []
        def first(self) -> "Item":
            return self.items[0]
        def add(self, item, count=1):
            self.items.append((item, count))
    -- shop/store.py --
    from . import basket
    __all__ = ["Store", "Item"]
    class Item:
        name = "x"
    class Store:
        def open(self):
            return basket.Basket([1])
        def sell(self, item: Item, count):
            opened = self.open()
            opened.add(item, count=count)
            return opened
    -- shop/order.py --
    from dataclasses import dataclass
    @dataclass
    class Order:
        number: int
        country: str = "at"
        def __getitem__(self, index):
            return self.number
    -- app.py --
    from shop import Store, total
    import shop.taxes
    from shop.order import Order
    print(Order(1, "de")[0].real, Order(number=2))
    store = Store()
    print(total(store.open()), shop.taxes.rate, store.open().first().name)
    store.sell(None, 1)
    -- tests/test_shop.py --
    from shop.prices import total, cheapest
    from shop.basket import Basket
    def test_total():
        assert total(Basket([1, 2]), 0) == 3
        assert cheapest(Basket([])) is not None
    -- requirements.txt --
    requests
"""
# What is written in place of what: names that mean something else, other signatures, other results, other imports.
CHANGES = (
    ("rate", "ratio"), ("total", "amount"), ("def total(basket: Basket, tax=rate)", "def total(basket)"),
    ("return sum", "sum"), ("Basket", "Bag"), ("first", "last"), ("-> \"Item\"", ""), ("Item", "Thing"),
    ("usual", "common"), ("class Rates:", "class Rates(dict):"), ("count=1", "count"), (", count", ""),
    ("self.items = []", "self.things = []"), ("return self.items[0]", "return None"), ("def ", "async def "),
    ("from .store import *", ""), ("__all__", "_all"), ("import shop.store", "import shop.stores"),
    ("import shop.taxes", "from shop import taxes"), ("return basket.Basket([1])", "return None"),
    ("print(", "exec("), ("def open(self)", "def open(self, hour)"), ("(", "(("), ("if TYPE_CHECKING:\n    ", ""),
    ("import", "from"), ("name", "label"), ("requests", "shop"), ("class Store", "class Store(Item)"),
    ("def sell(self, item: Item, count)", "@property\ndef sell(self)"), ("print", "import requests; print"),
    ("", "def __getattr__(name): return name\n"), ("", "import shop\n"), ("", "# nothing\n"),
    ("", "from shop.prices import cheapest, _unused\n"),
)  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.discover(tmp_path_factory.mktemp("empty"))


class Followed(Edited):
    """The findings of every file as they are kept, of which only those that a change reached are found anew."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(PROJECT, environment)
        self.checked = Checked(environment)
        self.follow(frozenset())

    def follow(self, anew: frozenset[str]) -> None:
        self.found = {path: self.checked.findings(self.snapshot, path) for path in self.snapshot.records}

    def check(self) -> None:
        scratch = self.from_scratch()
        for path in scratch.records:
            assert self.found[path] == findings(scratch, path, self.environment), path
        assert self.found.keys() == scratch.records.keys()


PATHS = tuple(parse_fixture(PROJECT).files)
edits = st.tuples(st.sampled_from(PATHS), st.sampled_from((None, "back", *CHANGES)))


@settings(max_examples=100, deadline=None)
@given(st.lists(edits, min_size=1, max_size=5))
def test_what_an_edit_leaves_out_has_the_findings_it_had(environment: Environment, steps: list[tuple[str, object]]):
    project = Followed(environment)
    project.take(steps)
    project.check()


def test_an_edit_inside_an_annotated_function_affects_its_file_alone(environment: Environment):
    project = Followed(environment)
    text = project.source("shop/basket.py")
    anew = project.write("shop/basket.py", text.replace("return self.items[0]", "return self.items[-1]"))
    assert anew == {"shop/basket.py"}


def test_a_comment_affects_its_file_alone(environment: Environment):
    project = Followed(environment)
    for path in PATHS[:-1]:
        assert project.write(path, "# more\n" + project.source(path)) == {path}


def test_a_comment_in_a_manifest_affects_it_alone(environment: Environment):
    project = Followed(environment)
    assert project.write("requirements.txt", "# pinned nowhere\nrequests\n") == {"requirements.txt"}
    assert project.write("requirements.txt", "yaml\n") == set(PATHS)


def test_a_changed_parameter_affects_the_files_that_call(environment: Environment):
    project = Followed(environment)
    text = project.source("shop/store.py")
    anew = project.write("shop/store.py", text.replace("def open(self)", "def open(self, hour)"))
    assert {"shop/store.py", "app.py"} <= anew
    assert "shop/taxes.py" not in anew


def test_a_method_that_a_subclass_gets_affects_who_calls_it_by_the_base(environment: Environment):
    project = Followed(environment)
    project.write("shop/stall.py", "from .store import Store\nclass Stall(Store):\n    pass\n")
    anew = project.write(
        "shop/stall.py", "from .store import Store\nclass Stall(Store):\n    def open(self, hour): ...\n"
    )
    assert {"shop/stall.py", "app.py"} <= anew


def test_definitions_say_nothing_of_where_things_stand():
    source = "import os\n\n\ndef f(a, b=1) -> int:\n    c = a\n    return c\n\n\nclass A(dict):\n    x: int = 1\n"
    moved = "# first\nimport os\ndef f(a, b=1) -> int:\n    d = b\n    return d\nclass A(dict):\n    x: int = 1\n"
    one, other = (definitions(read_record(Text.of(text), "python")) for text in (source, moved))
    assert {name: found.digest for name, found in one.items()} == {name: found.digest for name, found in other.items()}
    renamed = definitions(read_record(Text.of(source.replace("b=1", "b=2")), "python"))
    assert {name for name in one if one[name] != renamed[name]} == {"f"}
