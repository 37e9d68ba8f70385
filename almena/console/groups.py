"""The queue's rows: alerts folded by group, page by page, without reading every alert of a noisy group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from almena.clock import format_time, parse_time
from almena.console.show import LEVELS
from almena.errors import UsageError
from almena.store import Filter, Query, Store, Terms, Versioned

GROUP = "almena.alert.group"
LEVEL = "almena.alert.level"
SEEN = "almena.alert.last_seen"

_ROUNDS = 40
_CURSOR = re.compile(r"([a-z]*)~(\d{1,17})~([\w-]{1,80})")


@dataclass(frozen=True)
class Row:
    """One group as the queue shows it; `top` is its newest alert among those that match."""

    top: Versioned
    count: int
    """Alerts of the group that match."""
    waiting: int
    """Those of them that nobody acknowledged."""
    first_seen: str

    @property
    def alert(self) -> dict[str, Any]:
        """The newest alert's document."""
        return self.top.document


@dataclass(frozen=True)
class Place:
    """Behind which alert a page begins, in which level; `level` is empty when levels are not kept apart."""

    level: str
    time: int
    id: str

    def text(self) -> str:
        """The place as it stands in an address."""
        return f"{self.level}~{self.time}~{self.id}"


def read_place(text: str) -> Place | None:
    """The place an address names; raises UsageError when it is none."""
    if not text:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None or found[1] not in ("", *LEVELS):
        raise UsageError("the page asked for does not exist; begin at the first one")
    return Place(found[1], int(found[2]), found[3])


def page(
    store: Store, query: Query, *, counts: Mapping[str, int], by_level: bool, place: Place | None, size: int
) -> tuple[list[Row], Place | None]:
    """One page of rows, and where the next begins.

    `query` sorts by last_seen, newest first; `counts` are its alerts per level, so that empty levels cost nothing.
    """
    found: list[tuple[str, Versioned]] = []
    levels = [level for level in LEVELS if counts.get(level)] if by_level else [""]
    if place is not None and place.level:
        levels = [level for level in levels if LEVELS.index(level) >= LEVELS.index(place.level)]
    for level in levels:
        walk = _Walk(store, _of_level(query, level), place if place and place.level == level else None)
        for top in walk:
            if len(found) == size:
                last_level, last = found[-1]
                return _rows(store, query, found), Place(last_level, parse_time(last.document[SEEN]), last.id)
            found.append((level, top))
        if walk.stopped_at is not None:
            return _rows(store, query, found), Place(
                level, parse_time(walk.stopped_at.document[SEEN]), walk.stopped_at.id
            )
    return _rows(store, query, found), None


@dataclass
class _Walk:
    """Iterates over the newest alert of each group behind `place`, leaving out groups seen before it."""

    store: Store
    query: Query
    place: Place | None
    seen: set[str] = field(default_factory=set)
    stopped_at: Versioned | None = None
    """The last alert looked at, when the walk gave up before its end."""

    def __iter__(self) -> Iterator[Versioned]:
        query = self.query
        if self.place is not None:
            query = _and(query, Filter(SEEN, "lt", (format_time(self.place.time + 1),)))
        last: Versioned | None = None
        for _ in range(_ROUNDS):
            rest = _and(query, Filter(GROUP, "in", tuple(sorted(self.seen)), negate=True)) if self.seen else query
            batch = self.store.search(rest)
            yield from self._new(batch.items)
            if batch.cursor is None:
                return
            last = batch.items[-1]
        self.stopped_at = last

    def _new(self, items: list[Versioned]) -> list[Versioned]:
        tops: dict[str, Versioned] = {}
        for item in items:
            group = _group(item)
            if group not in self.seen and group not in tops:
                tops[group] = item
        self.seen |= tops.keys()
        if self.place is None:
            return list(tops.values())
        behind = {group: item for group, item in tops.items() if not self._at_or_before(item, self.place)}
        shown = self._shown(list(behind), self.place)
        return [item for group, item in behind.items() if group not in shown]

    def _at_or_before(self, item: Versioned, place: Place) -> bool:
        return parse_time(item.document[SEEN]) == place.time and item.id >= place.id

    def _shown(self, groups: list[str], place: Place) -> set[str]:
        """Which of the groups have newer alerts, so that they stood on an earlier page."""
        newer = _and(
            self.query, Filter(GROUP, "in", tuple(groups)), Filter(SEEN, "gte", (format_time(place.time + 1),))
        )
        return {group for group, _ in self.store.aggregate(newer, Terms(GROUP, limit=len(groups)))} if groups else set()


def _rows(store: Store, query: Query, found: list[tuple[str, Versioned]]) -> list[Row]:
    rows: list[Row] = []
    for level in dict.fromkeys(level for level, _ in found):
        tops = [top for its_level, top in found if its_level == level]
        these = _and(_of_level(query, level), Filter(GROUP, "in", tuple(_group(top) for top in tops)))
        counts = dict(store.aggregate(these, Terms(GROUP, limit=len(tops))))
        open_ones = _and(these, Filter("almena.alert.status", "in", ("open",)))
        waiting = dict(store.aggregate(open_ones, Terms(GROUP, limit=len(tops))))
        for top in tops:
            count = counts.get(_group(top), 1)
            first = (
                _first_seen(store, these, top) if count > 1 else str(top.document.get("almena.alert.first_seen", ""))
            )
            rows.append(Row(top, count, waiting.get(_group(top), 0 if _group(top) in counts else 1), first))
    return rows


def _first_seen(store: Store, query: Query, top: Versioned) -> str:
    of_group = _and(query, Filter(GROUP, "in", (_group(top),)))
    oldest = msgspec.structs.replace(of_group, sort="almena.alert.first_seen", descending=False, limit=1)
    items = store.search(oldest).items or [top]
    return str(items[0].document.get("almena.alert.first_seen", ""))


def _group(item: Versioned) -> str:
    return str(item.document.get(GROUP) or item.id)


def _of_level(query: Query, level: str) -> Query:
    return _and(query, Filter(LEVEL, "in", (level,))) if level else query


def _and(query: Query, *filters: Filter) -> Query:
    return msgspec.structs.replace(query, filters=query.filters + filters)
