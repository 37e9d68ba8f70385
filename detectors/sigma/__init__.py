"""Sigma rules: from YAML through pySigma to predicates over events.

Import the submodules: `loader` loads, `detector` detects, `check` checks; this package itself imports nothing, for
pySigma takes its time.
"""
