"""Every bus keeps the same promises: order, durability, atomic steps, one owner per partition."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafkas import kafka_prefix

from almena.bus import Batch, Bus, Position, Record, Session, Snapshot, Step, Stored, open_bus, partition_of
from almena.bus.kafka import open_kafka
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError, Fenced

KAFKA = ["kafka", "kafka+confluent"]


@dataclass
class Place:
    """Where a test's bus is. On Kafka every transaction ends with a mark that takes an offset; `marks` is 1 there."""

    url: str
    prefix: str = "almena"
    marks: int = 0
    opened: list[Bus] = field(default_factory=list)

    def open(self, partitions: int = 4, name: str = "") -> Bus:
        """Another process's bus, as it were; all are closed in the end."""
        if self.marks:
            bus: Bus = open_kafka(self.url, KafkaSettings(prefix=self.prefix), partitions=partitions, name=name)
        else:
            bus = open_bus(self.url, partitions=partitions)
        self.opened.append(bus)
        return bus


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param in KAFKA:
        server = request.getfixturevalue("kafka")
        with kafka_prefix(server, "contract") as prefix:
            yield from closing(Place(f"{request.param}://{server}", prefix, marks=1))
    else:
        yield from closing(Place("memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'bus.sqlite'}"))


def closing(place: Place) -> Iterator[Place]:
    yield place
    for bus in place.opened:
        bus.close()


everywhere = pytest.mark.parametrize("place", ["memory", "sqlite", *KAFKA], indirect=True)
between_processes = pytest.mark.parametrize("place", ["sqlite", *KAFKA], indirect=True)


def record(number: int, key: str = "", **headers: str) -> Record:
    return Record(key or f"s/{number % 5}", f"value {number}".encode(), headers)


def everything(bus: Bus, topic: str) -> list[bytes]:
    """The values of all records of a topic."""
    return [
        item.value
        for partition in range(bus.partitions(topic))
        for item in bus.read(Position(topic, partition, 0), 100_000)
    ]


def polled(session: Session, *, gained: int = 0, lost: int = 0, records: int = 0, gaps: int = 0) -> Batch:
    """What polls give until so much has come, and no record more: a bus may need several."""
    found: dict[int, list[Stored]] = {}
    batch = Batch(found)
    deadline = time.monotonic() + 30
    while True:
        left = records - sum(map(len, found.values()))
        enough = len(batch.gained) >= gained and len(batch.lost) >= lost and len(batch.gaps) >= gaps
        if enough and left <= 0:
            return batch
        assert time.monotonic() < deadline, (
            f"only {len(found)} partitions' records, {batch.gained}, {batch.lost}, {batch.gaps} came"
        )
        more = session.poll(max(left, 1), 0.2)
        for partition in more.gained:
            session.restore(partition)
        for partition, share in more.records.items():
            found.setdefault(partition, []).extend(share)
        batch = Batch(found, batch.gained + more.gained, batch.lost + more.lost, batch.gaps + more.gaps)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it is so: positions are seen some milliseconds after the commit that moved them."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ends(batch: Batch) -> dict[int, int]:
    return {partition: records[-1].offset + 1 for partition, records in batch.records.items()}


def drain(bus: Bus, topic: str, session: Session, group: str = "g") -> list[bytes]:
    """Everything there is for this session, committed."""
    seen: list[bytes] = []
    deadline = time.monotonic() + 30
    while any(bus.lag(topic, group).values()):
        assert time.monotonic() < deadline
        batch = session.poll(100, 0.2)
        for partition in batch.gained:
            session.restore(partition)
        seen += [item.value for records in batch.records.values() for item in records]
        if batch.records:
            session.commit({partition: Step(end) for partition, end in ends(batch).items()})
    return seen


