"""What is Kafka's own: lost answers, open transactions, expelled members, marks, topics made anew, rights, TLS."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from kafka.admin._acls import ACLResourcePatternType
from kafkas import admin, kafka_prefix
from servers import SecureKafka

from almena.bus import Batch, Position, Record, Snapshot, Step, Stored, kafka_client, kafka_python
from almena.bus.kafka import KafkaBus, open_kafka
from almena.bus.kafka_client import Claim, Row, Unsure, Writer
from almena.bus.kafka_session import KafkaSession
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError, Fenced, Moved

Opener = Callable[..., KafkaBus]


@pytest.fixture
def prefix(kafka: str) -> Iterator[str]:
    with kafka_prefix(kafka, "bus") as name:
        yield name


@pytest.fixture
def opened(kafka: str, prefix: str) -> Iterator[Opener]:
    buses: list[KafkaBus] = []

    def opener(partitions: int = 1, name: str = "", keep: int = 0) -> KafkaBus:
        settings = KafkaSettings(prefix=prefix)
        buses.append(open_kafka(f"kafka://{kafka}", settings, partitions=partitions, name=name, keep=keep))
        return buses[-1]

    yield opener
    for bus in buses:
        bus.close()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def joined(bus: KafkaBus, member: str, partitions: int = 1, topic: str = "events") -> KafkaSession:
    """A session that has so many partitions, all restored."""
    session = bus.session(topic, group="g", member=member)
    gain(session, partitions)
    return session


def gain(session: KafkaSession, partitions: int) -> dict[int, Snapshot]:
    found: dict[int, Snapshot] = {}

    def all_gained() -> bool:
        batch = session.poll(1, 0.1)
        assert not batch.records
        found.update({partition: session.restore(partition) for partition in batch.gained})
        return len(found) == partitions

    wait_for(all_gained)
    return found


def take(session: KafkaSession, count: int) -> list[Stored]:
    """So many records of partition 0."""
    found: list[Stored] = []
    deadline = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline
        found += session.poll(count - len(found), 0.2).records.get(0, ())
    return found


def values(bus: KafkaBus, topic: str) -> list[bytes]:
    records = [bus.read(Position(topic, number, 0), 1000) for number in range(bus.partitions(topic))]
    return sorted(record.value for share in records for record in share)


class Deaf:
    """A writer that does what it is told, or leaves it open, and loses the brokers' answer."""

    def __init__(self, writer: Writer, takes_place: bool) -> None:
        self._writer = writer
        self._takes_place = takes_place

    def commit(self, rows: Sequence[Row], claim: Claim | None = None) -> None:
        if self._takes_place:
            self._writer.commit(rows, claim)
        else:
            assert isinstance(self._writer, kafka_python.PythonWriter)
            producer = self._writer._producer
            producer.begin_transaction()
            for topic, partition, key, value, headers in rows:
                producer.send(topic, value, key, headers, partition)
            producer.flush(5)
        raise Unsure("bus: the answer is lost")

    def close(self) -> None:
        self._writer.close()


def test_a_commit_whose_answer_is_lost_is_done_once(opened: Opener) -> None:
    bus = opened()
    bus.append("events", [Record("k", b"%d" % number) for number in range(4)])
    session = joined(bus, "m")
    take(session, 2)
    owned = session._owned[0]
    assert owned.writer is not None
    owned.writer = Deaf(owned.writer, takes_place=True)
    session.commit({0: Step(2, {"hits": [Record("k", b"first")]}, {"n": b"2"})})
    take(session, 2)
    owned.writer = Deaf(owned.writer, takes_place=False)
    step = {0: Step(4, {"hits": [Record("k", b"second")]}, {"n": b"4"})}
    with pytest.raises(Unsure):
        session.commit(step)
    session.commit(step)
    assert values(bus, "hits") == [b"first", b"second"]
    assert bus.snapshot("events", "g", 0).state == {"n": b"4"}


