"""`engram-ls serve`: the language server itself."""

import argparse
import gc
import os

from engram_lsp import heap, lazy_types


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdio", action="store_true", help="talk over standard input and output (the default)")
    parser.add_argument("--log", metavar="FILE", help="append the log to FILE as well as to standard error")
    parser.add_argument("--verbose", action="store_true", help="log what is done, not only what went wrong")


def run(options: argparse.Namespace) -> int:
    # Nothing here multiplies matrices; the threads that numpy would begin for it cost start-up time and memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    heap.share()
    gc.disable()  # nothing of what is imported is ever garbage
    lazy_types.install()
    from engram_lsp.server import Options, serve_stdio

    gc.freeze()
    gc.enable()
    return serve_stdio(Options(log_file=options.log, verbose=options.verbose))
