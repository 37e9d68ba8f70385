"""The loop of every role that reads the bus: poll, work, and commit results, state and positions as one step."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from almena import metrics
from almena.bus import LEDGER, Gap, Record, Session, Stored
from almena.clock import format_time, now
from almena.errors import BusError, Fenced
from almena.state import Partition

log = logging.getLogger("almena.stage")

LARGEST_STEP = 2_000
"""Records in one step at most."""

_LONGEST_PAUSE = 5.0


class Work(Protocol):
    """What a role does with one partition; it lives from the partition's gain to its loss."""

    state: Partition

    def step(self, records: Sequence[Stored]) -> Mapping[str, list[Record]]:
        """Take records in offset order and return what to append, by topic."""


class Stage:
    """One member of a group at work: partitions come and go, every step is atomic."""

    def __init__(self, name: str, session: Session, open_work: Callable[[int, Partition], Work]) -> None:
        """`open_work` makes the work of a partition just gained, from its restored state."""
        self.name = name
        self._session = session
        self._open = open_work
        self._works: dict[int, Work] = {}

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; raises Fenced when another process has taken this one's place."""
        try:
            while not stop.is_set():
                self.step(timeout=1.0, stop=stop)
        finally:
            self._session.close()

    def step(self, timeout: float, stop: threading.Event | None = None) -> int:
        """One step; returns how many records it took."""
        batch = self._session.poll(LARGEST_STEP, timeout)
        began = time.perf_counter()
        for partition in batch.lost:
            self._works.pop(partition, None)
        for partition in batch.gained:
            snapshot = self._session.restore(partition)
            self._works[partition] = self._open(partition, Partition(snapshot.state))
        outputs: dict[str, list[Record]] = {}
        if batch.gaps:
            outputs[LEDGER] = [_gap_record(gap) for gap in batch.gaps]
        positions = {gap.partition: gap.end for gap in batch.gaps}
        for partition, records in batch.records.items():
            for topic, output in self._works[partition].step(records).items():
                outputs.setdefault(topic, []).extend(output)
            positions[partition] = records[-1].offset + 1
        if positions:
            changes = {partition: self._works[partition].state.changes() for partition in positions}
            self._commit(outputs, changes, positions, stop)
            metrics.STEP_DURATION.labels(self.name).observe(time.perf_counter() - began)
        metrics.HEARTBEAT.labels(self.name).set(now() / 1e6)
        return sum(len(records) for records in batch.records.values())

    def _commit(
        self,
        outputs: Mapping[str, Sequence[Record]],
        changes: Mapping[int, Mapping[str, bytes | None]],
        positions: Mapping[int, int],
        stop: threading.Event | None,
    ) -> None:
        """Commit for as long as it takes: nothing was written while it fails, so the same step is tried again."""
        pause = 0.05
        while True:
            try:
                self._session.commit(outputs, changes, positions)
            except Fenced:
                raise
            except BusError as error:
                if stop is not None and stop.is_set():
                    raise
                log.warning("%s: %s; trying again in %.1f s", self.name, error, pause)
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return


def drop_record(source: str, agency: str, reason: str, count: int) -> Record:
    """A count of records lost for good, for the ledger topic."""
    drop = {"kind": "drop", "source": source, "agency": agency, "reason": reason, "count": count}
    return Record(f"drop/{source}", msgspec.json.encode(drop | {"time": format_time(now())}))


def _gap_record(gap: Gap) -> Record:
    metrics.BUS_GAPS.labels(gap.topic).inc(gap.end - gap.start)
    log.error(
        "%s/%d: records %d to %d were trimmed before they were read", gap.topic, gap.partition, gap.start, gap.end
    )
    return drop_record(f"bus.{gap.topic}", "", "trimmed", gap.end - gap.start)
