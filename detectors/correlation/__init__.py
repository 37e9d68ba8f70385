"""Sigma correlations in event time: counts, values, and rules together, in order or absent, by group.

docs/correlation.md says what each type means; one kind of window is one file here.
"""

from __future__ import annotations

from detectors.correlation.operator import CorrelationOperator

__all__ = ["CorrelationOperator"]
