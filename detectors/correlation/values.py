"""Sliding windows over numbers: their sum, mean or percentile; and counts too large to be remembered one by one."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from detectors.correlation.panes import ERROR, Panes
from detectors.correlation.signals import Found, Mark, Reached, Signal, plain, restored
from detectors.correlation.sketches import DISTINCT_ERROR, QUANTILE_ERROR, Cardinality, Histogram
from detectors.correlation.window import EXACT
from detectors.sigma.condition import SCALE, Condition

Ratio: TypeAlias = tuple[int, int]
"""A number in millionths, and what it is to be divided by."""


def rank(percent: int, numbers: int) -> tuple[int, int]:
    """The place (from 0) of a percentile among so many sorted numbers, and how many hundredths it lies behind it."""
    return divmod(percent * (numbers - 1), 100)


def ranked(percent: int, numbers: int, at: Callable[[int], int]) -> Ratio:
    """The percentile of so many sorted numbers, linear between neighbours."""
    place, rest = rank(percent, numbers)
    low = at(place)
    return (low * 100 + (at(place + 1) - low) * rest if rest else low * 100), 100


def shown(ratio: Ratio) -> int | float:
    """The number as people read it, to six decimals."""
    value = round(ratio[0] / ratio[1])
    whole, rest = divmod(value, SCALE)
    return whole if rest == 0 else value / SCALE


@dataclass(slots=True)
class Numbers:
    """The numbers in one group's window."""

    marks: deque[tuple[Mark, int]] = field(default_factory=deque)
    total: int = 0
    sorted: list[int] = field(default_factory=list)
    """The numbers by size, where they are ranked."""
    panes: Panes | None = None
    """In their place, once they have become too many."""


class Values:
    """Sum, mean or percentile of the numbers within a timespan, held against bounds."""

    by_match = False

    def __init__(self, timespan: int, kind: str, percent: int, condition: Condition, exact: int = EXACT) -> None:
        """`kind` is `value_sum`, `value_avg`, `value_percentile` or `value_median`."""
        self._timespan = timespan
        self._kind = kind
        self._ranks = kind in ("value_percentile", "value_median")
        self._percent = percent
        self._condition = condition
        self._exact = exact

    def open(self) -> Numbers:
        """No numbers yet."""
        return Numbers()

    def feed(self, memory: Numbers, signal: Signal) -> Found | None:
        """Take the number."""
        if not signal.fresh or signal.value is None:
            return None
        self._forget(memory, signal.mark.time)
        self._add(memory, signal.mark, signal.value)
        if not self._holds(memory):
            return None
        total = memory.total if memory.panes is None else memory.panes.total
        sums = total if self._kind == "value_sum" else None
        if memory.panes is not None:
            return Found(memory.panes.first, count=memory.panes.events, error=ERROR, total=sums)
        return Found(memory.marks[0][0], (mark for mark, _ in memory.marks), total=sums)

    def due(self, memory: Numbers) -> int | None:
        """Nothing ever waits."""
        return None

    def close(self, memory: Numbers, now: int) -> Found | None:
        """Nothing ever waits."""
        return None

    def measure(self, memory: Numbers) -> tuple[int | float, float] | None:
        """Mean or percentile of the window; a sum is the episode's."""
        if self._kind == "value_sum":
            return None
        error = 0.0 if memory.panes is None else ERROR + (QUANTILE_ERROR if self._ranks else 0)
        return shown(self._ratio(memory)), error

    def idle(self, memory: Numbers) -> bool:
        """Whether there are no numbers."""
        return not memory.marks and memory.panes is None

    def nearness(self, memory: Numbers) -> float:
        """The share of the largest bound, where that is a share; a busy group is near."""
        if memory.panes is not None:
            return 1.0
        wanted = max(bound for _, bound in self._condition.bounds)
        if wanted <= 0 or self.idle(memory):
            return 0.0
        return min(max(shown(self._ratio(memory)) / wanted, 0.0), 1.0)

    def reached(self, memory: Numbers, now: int) -> Reached | None:
        """What the numbers come to."""
        self._forget(memory, now)
        if self.idle(memory):
            return None
        ratio = self._ratio(memory)
        first = memory.panes.first if memory.panes is not None else memory.marks[0][0]
        hits = memory.panes.events if memory.panes is not None else len(memory.marks)
        return Reached(shown(ratio), hits, first.time, first.time + self._timespan)

    def dump(self, memory: Numbers) -> list[Any]:
        """Marks and numbers, or panes."""
        marks = [[plain(mark), value] for mark, value in memory.marks]
        return [marks, None if memory.panes is None else memory.panes.dump()]

    def load(self, stored: list[Any]) -> Numbers:
        """The numbers back."""
        marks, panes = stored
        memory = Numbers()
        if panes is not None:
            memory.panes = self._panes().load(panes)
        for mark, value in marks:
            memory.marks.append((restored(mark), value))
            memory.total += value
        if self._ranks:
            memory.sorted = sorted(value for _, value in marks)
        return memory

    def _panes(self) -> Panes:
        return Panes(self._timespan, Histogram, self._condition.exact) if self._ranks else Panes(self._timespan)

    def _holds(self, memory: Numbers) -> bool:
        if memory.panes is None or not self._ranks:
            return self._condition.holds(*self._ratio(memory))
        # The numbers below each bound are counted, so that a percentile need not be looked up at every hit.
        place, rest = rank(self._percent, memory.panes.events)
        if all(below <= place for below in memory.panes.below):
            return True
        if any(below > place + bool(rest) for below in memory.panes.below):
            return False
        return self._condition.holds(*self._ratio(memory))

    def _add(self, memory: Numbers, mark: Mark, value: int) -> None:
        if memory.panes is None and len(memory.marks) >= self._exact:
            memory.panes = self._panes()
            for before, number in memory.marks:
                memory.panes.add(before, number)
            memory.marks.clear()
            memory.sorted.clear()
            memory.total = 0
        if memory.panes is not None:
            memory.panes.add(mark, value)
            return
        memory.marks.append((mark, value))
        memory.total += value
        if self._ranks:
            insort(memory.sorted, value)

    def _forget(self, memory: Numbers, now: int) -> None:
        if memory.panes is not None:
            memory.panes.forget(now)
            if not memory.panes.panes:
                memory.panes = None
        start = now - self._timespan
        while memory.marks and memory.marks[0][0].time < start:
            _, value = memory.marks.popleft()
            memory.total -= value
            if self._ranks:
                del memory.sorted[bisect_left(memory.sorted, value)]

    def _ratio(self, memory: Numbers) -> Ratio:
        """What is compared; there must be a number."""
        panes = memory.panes
        total, numbers = (memory.total, len(memory.marks)) if panes is None else (panes.total, panes.events)
        return ratio_of(self._kind, self._percent, total, numbers, memory.sorted if panes is None else panes)


