"""A store in one SQLite file: every write is one durable transaction, safe across threads and processes."""

from __future__ import annotations

import os
import queue
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from almena.clock import format_time
from almena.errors import Conflict, StoreError
from almena.store import ALL, Cardinality, Document, Histogram, Outcome, Page, Query, Scope, Terms, Versioned
from almena.store.match import (
    TIME,
    Index,
    Value,
    buckets,
    cursor_of,
    decode,
    encode,
    index,
    key_text,
    read_cursor,
    unwritable,
    visible,
    words,
)
from almena.store.plan import Plan, Sql, field_number, kind_word

_SCHEMA_VERSION = 1
_APPLICATION = 0x416C6D73  # "Alms": the file says whose it is
_BUSY_SECONDS = 30.0
_EXPIRED_AT_ONCE = 500

_SCHEMA = (
    """CREATE TABLE documents (row INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL,
       version INTEGER NOT NULL, time TEXT, body BLOB NOT NULL, UNIQUE (kind, id))""",
    "CREATE INDEX by_time ON documents (kind, time, id)",
    "CREATE TABLE names (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name))",
    """CREATE TABLE fields (row INTEGER NOT NULL, field INTEGER NOT NULL, value NOT NULL,
       PRIMARY KEY (row, field, value)) WITHOUT ROWID""",
    "CREATE INDEX by_value ON fields (field, value, row)",
    """CREATE VIRTUAL TABLE words USING fts5 (text, detail = none, columnsize = 0,
       tokenize = "ascii tokenchars '=_.-@+$:'")""",
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)


class SqliteStore:
    """Documents in one file, with an index over every field and every word."""

    by_period = False

    def __init__(self, path: str) -> None:
        """Opens or creates the file, readable by its owner alone; raises StoreError when it is damaged or not ours."""
        self._path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._closed = False
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened: {error.strerror}") from None
        with self._write() as connection:
            self._prepare(connection)

    def create_many(self, kind: str, documents: Mapping[str, Document]) -> dict[str, Outcome]:
        """Create what is not there yet, in one transaction; nothing that is there changes."""
        bodies = {identity: encode(kind, identity, document) for identity, document in documents.items()}
        outcomes: dict[str, Outcome] = {}
        with self._write() as connection:
            version = _next_version(connection)
            names = _Names(connection, kind)
            for identity, body in bodies.items():
                there = connection.execute(
                    "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, identity)
                ).fetchone()
                if there is None:
                    _insert(connection, names, identity, body, version)
                    outcomes[identity] = "created"
                else:
                    outcomes[identity] = "same" if there[0] == body else "different"
        return outcomes

    def get(self, kind: str, id: str, *, scope: Scope) -> Versioned | None:  # noqa: A002
        """The document, read after all writes; None when it is not there or outside `scope`."""
        if unwritable(id):
            return None
        with self._read() as connection:
            found = connection.execute(
                "SELECT version, body FROM documents WHERE kind = ? AND id = ?", (kind, id)
            ).fetchone()
        if found is None:
            return None
        document = decode(found[1])
        return Versioned(id, found[0], document) if visible(document, scope) else None

    def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
        """Write over `version` and return the new one; raises Conflict when it is no longer that version."""
        body = encode(kind, id, document)
        with self._write() as connection:
            found = connection.execute(
                "SELECT row, body FROM documents WHERE kind = ? AND id = ? AND version = ?", (kind, id, version)
            ).fetchone()
            if found is None:
                raise Conflict(f"{kind}/{id}: changed since it was read; read it again")
            new = _next_version(connection)
            _update(connection, _Names(connection, kind), found[0], decode(found[1]), body, new)
        return new

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        """Remove one document; nothing happens when it is not there."""
        if unwritable(id):
            return
        with self._write() as connection:
            rows = connection.execute("SELECT row FROM documents WHERE kind = ? AND id = ?", (kind, id)).fetchall()
            _remove(connection, rows)

    def search(self, query: Query, cursor: str | None = None) -> Page:
        """One page of documents; a cursor continues exactly behind the last one, whatever was written since."""
        mark = None if cursor is None else read_cursor(query, cursor)
        found: list[tuple[Value | None, str, int, bytes]] = []
        with self._read() as connection:
            for select in Plan(connection, query).pages(mark, query.limit + 1):
                if len(found) <= query.limit:
                    found += connection.execute(*select).fetchall()
        page = found[: query.limit]
        more = cursor_of(query, page[-1][0], page[-1][1]) if len(found) > query.limit else None
        return Page([Versioned(identity, version, decode(body)) for _, identity, version, body in page], more)

    def count(self, query: Query) -> int:
        """How many documents match."""
        with self._read() as connection:
            rows = Plan(connection, query).matching()
            return int(connection.execute(f"SELECT count(*) FROM ({rows.text})", rows.values).fetchone()[0])  # noqa: S608

    def aggregate(self, query: Query, by: Terms | Histogram | Cardinality) -> Sequence[tuple[str, int]]:
        """Counts over all matches: terms by count then value, histograms by time."""
        with self._read() as connection:
            values = self._values(connection, query, by.field)
            if isinstance(by, Cardinality):
                select = f"SELECT count(DISTINCT value) FROM ({values.text})"  # noqa: S608
                return [(by.field, int(connection.execute(select, values.values).fetchone()[0]))]
            if isinstance(by, Histogram):
                return buckets(_moments(connection, values, by.interval), by)
            frequent = connection.execute(
                f"SELECT value, count(*) FROM ({values.text}) GROUP BY value ORDER BY count(*) DESC, value LIMIT ?",  # noqa: S608
                (*values.values, max(by.limit, 0)),
            )
            return [(key_text(value), count) for value, count in frequent]

    def scan(self, kind: str, scope: Scope = ALL) -> Iterator[Versioned]:
        """Every document of a kind in the order of ids, as they were at one moment."""
        with self._read() as connection:
            rows = connection.execute("SELECT id, version, body FROM documents WHERE kind = ? ORDER BY id", (kind,))
            for identity, version, body in rows:
                document = decode(body)
                if visible(document, scope):
                    yield Versioned(identity, version, document)

    def expire(self, kind: str, before: int) -> int:
        """Remove documents whose `@timestamp` is before `before` (microseconds); returns how many."""
        gone = 0
        while True:
            with self._write() as connection:
                rows = connection.execute(
                    "SELECT row FROM documents WHERE kind = ? AND time < ? LIMIT ?",
                    (kind, format_time(before), _EXPIRED_AT_ONCE),
                ).fetchall()
                _remove(connection, rows)
            gone += len(rows)
            if len(rows) < _EXPIRED_AT_ONCE:
                return gone

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _values(self, connection: sqlite3.Connection, query: Query, field: str) -> Sql:
        """The values of `field` in all matching documents."""
        number = field_number(connection, query.kind, field)
        plan = Plan(connection, query)
        if query.scope is None and not query.filters and not query.text:
            return Sql("SELECT value FROM fields INDEXED BY by_value WHERE field = ?", (number,))
        rows = plan.matching()
        return Sql(
            f"SELECT f.value AS value FROM ({rows.text}) r CROSS JOIN fields f ON f.row = r.row AND f.field = ?",  # noqa: S608
            (*rows.values, number),
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if found == 0 and tables == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        elif owner != _APPLICATION:
            raise StoreError(f"{self._path}: is a database of another program; give another path")
        elif found != _SCHEMA_VERSION:
            raise StoreError(
                f"{self._path}: has format {found}, this Almena reads {_SCHEMA_VERSION}; use the Almena that wrote it"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for everything inside."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """All of what is inside or nothing, durable at the end."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StoreError(f"{self._path}: the store was closed")
        connection: sqlite3.Connection | None = None
        try:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._connect()
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        if self._closed:
            connection.close()
        else:
            self._idle.put(connection)


def _next_version(connection: sqlite3.Connection) -> int:
    """A version no document has had: an id that is deleted and created again does not get an old one back."""
    return int(connection.execute("UPDATE counter SET version = version + 1 RETURNING version").fetchone()[0])


class _Names:
    """The numbers of a kind's fields, in one transaction."""

    def __init__(self, connection: sqlite3.Connection, kind: str) -> None:
        self.kind = kind
        self._connection = connection
        rows = connection.execute("SELECT name, number FROM names WHERE kind = ?", (kind,))
        self._numbers: dict[str, int] = dict(rows.fetchall())

    def pairs(self, row: int, seen: Index) -> set[tuple[int, int, Value]]:
        """The rows of the table `fields` for a document, with numbers for fields not seen before."""
        return {(row, self._number(name), value) for name, values in seen.items() for value in values}

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            created = self._connection.execute("INSERT INTO names (kind, name) VALUES (?, ?)", (self.kind, name))
            assert created.lastrowid is not None
            number = self._numbers[name] = created.lastrowid
        return number


def _insert(connection: sqlite3.Connection, names: _Names, identity: str, body: bytes, version: int) -> None:
    document = decode(body)
    seen = index(document)
    row = connection.execute(
        "INSERT INTO documents (kind, id, version, time, body) VALUES (?, ?, ?, ?, ?)",
        (names.kind, identity, version, _time(seen), body),
    ).lastrowid
    assert row is not None
    _put_values(connection, names.pairs(row, seen))
    connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row, _text(names.kind, document)))


