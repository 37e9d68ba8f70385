"""The detect role: drops repeats, judges lateness once, and lets every detector see each event once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from almena import metrics
from almena.alert import Alert
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Record, Stored
from almena.clock import DAY, FOREVER, MINUTE, SECOND, format_time, parse_time
from almena.dead import Seal, letter_of
from almena.errors import ParseError
from almena.event import Batch, Event, decode, event_time
from almena.hit import WIDEST, Hit, encode_hit
from almena.state import Partition, Table
from almena.watermarks import Marks, watermark_records

log = logging.getLogger("almena.detect")

LANES = 200_000
"""Lanes per partition whose highest sequence is remembered; beyond it the one silent longest is forgotten."""

SOURCES = 10_000
"""Sources per partition that are counted."""

SKEW = 5 * MINUTE
"""An event further than this ahead of its append is from the future: its time becomes the append's."""

SLICE = 500
"""Events that are decoded and judged at once: few enough to stay in the processor's cache between the two."""

MARKER = "marker"
"""The header of records that carry no event: `idle` moves event time on, `end` says nothing more will come."""

_LEDGER_SECONDS = 1.0
_FARTHEST = 366 * DAY
_COUNTS = ("events", "repeats", "late", "future")

Selection = Hit | Alert


class Selector(Protocol):
    """The stateless half of a detector."""

    def select(self, events: Sequence[Event]) -> Iterator[Selection]:
        """Alerts that one event suffices for, and hits for operators."""


def select(selectors: Iterable[Selector], events: Sequence[Event]) -> Iterator[Selection]:
    """What all selectors find; one that fails on an event loses that event only, and the failure is counted."""
    for selector in selectors:
        try:
            yield from list(selector.select(events))
        except Exception:
            name = type(selector).__name__
            metrics.DETECTOR_ERRORS.labels(name).inc()
            log.exception("%s failed on a batch of %d; trying its events one by one", name, len(events))
            for event in events:
                yield from _select_one(selector, event)


def _select_one(selector: Selector, event: Event) -> Iterator[Selection]:
    try:
        yield from list(selector.select([event]))
    except Exception:
        log.exception("%s failed on event %s", type(selector).__name__, event.get("event.id"))


class Clocks:
    """The clocks that events are ordered by: the live one, and one for every lateness of feeds that come in batches."""

    def __init__(self, lateness: Iterable[int], batch: int) -> None:
        """`lateness` of all sources, microseconds; what may be later than `batch` is a feed that comes in batches."""
        lateness = set(lateness)
        live = max((each for each in lateness if each <= batch), default=batch)
        self.waits = {0: live, **{each: each for each in sorted(lateness) if each > batch}}
        """How long each clock waits for events, microseconds, by its name: 0 is the live one."""
        self._batch = batch

    def of(self, lateness: int) -> int:
        """The clock that waits for such a lateness; the longest where none waits so long."""
        if lateness <= self._batch:
            return 0
        return next((clock for clock in self.waits if clock >= lateness), max(self.waits))

    def marks(self, time: int) -> dict[tuple[int, int], int]:
        """What each clock has passed when `time` is that of the last append."""
        return {(clock, 0): time - wait - 1 for clock, wait in self.waits.items()}


class _Place(NamedTuple):
    """What a hit needs to know of its event."""

    offset: int
    lateness: int
    moment: int
    appended: int


_NOWHERE = _Place(-1, 0, -1, -1)


