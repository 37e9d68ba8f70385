"""What waits on the bus and on disk, as it is asked and told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from almena.bus import EVENTS, Bus, Record, Step, open_bus
from almena.bus.spool import Spool
from almena.clock import DAY, HOUR, MINUTE, SECOND, now
from almena.errors import BusError
from almena.traffic import READERS, Patient, Traffic, lasting, measure, reachable, spooled_at, traffic


def put(bus: Bus, count: int) -> None:
    bus.append(EVENTS, [Record("s/1", b"{}", partition=0) for _ in range(count)])


def take(bus: Bus, offset: int) -> None:
    session = bus.session(EVENTS, group="detect", member="a")
    while 0 not in session.poll(1, 0.1).records:
        pass
    session.commit({0: Step(offset)})
    session.close()


def test_lag_in_records_and_delay_in_time() -> None:
    bus = open_bus("memory:", partitions=2)
    found = traffic(bus)
    assert set(found.lag) == set(READERS)
    assert set(found.delay.values()) == {0}
    before = now()
    put(bus, 3)
    time.sleep(0.05)
    put(bus, 2)
    found = traffic(bus)
    assert found.lag[EVENTS] == {0: 5, 1: 0}
    delay = found.delay[EVENTS]
    assert delay is not None
    assert 50_000 <= delay <= now() - before
    take(bus, 3)
    later = traffic(bus)
    assert later.lag[EVENTS] == {0: 2, 1: 0}
    rest = later.delay[EVENTS]
    assert rest is not None
    assert rest <= now() - before - 50_000, "of the oldest that is unread, not of the oldest there is"
    take(bus, 5)
    assert traffic(bus).delay[EVENTS] == 0
    bus.close()


def test_what_was_trimmed_unread_has_a_lag_and_no_delay() -> None:
    bus = open_bus("memory:", partitions=1)
    put(bus, 3)
    bus.trim(EVENTS, now() + SECOND)
    assert traffic(bus).lag[EVENTS] == {0: 3}
    assert traffic(bus).delay[EVENTS] is None
    bus.close()


def test_a_bus_that_refuses_is_told(tmp_path: Path) -> None:
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")
    bus.close()
    assert "bus.sqlite" in traffic(bus).error


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_metrics_say_what_is_known() -> None:
    measure(Traffic(lag={EVENTS: {0: 3, 1: 4}}, delay={EVENTS: 1_500_000}))
    assert value("almena_bus_up") == 1
    assert value("almena_bus_lag_records", topic=EVENTS, group="detect", partition="1") == 4
    assert value("almena_bus_delay_seconds", topic=EVENTS, group="detect") == 1.5
    measure(Traffic(delay={EVENTS: None}, error="away"))
    assert value("almena_bus_up") == 0
    assert value("almena_bus_delay_seconds", topic=EVENTS, group="detect") == 1.5


def test_nobody_waits_long_for_who_does_not_answer() -> None:
    free, asked = threading.Event(), []

    def ask() -> str:
        asked.append(1)
        free.wait(10)
        return "here"

    patient = Patient(ask, lambda: "late", seconds=0.05)
    began = time.monotonic()
    assert [patient() for _ in range(3)] == ["late"] * 3
    assert time.monotonic() - began < 5
    assert len(asked) == 1, "one question at a time"
    free.set()
    deadline = time.monotonic() + 5
    while patient() != "here":
        assert time.monotonic() < deadline
    failing = Patient(lambda: 1 / 0, lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        failing()


def test_why_something_does_not_answer() -> None:
    def away() -> None:
        raise BusError("gone")

    assert reachable(away) == "gone"
    assert reachable(lambda: 1) == ""


class Refusing:
    def append_all(self, outputs: object) -> None:
        raise BusError("away")

    def partitions(self, topic: str) -> int:
        return 1

    def close(self) -> None:
        return None


def test_what_waits_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    assert spooled_at(path, 1 << 20) is None
    spool = Spool(Refusing(), path, 1 << 20)
    spool.append(EVENTS, [Record("s/1", b"{}")] * 7)
    assert spooled_at(path, 1 << 20) is None, "the file is the collector's own"
    while_it_runs = spooled_at(path, 1 << 20, generate_latest())
    assert while_it_runs is not None
    assert while_it_runs.records == 7
    assert while_it_runs.bytes > 0
    spool.close()
    found = spooled_at(path, 1 << 20)
    assert found is not None
    assert found.records == 7
    assert found.bytes > 0
    assert 0 < found.share < 1
    assert 0 <= found.age < MINUTE
    (tmp_path / "other").write_text("no database")
    assert spooled_at(tmp_path / "other", 1) is None


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (0, "0 s"),
        (999_999, "0 s"),
        (59 * SECOND, "59 s"),
        (MINUTE, "1 min"),
        (HOUR + 5 * SECOND, "1 h 5 s"),
        (DAY + HOUR, "1 d 1 h"),
    ],
)
def test_a_length_of_time(span: int, said: str) -> None:
    assert lasting(span) == said


@given(st.integers(0, 10**18))
def test_every_length_has_words(span: int) -> None:
    assert lasting(span)
