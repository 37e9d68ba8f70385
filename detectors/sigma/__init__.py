"""Sigma rules: from YAML through pySigma to predicates over events."""
