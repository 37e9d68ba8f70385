"""confluent-kafka (librdkafka) for what is fast with it: writing, reading, membership; questions go by kafka-python."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from almena.bus.kafka_client import (
    HEARTBEAT,
    LARGEST_MESSAGE,
    LONGEST_STEP,
    PATIENCE,
    SESSION,
    TRANSACTION,
    Claim,
    Expelled,
    Gone,
    Member,
    Raw,
    Reader,
    Replaced,
    Row,
    Unsure,
    Writer,
)
from almena.bus.kafka_python import PythonClient
from almena.bus.settings import KafkaSettings
from almena.errors import BusError

log = logging.getLogger("almena.bus")
_talk = logging.getLogger("kafka.librdkafka")

_SLICE = 0.1

_REPLACED = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}
_EXPELLED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
}
_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION}
_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}

_READING: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    # The only word of how far reading has come where nothing but ends of transactions follows.
    "enable.partition.eof": True,
    "max.partition.fetch.bytes": 4 << 20,
    "queued.max.messages.kbytes": 65_536,
    # How long it rests when so much waits to be read; with its own second, who catches up waits most of the time.
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 100,
}


def _refusal(what: str, error: KafkaError) -> BusError:
    return BusError(f"bus: {what}: {error.str()}; see whether the brokers run and this user may do it (`almena check`)")


def _options(servers: Sequence[str], settings: KafkaSettings, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(servers),
        "client.id": name or "almena",
        "security.protocol": ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT"),
        "socket.timeout.ms": int(PATIENCE * 800),
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,
    }
    if settings.user:
        found |= {
            "sasl.mechanism": settings.mechanism,
            "sasl.username": settings.user,
            "sasl.password": settings.secret(),
        }
    files = {
        "ssl.ca.location": settings.ca,
        "ssl.certificate.location": settings.certificate,
        "ssl.key.location": settings.key,
    }
    return found | {option: file for option, file in files.items() if file and settings.tls}


class ConfluentClient(PythonClient):
    """The way to one cluster with librdkafka."""

    def __init__(self, servers: Sequence[str], settings: KafkaSettings, name: str) -> None:
        """Nothing is reached yet; raises ConfigError when a file of the settings cannot be used."""
        super().__init__(servers, settings, name)
        self._options = _options(servers, settings, name)

    def writer(self, transactional_id: str) -> Writer:
        """Take the id over."""
        return ConfluentWriter(self._options, transactional_id)

    def member(self, topic: str, group: str, name: str) -> Member:
        """Make a member; it joins with its first poll."""
        return ConfluentMember(self._options, topic, group, name)

    def reader(self) -> Reader:
        """Make a reader."""
        return ConfluentReader(self._options)


class ConfluentWriter:
    """A transactional producer of librdkafka."""

    def __init__(self, options: Mapping[str, Any], transactional_id: str) -> None:
        """Take the id over; raises BusError."""
        self._what = f"transaction {transactional_id!r}"
        self._producer = Producer(
            {
                **options,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": int(TRANSACTION * 1000),
                "message.timeout.ms": int(PATIENCE * 1000),
                "message.max.bytes": LARGEST_MESSAGE,
                "compression.type": "lz4",
                "batch.size": 512 << 10,
                "linger.ms": 5,
                # Also slept when a transaction follows another at once; at 100 that is all the time there is.
                "retry.backoff.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
            },
            logger=_talk,
        )
        try:
            self._producer.init_transactions(PATIENCE)
        except KafkaException as error:
            raise self._refused(error.args[0]) from error

    def commit(self, rows: Sequence[Row], claim: Claim | None = None) -> None:
        """One transaction."""
        producer = self._producer
        try:
            producer.begin_transaction()
            for topic, partition, key, value, headers in rows:
                producer.produce(topic, value, key, partition, headers=list[Any](headers))
            if claim is not None:
                place = TopicPartition(claim.topic, claim.partition, claim.position, claim.note)
                producer.send_offsets_to_transaction([place], claim.member, PATIENCE)
        except (KafkaException, BufferError) as error:
            cause = error.args[0] if isinstance(error, KafkaException) else KafkaError(KafkaError._QUEUE_FULL)
            with suppress(KafkaException):
                producer.abort_transaction(2.0)
            raise self._refused(cause) from error
        try:
            producer.commit_transaction(PATIENCE)
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() in _REPLACED:
                raise self._refused(cause) from error
            if cause.txn_requires_abort():  # it did not take place
                with suppress(KafkaException):
                    producer.abort_transaction(2.0)
                raise self._refused(cause) from error
            raise Unsure(f"{_refusal(self._what, cause)}; whether it took place is looked up") from error

    def close(self) -> None:
        """Let go of connections and threads."""
        with suppress(KafkaException):
            self._producer.purge(in_queue=True, in_flight=True)
            self._producer.flush(0)

    def _refused(self, error: KafkaError) -> BusError:
        if error.code() in _REPLACED:
            return Replaced(f"bus: {self._what}: another process has it, or it took too long")
        if error.code() in _EXPELLED:
            return Expelled(f"bus: {self._what}: {error.str()}")
        return _refusal(self._what, error)


class ConfluentMember:
    """A static member of a group, with librdkafka's consumer and its cooperative assignor."""

    def __init__(self, options: Mapping[str, Any], topic: str, group: str, name: str) -> None:
        """Make the consumer."""
        self._topic = topic
        self._what = f"group {group!r}"
        self._owned: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._started: set[int] = set()
        self._reached: dict[int, int] = {}
        self._changes = 0
        self._ids: list[str] = []
        self._fenced = False
        self._consumer = Consumer(
            {
                **options,
                **_READING,
                "group.id": group,
                "group.instance.id": name,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": int(SESSION * 1000),
                "heartbeat.interval.ms": int(HEARTBEAT * 1000),
                "max.poll.interval.ms": int(LONGEST_STEP * 1000),
                "error_cb": self._told,
            },
            logger=_talk,
        )
        self._subscribe()

    def poll(self, limit: int, timeout: float) -> dict[int, list[Raw]]:
        """Up to `limit` records; returns early when the assignment has changed."""
        deadline = time.monotonic() + timeout
        before = self._changes
        while True:
            left = max(0.0, deadline - time.monotonic())
            found = self._taken(self._consume(limit, min(left, _SLICE)))
            if found or self._changes != before or left <= _SLICE:
                return found

    def assigned(self) -> dict[int, int]:
        """How often each partition had been assigned."""
        return dict(self._owned)

    def start(self, partition: int, offset: int) -> None:
        """Read on from there."""
        if partition not in self._owned:
            return
        place = TopicPartition(self._topic, partition, offset)
        try:
            # A seek would wait for the fetcher; taken and given again, nothing of before is delivered.
            self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([place])
            self._consumer.resume([place])
        except KafkaException as error:
            self._raise(error.args[0])
        self._started.add(partition)
        self._reached[partition] = offset

    def reached(self, partition: int) -> int:
        """The offset of the next record that may be given."""
        return self._reached.get(partition, 0)

    def stir(self) -> None:
        """Take part in what the group does without reading."""
        places = [TopicPartition(self._topic, number) for number in sorted(self._started)]
        self._consumer.pause(places)
        try:
            self._taken(self._consume(1, _SLICE))
        finally:
            self._consumer.resume([place for place in places if place.partition in self._started])

    def rejoin(self, stop: Collection[int]) -> None:
        """Join the group anew with the next poll."""
        self._consumer.unsubscribe()
        self._lose(list(self._owned))
        self._subscribe()

    def identity(self) -> Any:
        """What a claim needs."""
        return self._consumer.consumer_group_metadata()

    def ids(self) -> list[str]:
        """All ids that the group's coordinator ever gave to this member, the newest last."""
        self._note()
        return self._ids

    def replaced(self) -> bool:
        """Whether another process has joined under this member's name."""
        return self._fenced

    def close(self) -> None:
        """Let go of connections and threads."""
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _subscribe(self) -> None:
        self._consumer.subscribe([self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def _consume(self, limit: int, timeout: float) -> list[Any]:
        try:
            return list(self._consumer.consume(limit, timeout))
        except KafkaException as error:
            self._raise(error.args[0])
        except RuntimeError as error:
            raise BusError(f"bus: {self._what}: {error}") from error

    def _taken(self, messages: list[Any]) -> dict[int, list[Raw]]:
        """Records by partition, without those of partitions that were not started; raises what was told instead."""
        found: dict[int, list[Raw]] = {}
        failed: KafkaError | None = None
        gone: dict[int, int] = {}
        for message in messages:
            error, partition = message.error(), message.partition()
            if error is None:
                if partition in self._started and message.offset() >= self._reached[partition]:
                    found.setdefault(partition, []).append(_raw(message))
                    self._reached[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                if partition in self._started:
                    self._reached[partition] = max(self._reached[partition], message.offset())
            elif error.code() in _GONE:
                gone[partition] = self._reached.get(partition, 0)
            elif error.code() not in _PASSING:
                failed = error
        self._note()
        if found:
            return found
        if gone:
            raise Gone(gone)
        if failed is not None:
            self._raise(failed)
        return found

    def _assign(self, consumer: Any, places: list[Any]) -> None:
        """Hold new partitions until their state is there."""
        fresh = [TopicPartition(place.topic, place.partition, 0) for place in places]
        consumer.incremental_assign(fresh)
        consumer.pause(fresh)
        for place in fresh:
            self._counts[place.partition] = self._owned[place.partition] = self._counts.get(place.partition, 0) + 1
        self._changes += 1

    def _revoke(self, consumer: Any, places: list[Any]) -> None:
        consumer.incremental_unassign(places)
        self._lose([place.partition for place in places])

    def _lose(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._owned.pop(partition, None)
            self._started.discard(partition)
            self._reached.pop(partition, None)
        self._changes += 1

    def _note(self) -> None:
        name = self._consumer.memberid()
        if name and name not in self._ids[-1:]:
            self._ids.append(name)

    def _told(self, error: KafkaError) -> None:
        if error.code() == KafkaError.FENCED_INSTANCE_ID or (error.fatal() and "fenced" in error.str().lower()):
            self._fenced = True
        elif error.code() not in _PASSING:
            log.warning("bus: %s: %s", self._what, error.str())

    def _raise(self, error: KafkaError) -> NoReturn:
        if error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL) or error.fatal():
            self._fenced = True
            raise Expelled(f"bus: {self._what}: {error.str()}")
        if error.code() in _EXPELLED:
            raise Expelled(f"bus: {self._what}: {error.str()}")
        raise _refusal(self._what, error)


class ConfluentReader:
    """Reads partitions with a consumer of librdkafka that joins no group."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Make the consumer."""
        self._consumer = Consumer(
            {**options, **_READING, "group.id": "almena-reader", "fetch.wait.max.ms": 10, "fetch.queue.backoff.ms": 10},
            logger=_talk,
        )

    def read(
        self, topic: str, partition: int, start: int, end: int, limit: int, wait: float = PATIENCE
    ) -> tuple[list[Raw], int]:
        """Up to `limit` committed records of `start` to `end - 1`, and where to read on."""
        found: list[Raw] = []
        deadline = time.monotonic() + wait
        try:
            self._consumer.assign([TopicPartition(topic, partition, start)])
            while start < end and len(found) < limit and time.monotonic() < deadline:
                for message in self._consumer.consume(min(limit - len(found), 10_000), _SLICE):
                    error, offset = message.error(), int(message.offset() or 0)
                    if error is None:
                        if offset < end:
                            found.append(_raw(message))
                        start = offset + 1
                    elif error.code() == KafkaError._PARTITION_EOF:
                        start = max(start, offset)
                    elif error.code() in _GONE:
                        raise Gone({partition: start})
                    elif error.code() not in _PASSING:
                        raise _refusal(f"{topic}/{partition} cannot be read", error)
                    deadline = time.monotonic() + wait
            self._consumer.unassign()
        except KafkaException as error:
            raise _refusal(f"{topic}/{partition} cannot be read", error.args[0]) from error
        return found, min(start, end)

    def close(self) -> None:
        """Let go of connections and threads."""
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()


class _Record(NamedTuple):
    """A record as the bus takes it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def _raw(message: Any) -> Raw:
    return _Record(message.offset(), message.timestamp()[1], message.key(), message.value(), message.headers() or ())
