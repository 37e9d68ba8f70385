"""How far one group of one operator has come: what has been reached, what is wanted, and until when it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Why something has not fired yet, or that it has."""

    key: str
    """The group as its state is kept, see `almena.hit.group_key`."""
    agency: str
    """The agency whose events are counted."""
    group: Mapping[str, str] = field(default_factory=dict)
    """What is grouped by, by name."""
    value: float | str
    """What has been reached: a count, a sum, a mean, the number of rules or steps."""
    wanted: str
    """The condition as written: `gte 10`, `gte 2, lt 9`, or an expression."""
    hits: int
    """Hits that count at present."""
    missing: tuple[str, ...] = ()
    """Ids of the rules that have not been seen yet, where rules are what is wanted."""
    first: int
    """Event time of the oldest hit that counts, microseconds."""
    last: int
    """Event time of the newest."""
    closes: int
    """Event time at which the window is decided, or at which the oldest hit stops to count."""
    waits: bool = False
    """Whether the condition can only be decided when the window closes."""
    alert: str = ""
    """The id of the alert that is open, if one is."""
    nearness: float = 0.0
    """How near the value is to what is wanted, 0 to 1; 1 where an alert is open."""
