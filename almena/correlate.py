"""The correlate role: releases hits in event-time order behind the watermarks and runs what remembers."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from almena import metrics
from almena.alert import Alert
from almena.bus import ALERTS, DEAD, HITS, LEDGER, Record, Stored
from almena.clock import FOREVER, MINUTE, now
from almena.dead import Seal, letter_of
from almena.detect import alert_record, hit_record
from almena.hit import Hit, decode_hit, encode_hit, sound
from almena.pending import Pending, hits_in, key_of
from almena.stage import drop_record
from almena.state import Partition, State
from almena.watermarks import HEADER, Watermarks, watermark_records

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

LOADED = 1_000_000
"""Operators that run, by name and version; they come from rules that were loaded, never from events."""

_OWNER = "correlate"
_MEASURE_SECONDS = 1.0


class Operator(Protocol):
    """The stateful half of a detector; see `detectors.base.Operator`."""

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""

    @property
    def version(self) -> str:
        """State of another version is forgotten."""

    @property
    def depth(self) -> int:
        """0 for hits of events, otherwise one more than that of the operators whose results it reads."""

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        """Take hits in order."""

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        """Event time has passed what `state.wake(key, at)` asked for."""


def owner(operator: Operator, clock: int = 0) -> str:
    """The name under which an operator's state of that clock is kept."""
    return _owned(f"{operator.name}@{operator.version}", clock)


def _owned(name: str, clock: int) -> str:
    return f"{name}@{clock}" if clock else name


def _made_for(hit: Hit) -> str:
    return f"{hit.detector}@{hit.version}"


def drive(operator: Operator, hits: Sequence[Hit], watermark: int, state: State) -> Iterator[Alert | Hit]:
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


