"""`engram-ls serve`: the language server itself."""

import argparse

from engram_lsp.server import Options, serve_stdio


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdio", action="store_true", help="talk over standard input and output (the default)")
    parser.add_argument("--log", metavar="FILE", help="append the log to FILE as well as to standard error")
    parser.add_argument("--verbose", action="store_true", help="log what is done, not only what went wrong")


def run(options: argparse.Namespace) -> int:
    return serve_stdio(Options(log_file=options.log, verbose=options.verbose))
