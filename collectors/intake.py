"""The intake: records of all collectors are parsed, masked and appended to the bus in shared, durable writes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple

import msgspec

from almena import metrics
from almena.bus import DEAD, EVENTS, LEDGER, Record, partition_of
from almena.bus.spool import Appendable
from almena.clock import SECOND, format_time, now
from almena.errors import BusError, ConfigError, ParseError
from almena.event import Event, encode, event_time
from collectors.base import Context, Parser, Raw, Source

log = logging.getLogger("almena.intake")

_SLICE = 128  # records parsed before other collectors get a turn
_OVERHEAD = 300  # bytes a record needs beside its value, roughly
_WRITE_RECORDS, _WRITE_BYTES = 20_000, 16 << 20  # a write takes no more jobs beyond this
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between attempts while the bus refuses


class Intake:
    """The sink of a collect process: `async with Intake(...) as sink`."""

    def __init__(
        self,
        bus: Appendable,
        *,
        parsers: Mapping[str, Parser],
        mask: Callable[[Event], Event],
        seal: Callable[[bytes], str],
        max_bytes: int = 64 << 20,
        tick: float = 1.0,
        grace: float = 10.0,
    ) -> None:
        """`max_bytes` may wait for the bus; every `tick` seconds counts and markers go out; `grace` seconds
        are given to a bus that refuses when the intake closes."""
        self._parsers = parsers
        self._mask = mask
        self._seal = seal
        self._max_bytes = max_bytes
        self._waiting = 0
        self._told: set[tuple[str, type[Exception]]] = set()
        self._room = asyncio.Event()
        self._writer = _Writer(bus, self._written, tick, grace)

    async def __aenter__(self) -> Intake:
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.stop()
        await asyncio.to_thread(self._writer.join)

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        """Parse, mask and append; returns the number of dead letters once all of it is durable."""
        parser = self._parsers.get(source.parser)
        if parser is None:
            raise ConfigError(f"{source.name}: there is no parser {source.parser!r}")
        metrics.EVENTS_RECEIVED.labels(source.name, source.agency).inc(len(records))
        job = _Job(source, self._loop.create_future())
        parsed = 0
        try:
            while parsed < len(records):
                self._parse(job, parser, records[parsed : parsed + _SLICE])
                parsed += _SLICE
                await asyncio.sleep(0)
            while self._waiting >= self._max_bytes:
                self._room.clear()
                await self._room.wait()
        finally:  # a cancelled caller has let go of its records: they are written all the same
            self._parse(job, parser, records[parsed:])
            self._waiting += job.size
            self._writer.put(job)
        await job.done
        return len(job.dead)

    def dropped(self, source: Source, reason: str, count: int) -> None:
        """Count records that are lost for good; durable within a second, or as soon as the bus accepts."""
        if count > 0:
            metrics.EVENTS_DROPPED.labels(source.name, reason).inc(count)
            self._writer.dropped(_Drop(source.name, source.agency, reason), count)

    def state(self) -> Literal["open", "full", "down"]:
        """Whether an append would go through at once, wait for room, or wait for a bus that refuses."""
        if self._writer.trouble is not None:
            return "down"
        return "full" if self._waiting >= self._max_bytes else "open"

    def _parse(self, job: _Job, parser: Parser, records: Sequence[Raw]) -> None:
        for raw in records:
            try:
                value, moment = self._event(job.source, raw, parser)
            except ParseError as error:
                value, moment = self._dead(job.source, raw, error.reason, error.at), None
            except Exception as error:
                self._tell(job.source.parser, error)
                value, moment = self._dead(job.source, raw, f"parser failed: {type(error).__name__}", None), None
            job.add(raw, value, moment)

    def _event(self, source: Source, raw: Raw, parser: Parser) -> tuple[bytes, int]:
        event = event_of(source, raw, parser, self._mask)
        return encode(event), event_time(event)

    def _dead(self, source: Source, raw: Raw, reason: str, at: int | None) -> bytes:
        """The dead letter: why and where in clear, the record itself sealed, since nobody could mask it."""
        metrics.EVENTS_PARSE_ERRORS.labels(source.name, source.parser).inc()
        identity = f"{source.name}:{raw.lane}:{raw.seq}"
        letter = {
            "id": hashlib.blake2b(identity.encode("utf-8", "replace"), digest_size=16).hexdigest(),
            "source": source.name,
            "agency": source.agency,
            "lane": raw.lane,
            "seq": raw.seq,
            "parser": source.parser,
            "reason": _clean(reason[:300]),
            "at": at,
            "received": format_time(raw.received),
            "origin": _clean(raw.origin),
            "place": raw.place,
            "sealed": self._seal(raw.data),
        }
        return msgspec.json.encode(letter)

    def _tell(self, parser: str, error: Exception) -> None:
        """A mistake in a parser or in the masking, logged once of its kind: strangers may repeat it at will."""
        if (parser, type(error)) not in self._told:
            self._told.add((parser, type(error)))
            where = traceback.extract_tb(error.__traceback__)[-1]  # and not the message: it may quote the record
            place = f"{where.filename}:{where.lineno}"
            log.error(
                "parser %s failed: %s at %s; such records become dead letters", parser, type(error).__name__, place
            )

    def _written(self, jobs: Sequence[_Job], error: Exception | None) -> None:
        """Called by the writer's thread."""
        self._loop.call_soon_threadsafe(self._release, jobs, error)

    def _release(self, jobs: Sequence[_Job], error: Exception | None) -> None:
        for job in jobs:
            self._waiting -= job.size
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)
        self._room.set()


