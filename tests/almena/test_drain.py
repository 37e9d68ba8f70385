"""Draining waits for all that comes of what is on the bus, also for results that come back onto the topic of hits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from almena.bus import ALERTS, EVENTS, HITS, TOPICS, Bus, Record, Step, open_bus
from almena.drain import drain, end_time
from almena.traffic import READERS
from almena.watermarks import HEADER, watermark_records


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = open_bus("memory:", partitions=2)
    for topic in TOPICS:
        bus.partitions(topic)
    yield bus
    bus.close()


def work(bus: Bus, stop: threading.Event, busy: bool = False) -> None:
    """Every reader at once: an event gives a hit, a hit one of the next level up to the fifth, that one an alert.

    `busy`: somebody tells the time so often that hits are never read to their end.
    """
    sessions = {topic: bus.session(topic, group=group, member="m") for topic, group in READERS.items()}
    while not stop.is_set():
        for topic, session in sessions.items():
            if busy:
                bus.append(HITS, watermark_records(EVENTS, 0, {(0, 0): 1}, [0], 2))
            batch = session.poll(10, 0.0)
            steps: dict[int, Step] = {}
            for partition, records in batch.records.items():
                outputs: dict[str, list[Record]] = {}
                steps[partition] = Step(records[-1].offset + 1, outputs)
                for record in records:
                    if HEADER in record.headers:
                        continue
                    level = int(record.key or 0)
                    if topic == EVENTS:
                        outputs.setdefault(HITS, []).append(Record("1", b""))
                    elif topic == HITS:
                        outputs.setdefault(HITS if level < 5 else ALERTS, []).append(Record(str(level + 1), b""))
            if batch.records:
                session.commit(steps)
            time.sleep(0.002)


@pytest.mark.parametrize("busy", [False, True])
def test_results_are_waited_for_level_by_level(bus: Bus, busy: bool) -> None:
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(bus, stop, busy))
    worker.start()
    try:
        end_time(bus)
        began = time.monotonic()
        assert drain(bus, 10)
        assert time.monotonic() - began < 5
        assert sum(bus.ends(ALERTS).values()) == 2
        assert busy or sum(bus.ends(HITS).values()) == 2 * 5
        assert busy or not any(sum(bus.lag(topic, group).values()) for topic, group in READERS.items())
    finally:
        stop.set()
        worker.join()


def test_time_runs_out_where_nobody_reads(bus: Bus) -> None:
    end_time(bus)
    assert not drain(bus, 0.1)
