"""The correlate role: releases hits in event-time order behind the watermark and runs what remembers."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from almena import metrics
from almena.alert import Alert
from almena.bus import ALERTS, LEDGER, Record, Stored
from almena.clock import FOREVER, now
from almena.detect import alert_record
from almena.hit import Hit, decode_hit, encode_hit
from almena.stage import drop_record
from almena.state import Partition, State

log = logging.getLogger("almena.correlate")

PENDING = 2_000_000
"""Hits per partition that may wait for the watermark; beyond it the oldest are dropped and counted."""

WAITING = 200_000
"""Hits per partition that may wait for an operator that is not here yet; beyond it the oldest are dropped and
counted."""

PATIENCE = 600.0
"""Seconds that hits wait for their operator. Members reload their rules at moments of their own, so detect may be a
little ahead; what still has no operator then is dropped and counted."""

GONE = 10_000
"""Operators that left, by name and version, whose last hits are no loss."""

_OWNER = "correlate"


class Operator(Protocol):
    """The stateful half of a detector; see `detectors.base.Operator`."""

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""

    @property
    def version(self) -> str:
        """State of another version is forgotten."""

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        """Take hits in order."""

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        """Event time has passed what `state.wake(key, at)` asked for."""


def owner(operator: Operator) -> str:
    """The name under which an operator's state is kept."""
    return f"{operator.name}@{operator.version}"


def _made_for(hit: Hit) -> str:
    return f"{hit.detector}@{hit.version}"


def drive(operator: Operator, hits: Sequence[Hit], watermark: int, state: State) -> Iterator[Alert]:
    """Run one operator over `hits` (sorted by time and id, none after `watermark`) and its wake-ups, in time order."""
    start = 0
    while True:
        wake = state.next_wake()
        if start < len(hits) and (wake is None or hits[start].time <= wake):
            # One moment at a time: a hit may ask to be woken before the next one.
            stop = start + 1
            while stop < len(hits) and hits[stop].time == hits[start].time:
                stop += 1
            yield from _guard(operator, hits[start:stop], state)
            start = stop
        elif wake is not None and wake <= watermark:
            due = state.due(watermark)
            try:
                yield from list(operator.advance(wake, due, state))
            except Exception:
                metrics.DETECTOR_ERRORS.labels(operator.name).inc()
                log.exception("%s failed on waking at %d; its state stays as it was left", operator.name, wake)
        else:
            return


