"""What Emacs with our package is given because of what it says it can do (tests/data/clients/engram-el.json)."""

from pathlib import Path

from engram_lsp.client import where
from wire_support import Start, copy_packages

TEXT = 'def free():\n    marks = ["🧾🧾", time.time()]\n    return marks\n'
TRACE = """\
Traceback (most recent call last):
  File "{file}", line 2, in free
    marks = ["🧾🧾", time.time()]
                    ^^^^
NameError: name 'time' is not defined. Did you forget to import 'time'?
"""


def test_emacs_is_told_the_state_and_gives_consent_itself(launch: Start, tmp_path: Path) -> None:
    file = copy_packages(tmp_path / "project", "logging") / "till.py"
    file.write_text(TEXT, encoding="utf-8")
    client = launch(file.parent, editor="engram-el")
    assert client.state(lambda said: said["state"] == "ready")["files"] > 1
    uri = client.open(file)
    (problem,) = client.expect("textDocument/publishDiagnostics", lambda said: said["diagnostics"])["diagnostics"]
    assert problem["range"]["start"] == {"line": 1, "character": 19}
    asked = {"command": "engram.trace", "arguments": [TRACE.format(file=file), None, {"preview": True}]}
    (trace,) = client.request("workspace/executeCommand", asked)["traces"]
    (change,) = trace["proposals"][0]["edit"]["documentChanges"]
    assert change["textDocument"]["uri"] == uri
    assert [set(edit) for edit in change["edits"]] == [{"range", "newText"}]
    assert "time" in change["edits"][0]["newText"]
    asked["arguments"].pop()
    assert client.request("workspace/executeCommand", asked)["traces"][0]["proposals"][0]["edit"] is None


def test_emacs_shows_ghost_text_so_its_list_has_no_whole_line(start: Start, tmp_path: Path) -> None:
    root = copy_packages(tmp_path / "project", "json")
    client = start(root, editor="engram-el", settings={"completion.waitMs": 20_000})
    text = (root / "json" / "decoder.py").read_text(encoding="utf-8")
    line = text[: text.index("raise JSONDecodeError")].count("\n")
    before = "\n".join(text.split("\n")[:line])
    uri = client.open(root / "json" / "tool.py", f"{before}\n            raise JSONDec")
    answer = client.request("textDocument/completion", where(uri, line, 25))
    assert "JSONDecodeError" in [item["label"] for item in answer["items"]]
    assert "00000" not in [item["sortText"] for item in answer["items"]]
    client.expect("textDocument/publishDiagnostics", lambda said: said["uri"] == uri)
    client.ready()
    client.notifications.clear()
