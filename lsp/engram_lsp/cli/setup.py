"""`engram-ls setup EDITOR`: prints what an editor needs to use this engram-ls, or writes it (`--write`)."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engram_lsp.cli.terminal import UserError, notes, out, print_json

# The clients that come with the package, and where they are in a checkout.
_PACKAGED = Path(__file__).parent.parent / "clients"
_CHECKOUT = Path(__file__).parent.parent.parent.parent / "editors"
_VSIX = "engram-ls.vsix"
# Programs that take `--install-extension FILE`.
_CODE = ("code", "code-insiders", "codium", "cursor", "code-server")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an editor needs: `text` in `file`, which is new or, with `added`, gets it at its end; or a `command` run."""

    about: str
    file: Path | None = None
    text: str = ""
    added: bool = False
    command: tuple[str, ...] = ()
    hint: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("editor", choices=sorted(_PLANS), help="the editor that is to use this engram-ls")
    parser.add_argument("--write", action="store_true", help="do it, instead of printing what is to be done")
    parser.add_argument("--json", action="store_true", help="print one JSON value")


def run(options: argparse.Namespace) -> int:
    plan = _PLANS[options.editor]()
    if options.json:
        print_json({"file": plan.file and str(plan.file), "text": plan.text, "command": list(plan.command)})
    elif not options.write:
        _show(plan)
    if options.write:
        notes.print(_write(plan), markup=False, soft_wrap=True)
        if plan.hint:
            notes.print(plan.hint, markup=False, soft_wrap=True)
    return 0


def _show(plan: Plan) -> None:
    notes.print(plan.about, markup=False, soft_wrap=True)
    for text in (plan.text, " ".join(map(_quoted, plan.command))):
        if text:
            out.print(text.rstrip("\n"), markup=False, soft_wrap=True)
    if plan.hint:
        notes.print(plan.hint, markup=False, soft_wrap=True)


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _write(plan: Plan) -> str:
    if plan.command:
        try:
            subprocess.run(plan.command, check=True, stdin=subprocess.DEVNULL, stdout=2)  # our standard error
        except (OSError, subprocess.CalledProcessError) as problem:
            raise UserError(f"{plan.command[0]} did not do it: {problem}") from None
        return "installed"
    assert plan.file is not None
    before = plan.file.read_text(encoding="utf-8") if plan.file.exists() else None
    if before is not None and plan.text in before:
        return f"{plan.file} has it already"
    if before and not plan.added:
        raise UserError(f"{plan.file} is there and says something else; take it away first")
    plan.file.parent.mkdir(parents=True, exist_ok=True)
    with plan.file.open("a", encoding="utf-8") as file:
        file.write(("\n" if before else "") + plan.text)
    return f"wrote {plan.file}"


# --- the editors ------------------------------------------------------------------------------------------------------


def server_command() -> str:
    """How this engram-ls is started by a program that may have another PATH."""
    name = "engram-ls.exe" if os.name == "nt" else "engram-ls"
    own = Path(sys.executable).parent / name
    found = shutil.which("engram-ls")
    if found is not None and (not own.exists() or own.samefile(found)):
        return "engram-ls"
    return str(own) if own.exists() else "engram-ls"


def client(editor: str) -> Path:
    """The folder with an editor's client. Raises UserError where it is not."""
    for folder in (_PACKAGED / editor, _CHECKOUT / editor):
        if folder.is_dir():
            return folder
    raise UserError(f"this engram-ls came without its client for {editor}: install it from a wheel or a checkout")


def _neovim() -> Plan:
    folder, command = client("neovim"), server_command()
    cmd = "" if command == "engram-ls" else f', cmd = {{ {_string(command)}, "serve" }}'
    lines = [
        "-- engram-ls",
        f"vim.opt.runtimepath:append({_string(str(folder))})",
        f'require("engram").setup({{ keys = true{cmd} }})',
    ]
    file = _config("nvim") / "plugin" / "engram.lua"
    about = f"For Neovim 0.11 or newer; in {file}, or anywhere in your configuration:"
    return Plan(
        about, file, "\n".join(lines) + "\n", hint=":checkhealth engram tells how it is, :help engram the rest."
    )


def _emacs() -> Plan:
    folder, command = client("emacs"), server_command()
    lines = [
        ";; engram-ls",
        f"(add-to-list 'load-path {_string(str(folder))})",
        "(require 'engram)",
        *([] if command == "engram-ls" else [f'(setq engram-server-command \'({_string(command)} "serve"))']),
        "(global-engram-mode)",
        "(add-hook 'python-base-mode-hook #'eglot-ensure) ; and so for the other languages you use",
    ]
    init = _emacs_init()
    about = f"For Emacs 29 or newer; in {init}:"
    return Plan(about, init, "\n".join(lines) + "\n", added=True)


def _vscode() -> Plan:
    vsix = next((file for file in (_PACKAGED / "vscode" / _VSIX, _CHECKOUT / "vscode" / _VSIX) if file.is_file()), None)
    if vsix is None:
        raise UserError("this engram-ls came without its extension for VS Code; `make vsix` in a checkout makes it")
    code = next((found for name in _CODE if (found := shutil.which(name))), None)
    command, setting = server_command(), ""
    if command != "engram-ls":
        setting = "The extension finds this server by the setting\n  " + json.dumps({"engram.server.path": command})
    if code is None:
        setting = f"In VS Code: Extensions, Install from VSIX…, {vsix}\n{setting}"
    return Plan("For VS Code:", command=(code or "code", "--install-extension", str(vsix)), hint=setting.rstrip())


_PLANS: dict[str, Callable[[], Plan]] = {"vscode": _vscode, "neovim": _neovim, "emacs": _emacs}


def _string(text: str) -> str:
    """A string as Lua and Emacs Lisp both write it."""
    return json.dumps(text, ensure_ascii=False)


def _config(name: str) -> Path:
    """Where a program keeps its configuration, by the rules that Neovim follows."""
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / name
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))) / name
    return Path.home() / ".config" / name


def _emacs_init() -> Path:
    """The file that Emacs reads first, by its own order."""
    home = Path(os.environ.get("APPDATA", str(Path.home()))) if os.name == "nt" else Path.home()
    candidates = (home / ".emacs.el", home / ".emacs", home / ".emacs.d" / "init.el", _config("emacs") / "init.el")
    return next((file for file in candidates if file.exists()), candidates[2])