def ratio_of(kind: str, percent: int, total: int, numbers: int, ranks: Sequence[int] | Panes | Histogram) -> Ratio:
    """Sum, mean or percentile of numbers, given their sum, how many they are, and how they lie."""
    if kind == "value_sum":
        return total, 1
    if kind == "value_avg":
        return total, numbers
    return ranked(percent, numbers, ranks.at if isinstance(ranks, (Panes, Histogram)) else ranks.__getitem__)


class Many:
    """More events, or distinct values, than are remembered one by one."""

    by_match = False

    def __init__(self, timespan: int, condition: Condition, *, distinct: bool) -> None:
        """`condition` bounds a whole number from below."""
        self._timespan = timespan
        self._condition = condition
        self._distinct = distinct

    def open(self) -> Panes:
        """Nothing yet."""
        return Panes(self._timespan, Cardinality if self._distinct else None)

    def feed(self, memory: Panes, signal: Signal) -> Found | None:
        """Count it."""
        if not signal.fresh or (self._distinct and signal.value is None):
            return None
        if not self._distinct:
            if memory.last and memory.last == signal.mark.event:
                return None
            memory.last = signal.mark.event
        memory.add(signal.mark, signal.value or 0)
        if memory.events < self._condition.smallest:
            return None
        number = self._number(memory)
        if number < self._condition.smallest:
            return None
        if not self._distinct:
            return Found(memory.first, count=memory.events, error=ERROR)
        return Found(memory.first, count=memory.events, error=ERROR + DISTINCT_ERROR, distinct=memory.union())

    def due(self, memory: Panes) -> int | None:
        """Nothing ever waits."""
        return None

    def close(self, memory: Panes, now: int) -> Found | None:
        """Nothing ever waits."""
        return None

    def measure(self, memory: Panes) -> None:
        """Counts are the episode's."""

    def idle(self, memory: Panes) -> bool:
        """Whether there is nothing."""
        return not memory.panes

    def nearness(self, memory: Panes) -> float:
        """The share of what is wanted."""
        return min(self._number(memory) / self._condition.smallest, 1.0)

    def reached(self, memory: Panes, now: int) -> Reached | None:
        """About how many there are."""
        memory.forget(now)
        if not memory.panes:
            return None
        number, first = self._number(memory), memory.first
        return Reached(number, memory.events, first.time, first.time + self._timespan)

    def dump(self, memory: Panes) -> list[Any]:
        """The panes."""
        return memory.dump()

    def load(self, stored: list[Any]) -> Panes:
        """The panes back."""
        return self.open().load(stored)

    def _number(self, memory: Panes) -> int:
        return memory.values() if self._distinct else memory.events
