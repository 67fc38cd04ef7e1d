"""The command `engram-ls`: one module per subcommand, each with `add_arguments` and `run`.

Exit codes: 0 all went well (and, for `check`, nothing was found), 1 something was found or refused, 2 the command or
its input was wrong. `--json` prints one JSON value on standard output for programs; progress and prose go to standard
error.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from engram_lsp.cli.terminal import UserError, error

# Subcommand -> (module, one line of help). Modules are imported only when they are called: `serve` must start fast.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("serve", "run the language server on standard input and output"),
    "check": ("check", "report the problems found in a file or a project"),
    "explain": ("explain", "say what a kind of problem means, with examples"),
    "complete": ("complete", "complete the code at FILE:LINE:COL"),
    "generate": ("generate", "continue a text with the model, as it comes"),
    "rename": ("rename", "rename the symbol at FILE:LINE:COL"),
    "trace": ("trace", "say which code a stack trace blames, and what would fix it"),
    "why": ("why", "say whether files are in the project memory, and which rule decides"),
    "demo": ("demo", "show the real server at work on a real project"),
    "setup": ("setup", "print what an editor needs to use engram-ls, or write it"),
    "doctor": ("doctor", "say what this installation has and lacks"),
    "corpus": ("corpus", "build the training text from ordinary packages (extra: train)"),
    "train": ("train", "train the model on your own code, or one on a corpus (extra: train)"),
    "export": ("export", "turn a checkpoint into the ONNX model that the server runs (extra: train)"),
    "eval": ("eval", "measure completions on repositories"),
    "compare": ("compare", "say how far a quantised model is from the original"),
}


def version() -> str:
    from importlib.metadata import version as installed

    return installed("engram-ls")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="engram-ls",
        description="A language server with a project memory and a model of its own; local and offline.",
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, line) in COMMANDS.items():
        commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".", add_help=False)
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script; leaves by SystemExit with the exit code."""
    # Workers begin in the folder that we were called in, which may be a stranger's project: no module comes from there.
    os.environ["PYTHONSAFEPATH"] = "1"
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    if name not in COMMANDS or arguments[0] != name:
        options = parser().parse_args(arguments)
        if options.version:
            print(f"engram-ls {version()}")
            raise SystemExit(0)
        parser().print_help()
        raise SystemExit(2)
    module = importlib.import_module(f"engram_lsp.cli.{COMMANDS[name][0]}")
    line = COMMANDS[name][1]
    command = argparse.ArgumentParser(prog=f"engram-ls {name}", description=line[0].upper() + line[1:] + ".")
    module.add_arguments(command)
    options = command.parse_args(arguments[1:])
    try:
        raise SystemExit(module.run(options))
    except UserError as problem:
        error(str(problem))
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `engram-ls check . | head`
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
