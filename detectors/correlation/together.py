"""Different rules in any order within a timespan, in one of several ways, some of which need a rule not to occur."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from detectors.correlation.signals import Found, Mark, Reached, Signal, plain, restored
from detectors.sigma.pattern import Way


@dataclass(slots=True)
class Wait:
    """A match that is only true if nothing forbidden comes until its time has passed."""

    first: Mark
    last: Mark
    due: int
    events: int


@dataclass(slots=True)
class Rules:
    """What one group has seen."""

    latest: dict[str, Mark] = field(default_factory=dict)
    """The last hit of each rule."""
    waits: dict[int, Wait] = field(default_factory=dict)
    """Matches that wait, by the way in which they came about."""


class Together:
    """Rules within a timespan in one of the given ways; what must not occur has no hit within it, before or after."""

    def __init__(self, timespan: int, ways: tuple[Way, ...]) -> None:
        """`timespan` in microseconds; every way has a rule that occurs."""
        self._timespan = timespan
        self._ways = [
            (tuple(rule for rule, occurs in way if occurs), tuple(rule for rule, occurs in way if not occurs))
            for way in ways
        ]
        self.by_match = any(absent for _, absent in self._ways)

    def open(self) -> Rules:
        """Nothing seen."""
        return Rules()

    def feed(self, memory: Rules, signal: Signal) -> Found | None:
        """Take one hit; the shortest match that ends with it and need not wait."""
        mark, read = signal.mark, signal.read
        memory.latest[read] = mark
        best: Found | None = None
        for number, (occur, absent) in enumerate(self._ways):
            if read in absent:
                wait = memory.waits.get(number)
                if wait is not None and mark.time <= wait.due:
                    del memory.waits[number]
                continue
            if read not in occur:
                continue
            marks = self._within(memory, occur, mark.time)
            if marks is None or any(self._seen(memory, rule, mark.time) for rule in absent):
                continue
            if absent:
                self._wait(memory, number, marks, signal)
            elif best is None or marks[0].time > best.first.time:
                best = Found(marks[0], marks, value=len(marks), occurred=occur)
        return best

    def due(self, memory: Rules) -> int | None:
        """When the next match that waits comes true."""
        return min((wait.due for wait in memory.waits.values()), default=None)

    def close(self, memory: Rules, now: int) -> Found | None:
        """The match that has waited for long enough."""
        ready = [(wait.due, number) for number, wait in memory.waits.items() if wait.due < now]
        if not ready:
            return None
        number = min(ready)[1]
        wait, occur = memory.waits.pop(number), self._ways[number][0]
        return Found(wait.first, last=wait.last, count=wait.events, value=len(occur), occurred=occur)

    def measure(self, memory: Rules) -> None:
        """Counts are the episode's."""

    def idle(self, memory: Rules) -> bool:
        """Whether nothing was seen."""
        return not memory.latest and not memory.waits

    def nearness(self, memory: Rules) -> float:
        """The largest share of the rules of one way that were seen."""
        if memory.waits:
            return 1.0
        return max(sum(rule in memory.latest for rule in occur) / len(occur) for occur, _ in self._ways)

    def reached(self, memory: Rules, now: int) -> Reached | None:
        """The way that needs fewest rules more; a match that waits is nearest."""
        if memory.waits:
            number, wait = min(memory.waits.items(), key=lambda item: item[1].due)
            return Reached(len(self._ways[number][0]), wait.events, wait.first.time, wait.due)
        best: tuple[float, Reached] | None = None
        for occur, _ in self._ways:
            seen = [mark for rule in occur if (mark := self._recent(memory, rule, now)) is not None]
            if not seen:
                continue
            missing = tuple(rule for rule in occur if self._recent(memory, rule, now) is None)
            first = min(mark.time for mark in seen)
            near = len(seen) / len(occur)
            if best is None or near > best[0]:
                best = near, Reached(len(seen), len(seen), first, first + self._timespan, missing)
        return best and best[1]

    def dump(self, memory: Rules) -> list[Any]:
        """Marks by rule, and what waits."""
        waits = {
            number: [plain(wait.first), plain(wait.last), wait.due, wait.events]
            for number, wait in memory.waits.items()
        }
        return [{rule: plain(mark) for rule, mark in memory.latest.items()}, waits]

    def load(self, stored: list[Any]) -> Rules:
        """The same back."""
        latest, waits = stored
        return Rules(
            {rule: restored(mark) for rule, mark in latest.items()},
            {
                number: Wait(restored(first), restored(last), due, events)
                for number, (first, last, due, events) in waits.items()
            },
        )

    def _wait(self, memory: Rules, number: int, marks: list[Mark], signal: Signal) -> None:
        mark, wait = signal.mark, memory.waits.get(number)
        if wait is None:
            events = sum(one.weight for one in marks)
            memory.waits[number] = Wait(marks[0], mark, marks[0].time + self._timespan, events)
        elif not wait.last.same_event(mark):
            wait.events += signal.weight
            wait.last = mark

    def _within(self, memory: Rules, occur: tuple[str, ...], now: int) -> list[Mark] | None:
        """The latest hits of all these rules within the timespan, the earliest first."""
        marks = []
        for rule in occur:
            mark = self._recent(memory, rule, now)
            if mark is None:
                return None
            marks.append(mark)
        return sorted(marks, key=lambda mark: (mark.time, mark.id))

    def _recent(self, memory: Rules, rule: str, now: int) -> Mark | None:
        mark = memory.latest.get(rule)
        return mark if mark is not None and mark.time >= now - self._timespan else None

    def _seen(self, memory: Rules, rule: str, now: int) -> bool:
        return self._recent(memory, rule, now) is not None
