"""A Kafka broker that goes away and comes back: refusals come in time, and work goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from almena.bus import Position, Record, Step
from almena.bus.kafka import KafkaBus, open_kafka
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, Moved
from deploy.dev.broker import Broker

pytestmark = pytest.mark.faults

REFUSED_IN = 30.0
"""Seconds: ten for what a transaction does, ten to connect anew, and a busy machine."""


@pytest.fixture
def bus(own_broker: Broker) -> Iterator[KafkaBus]:
    with closing(open_kafka(f"kafka://{own_broker.address}", KafkaSettings(), partitions=1, name="test")) as found:
        yield found


def refused(action: Callable[[], object]) -> float:
    """Seconds until it is refused."""
    began = time.monotonic()
    with pytest.raises(BusError):
        action()
    assert time.monotonic() - began < REFUSED_IN
    return time.monotonic() - began


def insist(action: Callable[[], object]) -> float:
    """Seconds until it succeeds."""
    began = time.monotonic()
    while True:
        try:
            action()
        except Moved:
            raise
        except BusError:
            assert time.monotonic() - began < 60
            time.sleep(0.2)
        else:
            return time.monotonic() - began


@pytest.mark.parametrize("fault", ["stopped", "killed", "paused"])
def test_an_outage_is_told_in_time_and_costs_and_doubles_nothing(own_broker: Broker, bus: KafkaBus, fault: str) -> None:
    bus.append("events", [Record("k", b"%d" % number) for number in range(10)])
    session = bus.session("events", group="g", member="m")
    seen: list[bytes] = []

    def step() -> None:
        """One step as a stage does it; a partition that was lost is restored and read again."""
        batch = session.poll(4, 1.0)
        for partition in batch.gained:
            insist(partial(session.restore, partition))
        if records := batch.records.get(0):
            outputs = {"copies": [Record(record.key, record.value) for record in records]}
            try:
                insist(lambda: session.commit({0: Step(records[-1].offset + 1, outputs)}))
            except Moved:
                return
            seen.extend(record.value for record in records)

    while len(seen) < 4:
        step()
    batch = session.poll(4, 5.0)
    {"stopped": own_broker.stop, "killed": own_broker.kill, "paused": own_broker.pause}[fault]()
    times = [refused(lambda: bus.append("events", [Record("k", b"refused")])), refused(lambda: bus.ends("events"))]
    if records := batch.records.get(0):
        outputs = {"copies": [Record(record.key, record.value) for record in records]}
        wanted = {0: Step(records[-1].offset + 1, outputs)}
        times.append(refused(lambda: session.commit(wanted)))
    began = time.monotonic()
    session.poll(1, 1.0)
    assert time.monotonic() - began < REFUSED_IN
    {"stopped": own_broker.start, "killed": own_broker.start, "paused": own_broker.resume}[fault]()
    back = insist(lambda: bus.append("events", [Record("k", b"back")]))
    if records:
        try:
            insist(lambda: session.commit(wanted))
            seen += [record.value for record in records]
        except Moved:
            pass
    deadline = time.monotonic() + 60
    while b"back" not in seen:
        assert time.monotonic() < deadline
        step()
    print(f"{fault}: refused after {times}, works again after {back:.1f} s")
    session.close()
    copies = [record.value for record in bus.read(Position("copies", 0, 0), 1000)]
    events = [record.value for record in bus.read(Position("events", 0, 0), 1000)]
    assert copies == events
    assert [value for value in events if value != b"refused"] == [b"%d" % number for number in range(10)] + [b"back"]
