"""A store in memory for tests and demonstrations: the plainest reading of what a store promises."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from almena.clock import format_time
from almena.errors import Conflict
from almena.store import (
    ALL,
    Cardinality,
    Document,
    Histogram,
    Outcome,
    Page,
    Query,
    Scope,
    Terms,
    Versioned,
)
from almena.store.match import (
    TIME,
    Index,
    Value,
    buckets,
    conditions,
    cursor_of,
    decode,
    encode,
    holds,
    index,
    key_text,
    order,
    read_cursor,
    visible,
    words,
)
from almena.store.text import tokens


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    version: int
    body: bytes
    index: Index
    words: frozenset[str]

    def read(self) -> Versioned:
        return Versioned(self.id, self.version, decode(self.body))


class MemoryStore:
    """Documents in dictionaries; gone when the process ends."""

    by_period = False

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, _Row]] = {}
        self._version = 0
        self._lock = threading.RLock()

    def create_many(self, kind: str, documents: Mapping[str, Document]) -> dict[str, Outcome]:
        """Create what is not there yet; nothing that is there changes."""
        bodies = {identity: encode(kind, identity, document) for identity, document in documents.items()}
        outcomes: dict[str, Outcome] = {}
        with self._lock:
            rows = self._kinds.setdefault(kind, {})
            for identity, body in bodies.items():
                if identity not in rows:
                    self._put(kind, identity, body)
                    outcomes[identity] = "created"
                else:
                    outcomes[identity] = "same" if rows[identity].body == body else "different"
        return outcomes

    def get(self, kind: str, id: str, *, scope: Scope) -> Versioned | None:  # noqa: A002
        """The document; None when it is not there or outside `scope`."""
        row = self._kinds.get(kind, {}).get(id)
        if row is None:
            return None
        found = row.read()
        return found if visible(found.document, scope) else None

    def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
        """Write over `version` and return the new one; raises Conflict when it is no longer that version."""
        body = encode(kind, id, document)
        with self._lock:
            row = self._kinds.get(kind, {}).get(id)
            if row is None or row.version != version:
                raise Conflict(f"{kind}/{id}: changed since it was read; read it again")
            return self._put(kind, id, body)

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        """Remove one document; nothing happens when it is not there."""
        with self._lock:
            self._kinds.get(kind, {}).pop(id, None)

    def search(self, query: Query, cursor: str | None = None) -> Page:
        """One page of documents; a cursor continues exactly behind the last one."""
        found = self._matches(query)
        keys = {row.id: _sort_value(row, query) for row in found}
        valued = [(order(value), row.id, row) for row in found if (value := keys[row.id]) is not None]
        valued.sort(key=lambda item: item[:2], reverse=query.descending)
        bare = sorted((row for row in found if keys[row.id] is None), key=lambda row: row.id, reverse=query.descending)
        rows = [row for *_, row in valued] + bare
        if cursor is not None:
            mark = read_cursor(query, cursor)
            rows = [row for row in rows if _is_behind(keys[row.id], row.id, mark.value, mark.id, query.descending)]
        page = rows[: query.limit]
        more = len(rows) > len(page)
        return Page([row.read() for row in page], cursor_of(query, keys[page[-1].id], page[-1].id) if more else None)

    def count(self, query: Query) -> int:
        """How many documents match."""
        return len(self._matches(query))

    def aggregate(self, query: Query, by: Terms | Histogram | Cardinality) -> Sequence[tuple[str, int]]:
        """Counts over all matches: terms by count then value, histograms by time."""
        counts = Counter(value for row in self._matches(query) for value in row.index.get(by.field, ()))
        if isinstance(by, Cardinality):
            return [(by.field, len(counts))]
        if isinstance(by, Histogram):
            return buckets({value: count for value, count in counts.items() if isinstance(value, str)}, by)
        frequent = sorted(counts.items(), key=lambda item: (-item[1], order(item[0])))
        return [(key_text(value), count) for value, count in frequent[: by.limit]]

    def scan(self, kind: str, scope: Scope = ALL) -> Iterator[Versioned]:
        """Every document of a kind in the order of ids, as they were at one moment."""
        with self._lock:
            rows = sorted(self._kinds.get(kind, {}).values(), key=lambda row: row.id)
        return (found for row in rows if visible((found := row.read()).document, scope))

    def expire(self, kind: str, before: int) -> int:
        """Remove documents whose `@timestamp` is before `before` (microseconds); returns how many."""
        with self._lock:
            rows = self._kinds.get(kind, {})
            limit = format_time(before)
            old = [row.id for row in rows.values() if any(str(value) < limit for value in row.index.get(TIME, ()))]
            for identity in old:
                del rows[identity]
        return len(old)

    def close(self) -> None:
        """Nothing to let go of."""

    def _put(self, kind: str, identity: str, body: bytes) -> int:
        document = decode(body)
        self._version += 1
        row = _Row(identity, self._version, body, index(document), frozenset(words(document)))
        self._kinds[kind][identity] = row
        return self._version

    def _matches(self, query: Query) -> list[_Row]:
        filters = conditions(query)
        wanted = set(tokens(query.text))
        with self._lock:
            rows = list(self._kinds.get(query.kind, {}).values())
        return [
            row
            for row in rows
            if wanted <= row.words and all(holds(each, row.index.get(each.field, ())) for each in filters)
        ]


def _sort_value(row: _Row, query: Query) -> Value | None:
    values = row.index.get(query.sort)
    if not values:
        return None
    return values[-1] if query.descending else values[0]


def _is_behind(value: Value | None, identity: str, last: Value | None, last_id: str, descending: bool) -> bool:
    if (value is None) != (last is None):
        return value is None
    here = (order(value), identity) if value is not None else identity
    there = (order(last), last_id) if last is not None else last_id
    return here < there if descending else here > there  # type: ignore[operator]