def _update(connection: sqlite3.Connection, names: _Names, row: int, old: Document, body: bytes, version: int) -> None:
    """Write only what differs: triage changes a few fields of a document with many."""
    document = decode(body)
    seen = index(document)
    connection.execute(
        "UPDATE documents SET version = ?, time = ?, body = ? WHERE row = ?", (version, _time(seen), body, row)
    )
    before = names.pairs(row, index(old))
    after = names.pairs(row, seen)
    connection.executemany("DELETE FROM fields WHERE row = ? AND field = ? AND value = ?", before - after)
    _put_values(connection, after - before)
    if (text := _text(names.kind, document)) != _text(names.kind, old):
        connection.execute("UPDATE words SET text = ? WHERE rowid = ?", (text, row))


def _remove(connection: sqlite3.Connection, rows: Sequence[tuple[int]]) -> None:
    for table, column in (("words", "rowid"), ("fields", "row"), ("documents", "row")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)  # noqa: S608


def _put_values(connection: sqlite3.Connection, pairs: set[tuple[int, int, Value]]) -> None:
    connection.executemany("INSERT INTO fields (row, field, value) VALUES (?, ?, ?)", pairs)


def _time(seen: Index) -> Value | None:
    values = seen.get(TIME)
    return values[0] if values else None


def _text(kind: str, document: Document) -> str:
    return " ".join((kind_word(kind), *words(document)))


def _moments(connection: sqlite3.Connection, values: Sql, interval: int) -> dict[str, int]:
    """Counts by moment, cut to the minute or second where the interval allows, so that few rows come back."""
    length = 16 if interval % 60_000_000 == 0 else 19 if interval % 1_000_000 == 0 else 99
    counted = connection.execute(
        f"SELECT substr(value, 1, ?), count(*) FROM ({values.text}) WHERE typeof(value) = 'text' GROUP BY 1",  # noqa: S608
        (length, *values.values),
    )
    return dict(counted.fetchall())
