from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sinks import events, letters, stored, until, words

from almena import metrics
from almena.bus import Bus, Outputs, Position, open_bus
from almena.bus.spool import Spool
from almena.clock import parse_time
from almena.errors import BusError, ConfigError, Fenced
from almena.event import Event
from almena.sealing import Secret
from collectors.base import Context, Raw, Source
from collectors.intake import Intake
from collectors.syslog import Syslog

SECRET = Secret(bytes(32))
SOURCE = Source(name="portal", agency="finanzas", parser="words")
AT = 1_795_000_000_000_000


def raw(data: bytes, seq: int, lane: str = "a", **more: object) -> Raw:
    return Raw(data=data, lane=lane, seq=seq, received=AT, **more)  # type: ignore[arg-type]


def mask(event: Event) -> Event:
    return {name: value.replace("secret", "***") if isinstance(value, str) else value for name, value in event.items()}


class Refusing:
    """A real bus behind a door that a test can shut."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.shut = False
        self.error = BusError("disk full")
        self.appends = 0
        self.pause = 0.0

    def append_all(self, outputs: Outputs) -> None:
        if self.shut:
            raise self.error
        time.sleep(self.pause)
        self.appends += 1
        self.bus.append_all(outputs)

    def partitions(self, topic: str) -> int:
        return self.bus.partitions(topic)

    def close(self) -> None:
        """The bus stays open, to be looked at."""


@pytest.fixture(params=["memory", "sqlite"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Refusing]:
    url = "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'bus.sqlite'}"
    opened = open_bus(url, partitions=4)
    yield Refusing(opened)
    opened.close()


def intake(bus: object, **more: object) -> Intake:
    parsers = {"words": words, **more.pop("parsers", {})}  # type: ignore[dict-item]
    options = {"mask": mask, "seal": SECRET.seal, "tick": 0.05, "grace": 0.3, **more}
    return Intake(bus, parsers=parsers, **options)  # type: ignore[arg-type]


def test_an_event_carries_its_identity_and_is_masked(bus: Refusing) -> None:
    async def run() -> int:
        async with intake(bus) as sink:
            records = [
                raw(b"my secret", 7, origin="192.0.2.9:514"),
                raw(b"line", 8, origin="/var/log/x.log", place=120, truncated=True),
            ]
            return await sink.append(SOURCE, records)

    assert asyncio.run(run()) == 0
    first, second = events(bus.bus)
    assert first == {
        "@timestamp": "2026-11-18T11:06:40.000000Z",
        "event.dataset": "test.words",
        "message": "my ***",
        "event.id": "portal:a:7",
        "event.created": "2026-11-18T11:06:40.000000Z",
        "organization.id": "finanzas",
        "almena.source.name": "portal",
        "log.source.address": "192.0.2.9:514",
    }
    assert second["log.file.path"] == "/var/log/x.log"
    assert second["log.offset"] == 120
    assert second["log.flags"] == ["truncated"]
    record = stored(bus.bus, "events")[0]
    assert record.key == "portal/a"
    assert record.headers == {"source": "portal", "agency": "finanzas", "lane": "a", "seq": "7"}


def test_what_a_parser_refuses_becomes_a_sealed_dead_letter(bus: Refusing) -> None:
    async def run() -> int:
        async with intake(bus) as sink:
            records = [raw(b"bad CURP BEML920313HMCLNS09", 1, origin="192.0.2.9:514"), raw(b"good", 2), raw(b"bug", 3)]
            return await sink.append(SOURCE, records)

    assert asyncio.run(run()) == 2
    assert [event["message"] for event in events(bus.bus)] == ["good"]
    refused, broken = letters(bus.bus)
    assert SECRET.unseal(refused.pop("sealed")) == b"bad CURP BEML920313HMCLNS09"
    assert len(refused.pop("id")) == 32
    assert refused == {
        "source": "portal",
        "agency": "finanzas",
        "lane": "a",
        "seq": 1,
        "parser": "words",
        "reason": "bad",
        "at": 3,
        "received": "2026-11-18T11:06:40.000000Z",
        "origin": "192.0.2.9:514",
        "place": 0,
    }
    assert broken["reason"] == "parser failed: KeyError"
    first, second = stored(bus.bus, "dead")
    known = {"source": "portal", "agency": "finanzas", "lane": "a"}
    assert first.headers == known | {
        "seq": "1",
        "error": "ParseError",
        "attempt": "1",
        "origin": "192.0.2.9:514",
        "place": "0",
    }
    assert second.headers["error"] == "KeyError"
    assert all(b"BEML920313" not in record.value for record in stored(bus.bus, "dead"))


def test_a_repeat_keeps_its_ids(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus) as sink:
            for _ in range(2):
                await sink.append(SOURCE, [raw(b"bad", 1), raw(b"good", 2)])

    asyncio.run(run())
    assert [event["event.id"] for event in events(bus.bus)] == ["portal:a:2"] * 2
    assert len({letter["id"] for letter in letters(bus.bus)}) == 1


def test_the_own_id_of_an_application_is_kept_beside(bus: Refusing) -> None:
    def app(data: bytes, context: Context) -> Event:
        return {**words(data, context), "event.dataset": "app.payments", "event.id": "P-1"}

    async def run() -> None:
        async with intake(bus, parsers={"words": app}) as sink:
            await sink.append(SOURCE, [raw(b"x", 1)])

    asyncio.run(run())
    (event,) = events(bus.bus)
    assert event["event.id"] == "portal:a:1"
    assert event["almena.app.event_id"] == "P-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"@timestamp": 12},
        {"@timestamp": "yesterday"},
        {"@timestamp": "2026-01-01T00:00:00Z", "message": "\ud800"},
        {"@timestamp": "2026-01-01T00:00:00Z", "message": object()},
        None,
    ],
)
def test_no_event_of_a_faulty_parser_stops_the_others(bus: Refusing, wrong: object) -> None:
    async def run() -> int:
        async with intake(bus, parsers={"faulty": lambda data, context: wrong}, mask=lambda event: event) as sink:
            await sink.append(SOURCE, [raw(b"good", 1)])
            return await sink.append(Source(name="f", agency="a", parser="faulty"), [raw(b"x", 1, origin="\udcff")])

    assert asyncio.run(run()) == 1
    assert len(events(bus.bus)) == 1
    assert letters(bus.bus)[0]["reason"].startswith("parser failed: ")


def test_a_parser_nobody_knows_is_named() -> None:
    async def run() -> None:
        async with intake(open_bus("memory:")) as sink:
            await sink.append(Source(name="p", agency="a", parser="nope"), [raw(b"x", 1)])

    with pytest.raises(ConfigError, match="p: there is no parser 'nope'"):
        asyncio.run(run())


def test_many_collectors_share_few_writes_and_lanes_keep_their_order(bus: Refusing) -> None:
    bus.pause = 0.02

    async def collector(sink: Intake, lane: str) -> None:
        for batch in range(10):
            await sink.append(SOURCE, [raw(b"x", batch * 10 + number, lane) for number in range(10)])

    async def run() -> None:
        async with intake(bus, tick=60.0) as sink, asyncio.TaskGroup() as group:
            for lane in range(40):
                group.create_task(collector(sink, f"lane{lane}"))

    asyncio.run(run())
    assert bus.appends < 40
    lanes: dict[str, list[int]] = {}
    for record in stored(bus.bus, "events"):
        lanes.setdefault(record.headers["lane"], []).append(int(record.headers["seq"]))
    assert lanes == {f"lane{lane}": list(range(100)) for lane in range(40)}


def test_while_the_bus_refuses_nothing_is_acknowledged_and_nothing_is_lost(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus) as sink, asyncio.TaskGroup() as group:
            assert sink.state() == "open"
            bus.shut = True
            task = group.create_task(sink.append(SOURCE, [raw(b"held", 1)]))
            await until(lambda: sink.state() == "down")
            sink.dropped(SOURCE, "kernel", 3)
            await asyncio.sleep(0.2)
            assert not task.done()
            bus.shut = False
            assert await task == 0
            await until(lambda: sink.state() == "open")

    asyncio.run(run())
    assert [event["message"] for event in events(bus.bus)] == ["held"]
    (drop,) = letters(bus.bus, "ledger")
    assert drop.pop("time")
    assert len(drop.pop("lane")) == 16
    assert drop.pop("seq") == 0
    assert drop == {"kind": "drop", "source": "portal", "agency": "finanzas", "reason": "kernel", "count": 3}


def test_room_is_bounded_and_callers_wait(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus, max_bytes=5_000) as sink, asyncio.TaskGroup() as group:
            bus.shut = True
            tasks = [group.create_task(sink.append(SOURCE, [raw(b"x" * 2_000, n, f"l{n}")])) for n in range(20)]
            await until(lambda: sink.state() == "down")
            await asyncio.sleep(0.1)
            assert 2_000 <= sink._room.taken < 6_000
            bus.shut = False
            await asyncio.wait(tasks)
            assert sink._room.taken == 0

    asyncio.run(run())
    assert len(events(bus.bus)) == 20


def test_a_full_queue_says_so(bus: Refusing) -> None:
    bus.pause = 0.3

    async def run() -> None:
        async with intake(bus, max_bytes=1_000, tick=60.0) as sink, asyncio.TaskGroup() as group:
            group.create_task(sink.append(SOURCE, [raw(b"x" * 2_000, 1)]))
            await until(lambda: sink.state() == "full", seconds=1)

    asyncio.run(run())


def test_a_cancelled_caller_has_handed_its_records_over(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus, max_bytes=1) as sink:
            bus.shut = True
            tasks = [asyncio.ensure_future(sink.append(SOURCE, [raw(b"x", n, f"l{n}")] * 300)) for n in range(5)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            bus.shut = False

    asyncio.run(run())
    assert Counter(event["event.id"] for event in events(bus.bus)) == {f"portal:l{n}:{n}": 300 for n in range(5)}


def test_closing_while_the_bus_refuses_says_what_was_not_stored(bus: Refusing) -> None:
    async def run() -> list[object]:
        async with intake(bus) as sink:
            bus.shut = True
            waiting = asyncio.ensure_future(sink.append(SOURCE, [raw(b"x", 1)]))
            await until(lambda: sink.state() == "down")
        outcome: list[object] = [*await asyncio.gather(waiting, return_exceptions=True)]
        with pytest.raises(BusError, match="the intake is closed"):
            await sink.append(SOURCE, [raw(b"x", 1)])
        return outcome

    began = time.monotonic()
    (error,) = asyncio.run(run())
    assert isinstance(error, BusError)
    assert "not stored: disk full" in str(error)
    assert time.monotonic() - began < 5


def test_drops_are_durable_within_a_tick_even_when_all_is_quiet(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus) as sink:
            for _ in range(100):
                sink.dropped(SOURCE, "kernel", 2)
            sink.dropped(SOURCE, "queue", 1)
            sink.dropped(SOURCE, "queue", 0)
            await until(lambda: letters(bus.bus, "ledger"))

    asyncio.run(run())
    counts = Counter[str]()
    for drop in letters(bus.bus, "ledger"):
        counts[drop["reason"]] += drop["count"]
    assert counts == {"kernel": 200, "queue": 1}


def test_drops_of_the_last_moment_are_written_when_closing(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus, tick=60.0) as sink:
            sink.dropped(SOURCE, "kernel", 5)

    asyncio.run(run())
    assert [drop["count"] for drop in letters(bus.bus, "ledger")] == [5]


def test_quiet_partitions_get_markers_and_busy_ones_do_not(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus, tick=0.2) as sink:
            until_then = time.monotonic() + 1.0
            number = 0
            while time.monotonic() < until_then:
                number += 1
                await sink.append(SOURCE, [raw(b"x", number)])
                await asyncio.sleep(0.01)

    asyncio.run(run())
    kinds = {}
    for partition in range(4):
        records = bus.bus.read(Position("events", partition, 0), 10_000)
        kinds[partition] = Counter(record.headers.get("marker", "event") for record in records)
        assert all(record.value == b"" for record in records if "marker" in record.headers)
        times = [record.time for record in records]
        assert times == sorted(times)
    busy = [partition for partition, kind in kinds.items() if kind["event"]]
    assert len(busy) == 1
    assert kinds.pop(busy[0])["idle"] <= 1
    assert all(3 <= kind["idle"] <= 7 for kind in kinds.values())


def test_what_happened_is_measured(bus: Refusing) -> None:
    source = Source(name="measured", agency="finanzas", parser="words")

    async def run() -> None:
        async with intake(bus) as sink:
            await sink.append(source, [raw(b"bad", 1), raw(b"good", 2)])
            sink.dropped(source, "kernel", 4)

    asyncio.run(run())
    sample = metrics.EVENTS_RECEIVED.labels("measured", "finanzas")._value.get()
    refused = metrics.EVENTS_PARSE_ERRORS.labels("measured", "words")._value.get()
    dropped = metrics.EVENTS_DROPPED.labels("measured", "kernel")._value.get()
    assert (sample % 2, refused >= 1, dropped % 4) == (0, True, 0)
    assert metrics.SOURCE_LAST_EVENT.labels("measured", "finanzas")._value.get() > 1.7e9
    assert parse_time(events(bus.bus)[0]["@timestamp"]) == AT


ONCE = Source(name="edge", agency="finanzas", parser="words", resent=False)


def drops(bus: Bus) -> Counter[tuple[str, str]]:
    """Counts of the ledger by source and reason, each numbered entry once."""
    found: Counter[tuple[str, str]] = Counter()
    entries = {(drop["lane"], drop["seq"]): drop for drop in letters(bus, "ledger") if drop["kind"] == "drop"}
    for drop in entries.values():
        found[drop["source"], drop["reason"]] += drop["count"]
    return found


def test_what_nobody_sends_again_is_counted_when_it_cannot_be_stored(bus: Refusing, tmp_path: Path) -> None:
    bus.shut = True
    spool = Spool(bus, tmp_path / "spool.sqlite", 1)  # room for the ledger only

    async def run() -> None:
        async with intake(spool, grace=0.1) as sink:
            tasks = [
                asyncio.ensure_future(sink.append(ONCE, [raw(b"x", n) for n in range(30)])),
                asyncio.ensure_future(sink.append(SOURCE, [raw(b"x", n) for n in range(7)])),
            ]
            await until(lambda: sink.state() == "down")
            tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())
    spool.close()
    bus.shut = False
    heir = Spool(bus, tmp_path / "spool.sqlite", 1)
    asyncio.run(until(lambda: not heir.records))
    heir.close()
    assert drops(bus.bus) == {("edge", "not stored"): 30}
    assert events(bus.bus) == []


def test_counts_find_room_while_events_wait(bus: Refusing, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bus.shut = True
    spool = Spool(bus, tmp_path / "spool.sqlite", 1)

    async def run() -> None:
        async with intake(spool) as sink:
            task = asyncio.ensure_future(sink.append(SOURCE, [raw(b"held", 1)]))
            await until(lambda: sink.state() == "down")
            for _ in range(50):
                sink.dropped(SOURCE, "kernel", 2)
            await until(lambda: spool.records)  # a kill -9 would not cost them any more
            assert not task.done()
            sink.dropped(SOURCE, "kernel", 1)
            bus.shut = False
            await task

    asyncio.run(run())
    assert drops(bus.bus) == {("portal", "kernel"): 101}
    assert [event["message"] for event in events(bus.bus)] == ["held"]
    said = [entry.getMessage() for entry in caplog.records if "lost for good" in entry.getMessage()]
    assert 1 <= len(said) <= 2
    assert said[0].startswith("portal: ")


class Unknown(Refusing):
    """Refuses each ledger entry twice after it was written: the answer got lost."""

    def append_all(self, outputs: Outputs) -> None:
        super().append_all(outputs)
        if "ledger" in outputs and self.appends % 3:
            raise BusError("no answer in time")


def test_a_count_whose_append_was_repeated_is_the_same_entry(bus: Refusing) -> None:
    doubtful = Unknown(bus.bus)

    async def run() -> None:
        async with intake(doubtful) as sink:
            for _ in range(3):
                sink.dropped(SOURCE, "kernel", 5)
                await asyncio.sleep(0.3)

    asyncio.run(run())
    entries = letters(bus.bus, "ledger")
    assert len(entries) > len({entry["seq"] for entry in entries})
    assert drops(bus.bus) == {("portal", "kernel"): 15}


@pytest.mark.parametrize("waiting", [True, False])
def test_who_is_fenced_ends(bus: Refusing, waiting: bool) -> None:
    async def run() -> None:
        async with intake(bus) as sink, asyncio.TaskGroup() as group:
            bus.error = Fenced("another process has this name")
            bus.shut = True
            if waiting:
                group.create_task(sink.append(SOURCE, [raw(b"x", 1)]))
            await asyncio.sleep(60)

    with pytest.raises(Fenced, match="another process"):
        asyncio.run(run())


def test_without_markers_events_go_on(bus: Refusing) -> None:
    """Where the bus never told how many partitions there are, nothing waits for that."""

    class Silent(Refusing):
        def partitions(self, topic: str) -> int:
            raise BusError("away")

    async def run() -> None:
        async with intake(Silent(bus.bus)) as sink:
            await sink.append(SOURCE, [raw(b"x", 1)])

    asyncio.run(run())
    assert len(events(bus.bus)) == 1


def test_datagrams_that_find_no_room_are_counted_to_the_last(
    bus: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent = stored + counted, while the bus is away and the file is full, and through the stop of the process."""
    monkeypatch.setattr("collectors.datagrams._LEAST_BACKLOG", 1)
    collector = Syslog(agency="finanzas", parser="words", listen="127.0.0.1:0", receive_buffer=1 << 20, backlog=500_000)
    bus.shut = True
    spool = Spool(bus, tmp_path / "spool.sqlite", 60_000)
    sent = 0

    async def run() -> None:
        nonlocal sent
        async with intake(spool, grace=0.1) as sink:
            task = asyncio.ensure_future(collector.run("edge", sink))
            await until(lambda: collector.address)
            host, _, port = collector.address.rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                while sink.state() != "down" or sent < 5_000:
                    sock.sendto(b"x" + os.urandom(100).hex().encode(), (host, int(port)))
                    sent += 1
                    if sent % 50 == 0:
                        await asyncio.sleep(0.001)
                for _ in range(8_000):  # in one go, more than the kernel keeps
                    sock.sendto(b"x" * 100, (host, int(port)))
                    sent += 1
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(run())
    spool.close()
    bus.shut = False
    heir = Spool(bus, tmp_path / "spool.sqlite", 60_000)
    asyncio.run(until(lambda: not heir.records))
    heir.close()
    lost = drops(bus.bus)
    assert lost["edge", "kernel"] > 0
    assert lost["edge", "quota"] > 0
    assert lost["edge", "not stored"] > 0
    stored_ = len(events(bus.bus))
    assert stored_ > 0
    assert sent == stored_ + lost.total()