def test_of_a_commit_that_was_refused_in_part_the_rest_is_done(opened: Opener) -> None:
    bus = opened(partitions=3)
    bus.append("events", [Record("k", b"x", {}, number) for number in range(3)])
    session = joined(bus, "m", 3)
    wait_for(lambda: session.poll(10, 0.1) is not None and all(owned.delivered for owned in session._owned.values()))
    owned = session._owned[1]
    assert owned.writer is not None
    owned.writer = Deaf(owned.writer, takes_place=False)
    steps = {number: Step(1, {"hits": [Record("k", b"%d" % number)]}) for number in range(3)}
    with pytest.raises(Unsure):
        session.commit(steps)
    assert values(bus, "hits") == [b"0", b"2"]
    session.commit(steps)
    assert values(bus, "hits") == [b"0", b"1", b"2"]
    with pytest.raises(BusError, match="is not m's"):
        session.commit({7: Step(1)})


def _die_in_a_transaction(server: str, prefix: str, ready: Path) -> None:
    bus = open_kafka(f"kafka://{server}", KafkaSettings(prefix=prefix), partitions=1, name="detect")
    session = joined(bus, "detect")
    session.commit({0: Step(2, {"hits": [Record("k", b"done")]}, {"n": b"2"})})

    def hang(*_: object) -> None:
        ready.touch()
        time.sleep(60)

    setattr(kafka_python._Producer, "commit_within", hang)  # noqa: B010
    session.commit({0: Step(4, {"hits": [Record("k", b"lost")]}, {"n": b"4"})})


def test_what_a_killed_process_left_open_ends_at_once_with_its_heir(
    kafka: str, prefix: str, opened: Opener, tmp_path: Path
) -> None:
    bus = opened(name="other")
    bus.append("events", [Record("k", b"%d" % number) for number in range(4)])
    bus.partitions("hits")
    arguments = (kafka, prefix, tmp_path / "ready")
    process = multiprocessing.get_context("spawn").Process(target=_die_in_a_transaction, args=arguments)
    process.start()
    wait_for((tmp_path / "ready").exists)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    bus.append("hits", [Record("k", b"behind")])  # readers would wait for what is open before it
    began = time.monotonic()
    heir = opened(name="detect").session("events", group="g", member="detect")
    assert gain(heir, 1) == {0: Snapshot({"n": b"2"}, 2)}
    assert time.monotonic() - began < 5  # without its name: the 10 s of its session, then the 15 s of its transaction
    assert values(bus, "hits") == [b"behind", b"done"]
    assert [record.value for record in take(heir, 2)] == [b"2", b"3"]


def test_an_expelled_member_learns_so_and_overwrites_nothing(opened: Opener) -> None:
    bus = opened()
    bus.append("events", [Record("k", b"%d" % number) for number in range(4)])
    zombie = joined(bus, "a")
    take(zombie, 4)
    bus.client.remove(bus.group("events", "g"), "a", zombie._member().ids()[-1])  # as after a pause beyond the session
    heir = joined(opened(), "b")
    assert len(take(heir, 4)) == 4
    heir.commit({0: Step(4, {}, {"owner": b"b"})})
    with pytest.raises(Moved):
        zombie.commit({0: Step(4, {"hits": [Record("k", b"twice")]}, {"owner": b"a"})})
    assert zombie.poll(1, 0.0).lost == [0]
    heir.commit({0: Step(4, {}, {"more": b"b"})})
    assert bus.snapshot("events", "g", 0).state == {"owner": b"b", "more": b"b"}
    assert values(bus, "hits") == []


def test_one_name_appends_from_one_process(opened: Opener) -> None:
    old, new = opened(name="collect"), opened(name="collect")
    old.append("events", [Record("k", b"1")])
    new.append("events", [Record("k", b"2")])
    with pytest.raises(Fenced, match="'collect'"):
        old.append("events", [Record("k", b"3")])
    new.append("events", [Record("k", b"4")])
    assert values(new, "events") == [b"1", b"2", b"4"]