class Detect:
    """One partition of events on its way to hits and alerts."""

    def __init__(
        self,
        partition: int,
        state: Partition,
        *,
        selectors: Sequence[Selector],
        hit_partitions: int,
        lateness: Mapping[str, int],
        default_lateness: int = 5 * SECOND,
        batch: int = MINUTE,
        seal: Seal,
        rules: Callable[[], str] = lambda: "",
    ) -> None:
        """`lateness` is by source, in microseconds; each beyond `batch` has a clock of its own, see `Clocks`.

        `rules` gives the hash of the rules that run, for dead letters.
        """
        self.state = state
        self._partition = partition
        self._selectors = selectors
        self._hit_partitions = hit_partitions
        self._lateness = lateness
        self._default_lateness = default_lateness
        self._clocks = Clocks([default_lateness, *lateness.values()], batch)
        self._announced = False
        self._seal = seal
        self._rules = rules
        mine = state.state("detect")
        self._lanes = mine.table("lanes", limit=LANES)
        self._sources = mine.table("sources", limit=SOURCES)
        # What the process before counted and had no time to tell is told by this one.
        self._changed: set[str] = set(self._sources)
        self._told = 0.0

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """Take records in offset order; hits and alerts come out, and the watermarks for every hits partition."""
        began = time.perf_counter()
        outputs: dict[str, list[Record]] = {ALERTS: [], HITS: [], DEAD: [], LEDGER: []}
        if not self._announced:
            # A clock is known before its first hit: who reads a hit of one that nobody speaks for takes it for ended.
            self._announced = True
            outputs[HITS].extend(self._tell(self._clocks.marks(records[0].time), records[0].offset))
        end = any(record.headers.get(MARKER) == "end" for record in records)
        events = [record for record in records if MARKER not in record.headers]
        seen = sum(self._take(events[start : start + SLICE], outputs) for start in range(0, len(events), SLICE))
        marks = self._clocks.marks(records[-1].time)
        outputs[HITS].extend(self._tell(dict.fromkeys(marks, FOREVER) if end else marks, records[-1].offset))
        outputs[LEDGER].extend(self._ledger(flush=end))
        if seen:
            metrics.DETECTOR_EVENT_DURATION.observe((time.perf_counter() - began) / seen)
        return {topic: output for topic, output in outputs.items() if output}

    def _tell(self, marks: Marks, offset: int) -> list[Record]:
        return watermark_records(EVENTS, self._partition, marks, [offset], self._hit_partitions)

    def _take(self, records: Sequence[Stored], outputs: dict[str, list[Record]]) -> int:
        """Put what the events of `records` give into `outputs`; returns how many events there are."""
        timely, late = Batch(), Batch()
        places: dict[str, _Place] = {}
        appended: set[int] = set()
        for record in records:
            event, place = self._accept(record, outputs[DEAD])
            if event is None:
                continue
            places[event["event.id"]] = place
            if place.appended - place.moment > place.lateness:
                appended.add(place.appended)
                late.add(event, record.value)
            else:
                timely.add(event, record.value)
        for found in select(self._selectors, timely):
            self._put(found, places, outputs)
        # A hit that keeps append time, such as a source's sign of life, is on time even when its event is not.
        for found in select(self._selectors, late):
            if not isinstance(found, Hit) or found.time in appended:
                self._put(found, places, outputs)
        return len(timely) + len(late)

    def _accept(self, record: Stored, dead: list[Record]) -> tuple[Event | None, _Place]:
        """The record's event with its append time, None for a repeat or a damaged record, and where it stands."""
        source, lane = record.headers.get("source", ""), record.headers.get("lane", "")
        try:
            sequence = int(record.headers.get("seq", ""))
            if abs(sequence) >= WIDEST:
                raise ValueError("seq is out of range")
            event = decode(record.value)
            event["event.id"] = str(event["event.id"])
            moment = event_time(event)
        except (ParseError, ValueError, KeyError, TypeError) as error:
            dead.append(letter_of(record, "event", error, self._seal, rules=self._rules()))
            return None, _NOWHERE
        totals = self._totals(source, record)
        key = f"{source}\x1e{lane}"
        if sequence <= self._lanes.get(key, -1):
            totals["repeats"] += 1
            metrics.EVENTS_REPEATED.labels(source).inc()
            self._save(source, totals)
            return None, _NOWHERE
        self._lanes.put(key, sequence)
        totals["events"] += 1
        event["event.ingested"] = format_time(record.time)
        totals["delay"] = _typical(totals.get("delay"), _received(event, record.time) - moment)
        if moment > record.time + SKEW:
            totals["future"] += 1
            metrics.EVENTS_FUTURE.labels(source).inc()
            before = event.get("almena.misfit")
            misfit = before if isinstance(before, dict) else {}
            event["almena.misfit"] = {**misfit, "@timestamp": event["@timestamp"]}
            event["@timestamp"] = event["event.ingested"]
            moment = record.time
        totals["last_event"] = max(totals["last_event"], moment)
        totals["last_ingested"] = record.time
        lateness = self._lateness.get(source, self._default_lateness)
        if record.time - moment > lateness:
            totals["late"] += 1
            metrics.EVENTS_LATE.labels(source).inc()
        self._save(source, totals)
        return event, _Place(record.offset, lateness, moment, record.time)

    def _put(self, found: Selection, places: Mapping[str, _Place], outputs: dict[str, list[Record]]) -> None:
        if isinstance(found, Hit):
            place = places.get(found.id) or places.get(found.id.rpartition("/")[0], _NOWHERE)
            # What keeps append time is late for nobody.
            live = place is _NOWHERE or found.time == place.appended != place.moment
            clock = 0 if live else self._clocks.of(max(found.clock, place.lateness))
            placed = msgspec.structs.replace(found, position=(self._partition, place.offset), clock=clock)
            outputs[HITS].append(hit_record(placed))
        else:
            outputs[ALERTS].append(alert_record(found))

    def _totals(self, source: str, record: Stored) -> dict[str, Any]:
        totals = self._sources.get(source)
        if totals is None:
            totals = {**dict.fromkeys(_COUNTS, 0), "first": record.time, "last_event": 0, "last_ingested": 0}
            totals["agency"] = record.headers.get("agency", "")
        return totals  # type: ignore[no-any-return]

    def _save(self, source: str, totals: Mapping[str, int]) -> None:
        self._sources.put(source, totals)
        self._changed.add(source)

    def _ledger(self, *, flush: bool) -> list[Record]:
        """The totals of sources that changed, at most once a second."""
        if not self._changed or (not flush and time.monotonic() - self._told < _LEDGER_SECONDS):
            return []
        self._told = time.monotonic()
        records = [source_record(source, self._partition, self._sources) for source in sorted(self._changed)]
        self._changed.clear()
        return records


def _received(event: Event, appended: int) -> int:
    """When the collector had it; the time of the append where that is not said."""
    try:
        return parse_time(event["event.created"])
    except (KeyError, ParseError, TypeError):
        return appended


def _typical(known: int | None, sample: int) -> int:
    """The delay that a source's quicker events have, microseconds, after one more; below zero its clock is ahead.

    It follows quicker events at once and slower ones at leisure, so that neither a late batch nor a single lie moves
    it far.
    """
    sample = max(-_FARTHEST, min(sample, _FARTHEST))
    if known is None:
        return sample
    return known + (sample - known) // (8 if sample < known else 256)


def source_record(source: str, partition: int, table: Table) -> Record:
    """The absolute totals of a source in one partition, for the ledger topic; times are microseconds."""
    totals = table.get(source)
    entry = {"kind": "source", "source": source, "partition": partition, **totals}
    return Record(f"source/{source}", msgspec.json.encode(entry))


def hit_record(hit: Hit) -> Record:
    """The hit on its way to whoever owns its group."""
    return Record(f"{hit.detector}\x1f{hit.group}", encode_hit(hit))


def alert_record(alert: Alert) -> Record:
    """The alert on its way to the desk."""
    return Record(str(alert["almena.alert.id"]), msgspec.json.encode(alert))
