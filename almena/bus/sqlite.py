"""The bus in one SQLite file: a row is a compressed batch, a step is one transaction, a partition has one owner.

It survives kill -9 and power loss (WAL, `synchronous=FULL`). Several processes share the file; each partition
of a group has an owner with an epoch, and a commit under an older epoch is refused.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from almena.bus import Batch as Polled
from almena.bus import Changes, Gap, Outputs, Position, Record, Snapshot, Stored, partition_of
from almena.clock import SECOND, now
from almena.errors import BusError, Fenced

ROW_RECORDS = 500
"""Records in one row at most: few enough to read a part cheaply, enough to compress well."""

LEASE = 10 * SECOND
"""A member that has not polled for so long loses its partitions (microseconds)."""

_HEARTBEAT = SECOND
_BUSY_SECONDS = 30.0

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
SELECT base, time, payload FROM batches WHERE topic = ? AND partition = ? AND base >= coalesce(
    (SELECT max(base) FROM batches WHERE topic = ? AND partition = ? AND base <= ?), 0) ORDER BY base
"""

_Row = tuple[str, bytes, dict[str, str]]
_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode


class SqliteBus:
    """A bus in the file at `path`; `:memory:` keeps it in this process only."""

    def __init__(self, path: str, *, partitions: int = 4) -> None:
        """Open or create the file; raises BusError when it cannot be."""
        self._default = partitions
        self._lock = threading.RLock()
        self._press = zstandard.ZstdCompressor(level=1)
        self._unpress = zstandard.ZstdDecompressor()
        self._counts: dict[str, int] = {}
        try:
            if path != ":memory:":
                file = Path(path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch(mode=0o600, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise BusError(f"bus {path}: cannot be opened: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: everything inside becomes durable together, or nothing does."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise BusError(f"bus: nothing was written: {error}") from error

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a reading statement; raises BusError."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise BusError(f"bus: cannot be read: {error}") from error

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
        moment = max(now(), last)
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

    def read(self, position: Position, limit: int = 1) -> Sequence[Stored]:
        """Up to `limit` records of one partition from `position` on."""
        found: list[Stored] = []
        place = (position.topic, position.partition)
        with self._lock:
            try:
                rows = self._db.execute(_READ, (*place, *place, position.offset))
                for base, moment, payload in rows:
                    for index, (key, value, headers) in enumerate(_decode_rows(self._unpress.decompress(payload))):
                        if base + index >= position.offset:
                            found.append(Stored(*place, base + index, moment, key, value, headers))
                            if len(found) == limit:
                                rows.close()
                                return found
            except (sqlite3.Error, zstandard.ZstdError, msgspec.MsgspecError) as error:
                raise BusError(f"bus: {position.topic}/{position.partition} cannot be read: {error}") from error
        return found

    def session(self, topic: str, *, group: str, member: str) -> SqliteSession:
        """Join `group` as `member`."""
        return SqliteSession(self, topic, group, member)

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
        with self.transaction() as db:
            (count,) = db.execute(
                "SELECT coalesce(sum(count), 0) FROM batches WHERE topic = ? AND time < ?", (topic, before)
            ).fetchone()
            db.execute("DELETE FROM batches WHERE topic = ? AND time < ?", (topic, before))
        return int(count)

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


class SqliteSession:
    """One member of a group on a SQLite bus; use it from one thread."""

    def __init__(self, bus: SqliteBus, topic: str, group: str, member: str) -> None:
        """Joins at the first poll; a later session under the same name takes this one's place for good."""
        self._bus = bus
        self._topic = topic
        self._group = group
        self._member = member
        self._instance = f"{member}#{time.time_ns():x}.{id(self):x}"
        self._epochs: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._beat = 0
        self._turn = 0
        self._count = bus.partitions(topic)
        with bus.transaction() as db:
            values = (topic, group, member, self._instance, now() + LEASE)
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?)", values)
            rows = [(topic, group, partition, None, 0, 0) for partition in range(self._count)]
            db.executemany("INSERT OR IGNORE INTO owners VALUES (?, ?, ?, ?, ?, ?)", rows)

    def poll(self, limit: int, timeout: float) -> Polled:
        """Up to `limit` records of the partitions owned, waiting up to `timeout` seconds for the first."""
        deadline = time.monotonic() + timeout
        gained, lost = self._balance()
        pause = 0.002
        while True:
            seen = self._bus.version()
            records, gaps = self._fetch(limit)
            if records or gaps or gained or lost or time.monotonic() >= deadline:
                return Polled(records, gained, lost, gaps)
            while self._bus.version() == seen and time.monotonic() < deadline:
                time.sleep(pause)
                pause = min(pause * 1.5, 0.02)
            gained, lost = self._balance()

    def restore(self, partition: int) -> Snapshot:
        """The committed state and position of a partition just gained; reading has resumed there."""
        with self._bus.transaction():
            rows = self._bus.query(
                "SELECT key, value FROM state WHERE topic = ? AND grp = ? AND partition = ?",
                *(self._topic, self._group, partition),
            )
            position = self._position(partition)
        return Snapshot(dict(rows), position)

    def commit(self, outputs: Outputs, state: Changes, positions: Mapping[int, int]) -> None:
        """All or nothing, as later sessions see it. Raises Fenced when a partition has a newer owner."""
        for topic in outputs:
            self._bus.partitions(topic)
        key = (self._topic, self._group)
        with self._bus.transaction() as db:
            for partition in {*state, *positions}:
                row = db.execute(
                    "SELECT instance, epoch FROM owners WHERE topic = ? AND grp = ? AND partition = ?",
                    (*key, partition),
                ).fetchone()
                if row != (self._instance, self._epochs.get(partition)):
                    raise Fenced(f"bus: {self._group}/{self._topic}/{partition} has a newer owner than {self._member}")
            self._bus.write(db, outputs)
            for partition, changes in state.items():
                gone = [(*key, partition, name) for name, value in changes.items() if value is None]
                kept = [(*key, partition, name, value) for name, value in changes.items() if value is not None]
                db.executemany("DELETE FROM state WHERE topic = ? AND grp = ? AND partition = ? AND key = ?", gone)
                db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", kept)
            db.executemany(
                "UPDATE owners SET position = ? WHERE topic = ? AND grp = ? AND partition = ?",
                [(position, *key, partition) for partition, position in positions.items()],
            )

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        with self._bus.transaction() as db:
            key = (self._topic, self._group)
            db.execute("DELETE FROM members WHERE topic = ? AND grp = ? AND instance = ?", (*key, self._instance))
            db.execute(
                "UPDATE owners SET instance = NULL WHERE topic = ? AND grp = ? AND instance = ?", (*key, self._instance)
            )
        self._epochs.clear()

    def _position(self, partition: int) -> int:
        rows = self._bus.query(
            "SELECT position FROM owners WHERE topic = ? AND grp = ? AND partition = ?",
            *(self._topic, self._group, partition),
        )
        return int(rows[0][0])

    def _fetch(self, limit: int) -> tuple[dict[int, list[Stored]], list[Gap]]:
        records: dict[int, list[Stored]] = {}
        gaps: list[Gap] = []
        owned = sorted(self._epochs)
        self._turn += 1
        for index in range(len(owned)):
            if limit <= 0:
                break
            partition = owned[(index + self._turn) % len(owned)]
            start = self._next[partition]
            found = self._bus.read(Position(self._topic, partition, start), limit)
            first = found[0].offset if found else self._bus.first(self._topic, partition)
            if first > start:
                gaps.append(Gap(self._topic, partition, start, first))
            if found:
                records[partition] = list(found)
                limit -= len(found)
            self._next[partition] = found[-1].offset + 1 if found else max(first, start)
        return records, gaps

    def _balance(self) -> tuple[list[int], list[int]]:
        """Say that this member lives, give up what others should have, take what is free."""
        moment = now()
        if moment - self._beat < _HEARTBEAT:
            return [], []
        key = (self._topic, self._group)
        with self._bus.transaction() as db:
            row = db.execute(
                "SELECT instance FROM members WHERE topic = ? AND grp = ? AND member = ?", (*key, self._member)
            ).fetchone()
            if row is not None and row[0] != self._instance:
                raise Fenced(f"bus: another process has joined {self._group} as {self._member!r}")
            db.execute("DELETE FROM members WHERE topic = ? AND grp = ? AND until < ?", (*key, moment))
            values = (*key, self._member, self._instance, moment + LEASE)
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?)", values)
            members = db.execute(
                "SELECT instance FROM members WHERE topic = ? AND grp = ? ORDER BY member", key
            ).fetchall()
            alive = [instance for (instance,) in members]
            share = {partition for partition in range(self._count) if alive[partition % len(alive)] == self._instance}
            changes = self._claim(db, share, set(alive))
        self._beat = moment
        return changes

    def _claim(self, db: sqlite3.Connection, share: set[int], alive: set[str]) -> tuple[list[int], list[int]]:
        gained, lost = [], []
        key = (self._topic, self._group)
        rows = db.execute(
            "SELECT partition, instance, epoch, position FROM owners WHERE topic = ? AND grp = ?", key
        ).fetchall()
        update = "UPDATE owners SET instance = ?, epoch = ? WHERE topic = ? AND grp = ? AND partition = ?"
        for partition, instance, epoch, position in rows:
            mine = instance == self._instance and self._epochs.get(partition) == epoch
            if mine and partition not in share:
                db.execute(update, (None, epoch, *key, partition))
                mine = False
            elif not mine and partition in share and (instance is None or instance not in alive):
                db.execute(update, (self._instance, epoch + 1, *key, partition))
                if self._epochs.pop(partition, None) is not None:
                    lost.append(partition)
                self._epochs[partition] = epoch + 1
                self._next[partition] = position
                gained.append(partition)
                continue
            if not mine and self._epochs.pop(partition, None) is not None:
                lost.append(partition)
        return gained, lost