@everywhere
def test_equal_keys_keep_their_order_and_reach_their_partition(place: Place) -> None:
    bus = place.open()
    bus.append("events", [record(number, source=f"s{number}") for number in range(1200)])
    total = 0
    for partition, end in bus.ends("events").items():
        found = bus.read(Position("events", partition, 0), 2000)
        total += len(found)
        assert end - place.marks <= len(found) <= end
        assert [item.offset for item in found] == list(range(len(found)))
        numbers = [int(item.value.split()[1]) for item in found]
        assert numbers == [n for n in range(1200) if partition_of(f"s/{n % 5}", 4) == partition]
        assert all(item.headers == {"source": f"s{number}"} for item, number in zip(found, numbers, strict=True))
        assert [item.time for item in found] == sorted(item.time for item in found)
        assert all(abs(item.time - time.time_ns() // 1000) < 60_000_000 for item in found)
    assert total == 1200


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 1300), min_size=1, max_size=5), start=st.integers(0, 3000), limit=st.integers(1, 1500)
)
def test_read_gives_exactly_what_was_asked(sizes: list[int], start: int, limit: int) -> None:
    bus = open_bus("memory:", partitions=1)
    total = 0
    for size in sizes:
        bus.append("t", [record(total + index) for index in range(size)])
        total += size
    found = bus.read(Position("t", 0, start), limit)
    assert [item.offset for item in found] == list(range(start, min(start + limit, total)))
    assert [item.value for item in found] == [f"value {item.offset}".encode() for item in found]


@everywhere
def test_read_goes_on_over_the_ends_of_appends(place: Place) -> None:
    bus = place.open(partitions=1)
    assert bus.read(Position("events", 0, 0), 10) == []
    for start in range(0, 20, 4):
        bus.append("events", [record(number) for number in range(start, start + 4)])
    found = bus.read(Position("events", 0, 0), 100)
    assert [item.value for item in found] == [f"value {number}".encode() for number in range(20)]
    assert bus.read(Position("events", 0, found[6].offset), 5) == found[6:11]
    assert bus.read(Position("events", 0, 10_000), 5) == []
    bus.append("events", [record(20)])
    assert [item.value for item in bus.read(Position("events", 0, 0), 100)][-2:] == [b"value 19", b"value 20"]


@everywhere
def test_any_text_comes_back_as_it_was(place: Place) -> None:
    bus = place.open(partitions=1)
    texts = ["", "ñandú 😀", "a\x00\x1fb", "x" * 5000]
    bus.append("events", [Record(text, b"", {"a": text, "ñ": "1"}) for text in texts])
    found = bus.read(Position("events", 0, 0), 10)
    assert [(item.key, item.value, item.headers) for item in found] == [
        (text, b"", {"a": text, "ñ": "1"}) for text in texts
    ]
    session = bus.session("events", group="g", member="m")
    polled(session, gained=1, records=len(texts))
    session.commit({0: Step(2, {}, dict.fromkeys(texts, b"x"))})
    assert session.restore(0) == Snapshot(dict.fromkeys(texts, b"x"), 2)


@everywhere
def test_append_all_reaches_several_topics(place: Place) -> None:
    bus = place.open()
    bus.append_all({"events": [record(1)], "dead": [record(2)]})
    assert everything(bus, "events") == [b"value 1"]
    assert everything(bus, "dead") == [b"value 2"]
    with pytest.raises(BusError, match="no partition 9"):
        bus.append_all({"events": [record(1)], "dead": [Record("", b"", {}, 9)]})
    assert everything(bus, "events") == [b"value 1"]


@everywhere
def test_a_step_is_atomic_and_resumes_where_it_was(place: Place) -> None:
    bus = place.open(partitions=1)
    bus.append("events", [record(number) for number in range(10)])
    first = bus.session("events", group="detect", member="a")
    batch = polled(first, gained=1, records=4)
    assert batch.gained == [0]
    assert [item.offset for item in batch.records[0]] == [0, 1, 2, 3]
    first.commit({0: Step(4, {"hits": [record(100)]}, {"seen": b"4", "gone": b"x"})})
    polled(first, records=4)
    first.commit({0: Step(8, {}, {"seen": b"8", "gone": None})})
    polled(first, records=2)  # read, never committed
    first.close()

    second = bus.session("events", group="detect", member="b")
    batch = polled(second, gained=1, records=2)
    assert second.restore(0) == Snapshot({"seen": b"8"}, 8)
    assert [item.value for item in batch.records[0]] == [b"value 8", b"value 9"]
    assert everything(bus, "hits") == [b"value 100"]
    wait_for(lambda: bus.positions("events", "detect") == {0: 8})
    assert bus.lag("events", "detect") == {0: 2 + place.marks}
    assert bus.lag("events", "nobody") == {0: 10 + place.marks}


