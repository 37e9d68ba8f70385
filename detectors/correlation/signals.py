"""What goes through a correlation's window: one hit at a time, remembered as no more than a mark of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from almena.clock import format_time
from almena.hit import Hit
from detectors.correlation.sketches import Cardinality


class Mark(NamedTuple):
    """A hit as it is remembered."""

    time: int
    """When it counts, microseconds."""
    id: str
    """The hit's id."""
    fields: Mapping[str, Any] | None = None
    """Its fields; None where there are too many marks to keep them."""
    weight: int = 1
    """Events it rests on."""
    root: Any = None
    """The mark of the earliest hit it rests on, where a correlation found it; None where that is itself."""

    @property
    def first(self) -> Mark:
        """The mark of the earliest hit it rests on."""
        found: Mark = self if self.root is None else self.root
        return found

    @property
    def event(self) -> str:
        """The id of the event behind it, which may have matched several rules."""
        return event_of(self.id)

    def same_event(self, other: Mark) -> bool:
        """Whether both are of one event, which has matched several rules."""
        return self.time == other.time and self.event == other.event != ""

    def evidence(self) -> dict[str, Any]:
        """What an alert can say of it."""
        return {"@timestamp": format_time(self.time), "event.id": self.event} | dict(self.fields or {})


@dataclass(frozen=True, slots=True)
class Signal:
    """A hit on its way through a window."""

    mark: Mark
    read: str
    """The rule or correlation that it is a hit of."""
    value: int | None = None
    """The digest of the value that is counted, or the number itself in millionths."""
    fresh: bool = True
    """False where a correlation's condition goes on holding."""

    @property
    def weight(self) -> int:
        """How many events more it adds: of what goes on, one."""
        return self.mark.weight if self.fresh else 1


@dataclass(frozen=True, slots=True)
class Found:
    """A condition holds."""

    first: Mark
    """The mark that its alert begins with."""
    marks: Iterable[Mark] = ()
    """All that it rests on, as far as that is remembered; walked once, at the beginning of an episode."""
    last: Mark | None = None
    """The last of them; None where it is the present hit."""
    count: int = 0
    """Events it rests on; 0 for the sum over `marks`."""
    value: int | float | None = None
    """What was compared, for people; None where that is the count."""
    error: float = 0.0
    """How far off `value` may be, relative."""
    total: int | None = None
    """The sum of the numbers in millionths, where that is what was compared."""
    distinct: Iterable[int | str] | Cardinality | None = None
    """The digests of the distinct values, where these are what was counted."""

    occurred: Sequence[str] = ()
    """Ids of the rules it was met with, where rules are what counts."""

    def events(self) -> int:
        """Events it rests on."""
        return self.count or sum(mark.weight for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a window has come."""

    value: int | float
    hits: int
    first: int
    """Event time of the oldest mark that counts."""
    closes: int
    """Event time at which it is decided, or at which that oldest mark stops to count."""
    missing: tuple[str, ...] = ()
    """Rules that have not been seen."""


def plain(mark: Mark) -> list[Any]:
    """The mark as it is stored; the usual one is short."""
    if mark.root is not None:
        return [mark.time, mark.id, mark.fields, mark.weight, plain(mark.root)]
    if mark.weight != 1:
        return [mark.time, mark.id, mark.fields, mark.weight]
    return [mark.time, mark.id] if mark.fields is None else [mark.time, mark.id, mark.fields]


def restored(stored: list[Any]) -> Mark:
    """The mark back from `plain`."""
    if len(stored) == 5:
        *own, root = stored
        return Mark(own[0], own[1], own[2], own[3], restored(root))
    return Mark(*stored)


def event_of(ident: str) -> str:
    """The id of the event behind a hit's id."""
    return ident.rpartition("/")[0]


def mark_of(hit: Hit, keep: Sequence[str] | None = None) -> Mark:
    """The mark of a hit with all its fields, or with those in `keep` that it has."""
    root = None
    if hit.first is not None:
        began, ident, fields = hit.first
        root = Mark(began, ident, _kept(fields, keep))
    return Mark(hit.time, hit.id, _kept(hit.fields, keep), hit.count, root)


def _kept(fields: Mapping[str, Any], keep: Sequence[str] | None) -> Mapping[str, Any] | None:
    if keep is None:
        return fields
    return {name: fields[name] for name in keep if name in fields} if keep else None