def test_what_is_trimmed_while_it_is_read_is_a_gap(opened: Opener) -> None:
    bus = opened()
    session = joined(bus, "m")
    bus.append("events", [Record("k", b"old")] * 10)
    time.sleep(0.005)
    bus.trim("events", time.time_ns() // 1000)
    bus.append("events", [Record("k", b"new")])
    batches = [session.poll(100, 5.0)]
    while not batches[-1].records:
        batches.append(session.poll(100, 5.0))
    gaps = [(gap.start, gap.end, gap.reason) for batch in batches for gap in batch.gaps]
    assert gaps == [(0, 11, "trimmed")]
    assert [(record.offset, record.value) for record in batches[-1].records[0]] == [(11, b"new")]


def test_marks_and_aborted_records_leave_no_lag(opened: Opener) -> None:
    bus = opened()
    session = joined(bus, "m")
    bus.append("events", [Record("k", b"1")])
    writer = bus.client.writer(bus.named("aborted"))
    with pytest.raises(Unsure):
        Deaf(writer, takes_place=False).commit(bus.rows({"events": [Record("k", b"never")] * 5}))
    writer.close()
    assert bus.ends("events") == {0: 7}  # open transactions count
    bus.client.writer(bus.named("aborted")).close()
    take(session, 1)
    session.commit({0: Step(1, {}, {"n": b"1"})})
    wait_for(lambda: session.poll(1, 0.1) == Batch() and bus.lag("events", "g") == {0: 0})
    assert bus.positions("events", "g") == bus.ends("events") == {0: 8}
    assert bus.snapshot("events", "g", 0) == Snapshot({"n": b"1"}, 8)


def test_a_topic_made_anew_is_read_from_its_beginning(
    kafka: str, opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    bus = opened()
    bus.append("events", [Record("k", b"old")] * 10)
    session = joined(bus, "m")
    take(session, 10)
    session.commit({0: Step(10, {}, {"n": b"10"})})
    session.close()
    with admin(kafka) as client:
        client.delete_topics([bus.named("events")])
        wait_for(lambda: bus.named("events") not in client.list_topics())
    again = opened()
    again.append("events", [Record("k", b"new")])
    session = again.session("events", group="g", member="m")
    assert gain(session, 1)[0].state == {"n": b"10"}
    assert "made anew" in caplog.text
    assert [record.value for record in take(session, 1)] == [b"new"]
    session.commit({0: Step(1)})
    wait_for(lambda: session.poll(1, 0.1) == Batch() and again.lag("events", "g") == {0: 0})


def test_a_long_step_keeps_its_partitions_until_another_joins(opened: Opener) -> None:
    bus = opened(partitions=2)
    bus.append("events", [Record("k", b"x", {}, number) for number in range(2)])
    slow = joined(bus, "slow", 2)
    batch = slow.poll(10, 5.0)
    slow.alive()
    slow.commit({number: Step(1) for number in batch.records})  # nothing moved: the step counts
    other = opened().session("events", group="g", member="other")
    found: list[int] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            found.extend(other.poll(1, 0.1).gained)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        with pytest.raises(Moved):
            wait_for(lambda: slow.alive() is not None)  # type: ignore[func-returns-value]
        told: list[Batch] = []
        while not any(batch.gained for batch in told):
            told.append(slow.poll(1, 1.0))
        assert sorted(number for batch in told for number in batch.lost) == [0, 1]
        wait_for(lambda: bool(found))
    finally:
        stop.set()
        thread.join()
    assert sorted(found + [number for batch in told for number in batch.gained]) == [0, 1]


def test_times_never_fall_and_are_the_same_for_every_reader(opened: Opener) -> None:
    bus = opened()
    for delays in (["", "5000000"], ["-1", "x", "9" * 30, "١"], ["2000000"]):
        bus.append("events", [Record("k", b"x", {"delayed": delay} if delay else {}) for delay in delays])
        time.sleep(0.01)
    every = bus.read(Position("events", 0, 0), 100)
    session = joined(bus, "m")
    first = take(session, 2)
    session.commit({0: Step(first[0].offset + 1)})
    session.close()
    after = take(joined(opened(), "m"), 6)
    assert [record.time for record in first[:1] + after] == [record.time for record in every]
    assert every[0].time == every[1].time < every[2].time == every[5].time == every[6].time
    late = bus.read(Position("events", 0, every[1].offset), 1)
    assert late[0].time == every[0].time - 5_000_000


def test_topics_are_made_to_keep_times_and_records(kafka: str, opened: Opener) -> None:
    bus = opened(partitions=2, keep=3_600_000_000)
    bus.session("events", group="g", member="m")
    with admin(kafka) as client:
        names = [bus.named("events"), bus.named("state.g.events")]
        found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    data, state = ({key: entry["value"] for key, entry in found["topic"][name].items()} for name in names)
    assert data["retention.ms"] == "3600000"
    assert data["message.timestamp.type"] == state["message.timestamp.type"] == "LogAppendTime"
    assert state["cleanup.policy"] == "compact"
    assert bus.partitions("state.g.events") == 2
    with admin(kafka) as client:
        client.create_topics({bus.named("state.h.events"): {"num_partitions": 1, "replication_factor": 1}})
    with pytest.raises(ConfigError, match=r"has 2 partitions and '.*state.h.events' has 1"):
        bus.session("events", group="h", member="m")
    with pytest.raises(BusError, match="is larger than"):
        bus.append("events", [Record("k", bytes(17 << 20))])


@pytest.mark.parametrize("url", ["kafka://", "kafka://broker", "kafka://:9092", "kafka://a:1,b"])
def test_urls_that_name_no_broker_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="kafka://HOST:9092"):
        open_kafka(url, KafkaSettings(), partitions=1)


def test_brokers_that_are_away_are_told_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "PATIENCE", 1.0)
    before = threading.active_count()
    bus = open_kafka("kafka://127.0.0.1:9", KafkaSettings(), partitions=1)
    for action in (
        lambda: bus.append("events", [Record("k", b"x")]),
        lambda: bus.ends("events"),
        lambda: bus.session("events", group="g", member="m"),
        lambda: bus.client.writer("t"),
        lambda: bus.client.member("t", "g", "m"),
        lambda: bus.client.reader(),
    ):
        with pytest.raises(BusError, match=r"127\.0\.0\.1:9.*see whether the brokers run"):
            action()
    bus.close()
    assert threading.active_count() == before


