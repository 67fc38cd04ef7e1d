"""`python -m engram_lsp.cli` is `engram-ls`."""

from engram_lsp.cli import main

main()