def _guard(operator: Operator, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
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
        hit_partitions: int = 0,
        batch: int = MINUTE,
        memory: int = 0,
        seal: Seal | None = None,
        rules: Callable[[], str] = lambda: "",
    ) -> None:
        """`operators` are by name; time moves when all `event_partitions` have told their watermarks, for results when
        all `hit_partitions` have (as many as of events where 0). `batch` is as in `almena.detect.Clocks`.

        What operators remember takes `memory` bytes at most; 0 sets no limit but theirs. What is no hit becomes a dead
        letter with the hash that `rules` gives; without `seal` it is only counted.
        """
        self.state = state
        self._partition = partition
        self._hit_partitions = hit_partitions or event_partitions
        self._batch = batch
        self._memory = memory
        self._seal = seal
        self._rules = rules
        mine = self._mine = state.state(_OWNER)
        self._watermarks = Watermarks(
            mine.table("watermarks", limit=100_000), events=event_partitions, hits=self._hit_partitions
        )
        self._said = mine.table("told", limit=1)
        marks, versions = self._said.get("", ((), []))
        self._told = {(clock, level): mark for clock, level, mark in marks}, versions
        self._pending = Pending(mine.table("hits", limit=PENDING))
        self._waiting = mine.table("waiting", limit=WAITING)
        # By name and version, the clocks beside the live one that there is state of.
        self._owners = mine.table("owners", limit=LOADED)
        self._gone = mine.table("gone", limit=GONE)
        self._counted: dict[State, tuple[int, int]] = {}
        self._since: dict[str, float] = {}
        self._measured = float("-inf")
        self.replace(operators)
        _works.add(self)

    def replace(self, operators: Mapping[str, Operator]) -> None:
        """Run these operators from the next hit on: one whose version is the same keeps its state, all others start
        afresh, and hits that waited for one of them go to it."""
        self._operators = operators
        self._levels: list[dict[str, Operator]] = [
            {name: operator for name, operator in operators.items() if operator.depth == level}
            for level in range(max((operator.depth for operator in operators.values()), default=0) + 1)
        ]
        names = {owner(operator) for operator in operators.values()}
        clocked = {_owned(name, clock) for name in self._owners for clock in self._clocks_of(name)}
        forgotten = self._keep(names)
        if forgotten:
            log.info("partition %d starts afresh for changed or removed: %s", self._partition, ", ".join(forgotten))
        for name in sorted({*self._owners, *forgotten} - names - clocked):
            self._owners.delete(name)
            self._gone.put(name, True)
        for name in sorted(names - {*self._owners}):
            self._gone.delete(name)
            self._owners.put(name, [])
        self._states: dict[int, dict[str, State]] = {0: {}}
        for name, operator in operators.items():
            for clock in (0, *self._clocks_of(owner(operator))):
                self._states.setdefault(clock, {})[name] = self.state.state(owner(operator, clock))
        self._claim()

    def _keep(self, names: set[str]) -> list[str]:
        """Forget the state of all operators but those of these names and versions; returns what was forgotten."""
        clocked = {_owned(name, clock) for name in names for clock in self._clocks_of(name)}
        return self.state.keep({_OWNER, *names, *clocked})

    def _clocks_of(self, name: str) -> list[int]:
        """The clocks beside the live one that there is state of."""
        return list(self._owners.get(name, ()))

    @property
    def watermark(self) -> int:
        """Event time that every partition of events has passed on the live clock; -1 until all have spoken."""
        return self._watermarks.at(0, 0)

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """Take hits and watermarks in offset order; alerts, results and watermarks of results come out."""
        outputs: dict[str, list[Record]] = {ALERTS: [], HITS: [], DEAD: [], LEDGER: []}
        damaged = sum(not self._take(record, outputs[DEAD]) for record in records)
        clocks = sorted(
            {*self._watermarks.clocks, *self._pending.clocks, *self._states, *(c for c, _ in self._told[0])}
        )
        for clock in clocks:
            for found in self._release(clock):
                if isinstance(found, Hit):
                    outputs[HITS].append(hit_record(found))
                else:
                    outputs[ALERTS].append(alert_record(found))
        outputs[HITS].extend(self._tell([clock for clock in clocks if not self._ended(clock)]))
        self._pending.settle()
        outputs[LEDGER].extend(self._losses(damaged))
        if self._memory:
            self.state.shrink(self._memory, spare={_OWNER})
        self._measure()
        return {topic: output for topic, output in outputs.items() if output}

    def _take(self, record: Stored, dead: list[Record]) -> bool:
        """Keep a hit or watermarks, or put what is neither among the `dead`; False when it can only be counted."""
        try:
            if HEADER in record.headers:
                self._watermarks.take(record.value)
            else:
                self._pending.add(sound(decode_hit(record.value)), record.value)
        except (ValueError, TypeError, RecursionError) as error:  # all errors of msgspec are ValueErrors
            log.error("%s/%d/%d: no hit: %s; it is left out", record.topic, record.partition, record.offset, error)
            if self._seal is None:
                return False
            dead.append(letter_of(record, "hit", error, self._seal, rules=self._rules()))
        return True

    def _release(self, clock: int) -> Iterator[Alert | Hit]:
        """Run every operator over the hits of the clock that event time has passed, level by level."""
        states = self._states.get(clock, {})
        for level, operators in enumerate(self._levels):
            watermark = self._watermarks.at(clock, level)
            due = self._due(clock, level, watermark)
            for name, operator in operators.items():
                hits, state = due.get(name), states.get(name)
                if hits is None:
                    wake = state.next_wake() if state is not None else None
                    if wake is None or wake > watermark:
                        continue
                for found in drive(operator, hits or (), watermark, state or self._open(operator, clock)):
                    if isinstance(found, Hit):
                        found = msgspec.structs.replace(found, clock=self._clock_of(found.clock, clock))
                    yield found

    def _clock_of(self, asked: int, clock: int) -> int:
        """The clock of a result that came about on `clock` and is for an operator that waits for the one `asked`."""
        if asked <= max(clock, self._batch):
            return clock
        later = sorted(other for other in self._watermarks.clocks if other > clock)
        return next((other for other in later if other >= asked), (later or [clock])[-1])

    def _due(self, clock: int, level: int, watermark: int) -> dict[str, list[Hit]]:
        """Hits to be released now, by operator; those that none is here for are put aside."""
        due: dict[str, list[Hit]] = {}
        for detector in self._pending.detectors(clock):
            operator = self._operators.get(detector)
            if (0 if operator is None else operator.depth) != level:
                continue
            for hit in self._pending.take(clock, detector, watermark):
                if self._serves(hit):
                    due.setdefault(detector, []).append(hit)
                else:
                    self._hold(hit)
        return due

    def _open(self, operator: Operator, clock: int) -> State:
        """The operator's state of a clock that has its first hit for it."""
        name = owner(operator)
        self._owners.put(name, sorted({*self._clocks_of(name), clock}))
        state = self._states.setdefault(clock, {})[operator.name] = self.state.state(owner(operator, clock))
        return state

    def _ended(self, clock: int) -> bool:
        """Whether nobody speaks for the clock any more and all has been released; what it remembered is forgotten."""
        if clock in self._watermarks.clocks or self._watermarks.at(clock, len(self._levels) - 1) < FOREVER or not clock:
            return False
        names = [owner(self._operators[name]) for name in self._states.pop(clock, {})]
        for name in names:
            self._owners.put(name, [other for other in self._clocks_of(name) if other != clock])
        if names:
            log.info(
                "partition %d: the clock of %d s has ended; its windows are closed", self._partition, clock // 10**6
            )
            self._keep({*self._owners})
        return True

    def _tell(self, clocks: Sequence[int]) -> list[Record]:
        """What has been released of each level, for those who wait for its results: told when it changed."""
        below = range(len(self._levels) - 1)
        told = {(clock, level + 1): self._watermarks.at(clock, level) for clock in clocks for level in below}
        versions = self._watermarks.versions if told else []
        if (told, versions) == self._told:
            return []
        self._told = told, versions
        self._said.put("", ([(*which, mark) for which, mark in told.items()], versions))
        return watermark_records(HITS, self._partition, told, self._watermarks.versions, self._hit_partitions)

    def _losses(self, damaged: int) -> list[Record]:
        """What was left out in this step, for the ledger, by reason."""
        metrics.HITS_UNCLAIMED.inc(self._waiting.evicted)
        counts = {
            "damaged": damaged,
            "too many hits wait for the watermark": self._pending.evicted,
            "made for a correlation that is not here": self._waiting.evicted + self._expire(),
        }
        self._pending.evicted = self._waiting.evicted = 0
        return [drop_record("bus.hits", "", reason, count) for reason, count in counts.items() if count]

    def _serves(self, hit: Hit) -> bool:
        """Whether the operator that the hit was made for runs here; one without a version is for any."""
        operator = self._operators.get(hit.detector)
        return operator is not None and hit.version in ("", operator.version)

    def _hold(self, hit: Hit) -> None:
        """Keep a hit for an operator that is not here yet; the last ones of an operator that left are left out."""
        name = _made_for(hit)
        if name in self._gone:
            metrics.HITS_UNCLAIMED.inc()
            return
        if name not in self._since:
            log.info("hits for %s, which is not here, wait until the rules are reloaded", name)
            self._since[name] = time.monotonic()
        self._waiting.put(key_of(hit), encode_hit(hit))

    def _claim(self) -> None:
        """Release the waiting hits whose operator is here now."""
        left: dict[str, float] = {}
        for key, hit in hits_in(self._waiting):
            name = _made_for(hit)
            if not self._serves(hit) and name not in self._gone:
                left[name] = self._since.get(name, time.monotonic())
                continue
            self._waiting.delete(key)
            if self._serves(hit):
                self._pending.add(hit)
        self._since = left

    def _expire(self) -> int:
        """Drop what has waited for too long; returns how many hits had no operator of that name at all.

        Where one runs in another version, what waited was made for a version that was passed over; it is counted, and
        no loss.
        """
        limit = time.monotonic() - PATIENCE
        late = {name for name, since in self._since.items() if since < limit}
        lost = 0
        for key, hit in hits_in(self._waiting) if late else ():
            if _made_for(hit) in late:
                self._waiting.delete(key)
                metrics.HITS_UNCLAIMED.inc()
                lost += hit.detector not in self._operators
        for name in late:
            log.warning("hits for %s are left out: its rule was not loaded here for %.0f s", name, PATIENCE)
            del self._since[name]
        return lost

    def _measure(self) -> None:
        """Say how this partition is doing, and what all partitions of this process remember, once a second."""
        moment = time.monotonic()
        if moment - self._measured < _MEASURE_SECONDS:
            return
        self._measured = moment
        metrics.PENDING_HITS.labels(str(self._partition)).set(len(self._pending))
        if 0 <= self.watermark < FOREVER:
            metrics.WATERMARK_DELAY.labels(str(self._partition)).set((now() - self.watermark) / 1e6)
        every = [state for work in _works for state in work.state.states()]
        metrics.STATE_ENTRIES.set(sum(state.entries() for state in every))
        metrics.STATE_BYTES.set(sum(state.size() for state in every))
        before, self._counted = self._counted, {}
        for name, state in [(_OWNER, self._mine), *(item for found in self._states.values() for item in found.items())]:
            evicted, damaged = before.get(state, (0, 0))
            if fresh := state.evictions() - evicted:
                metrics.STATE_EVICTIONS.labels(name).inc(fresh)
            if fresh := state.damaged() - damaged:
                metrics.STATE_DAMAGED.labels(name).inc(fresh)
            self._counted[state] = state.evictions(), state.damaged()


_works: weakref.WeakSet[Correlate] = weakref.WeakSet()
"""The partitions of this process; one that was lost is gone as soon as nobody runs it."""