def event_of(source: Source, raw: Raw, parser: Parser, mask: Callable[[Event], Event]) -> Event:
    """The masked event of a record, with its identity and its agency; raises what the parser raises."""
    context = Context(received=raw.received, zone=source.zone, source=source.name, origin=raw.origin)
    parsed = parser(raw.data, context)
    own = parsed.pop("event.id", None)
    if own is not None and str(parsed.get("event.dataset", "")).startswith("app."):
        parsed.setdefault("almena.app.event_id", own)
    event = mask(parsed)
    event["event.id"] = f"{source.name}:{raw.lane}:{raw.seq}"
    event["event.created"] = format_time(raw.received)
    event["organization.id"] = source.agency
    event["almena.source.name"] = source.name
    if raw.origin.startswith("/"):
        event["log.file.path"] = raw.origin
        event["log.offset"] = raw.place
    elif raw.origin:
        event["log.source.address"] = raw.origin
    if raw.truncated:
        event["log.flags"] = ["truncated"]
    return event


class _Job:
    """The records of one append on their way to the bus."""

    __slots__ = ("dead", "done", "events", "moments", "size", "source")

    def __init__(self, source: Source, done: asyncio.Future[None]) -> None:
        self.source = source
        self.done = done
        self.events: list[Record] = []
        self.dead: list[Record] = []
        self.moments: list[int] = []
        self.size = 0

    def add(self, raw: Raw, value: bytes, moment: int | None) -> None:
        """Keep one encoded record: an event of that moment, or a dead letter."""
        source = self.source
        headers = {"source": source.name, "agency": source.agency, "lane": raw.lane, "seq": str(raw.seq)}
        record = Record(f"{source.name}/{raw.lane}", value, headers)
        self.size += len(value) + _OVERHEAD
        if moment is None:
            self.dead.append(record)
        else:
            self.events.append(record)
            self.moments.append(moment)


class _Drop(NamedTuple):
    """What drops are counted by."""

    source: str
    agency: str
    reason: str


