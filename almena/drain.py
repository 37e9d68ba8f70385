"""Waiting until everything on the bus has been worked off, topic by topic down the flow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from almena.bus import EVENTS, HITS, Bus, Position, Record
from almena.detect import MARKER
from almena.traffic import READERS
from almena.watermarks import tells_time

_PAUSE, _PAGE = 0.05, 1_000

_ROUNDS = 102
"""Results of correlations come back onto the topic of hits, as often as correlations read each other: 100 times."""


def end_time(bus: Bus) -> None:
    """Say on every partition of events that nothing more will come: all windows of all clocks close."""
    end = {MARKER: "end"}
    bus.append(EVENTS, [Record("", b"", end, partition) for partition in range(bus.partitions(EVENTS))])


def drain(bus: Bus, seconds: float) -> bool:
    """Wait until all that is on the bus now, and all that comes of it, has been read; False when time ran out."""
    deadline = time.monotonic() + seconds
    last = [topic for topic in READERS if topic not in (EVENTS, HITS)]
    if not _wait(bus, [EVENTS], deadline):
        return False
    for _ in range(_ROUNDS):
        before = bus.ends(HITS)
        if not _wait(bus, [HITS], deadline):
            return False
        if not any(_comes_on(bus, partition, start) for partition, start in before.items()):
            break
    return _wait(bus, last, deadline)


def _wait(bus: Bus, topics: Sequence[str], deadline: float) -> bool:
    """Wait until what the topics hold now has been read; False when time ran out."""
    wanted = {topic: dict(bus.ends(topic)) for topic in topics}
    while not all(_passed(bus, topic, offsets) for topic, offsets in wanted.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _comes_on(bus: Bus, partition: int, start: int) -> bool:
    """Whether readers of hits may still find something in what lies there from `start` on.

    That time passes is told each second, also where nothing more happens; who waits for silence may wait for ever.
    """
    end = bus.ends(HITS)[partition]
    while start < end:
        records = bus.read(Position(HITS, partition, start), _PAGE)
        if any(record.offset < end and not tells_time(record) for record in records):
            return True
        if not records:
            break
        start = records[-1].offset + 1
    return False


def _passed(bus: Bus, topic: str, wanted: Mapping[int, int]) -> bool:
    """Whether the topic's reader has committed beyond the offsets in `wanted`."""
    positions = bus.positions(topic, READERS[topic])
    return all(positions[partition] >= offset for partition, offset in wanted.items())
