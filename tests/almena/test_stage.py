"""The loop of a role: what the bus refuses is tried again, and a stop is heard meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from almena.bus import LEDGER, Position, Record, Stored
from almena.bus.sqlite import SqliteBus
from almena.errors import BusError, Fenced
from almena.stage import Stage
from almena.state import Partition


class Copy:
    """Copies what it reads."""

    def __init__(self, state: Partition) -> None:
        self.state = state

    def step(self, records: Sequence[Stored]) -> Mapping[str, list[Record]]:
        return {"copies": [Record(item.key, item.value) for item in records]}


def stage(bus: SqliteBus, member: str = "m") -> Stage:
    return Stage("copy", bus.session("t", group="g", member=member), lambda _, state: Copy(state))


def copies(bus: SqliteBus) -> list[bytes]:
    return [
        item.value
        for partition in range(bus.partitions("copies"))
        for item in bus.read(Position("copies", partition, 0), 1000)
    ]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_locked_bus_is_waited_out_and_nothing_is_lost_or_doubled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bus.sqlite"
    bus, mine = SqliteBus(str(path)), SqliteBus(str(path), patience=0.05)
    stop = threading.Event()
    thread = threading.Thread(target=stage(mine).run, args=(stop,))
    thread.start()
    for number in range(5):
        bus.append("t", [Record(f"k{index}", b"%d" % (number * 10 + index)) for index in range(10)])
        with locked(path):
            seen = len(caplog.records)
            wait_for(lambda seen=seen: len(caplog.records) > seen)
    wait_for(lambda: not any(bus.lag("t", "g").values()))
    stop.set()
    thread.join()
    assert sorted(copies(bus), key=int) == [b"%d" % number for number in range(50)]
    assert "trying again" in caplog.text


def test_a_stop_ends_the_waiting_and_the_next_process_does_the_step(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus, mine = SqliteBus(str(path)), SqliteBus(str(path), patience=0.05)
    worker, stop = stage(mine), threading.Event()
    bus.append("t", [Record("k", b"1")])
    with locked(path):
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        time.sleep(0.3)
        stop.set()
        thread.join(5.0)
        assert not thread.is_alive()
    assert copies(bus) == []
    stage(bus).step(0.0)
    assert copies(bus) == [b"1"]


def test_what_somebody_else_has_taken_over_is_done_once(caplog: pytest.LogCaptureFixture) -> None:
    bus = SqliteBus(":memory:", lease=0.05)
    bus.append("t", [Record("k", b"1")])
    zombie = stage(bus, "a")
    zombie.step(0.0)
    bus.append("t", [Record("k", b"2")])
    time.sleep(0.1)
    stage(bus, "b").step(0.0)
    assert zombie.step(0.0) == 0
    assert "newer owner" in caplog.text
    assert sorted(copies(bus)) == [b"1", b"2"]


def test_who_finds_another_under_its_name_ends() -> None:
    bus = SqliteBus(":memory:")
    bus.append("t", [Record("k", b"1")])
    zombie = stage(bus, "a")
    zombie.step(0.0)
    stage(bus, "a").step(0.0)
    bus.append("t", [Record("k", b"2")])
    with pytest.raises(Fenced):
        zombie.step(0.0)


def test_a_bus_that_refuses_for_good_is_raised_only_when_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = SqliteBus(":memory:")
    worker = stage(bus)
    stop = threading.Event()
    stop.set()
    bus.close()
    with pytest.raises(BusError):
        worker.step(0.0, stop)


def test_damaged_batches_are_counted_as_dropped(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(str(path), partitions=1)
    for number in range(3):
        bus.append("t", [Record("k", b"%d" % number)] * 4)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE batches SET payload = x'00' WHERE base = 4")
    worker = stage(bus)
    for _ in range(3):
        worker.step(0.0)
    assert copies(bus) == [b"0"] * 4 + [b"2"] * 4
    (entry,) = bus.read(Position(LEDGER, 0, 0), 10)
    told = msgspec.json.decode(entry.value)
    assert (told["kind"], told["source"], told["reason"], told["count"]) == ("drop", "bus.t", "damaged", 4)
