"""Which reads are asked about, what may be meant instead, and what the text says for it."""

from engram_context.checks.misuse.callables import Callables
from engram_context.checks.misuse.habits import Habits, contexts
from engram_context.checks.misuse.nearby import places_in
from engram_context.checks.misuse.places import SIGNS, Suspicion
from fixture import parse_fixture


def suspicions(source: str, path: str = "main.py") -> list[Suspicion]:
    snapshot = parse_fixture(source).snapshot()
    return [one for places in places_in(snapshot, path) for one in places.suspicions()]


def pairs(source: str) -> set[tuple[str, str]]:
    return {(one.name, one.alternative) for one in suspicions(source)}


def signs(source: str, name: str, alternative: str, path: str = "main.py") -> dict[str, float]:
    (*_, one) = (one for one in suspicions(source, path) if (one.name, one.alternative) == (name, alternative))
    return dict(zip(SIGNS, one.signs, strict=True))


def test_each_read_of_a_variable_is_asked_about_with_each_other_one_of_the_function() -> None:
    source = "def f(a, b, _c):\n    d = a\n    return d + b\n"
    assert pairs(source) == {("a", "b"), ("b", "a"), ("b", "d"), ("d", "a"), ("d", "b")}


def test_what_a_method_is_called_on_and_what_is_bound_later_is_no_alternative() -> None:
    source = "class A:\n    def f(self, a, b):\n        self.x = a\n        later = b\n        return later\n"
    assert pairs(source) == {("a", "b"), ("b", "a"), ("later", "a"), ("later", "b")}
    assert ("self", "a") in pairs("class A:\n    @staticmethod\n    def f(self, a):\n        return self\n")


def test_global_names_and_modules_are_not_asked_about() -> None:
    assert pairs("import os\nx = 1\ndef f(a):\n    global x\n    x = a\n    return os, x\n") == set()


def test_nothing_is_asked_about_a_file_that_does_not_parse_or_is_not_python() -> None:
    assert suspicions("def f(a, b:\n    return a\n") == []
    assert suspicions("-- main.js --\nfunction f(a, b) { return a }\n", "main.js") == []
    assert suspicions("def f(a, b): return a\n", "absent.py") == []


def test_a_parameter_that_would_be_read_nowhere_else_is_a_sign() -> None:
    source = "def connect(host, port):\n    return dial(host, host)\n"
    found = signs(source, "host", "port")
    assert found["unused parameter"] == 1
    assert found["twice in call"] == 1
    assert signs("def connect(host, port):\n    return dial(host, port)\n", "host", "port")["unused parameter"] == 0


def test_a_function_that_leaves_much_unread_is_not_asked_about() -> None:
    assert suspicions("def hook(a, b, c, d, e):\n    return a\n") == []


def test_what_it_is_given_to_may_have_the_name_of_it_or_of_the_alternative() -> None:
    for target in ("self.size = {}", "f(size={})", "{{'size': {}}}", "x['size'] = {}", "self._size = {}"):
        source = f"class A:\n    def f(self, size, count, x):\n        {target.format('count')}\n"
        found = signs(source, "count", "size")
        assert (found["target is it"], found["target is alternative"]) == (0, 1), target


def test_the_parameter_it_is_given_to_may_have_the_name_of_the_alternative() -> None:
    source = """
        -- main.py --
        from other import resize
        def f(size, count):
            resize(1, count)
        -- other.py --
        def resize(unit, size): ...
    """
    assert signs(source, "count", "size")["parameter is alternative"] == 1


def test_a_condition_that_asks_about_the_alternative_guards_it() -> None:
    source = "def f(key, value):\n    if value is not None:\n        use(key)\n"
    assert signs(source, "key", "value")["alternative guarded"] == 1
    assert signs(source, "key", "value")["guarded"] == 0


def test_what_a_project_does_with_names_speaks_for_them() -> None:
    others = "".join(f"def g{i}(name, path):\n    path.exists()\n    print(name)\n" for i in range(4))
    inside = signs(f"-- main.py --\n{others}def f(name, path):\n    name.exists()\n    return path\n", "name", "path")
    assert inside["habit here"] > 1
    assert inside["unlike here"] == 1
    files = f"-- main.py --\ndef f(name, path):\n    name.exists()\n    return path\n-- other.py --\n{others}"
    assert signs(files, "name", "path")["habit elsewhere"] > 1


def test_habits_count_what_a_record_says_of_each_occurrence() -> None:
    source = "def f(a, b, k):\n    a.x.y\n    a.x\n    g(b, a, key=a)\n    b[k] = a[0]\n    return a + b\n"
    record = parse_fixture(source).snapshot().records["main.py"]
    habits = Habits.of(record)
    assert habits.count("a", ("attribute", "x")) == 2
    assert habits.count("b", ("argument", "g", 0)) == 1
    assert habits.count("a", ("keyword", "key")) == 1
    assert habits.count("b", ("container",)) == 1
    assert habits.count("k", ("index of", "b")) == 1
    assert habits.count("a", ("add", 0, "b")) == 1
    assert habits.count("a") == 7
    assert habits.count("absent") == 0
    assert all(record.occurrences.row(index).role == "read" for index, _ in contexts(record))


def test_callables_tell_the_parameters_of_all_that_has_a_name() -> None:
    source = """
        -- a.py --
        def make(one, two, *rest, three=0): ...
        class Part:
            def __init__(self, four): ...
            def make(self, five): ...
            @staticmethod
            def build(six): ...
        -- b.py --
        def make(one, two): ...
    """
    callables = Callables(parse_fixture(source).snapshot())
    assert set(callables.parameters("make")) == {("one", "two"), ("five",)}
    assert callables.parameters("Part") == (("four",),)
    assert callables.parameters("build") == (("six",),)
    assert callables.parameters("absent") == ()
    assert callables.namesakes("make") == 3