def test_rights_and_passwords_are_asked_for_by_name(kafka_secure: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(prefix: str, **options: str) -> KafkaBus:
        known = {"ca": str(kafka_secure.ca), "user": kafka_secure.user, "password": kafka_secure.password}
        settings = KafkaSettings(prefix=prefix, tls=True, **(known | options))  # type: ignore[arg-type]
        return open_kafka(f"kafka://{kafka_secure.address}", settings, partitions=1, name="collect")

    with kafka_prefix(kafka_secure.plain, "rights") as prefix:
        bus = opened(prefix)
        with pytest.raises(BusError, match="an administrator must"):
            bus.append("events", [Record("k", b"x")])
        for kind, operations in (
            (ResourceType.TOPIC, (ACLOperation.CREATE, ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DELETE)),
            (ResourceType.GROUP, (ACLOperation.READ, ACLOperation.DELETE)),
        ):
            allow(kafka_secure, kind, prefix, operations)
        with pytest.raises(BusError, match="transactional id"):
            bus.append("events", [Record("k", b"x")])
        allow(kafka_secure, ResourceType.TRANSACTIONAL_ID, prefix, (ACLOperation.WRITE, ACLOperation.DESCRIBE))
        bus.append("events", [Record("k", b"x")])
        session = joined(bus, "m")
        take(session, 1)
        session.commit({0: Step(1, {}, {"n": b"1"})})
        wait_for(lambda: session.poll(1, 0.1) == Batch() and bus.lag("events", "g") == {0: 0})
        session.close()
        bus.close()
    monkeypatch.setattr(kafka_client, "PATIENCE", 2.0)
    for options, text in (
        ({"password": "wrong"}, "check the user and the password"),
        ({"ca": ""}, "certificate verify failed.*check ca"),
    ):
        wrong = opened("rights", **options)
        with pytest.raises(BusError, match=text):
            wrong.ends("events")
        wrong.close()
    with pytest.raises(ConfigError, match="cannot be used"):
        opened("rights", ca="nowhere.pem")


def allow(broker: SecureKafka, kind: ResourceType, prefix: str, operations: Sequence[ACLOperation]) -> None:
    pattern = ResourcePattern(kind, f"{prefix}.", ACLResourcePatternType.PREFIXED)
    acls = [ACL(f"User:{broker.user}", "*", operation, ACLPermissionType.ALLOW, pattern) for operation in operations]
    with admin(broker.plain) as client:
        client.create_acls(acls)
