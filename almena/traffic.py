"""What waits on the bus for each group: how many records, and since when."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from almena import metrics
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Bus, Position
from almena.clock import HOUR, MINUTE, SECOND, now
from almena.errors import AlmenaError, BusError

READERS = {
    EVENTS: "detect",
    HITS: "correlate",
    ALERTS: "desk",
    DEAD: "desk",
    LEDGER: "desk",
}
"""Which group reads each topic."""

_WAITING = "SELECT coalesce(sum(count), 0), coalesce(sum(length(payload)), 0), min(time) FROM waiting"
_UNITS = ((24 * HOUR, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))

T = TypeVar("T")


class Traffic(msgspec.Struct, frozen=True):
    """What waits, by topic, for the group of `READERS`; or why that is not known."""

    lag: dict[str, dict[int, int]] = {}
    """Records unread, by topic and partition."""
    delay: dict[str, int | None] = {}
    """How long the oldest unread record has lain there, microseconds; 0 where none waits, None where it is gone."""
    error: str = ""
    """Why the bus could not be asked."""


def traffic(bus: Bus) -> Traffic:
    """Ask the bus; what it refuses is told in `error`."""
    lag: dict[str, dict[int, int]] = {}
    delay: dict[str, int | None] = {}
    try:
        for topic, group in READERS.items():
            lag[topic] = dict(bus.lag(topic, group))
            delay[topic] = _delay(bus, topic, group, lag[topic])
    except BusError as error:
        return Traffic(lag, delay, str(error))
    return Traffic(lag, delay)


def _delay(bus: Bus, topic: str, group: str, lag: dict[int, int]) -> int | None:
    behind = [partition for partition, count in lag.items() if count > 0]
    if not behind:
        return 0
    positions = bus.positions(topic, group)
    heads = [bus.read(Position(topic, partition, positions[partition])) for partition in behind]
    times = [found[0].time for found in heads if found]
    return max(0, now() - min(times)) if times else None


def measure(found: Traffic) -> None:
    """Put it into the metrics; they are those of a moment, so what is not known keeps its last value."""
    metrics.BUS_UP.set(not found.error)
    for topic, partitions in found.lag.items():
        for partition, count in partitions.items():
            metrics.BUS_LAG.labels(topic, READERS[topic], str(partition)).set(count)
    for topic, delay in found.delay.items():
        if delay is not None:
            metrics.BUS_DELAY.labels(topic, READERS[topic]).set(delay / SECOND)


class Spooled(msgspec.Struct, frozen=True):
    """What waits on this machine's disk until the bus takes it."""

    records: int = 0
    bytes: int = 0
    age: int = 0
    """How long the first of them has waited, microseconds."""
    share: float = 0.0
    """How much of its room it takes, 0 to 1."""

    def document(self) -> dict[str, Any]:
        """For programs, with base units."""
        return {"records": self.records, "bytes": self.bytes, "share": self.share, "seconds": self.age / SECOND}


def spooled_at(path: Path, limit: int, told: bytes = b"") -> Spooled | None:
    """What waits in the file at `path`, which may take `limit` bytes; None where that is not known.

    While a collector runs the file is its own; then what counts is what it `told` as metrics, in Prometheus text.
    """
    found = {name: value for name, _, value in metrics.read(told, "almena_spool_")}
    if found:
        records, size = int(found.get("almena_spool_records", 0)), int(found.get("almena_spool_bytes", 0))
        age = round(found.get("almena_spool_oldest_seconds", 0) * SECOND)
    elif not path.exists():
        return None
    else:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
                records, size, first = db.execute(_WAITING).fetchone()
        except sqlite3.Error:
            return None
        age = now() - first if records else 0
    return Spooled(records, size, max(0, age), size / limit if limit else 0.0)


def lasting(span: int) -> str:
    """A length of time (microseconds) in its two largest units, with symbols that all languages share.

    >>> lasting(5_400_000_000)
    '1 h 30 min'
    """
    parts: list[str] = []
    for unit, symbol in _UNITS:
        count, span = divmod(span, unit)
        if count or (symbol == "s" and not parts):
            parts.append(f"{count} {symbol}")
    return " ".join(parts[:2])


class Patient(Generic[T]):
    """A question whose answer may take long: it is asked in a thread, once at a time, and waited for a moment only."""

    def __init__(self, ask: Callable[[], T], late: Callable[[], T], seconds: float = 3.0) -> None:
        """`late` is the answer while the right one is not there within `seconds`."""
        self._ask, self._late, self._seconds = ask, late, seconds
        self._lock = threading.Lock()
        self._running: Future[T] | None = None

    def __call__(self) -> T:
        """The answer; raises what asking raised."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                threading.Thread(target=self._work, args=(self._running,), name="ask", daemon=True).start()
            running = self._running
        try:
            return running.result(self._seconds)
        except TimeoutError:
            return self._late()

    def _work(self, promise: Future[T]) -> None:
        try:
            promise.set_result(self._ask())
        except BaseException as error:
            promise.set_exception(error)


def reachable(ask: Callable[[], object]) -> str:
    """Why the question could not be answered; nothing where it was."""
    try:
        ask()
    except (AlmenaError, OSError) as error:
        return str(error)
    return ""
