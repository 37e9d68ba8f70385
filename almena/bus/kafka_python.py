"""A Kafka client on kafka-python; no other file of Almena but its two neighbours touches that library."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import MemberToRemove
from kafka.protocol.consumer import IsolationLevel, OffsetSpec
from kafka.structs import OffsetAndMetadata

from almena.bus.kafka_client import (
    LARGEST_MESSAGE,
    PATIENCE,
    TRANSACTION,
    Claim,
    Expelled,
    Member,
    Reader,
    Replaced,
    Row,
    Unsure,
    Writer,
)
from almena.bus.kafka_python_net import made, options, refusal
from almena.bus.kafka_python_reading import PythonMember, PythonReader
from almena.bus.settings import KafkaSettings
from almena.errors import BusError

_RECONNECT = 2.0
_LOST = (kafka_errors.NodeNotReadyError, kafka_errors.KafkaConnectionError)


class _Producer(KafkaProducer):  # type: ignore[misc]
    """The library's producer, with a bound on every wait: its own methods wait for ever."""

    def claim_within(self, offsets: dict[Any, Any], member: Any, seconds: float) -> None:
        self._await(self._transaction_manager.send_offsets_to_transaction(offsets, member), seconds)

    def commit_within(self, seconds: float) -> None:
        self._await(self._transaction_manager.begin_commit(), seconds)

    def abort_within(self, seconds: float) -> None:
        self._await(self._transaction_manager.begin_abort(), seconds)

    def cause(self, error: Exception) -> Exception:
        """What first went wrong: later errors only say that something had."""
        return self._transaction_manager.last_error or error

    def force_close(self) -> None:
        self._sender.force_close()
        self._sender.join(PATIENCE)
        with suppress(Exception):
            self.close(timeout=0)

    def _await(self, result: Any, seconds: float) -> None:
        self._sender.wakeup()
        if not result.wait(timeout_ms=seconds * 1000):
            raise kafka_errors.KafkaTimeoutError(f"no answer within {seconds:.0f} s")


class PythonWriter:
    """A transactional producer of kafka-python."""

    def __init__(self, configs: dict[str, Any], transactional_id: str) -> None:
        """Take the id over; raises BusError."""
        self._what = f"transaction {transactional_id!r}"
        self._producer = made(
            _Producer,
            self._what,
            {
                **configs,
                "transactional_id": transactional_id,
                "transaction_timeout_ms": int(TRANSACTION * 1000),
                "max_block_ms": int(PATIENCE * 1000),
                "delivery_timeout_ms": int(PATIENCE * 1000),
                "max_request_size": LARGEST_MESSAGE,
                "allow_auto_create_topics": False,
                "compression_type": "lz4",
                # Batches go out when they are full or the transaction ends; small ones cost ten times as much.
                "batch_size": 512 << 10,
                "linger_ms": 100,
                # Also slept when a transaction follows another at once; at 100 that is all the time there is.
                "retry_backoff_ms": 10,
                "metrics_enabled": False,
            },
        )
        try:
            self._producer.init_transactions()
        except Exception as error:
            self.close()
            raise refusal(self._what, self._producer.cause(error)) from error

    def commit(self, rows: Sequence[Row], claim: Claim | None = None) -> None:
        """One transaction."""
        producer = self._producer
        try:
            producer.begin_transaction()
            sent = [producer.send(topic, value, key, headers, place) for topic, place, key, value, headers in rows]
            producer.flush(PATIENCE)
            failed = next((future for future in sent if future.failed()), None)
            if failed is not None:
                raise failed.exception
            if claim is not None:
                self._claim(claim)
        except Exception as error:
            cause = producer.cause(error)
            if not isinstance(cause, kafka_errors.ProducerFencedError):
                with suppress(Exception):
                    producer.abort_within(2.0)
            self._raise(cause)
        try:
            producer.commit_within(PATIENCE)
        except Exception as error:
            cause = producer.cause(error)
            if isinstance(cause, kafka_errors.ProducerFencedError):
                raise Replaced(f"bus: {self._what}: another process has it, or it took too long") from cause
            raise Unsure(f"{refusal(self._what, cause)}; whether it took place is looked up") from cause

    def _claim(self, claim: Claim) -> None:
        if claim.member.generation_id < 0:
            raise kafka_errors.CommitFailedError("the group has expelled this member")
        place = TopicPartition(claim.topic, claim.partition)
        offsets = {place: OffsetAndMetadata(claim.position, claim.note, -1)}
        self._producer.claim_within(offsets, claim.member, PATIENCE)

    def _raise(self, cause: Exception) -> NoReturn:
        if isinstance(cause, (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)):
            raise Replaced(f"bus: {self._what}: another process has it, or it took too long") from cause
        if isinstance(cause, (kafka_errors.CommitFailedError, kafka_errors.FencedInstanceIdError)):
            raise Expelled(f"bus: {self._what}: {cause}") from cause
        raise refusal(self._what, cause) from cause

    def close(self) -> None:
        """Let go of connections and threads."""
        self._producer.force_close()


