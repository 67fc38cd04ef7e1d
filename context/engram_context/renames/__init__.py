"""Renames and moves, and the proof that they change no meaning."""
