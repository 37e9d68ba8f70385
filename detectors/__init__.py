"""What finds attacks and frauds: one detector per file, one line in a list."""
