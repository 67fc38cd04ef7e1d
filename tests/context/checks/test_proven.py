"""That what can only be is found whatever was asked before."""

from engram_context.checks.facts import facts_of
from engram_context.checks.proven import Proof, Proven
from engram_context.checks.whole import whole_of
from engram_context.outside.environment import Environment
from engram_context.records import ROLE
from engram_context.resolve import Resolver
from fixture import parse_fixture

PROJECT = """
    -- one.py --
    import two
    from two import Right, make
    class Left(two.Base):
        def __init__(self, other: "Right"):
            self.other = other
            self.made = make()
        def turn(self):
            return self.other.turn()
        def back(self):
            return Left(self.other).turn()
    def again(x):
        return two.again(x) if x else Left(x)
    -- two.py --
    import one
    class Base:
        def name(self):
            return str(self)
    class Right(Base):
        def turn(self):
            return self.left().turn()
        def left(self) -> "one.Left":
            return one.Left(self)
    def make():
        made = one.again(1)
        return made
    def again(x):
        return one.again(x)
    -- three.py --
    from one import Left
    from two import Right, make
    class Both(Left, Right):
        def turn(self):
            return super().name()
    made = Both(Right())
    print(made.turn().upper(), make().turn(), made.other.left().back())
"""


def test_what_is_proven_does_not_depend_on_the_order_of_the_questions() -> None:
    snapshot = parse_fixture(PROJECT).snapshot()
    whole = whole_of(snapshot, Environment.standard())
    asked = [
        (path, index)
        for path, record in snapshot.records.items()
        for index, role in enumerate(record.occurrences.role)
        if role in (ROLE["read"], ROLE["attribute"])
    ]

    def proofs(order: list[tuple[str, int]]) -> dict[tuple[str, int], Proof]:
        proven = Proven(Resolver(snapshot), whole.of(facts_of))
        return {question: proven.of_ref(*question) for question in order}

    first = proofs(asked)
    assert sum(proof is not None for proof in first.values()) > len(first) / 2
    for start in range(0, len(asked), 5):
        other = proofs([*reversed(asked[start:]), *asked[:start]])
        assert {question: set(proof or ()) for question, proof in other.items()} == {
            question: set(proof or ()) for question, proof in first.items()
        }
