"""A bus that may go away: what it refuses waits in a file on this machine, in order, and follows when it is back.

    append ──> bus                     while nothing waits
    append ──> file ──(thread)──> bus  from the first refusal until the file is empty again

Nothing overtakes what waits, so equal keys keep their order, and a process that comes back after kill -9 begins with
what the one before left. A record that waited carries the header `delayed`: microseconds it lay in the file, so that
its append time is judged as of when it got there. Where a refusal left open whether the records had arrived they
arrive twice; readers tell a repeat by its identity.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from almena import metrics
from almena.bus import EVENTS, LEDGER, Outputs, Record
from almena.bus.spoolfile import Rows, SpoolFile, damaged
from almena.clock import DAY, SECOND, now
from almena.errors import AlmenaError, BusError, Fenced

log = logging.getLogger("almena.bus")

DELAYED = "delayed"
"""The header of records that waited: for how long, microseconds."""

DRAINED_RECORDS, DRAINED_BYTES = 40_000, 32 << 20
"""What goes to the bus at once. More than an intake appends at once, so that the file empties under any load."""

RESERVE = 4 << 20
"""Bytes beyond the bound that only the ledger may take: what was dropped for lack of room must be told."""

MARKER_EVERY = 10 * SECOND
"""A marker is kept only when the partition's last one is older: during an outage they say little and would add up."""

_MARKER = "marker"
_LONGEST_TURN = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Appendable(Protocol):
    """What a spool needs of a bus, and what it is itself."""

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics; durable when it returns."""

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    def close(self) -> None:
        """Let go of files and connections."""


class Later:
    """A bus that is opened when it is first reached, so that collectors can start while it is away."""

    def __init__(self, opened: Callable[[], Appendable]) -> None:
        """`opened` raises BusError while the bus is away."""
        self._opened = opened
        self._bus: Appendable | None = None

    def reach(self) -> Appendable:
        """The bus; raises BusError while it is away, and ConfigError when waiting will not help."""
        if self._bus is None:
            self._bus = self._opened()
        return self._bus

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics; durable when it returns."""
        self.reach().append_all(outputs)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        return self.reach().partitions(topic)

    def close(self) -> None:
        """Let go of files and connections."""
        if self._bus is not None:
            self._bus.close()


