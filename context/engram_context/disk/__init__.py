"""The files of a project: which belong to it, reading them, keeping what was read, noticing changes."""
