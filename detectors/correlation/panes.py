"""A window cut into panes that are forgotten as a whole: for what is too many to be remembered one by one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from detectors.correlation.signals import Mark, plain, restored
from detectors.correlation.sketches import Cardinality, Histogram, together

PANES = 16
"""Panes of one window."""

ERROR = 1 / PANES
"""The share of a window that may be forgotten early."""

Sketch: TypeAlias = "Cardinality | Histogram | None"


@dataclass(slots=True)
class Pane:
    """What came in one sixteenth of the timespan."""

    start: int
    first: Mark
    """The earliest of it."""
    sketch: Sketch
    below: list[int]
    """By bound, how many values lie below it."""
    events: int = 0
    total: int = 0
    """The sum of the values, in millionths."""


@dataclass(slots=True)
class Panes:
    """The panes of one group's window, and what all of them add up to."""

    timespan: int
    sketch: type[Cardinality] | type[Histogram] | None = None
    """What is kept of values: which there were, how they lie, or nothing."""
    bounds: tuple[tuple[str, int | Fraction], ...] = ()
    """What values are held against, `gt` or `gte`, in millionths."""
    panes: deque[Pane] = field(default_factory=deque)
    events: int = 0
    total: int = 0
    below: list[int] = field(default_factory=list)
    """By bound, how many values do not fulfil it."""
    last: str = ""
    """The id of the last event, where one may come under several rules."""
    _all: Any = None

    def __post_init__(self) -> None:
        self.below = [0] * len(self.bounds)

    def add(self, mark: Mark, value: int = 0) -> None:
        """Take one hit and its value: a number in millionths, or the digest of a value to be told apart."""
        self.forget(mark.time)
        width = max(self.timespan // PANES, 1)
        start = mark.time - mark.time % width
        if not self.panes or self.panes[-1].start != start:
            sketch = self.sketch() if self.sketch is not None else None
            self.panes.append(Pane(start, mark, sketch, [0] * len(self.bounds)))
        pane = self.panes[-1]
        for place, (name, bound) in enumerate(self.bounds):
            if value < bound or (value == bound and name == "gt"):
                pane.below[place] += 1
                self.below[place] += 1
        pane.events += mark.weight
        self.events += mark.weight
        if pane.sketch is not None:
            pane.sketch.add(value)
            if self._all is not None:
                self._all.add(value)
        if self.sketch is not Cardinality:
            pane.total += value
            self.total += value

    def forget(self, now: int) -> None:
        """Leave out the panes that do not lie in the window that ends at `now` with all they hold."""
        while self.panes and self.panes[0].start < now - self.timespan:
            gone = self.panes.popleft()
            self.events -= gone.events
            self.total -= gone.total
            self.below = [all_ - one for all_, one in zip(self.below, gone.below, strict=True)]
            if isinstance(self._all, Histogram) and isinstance(gone.sketch, Histogram):
                self._all.forget(gone.sketch)
            else:
                self._all = None

    @property
    def first(self) -> Mark:
        """The earliest hit that is remembered; there must be one."""
        return self.panes[0].first

    def union(self) -> Cardinality:
        """The distinct values of all panes."""
        if self._all is None:
            self._all = together(pane.sketch for pane in self.panes if isinstance(pane.sketch, Cardinality))
        found: Cardinality = self._all
        return found

    def values(self) -> int:
        """About how many distinct values there are."""
        return len(self.union())

    def at(self, rank: int) -> int:
        """About the value at `rank`, from 0 for the smallest."""
        if self._all is None:
            self._all = Histogram()
            for pane in self.panes:
                if isinstance(pane.sketch, Histogram):
                    self._all.take(pane.sketch)
        return int(self._all.at(rank))

    def dump(self) -> list[Any]:
        """All panes as plain values."""
        panes = [
            [pane.start, plain(pane.first), pane.events, str(pane.total), _plain(pane.sketch), pane.below]
            for pane in self.panes
        ]
        return [self.last, panes]

    def load(self, stored: list[Any]) -> Panes:
        """Take the panes that `dump` gave; returns itself."""
        self.last, panes = stored
        for start, first, events, total, kept, below in panes:
            sketch = self.sketch(kept) if self.sketch is not None else None
            self.panes.append(Pane(start, restored(first), sketch, below, events, int(total)))
            self.below = [all_ + one for all_, one in zip(self.below, below, strict=True)]
            self.events += events
            self.total += int(total)
        return self


def _plain(sketch: Sketch) -> Any:
    """A sketch as plain values."""
    if isinstance(sketch, Cardinality):
        return bytes(sketch.registers)
    return None if sketch is None else sketch.bins
