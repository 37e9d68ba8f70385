"""Topics of somebody else's on a broker, for tests: made, written to, and where a group is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import confluent_kafka
from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.protocol.consumer import OffsetSpec
from kafkas import admin


def make_topic(server: str, topic: str, partitions: int = 1) -> str:
    """Make a topic, and return its name when it can be used."""
    with admin(server) as client:
        client.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
        client.wait_for_topics([topic])
    return topic


def send(server: str, topic: str, *values: bytes | None, partition: int = 0, **options: Any) -> None:
    """Put values into a partition, in their order; snappy by the client that has it."""
    if options == {"compression_type": "snappy"}:
        _send_snappy(server, topic, values, partition)
        return
    producer = KafkaProducer(bootstrap_servers=server, **options)
    for value in values:
        producer.send(topic, value, key=b"k", partition=partition)
    producer.flush()
    producer.close()


def _send_snappy(server: str, topic: str, values: Sequence[bytes | None], partition: int) -> None:
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": server, "compression.type": "snappy", "linger.ms": 50, "enable.idempotence": True}
    )
    for value in values:
        producer.produce(topic, value, key=b"k", partition=partition)
    assert producer.flush(20) == 0


def position(server: str, group: str, topic: str, partition: int = 0) -> int:
    """Where a group is; -1 where it is nowhere."""
    place = TopicPartition(topic, partition)
    with admin(server) as client:
        try:
            found = client.list_group_offsets({group: [place]})[group].get(place)
        except (
            kafka_errors.CoordinatorNotAvailableError,
            kafka_errors.CoordinatorLoadInProgressError,
            kafka_errors.NotCoordinatorError,
        ):  # the broker's first group
            return -1
    return int(found.offset) if found is not None else -1


def end(server: str, topic: str) -> int:
    """How many records a topic's first partition has had; -1 where there is no such topic."""
    place = TopicPartition(topic, 0)
    with admin(server) as client:
        if topic not in client.list_topics():
            return -1
        return int(client.list_partition_offsets({place: OffsetSpec.LATEST})[place].offset)
