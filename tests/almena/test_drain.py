"""Draining waits for all that comes of what is on the bus, also for results that come back onto the topic of hits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from almena.bus import ALERTS, EVENTS, HITS, TOPICS, Bus, Record, Step, open_bus
from almena.drain import drain, end_time
from almena.traffic import READERS


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = open_bus("memory:", partitions=2)
    for topic in TOPICS:
        bus.partitions(topic)
    yield bus
    bus.close()


def work(bus: Bus, stop: threading.Event) -> None:
    """Every reader at once: an event gives a hit, a hit one of the next level up to the fifth, that one an alert."""
    sessions = {topic: bus.session(topic, group=group, member="m") for topic, group in READERS.items()}
    while not stop.is_set():
        for topic, session in sessions.items():
            batch = session.poll(10, 0.0)
            steps: dict[int, Step] = {}
            for partition, records in batch.records.items():
                outputs: dict[str, list[Record]] = {}
                steps[partition] = Step(records[-1].offset + 1, outputs)
                for record in records:
                    level = int(record.key or 0)
                    if topic == EVENTS:
                        outputs.setdefault(HITS, []).append(Record("1", b""))
                    elif topic == HITS:
                        outputs.setdefault(HITS if level < 5 else ALERTS, []).append(Record(str(level + 1), b""))
            if batch.records:
                session.commit(steps)
            time.sleep(0.002)


def test_results_are_waited_for_level_by_level(bus: Bus) -> None:
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(bus, stop))
    worker.start()
    try:
        end_time(bus)
        assert drain(bus, 10)
        assert sum(bus.ends(HITS).values()) == 2 * 5
        assert sum(bus.ends(ALERTS).values()) == 2
        assert not any(sum(bus.lag(topic, group).values()) for topic, group in READERS.items())
    finally:
        stop.set()
        worker.join()


def test_time_runs_out_where_nobody_reads(bus: Bus) -> None:
    end_time(bus)
    assert not drain(bus, 0.1)
