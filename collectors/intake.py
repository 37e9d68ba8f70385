"""The intake: records of all collectors are parsed, masked and appended to the bus in shared, durable writes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Literal

import msgspec

from almena import metrics
from almena.bus.spool import Appendable
from almena.clock import format_time, now
from almena.errors import ConfigError, Fenced, ParseError
from almena.event import Event, encode, event_time
from collectors.base import Context, Parser, Raw, Source
from collectors.drops import Drop, Drops
from collectors.floods import NEAR, Floods
from collectors.quota import Room, Turns
from collectors.writer import Job, Writer

log = logging.getLogger("almena.intake")

_SLICE = 128  # records parsed before other collectors get a turn
_WATCH_EVERY = 1.0  # seconds between two looks at who is held up, and which floods are over
_PATIENCE = 5  # such looks in a row until a source that is only held up, and loses nothing, is called a flood
_EXCUSE = 30  # looks for what an outage left to go


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
        """`max_bytes` may wait for the bus, shared among sources; every `tick` seconds counts and markers go out;
        `grace` seconds are given to a bus that refuses when the intake closes."""
        self._parsers = parsers
        self._mask = mask
        self._seal = seal
        self._room = Room(max_bytes)
        self._turns = Turns()
        self._told: set[tuple[str, type[Exception]]] = set()
        self._freed = asyncio.Event()
        self._sources: dict[str, Source] = {}
        self._pressed: Counter[str] = Counter()
        self._excused: Counter[str] = Counter()
        self._unheard = 0  # records parsed since the loop last looked at its sockets
        self._task: asyncio.Task[None] | None = None
        self._drops = Drops()
        self._floods = Floods(self._drops.flood)
        self._writer = Writer(bus, self._drops, self._written, tick, grace)

    async def __aenter__(self) -> Intake:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._writer.start()
        self._watch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task = None
        self._watching.cancel()
        self._floods.close()
        self._writer.stop()
        await asyncio.to_thread(self._writer.join)
        if self._writer.fenced is not None:
            raise self._writer.fenced

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        """Parse, mask and append; returns the number of dead letters once all of it is durable."""
        parser = self._parsers.get(source.parser)
        if parser is None:
            raise ConfigError(f"{source.name}: there is no parser {source.parser!r}")
        metrics.EVENTS_RECEIVED.labels(source.name, source.agency).inc(len(records))
        self._sources[source.name] = source
        job = Job(source, self._loop.create_future())
        parsed = 0
        try:
            while parsed < len(records):
                await self._turns.take(source.name)
                try:
                    self._parse(job, parser, records[parsed : parsed + _SLICE])
                    parsed += _SLICE
                    await self._breathe(min(_SLICE, len(records)))
                finally:
                    self._turns.give()
            while self._room.is_full(source.name):
                self._freed.clear()
                await self._freed.wait()
        finally:  # a cancelled caller has let go of its records: they are written all the same
            self._parse(job, parser, records[parsed:])
            self._room.take(source.name, job.size)
            self._writer.put(job)
        await job.done
        return len(job.dead)

    def dropped(self, source: Source, reason: str, count: int) -> None:
        """Count records that are lost for good; durable within a second, or as soon as the bus accepts."""
        if count > 0:
            self._drops.add(Drop(source.name, source.agency, reason), count)

    def filled(self, source: Source, share: float, *, lost: int = 0, sender: str = "") -> None:
        """How full is what waits of this source elsewhere; a flood is announced, and its end."""
        self._floods.filled(source, share, lost, sender, time.monotonic(), now())

    def state(self, source: Source | None = None) -> Literal["open", "full", "down"]:
        """Whether an append, of this source where it is given, would go through at once, wait for room, or wait for a
        bus that refuses."""
        if self._writer.trouble is not None:
            return "down"
        return "full" if self._room.is_full(source.name if source else "") else "open"

    async def _breathe(self, parsed: int) -> None:
        """After a slice, let the loop see who has something to say before the turn goes to the next."""
        self._unheard += parsed
        if self._unheard >= _SLICE:
            self._unheard = 0
            await asyncio.sleep(0)

    def _watch(self) -> None:
        """Look every second who is held up, and for how long; while the bus refuses, everybody is, and what waited then
        is given time to go."""
        pressed, self._pressed = self._pressed, Counter()
        excused, self._excused = self._excused, Counter()
        for source in self._sources.values():
            share = self._room.share(source.name)
            if share < NEAR:
                continue
            if self._writer.trouble is not None:
                self._excused[source.name] = _EXCUSE
            elif excused[source.name] > 0:
                self._excused[source.name] = excused[source.name] - 1
            else:
                self._pressed[source.name] = pressed[source.name] + 1
                if self._pressed[source.name] >= _PATIENCE:
                    self.filled(source, share)
        self._floods.tick(time.monotonic())
        self._watching = self._loop.call_later(_WATCH_EVERY, self._watch)

    def _parse(self, job: Job, parser: Parser, records: Sequence[Raw]) -> None:
        for raw in records:
            try:
                job.event(raw, *self._event(job.source, raw, parser))
            except ParseError as error:
                self._bury(job, raw, error, error.reason, error.at)
            except Exception as error:
                self._tell(job.source.parser, error)
                self._bury(job, raw, error, f"parser failed: {type(error).__name__}", None)

    def _event(self, source: Source, raw: Raw, parser: Parser) -> tuple[bytes, int]:
        event = event_of(source, raw, parser, self._mask)
        return encode(event), event_time(event)

    def _bury(self, job: Job, raw: Raw, error: Exception, reason: str, at: int | None) -> None:
        """The dead letter: why and where in clear, the record itself sealed, since nobody could mask it."""
        source = job.source
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
        headers = {"error": type(error).__name__, "attempt": "1", "origin": _clean(raw.origin), "place": str(raw.place)}
        job.letter(raw, msgspec.json.encode(letter), headers)

    def _tell(self, parser: str, error: Exception) -> None:
        """A mistake in a parser or in the masking, logged once of its kind: strangers may repeat it at will."""
        if (parser, type(error)) not in self._told:
            self._told.add((parser, type(error)))
            where = traceback.extract_tb(error.__traceback__)[-1]  # and not the message: it may quote the record
            place = f"{where.filename}:{where.lineno}"
            log.error(
                "parser %s failed: %s at %s; such records become dead letters", parser, type(error).__name__, place
            )

    def _written(self, jobs: Sequence[Job], error: Exception | None) -> None:
        """Called by the writer's thread."""
        self._loop.call_soon_threadsafe(self._release, jobs, error)

    def _release(self, jobs: Sequence[Job], error: Exception | None) -> None:
        for job in jobs:
            self._room.give(job.source.name, job.size)
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)
                job.done.exception()  # a caller that was cancelled meanwhile asks for it no more
        self._freed.set()
        if isinstance(error, Fenced) and self._task is not None:
            self._task.cancel()  # whoever runs the collectors: `__aexit__` says why


