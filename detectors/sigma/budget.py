"""What each rule costs, and which rules cost more than they may."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """What one rule has cost since it was loaded; estimated from samples, never falling."""

    candidates: int
    """Events the rule was asked about."""
    matches: int
    """Events it matched."""
    nanoseconds: int
    """Time spent on asking it."""