@everywhere
def test_all_that_is_read_leaves_no_lag(place: Place) -> None:
    bus = place.open()
    session = bus.session("events", group="g", member="m")
    for start in range(0, 40, 8):
        bus.append("events", [record(number) for number in range(start, start + 8)])
        assert len(drain(bus, "events", session)) == 8
        wait_for(lambda: bus.positions("events", "g") == bus.ends("events"))


@everywhere
def test_a_snapshot_shows_what_was_committed_and_disturbs_nobody(place: Place) -> None:
    bus = place.open(partitions=2)
    assert bus.snapshot("events", "g", 0) == bus.snapshot("never", "g", 7) == Snapshot({}, 0)
    bus.append("events", [Record("k", b"%d" % number, {}, number % 2) for number in range(8)])
    owner = bus.session("events", group="g", member="m")
    polled(owner, gained=2, records=8)
    state = {"a\x1fx": b"1", "a\x1fy": b"2", "a": b"3", "b\x1fx": b"4"}
    owner.commit({0: Step(3, {}, state), 1: Step(1, {}, {"a\x1fz": b"5"})})
    other = bus.session("events", group="another", member="m")
    polled(other, gained=2, records=8)
    other.commit({0: Step(4, {}, {"a\x1fother": b"6"})})

    assert bus.snapshot("events", "g", 0) == Snapshot(state, 3)
    assert bus.snapshot("events", "g", 1) == Snapshot({"a\x1fz": b"5"}, 1)
    assert bus.snapshot("events", "g", 0, "a\x1f") == Snapshot({"a\x1fx": b"1", "a\x1fy": b"2"}, 3)
    assert bus.snapshot("events", "g", 0, "c") == Snapshot({}, 3)
    assert bus.snapshot("events", "g", 0, "a", limit=2) == Snapshot({"a": b"3", "a\x1fx": b"1"}, 3)

    owner.commit({0: Step(4, {"hits": [record(1)]}, {"a\x1fx": None, "a\x1fy": b"7"})})  # still the owner
    found = bus.snapshot("events", "g", 0, "a\x1f")
    assert found.state == {"a\x1fy": b"7"}
    assert 4 <= found.position <= 4 + place.marks
    wait_for(lambda: not owner.poll(100, 0.1).lost and bus.lag("events", "g") == {0: 0, 1: 3 + place.marks})


TEXTS = st.text(st.sampled_from("a\x1fñ\ud7ff\ue000\uffff😀\U0010ffff"), max_size=4)


@settings(max_examples=40, deadline=None)
@given(keys=st.sets(TEXTS, max_size=12), prefix=TEXTS)
def test_a_snapshot_gives_exactly_the_keys_with_the_prefix(keys: set[str], prefix: str) -> None:
    bus = open_bus("memory:", partitions=1)
    session = bus.session("t", group="g", member="m")
    session.poll(1, 0)
    session.commit({0: Step(0, {}, dict.fromkeys(keys, b"x"))})
    assert set(bus.snapshot("t", "g", 0, prefix).state) == {key for key in keys if key.startswith(prefix)}


@between_processes
def test_a_snapshot_is_of_one_moment_while_another_process_writes(place: Place) -> None:
    bus, reader = place.open(partitions=1), place.open()
    session = bus.session("t", group="g", member="m")
    polled(session, gained=1)
    ended = threading.Event()

    def write() -> None:
        for number in range(1, 60):
            session.commit({0: Step(number, {}, {f"k{key}": b"%d" % number for key in range(40)})})
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while not ended.is_set() or not seen:
        found = reader.snapshot("t", "g", 0)
        assert set(found.state.values()) <= {b"%d" % found.position}
        seen.append(found.position)
    writer.join()
    assert seen == sorted(seen)


