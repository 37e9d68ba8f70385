"""Sliding windows that count: events, and distinct values, remembering no more than the threshold needs."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, TypeAlias

from detectors.correlation.signals import Found, Mark, Reached, Signal, plain, restored

Marks: TypeAlias = "deque[Mark]"
Seen: TypeAlias = "OrderedDict[int | str, Mark]"


class Counting:
    """At least so many events within a timespan."""

    by_match = False

    def __init__(self, timespan: int, wanted: int) -> None:
        """`timespan` in microseconds; `wanted` events, at least one."""
        self._timespan = timespan
        self._wanted = wanted

    def open(self) -> Marks:
        """No events yet."""
        return deque()

    def feed(self, memory: Marks, signal: Signal) -> Found | None:
        """Count the event, unless it is counted already under another rule."""
        mark = signal.mark
        if not signal.fresh or (memory and memory[-1].same_event(mark)):
            return None
        start = mark.time - self._timespan
        while memory and (memory[0].time < start or len(memory) >= self._wanted):
            memory.popleft()
        memory.append(mark)
        return Found(memory[0], memory) if len(memory) >= self._wanted else None

    def due(self, memory: Marks) -> int | None:
        """Nothing ever waits."""
        return None

    def close(self, memory: Marks, now: int) -> Found | None:
        """Nothing ever waits."""
        return None

    def measure(self, memory: Marks) -> None:
        """Counts are the episode's."""

    def idle(self, memory: Marks) -> bool:
        """Whether there are no events."""
        return not memory

    def nearness(self, memory: Marks) -> float:
        """The share of what is wanted."""
        return len(memory) / self._wanted

    def reached(self, memory: Marks, now: int) -> Reached | None:
        """How many events count."""
        counted = [mark for mark in memory if mark.time >= now - self._timespan]
        if not counted:
            return None
        closes = counted[0].time + self._timespan
        return Reached(len(counted), len(counted), counted[0].time, closes)

    def dump(self, memory: Marks) -> list[Any]:
        """The marks."""
        return [plain(mark) for mark in memory]

    def load(self, stored: list[Any]) -> Marks:
        """The marks back."""
        return deque(map(restored, stored))


class Distinct:
    """At least so many distinct values, or different rules, within a timespan: the latest hit of each is remembered."""

    by_match = False

    def __init__(self, timespan: int, wanted: int, rules: tuple[str, ...] = ()) -> None:
        """`rules` are what is counted where it is not values."""
        self._timespan = timespan
        self._wanted = wanted
        self._rules = rules

    def open(self) -> Seen:
        """No values yet."""
        return OrderedDict()

    def feed(self, memory: Seen, signal: Signal) -> Found | None:
        """Count the value; only as many as are wanted are remembered, so a million cost no more."""
        if self._rules:
            value: int | str = signal.read
        elif signal.fresh and signal.value is not None:
            value = signal.value
        else:
            return None
        mark = signal.mark
        memory[value] = mark
        memory.move_to_end(value)
        start = mark.time - self._timespan
        while len(memory) > self._wanted or next(iter(memory.values())).time < start:
            memory.popitem(last=False)
        if len(memory) < self._wanted:
            return None
        if self._rules:
            return Found(
                next(iter(memory.values())), memory.values(), value=len(memory), occurred=list(map(str, memory))
            )
        return Found(next(iter(memory.values())), memory.values(), distinct=memory.keys())

    def due(self, memory: Seen) -> int | None:
        """Nothing ever waits."""
        return None

    def close(self, memory: Seen, now: int) -> Found | None:
        """Nothing ever waits."""
        return None

    def measure(self, memory: Seen) -> None:
        """Counts are the episode's."""

    def idle(self, memory: Seen) -> bool:
        """Whether there are no values."""
        return not memory

    def nearness(self, memory: Seen) -> float:
        """The share of what is wanted."""
        return len(memory) / self._wanted

    def reached(self, memory: Seen, now: int) -> Reached | None:
        """How many values count, and which rules are missing."""
        counted = {value: mark for value, mark in memory.items() if mark.time >= now - self._timespan}
        if not counted:
            return None
        oldest = next(iter(counted.values())).time
        missing = tuple(rule for rule in dict.fromkeys(self._rules) if rule not in counted)
        return Reached(len(counted), len(counted), oldest, oldest + self._timespan, missing)

    def dump(self, memory: Seen) -> list[Any]:
        """Values and marks, the oldest first."""
        return [[value, plain(mark)] for value, mark in memory.items()]

    def load(self, stored: list[Any]) -> Seen:
        """The values back."""
        return OrderedDict((value, restored(mark)) for value, mark in stored)
