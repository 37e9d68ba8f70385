"""One member of a group on the SQLite bus: its partitions, the place it reads at, and its atomic steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from time import monotonic, sleep, time_ns
from typing import TYPE_CHECKING

from almena.bus import Batch, Gap, Position, Snapshot, Step, Stored
from almena.clock import SECOND
from almena.errors import Fenced, Moved

if TYPE_CHECKING:
    from almena.bus.sqlite import SqliteBus

LEASE = 30.0
"""Seconds after which a member that is not heard of loses its partitions."""

_HEARTBEAT = 1.0

_Share = dict[int, tuple[int, int]]
"""Epoch and position of each partition owned."""


class SqliteSession:
    """One member of a group on a SQLite bus; use it from one thread.

    Any operation may raise BusError and be tried again: nothing is delivered or given up by halves. Leases are
    measured by the machine's monotonic clock, which all its processes share and nobody sets.
    """

    def __init__(self, bus: SqliteBus, topic: str, group: str, member: str) -> None:
        """Joins at the first poll; a later session under the same name takes this one's place for good."""
        self._bus = bus
        self._topic = topic
        self._group = group
        self._member = member
        self._instance = f"{member}#{time_ns():x}.{id(self):x}"
        self._epochs: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._gained: list[int] = []
        self._lost: list[int] = []
        self._beat = -_HEARTBEAT
        self._turn = 0
        self._count = bus.partitions(topic)
        with bus.transaction() as db:
            values = (topic, group, member, self._instance, self._until())
            db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?)", values)
            rows = [(topic, group, partition, None, 0, 0) for partition in range(self._count)]
            db.executemany("INSERT OR IGNORE INTO owners VALUES (?, ?, ?, ?, ?, ?)", rows)

    def poll(self, limit: int, timeout: float) -> Batch:
        """Up to `limit` records of the partitions owned, waiting up to `timeout` seconds for the first."""
        deadline = monotonic() + timeout
        self._balance()
        pause = 0.002
        while True:
            seen = self._bus.version()
            records, gaps, reached = self._fetch(limit)
            if records or gaps or self._gained or self._lost or monotonic() >= deadline:
                self._next.update(reached)
                batch = Batch(records, self._gained, self._lost, gaps)
                self._gained, self._lost = [], []
                return batch
            while self._bus.version() == seen and monotonic() < deadline:
                sleep(pause)
                pause = min(pause * 1.5, 0.02)
            self._balance()

    def restore(self, partition: int) -> Snapshot:
        """The committed state and position of a partition just gained; reading has resumed there."""
        key = (self._topic, self._group, partition)
        with self._bus.transaction() as db:
            self._renew(db)
            rows = self._bus.query("SELECT key, value FROM state WHERE topic = ? AND grp = ? AND partition = ?", *key)
            places = self._bus.query("SELECT position FROM owners WHERE topic = ? AND grp = ? AND partition = ?", *key)
        return Snapshot(dict(rows), int(places[0][0]))

    def commit(self, steps: Mapping[int, Step]) -> None:
        """All steps in one transaction. Raises Moved when a partition is no longer this member's, or Fenced."""
        for step in steps.values():
            for topic in step.outputs:
                self._bus.partitions(topic)
        with self._bus.transaction() as db:
            moved = [partition for partition in steps if not self._owns(db, partition)]
            if not moved:
                self._renew(db)
                for partition, step in steps.items():
                    self._write(db, partition, step)
        if moved:
            self._give_up(f"{self._group}/{self._topic}/{moved[0]} has a newer owner than {self._member}")

    def alive(self) -> None:
        """Renew the lease. Raises Moved when it had ended and somebody took a partition, or Fenced."""
        with self._bus.transaction() as db:
            moved = [partition for partition in self._epochs if not self._owns(db, partition)]
            self._renew(db)
        if moved:
            self._give_up(f"{self._group}/{self._topic}/{moved[0]} has a newer owner than {self._member}")

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        with self._bus.transaction() as db:
            key = (self._topic, self._group)
            db.execute("DELETE FROM members WHERE topic = ? AND grp = ? AND instance = ?", (*key, self._instance))
            db.execute(
                "UPDATE owners SET instance = NULL WHERE topic = ? AND grp = ? AND instance = ?", (*key, self._instance)
            )
        self._epochs.clear()

    def _fetch(self, limit: int) -> tuple[dict[int, list[Stored]], list[Gap], dict[int, int]]:
        """What there is to read, what is missing, and the offsets reached when both are delivered."""
        records: dict[int, list[Stored]] = {}
        gaps: list[Gap] = []
        reached: dict[int, int] = {}
        owned = sorted(self._epochs)
        self._turn += 1
        for index in range(len(owned)):
            if limit <= 0:
                break
            partition = owned[(index + self._turn) % len(owned)]
            start = self._next[partition]
            found, damage = self._bus.scan(Position(self._topic, partition, start), limit)
            if found:
                first, end = found[0].offset, found[-1].offset + 1
                records[partition] = found
                limit -= len(found)
            elif damage is not None:
                first, end = damage.start, damage.end
                gaps.append(damage)
            else:
                first = end = max(start, self._bus.first(self._topic, partition))
            if first > start:
                gaps.insert(0, Gap(self._topic, partition, start, first))
            reached[partition] = end
        return records, gaps, reached

    def _owns(self, db: sqlite3.Connection, partition: int) -> bool:
        """Whether the partition is still this member's; raises Fenced when another process has the member's name."""
        key = (self._topic, self._group)
        self._check_name(db)
        row = db.execute(
            "SELECT instance, epoch FROM owners WHERE topic = ? AND grp = ? AND partition = ?", (*key, partition)
        ).fetchone()
        return bool(row == (self._instance, self._epochs.get(partition)))

    def _check_name(self, db: sqlite3.Connection) -> None:
        row = db.execute(
            "SELECT instance FROM members WHERE topic = ? AND grp = ? AND member = ?",
            (self._topic, self._group, self._member),
        ).fetchone()
        if row is not None and row[0] != self._instance:
            raise Fenced(f"bus: another process has joined {self._group} as {self._member!r}")

    def _give_up(self, why: str) -> None:
        """Let go of everything, so that the next poll takes what is free, from what was committed."""
        self._lost += [partition for partition in self._epochs if partition not in self._gained]
        self._gained.clear()
        self._epochs.clear()
        self._beat = -_HEARTBEAT
        raise Moved(f"bus: {why}")

    def _write(self, db: sqlite3.Connection, partition: int, step: Step) -> None:
        key = (self._topic, self._group, partition)
        self._bus.write(db, step.outputs)
        gone = [(*key, name) for name, value in step.state.items() if value is None]
        kept = [(*key, name, value) for name, value in step.state.items() if value is not None]
        db.executemany("DELETE FROM state WHERE topic = ? AND grp = ? AND partition = ? AND key = ?", gone)
        db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", kept)
        db.execute(
            "UPDATE owners SET position = ? WHERE topic = ? AND grp = ? AND partition = ?", (step.position, *key)
        )

    def _balance(self) -> None:
        """Say that this member lives, give up what others should have, take what is free."""
        if monotonic() - self._beat < _HEARTBEAT:
            return
        key = (self._topic, self._group)
        with self._bus.transaction() as db:
            self._check_name(db)
            until = self._until()
            db.execute(
                "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?)", (*key, self._member, self._instance, until)
            )
            # What lies beyond this member's own lease was written before the machine was started anew.
            db.execute(
                "DELETE FROM members WHERE topic = ? AND grp = ? AND until NOT BETWEEN ? AND ?",
                (*key, _moment(), until),
            )
            members = db.execute("SELECT instance FROM members WHERE topic = ? AND grp = ? ORDER BY member", key)
            alive = [instance for (instance,) in members]
            share = {partition for partition in range(self._count) if alive[partition % len(alive)] == self._instance}
            owned = self._claim(db, share, set(alive))
        self._beat = monotonic()
        self._take(owned)

    def _claim(self, db: sqlite3.Connection, share: set[int], alive: set[str]) -> _Share:
        """Write down who owns what from now on; returns what this member does once that is committed."""
        owned: _Share = {}
        key = (self._topic, self._group)
        rows = db.execute(
            "SELECT partition, instance, epoch, position FROM owners WHERE topic = ? AND grp = ?", key
        ).fetchall()
        update = "UPDATE owners SET instance = ?, epoch = ? WHERE topic = ? AND grp = ? AND partition = ?"
        for partition, instance, epoch, position in rows:
            mine = instance == self._instance
            if mine and self._epochs.get(partition) == epoch and partition in share:
                owned[partition] = (epoch, position)
            elif partition in share and (mine or instance is None or instance not in alive):
                db.execute(update, (self._instance, epoch + 1, *key, partition))
                owned[partition] = (epoch + 1, position)
            elif mine:
                db.execute(update, (None, epoch, *key, partition))
        return owned

    def _take(self, owned: _Share) -> None:
        """Note what was gained and lost, for the next batch to tell."""
        for partition in [
            partition for partition, epoch in self._epochs.items() if owned.get(partition, (-1,))[0] != epoch
        ]:
            del self._epochs[partition]
            if partition in self._gained:
                self._gained.remove(partition)
            else:
                self._lost.append(partition)
        for partition, (epoch, position) in owned.items():
            if partition not in self._epochs:
                self._epochs[partition] = epoch
                self._next[partition] = position
                self._gained.append(partition)

    def _renew(self, db: sqlite3.Connection) -> None:
        """A long step or restore is a sign of life too."""
        db.execute(
            "UPDATE members SET until = ? WHERE topic = ? AND grp = ? AND instance = ?",
            (self._until(), self._topic, self._group, self._instance),
        )

    def _until(self) -> int:
        return _moment() + int(self._bus.lease * SECOND)


def _moment() -> int:
    """Microseconds since the machine was started, the same for all its processes."""
    return int(monotonic() * SECOND)
