"""Keywords, which any value of an event may hold: all values of a batch of events are searched in one pass."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Any

import hyperscan
import msgspec

from detectors.sigma.expression import Predicate
from detectors.sigma.index.atoms import NONE, Held
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.values import fold, texts

LONGEST = 2_000
"""Bytes of a keyword that the automaton takes; longer ones are looked for one by one."""

MOST_MATCHES = 32
"""Occurrences per event of a batch; beyond it the events are searched one by one, each keyword once."""

TRIAL = 2_048
"""Events after which it is known whether most of them hold keywords; if so, suspecting them first is in vain."""

_BETWEEN = "\0"
"""Stands between values; a keyword that holds it is looked for one by one."""

_HIDDEN = (rb"\\u00[0-7]", rb"\\u0130", rb"\\u212[aA]", rb"\\/")
"""Ways in which JSON may write a character of ASCII, or one that becomes such in lower case, other than as itself; a
backslash that stands for itself may look so too."""

_TURN_ASCII = tuple("".join(f"\\x{byte:02x}" for byte in char.encode()).encode() for char in "\u0130\u212a")
"""The two characters beyond ASCII whose lower case is ASCII: a dotted I and the Kelvin sign."""

_SCALARS = ("true", "false", "-inf", "nan")


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
        self._raw = _raw_database(literals) if literals and not others and not self._scalars else None
        self._plain = all(str(predicate.value).isascii() for _, predicate in literals)
        self._looked = self._held = 0
        self.spent = self._others.spent if self._others is not None else {}
        """Nanoseconds by number that regular expressions took, estimated now and then."""
        self._usual = False
        """True when most events hold keywords."""

    def suspects(self, lines: Sequence[bytes]) -> list[int]:
        """The places of the events that may hold a keyword, by the JSON they were read from; often very few."""
        if self._raw is None or self._usual:
            return list(range(len(lines)))
        joined = b"\n".join(lines)
        odd: set[int] = set()
        if not self._plain:
            odd = {place for place, line in enumerate(lines) if not line.isascii() or b"\\u" in line}
        try:
            stops = _hits(self._raw, joined, MOST_MATCHES * (len(lines) + 32))
        except hyperscan.ScanTerminated:
            return list(range(len(lines)))
        if stops:
            ends = list(accumulate(len(line) + 1 for line in lines))
            odd.update(bisect_right(ends, stop - 1) for stop, _ in stops)
        self._tally(len(lines) - len(odd), 0)
        return sorted(odd)

    def _tally(self, looked: int, held: int) -> None:
        self._looked += looked
        self._held += held
        if self._looked >= TRIAL:
            self._usual = self._held * 2 > self._looked
            self._looked = self._held = 0

    def of(self, columns: Iterable[Sequence[object]], count: int) -> Sequence[Held]:
        """The numbers that hold for each of `count` events whose values are `columns`; empty when none holds."""
        plain: list[Any] = []
        rest: list[Any] = []
        for column in columns:
            kinds = set(map(type, column))
            if kinds == {str}:
                plain.append(column)
            elif self._scalars or not kinds <= _WITHOUT_TEXT:
                rest.append(column)
        events: list[str] = list(map(_BETWEEN.join, zip(*plain, strict=True))) if plain else [""] * count
        if rest:
            events = list(map(_with, events, zip(*rest, strict=True)))
        if self._usual and self._others is None:
            answers = self._each.answers(events)
            self._tally(count, sum(map(bool, answers)))
            return answers
        found: dict[int, Held] = {}
        if self._database is not None:
            self._search(events, found)
        if self._others is not None:
            self._ask_others(self._others, plain + rest, events, found)
        self._tally(count, len(found))
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
            encoded = [(fold(t) if lower else t).encode("utf-8", "surrogatepass") for t in (events[p] for p in odd)]
            inner = {}
            self._scan(b"\0".join(encoded), [events[p] for p in odd], list(map(len, encoded)), inner, cased=not lower)
            for place, held in inner.items():
                found[odd[place]] = found.get(odd[place], NONE) | held

    def _scan(
        self, data: bytes, events: Sequence[str], sizes: list[int], found: dict[int, Held], *, cased: bool | None = None
    ) -> None:
        """Put what stands in `data`, the events one behind the other, into `found`."""
        try:
            hits = _hits(self._database, data, MOST_MATCHES * (len(events) + 32))
        except hyperscan.ScanTerminated:
            self._each_once(events, found)
            return
        if hits:
            ends = list(accumulate(size + 1 for size in sizes))
            held_at: dict[int, set[int]] = defaultdict(set)
            for stop, place in hits:
                if cased is None or self._cased[place] == cased:
                    held_at[bisect_right(ends, stop - 1)].add(self._numbers[place])
            found.update((place, frozenset(numbers)) for place, numbers in held_at.items())

    def _each_once(self, events: Sequence[str], found: dict[int, Held]) -> None:
        """Keywords that are there many times cost less when each is told once for an event."""
        found.update((place, held) for place, held in enumerate(self._each.answers(events)) if held)

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
    return not literal.strip("+-.0123456789e") or any(literal in word for word in _SCALARS)


def _hits(database: Any, data: bytes, most: int) -> list[tuple[int, int]]:
    """Where each literal ends, and which it is; raises ScanTerminated beyond `most` of them."""
    hits: list[tuple[int, int]] = []

    def take(place: int, _start: int, stop: int, _flags: int, _context: object) -> bool:
        hits.append((stop, place))
        return len(hits) > most

    database.scan(data, match_event_handler=take)
    return hits


def _raw_database(literals: Sequence[tuple[int, Predicate]]) -> Any:
    """The literals as JSON writes them, what JSON may write in more than one way, and what lower case makes ASCII.

    Literals beyond ASCII are left out: where there are such, all lines with a character beyond ASCII are suspected.
    """
    written = [
        (number, replace(predicate, value=msgspec.json.encode(predicate.value).decode()[1:-1]))
        for number, predicate in literals
        if str(predicate.value).isascii()
    ]
    return _database(written, [*_HIDDEN, *_TURN_ASCII]) if written else None


def _database(literals: Sequence[tuple[int, Predicate]], others: Sequence[bytes] = ()) -> Any:
    database = hyperscan.Database()
    flags = [0 if predicate.cased else hyperscan.HS_FLAG_CASELESS for _, predicate in literals]
    database.compile(
        expressions=[*(_exactly(str(predicate.value)) for _, predicate in literals), *others],
        ids=list(range(len(literals) + len(others))),
        flags=[*flags, *(0 for _ in others)],
    )
    return database


def _exactly(text: str) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in text.encode("utf-8", "surrogatepass"))
