"""The package as such: compiles without a warning, reads well to Emacs' own checkers, and passes its own tests."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from editor_support import Server

PACKAGE = Path(__file__).parents[3] / "editors" / "emacs"
FILES = sorted(PACKAGE.glob("*.el"))
CLIENTS = Path(__file__).parents[2] / "data" / "clients"
# The project has no page on the web whose address could stand there, and no archive is asked which versions of Emacs it has.
NOT_MEANT = ("should have a Homepage or URL", "uninstallable in all released Emacs versions")

CHECKDOC = """
(let ((checkdoc-create-error-function
       (lambda (text start &rest _) (message "CHECKDOC %s:%d: %s" (buffer-name) (line-number-at-pos start) text) nil)))
  (dolist (file command-line-args-left)
    (with-current-buffer (find-file-noselect file) (checkdoc-current-buffer t)))
  (setq command-line-args-left nil))
"""
LINT = """
(dolist (file command-line-args-left (setq command-line-args-left nil))
  (with-current-buffer (find-file-noselect file)
    (setq package-lint-main-file "engram.el")
    (dolist (found (package-lint-buffer))
      (message "LINT %s:%s: %s" (buffer-name) (car found) (nth 3 found)))))
"""


def test_it_compiles_without_a_warning(emacs, tmp_path: Path) -> None:
    for file in FILES:
        shutil.copy(file, tmp_path)
    emacs.batch(
        "-L", str(tmp_path), "--eval", "(setq byte-compile-error-on-warn t)",
        "-f", "batch-byte-compile", *[str(tmp_path / file.name) for file in FILES],
    )  # fmt: skip
    assert {path.stem for path in tmp_path.glob("*.elc")} == {path.stem for path in FILES}


def test_its_documentation_is_as_emacs_wants_it(emacs) -> None:
    said = emacs.batch("-l", "checkdoc", "--eval", CHECKDOC, *map(str, FILES))
    assert "CHECKDOC" not in said, said


def test_it_is_a_package_as_archives_want_it(emacs) -> None:
    said = emacs.batch("-l", "package-lint", "--eval", LINT, *map(str, FILES))
    found = [line for line in said.splitlines() if "LINT" in line]
    assert [line for line in found if not any(words in line for words in NOT_MEANT)] == []


def test_it_is_installed_as_a_package(emacs, tmp_path: Path) -> None:
    """Its autoloads are made, and nothing is loaded before it is called."""
    place = f'(setq package-user-dir "{tmp_path / "elpa"}" package-archives nil)'
    install = f'(progn {place} (package-initialize) (package-install-file "{tmp_path / "engram"}"))'
    shutil.copytree(PACKAGE, tmp_path / "engram")
    emacs.batch("--eval", install, path=False)
    use = (
        "(progn (when (featurep 'engram) (kill-emacs 2)) (global-engram-mode) (kill-emacs (if (featurep 'engram) 0 3)))"
    )
    emacs.batch("--eval", f"(progn {place} (package-initialize) {use})", path=False)


def test_its_page_has_every_key_command_and_option(emacs) -> None:
    """UPDATE_DOCS=1 writes them."""
    emacs.batch("-l", "describing")
    said = json.loads((Path(emacs.environment["HOME"]) / "described.json").read_text(encoding="utf-8"))
    heads = {"keys": "key | command | does", "commands": "command | does", "options": "option | default | what it is"}
    page = PACKAGE / "README.md"
    text = page.read_text(encoding="utf-8")
    for name, head in heads.items():
        rows = [head, "|".join("---" for _ in head.split(" | ")), *(" | ".join(row) for row in said[name])]
        table = "\n".join(f"| {row} |" if "---" not in row else f"|{row}|" for row in rows)
        made = f"<!-- {name}: made by tests/editors/emacs/test_package.py -->\n{table}\n<!-- /{name} -->"
        text = re.sub(rf"<!-- {name}: .*?<!-- /{name} -->", lambda _, made=made: made, text, flags=re.DOTALL)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(text, encoding="utf-8", newline="\n")
    assert page.read_text(encoding="utf-8") == text, (
        "run UPDATE_DOCS=1 make editors ARGS=tests/editors/emacs/test_package.py"
    )


def test_its_own_tests_pass(emacs) -> None:
    said = emacs.batch("-l", str(PACKAGE / "test" / "engram-test.el"), "-f", "ert-run-tests-batch-and-exit")
    assert "0 unexpected" in said


@pytest.mark.parametrize(
    ("client", "mode"), [("eglot", "(global-engram-mode -1)"), ("engram-el", "(global-engram-mode)")]
)
def test_what_it_says_it_can_do_is_what_is_recorded(emacs, server: Server, client: str, mode: str) -> None:
    """UPDATE_CLIENTS=1 records it anew."""
    plain = """(unless global-engram-mode
                 (push '((python-mode python-ts-mode) . ("engram-ls" "serve")) eglot-server-programs))"""
    begin = f'(progn {mode} {plain} (drive-open "shop/stock.py"))'
    emacs.batch("-l", "driving", "-l", "engram", "--eval", begin)
    (initialize,) = server.messages("initialize")
    said = {name: initialize["params"][name] for name in ("capabilities", "clientInfo")}
    file = CLIENTS / f"{client}.json"
    if os.environ.get("UPDATE_CLIENTS"):
        file.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert said["capabilities"] == json.loads(file.read_text(encoding="utf-8"))["capabilities"]
