"""What was sent last is found again, and no more than that is kept."""

import numpy as np
from engram_context.completion.candidates import Candidate
from engram_context.text import Text
from engram_context.views.signatures import signature_help
from engram_lsp.features.signature_help import chosen, units
from engram_lsp.sent import SentList, SentTokens
from fixture import parse_fixture, snapshot_of
from lsprotocol import types


def test_only_the_last_answer_about_a_document_is_known() -> None:
    sent = SentTokens()
    first = sent.keep("file:///a.py", np.arange(5))
    second = sent.keep("file:///a.py", np.arange(10))
    assert first != second
    assert sent.find("file:///a.py", first) is None
    found = sent.find("file:///A.py".lower(), second)
    assert found is not None and len(found) == 10
    assert sent.find("file:///b.py", second) is None


def test_no_more_than_a_few_documents_are_remembered() -> None:
    sent = SentTokens()
    ids = [sent.keep(f"file:///{number}.py", np.arange(5)) for number in range(100)]
    assert len(sent) == 16
    assert sent.find("file:///0.py", ids[0]) is None
    assert sent.find("file:///99.py", ids[99]) is not None


def test_an_item_is_known_by_its_list_and_place() -> None:
    sent, snapshot = SentList(), snapshot_of({})
    assert sent.snapshot is None
    one, two = (Candidate(name, "function", "", "local") for name in ("one", "two"))
    old = sent.keep([one, two], snapshot)
    assert sent.find([old, 1]) is two
    new = sent.keep([two], snapshot)
    assert sent.find([new, 0]) is two
    for data in ([old, 0], [new, 1], [new, -1], [new], [new, "0"], None, "x", {}):
        assert sent.find(data) is None


def test_the_signature_that_was_turned_to_stays_while_its_call_goes_on() -> None:
    fixture = parse_fixture("""
        from typing import overload
        @overload
        def f(a: int): ...
        @overload
        def f(a: str, b: int): ...
        @overload
        def f(a: str, b: str, c: int): ...
        f(1, $0)
        """)
    found = signature_help(fixture.snapshot(), fixture.cursor)
    assert found is not None and found.active == 1
    shown = [types.SignatureInformation(one.label) for one in found.signatures]

    def context(active: int, signatures: list[types.SignatureInformation]) -> types.SignatureHelpContext:
        before = types.SignatureHelp(signatures, active)
        return types.SignatureHelpContext(types.SignatureHelpTriggerKind.ContentChange, True, ",", before)

    assert chosen(found, context(2, shown)) == 2
    assert chosen(found, context(0, shown)) == 1  # it takes no second argument
    assert chosen(found, context(2, shown[:2])) == 1
    assert chosen(found, None) == 1


def test_labels_are_measured_in_the_units_of_the_client() -> None:
    label = "f(é, 😀=1, b)"
    at = label.index("b")
    measured = [units(Text.of(label), label, at, unit) for unit in ("utf-8", "utf-16", "utf-32")]
    assert measured == [at + 4, at + 1, at]