def test_a_source_that_fills_the_room_leaves_some_to_others(bus: Refusing) -> None:
    """However much one source has waiting, an append of another one finds room, though the bus is slow."""
    quiet = Source(name="quiet", agency="finanzas", parser="words")
    bus.shut = True

    async def run() -> None:
        async with intake(bus, max_bytes=100_000) as sink, asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(sink.append(SOURCE, [raw(b"x" * 2_000, number, f"l{number}")]))
            await until(lambda: sink.state() == "down")
            await asyncio.sleep(0.05)
            assert sink.state() == "down"
            assert sink._room.is_full(SOURCE.name)
            assert not sink._room.is_full(quiet.name)
            taken = sink._room.taken
            group.create_task(sink.append(quiet, [raw(b"y", 1)]))
            await asyncio.sleep(0.05)
            assert sink._room.taken > taken
            bus.shut = False

    asyncio.run(run())
    assert len(events(bus.bus)) == 101


def test_a_source_with_many_connections_is_not_heard_more_often(bus: Refusing) -> None:
    """While two hundred appends of one source wait for their turn, another source has every second turn."""
    order: list[str] = []

    def slow(data: bytes, context: Context) -> Event:
        order.append(context.source)
        return words(data, context)

    quiet = Source(name="quiet", agency="finanzas", parser="slow")
    noisy = Source(name="noisy", agency="finanzas", parser="slow")

    async def run() -> None:
        async with intake(bus, parsers={"slow": slow}) as sink, asyncio.TaskGroup() as group:
            for lane in range(200):
                group.create_task(sink.append(noisy, [raw(b"x", n, f"n{lane}") for n in range(256)]))
            group.create_task(sink.append(quiet, [raw(b"x", n, "q") for n in range(1_280)]))

    asyncio.run(run())
    turns = [order[place] for place in range(0, len(order), 128)]
    last = len(turns) - turns[::-1].index("quiet")
    assert last <= 24, "ten turns of the quiet one need twenty in all, and few more"


