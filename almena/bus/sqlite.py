"""The bus in one SQLite file: a row is a compressed batch, a step is one transaction, a partition has one owner.

It survives kill -9 and power loss (WAL, `synchronous=FULL`). Several processes share the file; each partition
of a group has an owner with an epoch, and a commit under an older epoch is refused.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from almena.bus import Gap, Outputs, Position, Record, Snapshot, Stored, partition_of
from almena.bus.sqlite_session import LEASE, SqliteSession
from almena.clock import MINUTE, SECOND, now
from almena.errors import BusError

log = logging.getLogger("almena.bus")

ROW_RECORDS = 500
"""Records in one row at most: few enough to read a part cheaply, enough to compress well."""

PATIENCE = 10.0
"""Seconds to wait for another process's lock before an operation is refused."""

_WAL_BYTES = 64 << 20
_TRIMMED_AT_ONCE = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
    topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
    topic TEXT, partition INTEGER, next INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    topic TEXT, partition INTEGER, base INTEGER, count INTEGER NOT NULL, time INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS batches_by_place ON batches (topic, partition, base);
CREATE INDEX IF NOT EXISTS batches_by_time ON batches (topic, time);
CREATE TABLE IF NOT EXISTS members (
    topic TEXT, grp TEXT, member TEXT, instance TEXT NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (topic, grp, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (
    topic TEXT, grp TEXT, partition INTEGER, instance TEXT, epoch INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (topic, grp, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
    topic TEXT, grp TEXT, partition INTEGER, key TEXT, value BLOB NOT NULL,
    PRIMARY KEY (topic, grp, partition, key)) WITHOUT ROWID;
"""

_READ = """
SELECT base, count, time, payload FROM batches WHERE topic = ? AND partition = ? AND base >= coalesce(
    (SELECT max(base) FROM batches WHERE topic = ? AND partition = ? AND base <= ?), 0) ORDER BY base
"""

_STATE = "SELECT key, value FROM state WHERE topic = ? AND grp = ? AND partition = ? AND key >= ?"
_POSITION = "SELECT position FROM owners WHERE topic = ? AND grp = ? AND partition = ?"

_ADVICE = {
    "SQLITE_BUSY": "another process has held it for too long; which one, `fuser` says",
    "SQLITE_CORRUPT": "stop Almena and bring a backup back with `almena restore`",
    "SQLITE_NOTADB": "stop Almena and bring a backup back with `almena restore`",
    "SQLITE_FULL": "make room on its disk",
    "SQLITE_IOERR": "check its disk; if somebody removed its -wal file, stop all roles in good order: that saves it",
    "SQLITE_READONLY": "let Almena's user write to the file and its folder",
}

_Row = tuple[str, bytes, dict[str, str]]
_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode


class SqliteBus:
    """A bus in the file at `path`; `:memory:` keeps it in this process only."""

    def __init__(self, path: str, *, partitions: int = 4, patience: float = PATIENCE, lease: float = LEASE) -> None:
        """Open or create the file; raises BusError when it cannot be.

        `patience` is in seconds, as is `lease`: how long a member that is not heard of keeps its partitions.
        """
        self.lease = lease
        self._path = path
        self._default = partitions
        self._lock = threading.RLock()
        self._press = zstandard.ZstdCompressor(level=1)
        self._unpress = zstandard.ZstdDecompressor()
        self._counts: dict[str, int] = {}
        self._behind = False
        try:
            if path != ":memory:":
                file = Path(path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise self._refusal("cannot be opened", error) from error
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise self._refusal("cannot be opened", error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: everything inside becomes durable together, or nothing does."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refusal("nothing was written", error) from error
            finally:
                self._roll_back()

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """One read transaction: everything read inside is of one moment; no writer waits for it."""
        with self._lock:
            try:
                self._db.execute("BEGIN")
                yield self._db
            except sqlite3.Error as error:
                raise self._refusal("cannot be read", error) from error
            finally:
                self._roll_back()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a reading statement; raises BusError."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._refusal("cannot be read", error) from error

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Durable when it returns; all of the records or none."""
        self.append_all({topic: records})

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics in one transaction."""
        for topic in outputs:
            self.partitions(topic)
        with self.transaction() as db:
            self.write(db, outputs)

    def write(self, db: sqlite3.Connection, outputs: Outputs) -> None:
        """Append inside a transaction already begun; the topics must exist."""
        for topic, records in outputs.items():
            shares: dict[int, list[Record]] = {}
            count = self._counts[topic]
            for record in records:
                partition = partition_of(record.key, count) if record.partition is None else record.partition
                shares.setdefault(partition, []).append(record)
            for partition, share in shares.items():
                self._write_share(db, topic, partition, share)

    def _write_share(self, db: sqlite3.Connection, topic: str, partition: int, share: list[Record]) -> None:
        row = db.execute("SELECT next, time FROM ends WHERE topic = ? AND partition = ?", (topic, partition)).fetchone()
        if row is None:
            raise BusError(f"bus: topic {topic!r} has no partition {partition}")
        base, last = row
        moment = self._never_falling(now(), last)
        for start in range(0, len(share), ROW_RECORDS):
            rows = share[start : start + ROW_RECORDS]
            payload = self._press.compress(_encode([(record.key, record.value, record.headers) for record in rows]))
            db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", (topic, partition, base, len(rows), moment, payload)
            )
            base += len(rows)
        db.execute(
            "UPDATE ends SET next = ?, time = ? WHERE topic = ? AND partition = ?", (base, moment, topic, partition)
        )

    def _never_falling(self, moment: int, last: int) -> int:
        """The time of an append: a clock that was set back stands still until it has caught up."""
        behind = last - moment > MINUTE
        if behind and not self._behind:
            log.warning(
                "bus %s: the clock is %d s behind the last append; until it has caught up events count as late",
                *(self._path, (last - moment) // SECOND),
            )
        self._behind = behind
        return max(moment, last)

    def read(self, position: Position, limit: int = 1) -> Sequence[Stored]:
        """Up to `limit` records of one partition from `position` on."""
        found, damage = self.scan(position, limit)
        if damage is not None and not found:
            raise BusError(
                f"bus {self._path}: {damage.topic}/{damage.partition}: records {damage.start} to {damage.end - 1} "
                "are damaged"
            )
        return found

    def scan(self, position: Position, limit: int) -> tuple[list[Stored], Gap | None]:
        """Up to `limit` records from `position` on, and the damaged batch that they end at, if they do."""
        found: list[Stored] = []
        place = (position.topic, position.partition)
        with self._lock:
            try:
                rows = self._db.execute(_READ, (*place, *place, position.offset))
                for base, count, moment, payload in rows:
                    try:
                        batch = _decode_rows(self._unpress.decompress(payload))
                    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError):
                        rows.close()
                        return found, Gap(*place, max(base, position.offset), base + count, "damaged")
                    for index, (key, value, headers) in enumerate(batch):
                        if base + index >= position.offset:
                            found.append(Stored(*place, base + index, moment, key, value, headers))
                            if len(found) == limit:
                                rows.close()
                                return found, None
            except sqlite3.Error as error:
                raise self._refusal(f"{position.topic}/{position.partition} cannot be read", error) from error
        return found, None

    def session(self, topic: str, *, group: str, member: str) -> SqliteSession:
        """Join `group` as `member`."""
        return SqliteSession(self, topic, group, member)

    def snapshot(
        self, topic: str, group: str, partition: int, prefix: str = "", *, limit: int | None = None
    ) -> Snapshot:
        """What `group` has committed of a partition under keys that begin with `prefix`, and its position."""
        place = (topic, group, partition)
        sql, values = _STATE, [*place, prefix]
        if (end := _behind(prefix)) is not None:
            sql, values = f"{sql} AND key < ?", [*values, end]
        if limit is not None:
            sql, values = f"{sql} ORDER BY key LIMIT ?", [*values, limit]
        with self.view() as db:
            state = dict(db.execute(sql, values))
            position = db.execute(_POSITION, place).fetchone()
        return Snapshot(state, int(position[0]) if position else 0)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; it is created when it is new."""
        if topic not in self._counts:
            rows = self.query("SELECT partitions FROM topics WHERE topic = ?", topic)
            if not rows:
                with self.transaction() as db:
                    db.execute("INSERT OR IGNORE INTO topics VALUES (?, ?)", (topic, self._default))
                    (count,) = db.execute("SELECT partitions FROM topics WHERE topic = ?", (topic,)).fetchone()
                    ends = [(topic, partition, 0, 0) for partition in range(count)]
                    db.executemany("INSERT OR IGNORE INTO ends VALUES (?, ?, ?, ?)", ends)
                rows = [(count,)]
            self._counts[topic] = rows[0][0]
        return self._counts[topic]

    def ends(self, topic: str) -> Mapping[int, int]:
        """The offset behind the last record, by partition."""
        self.partitions(topic)
        return dict(self.query("SELECT partition, next FROM ends WHERE topic = ?", topic))

    def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """The offset of the next record the group reads, as committed, by partition."""
        rows = self.query("SELECT partition, position FROM owners WHERE topic = ? AND grp = ?", topic, group)
        return dict.fromkeys(range(self.partitions(topic)), 0) | dict(rows)

    def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """How many records the group has not read, by partition."""
        positions = self.positions(topic, group)
        return {partition: end - positions[partition] for partition, end in self.ends(topic).items()}

    def trim(self, topic: str, before: int) -> int:
        """Forget batches appended before `before` (microseconds); returns how many records went."""
        gone = 0
        while True:
            with self.transaction() as db:
                rows = db.execute(
                    "SELECT rowid, count FROM batches WHERE topic = ? AND time < ? LIMIT ?",
                    (topic, before, _TRIMMED_AT_ONCE),
                ).fetchall()
                db.executemany("DELETE FROM batches WHERE rowid = ?", [(row,) for row, _ in rows])
            gone += sum(int(count) for _, count in rows)
            if len(rows) < _TRIMMED_AT_ONCE:
                return gone

    def first(self, topic: str, partition: int) -> int:
        """The offset of the oldest record that is still there, or the end when there is none."""
        rows = self.query(
            "SELECT coalesce((SELECT min(base) FROM batches WHERE topic = ?1 AND partition = ?2), next) "
            "FROM ends WHERE topic = ?1 AND partition = ?2",
            *(topic, partition),
        )
        return int(rows[0][0])

    def version(self) -> tuple[int, int]:
        """Changes whenever anybody has written."""
        with self._lock:
            return self._db.execute("PRAGMA data_version").fetchone()[0], self._db.total_changes

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _roll_back(self) -> None:
        """End what was not committed; SQLite may have done so itself, as on a full disk."""
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _refusal(self, what: str, error: sqlite3.Error | OSError) -> BusError:
        """The error as a person reads it: which file, what did not happen, and what to do."""
        return BusError(f"bus {self._path}: {what}: {error}{advice(error)}")


def advice(error: sqlite3.Error | OSError) -> str:
    """What a person can do about the error, behind a semicolon; nothing where that is not known."""
    code = getattr(error, "sqlite_errorname", None) or ""
    return next((f"; {text}" for name, text in _ADVICE.items() if code.startswith(name)), "")


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with `prefix`, in the order of code points; None when there is none."""
    head = prefix.rstrip("\U0010ffff")
    if not head:
        return None
    following = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if following == 0xD800 else following)  # texts have no surrogates
