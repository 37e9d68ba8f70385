"""What is nearest to an alert: the groups of a correlation as its page shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from almena.store import Scope

MOST = 20
"""Groups that a page shows."""


@dataclass(frozen=True, kw_only=True)
class NearGroup:
    """One group on its way; times are event times in microseconds."""

    name: str
    """What is grouped by, in words."""
    agency: str
    reached: str
    """How far it has come, in words."""
    missing: tuple[str, ...] = ()
    """Titles of the rules that have not been seen yet."""
    first: int
    last: int
    closes: int
    """When the window closes, or the oldest hit stops counting."""
    waits: bool = False
    """Whether it is decided when the window closes."""
    past: bool = False
    """Whether `closes` has passed."""
    alert: str = ""
    """The id of the alert that is open."""


@dataclass(frozen=True, kw_only=True)
class Nearby:
    """A correlation's groups, the nearest to an alert first, and the clock they go by."""

    groups: tuple[NearGroup, ...] = ()
    more: int = 0
    """Groups that are not among them."""
    whole: bool = True
    """False when there were too many to look at all."""
    watermark: int = -1
    """Event time of the slowest partition, microseconds; -1 while there is none."""
    waiting: int = 0
    """Hits that wait for event time to pass them."""


Nearest = Callable[[str, Scope, str], Nearby | None]
"""A correlation's id, whom to show it to, and a language; None where it is no correlation that runs."""


def unknown(rule: str, scope: Scope, language: str) -> None:
    """A console that cannot look at what is remembered."""