class Spool:
    """Appends to `bus`, or to the file at `path` while the bus refuses; up to `limit_bytes` wait there."""

    def __init__(self, bus: Appendable, path: Path, limit_bytes: int, *, away: str = "") -> None:
        """Take up what a process before left waiting; raises BusError when the file cannot be used.

        With a limit of 0 nothing is ever kept, and what had been goes to the bus. `away` says why the bus is known to
        be away: then nobody waits for it first.
        """
        self._bus = bus
        self._limit = limit_bytes
        self._file = SpoolFile(path)
        self._turn = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = away
        self._fenced: Fenced | None = None
        self._draining = False
        self._rounds = 0
        self._drained = 0
        self._counts: dict[str, int] = {}
        self._marked: dict[tuple[str, int | None], int] = {}
        if self._file.records:
            log.warning("%d records wait in %s since before; they go to the bus first", self._file.records, path)
            self._start()
        self._measure()

    @property
    def records(self) -> int:
        """Records that wait."""
        return self._file.records

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Durable when it returns, on the bus or in the file; all of the records or none."""
        self.append_all({topic: records})

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics; raises BusError when the bus refuses and the file is full, Fenced as the bus."""
        moment = now()
        with self._turn:
            if (
                self._draining and self._file.records <= DRAINED_RECORDS
            ):  # the last batch: what follows it goes straight
                self._turn.wait_for(lambda: not (self._draining and self._file.records), _LONGEST_TURN)
            if self._fenced is not None:
                raise self._fenced
            if not self._file.records and not (self._trouble and self._limit):
                try:
                    self._bus.append_all(outputs)
                    self._trouble = ""
                    return
                except Fenced:
                    raise
                except BusError as error:
                    if not self._limit:
                        raise
                    if not self._trouble:
                        log.error("the bus refuses; records wait in %s until it accepts: %s", self._file.path, error)
                    self._trouble = str(error)
            self._keep(outputs, moment)
            self._start()
            self._turn.notify_all()
            if self._draining:  # one batch goes out for each that comes in, so that the end is reached
                seen = self._rounds
                self._turn.wait_for(lambda: self._rounds != seen or not self._draining, _LONGEST_TURN)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; known for good once the bus has told, which it is not asked while away."""
        count = self._counts.get(topic)
        if count is None:
            if self._trouble:
                raise BusError(self._trouble)
            count = self._counts[topic] = self._bus.partitions(topic)
        return count

    def close(self) -> None:
        """Leave what waits to the next process, and close the file and the bus."""
        self._stop.set()
        with self._turn:
            self._draining = False
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._file.close()
        self._bus.close()

    def _keep(self, outputs: Outputs, moment: int) -> None:
        """Put the records behind those that wait, as of `moment`; raises BusError when there is no room."""
        kept = {topic: self._sparse(topic, records, moment) for topic, records in outputs.items()}
        rows = Rows(kept)
        if not rows.records:
            return
        reserve = RESERVE if self._limit and set(outputs) == {LEDGER} else 0
        if self._file.bytes + rows.bytes > self._limit + reserve:
            trouble = self._trouble or "not reached yet"
            if not self._file.records:
                self._trouble = ""  # it will never fit: the bus itself is asked the next time
            raise BusError(
                f"spool {self._file.path}: full: {self._file.records} records wait, {self._limit >> 20} MB are allowed "
                f"([spool] megabytes); the bus refuses: {trouble}"
            )
        try:
            self._file.append(rows, moment)
        except sqlite3.Error as error:
            raise self._file.refusal("nothing was written", error) from error
        for topic, records in kept.items():
            self._marked.update({(topic, record.partition): moment for record in records if _MARKER in record.headers})
        self._measure()

    def _sparse(self, topic: str, records: Sequence[Record], moment: int) -> list[Record]:
        """The records without markers that follow too soon on others."""
        return [
            record
            for record in records
            if record.headers.get(_MARKER) != "idle"
            or not 0 <= moment - self._marked.get((topic, record.partition), -MARKER_EVERY) < MARKER_EVERY
        ]

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        """Bring what waits to the bus, for as long as it takes."""
        pause = _FIRST_PAUSE if self._trouble else 0.0
        while not self._stop.wait(pause):
            with self._turn:
                self._turn.wait_for(lambda: self._stop.is_set() or self._file.records)
            if self._stop.is_set():
                return
            try:
                if not self._draining:
                    self._knock()
                self._drain()
                pause = 0.0
            except Fenced as error:
                with self._turn:
                    self._fenced, self._draining = error, False
                    self._turn.notify_all()
                return
            except Exception as error:
                pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)
                self._refused(error)

    def _knock(self) -> None:
        """Append a marker that moves no time. It may take long: how long records waited is only known when an append
        is quick, since the bus gives its time at the end."""
        old = now() - self._file.oldest + DAY
        self._bus.append_all({EVENTS: [Record("", b"", {_MARKER: "idle", DELAYED: str(old)}, partition=0)]})

    def _drain(self) -> None:
        """Bring the oldest records to the bus and forget them."""
        try:
            with self._turn:
                batch = self._file.read(DRAINED_RECORDS, DRAINED_BYTES)
        except sqlite3.Error as error:
            if not damaged(error):
                raise self._file.refusal("cannot be read", error) from error
            with self._turn:
                return self._file.set_aside(error)
        self._bus.append_all(batch.outputs(DELAYED, now()))
        with self._turn:
            try:
                self._file.forget(batch.last)
            except sqlite3.Error as error:
                raise self._file.refusal("what is on the bus is still in it", error) from error
            self._drained += batch.records
            self._rounds += 1
            self._draining = bool(self._file.records) and not self._stop.is_set()
            if not self._file.records:
                self._marked.clear()
                log.warning("%d records that waited in %s are on the bus", self._drained, self._file.path)
                self._drained = 0
            self._trouble = ""
            self._measure()
            self._turn.notify_all()
        return None

    def _refused(self, error: Exception) -> None:
        with self._turn:
            if not isinstance(error, AlmenaError):
                log.error("spool %s: failed; trying again", self._file.path, exc_info=error)
            elif not self._trouble:
                log.error("the bus refuses; %d records wait in %s: %s", self._file.records, self._file.path, error)
            self._trouble = str(error) or type(error).__name__
            self._draining = False
            self._measure()
            self._turn.notify_all()

    def _measure(self) -> None:
        metrics.SPOOL_RECORDS.set(self._file.records)
        metrics.SPOOL_BYTES.set(self._file.bytes)
        metrics.SPOOL_OLDEST.set(max(0, now() - self._file.oldest) / SECOND if self._file.records else 0)
