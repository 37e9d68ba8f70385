"""Both roles over events that were appended, every step a new process; the same alerts must come however it is cut."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from almena.alert import Alert
from almena.bus import ALERTS, EVENTS, HITS, Position, Stored, open_bus
from almena.correlate import Correlate, Operator
from almena.detect import MARKER, Detect, Selector
from almena.event import Event, encode
from almena.stage import Stage
from almena.state import Partition

Appended = tuple[int, int, str, Event]
"""Append time, partition, source and event."""


class Flow:
    """Detect and correlate on a bus in memory; correlate follows at random moments."""

    def __init__(
        self,
        events: Sequence[Appended],
        selectors: Sequence[Selector],
        operators: Mapping[str, Operator],
        *,
        cuts: Iterable[int] = (),
        seed: int = 0,
        partitions: int = 1,
        lateness: Mapping[str, int] | None = None,
    ) -> None:
        """`cuts` are how many events the first steps take; `lateness` by source."""
        self.selectors, self.operators = selectors, operators
        self.lateness = lateness or {}
        self.bus = open_bus("memory:", partitions=partitions)
        self.partitions = partitions
        self.chance = random.Random(seed)
        self.cuts = iter([*cuts, *[7] * 10_000])
        self.logs: list[list[Stored]] = [[] for _ in range(partitions)]
        for appended, partition, source, item in events:
            headers = {"source": source, "agency": "a", "lane": item["event.id"], "seq": "0"}
            self.append(partition % partitions, appended, encode(item), headers)
        for partition, log in enumerate(self.logs):
            self.append(partition, log[-1].time if log else 0, b"", {MARKER: "end"})
        self.saved: list[dict[str, bytes]] = [{} for _ in range(partitions)]
        self.reached = [0] * partitions

    def append(self, partition: int, time: int, value: bytes, headers: dict[str, str]) -> None:
        """Put one record into a partition of events."""
        log = self.logs[partition]
        log.append(Stored(EVENTS, partition, len(log), time, "", value, headers))

    def play(self) -> list[bytes]:
        """Every revision of every alert, in order of its text."""
        while left := [p for p in range(self.partitions) if self.reached[p] < len(self.logs[p])]:
            self.detect(self.chance.choice(left))
            if self.chance.random() < 0.3:
                self.correlate()
        steps = 0
        while sum(self.bus.lag(HITS, "correlate").values()):
            self.correlate()
            steps += 1
            assert steps < 3_000
        found = [self.bus.read(Position(ALERTS, p, 0), 100_000) for p in range(self.partitions)]
        return sorted(item.value for items in found for item in items)

    def detect(self, partition: int) -> None:
        """One step of a new detect process."""
        start = self.reached[partition]
        left = len(self.logs[partition]) - 1 - start
        work = Detect(
            partition,
            Partition(dict(self.saved[partition])),
            selectors=self.selectors,
            hit_partitions=self.partitions,
            lateness=self.lateness_at(left),
            seal=bytes.hex,
        )
        size = min(next(self.cuts), left or 1)
        self.bus.append_all(work.step(self.logs[partition][start : start + size]))
        self.reached[partition] += size
        save(self.saved[partition], work.state)

    def lateness_at(self, left: int) -> Mapping[str, int]:
        """What is configured while so many events are left."""
        return self.lateness

    def correlate(self) -> None:
        """One step of a new correlate process under the same name: state comes back from the bus."""

        def open_work(partition: int, state: Partition) -> Correlate:
            return Correlate(partition, state, operators=self.operators, event_partitions=self.partitions)

        Stage("correlate", self.bus.session(HITS, group="correlate", member="m"), open_work).step(timeout=0.0)


def save(snapshot: dict[str, bytes], state: Partition) -> None:
    """Add what changed to what was saved."""
    for name, data in state.changes().items():
        snapshot.pop(name, None)
        if data is not None:
            snapshot[name] = data


def final(alerts: Iterable[bytes]) -> dict[str, Alert]:
    """The last revision of each alert, without the times of appends, which differ from run to run."""
    best: dict[str, Alert] = {}
    for data in alerts:
        alert = msgspec.json.decode(data)
        known = best.get(alert["almena.alert.id"])
        if known is None or known["almena.alert.revision"] < alert["almena.alert.revision"]:
            best[alert["almena.alert.id"]] = alert
    return {name: _timeless(alert) for name, alert in sorted(best.items())}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(item) for name, item in value.items() if name != "event.ingested"}
    return [_timeless(item) for item in value] if isinstance(value, list) else value