def test_a_flood_reaches_the_ledger_when_it_begins_fills_and_ends(bus: Refusing) -> None:
    async def run() -> None:
        async with intake(bus) as sink:
            sink.filled(SOURCE, 0.6)
            sink.filled(SOURCE, 0.95, sender="192.0.2.9")
            sink.filled(SOURCE, 0.96, sender="192.0.2.9")
            sink.filled(SOURCE, 1.0, lost=3, sender="192.0.2.7")
            sink.filled(SOURCE, 1.0, lost=4)
            assert counted_flood() == 2
        assert counted_flood() == 0

    def counted_flood() -> float:
        return float(metrics.SOURCE_FLOOD.labels("portal")._value.get())

    asyncio.run(run())
    told = [entry for entry in letters(bus.bus, "ledger") if entry["kind"] == "flood"]
    assert [(entry["stage"], entry["lost"], entry["sender"]) for entry in told] == [
        ("near", 0, "192.0.2.9"),
        ("full", 3, "192.0.2.7"),
        ("over", 7, "192.0.2.7"),
    ]
    assert len({entry["since"] for entry in told}) == 1
    assert {(entry["source"], entry["agency"]) for entry in told} == {("portal", "finanzas")}


def test_a_source_that_is_held_up_for_seconds_is_a_flood(bus: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.intake._WATCH_EVERY", 0.02)
    bus.pause = 0.05

    async def run() -> None:
        async with intake(bus, max_bytes=50_000) as sink, asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(sink.append(SOURCE, [raw(b"x" * 2_000, number, f"l{number}")]))

    asyncio.run(run())
    told = [entry for entry in letters(bus.bus, "ledger") if entry["kind"] == "flood"]
    assert [entry["stage"] for entry in told if entry["stage"] != "near"] == ["full", "over"]
    assert {entry["lost"] for entry in told} == {0}


def test_a_bus_that_refuses_is_no_flood(bus: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.intake._WATCH_EVERY", 0.02)
    bus.shut = True

    async def run() -> None:
        async with intake(bus, max_bytes=50_000) as sink, asyncio.TaskGroup() as group:
            group.create_task(sink.append(SOURCE, [raw(b"x", 0)]))
            await until(lambda: sink.state() == "down")
            for number in range(1, 50):
                group.create_task(sink.append(SOURCE, [raw(b"x" * 2_000, number)]))
            await asyncio.sleep(0.1)
            assert sink._room.is_full(SOURCE.name)
            bus.shut = False

    asyncio.run(run())
    assert not [entry for entry in letters(bus.bus, "ledger") if entry["kind"] == "flood"]
