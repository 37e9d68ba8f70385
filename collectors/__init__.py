"""The ways in: one collector per file, one line in a list."""
