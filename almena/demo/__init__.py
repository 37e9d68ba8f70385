"""A state's traffic, made up: ordinary days, attacks and frauds, sent through the real collectors."""
