"""What an expression is, as far as that decides its members."""
