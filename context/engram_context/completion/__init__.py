"""What may stand at a place in unfinished code."""