@everywhere
def test_a_newer_process_of_the_same_name_fences_the_older(place: Place) -> None:
    bus = place.open()
    bus.append("events", [record(number) for number in range(100)])
    zombie = bus.session("events", group="g", member="detect-1")
    batch = polled(zombie, gained=4, records=100)
    heir = bus.session("events", group="g", member="detect-1")
    assert sorted(polled(heir, gained=4).gained) == [0, 1, 2, 3]
    steps = {number: Step(end, {"hits": [record(1)]}, {"k": b"old"}) for number, end in ends(batch).items()}
    with pytest.raises(Fenced):
        zombie.commit(steps)
    assert everything(bus, "hits") == []
    assert heir.restore(0).state == {}
    with pytest.raises(Fenced):  # a heartbeat may lie between
        polled(zombie, gained=1)


@everywhere
def test_partitions_are_shared_out_and_given_back(place: Place) -> None:
    bus = place.open()
    bus.append("events", [record(number) for number in range(100)])
    one = bus.session("events", group="g", member="one")
    assert len(polled(one, gained=4).gained) == 4
    two = bus.session("events", group="g", member="two")
    assert two.poll(10, 0).gained == []  # one has not let go yet
    lost: list[int] = []
    gained: list[int] = []
    deadline = time.monotonic() + 30
    while len(gained) < 2:
        assert time.monotonic() < deadline
        lost += one.poll(10, 0.1).lost
        gained += two.poll(10, 0.1).gained
    assert len(lost) == 2
    assert sorted(gained) == sorted(lost)
    two.close()
    assert sorted(polled(one, gained=2).gained) == sorted(lost)


@everywhere
def test_what_was_trimmed_before_it_was_read_is_a_gap(place: Place) -> None:
    bus = place.open(partitions=1)
    bus.append("events", [record(number) for number in range(10)])
    time.sleep(0.005)
    boundary = time.time_ns() // 1000
    time.sleep(0.005)
    bus.append("events", [record(number) for number in range(10, 15)])
    assert bus.trim("events", boundary) == 10 + place.marks
    assert bus.trim("events", boundary) == 0
    session = bus.session("events", group="g", member="m")
    batch = polled(session, gained=1, records=5, gaps=1)
    assert [(gap.start, gap.end) for gap in batch.gaps] == [(0, 10 + place.marks)]
    assert [item.value for item in batch.records[0]] == [f"value {number}".encode() for number in range(10, 15)]
    assert batch.records[0][0].offset == batch.gaps[0].end
    assert session.poll(100, 0.1).gaps == []


@between_processes
def test_poll_wakes_up_for_a_new_record(place: Place) -> None:
    reader, writer = place.open(), place.open()
    session = reader.session("events", group="g", member="m")
    polled(session, gained=4)
    session.poll(1, 0.1)
    writer.append("events", [record(1)])
    writer.append("events", [record(2)])
    began = time.monotonic()
    assert session.poll(1, 5.0).records
    assert time.monotonic() - began < 1.0


def _append_until_killed(place: Place, acknowledged: str) -> None:
    bus = place.open(name="collect")
    with Path(acknowledged).open("ab", buffering=0) as file:
        for number in range(100_000):
            bus.append("events", [record(number), record(number, key="other")])
            file.write(b"%d\n" % number)


@between_processes
def test_kill_9_loses_nothing_acknowledged_and_tears_no_batch(place: Place, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    acknowledged = tmp_path / "acknowledged"
    process = context.Process(target=_append_until_killed, args=(place, str(acknowledged)))
    process.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (not acknowledged.exists() or acknowledged.stat().st_size < 500):
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    last = int(acknowledged.read_bytes().splitlines()[-1])
    bus = place.open(name="collect")
    bus.append("other", [record(0)])  # what the killed one had begun ends with its successor's first append
    values = drain(bus, "events", bus.session("events", group="g", member="m"))
    assert set(values) >= {f"value {number}".encode() for number in range(last + 1)}
    assert len(values) % 2 == 0
    assert len(values) <= 2 * (last + 2)


def test_unknown_urls_and_unopenable_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'memory:'.*'sqlite:.*'kafka://"):
        open_bus("redis:x")
    (tmp_path / "file").write_text("no database at all, just text of some length" * 50)
    with pytest.raises(BusError, match="cannot be opened"):
        open_bus(f"sqlite:{tmp_path / 'file'}")
