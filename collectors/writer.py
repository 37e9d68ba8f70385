"""The one thread of a collect process that appends: what waits meanwhile joins the next write."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from almena import metrics
from almena.bus import DEAD, EVENTS, LEDGER, Outputs, Record, partition_of
from almena.bus.spool import Appendable
from almena.clock import SECOND, now
from almena.errors import BusError, Fenced
from collectors.base import Raw, Source
from collectors.drops import Drop, Drops

log = logging.getLogger("almena.intake")

_OVERHEAD = 300  # bytes a record needs beside its value, roughly
_WRITE_RECORDS, _WRITE_BYTES = 20_000, 16 << 20  # a write takes no more jobs beyond this
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between attempts while the bus refuses


class Job:
    """The records of one append on their way to the bus."""

    __slots__ = ("dead", "done", "events", "moments", "size", "source")

    def __init__(self, source: Source, done: asyncio.Future[None]) -> None:
        self.source = source
        self.done = done
        self.events: list[Record] = []
        self.dead: list[Record] = []
        self.moments: list[int] = []
        self.size = 0

    def event(self, raw: Raw, value: bytes, moment: int) -> None:
        """Keep an encoded event of that moment."""
        self.events.append(self._record(raw, value, {}))
        self.moments.append(moment)

    def letter(self, raw: Raw, value: bytes, headers: dict[str, str]) -> None:
        """Keep an encoded dead letter; `headers` say more of it."""
        self.dead.append(self._record(raw, value, headers))

    def _record(self, raw: Raw, value: bytes, more: dict[str, str]) -> Record:
        source = self.source
        headers = {"source": source.name, "agency": source.agency, "lane": raw.lane, "seq": str(raw.seq), **more}
        self.size += len(value) + _OVERHEAD
        return Record(f"{source.name}/{raw.lane}", value, headers)

    def __len__(self) -> int:
        return len(self.events) + len(self.dead)


Written = Callable[[Sequence[Job], Exception | None], None]
"""Is told of jobs that are durable, or why they are not."""


class Writer(threading.Thread):
    """Appends jobs in the order they are put. A bus that refuses holds everything up, and nothing is lost meanwhile."""

    def __init__(self, bus: Appendable, drops: Drops, written: Written, tick: float, grace: float) -> None:
        """Every `tick` seconds counts and markers go out; a bus that refuses has `grace` seconds at the end."""
        super().__init__(name="intake", daemon=True)
        self.trouble: str | None = None
        """Why the bus refuses, while it does."""
        self.fenced: Fenced | None = None
        """Why nothing can be appended any more."""
        self._bus = bus
        self._drops = drops
        self._written = written
        self._tick = tick
        self._grace = grace
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._ended = False
        self._last: dict[int, float] = {}
        self._ticked = time.monotonic()

    def put(self, job: Job) -> None:
        """Queue a job; jobs are appended in the order they are put."""
        with self._lock:
            if self._ended:
                raise self.fenced or BusError("not stored: the intake is closed")
            self._jobs.put(job)

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._deadline = time.monotonic() + self._grace
        self._closing.set()
        self._jobs.put(None)

    def run(self) -> None:
        """Write until stopped or fenced."""
        closing = False
        while not closing:
            jobs, closing = self._take()
            try:
                self._write(jobs)
            except Fenced as error:
                self.fenced, closing = error, True
                self._lose(jobs, error)
            except Exception as error:  # only when closing: until then refusals are waited out
                self._lose(jobs, BusError(f"not stored: {error}"))
            else:
                self._written(jobs, None)
        with self._lock:
            self._ended = True
            self._jobs.put(None)
        done = False
        while not done:
            late, done = self._take()
            self._lose(late, self.fenced or BusError("not stored: the intake is closed"))
        self._settle()

    def _lose(self, jobs: Sequence[Job], error: Exception) -> None:
        """Tell who waits that nothing was stored; what nobody sends again is lost."""
        if count := sum(map(len, jobs)):
            log.error("closing while the bus refuses: %d records were not stored", count)
        for job in jobs:
            if not job.source.resent and len(job):
                self._drops.add(Drop(job.source.name, job.source.agency, "not stored"), len(job))
        self._written(jobs, error)

    def _settle(self) -> None:
        """The last counts of this process, where there is room for them."""
        self._drops.announce(all_of_it=True)
        try:
            while owed := self._drops.owed():
                self._bus.append_all({LEDGER: owed})
                self._drops.settle()
        except Exception as error:
            log.error("what was lost is missing from the ledger: %s", error)

    def _take(self) -> tuple[list[Job], bool]:
        """The jobs of the next write, and whether they are the last."""
        jobs: list[Job] = []
        records = size = 0
        try:
            job = self._jobs.get(timeout=max(0.0, self._ticked + self._tick - time.monotonic()))
            while job is not None:
                jobs.append(job)
                records += len(job)
                size += job.size
                if records >= _WRITE_RECORDS or size >= _WRITE_BYTES:
                    return jobs, False
                job = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _write(self, jobs: Sequence[Job]) -> None:
        events = [record for job in jobs for record in job.events]
        dead = [record for job in jobs for record in job.dead]
        if self._is_due() or self._closing.is_set():
            self._drops.announce()
            if owed := self._drops.owed():
                self._append({LEDGER: owed})
                self._drops.settle()
        events += self._markers(events)
        outputs = {topic: records for topic, records in ((DEAD, dead), (EVENTS, events)) if records}
        if outputs:
            self._append(outputs)
        metrics.HEARTBEAT.labels("collect").set(now() / SECOND)
        self._count(jobs)

    def _is_due(self) -> bool:
        if time.monotonic() < self._ticked + self._tick:
            return False
        self._ticked = time.monotonic()
        return True

    def _markers(self, events: Sequence[Record]) -> list[Record]:
        """A marker for every partition that nothing was appended to for a tick, so that event time moves."""
        try:
            partitions = self._bus.partitions(EVENTS)
        except Fenced:
            raise
        except BusError:  # away since before it told; nobody reads it either
            return []
        moment = time.monotonic()
        for key in {record.key for record in events}:
            self._last[partition_of(key, partitions)] = moment
        quiet = [number for number in range(partitions) if moment - self._last.get(number, 0.0) >= self._tick]
        self._last.update(dict.fromkeys(quiet, moment))
        return [Record("", b"", {"marker": "idle"}, partition=number) for number in quiet]

    def _append(self, outputs: Outputs) -> None:
        """Append until it succeeds; when closing, only as long as the grace lasts."""
        wait = _FIRST_WAIT
        while True:
            try:
                self._bus.append_all(outputs)
            except Fenced:
                raise
            except Exception as error:
                if self.trouble is None:
                    log.error("the bus refuses; collectors wait until it accepts again: %s", error)
                self.trouble = str(error) or type(error).__name__
                if self._closing.is_set() and time.monotonic() >= self._deadline:
                    raise
                if LEDGER not in outputs:
                    self._try_ledger()
                if self._closing.is_set():
                    time.sleep(_FIRST_WAIT)
                else:
                    self._closing.wait(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)
            else:
                if self.trouble is not None:
                    log.warning("the bus accepts again")
                    self.trouble = None
                return

    def _try_ledger(self) -> None:
        """Bring counts to where there is still room for them while events wait: a kill must not cost them."""
        self._drops.announce()
        if owed := self._drops.owed():
            try:
                self._bus.append_all({LEDGER: owed})
                self._drops.settle()
            except Fenced:
                raise
            except Exception as error:
                log.debug("counts wait too: %s", error)

    def _count(self, jobs: Sequence[Job]) -> None:
        moment = now()
        for job in jobs:
            for time_of_event in job.moments:
                metrics.EVENT_DELAY.observe(max(0, moment - time_of_event) / SECOND)
            if job.moments:
                metrics.SOURCE_LAST_EVENT.labels(job.source.name, job.source.agency).set(moment / SECOND)
