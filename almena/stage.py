"""The loop of every role that reads the bus: poll, work, and commit results, state and positions as one step."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from almena import metrics
from almena.bus import LEDGER, Batch, Gap, Record, Session, Step, Stored
from almena.clock import format_time, now
from almena.errors import BusError, Fenced, Moved
from almena.state import Partition

log = logging.getLogger("almena.stage")

LARGEST_STEP = 2_000
"""Records in one step at most."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0

T = TypeVar("T")


class Work(Protocol):
    """What a role does with one partition; it lives from the partition's gain to its loss."""

    state: Partition

    def step(self, records: Sequence[Stored]) -> Mapping[str, list[Record]]:
        """Take records in offset order and return what to append, by topic."""


class Stage:
    """One member of a group at work: partitions come and go, every step is atomic.

    While the bus refuses, the same operation is tried again for as long as it takes: nothing was done, nothing is lost.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        open_work: Callable[[int, Partition], Work],
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """`open_work` makes the work of a partition just gained, from its restored state; `between` is called between
        steps, where nothing is half done."""
        self.name = name
        self._session = session
        self._open = open_work
        self._between = between
        self._works: dict[int, Work] = {}

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; raises Fenced when another process has taken this one's place."""
        try:
            while not stop.is_set():
                self.step(timeout=1.0, stop=stop)
        except BusError as error:
            if isinstance(error, Fenced) or not stop.is_set():
                raise
            log.warning("%s: %s; stopped, and the next process does the step again", self.name, error)
        finally:
            self._leave()

    @property
    def works(self) -> list[Work]:
        """The work of every partition that is this member's."""
        return list(self._works.values())

    def step(self, timeout: float, stop: threading.Event | None = None) -> int:
        """One step; returns how many records it took, 0 when it was void because partitions moved."""
        self._between()
        batch = self._insist(lambda: self._session.poll(LARGEST_STEP, timeout), stop)
        began = time.perf_counter()
        for partition in batch.lost:
            self._works.pop(partition, None)
        try:
            for partition in batch.gained:
                snapshot = self._insist(partial(self._session.restore, partition), stop)
                self._works[partition] = self._open(partition, Partition(snapshot.state))
            steps = self._work(batch)
            if steps:
                self._insist(lambda: self._session.commit(steps), stop)
                metrics.STEP_DURATION.labels(self.name).observe(time.perf_counter() - began)
        except Moved as error:
            log.warning("%s: %s; what was done since is void", self.name, error)
            return 0
        metrics.HEARTBEAT.labels(self.name).set(now() / 1e6)
        return sum(len(records) for records in batch.records.values())

    def _work(self, batch: Batch) -> dict[int, Step]:
        """What the batch comes to, by partition."""
        outputs: dict[int, dict[str, list[Record]]] = {}
        positions: dict[int, int] = {}
        for gap in batch.gaps:
            outputs.setdefault(gap.partition, {}).setdefault(LEDGER, []).append(_gap_record(gap))
            positions[gap.partition] = gap.end
        for partition, records in batch.records.items():
            mine = outputs.setdefault(partition, {})
            for topic, output in self._works[partition].step(records).items():
                mine.setdefault(topic, []).extend(output)
            positions[partition] = records[-1].offset + 1
        return {
            partition: Step(position, outputs[partition], self._works[partition].state.changes())
            for partition, position in positions.items()
        }

    def _insist(self, action: Callable[[], T], stop: threading.Event | None) -> T:
        """Do it until it succeeds; once `stop` is set, a refusal is raised."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return action()
            except (Fenced, Moved):
                raise
            except BusError as error:
                if stop is not None and stop.is_set():
                    raise
                log.warning("%s: %s; trying again in %.1f s", self.name, error, pause)
                _sleep(pause * random.uniform(0.5, 1.0), stop)  # noqa: S311 (jitter)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _leave(self) -> None:
        """Leave the group; where the bus refuses even that, the lease ends by itself."""
        try:
            self._session.close()
        except BusError as error:
            log.warning("%s: %s; its partitions stay its own until the lease ends", self.name, error)


def _sleep(seconds: float, stop: threading.Event | None) -> None:
    """Sleep until `stop` is set at most; not by `stop.wait`, whose lock a signal handler would wait for in vain."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not (stop is not None and stop.is_set()):
        time.sleep(min(left, 0.1))


def drop_record(source: str, agency: str, reason: str, count: int) -> Record:
    """A count of records lost for good, for the ledger topic."""
    drop = {"kind": "drop", "source": source, "agency": agency, "reason": reason, "count": count}
    return Record(f"drop/{source}", msgspec.json.encode(drop | {"time": format_time(now())}))


def _gap_record(gap: Gap) -> Record:
    metrics.BUS_GAPS.labels(gap.topic).inc(gap.end - gap.start)
    log.error(
        "%s/%d: records %d to %d were never read: %s", gap.topic, gap.partition, gap.start, gap.end - 1, gap.reason
    )
    return drop_record(f"bus.{gap.topic}", "", gap.reason, gap.end - gap.start)
