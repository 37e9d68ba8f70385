"""What each rule costs while it runs, and which rules cost more than they may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from almena.clock import MINUTE

PATIENCE = 2
"""A rule is over budget when it was so in this many windows in a row: one slow moment is nobody's fault."""

FEWEST_EVENTS = 100
"""A window with fewer events is not judged: too little was measured."""


class Cost(NamedTuple):
    """What one rule has cost since it was loaded; estimated from samples, never falling."""

    candidates: int
    """Events the rule was asked about."""
    matches: int
    """Events it matched."""
    nanoseconds: int
    """Time spent on asking it."""


Costs = Mapping[str, Cost]
"""Costs by rule id."""


@runtime_checkable
class Costed(Protocol):
    """An engine that says what its rules cost."""

    def costs(self) -> Costs:
        """The cost of each rule so far, by id; a rule never asked may be missing."""


class Excess(msgspec.Struct, frozen=True):
    """What a rule cost when it was over its budget."""

    microseconds: float
    """On average, for every event that was looked at."""
    share: float
    """Of the whole time of detection, 0 to 1."""

    def __str__(self) -> str:
        return f"{self.microseconds:,.0f} µs per event, {self.share:.0%} of the time of detection"

    @property
    def short(self) -> str:
        """The same in no language."""
        return f"{self.microseconds:,.0f} µs · {self.share:.0%}"


class _Reading(NamedTuple):
    time: int
    events: int
    nanoseconds: int
    costs: dict[str, int]


class Budget:
    """Judges rules by what they cost in windows of time; it is told the time and asks nobody."""

    def __init__(self, *, share: float, each: int, window: int = MINUTE) -> None:
        """A rule is over budget when it takes more than `share` of the time of detection (0 to 1) **and** more
        than `each` microseconds of every event, in `PATIENCE` windows of `window` microseconds in a row.

        An `each` of 0 means that there is no budget.
        """
        self._share = share
        self._each = each
        self._window = window
        self._last: _Reading | None = None
        self._strikes: dict[str, int] = {}

    def due(self, now: int) -> bool:
        """Whether a window has passed, so that `judge` would judge."""
        return self._each > 0 and (self._last is None or now - self._last.time >= self._window)

    def judge(self, now: int, events: int, nanoseconds: int, costs: Costs) -> dict[str, Excess]:
        """The rules that are over budget at `now` (microseconds of any clock that only moves forward), by id.

        `events`, `nanoseconds` (the whole time of detection) and `costs` are totals since the rules were loaded; where
        one has fallen the rules were loaded anew, and measuring begins again.
        """
        if not self.due(now):
            return {}
        last = self._last
        if last is not None and 0 <= events - last.events < FEWEST_EVENTS and nanoseconds >= last.nanoseconds:
            return {}  # the window goes on until there is enough to judge by
        self._last = _Reading(now, events, nanoseconds, {rule: cost.nanoseconds for rule, cost in costs.items()})
        if last is None or events < last.events or nanoseconds <= last.nanoseconds:
            self._strikes.clear()
            return {}
        return self._strike(_excesses(last, self._last))

    def _strike(self, excesses: Mapping[str, Excess]) -> dict[str, Excess]:
        over = {
            rule: excess
            for rule, excess in excesses.items()
            if excess.share > self._share and excess.microseconds > self._each
        }
        self._strikes = {rule: self._strikes.get(rule, 0) + 1 for rule in over}
        found = {rule: excess for rule, excess in over.items() if self._strikes[rule] >= PATIENCE}
        for rule in found:
            del self._strikes[rule]
        return found


def _excesses(before: _Reading, after: _Reading) -> dict[str, Excess]:
    """What each rule cost between two readings; one that began anew in between counts from nothing."""
    events, whole = after.events - before.events, after.nanoseconds - before.nanoseconds
    found = {}
    for rule, total in after.costs.items():
        known = before.costs.get(rule, 0)
        spent = total - known if total >= known else total
        found[rule] = Excess(spent / 1_000 / events, min(spent / whole, 1.0))
    return found
