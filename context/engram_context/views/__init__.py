"""What an editor shows of a snapshot: outlines, colours, signatures, hierarchies, hints."""
