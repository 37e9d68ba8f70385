"""Sorts events by the rules that see them and the fields that those rules read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import itemgetter, or_
from sys import getsizeof
from typing import Any, TypeAlias

from almena.event import Event
from detectors.sigma.index.atoms import NONE, Held
from detectors.sigma.logsource import READ, WINDOWS, Origin, Route, origin_of, route_of
from detectors.sigma.rules import LogSource
from detectors.sigma.values import ENVELOPE, MISFIT

MOST_SHAPES = 4_096
"""Sets of field names that are remembered; strangers choose them, so all are forgotten beyond it."""

MOST_ROUTES = 4_096
"""Combinations of log sources that are remembered, likewise."""

MOST_REACHES = 512
"""Choices of the rules' log sources that are remembered, likewise; each lists all rules that see the event."""

MOST_LANES = 16_384
"""Shapes by log source that are remembered, likewise."""

MOST_BYTES = 32 << 20
"""Bytes that the names of shapes and their lanes need, about, likewise."""

MOST_FIELDS = 512
"""Fields of a shape that is remembered."""

LONGEST_KEY = 1_024
"""Characters of names or of what routing reads that are remembered."""

_LANE, _NAME = 600, 24
"""Bytes of a lane, and of each name that it may read."""

_TOO_DEEP = "?" * (LONGEST_KEY + 1)
"""Stands for values that are nested too deeply to be written; too long to be remembered."""

_EXACT = 10**15
"""Integers below are written as the equal float is."""

Places: TypeAlias = frozenset[int]
"""Positions of rules in the order they were loaded."""

Flatten: TypeAlias = Callable[[Event], Event]
"""From an event with objects in it to one with dotted names; others stay as they are."""

Column: TypeAlias = Callable[[Sequence[object]], Sequence[Held]]
"""From the values of one field in many events to what holds for each."""


