"""What the cluster's benchmark is held against: the clients of Kafka and Elasticsearch as a careful user sets them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Assigned
from elasticsearch import Elasticsearch, helpers
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from almena.bus import Record, partition_of

PYTHON, CONFLUENT = "kafka", "kafka+confluent"
"""The clients, as the bus's URLs name them."""

LIBRARY = {PYTHON: "kafka-python", CONFLUENT: "confluent-kafka"}

Item = tuple[int, bytes, bytes, list[tuple[str, str | bytes | None]]]
"""A record made ready: partition, key, value, headers."""

_BATCH, _LINGER = 512 << 10, 5
_FETCH = 4 << 20


class Sender(Protocol):
    """A producer with its topic."""

    def send(self, items: Sequence[Item]) -> None:
        """Send and wait until all replicas in sync have all of it."""


def ready(records: Sequence[Record], partitions: int) -> list[Item]:
    """The records as clients take them; the bare side is spared this work."""
    return [
        (
            partition_of(each.key, partitions),
            each.key.encode(),
            each.value,
            [(name, text.encode()) for name, text in each.headers.items()],
        )
        for each in records
    ]


class PythonSender:
    """kafka-python: idempotent, acknowledged by all, lz4, batches of 512 KiB."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._producer: Any = KafkaProducer(
            bootstrap_servers=servers,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            batch_size=_BATCH,
            linger_ms=_LINGER,
            max_request_size=16 << 20,
            metrics_enabled=False,
        )

    def send(self, items: Sequence[Item]) -> None:  # noqa: D102
        send, topic = self._producer.send, self._topic
        sent = [send(topic, value, key, headers, partition) for partition, key, value, headers in items]
        self._producer.flush(120)
        failed = next((future for future in sent if not future.succeeded()), None)
        if failed is not None:
            raise failed.exception or RuntimeError("a record was not sent")

    def close(self) -> None:  # noqa: D102
        self._producer.close(5)


class ConfluentSender:
    """confluent-kafka, set alike."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._errors: list[Any] = []
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "batch.size": _BATCH,
                "linger.ms": _LINGER,
                "message.max.bytes": 16 << 20,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1 << 20,
            }
        )

    def send(self, items: Sequence[Item]) -> None:  # noqa: D102
        produce, topic = self._producer.produce, self._topic
        for partition, key, value, headers in items:
            produce(topic, value, key, partition, on_delivery=self._told, headers=headers)
        if self._producer.flush(120) or self._errors:
            raise RuntimeError(f"records were not sent: {self._errors[:1]}")

    def _told(self, error: Any, _: Any) -> None:
        if error is not None:
            self._errors.append(error)

    def close(self) -> None:  # noqa: D102
        self._producer.flush(5)


@contextmanager
def sender(client: str, servers: str, topic: str) -> Iterator[Sender]:
    """A producer of that client."""
    kind = PythonSender if client == PYTHON else ConfluentSender
    with closing(kind(servers, topic)) as made:
        yield made


def consume(client: str, servers: str, topic: str, partitions: int, count: int, step: int) -> Iterator[int]:
    """Read so many committed records from the beginning, with no group, in steps; yields the size of each."""
    reader = _PythonReader if client == PYTHON else _ConfluentReader
    with closing(reader(servers, topic, partitions)) as made:
        while count > 0:
            size = made.take(min(step, count))
            count -= size
            if size:
                yield size


class _PythonReader:
    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=servers,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH,
            fetch_max_bytes=32 << 20,
            metrics_enabled=False,
        )
        places = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer.assign(places)
        for each in places:
            self._consumer.seek(each, 0)

    def take(self, limit: int) -> int:
        return sum(map(len, self._consumer.poll(timeout_ms=5_000, max_records=limit).values()))

    def close(self) -> None:
        self._consumer.close()


class _ConfluentReader:
    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"none-{secrets.token_hex(4)}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "max.partition.fetch.bytes": _FETCH,
                # By itself it rests for a second whenever 64 MB wait to be read.
                "fetch.queue.backoff.ms": 10,
            }
        )
        self._consumer.assign([Assigned(topic, number, 0) for number in range(partitions)])

    def take(self, limit: int) -> int:
        messages = self._consumer.consume(limit, 5.0)
        for message in messages:
            if message.error():
                raise RuntimeError(str(message.error()))
            # These are read when asked for, and kafka-python's at once: what a reader needs is asked for.
            message.key(), message.value(), message.headers(), message.offset(), message.timestamp()
        return len(messages)

    def close(self) -> None:
        self._consumer.close()


def unindexed(url: str, index: str) -> None:
    """Make an index that keeps documents and looks into none."""
    with closing(Elasticsearch(url)) as client:
        client.indices.create(index=index, settings={"number_of_replicas": 0}, mappings={"enabled": False})


def bulk(url: str, index: str, documents: Mapping[str, Mapping[str, Any]], chunk: int) -> None:
    """elasticsearch-py's own helper: create so many documents in requests of `chunk`, each checked."""
    with closing(Elasticsearch(url)) as client:
        actions = (
            {"_op_type": "create", "_index": index, "_id": name, "_source": body} for name, body in documents.items()
        )
        done, _ = helpers.bulk(client, actions, chunk_size=chunk)
    if done != len(documents):
        raise RuntimeError(f"{done} of {len(documents)} documents were created")
