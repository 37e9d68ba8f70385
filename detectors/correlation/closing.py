"""Windows that the first hit of a group opens and that are decided when event time has passed their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from detectors.correlation.signals import Found, Mark, Reached, Signal, plain, restored
from detectors.correlation.sketches import DISTINCT_ERROR, QUANTILE_ERROR, Cardinality, Histogram
from detectors.correlation.values import Ratio, ratio_of, shown
from detectors.correlation.window import EXACT
from detectors.sigma.condition import SCALE, Condition


@dataclass(slots=True)
class Open:
    """One window of one group."""

    first: Mark
    last: Mark
    events: int = 0
    """Events in it, each once."""
    hits: int = 0
    """The same, but what a correlation found is one, whatever it rests on."""
    numbers: int = 0
    total: int = 0
    values: list[int] = field(default_factory=list)
    """Numbers, or distinct values by digest."""
    places: list[int] = field(default_factory=list)
    """By place of the order, the length of the longest chain that ends there."""
    rules: list[str] = field(default_factory=list)
    """Rules that have a hit in it."""
    cardinality: Cardinality | None = None
    """In place of `values`, once they have become too many."""
    histogram: Histogram | None = None


@dataclass(slots=True)
class Box:
    """What one group has: a window that is open, or none."""

    open: Open | None = None
    seen: set[int] = field(default_factory=set)
    """The distinct values of the open window."""


class Closing:
    """One window after the other, each asked at its end."""

    by_match = True

    def __init__(
        self,
        timespan: int,
        kind: str,
        condition: Condition,
        *,
        rules: tuple[str, ...] = (),
        percent: int = 50,
        exact: int = EXACT,
    ) -> None:
        """`kind` is a type of correlation; `rules` are those it reads, in order."""
        self._timespan = timespan
        self._kind = kind
        self._condition = condition
        self._rules = rules
        self._percent = percent
        self._exact = exact

    def open(self) -> Box:
        """No window."""
        return Box()

    def feed(self, memory: Box, signal: Signal) -> None:
        """Take one hit into the window that is open, or open one."""
        kind, mark = self._kind, signal.mark
        counts_values = kind.startswith("value_")
        if not kind.startswith("temporal") and (not signal.fresh or (counts_values and signal.value is None)):
            return
        window = memory.open
        if window is None:
            window = memory.open = Open(mark, mark)
            window.places = [0] * len(self._rules) if kind == "temporal_ordered" else []
        if window.events == 0 or not window.last.same_event(mark):
            window.events += signal.weight
            window.hits += 1
        window.last = mark
        if signal.read not in window.rules:
            window.rules.append(signal.read)
        if kind == "temporal_ordered":
            self._order(window.places, signal.read)
        elif kind == "value_count":
            self._distinct(memory, window, signal.value or 0)
        elif counts_values:
            self._number(window, signal.value or 0)

    def due(self, memory: Box) -> int | None:
        """The end of the window that is open."""
        return None if memory.open is None else memory.open.first.time + self._timespan

    def close(self, memory: Box, now: int) -> Found | None:
        """Ask the condition of the window that has ended; the next hit opens another."""
        window = memory.open
        if window is None or window.first.time + self._timespan >= now:
            return None
        ratio = self._ratio(window)
        memory.open = None
        memory.seen = set()
        if not self._condition.holds(*ratio):
            return None
        error = 0.0
        if window.cardinality is not None or window.histogram is not None:
            error = QUANTILE_ERROR if window.cardinality is None else DISTINCT_ERROR
        occurred = window.rules if self._rules else ()
        return Found(
            window.first, last=window.last, count=window.events, value=shown(ratio), error=error, occurred=occurred
        )

    def measure(self, memory: Box) -> None:
        """Counts are the episode's."""

    def idle(self, memory: Box) -> bool:
        """Whether no window is open."""
        return memory.open is None

    def nearness(self, memory: Box) -> float:
        """Nobody knows before the end."""
        return 0.5

    def reached(self, memory: Box, now: int) -> Reached | None:
        """What the window that is open comes to so far."""
        window = memory.open
        if window is None:
            return None
        ratio = self._ratio(window)
        closes = window.first.time + self._timespan
        missing = tuple(rule for rule in dict.fromkeys(self._rules) if rule not in window.rules)
        return Reached(shown(ratio), window.events, window.first.time, closes, missing)

    def dump(self, memory: Box) -> Any:
        """The window as plain values."""
        window = memory.open
        if window is None:
            return None
        return [
            plain(window.first),
            plain(window.last),
            window.events,
            window.hits,
            window.numbers,
            str(window.total),
            window.values,
            window.places,
            window.rules,
            None if window.cardinality is None else bytes(window.cardinality.registers),
            None if window.histogram is None else window.histogram.bins,
        ]

    def load(self, stored: Any) -> Box:
        """The same back."""
        if stored is None:
            return Box()
        first, last, events, hits, numbers, total, values, places, rules, registers, bins = stored
        window = Open(restored(first), restored(last), events, hits, numbers, int(total), values, places, rules)
        window.cardinality = None if registers is None else Cardinality(registers)
        window.histogram = None if bins is None else Histogram(bins)
        return Box(window, set(values) if self._kind == "value_count" else set())

    def _order(self, places: list[int], read: str) -> None:
        longest = list(accumulate(places, max, initial=0))
        for place, rule in enumerate(self._rules):
            if rule == read:
                places[place] = max(places[place], longest[place] + 1)

    def _distinct(self, memory: Box, window: Open, value: int) -> None:
        if window.cardinality is not None:
            window.cardinality.add(value)
        elif value not in memory.seen:
            memory.seen.add(value)
            window.values.append(value)
            if len(window.values) > self._exact:
                window.cardinality = Cardinality()
                for before in window.values:
                    window.cardinality.add(before)
                window.values = []
                memory.seen = set()

    def _number(self, window: Open, value: int) -> None:
        window.numbers += 1
        window.total += value
        if self._kind in ("value_sum", "value_avg"):
            return
        if window.histogram is not None:
            window.histogram.add(value)
            return
        window.values.append(value)
        if len(window.values) > self._exact:
            window.histogram = Histogram()
            for before in window.values:
                window.histogram.add(before)
            window.values = []

    def _ratio(self, window: Open) -> Ratio:
        match self._kind:
            case "event_count":
                return window.hits * SCALE, 1
            case "value_count":
                number = len(window.values) if window.cardinality is None else len(window.cardinality)
                return number * SCALE, 1
            case "temporal":
                return len(window.rules) * SCALE, 1
            case "temporal_ordered":
                return max(window.places) * SCALE, 1
        ranks: Sequence[int] | Histogram = sorted(window.values) if window.histogram is None else window.histogram
        return ratio_of(self._kind, self._percent, window.total, window.numbers, ranks)
