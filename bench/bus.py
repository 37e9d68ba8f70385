"""Appends and reads of the bus beside bare SQLite rows."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from almena.bus import Record, Step, open_bus
from bench.measure import beside, rate, show

COUNT = 20_000


def records() -> list[Record]:
    """700-byte values, half of them noise that does not compress."""
    return [
        Record(f"s/{n % 8}", os.urandom(350) + b"a" * 350, {"source": "s", "lane": "l", "seq": str(n)})
        for n in range(COUNT)
    ]


def main() -> None:
    """Append in batches of 1, 100 and 500, read back, and the same rows one by one in bare SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        bus = open_bus(f"sqlite:{folder}/bus.sqlite")
        items = records()

        def append(size: int, count: int) -> None:
            for start in range(0, count, size):
                bus.append("events", items[start : start + size])

        for size, count in ((1, 1_000), (100, COUNT), (500, COUNT)):
            show(f"bus: append, batches of {size}, 700 B, durable", rate(count, lambda s=size, c=count: append(s, c)))  # type: ignore[misc]
        number = 0

        def read() -> None:
            nonlocal number
            number += 1
            session = bus.session("events", group=f"g{number}", member="m")
            left = COUNT
            while left > 0:
                batch = session.poll(min(2_000, left), 0)
                left -= sum(map(len, batch.records.values()))
                session.commit({p: Step(found[-1].offset + 1) for p, found in batch.records.items()})
            session.close()

        show("bus: read and commit, steps of 2,000", rate(COUNT, read))
        bare = sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE rows (value BLOB)")

        def plain() -> None:
            for start in range(0, COUNT, 500):
                bare.execute("BEGIN")
                bare.executemany("INSERT INTO rows VALUES (?)", [(item.value,) for item in items[start : start + 500]])
                bare.execute("COMMIT")

        beside("bus: append, batches of 500", COUNT, lambda: append(500, COUNT), "SQLite, a row per record", plain)


if __name__ == "__main__":
    main()
