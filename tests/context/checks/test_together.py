"""All checks together: what one that fails costs, and what hostile text costs."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from engram_context.checks import catalogue, names
from engram_context.checks.subject import Found, Subject
from engram_context.findings import Finding

AllFindings = Callable[[str], dict[str, tuple[Finding, ...]]]


def test_a_check_that_fails_costs_its_own_findings_and_a_line_without_the_text(
    all_findings: AllFindings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    source = "import os\n\nprint(secret_name)\n"

    def broken(subject: Subject) -> Found:
        yield from ()
        raise KeyError(subject.text.decode())

    rest = [replace(check, find=broken) if check is names.CHECK else check for check in catalogue.CHECKS]
    assert [one.code for one in all_findings(source)["main.py"]] == ["unused-import", "undefined-name"]
    monkeypatch.setattr(catalogue, "CHECKS", tuple(rest))
    with caplog.at_level(logging.ERROR):
        assert [one.code for one in all_findings(source)["main.py"]] == ["unused-import"]
    (line,) = caplog.messages
    assert "undefined-name" in line and "KeyError" in line and "secret_name" not in line


_LONG = 400_000


@pytest.mark.parametrize(
    "source",
    [
        "import os" + " #" * (_LONG // 2) + "\n",
        "import os\n#\n" + "\n" * _LONG + "x = 1\n",
        "import os  #" + " " * _LONG + "x\n",
        "import os\nx = {" + '"\\n":"b",' * (_LONG // 9) + "}\n",
        "import os\nx = 1  # " + "type: " * (_LONG // 6) + "\n",
        "def f():\n    " + "a_" * (_LONG // 2) + "()\n    return 1\n",
        "def f():\n    with " + "suppress" * (_LONG // 8) + "(1)():\n        return 1\n    return 2\n",
        "class E(Exception): ...\ntry:\n    x = 1\nexcept E: pass\n" + "[" + "except_ or " * 300 + "1]\n",
    ],
    ids=["comments", "empty lines", "spaces", "strings", "words", "a name", "a call", "one line"],
)
def test_a_text_that_is_one_long_line_is_checked_all_the_same(source: str, all_findings: AllFindings):
    # Ends: what looks at each place of a line from each other one would take hours.
    assert isinstance(all_findings(source)["main.py"], tuple)
