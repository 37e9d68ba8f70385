"""How far event time has come: what every partition upstream tells, by clock and level, and what follows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from almena.bus import EVENTS, HITS, Record, Stored
from almena.clock import FOREVER
from almena.state import Table

HEADER = "watermark"
"""The header of records on the topic of hits that carry watermarks."""

Marks = Mapping[tuple[int, int], int]
"""Watermarks by (clock, level), microseconds: everything of that clock and level up to there has been appended.

Level 0 is hits of events; level n is results of operators of level n - 1.
"""


class _Told(msgspec.Struct, array_like=True, frozen=True):
    topic: Literal["events", "hits"]
    partition: int
    marks: list[tuple[int, int, int]]
    versions: list[int]


class _Row(NamedTuple):
    """What one partition told last."""

    marks: dict[tuple[int, int], int]
    versions: list[int]


def watermark_records(topic: str, partition: int, marks: Marks, versions: Sequence[int], targets: int) -> list[Record]:
    """All the watermarks of one partition of events or hits, told to each of `targets` partitions of hits.

    A partition of events gives as `versions` the one offset up to which it has read, one of hits `Watermarks.versions`.
    """
    told = [(clock, level, watermark) for (clock, level), watermark in sorted(marks.items())]
    value = msgspec.msgpack.encode((topic, partition, told, versions))
    return [Record("", value, {HEADER: "1"}, partition=target) for target in range(targets)]


def tells_time(record: Stored) -> bool:
    """Whether it only tells how far a partition of events has come, as those that are quiet do each second."""
    if HEADER not in record.headers:
        return False
    try:
        return msgspec.msgpack.decode(record.value, type=_Told).topic == EVENTS
    except msgspec.MsgspecError:
        return False


class Watermarks:
    """What each partition told last, saved with the state.

    A clock that no partition of events speaks for any more has ended: nothing more comes on it. While one speaks for
    it, the others are waited for; they are about to take up the same configuration. That a partition of hits has done
    with a clock counts only when it knew of every change of clocks that is known here.
    """

    def __init__(self, table: Table, *, events: int, hits: int) -> None:
        """`table` keeps what was told; there are so many partitions of events and of hits."""
        self._table = table
        self._partitions = {EVENTS: events, HITS: hits}
        self._rows: dict[tuple[str, int], _Row] = {}
        for topic, count in self._partitions.items():
            for partition in range(count):
                if (saved := table.get(f"{topic}/{partition}")) is not None:
                    marks, versions = saved
                    self._rows[topic, partition] = _Row(
                        {(clock, level): mark for clock, level, mark in marks}, versions
                    )
        self._known: dict[tuple[int, int], int] = {}
        self._survey()

    @property
    def clocks(self) -> frozenset[int]:
        """The clocks that some partition of events speaks for."""
        return self._clocks

    @property
    def versions(self) -> list[int]:
        """By partition of events, the offset at which it last began or ceased to speak for a clock; -1 before it
        spoke."""
        return self._versions

    def take(self, data: bytes) -> None:
        """Take what a partition tells, in the order told; raises MsgspecError when it is damaged."""
        told = msgspec.msgpack.decode(data, type=_Told)
        if not 0 <= told.partition < self._partitions[told.topic]:
            raise msgspec.ValidationError(f"there is no partition {told.partition} of {told.topic}")
        if len(told.versions) != (1 if told.topic == EVENTS else self._partitions[EVENTS]):
            raise msgspec.ValidationError(f"there are not {len(told.versions)} versions")
        key = told.topic, told.partition
        before = self._rows.get(key)
        row = _Row({(clock, level): mark for clock, level, mark in told.marks}, told.versions)
        if before is not None and told.topic == EVENTS:
            # What has ended stays so, whatever is appended behind the end.
            marks = {which: max(mark, before.marks.get(which, -1)) for which, mark in row.marks.items()}
            row = _Row(marks, before.versions if marks.keys() == before.marks.keys() else row.versions)
        if row == before:
            return
        self._rows[key] = row
        self._table.put(f"{told.topic}/{told.partition}", [[(*w, mark) for w, mark in row.marks.items()], row.versions])
        self._known.clear()
        if told.topic == EVENTS and (before is None or row.versions != before.versions):
            self._survey()

    def at(self, clock: int, level: int) -> int:
        """Event time that has passed for an operator of that level: no hit of its clock at or before it is to come.

        -1 until all have spoken, FOREVER when the clock has ended.
        """
        known = self._known.get((clock, level))
        if known is None:
            topic = HITS if level else EVENTS
            rows = [self._rows.get((topic, partition)) for partition in range(self._partitions[topic])]
            known = min((self._passed(row, clock, level) for row in rows), default=-1)
            if level:
                known = min(known, self.at(clock, level - 1))
            self._known[clock, level] = known
        return known

    def _passed(self, row: _Row | None, clock: int, level: int) -> int:
        if row is None:
            return -1
        mark = row.marks.get((clock, level), -1 if clock in self._clocks else FOREVER)
        if mark < FOREVER or not level:
            return mark
        behind = any(theirs < ours for theirs, ours in zip(row.versions, self._versions, strict=True))
        return -1 if behind else mark

    def _survey(self) -> None:
        rows = [self._rows.get((EVENTS, partition)) for partition in range(self._partitions[EVENTS])]
        self._versions = [-1 if row is None else row.versions[0] for row in rows]
        self._clocks = frozenset(clock for row in rows if row is not None for clock, _ in row.marks)
