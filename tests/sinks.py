"""What tests of collectors share: sinks that keep what they get, and ways to read a bus to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from prometheus_client import Counter

from almena.bus import Bus, Position, Stored
from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event, decode
from collectors.base import Context, Raw, Source


class Kept:
    """A sink that keeps records and lets a test say how it feels."""

    def __init__(self, *, delay: float = 0.0) -> None:
        self.records: list[Raw] = []
        self.batches: list[tuple[Source, list[Raw]]] = []
        self.drops: list[tuple[str, str, int]] = []
        self.shares: list[tuple[str, float, int, str]] = []
        self.mood: Literal["open", "full", "down"] = "open"
        self.delay = delay
        self.before: Callable[[Sequence[Raw]], None] | None = None

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        if self.before is not None:
            self.before(records)
        self.records.extend(records)  # a caller that is cancelled has handed its records over
        self.batches.append((source, list(records)))
        if self.delay:
            await asyncio.sleep(self.delay)
        return 0

    def dropped(self, source: Source, reason: str, count: int) -> None:
        if count:
            self.drops.append((source.name, reason, count))

    def filled(self, source: Source, share: float, *, lost: int = 0, sender: str = "") -> None:
        self.shares.append((source.name, share, lost, sender))

    def state(self, source: Source | None = None) -> Literal["open", "full", "down"]:
        return self.mood

    def texts(self) -> list[bytes]:
        return [record.data for record in self.records]


def words(raw: bytes, context: Context) -> Event:
    """A parser small enough for tests: `bad ...` is refused, anything else is a message."""
    if raw.startswith(b"bad"):
        raise ParseError("bad", 3)
    if raw.startswith(b"bug"):
        raise KeyError("the parser's own mistake")
    text = raw.decode("utf-8", "replace")
    return {"@timestamp": format_time(context.received), "event.dataset": "test.words", "message": text}


def stored(bus: Bus, topic: str) -> list[Stored]:
    """Every record of a topic, by partition and offset, markers left out."""
    records: list[Stored] = []
    for partition in range(bus.partitions(topic)):
        offset = 0
        while batch := bus.read(Position(topic, partition, offset), 10_000):
            records.extend(batch)
            offset = batch[-1].offset + 1
    return [record for record in records if "marker" not in record.headers]


def events(bus: Bus) -> list[Event]:
    return [decode(record.value) for record in stored(bus, "events")]


def letters(bus: Bus, topic: str = "dead") -> list[dict[str, Any]]:
    return [msgspec.json.decode(record.value) for record in stored(bus, topic)]


def counted(metric: Counter, **labels: str) -> float:
    """What a counter has counted, over all series with these labels."""
    samples = [sample for family in metric.collect() for sample in family.samples if sample.name.endswith("_total")]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
