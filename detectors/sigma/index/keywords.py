"""Keywords, which any value of an event may hold: all values of a batch of events are searched in one pass."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any

import hyperscan

from detectors.sigma.expression import Predicate
from detectors.sigma.index.atoms import NONE, Held
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.values import texts

LONGEST = 2_000
"""Bytes of a keyword that the automaton takes; longer ones are looked for one by one."""

MOST_MATCHES = 32
"""Occurrences per event of a batch; beyond it the events are searched one by one, each keyword once."""

_BETWEEN = "\0"
"""Stands between values; a keyword that holds it is looked for one by one."""

_SCALARS = ("true", "false")


class Keywords:
    """The keywords of the rules that see some log source."""

    def __init__(self, predicates: Iterable[tuple[int, Predicate]]) -> None:
        """`predicates` with their numbers."""
        literals: list[tuple[int, Predicate]] = []
        others: list[tuple[int, Predicate]] = []
        for number, predicate in predicates:
            (literals if _is_literal(predicate) else others).append((number, predicate))
        self._others = FieldIndex(others) if others else None
        self._each = FieldIndex(literals)
        self._scalars = bool(others) or any(_may_be_scalar(str(predicate.value)) for _, predicate in literals)
        self._cased = [predicate.cased for _, predicate in literals]
        self._numbers = [number for number, _ in literals]
        self._database = _database(literals) if literals else None

    def of(self, columns: Iterable[Sequence[object]], count: int) -> Sequence[Held]:
        """The numbers that hold for each of `count` events whose values are `columns`; empty when none holds."""
        plain, rest = [], []
        for column in columns:
            kinds = set(map(type, column))
            if kinds == {str}:
                plain.append(column)
            elif self._scalars or not kinds <= _WITHOUT_TEXT:
                rest.append(column)
        events: list[str] = list(map(_BETWEEN.join, zip(*plain, strict=True))) if plain else [""] * count  # type: ignore[arg-type]
        if rest:
            events = list(map(_with, events, zip(*rest, strict=True)))
        found: dict[int, Held] = {}
        if self._database is not None:
            self._search(events, found)
        if self._others is not None:
            self._ask_others(self._others, plain + rest, events, found)
        return [found.get(place, NONE) for place in range(count)] if found else ()

    def _search(self, events: Sequence[str], found: dict[int, Held]) -> None:
        joined = _BETWEEN.join(events)
        if joined.isascii():
            self._scan(joined.encode(), events, list(map(len, events)), found)
            return
        plain = [place for place, text in enumerate(events) if text.isascii()]
        inner: dict[int, Held] = {}
        if plain:
            self._search([events[place] for place in plain], inner)
            found.update((plain[place], held) for place, held in inner.items())
        # Beyond ASCII the automaton does not know upper from lower case.
        odd = [place for place, text in enumerate(events) if not text.isascii()]
        for lower in (True, False) if any(self._cased) else (True,):
            encoded = [(t.lower() if lower else t).encode("utf-8", "surrogatepass") for t in (events[p] for p in odd)]
            inner = {}
            self._scan(
                b"\0".join(encoded), [events[p] for p in odd], list(map(len, encoded)), inner, cased=not lower
            )
            for place, held in inner.items():
                found[odd[place]] = found.get(odd[place], NONE) | held

    def _scan(
        self, data: bytes, events: Sequence[str], sizes: list[int], found: dict[int, Held], *, cased: bool | None = None
    ) -> None:
        """Put what stands in `data`, the events one behind the other, into `found`."""
        hits: list[tuple[int, int]] = []
        most = MOST_MATCHES * (len(events) + 32)

        def take(place: int, _start: int, stop: int, _flags: int, _context: object) -> bool:
            hits.append((stop, place))
            return len(hits) > most

        try:
            self._database.scan(data, match_event_handler=take)  # type: ignore[union-attr]
        except hyperscan.ScanTerminated:
            for place, text in enumerate(events):
                if held := NONE.union(*self._each.answers(text.split(_BETWEEN))):
                    found[place] = held
            return
        if hits:
            ends = list(accumulate(size + 1 for size in sizes))
            held_at: dict[int, set[int]] = defaultdict(set)
            for stop, place in hits:
                if cased is None or self._cased[place] == cased:
                    held_at[bisect_right(ends, stop - 1)].add(self._numbers[place])
            found.update((place, frozenset(numbers)) for place, numbers in held_at.items())

    def _ask_others(
        self, index: FieldIndex, columns: Sequence[Sequence[object]], events: Sequence[str], found: dict[int, Held]
    ) -> None:
        """Patterns and networks, value by value, where an event may hold one at all."""
        for place, text in enumerate(events):
            if index.possible(text):
                said = list(chain.from_iterable(texts([column[place]]) for column in columns))
                if held := NONE.union(*index.answers(said)):
                    found[place] = found.get(place, NONE) | held


_WITHOUT_TEXT = {int, float, bool, type(None)}


def _with(event: str, values: Sequence[object]) -> str:
    return _BETWEEN.join([event, *texts(list(values))])


def _is_literal(predicate: Predicate) -> bool:
    value = predicate.value
    return (
        predicate.op == "contains"
        and isinstance(value, str)
        and 0 < len(value.encode("utf-8", "surrogatepass")) <= LONGEST
        and _BETWEEN not in value
    )


def _may_be_scalar(literal: str) -> bool:
    """True when a number, true or false, written out, could hold `literal`."""
    literal = literal.lower()
    return not literal.strip("+-.0123456789e") or any(literal in word for word in _SCALARS) or literal in "infnan"


def _database(literals: Sequence[tuple[int, Predicate]]) -> Any:
    database = hyperscan.Database()
    database.compile(
        expressions=[_exactly(str(predicate.value)) for _, predicate in literals],
        ids=list(range(len(literals))),
        flags=[0 if predicate.cased else hyperscan.HS_FLAG_CASELESS for _, predicate in literals],
    )
    return database


def _exactly(text: str) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in text.encode("utf-8", "surrogatepass"))
