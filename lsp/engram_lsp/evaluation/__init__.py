"""How good completions are on repositories that nothing was fitted to: `engram-ls eval`."""
