"""Hits of a whole replay in event-time order, on disk once they are many, in little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from almena.hit import Hit, decode_hit, encode_hit, order_of

CHUNK = 10_000
"""Hits handed on at once."""

_CACHE_KIB = 32 * 1024


class Spill:
    """A sorter of hits by (time, id) and `order_of`, in a temporary file that SQLite makes beyond a few megabytes."""

    def __init__(self) -> None:
        """Empty; the file is gone when the object is."""
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE hits (detector TEXT, time INTEGER, id TEXT, place TEXT, hit BLOB)")

    def add(self, hits: list[Hit]) -> None:
        """Keep hits, in any order."""
        rows = [(hit.detector, hit.time, hit.id, order_of(hit), encode_hit(hit)) for hit in hits]
        self._db.executemany("INSERT INTO hits VALUES (?, ?, ?, ?, ?)", rows)

    def sort(self) -> None:
        """Make the order; once, when all hits are in."""
        self._db.execute("CREATE INDEX by_order ON hits (detector, time, id, place)")

    def chunks(self, detector: str) -> Iterator[list[Hit]]:
        """The detector's hits in order, cut anywhere: the hits of one moment may lie on both sides."""
        cursor = self._db.execute("SELECT hit FROM hits WHERE detector = ? ORDER BY time, id, place", (detector,))
        while rows := cursor.fetchmany(CHUNK):
            yield [decode_hit(row[0]) for row in rows]