def _guard(operator: Operator, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
    try:
        yield from list(operator.observe(hits, state))
    except Exception:
        metrics.DETECTOR_ERRORS.labels(operator.name).inc()
        log.exception("%s failed on hits %s to %s; its state stays as left", operator.name, hits[0].id, hits[-1].id)


class Correlate:
    """One partition of hits: the ordered buffer, the watermarks, and the operators' state."""

    def __init__(
        self,
        partition: int,
        state: Partition,
        *,
        operators: Mapping[str, Operator],
        event_partitions: int,
    ) -> None:
        """`operators` are by name; time moves when all `event_partitions` have told their watermark."""
        self.state = state
        self._partition = partition
        self._event_partitions = event_partitions
        mine = state.state(_OWNER)
        self._watermarks = mine.table("watermarks", limit=100_000)
        self._pending = mine.table("pending", limit=PENDING)
        self._waiting = mine.table("waiting", limit=WAITING)
        self._owners = mine.table("owners", limit=GONE)
        self._gone = mine.table("gone", limit=GONE)
        self._order = sorted(self._pending)
        self._evicted: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self.replace(operators)

    def replace(self, operators: Mapping[str, Operator]) -> None:
        """Run these operators from the next hit on: one whose version is the same keeps its state, all others start
        afresh, and hits that waited for one of them go to it."""
        self._operators = operators
        owners = {owner(operator) for operator in operators.values()}
        forgotten = self.state.keep({_OWNER, *owners})
        if forgotten:
            log.info("partition %d starts afresh for changed or removed: %s", self._partition, ", ".join(forgotten))
        for name in sorted({*self._owners, *forgotten} - owners):
            self._owners.delete(name)
            self._gone.put(name, True)
        for name in sorted(owners - {*self._owners}):
            self._gone.delete(name)
            self._owners.put(name, True)
        self._states = {name: self.state.state(owner(operator)) for name, operator in operators.items()}
        self._evicted = {name: self._states[name].evictions() for name in operators}
        self._claim()

    @property
    def watermark(self) -> int:
        """Event time that every partition of events has passed; -1 until all have spoken."""
        return min(int(self._watermarks.get(str(index), -1)) for index in range(self._event_partitions))

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """Take hits and watermarks in offset order; alerts come out."""
        damaged = sum(not self._take(record) for record in records)
        lost = self._pending.evicted
        outputs = {ALERTS: [alert_record(alert) for alert in self.release(self.watermark)], LEDGER: []}
        metrics.HITS_UNCLAIMED.inc(self._waiting.evicted)
        unclaimed = self._waiting.evicted + self._expire()
        if damaged:
            outputs[LEDGER].append(drop_record("bus.hits", "", "damaged", damaged))
        if lost:
            self._pending.evicted = 0
            outputs[LEDGER].append(drop_record("bus.hits", "", "too many hits wait for the watermark", lost))
        if unclaimed:
            self._waiting.evicted = 0
            outputs[LEDGER].append(drop_record("bus.hits", "", "made for a correlation that is not here", unclaimed))
        self._measure()
        return {topic: output for topic, output in outputs.items() if output}

    def _take(self, record: Stored) -> bool:
        """Keep a hit or a watermark; False when it is damaged, or of a version that wrote hits otherwise."""
        try:
            if "watermark" in record.headers:
                partition, watermark = msgspec.msgpack.decode(record.value, type=tuple[int, int])
                if watermark > self._watermarks.get(str(partition), -1):
                    self._watermarks.put(str(partition), watermark)
            else:
                self.add(decode_hit(record.value))
        except msgspec.MsgspecError as error:
            log.error("%s/%d/%d: no hit: %s; it is left out", record.topic, record.partition, record.offset, error)
            return False
        return True

    def add(self, hit: Hit) -> None:
        """Put a hit into the ordered buffer; the same hit twice is one."""
        key = f"{hit.time:020d}\x1e{hit.id}\x1e{hit.detector}\x1e{hit.rule}\x1e{hit.group}"
        if key not in self._pending:
            heapq.heappush(self._order, key)
        self._pending.put(key, encode_hit(hit))

    def release(self, watermark: int) -> Iterator[Alert]:
        """Run every operator over the hits that event time has passed, in (time, id) order."""
        due: dict[str, list[Hit]] = {}
        limit = f"{watermark:020d}\x1f"
        while self._order and watermark >= 0 and self._order[0] < limit:
            key = heapq.heappop(self._order)
            value = self._pending.get(key)
            if value is None:
                continue
            self._pending.delete(key)
            hit = msgspec.convert(value, Hit)
            if self._serves(hit):
                due.setdefault(hit.detector, []).append(hit)
            else:
                self._hold(key, hit)
        for name, operator in self._operators.items():
            yield from drive(operator, due.get(name, ()), watermark, self._states[name])

    def _serves(self, hit: Hit) -> bool:
        """Whether the operator that the hit was made for runs here; one without a version is for any."""
        operator = self._operators.get(hit.detector)
        return operator is not None and hit.version in ("", operator.version)

    def _hold(self, key: str, hit: Hit) -> None:
        """Keep a hit for an operator that is not here yet; the last ones of an operator that left are left out."""
        name = _made_for(hit)
        if name in self._gone:
            metrics.HITS_UNCLAIMED.inc()
            return
        if name not in self._since:
            log.info("hits for %s, which is not here, wait until the rules are reloaded", name)
            self._since[name] = time.monotonic()
        self._waiting.put(key, encode_hit(hit))

    def _claim(self) -> None:
        """Release the waiting hits whose operator is here now."""
        left: dict[str, float] = {}
        for key in self._waiting:
            hit = msgspec.convert(self._waiting.get(key), Hit)
            name = _made_for(hit)
            if not self._serves(hit) and name not in self._gone:
                left[name] = self._since.get(name, time.monotonic())
                continue
            self._waiting.delete(key)
            if self._serves(hit):
                self.add(hit)
        self._since = left

    def _expire(self) -> int:
        """Drop what has waited for too long; returns how many hits had no operator of that name at all.

        Where one runs in another version, what waited was made for a version that was passed over; it is counted, and
        no loss.
        """
        limit = time.monotonic() - PATIENCE
        late = {name for name, since in self._since.items() if since < limit}
        lost = 0
        for key in self._waiting if late else ():
            hit = msgspec.convert(self._waiting.get(key), Hit)
            if _made_for(hit) in late:
                self._waiting.delete(key)
                metrics.HITS_UNCLAIMED.inc()
                lost += hit.detector not in self._operators
        for name in late:
            log.warning("hits for %s are left out: its rule was not loaded here for %.0f s", name, PATIENCE)
            del self._since[name]
        return lost

    def _measure(self) -> None:
        metrics.STATE_ENTRIES.set(sum(state.entries() for state in self.state.states()))
        watermark = self.watermark
        if 0 <= watermark < FOREVER:
            metrics.WATERMARK_DELAY.labels(str(self._partition)).set((now() - watermark) / 1e6)
        for name, state in self._states.items():
            fresh = state.evictions() - self._evicted.get(name, 0)
            if fresh:
                metrics.STATE_EVICTIONS.labels(name).inc(fresh)
                self._evicted[name] = self._evicted.get(name, 0) + fresh