class PythonClient:
    """The way to one cluster with kafka-python."""

    def __init__(self, servers: Sequence[str], settings: KafkaSettings, name: str) -> None:
        """Nothing is reached yet; raises ConfigError when a file of the settings cannot be used."""
        self.configs = options(servers, settings, name)
        # What the library logs comes to people as a BusError, once and not three times a second.
        if (library := logging.getLogger("kafka")).level == logging.NOTSET:
            library.setLevel(logging.CRITICAL)
        self._lock = threading.Lock()
        self._admin: Any = None
        self._closed = False

    def writer(self, transactional_id: str) -> Writer:
        """Take the id over."""
        return PythonWriter(self.configs, transactional_id)

    def member(self, topic: str, group: str, name: str) -> Member:
        """Make a member; it joins with its first poll."""
        return PythonMember(self.configs, topic, group, name)

    def reader(self) -> Reader:
        """Make a reader."""
        return PythonReader(self.configs)

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, None when it does not exist."""
        what = f"topic {topic!r} cannot be looked up"
        (found,) = self._ask(what, lambda admin: admin.describe_topics([topic]))
        code = found["error_code"]
        if code == kafka_errors.UnknownTopicOrPartitionError.errno:
            return None
        if code:
            raise refusal(what, kafka_errors.for_code(code)())
        return len(found["partitions"])

    def brokers(self) -> int:
        """How many brokers there are."""
        return len(self._ask("the cluster cannot be looked up", lambda admin: admin.describe_cluster())["brokers"])

    def create(self, topic: str, partitions: int, replicas: int, options: Mapping[str, str]) -> None:
        """Make a topic; returns when it can be used, also when somebody else was faster."""
        wanted = {"num_partitions": partitions, "replication_factor": replicas, "configs": dict(options)}

        def create(admin: Any) -> None:
            with suppress(kafka_errors.TopicAlreadyExistsError):
                admin.create_topics({topic: wanted}, timeout_ms=int(PATIENCE * 1000))
            admin.wait_for_topics([topic], timeout_ms=int(PATIENCE * 1000))

        self._ask(f"topic {topic!r} cannot be made", create)

    def starts(self, topic: str, partitions: int) -> dict[int, int]:
        """The first offset still there, by partition."""
        return self._offsets(topic, partitions, OffsetSpec.EARLIEST, IsolationLevel.READ_UNCOMMITTED)

    def ends(self, topic: str, partitions: int, *, committed: bool = True) -> dict[int, int]:
        """The offset behind the last record that readers may see, or that there is, by partition."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(topic, partitions, OffsetSpec.LATEST, level)

    def since(self, topic: str, partitions: int, time: int) -> dict[int, int]:
        """The first offset appended at `time` (milliseconds) or later, by partition; -1 where there is none."""
        return self._offsets(topic, partitions, time, IsolationLevel.READ_UNCOMMITTED)

    def committed(self, group: str, topic: str, partitions: int) -> dict[int, tuple[int, str]]:
        """The group's positions and the notes beside them, by partition, where there are any."""
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        what = f"group {group!r}: its positions cannot be read"
        found = self._ask(what, lambda admin: admin.list_group_offsets({group: places}))[group]
        return {
            place.partition: (int(each.offset), each.metadata or "")
            for place, each in found.items()
            if each.offset >= 0
        }

    def delete(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Forget what lies before the offsets, by partition."""
        wanted = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        self._ask(f"topic {topic!r} cannot be trimmed", lambda admin: admin.delete_records(wanted))

    def members(self, group: str) -> dict[str, str]:
        """The ids of a group's members, by name."""
        found = self._ask(f"group {group!r} cannot be looked up", lambda admin: admin.describe_groups([group]))[group]
        return {each["group_instance_id"] or each["member_id"]: each["member_id"] for each in found["members"]}

    def remove(self, group: str, name: str, member_id: str) -> None:
        """Take a member out of its group at once; does nothing when the name is another's by now."""
        member = MemberToRemove(member_id=member_id, group_instance_id=name)
        self._ask(f"group {group!r} cannot be left", lambda admin: admin.remove_group_members(group, [member]))

    def close(self) -> None:
        """Let go of connections and threads."""
        with self._lock:
            self._closed = True
            if self._admin is not None:
                with suppress(Exception):
                    self._admin.close()
                self._admin = None

    def _offsets(self, topic: str, partitions: int, moment: int, level: Any) -> dict[int, int]:
        wanted = {TopicPartition(topic, partition): moment for partition in range(partitions)}
        found = self._ask(
            f"topic {topic!r}: its offsets cannot be read",
            lambda admin: admin.list_partition_offsets(wanted, isolation_level=level),
        )
        return {place.partition: int(each.offset) for place, each in found.items()}

    def _ask(self, what: str, question: Callable[[Any], Any]) -> Any:
        """The answer; a connection that was lost since the last question is given two seconds to come back."""
        deadline = time.monotonic() + _RECONNECT
        while True:
            try:
                return question(self._reached(what))
            except BusError:
                raise
            except _LOST as error:
                if time.monotonic() > deadline:
                    raise refusal(what, error) from error
                time.sleep(0.1)
            except Exception as error:
                raise refusal(what, error) from error

    def _reached(self, what: str) -> Any:
        with self._lock:
            if self._closed:
                raise BusError("bus: it was closed")
            if self._admin is None:
                self._admin = made(KafkaAdminClient, what, self.configs)
            return self._admin
