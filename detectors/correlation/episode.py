"""An episode: the time over which one alert grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from detectors.correlation.sketches import DISTINCT_ERROR, Cardinality

MOST_VALUES = 500
"""Distinct values of one episode that are counted exactly."""


@dataclass(slots=True)
class Values:
    """The distinct values of an episode, by digest."""

    seen: set[int] = field(default_factory=set)
    many: Cardinality | None = None

    @classmethod
    def of(cls, distinct: Iterable[int | str] | Cardinality) -> Values:
        """Those that a window had when the episode began."""
        if isinstance(distinct, Cardinality):
            return cls(set(), Cardinality(distinct.registers))
        values = cls()
        for value in distinct:
            values.add(int(value))
        return values

    def add(self, value: int) -> None:
        """Take one."""
        if self.many is None:
            self.seen.add(value)
            if len(self.seen) <= MOST_VALUES:
                return
            self.many = Cardinality()
            for before in self.seen:
                self.many.add(before)
            self.seen = set()
        self.many.add(value)

    def __len__(self) -> int:
        return len(self.seen) if self.many is None else len(self.many)

    @property
    def error(self) -> float:
        """How far off the number may be, relative."""
        return 0.0 if self.many is None else DISTINCT_ERROR

    def dump(self) -> Any:
        """As plain values."""
        return sorted(self.seen) if self.many is None else bytes(self.many.registers)

    @classmethod
    def load(cls, stored: Any) -> Values:
        """Back from `dump`."""
        if isinstance(stored, bytes):
            return cls(set(), Cardinality(stored))
        return cls(set(stored))


@dataclass(slots=True)
class Episode:
    """What is known of an alert that is open."""

    alert: str
    """Its id."""
    root: str
    """The id of its first hit."""
    start: int
    """The time of its first hit."""
    first: dict[str, Any]
    """What is said of that hit."""
    time: int
    """The time of the last hit."""
    last: str
    """Its id."""
    fields: dict[str, Any]
    """Its fields."""
    count: int
    shadow: bool = False
    """In shadow for as long as it goes on: what somebody reads as an alert does not turn into one, nor back."""
    told: str = ""
    """The id of the last hit that a revision told of."""
    value: int | float | None = None
    """What was compared, where that is no count of the episode."""
    error: float = 0.0
    total: int | None = None
    """The sum of all its values in millionths, where that is what counts."""
    values: Values | None = None
    """Its distinct values, where they are what counts."""
    occurred: list[str] = field(default_factory=list)
    """Ids of the rules that its condition was met with, where rules are what counts."""

    def dump(self) -> list[Any]:
        """As plain values."""
        return [
            self.alert,
            self.root,
            self.start,
            self.first,
            self.time,
            self.last,
            self.fields,
            self.count,
            self.shadow,
            self.told,
            self.value,
            self.error,
            self.occurred,
            None if self.total is None else str(self.total),
            None if self.values is None else self.values.dump(),
        ]

    @classmethod
    def load(cls, stored: list[Any]) -> Episode:
        """Back from `dump`."""
        *plain, occurred, total, values = stored
        episode = cls(*plain)
        episode.total = None if total is None else int(total)
        episode.occurred = occurred
        episode.values = None if values is None else Values.load(values)
        return episode
