"""The tests of scenarios.el, in Emacs without a terminal."""

import re
from pathlib import Path

import pytest

SCENARIOS = (Path(__file__).parent / "scenarios.el").read_text(encoding="utf-8")
ALONE = re.findall(r"^\(ert-deftest (\S+) \(\)\n  :tags '\(alone\)", SCENARIOS, re.MULTILINE)


@pytest.mark.parametrize("name", ALONE)
def test_scenario_of_its_own(emacs, name: str) -> None:
    emacs.batch("-l", "scenarios", "--eval", f"(drive-run '{name})")


def test_scenarios_that_leave_the_disk_alone(emacs) -> None:
    emacs.batch("-l", "scenarios", "--eval", "(drive-run '(not (tag alone)))")


def test_lsp_mode_completes_checks_and_renames(emacs) -> None:
    emacs.batch("-l", "with-lsp-mode", "--eval", "(drive-run 'lsp-mode-completes-checks-and-renames)")