def event_of(source: Source, raw: Raw, parser: Parser, mask: Callable[[Event], Event]) -> Event:
    """The masked event of a record, with its identity and its agency; raises what the parser raises."""
    if raw.damage:
        raise ParseError(raw.damage)
    context = Context(received=raw.received, zone=source.zone, source=source.name, origin=raw.origin)
    parsed = parser(raw.data, context)
    own = parsed.pop("event.id", None)
    if own is not None and str(parsed.get("event.dataset", "")).startswith("app."):
        parsed.setdefault("almena.app.event_id", own)
    event = mask(parsed)
    event["event.id"] = f"{source.name}:{raw.lane}:{raw.seq}"
    event["event.created"] = _stamp(raw.received)
    event["organization.id"] = source.agency
    event["almena.source.name"] = source.name
    if source.unauthenticated:
        event["almena.source.unauthenticated"] = True
    if raw.origin.startswith("/"):
        event["log.file.path"] = raw.origin
        event["log.offset"] = raw.place
    elif raw.origin:
        event["log.source.address"] = raw.origin
    if raw.sender:
        event["almena.source.sender"] = _clean(raw.sender)
    if raw.truncated:
        event["log.flags"] = ["truncated"]
    return event


_stamp = lru_cache(maxsize=64)(format_time)  # records that were received together have one time


def _clean(text: str) -> str:
    """Text that JSON can carry."""
    return text.encode("utf-8", "replace").decode()
