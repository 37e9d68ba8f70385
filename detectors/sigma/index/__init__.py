"""The index over all rules: what thousands of rules ask of events, answered once for each distinct value."""

from __future__ import annotations

from detectors.sigma.index.engine import IndexEngine

__all__ = ["IndexEngine"]