Row: TypeAlias = Callable[[Event], tuple[object, ...]]
"""Some values of an event."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """The rules that see events of some log source, and what they read."""

    rules: Places = frozenset()
    fields: frozenset[str] = frozenset()
    keywords: Held = NONE
    """Numbers of the predicates that search the whole event."""
    pairs: Held = NONE
    """Numbers of the predicates that compare two fields."""
    always: Places = frozenset()
    """Rules that may match where nothing they ask for holds."""

    def __or__(self, other: Reach) -> Reach:
        return Reach(
            self.rules | other.rules,
            self.fields | other.fields,
            self.keywords | other.keywords,
            self.pairs | other.pairs,
            self.always | other.always,
        )


NOWHERE = Reach()


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """Events of one shape from one log source."""

    reach: Reach
    values: Row | None
    """The values that rules read; None when there are none."""
    columns: tuple[Column, ...]
    constant: Held
    """What holds for every event of the lane by the values that routed it here."""
    texts: Row | None
    """The values that keywords search; None when no rule has keywords."""
    pairs: Held
    """Those of the reach whose two fields the shape has."""


class _Shape:
    """Events with the same field names in the same order."""

    __slots__ = ("key", "lanes", "names", "own", "partial")

    def __init__(self, names: tuple[str, ...], outer: frozenset[str]) -> None:
        self.names = names
        known = set(names)
        read = [[name for name in aliases if name in known] for aliases in READ]
        # Windows events are routed without what only others need, such as categories: lists, which make poor keys.
        unused = _OF_OTHERS if not known.isdisjoint(WINDOWS) else frozenset()
        own = [names[0] for names in read if names and names[0] not in unused]
        self.own = tuple(own)
        self.partial = not unused.isdisjoint(known)
        self.key: Callable[[Event], Any] = itemgetter(*own) if own else lambda event: None
        if not outer.isdisjoint(known):
            self.key = _with_types(self.key, [name for name in names if name in outer])
        self.lanes: dict[Any, Lane | None] = {}


class Lanes:
    """From events to lanes."""

    def __init__(
        self,
        groups: Sequence[tuple[LogSource, Reach]],
        column: Callable[[str], Column],
        pairs: Callable[[Reach, frozenset[str]], Held],
        flatten: Flatten | None = None,
    ) -> None:
        """`groups` are the rules by log source.

        `column` gives what answers a field; `pairs` says which of a reach's pairs have both their fields among the
        names of a shape. `flatten` is for events with objects in them, and called where rules look into one.
        """
        self._groups = groups
        self._column = column
        self._pairs = pairs
        self._flatten = flatten
        fields = frozenset().union(*(reach.fields for _, reach in groups))
        self._outer = _outer(chain(fields, ENVELOPE, *READ)) if flatten else frozenset()
        self._reaches: dict[Route, Reach] = {}
        self._joined: dict[tuple[Reach, ...], Reach] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._open_shapes: dict[tuple[str, ...], _Shape] = {}
        self._count = 0
        self._bytes = 0

    def sort(self, events: Iterable[Event]) -> dict[Lane, tuple[list[int], list[Event]]]:
        """The events by lane, with their places; those that no rule sees are left out."""
        found: dict[Lane, tuple[list[int], list[Event]]] = {}
        shapes = self._shapes
        for place, event in enumerate(events):
            try:
                shape = shapes[tuple(event)]
                lane = shape.lanes[shape.key(event)]
            except (KeyError, TypeError):
                event, lane = self._look(event)
            if lane is not None:
                entry = found.get(lane)
                if entry is None:
                    entry = found[lane] = ([], [])
                entry[0].append(place)
                entry[1].append(event)
        return found

    def _look(self, event: Event) -> tuple[Event, Lane | None]:
        if self._flatten is not None and _of_objects(event, self._outer):
            event = self._flatten(event)
            return event, self._find(event, self._open_shapes)
        misfit = event.get(MISFIT)
        if isinstance(misfit, dict):
            event = {**event, **misfit, **{name: value for name, value in event.items() if value is not None}}
            return event, self._find(event, self._open_shapes)
        return event, self._find(event, self._open_shapes if MISFIT in event else self._shapes)

    def _find(self, event: Event, shapes: dict[tuple[str, ...], _Shape]) -> Lane | None:
        names = tuple(event)
        shape = shapes.get(names)
        if shape is None:
            shape = _Shape(names, self._outer)
            if len(names) <= MOST_FIELDS and sum(map(len, names)) <= LONGEST_KEY * 16:
                self._take(sum(map(getsizeof, names)), full=len(shapes) >= MOST_SHAPES)
                shapes[names] = shape
        key = shape.key(event)
        try:
            found = shape.lanes.get(key, shape)
        except TypeError:  # a list: such shapes are known by how their values are written
            shape.key = _written(shape.key)
            shape.lanes.clear()
            key, found = shape.key(event), shape
        if not isinstance(found, _Shape):
            return found
        origin = origin_of(event)
        fixed = {name: event[name] for name in shape.own if _same(event[name])}
        lane = self._lane(names, self._reach(route_of(origin)), fixed)
        written = str(key)
        if len(written) <= LONGEST_KEY and not _otherwise(origin, event, shape):
            self._take(getsizeof(written) + _LANE + _NAME * len(names), full=self._count >= MOST_LANES)
            self._count += 1
            shape.lanes[key] = lane
        return lane

    def _take(self, size: int, *, full: bool) -> None:
        """Account for what is to be remembered; all that was so is forgotten when there is no room."""
        if full or self._bytes + size > MOST_BYTES:
            self._forget()
        self._bytes += size

    def _forget(self) -> None:
        self._count = self._bytes = 0
        self._shapes.clear()
        self._open_shapes.clear()

    def _reach(self, route: Route) -> Reach:
        found = self._reaches.get(route)
        if found is None:
            seeing = tuple([reach for logsource, reach in self._groups if route.reaches(logsource)])
            found = self._joined.get(seeing)
            if found is None:
                found = reduce(or_, seeing, NOWHERE)
                if len(self._joined) >= MOST_REACHES:
                    self._joined.clear()
                    self._reaches.clear()
                    self._forget()
                self._joined[seeing] = found
            if len(self._reaches) >= MOST_ROUTES:
                self._reaches.clear()
            self._reaches[route] = found
        return found

    def _lane(self, names: tuple[str, ...], reach: Reach, fixed: Event) -> Lane | None:
        if not reach.rules:
            return None
        read = tuple(name for name in names if name in reach.fields and name not in fixed)
        held = (self._column(name)([value]) for name, value in fixed.items() if name in reach.fields)
        searched = tuple(name for name in names if name not in ENVELOPE) if reach.keywords else ()
        return Lane(
            reach=reach,
            values=_getter(read),
            columns=tuple(map(self._column, read)),
            constant=NONE.union(*chain.from_iterable(held)),
            texts=_getter(searched),
            pairs=self._pairs(reach, frozenset(names)) if reach.pairs else NONE,
        )


_OF_OTHERS = frozenset(("event.category", "event.type", "process.name", "host.os.type"))


def _otherwise(origin: Origin, event: Event, shape: _Shape) -> bool:
    """True for the odd event that is routed by something else than its shape lets expect."""
    others = shape.partial and (origin.category or origin.type or origin.process)
    return bool(others) or any(event[name] is None for name in shape.own)


def _outer(fields: Iterable[str]) -> frozenset[str]:
    """Names of objects that may hold one of `fields`, and of those that routing looks at."""
    parts = [name.split(".") for name in fields]
    return frozenset(".".join(part[:end]) for part in parts for end in range(1, len(part))) | {"Event"}


def _with_types(key: Callable[[Event], Any], outer: Sequence[str]) -> Callable[[Event], Any]:
    """Events whose outer names hold objects, and those where they hold texts, are not of one shape."""
    return lambda event: (key(event), *[type(event[name]) for name in outer])


def _of_objects(event: Event, outer: frozenset[str]) -> bool:
    """True where an object or a list is what rules look into, or where routing looks for a text."""
    looked = chain(outer.intersection(event), chain.from_iterable(READ))
    return any(type(event.get(name)) in (dict, list) for name in looked)


def _same(value: object) -> bool:
    """True for values that nothing else equals which means something else, as true equals 1 or 1e20 its digits."""
    return type(value) is str or (type(value) is int and value not in (0, 1) and -_EXACT < value < _EXACT)


def _written(key: Callable[[Event], Any]) -> Callable[[Event], Any]:
    def written(event: Event) -> str:
        try:
            return repr(key(event))
        except RecursionError:
            return _TOO_DEEP

    return written


def _getter(names: tuple[str, ...]) -> Row | None:
    if not names:
        return None
    if len(names) == 1:
        name = names[0]
        return lambda event: (event[name],)
    return itemgetter(*names)
