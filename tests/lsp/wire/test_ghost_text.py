"""Ghost text while somebody types: what is suggested once need not be computed again."""

import time
from pathlib import Path
from typing import Any

import pytest
from engram_lsp.client import Client, where
from wire_support import Start, age

pytestmark = pytest.mark.wire

HABIT = "def close(self):\n    self.connection.close()\n    self.pool.release(self)\n    self.closed = True\n"
OTHER = "\n\ndef leave(self):\n    self.door.shut(self.key)\n\n\n"
BEFORE = "def stop(self):\n    self.connection.close()\n    "


class Typist:
    """Types into one document and asks for ghost text at its cursor, as an editor does."""

    def __init__(self, client: Client, path: Path, text: str) -> None:
        self.client = client
        self.text = text
        self.uri = client.open(path, text)

    def type(self, text: str, behind: str = "") -> None:
        """`behind`: what the editor writes behind the cursor by itself; the cursor is put where the text ends."""
        end = self._cursor()
        self.client.change(self.uri, {"range": {"start": end, "end": end}, "text": text + behind})
        self.text += text

    def _cursor(self) -> dict[str, int]:
        line = self.text.count("\n")
        return {"line": line, "character": len(self.text) - (self.text.rfind("\n") + 1)}

    def ghost(self, kind: int = 2) -> list[str]:
        """What is suggested to be written at the cursor."""
        cursor = self._cursor()
        question = {**where(self.uri, cursor["line"], cursor["character"]), "context": {"triggerKind": kind}}
        answer = self.client.request("textDocument/inlineCompletion", question)
        found: list[str] = []
        for item in answer["items"]:
            assert item["range"]["end"] == cursor
            typed = self.text[len(self.text) - (cursor["character"] - item["range"]["start"]["character"]) :]
            assert item["insertText"].startswith(typed) and item["filterText"] == item["insertText"]
            found.append(item["insertText"].removeprefix(typed))
        return found

    def counts(self) -> dict[str, int]:
        return self.client.ready()["ghostText"]


@pytest.fixture
def typist(start: Start, tmp_path: Path) -> Typist:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("a.py", "b.py"):
        (root / name).write_text((HABIT + OTHER) * 2, encoding="utf-8")
    age(root)
    return Typist(start(root), root / "new.py", BEFORE)


def grown(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}


def test_a_suggestion_that_is_being_typed_is_answered_without_asking_anybody(typist: Typist) -> None:
    (first,) = typist.ghost()
    assert first.startswith("self.pool.release(self)")
    counts = typist.counts()
    left = first
    for _ in range(6):
        typist.type(left[0])
        left = left[1:]
        assert typist.ghost() == [left]
    typist.type(left[:9])  # a word or two accepted at once
    assert typist.ghost() == [left[9:]]
    assert grown(typist.counts(), counts) == {"computed": 0, "kept": 7, "ahead": 0}


def test_a_bracket_that_the_editor_closes_is_not_suggested_again(typist: Typist) -> None:
    typist.text = "def go(self):\n    self.door."
    typist.client.change(typist.uri, typist.text)
    assert typist.ghost() == ["shut(self.key)"]
    counts = typist.counts()
    typist.type("shut(", behind=")")
    assert typist.ghost() == ["self.key"]
    assert grown(typist.counts(), counts)["computed"] == 0


def test_half_a_word_is_not_taken_for_what_usually_stands_there(typist: Typist) -> None:
    typist.text += "self.pool.release(self)\n    self.strange_name = Tr"
    typist.client.change(typist.uri, typist.text)
    assert typist.ghost(kind=1)[0] == "ue"


def test_any_other_edit_asks_anew(typist: Typist) -> None:
    assert typist.ghost()
    counts = typist.counts()
    typist.type("x")
    typist.ghost()
    assert grown(typist.counts(), counts)["computed"] == 1
    at = {"line": 0, "character": 0}
    typist.client.change(typist.uri, {"range": {"start": at, "end": at}, "text": "# why\n"})
    typist.text = "# why\n" + typist.text
    typist.ghost()
    assert grown(typist.counts(), counts)["computed"] == 2
    assert grown(typist.counts(), counts)["kept"] == 0


def test_who_asks_for_suggestions_gets_new_ones(typist: Typist) -> None:
    typist.ghost()
    counts = typist.counts()
    assert typist.ghost(kind=1)
    assert grown(typist.counts(), counts) == {"computed": 1, "kept": 0, "ahead": 0}


def test_behind_an_accepted_suggestion_the_next_is_made_before_anybody_asks(typist: Typist) -> None:
    (first,) = typist.ghost()
    counts = typist.counts()
    typist.type(first)
    deadline = time.monotonic() + 20
    while grown(typist.counts(), counts)["ahead"] < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert typist.ghost() == []  # nothing more in this line
    typist.type("\n    ")
    following: list[Any] = typist.ghost()
    assert grown(typist.counts(), counts)["computed"] == 0
    assert grown(typist.counts(), counts)["kept"] == 2
    assert following == [] or HABIT.count(following[0])


def test_switching_to_another_model_forgets_what_was_suggested(typist: Typist) -> None:
    assert typist.ghost()
    counts = typist.counts()
    typist.client.configuration = {**typist.client.configuration, "completion.limit": 7}
    typist.client.notify("workspace/didChangeConfiguration", {"settings": None})
    typist.client.ready()
    assert typist.ghost()
    assert grown(typist.counts(), counts)["computed"] == 1
