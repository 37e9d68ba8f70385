"""Events in the store: each once, whatever is read again, and gone by whole days."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticstores import empty, fresh

from almena.bus import EVENTS as TOPIC
from almena.bus import Record, Stored, open_bus
from almena.clock import DAY, HOUR, MINUTE, Span, format_time, now
from almena.desk import role
from almena.desk.events import GROUP, Events
from almena.desk.settings import DeskSettings
from almena.errors import ConfigError
from almena.event import encode
from almena.store import ALL, EVENTS, Document, Filter, Query, Store, open_store
from almena.store.settings import EventSettings

NOON = 1_780_000_000_000_000 // DAY * DAY + 12 * HOUR
KEEP = EventSettings(keep=Span(30 * DAY))
QUERY = Query(kind=EVENTS, scope=ALL, descending=False)


@pytest.fixture(scope="module")
def cluster(elasticsearch: str) -> Iterator[Store]:
    with fresh(elasticsearch) as store:
        yield store


@pytest.fixture
def store(cluster: Store) -> Iterator[Store]:
    yield cluster
    empty(cluster)


def event(number: int, moment: int, **fields: Any) -> Document:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    identity = {"@timestamp": format_time(moment), "event.id": f"s:l:{number}", "organization.id": "fin"}
    return identity | named


def record(document: Document | bytes, *, time: int = NOON, offset: int = 0, **headers: str) -> Stored:
    value = document if isinstance(document, bytes) else encode(document)
    return Stored(TOPIC, 0, offset, time, "s/l", value, headers)


def ids(store: Store) -> list[str]:
    return [item.id for item in store.scan(EVENTS)]


def test_an_event_is_stored_once_and_found_by_any_field(store: Store) -> None:
    events = Events(store, KEEP)
    odd = {"winlog.event_data.Image": r"C:\\cmd.exe", "a..b": [1], "source.ip": "10.0.0.1, 10.0.0.2"}
    records = [record(event(number, NOON - number * HOUR) | odd, offset=number) for number in range(15)]
    assert events.step(records[:10]) == {}
    events.step(records[5:])
    events.step([*records, *records])
    assert store.count(QUERY) == 15
    assert {identity[:9] for identity in ids(store)} == {"20260528-", "20260527-"}
    for name, value in (("winlog.event_data.Image", r"C:\\cmd.exe"), ("a..b", 1), ("event.id", "s:l:3")):
        asked = Query(kind=EVENTS, scope=frozenset({"fin"}), filters=(Filter(name, "in", (value,)),))
        assert store.count(asked) == (1 if name == "event.id" else 15)
    first = store.search(QUERY).items[-1].document
    assert first == event(0, NOON) | odd | {"event.ingested": format_time(NOON)}


def test_what_is_no_event_is_skipped(store: Store) -> None:
    wrong: list[Stored] = [
        record(b"", marker="idle"),
        record(b"{"),
        record(b"[]"),
        record(b"\xff"),
        record({"event.id": "x"}),
        record({"@timestamp": format_time(NOON)}),
        record({"@timestamp": "x", "event.id": "x"}),
        record({"@timestamp": 7, "event.id": "x"}),
    ]
    Events(store, KEEP).step([*wrong, record(event(1, NOON))])
    assert len(ids(store)) == 1


def test_times_are_bounded_by_the_append(store: Store) -> None:
    records = [
        record(event(1, NOON - 30 * DAY - 1)),
        record(event(2, NOON - 30 * DAY)),
        record(event(3, NOON + 5 * MINUTE)),
        record(event(4, NOON + 900 * DAY)),
        record(event(5, 0)),
    ]
    Events(store, KEEP).step(records)
    assert ids(store) == ["20260428-s:l:2", "20260528-s:l:3", "20260528-s:l:4"]
    future = store.get(EVENTS, "20260528-s:l:4", scope=ALL)
    assert future is not None
    assert future.document["@timestamp"] == format_time(NOON)
    assert future.document["almena.misfit"] == {"@timestamp": format_time(NOON + 900 * DAY)}


def test_ids_of_any_length_and_content(store: Store) -> None:
    names = ["n" * 400, "n" * 401, "n" * 402, "a\x00b", "ñ/..?#", "🦉"]
    Events(store, KEEP).step([record(event(1, NOON, event__id=name)) for name in names])
    assert sorted(item.document["event.id"] for item in store.scan(EVENTS)) == sorted(names)


def test_whole_days_go(store: Store) -> None:
    events = Events(store, KEEP)
    events.step([record(event(number, NOON - number * 8 * HOUR)) for number in range(12)])
    assert events.expire(NOON + 27 * DAY) == 1
    assert events.expire(NOON + 27 * DAY) == 0
    assert events.expire(NOON + 29 * DAY) == 6
    assert {item.document["@timestamp"][:10] for item in store.scan(EVENTS)} == {"2026-05-27", "2026-05-28"}


def test_other_stores_keep_no_events(tmp_path: Path) -> None:
    bus = open_bus(f"sqlite:{tmp_path}/bus.sqlite", partitions=1)
    for url in ("memory:", f"sqlite:{tmp_path}/store.sqlite"):
        store = open_store(url)
        with pytest.raises(ConfigError, match="Elasticsearch"):
            role.run(bus, store, DeskSettings(), member="desk", stop=threading.Event(), events=KEEP)
        store.close()
    bus.close()


def test_the_desk_keeps_events_when_told_to(tmp_path: Path, store: Store) -> None:
    bus = open_bus(f"sqlite:{tmp_path}/bus.sqlite", partitions=2)
    moment = now()
    bus.append(TOPIC, [Record(f"s/{number % 2}", encode(event(number, moment))) for number in range(20)])
    stop = threading.Event()
    running = threading.Thread(
        target=role.run,
        args=(bus, store, DeskSettings()),
        kwargs={"member": "desk", "stop": stop, "events": KEEP},
    )
    running.start()
    waiter = threading.Event()
    for _ in range(200):
        if sum(bus.lag(TOPIC, GROUP).values()) == 0 and store.count(QUERY) == 20:
            break
        waiter.wait(0.05)
    stop.set()
    running.join(40)
    assert store.count(QUERY) == 20
    assert sum(bus.lag(TOPIC, GROUP).values()) == 0
    bus.close()
