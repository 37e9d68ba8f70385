"""The file in which records wait for the bus: a row is a compressed batch of one topic, an append one transaction."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

from almena.bus import LEDGER, Outputs, Record
from almena.bus.sqlite import advice
from almena.clock import format_time, now
from almena.errors import BusError

log = logging.getLogger("almena.bus")

ROW_RECORDS = 1_000
"""Records in one row at most."""

_ROW_BYTES = 60  # what a row needs beside its payload, roughly
_WAL_BYTES = 64 << 20
_PATIENCE = 5.0
_SHRUNK_PAGES = 1_000  # a file that is empty gives back what it has beyond this

_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, topic TEXT NOT NULL, count INTEGER NOT NULL,
    payload BLOB NOT NULL)
"""

_SIZE = "SELECT coalesce(sum(count), 0), coalesce(sum(length(payload)), 0) + ? * count(*) FROM waiting"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file is no longer what was written: trying again does not help."""
    return (getattr(error, "sqlite_errorname", None) or "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


class Rows:
    """Records packed for the file."""

    def __init__(self, outputs: Outputs) -> None:
        self.packed: list[tuple[str, int, bytes]] = []
        """Topic, count and payload, in order."""
        press = zstandard.ZstdCompressor(level=1)
        for topic, records in outputs.items():
            for start in range(0, len(records), ROW_RECORDS):
                part = list(records[start : start + ROW_RECORDS])
                self.packed.append((topic, len(part), press.compress(_encode(part))))
        self.records = sum(count for _, count, _ in self.packed)
        self.bytes = sum(len(payload) + _ROW_BYTES for _, _, payload in self.packed)


class Waiting(NamedTuple):
    """Records from the head of the file."""

    found: Sequence[tuple[int, str, Sequence[Record]]]
    """Time of the append, topic and records, in order."""
    last: int
    """The number of their last row."""
    records: int

    def outputs(self, header: str, moment: int) -> Mapping[str, list[Record]]:
        """The records by topic; `header` says how long each waited until `moment`, microseconds."""
        outputs: dict[str, list[Record]] = {}
        for time, topic, records in self.found:
            waited = str(max(0, moment - time))
            outputs.setdefault(topic, []).extend(
                Record(record.key, record.value, {**record.headers, header: waited}, record.partition)
                for record in records
            )
        return outputs


class SpoolFile:
    """The file at `path`, held by one process alone; methods raise sqlite3.Error and are called by one thread at once.

    It survives kill -9 and power loss (WAL, `synchronous=FULL`).
    """

    def __init__(self, path: Path) -> None:
        """Open or create it; one that is damaged is put aside. Raises BusError."""
        self.path = path
        self.records = self.bytes = self.oldest = 0
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            if not (isinstance(error, sqlite3.Error) and damaged(error)):
                raise self.refusal("cannot be opened", error) from error
            self.set_aside(error)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
            with self._transaction():
                self._db.execute(_SCHEMA)
            self._count()
        except sqlite3.Error:
            self._db.close()
            raise

    def _count(self) -> None:
        self.records, self.bytes = self._db.execute(_SIZE, (_ROW_BYTES,)).fetchone()
        self._look()

    def _look(self) -> None:
        row = self._db.execute("SELECT time FROM waiting ORDER BY number LIMIT 1").fetchone()
        self.oldest = row[0] if row else 0

    def append(self, rows: Rows, moment: int) -> None:
        """Put records behind the others, as of `moment`; durable when it returns, all of them or none."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO waiting (time, topic, count, payload) VALUES (?, ?, ?, ?)",
                [(moment, *row) for row in rows.packed],
            )
        if not self.records:
            self.oldest = moment
        self.records += rows.records
        self.bytes += rows.bytes

    def read(self, records: int, size: int) -> Waiting:
        """The oldest records, up to about so many and such a size in bytes; those of a damaged row are told as lost."""
        found: list[tuple[int, str, Sequence[Record]]] = []
        last = taken = weight = 0
        unpress = zstandard.ZstdDecompressor()
        cursor = self._db.execute("SELECT number, time, topic, count, payload FROM waiting ORDER BY number")
        for last, time, topic, count, payload in cursor:
            try:
                row = _decode(unpress.decompress(payload))
            except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.error("spool %s: %d records for %s are damaged and lost: %s", self.path, count, topic, error)
                topic, row = LEDGER, [_loss(count, time, last)]
            found.append((time, topic, row))
            taken += count
            weight += sum(len(record.value) for record in row)
            if taken >= records or weight >= size:
                break
        cursor.close()
        return Waiting(found, last, taken)

    def forget(self, last: int) -> None:
        """Remove the rows up to number `last`."""
        records, size = self._db.execute(f"{_SIZE} WHERE number <= ?", (_ROW_BYTES, last)).fetchone()
        with self._transaction():
            self._db.execute("DELETE FROM waiting WHERE number <= ?", (last,))
        self.records -= records
        self.bytes -= size
        self._look()
        if not self.records:
            self._shrink()

    def set_aside(self, error: sqlite3.Error) -> None:
        """Begin a new file in place of a damaged one, which is kept, with what the ledger is told of the loss.

        Of a file that cannot even be opened nobody knows how many records it held: one is told. Raises BusError.
        """
        lost = max(self.records, 1)
        aside = self.path.with_name(f"{self.path.name}.damaged-{now()}")
        try:
            self._db.close()
            for suffix in ("", "-wal"):
                with suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
            self._open()
            self.append(Rows({LEDGER: [_loss(lost, now(), 0)]}), now())
        except (sqlite3.Error, OSError) as failure:
            raise self.refusal("is damaged and cannot be put aside", failure) from failure
        log.error("spool %s is damaged (%s) and lies in %s now; what waited in it is lost", self.path, error, aside)

    def close(self) -> None:
        """Close it; what waits stays."""
        self._db.close()

    def refusal(self, what: str, error: sqlite3.Error | OSError) -> BusError:
        """The error as a person reads it."""
        return BusError(f"spool {self.path}: {what}: {error}{advice(error)}")

    def _shrink(self) -> None:
        """Give the disk back what an outage took; where that fails it is reused."""
        with suppress(sqlite3.Error):
            if self._db.execute("PRAGMA page_count").fetchone()[0] > _SHRUNK_PAGES:
                self._db.execute("VACUUM")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise


def _loss(count: int, moment: int, number: int) -> Record:
    """What the ledger is told of records that were damaged; told twice it counts once."""
    drop = {"kind": "drop", "source": "bus.spool", "agency": "", "reason": "damaged", "count": count}
    once = {"time": format_time(moment), "lane": f"spool.{moment}", "seq": number}
    return Record("drop/bus.spool", msgspec.json.encode(drop | once))
