"""What correlate remembers of one correlation or model, read from the bus beside the work: groups, clocks, hits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from almena.bus import EVENTS, HITS, Bus
from almena.correlate import owner
from almena.hit import decode_hit, split_key
from almena.progress import Progress
from almena.state import State
from almena.store import ALL, Scope
from almena.watermarks import Watermarks

READER = "correlate"
"""The group that reads hits, and the owner of its own state."""

MOST_PENDING = 100_000
"""Waiting hits of one partition that are looked through."""

_US = "\x1f"


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How far event time has come in one partition."""

    partition: int
    lateness: int
    """0 for the live clock, otherwise what it waits for, microseconds."""
    watermark: int
    """Microseconds; -1 while detect has not spoken of every partition of events."""
    waiting: int = 0
    """Hits for the correlation that wait for it."""
    more: bool = False
    """Whether there may be more of them than were counted."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group, and the clock its windows go by."""

    progress: Progress
    clock: Clock

    @property
    def past(self) -> bool:
        """Whether its oldest hit has left the window, which the next hit will notice."""
        return not self.progress.alert and self.progress.closes < self.clock.watermark

    def named(self, key: str) -> bool:
        """Whether `key` is the whole group as it is kept, or one of its values."""
        wanted = key.strip().casefold()
        values = [self.progress.key, self.progress.agency, *self.progress.group.values()]
        return any(str(value).casefold() == wanted for value in values)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One table of an operator that does not tell its progress."""

    table: str
    entries: int
    size: int
    """Bytes of keys and values."""
    named: tuple[str, ...] = ()
    """The keys that were asked for, or have it among their values."""


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """Everything correlate has committed of one operator."""

    groups: list[Group] = field(default_factory=list)
    """The nearest to firing first; those that are past behind all others."""
    tables: list[Kept] = field(default_factory=list)
    """Of an operator without progress."""
    clocks: list[Clock] = field(default_factory=list)
    whole: bool = True
    """False when there was more than was looked at."""


def remembered(bus: Bus, operator: Any, *, scope: Scope = ALL, key: str = "", limit: int | None = None) -> Remembered:
    """What is remembered of `operator` for the agencies of `scope`; at most `limit` entries a partition are read.

    `key` chooses groups: the whole one as it is kept, or one of its values.
    """
    groups: list[Group] = []
    clocks: dict[tuple[int, int], Clock] = {}
    tables: dict[str, list[tuple[str, int]]] = {}
    whole = True
    for partition in range(bus.partitions(HITS)):
        saved, complete = _owned(bus, partition, owner(operator), limit)
        whole &= complete
        clocks |= {(partition, each.lateness): each for each in _clocks(bus, partition, operator, scope, saved)}
        for lateness, entries in saved.items():
            clock = clocks[partition, lateness]
            if hasattr(operator, "progress"):
                state = State(owner(operator), entries)
                found = operator.progress(state, now=clock.watermark)
                groups += [Group(progress=item, clock=clock) for item in found if _may(item, scope)]
            elif scope is ALL:
                for name, data in entries.items():
                    table, _, entry = name.partition(_US)
                    tables.setdefault(table, []).append((entry, len(name) + len(data)))
    if key:
        groups = [group for group in groups if group.named(key)]
    groups.sort(key=lambda group: (group.past, -group.progress.nearness, -group.progress.last, group.progress.key))
    kept = [_kept(table, entries, key) for table, entries in sorted(tables.items())]
    return Remembered(groups=groups, tables=kept, clocks=[clocks[name] for name in sorted(clocks)], whole=whole)


def _may(progress: Progress, scope: Scope) -> bool:
    return scope is None or progress.agency in scope


def _owned(bus: Bus, partition: int, name: str, limit: int | None) -> tuple[dict[int, dict[str, bytes]], bool]:
    """The operator's entries by clock, without its name, and whether these are all."""
    found = bus.snapshot(HITS, READER, partition, name, limit=limit).state
    saved: dict[int, dict[str, bytes]] = {}
    for full, data in found.items():
        whose, _, rest = full.partition(_US)
        base, _, lateness = whose[len(name) :].partition("@")
        if base == "" and (lateness == "" or lateness.isdecimal()):  # not of a version that begins alike
            saved.setdefault(int(lateness or 0), {})[rest] = data
    return saved, limit is None or len(found) < limit


def _kept(table: str, entries: list[tuple[str, int]], key: str) -> Kept:
    wanted = key.strip().casefold()
    named = [name for name, _ in entries if wanted in (part.casefold() for part in (name, *split_key(name)))]
    return Kept(table=table, entries=len(entries), size=sum(size for _, size in entries), named=tuple(sorted(named)))


def _clocks(bus: Bus, partition: int, operator: Any, scope: Scope, used: Iterable[int]) -> Iterator[Clock]:
    """The clocks of a partition, those `used` among them, with the hits for the operator that wait for each."""
    prefix = f"{READER}{_US}"
    told = bus.snapshot(HITS, READER, partition, f"{prefix}watermarks{_US}").state
    role = State(READER, {name.removeprefix(prefix): data for name, data in told.items()})
    marks = Watermarks(
        role.table("watermarks", limit=MOST_PENDING), events=bus.partitions(EVENTS), hits=bus.partitions(HITS)
    )
    pending = bus.snapshot(HITS, READER, partition, f"{prefix}hits{_US}", limit=MOST_PENDING).state
    waiting = Counter(clock for data in pending.values() if (clock := _waits(data, operator, scope)) is not None)
    for lateness in sorted({0, *marks.clocks, *waiting, *used}):
        yield Clock(
            partition=partition,
            lateness=lateness,
            watermark=marks.at(lateness, operator.depth),
            waiting=waiting[lateness],
            more=len(pending) == MOST_PENDING,
        )


def _waits(data: bytes, operator: Any, scope: Scope) -> int | None:
    """The clock of a waiting hit, if it is for the operator and may be seen; one that is damaged is nobody's."""
    try:
        hit = decode_hit(data)
    except msgspec.MsgspecError:
        return None
    mine = hit.detector == operator.name and (scope is None or split_key(hit.group)[0] in scope)
    return hit.clock if mine else None
