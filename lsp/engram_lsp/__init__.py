"""The LSP front of engram-ls: positions and URIs on the outside, offsets and paths within."""
