"""The desk as it runs: from the bus to the store and to people, through a store that fails and a process that dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from almena.alert import build
from almena.bus import ALERTS as ALERT_TOPIC
from almena.bus import DEAD as DEAD_TOPIC
from almena.bus import LEDGER as LEDGER_TOPIC
from almena.bus import Bus, Record, open_bus
from almena.clock import HOUR, format_time, now
from almena.desk import role
from almena.desk.notify import Common, Message
from almena.desk.settings import DeskSettings
from almena.errors import ConfigError, StoreError
from almena.store import ALERTS, ALL, DEAD, LEDGER, OUTBOX, Query, Store, open_store
from almena.store.sqlite import SqliteStore


@dataclass(kw_only=True)
class Told(Common):
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    opened = open_bus(f"sqlite:{tmp_path}/bus.sqlite", partitions=2)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:{tmp_path}/store.sqlite")
    yield opened
    opened.close()


def alert_record(number: int) -> Record:
    event = {"@timestamp": format_time(now()), "organization.id": "fin", "user.name": f"u{number}"}
    alert = build(
        identity=f"202605-{number}", rule={"id": "r", "name": "R"}, level="high", reason="x", words={}, first=event
    )
    return Record(str(alert["almena.alert.id"]), msgspec.json.encode(alert))


def fill(bus: Bus, numbers: range) -> None:
    bus.append(ALERT_TOPIC, [alert_record(number) for number in numbers])
    letters = [{"id": f"d{number}", "source": "s", "agency": "fin", "reason": "x"} for number in numbers]
    bus.append(DEAD_TOPIC, [Record("s/l", msgspec.json.encode(letter)) for letter in letters])
    drop = {"kind": "drop", "source": "s", "agency": "fin", "reason": "full", "count": 1, "time": ""}
    bus.append(LEDGER_TOPIC, [Record("drop/s", msgspec.json.encode(drop)) for _ in numbers])


class Running:
    """The desk in a thread."""

    def __init__(self, bus: Bus, store: Store, **options: Any) -> None:
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(bus, store), kwargs=options)
        self._thread.start()

    def _run(self, bus: Bus, store: Store, **options: Any) -> None:
        try:
            role.run(bus, store, DeskSettings(), member="desk", stop=self.stop, **options)
        except BaseException as error:
            self.failure = error

    def end(self) -> None:
        self.stop.set()
        self._thread.join(40)
        assert not self._thread.is_alive()


def wait(condition: Any, seconds: float = 20.0) -> None:
    waiter = threading.Event()
    for _ in range(int(seconds * 20)):
        if condition():
            return
        waiter.wait(0.05)
    raise AssertionError("it did not come")


def lag(bus: Bus) -> int:
    return sum(sum(bus.lag(topic, "desk").values()) for topic in (ALERT_TOPIC, DEAD_TOPIC, LEDGER_TOPIC))


def count(store: Store, kind: str) -> int:
    return store.count(Query(kind=kind, scope=ALL))


def drops(store: Store) -> int:
    items = store.search(Query(kind=LEDGER, scope=ALL)).items
    return sum(item.document["almena.drop.count"] for item in items)


def test_from_the_bus_to_people_and_again_after_a_stop(bus: Bus, store: Store) -> None:
    phone = Told(per_minute=1_000)
    for numbers in (range(10), range(10, 20)):
        running = Running(bus, store, channels={"phone": phone})
        fill(bus, numbers)
        wait(lambda numbers=numbers: len(phone.messages) == numbers.stop)
        wait(lambda: lag(bus) == 0)
        running.end()
        assert running.failure is None
        assert (count(store, ALERTS), count(store, DEAD), drops(store)) == (numbers.stop,) * 3
    assert len({message.key for message in phone.messages}) == 20


class Failing(SqliteStore):
    """A store whose every third write fails."""

    writes = 0

    def create_many(self, kind: str, documents: Any) -> Any:
        self.writes += 1
        if self.writes % 3 == 0:
            raise StoreError("the disk is full")
        return super().create_many(kind, documents)


def test_a_store_that_fails_now_and_then_costs_time_only(bus: Bus, tmp_path: Path) -> None:
    store = Failing(str(tmp_path / "failing.sqlite"))
    running = Running(bus, store, channels={"phone": Told(per_minute=1_000)})
    for start in range(0, 30, 10):
        fill(bus, range(start, start + 10))
    wait(lambda: lag(bus) == 0, 40)
    running.end()
    assert running.failure is None
    assert (count(store, ALERTS), count(store, DEAD), drops(store), count(store, OUTBOX)) == (30, 30, 30, 30)
    store.close()


def test_stopping_while_the_store_is_down_loses_nothing(bus: Bus, store: Store, tmp_path: Path) -> None:
    class Dead(SqliteStore):
        def create_many(self, kind: str, documents: Any) -> Any:
            raise StoreError("gone")

    down = Dead(str(tmp_path / "down.sqlite"))
    running = Running(bus, down)
    fill(bus, range(5))
    threading.Event().wait(0.5)
    running.end()
    assert isinstance(running.failure, StoreError)
    down.close()
    again = Running(bus, store, channels={"phone": Told()})
    wait(lambda: lag(bus) == 0)
    again.end()
    assert (count(store, ALERTS), count(store, DEAD), drops(store)) == (5, 5, 5)


def test_what_is_old_is_removed_at_the_start(bus: Bus, store: Store) -> None:
    times = {"old": "2020-01-01T00:00:00Z", "new": format_time(now() - HOUR)}
    store.create_many(DEAD, {name: {"@timestamp": time} for name, time in times.items()})
    running = Running(bus, store)
    wait(lambda: count(store, DEAD) == 1)
    running.end()
    assert store.get(DEAD, "new", scope=ALL) is not None


def test_a_named_file_of_suppressions_must_be_there(bus: Bus, store: Store) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        role.run(bus, store, DeskSettings(suppressions="/no/such/file"), member="d", stop=threading.Event())