class _Writer(threading.Thread):
    """The one thread that appends: what waits meanwhile joins the next write."""

    def __init__(
        self, bus: Appendable, written: Callable[[Sequence[_Job], Exception | None], None], tick: float, grace: float
    ) -> None:
        super().__init__(name="intake", daemon=True)
        self.trouble: str | None = None
        """Why the bus refuses, while it does."""
        self._bus = bus
        self._written = written
        self._tick = tick
        self._grace = grace
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._drops: dict[_Drop, int] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._ended = False
        self._last: dict[int, float] = {}
        self._ticked = time.monotonic()

    def put(self, job: _Job) -> None:
        """Queue a job; jobs are appended in the order they are put."""
        with self._lock:
            if self._ended:
                raise BusError("not stored: the intake is closed")
            self._jobs.put(job)

    def dropped(self, drop: _Drop, count: int) -> None:
        """Count, from any thread."""
        with self._lock:
            self._drops[drop] = self._drops.get(drop, 0) + count

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._deadline = time.monotonic() + self._grace
        self._closing.set()
        self._jobs.put(None)

    def run(self) -> None:
        """Write until stopped; a bus that refuses holds everything up, and nothing is lost meanwhile."""
        closing = False
        while not closing:
            jobs, closing = self._take()
            try:
                self._write(jobs)
            except Exception as error:  # only when closing: until then refusals are waited out
                log.error("closing while the bus refuses: %d records were not stored", sum(len(j.events) for j in jobs))
                self._written(jobs, BusError(f"not stored: {error}"))
            else:
                self._written(jobs, None)
        with self._lock:
            self._ended = True
            self._jobs.put(None)
        late = self._take()[0]
        self._written(late, BusError("not stored: the intake is closed"))

    def _take(self) -> tuple[list[_Job], bool]:
        """The jobs of the next write, and whether they are the last."""
        jobs: list[_Job] = []
        records = size = 0
        try:
            job = self._jobs.get(timeout=max(0.0, self._ticked + self._tick - time.monotonic()))
            while job is not None:
                jobs.append(job)
                records += len(job.events) + len(job.dead)
                size += job.size
                if records >= _WRITE_RECORDS or size >= _WRITE_BYTES:
                    return jobs, False
                job = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _write(self, jobs: Sequence[_Job]) -> None:
        events = [record for job in jobs for record in job.events]
        dead = [record for job in jobs for record in job.dead]
        if dead:
            self._append(DEAD, dead)
        if self._is_due() or self._closing.is_set():
            self._append_drops()
        events += self._markers(events)
        if events:
            self._append(EVENTS, events)
        metrics.HEARTBEAT.labels("collect").set(now() / SECOND)
        self._count(jobs)

    def _is_due(self) -> bool:
        if time.monotonic() < self._ticked + self._tick:
            return False
        self._ticked = time.monotonic()
        return True

    def _append_drops(self) -> None:
        with self._lock:
            drops, self._drops = self._drops, {}
        if drops:
            moment = format_time(now())
            self._append(LEDGER, [_drop_record(drop, count, moment) for drop, count in drops.items()])

    def _markers(self, events: Sequence[Record]) -> list[Record]:
        """A marker for every partition that nothing was appended to for a tick, so that event time moves."""
        partitions: int = self._insist(lambda: self._bus.partitions(EVENTS))
        moment = time.monotonic()
        for key in {record.key for record in events}:
            self._last[partition_of(key, partitions)] = moment
        quiet = [number for number in range(partitions) if moment - self._last.get(number, 0.0) >= self._tick]
        self._last.update(dict.fromkeys(quiet, moment))
        return [Record("", b"", {"marker": "idle"}, partition=number) for number in quiet]

    def _append(self, topic: str, records: Sequence[Record]) -> None:
        self._insist(lambda: self._bus.append_all({topic: records}))

    def _insist(self, action: Callable[[], Any]) -> Any:
        """Do it until it succeeds; when closing, only as long as the grace lasts."""
        wait = _FIRST_WAIT
        while True:
            try:
                result = action()
            except Exception as error:
                if self.trouble is None:
                    log.error("the bus refuses; collectors wait until it accepts again: %s", error)
                self.trouble = str(error) or type(error).__name__
                if not self._closing.is_set():
                    self._closing.wait(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)
                elif time.monotonic() < self._deadline:
                    time.sleep(_FIRST_WAIT)
                else:
                    raise
            else:
                if self.trouble is not None:
                    log.warning("the bus accepts again")
                    self.trouble = None
                return result

    def _count(self, jobs: Sequence[_Job]) -> None:
        moment = now()
        for job in jobs:
            for time_of_event in job.moments:
                metrics.EVENT_DELAY.observe(max(0, moment - time_of_event) / SECOND)
            if job.moments:
                metrics.SOURCE_LAST_EVENT.labels(job.source.name, job.source.agency).set(moment / SECOND)


def _clean(text: str) -> str:
    """Text that JSON can carry."""
    return text.encode("utf-8", "replace").decode()


def _drop_record(drop: _Drop, count: int, moment: str) -> Record:
    """An increment of what a source lost, for the ledger topic."""
    entry = {"kind": "drop", **drop._asdict(), "count": count, "time": moment}
    return Record(f"drop/{drop.source}/{drop.reason}", msgspec.json.encode(entry))
