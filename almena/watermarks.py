"""How far event time has come: what every partition upstream tells, by clock and level, and what follows of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from almena.bus import EVENTS, HITS, Record
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


def watermark_records(topic: str, partition: int, marks: Marks, targets: int) -> list[Record]:
    """All the watermarks of one partition of events or hits, told to each of `targets` partitions of hits."""
    told = [(clock, level, watermark) for (clock, level), watermark in sorted(marks.items())]
    value = msgspec.msgpack.encode((topic, partition, told))
    return [Record("", value, {HEADER: "1"}, partition=target) for target in range(targets)]


class Watermarks:
    """What each partition told last, saved with the state.

    A clock that no partition of events speaks for any more has ended: nothing more comes on it. While one speaks for
    it, the others are waited for; they are about to take up the same configuration.
    """

    def __init__(self, table: Table, *, events: int, hits: int) -> None:
        """`table` keeps what was told; there are so many partitions of events and of hits."""
        self._table = table
        self._partitions = {EVENTS: events, HITS: hits}
        self._rows: dict[tuple[str, int], dict[tuple[int, int], int]] = {}
        for topic, count in self._partitions.items():
            for partition in range(count):
                if (saved := table.get(f"{topic}/{partition}")) is not None:
                    self._rows[topic, partition] = {(clock, level): mark for clock, level, mark in saved}
        self._known: dict[tuple[int, int], int] = {}
        self._clocks = self._spoken()

    @property
    def clocks(self) -> frozenset[int]:
        """The clocks that some partition of events speaks for."""
        return self._clocks

    def take(self, data: bytes) -> None:
        """Take what a partition tells, in the order told; raises MsgspecError when it is damaged."""
        told = msgspec.msgpack.decode(data, type=_Told)
        key = told.topic, told.partition
        if not 0 <= told.partition < self._partitions[told.topic]:
            raise msgspec.ValidationError(f"there is no partition {told.partition} of {told.topic}")
        before = self._rows.get(key, {})
        row = {(clock, level): mark for clock, level, mark in told.marks}
        if told.topic == EVENTS:
            # What has ended stays so, whatever is appended behind the end.
            row = {which: max(mark, before.get(which, -1)) for which, mark in row.items()}
        if row == before and key in self._rows:
            return
        self._rows[key] = row
        self._table.put(f"{told.topic}/{told.partition}", [(*which, mark) for which, mark in row.items()])
        self._known.clear()
        if row.keys() != before.keys():
            self._clocks = self._spoken()

    def at(self, clock: int, level: int) -> int:
        """Event time that has passed for an operator of that level: no hit of its clock at or before it is to come.

        -1 until all have spoken, FOREVER when the clock has ended.
        """
        known = self._known.get((clock, level))
        if known is None:
            known = self._least(clock, level)
            if level:
                known = min(known, self.at(clock, level - 1))
            self._known[clock, level] = known
        return known

    def _least(self, clock: int, level: int) -> int:
        topic = HITS if level else EVENTS
        untold = -1 if clock in self._clocks else FOREVER
        rows = [self._rows.get((topic, partition)) for partition in range(self._partitions[topic])]
        return min((-1 if row is None else row.get((clock, level), untold) for row in rows), default=-1)

    def _spoken(self) -> frozenset[int]:
        return frozenset(clock for (topic, _), row in self._rows.items() if topic == EVENTS for clock, _ in row)
