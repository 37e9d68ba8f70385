"""Every bus keeps the same promises: order, durability, atomic steps, one owner per partition."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.bus import Position, Record, Session, Snapshot, Step, open_bus, partition_of
from almena.errors import BusError, ConfigError, Fenced


@pytest.fixture(params=["memory:", "sqlite:"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param) + (str(tmp_path / "bus.sqlite") if request.param == "sqlite:" else "")


def record(number: int, key: str = "", **headers: str) -> Record:
    return Record(key or f"s/{number % 5}", f"value {number}".encode(), headers)


def drain(session: Session) -> dict[int, list[bytes]]:
    """Everything there is for this session, committed."""
    seen: dict[int, list[bytes]] = {}
    while True:
        batch = session.poll(100, 0.0)
        for partition in batch.gained:
            session.restore(partition)
        if not batch.records:
            if batch.gained:
                continue
            return seen
        for partition, records in batch.records.items():
            seen.setdefault(partition, []).extend(item.value for item in records)
        session.commit({partition: Step(records[-1].offset + 1) for partition, records in batch.records.items()})


def test_equal_keys_keep_their_order_and_reach_their_partition(url: str) -> None:
    bus = open_bus(url)
    bus.append("events", [record(number, source=f"s{number}") for number in range(1200)])
    assert sum(bus.ends("events").values()) == 1200
    for partition in range(bus.partitions("events")):
        found = bus.read(Position("events", partition, 0), 2000)
        assert [item.offset for item in found] == list(range(len(found)))
        numbers = [int(item.value.split()[1]) for item in found]
        assert numbers == [n for n in range(1200) if partition_of(f"s/{n % 5}", 4) == partition]
        assert all(item.headers == {"source": f"s{number}"} for item, number in zip(found, numbers, strict=True))
        assert [item.time for item in found] == sorted(item.time for item in found)


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


def test_append_all_reaches_several_topics(url: str) -> None:
    bus = open_bus(url)
    bus.append_all({"events": [record(1)], "dead": [record(2)]})
    assert sum(bus.ends("events").values()) == sum(bus.ends("dead").values()) == 1
    with pytest.raises(BusError, match="no partition 9"):
        bus.append_all({"events": [record(1)], "dead": [Record("", b"", {}, 9)]})
    assert sum(bus.ends("events").values()) == 1


def test_a_step_is_atomic_and_resumes_where_it_was(url: str) -> None:
    bus = open_bus(url, partitions=1)
    bus.append("events", [record(number) for number in range(10)])
    first = bus.session("events", group="detect", member="a")
    batch = first.poll(4, 0)
    assert batch.gained == [0]
    assert first.restore(0).position == 0
    assert len(batch.records[0]) == 4
    first.commit({0: Step(4, {"hits": [record(100)]}, {"seen": b"4", "gone": b"x"})})
    first.poll(4, 0)
    first.commit({0: Step(8, {}, {"seen": b"8", "gone": None})})
    first.poll(4, 0)  # read, never committed
    first.close()

    second = bus.session("events", group="detect", member="b")
    batch = second.poll(100, 0)
    snapshot = second.restore(0)
    assert snapshot.state == {"seen": b"8"}
    assert snapshot.position == 8
    assert [item.value for item in batch.records[0]] == [b"value 8", b"value 9"]
    assert sum(bus.ends("hits").values()) == 1
    assert bus.lag("events", "detect") == {0: 2}
    assert bus.lag("events", "nobody") == {0: 10}


def test_a_snapshot_shows_what_was_committed_and_disturbs_nobody(url: str) -> None:
    bus = open_bus(url, partitions=2)
    assert bus.snapshot("events", "g", 0) == bus.snapshot("never", "g", 7) == Snapshot({}, 0)
    bus.append("events", [Record("k", b"%d" % number, {}, number % 2) for number in range(8)])
    owner = bus.session("events", group="g", member="m")
    owner.poll(100, 0)
    state = {"a\x1fx": b"1", "a\x1fy": b"2", "a": b"3", "b\x1fx": b"4"}
    owner.commit({0: Step(3, {}, state), 1: Step(1, {}, {"a\x1fz": b"5"})})
    other = bus.session("events", group="another", member="m")
    other.poll(100, 0)
    other.commit({0: Step(4, {}, {"a\x1fother": b"6"})})

    assert bus.snapshot("events", "g", 0) == Snapshot(state, 3)
    assert bus.snapshot("events", "g", 1) == Snapshot({"a\x1fz": b"5"}, 1)
    assert bus.snapshot("events", "g", 0, "a\x1f") == Snapshot({"a\x1fx": b"1", "a\x1fy": b"2"}, 3)
    assert bus.snapshot("events", "g", 0, "c") == Snapshot({}, 3)
    assert bus.snapshot("events", "g", 0, "a", limit=2) == Snapshot({"a": b"3", "a\x1fx": b"1"}, 3)

    owner.commit({0: Step(4, {"hits": [record(1)]}, {"a\x1fx": None, "a\x1fy": b"7"})})  # still the owner
    assert bus.snapshot("events", "g", 0, "a\x1f") == Snapshot({"a\x1fy": b"7"}, 4)
    assert bus.lag("events", "g") == {0: 0, 1: 3}
    assert owner.poll(100, 0).lost == []


TEXTS = st.text(st.sampled_from("a\x1fñ\ud7ff\ue000\uffff😀\U0010ffff"), max_size=4)


@settings(max_examples=40, deadline=None)
@given(keys=st.sets(TEXTS, max_size=12), prefix=TEXTS)
def test_a_snapshot_gives_exactly_the_keys_with_the_prefix(keys: set[str], prefix: str) -> None:
    bus = open_bus("memory:", partitions=1)
    session = bus.session("t", group="g", member="m")
    session.poll(1, 0)
    session.commit({0: Step(0, {}, dict.fromkeys(keys, b"x"))})
    assert set(bus.snapshot("t", "g", 0, prefix).state) == {key for key in keys if key.startswith(prefix)}


def test_a_snapshot_is_of_one_moment_while_another_process_writes(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'bus.sqlite'}"
    bus, reader = open_bus(url, partitions=1), open_bus(url)
    session = bus.session("t", group="g", member="m")
    session.poll(1, 0)
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


def test_a_newer_process_of_the_same_name_fences_the_older(url: str) -> None:
    bus = open_bus(url)
    bus.append("events", [record(number) for number in range(100)])
    zombie = bus.session("events", group="g", member="detect-1")
    batch = zombie.poll(100, 0)
    positions = {partition: records[-1].offset + 1 for partition, records in batch.records.items()}
    heir = bus.session("events", group="g", member="detect-1")
    assert sorted(heir.poll(100, 0).gained) == [0, 1, 2, 3]
    with pytest.raises(Fenced):
        zombie.commit(
            {partition: Step(end, {"hits": [record(1)]}, {"k": b"old"}) for partition, end in positions.items()}
        )
    assert sum(bus.ends("hits").values()) == 0
    assert heir.restore(0).state == {}
    time.sleep(1.1)  # heartbeats are a second apart
    with pytest.raises(Fenced):
        zombie.poll(1, 0)


def test_partitions_are_shared_out_and_given_back(url: str) -> None:
    bus = open_bus(url)
    bus.append("events", [record(number) for number in range(100)])
    one = bus.session("events", group="g", member="one")
    assert len(one.poll(10, 0).gained) == 4
    two = bus.session("events", group="g", member="two")
    assert two.poll(10, 0).gained == []  # one has not let go yet
    time.sleep(1.1)
    lost = one.poll(10, 0).lost
    assert len(lost) == 2
    time.sleep(1.1)
    assert two.poll(10, 0).gained == sorted(lost)
    two.close()
    time.sleep(1.1)
    assert sorted(one.poll(10, 0).gained) == sorted(lost)


def test_what_was_trimmed_before_it_was_read_is_a_gap(url: str) -> None:
    bus = open_bus(url, partitions=1)
    bus.append("events", [record(number) for number in range(10)])
    time.sleep(0.002)
    boundary = time.time_ns() // 1000
    bus.append("events", [record(number) for number in range(10, 15)])
    assert bus.trim("events", boundary) == 10
    session = bus.session("events", group="g", member="m")
    batch = session.poll(100, 0)
    assert [(gap.start, gap.end) for gap in batch.gaps] == [(0, 10)]
    assert [item.offset for item in batch.records[0]] == [10, 11, 12, 13, 14]
    assert session.poll(100, 0).gaps == []


def test_poll_wakes_up_for_a_new_record(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'bus.sqlite'}"
    reader, writer = open_bus(url), open_bus(url)
    session = reader.session("events", group="g", member="m")
    session.poll(1, 0)
    writer.append("events", [record(1)])
    began = time.monotonic()
    assert session.poll(1, 5.0).records
    assert time.monotonic() - began < 1.0


def _append_until_killed(path: str, acknowledged: str) -> None:
    bus = open_bus(f"sqlite:{path}")
    with Path(acknowledged).open("ab", buffering=0) as file:
        for number in range(100_000):
            bus.append("events", [record(number), record(number, key="other")])
            file.write(b"%d\n" % number)


def test_kill_9_loses_nothing_acknowledged_and_tears_no_batch(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path, acknowledged = tmp_path / "bus.sqlite", tmp_path / "acknowledged"
    process = context.Process(target=_append_until_killed, args=(str(path), str(acknowledged)))
    process.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not acknowledged.exists() or acknowledged.stat().st_size < 500):
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    last = int(acknowledged.read_bytes().splitlines()[-1])
    bus = open_bus(f"sqlite:{path}")
    values = [item for share in drain(bus.session("events", group="g", member="m")).values() for item in share]
    assert set(values) >= {f"value {number}".encode() for number in range(last + 1)}
    assert len(values) % 2 == 0
    assert len(values) <= 2 * (last + 2)


def test_unknown_urls_and_unopenable_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'memory:' or 'sqlite:"):
        open_bus("redis:x")
    (tmp_path / "file").write_text("no database at all, just text of some length" * 50)
    with pytest.raises(BusError, match="cannot be opened"):
        open_bus(f"sqlite:{tmp_path / 'file'}")
