"""One module per word of the protocol. A handler converts in, asks, and converts out."""
