"""Somebody else's topics on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from kafka import TopicPartition
from kafkas import admin, kafka_prefix
from servers import SecureKafka
from sinks import Kept, events, letters, until, words
from topics import make_topic, position, send

from almena.bus import kafka_python_net, open_bus
from almena.config import build
from almena.errors import BusError, ConfigError
from collectors.base import Raw, Sink, Source
from collectors.intake import Intake
from collectors.topic import Topic


@pytest.fixture
def prefix(kafka: str) -> Iterator[str]:
    with kafka_prefix(kafka, "theirs") as made:
        yield made


def collector(server: str, topic: str, **options: Any) -> Topic:
    given = {"agency": "finanzas", "brokers": [server], "topics": [topic], "group": f"{topic}.group", "parser": "words"}
    return Topic(**{**given, **options})


@contextlib.asynccontextmanager
async def running(made: Topic, sink: Sink) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(made.run("ajenos", sink))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def collected(made: Topic, done: Callable[[Kept], object], sink: Kept | None = None, rest: float = 0.0) -> Kept:
    kept = sink or Kept()

    async def run() -> None:
        async with running(made, kept) as task:
            await until(lambda: done(kept) or task.done(), seconds=25)
            await asyncio.sleep(rest)

    asyncio.run(run())
    return kept


def many(count: int) -> Callable[[Kept], object]:
    return lambda sink: len(sink.records) >= count


def reached(server: str, made: Topic) -> int:
    return position(server, made.group, made.topics[0])


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"text %d" % number for number in range(first, first + count)]


def test_records_come_once_through_restarts_with_their_offsets(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], *numbered(100), compression_type="zstd")
    sink = collected(made, lambda _: reached(kafka, made) == 100)
    send(kafka, made.topics[0], *numbered(50, 100), compression_type="lz4")
    collected(made, lambda _: reached(kafka, made) == 150, sink)
    send(kafka, made.topics[0], *numbered(50, 150), compression_type="snappy")
    collected(made, lambda _: reached(kafka, made) == 200, sink)
    assert sink.texts() == numbered(200)
    assert [record.seq for record in sink.records] == [offset * 1_000_000 for offset in range(200)]
    (lane,) = {record.lane for record in sink.records}
    assert lane.startswith(f"k.{made.topics[0]}.0.")
    assert sink.records[0].origin == f"{made.topics[0]}/0"
    assert sink.drops == []


def test_what_clouds_wrap_is_a_record_for_each_element(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], b"plain", b'{"records": [{"a":1}, {"b":[2]}]}', b"[{}]", b"[]")
    sink = collected(made, lambda _: reached(kafka, made) == 4)
    assert sink.texts() == [b"plain", b'{"a":1}', b'{"b":[2]}', b"{}", b"[]"]
    assert [record.seq for record in sink.records] == [0, 1_000_000, 1_000_001, 2_000_000, 3_000_000]


class Stuck(Kept):
    """A sink that keeps nothing durable."""

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        await super().append(source, records)
        await asyncio.sleep(3_600)
        return 0


def test_a_position_moves_only_behind_what_is_durable(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], *numbered(10))
    first = collected(made, many(10), Stuck(), rest=0.3)
    assert reached(kafka, made) == 0
    again = collected(made, lambda _: reached(kafka, made) == 10)
    assert [(each.lane, each.seq) for each in again.records] == [(each.lane, each.seq) for each in first.records]


def test_a_failing_sink_ends_the_collector(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], b"1")
    sink = Kept()

    def fail(records: object) -> None:
        raise BusError("the intake is closed")

    sink.before = fail
    with pytest.raises(BusError, match="intake is closed"):
        asyncio.run(asyncio.wait_for(made.run("ajenos", sink), 25))


def test_what_is_no_value_is_counted_and_what_is_too_long_is_cut(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"), max_value=1_000)
    send(kafka, made.topics[0], None, b"x" * 5_000, None, b"", b"short")
    sink = collected(made, lambda _: reached(kafka, made) == 5)
    assert [(len(each.data), each.truncated, each.seq) for each in sink.records] == [
        (1_000, True, 1_000_000),
        (0, False, 3_000_000),
        (5, False, 4_000_000),
    ]
    assert sum(count for name, reason, count in sink.drops if reason == "no value") == 2


@pytest.mark.parametrize("codec", ["gzip", "zstd", "lz4", "snappy"])
def test_a_batch_that_stands_for_too_much_is_passed_over_and_counted(
    codec: str, kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.topicbatches.MOST_BYTES", 100_000)
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], *numbered(3), compression_type=codec)
    send(kafka, made.topics[0], bytes(900_000), compression_type=codec)
    send(kafka, made.topics[0], *numbered(2, 3), compression_type=codec)
    sink = collected(made, lambda _: reached(kafka, made) == 6)
    assert sink.texts() == numbered(5)
    assert sink.drops == [("ajenos", "too large to unpack", 1)]
    collected(made, lambda _: True, sink, rest=0.5)
    assert len(sink.drops) == 1


def test_what_retention_took_is_counted(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], *numbered(10))
    sink = collected(made, lambda _: reached(kafka, made) == 10)
    send(kafka, made.topics[0], *numbered(20, 10))
    with admin(kafka) as client:
        client.delete_records({TopicPartition(made.topics[0], 0): 25})
    collected(made, lambda _: reached(kafka, made) == 30, sink)
    assert sink.texts() == [*numbered(10), *numbered(5, 25)]
    assert sink.drops == [("ajenos", "gone from the topic", 15)]


def test_at_the_end_nothing_old_comes_and_nothing_new_is_left_out(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"), start="end")
    send(kafka, made.topics[0], *numbered(10))
    sink = collected(made, lambda _: reached(kafka, made) == 10)
    send(kafka, made.topics[0], *numbered(5, 10))
    collected(made, lambda _: reached(kafka, made) == 15, sink)
    assert sink.texts() == numbered(5, 10)


def test_a_topic_that_was_made_anew_has_lanes_anew(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], *numbered(10))
    sink = collected(made, lambda _: reached(kafka, made) == 10)
    with admin(kafka) as client:
        client.delete_topics([made.topics[0]])
    for _ in range(100):
        with contextlib.suppress(Exception):
            make_topic(kafka, made.topics[0])
            break
    send(kafka, made.topics[0], *numbered(5))
    collected(made, many(15), sink)
    assert sink.texts()[10:] == numbered(5)
    assert len({record.lane for record in sink.records}) == 2


def test_two_collectors_share_the_partitions_and_one_takes_over(kafka: str, prefix: str) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs", 4))
    first, second = Kept(), Kept()

    async def run() -> None:
        async with running(made, first):
            async with running(made, second):
                for at in range(60):
                    await asyncio.to_thread(send, kafka, made.topics[0], b"%d" % at, partition=at % 4)
                    if first.records and second.records and at >= 20:
                        break
                await until(lambda: first.records and second.records, seconds=25)
            for partition in range(4):
                await asyncio.to_thread(send, kafka, made.topics[0], b"last %d" % partition, partition=partition)
            await until(lambda: sum(text.startswith(b"last") for text in first.texts()) == 4, seconds=25)

    asyncio.run(run())
    texts = Counter({(each.lane, each.seq): each.data for each in [*first.records, *second.records]}.values())
    assert set(texts.values()) == {1}
    assert {b"%d" % at for at in range(21)} <= set(texts)


def test_an_encrypted_cluster_with_users(kafka_secure: SecureKafka, kafka: str, prefix: str) -> None:
    topic = make_topic(kafka_secure.plain, f"{prefix}.logs")
    send(kafka_secure.plain, topic, *numbered(3))
    secret = kafka_secure.passwords["admin"]
    options = {"tls": True, "ca": str(kafka_secure.ca), "user": "admin", "password": secret}
    sink = collected(collector(kafka_secure.address, topic, **options), many(3))
    assert sink.texts() == numbered(3)
    assert secret not in repr(collector(kafka_secure.address, topic, **options))


def test_values_become_events_and_bad_ones_dead_letters(kafka: str, prefix: str, tmp_path: Any) -> None:
    made = collector(kafka, make_topic(kafka, f"{prefix}.logs"))
    send(kafka, made.topics[0], b"good", b"bad")
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")

    async def run() -> None:
        intake = Intake(bus, parsers={"words": words}, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(made, sink):
            await until(lambda: reached(kafka, made) == 2, seconds=25)

    asyncio.run(run())
    assert [event["message"] for event in events(bus)] == ["good"]
    assert [letter["seq"] for letter in letters(bus)] == [1_000_000]
    bus.close()


def test_a_cluster_that_is_not_there_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr("almena.bus.kafka_client.PATIENCE", 0.5)
    monkeypatch.setattr("collectors.topic._FIRST_WAIT", 0.05)
    tries: list[object] = []
    before = kafka_python_net.made

    def counted(*given: Any) -> Any:
        tries.append(given)
        return before(*given)

    monkeypatch.setattr("collectors.topicmember.made", counted)
    made = collector("127.0.0.1:9", "logs")

    async def run() -> None:
        async with running(made, Kept()):
            await until(lambda: len(tries) >= 3, seconds=20)

    asyncio.run(run())
    told = [record.message for record in caplog.records if record.name == "almena.collect"]
    assert len(told) == 1
    assert told[0].startswith("ajenos: topic logs: 127.0.0.1:9")
    assert "bus" not in told[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"brokers": []}, "brokers and topics"),
        ({"topics": []}, "brokers and topics"),
        ({"user": "ana", "mechanism": "PLAIN"}, "PLAIN sends the password"),
        ({"ca": "/x.pem"}, "without tls = true"),
        ({"max_value": 0}, "max_value: 0 lets nothing in"),
        ({"mechanism": "GSSAPI"}, "'GSSAPI' is not known"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, Any], reason: str) -> None:
    given = {"agency": "finanzas", "brokers": ["127.0.0.1:9"], "topics": ["t"], **options}
    with pytest.raises(ConfigError, match=rf"collectors\.ajenos.*{reason}"):
        build(Topic, given, "almena.toml: collectors.ajenos")
