"""From bytes to events: one format per file, one line in a list."""
