"""A Kafka client on kafka-python; here only does the project touch that library, most of which has no types."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.protocol.consumer import IsolationLevel, OffsetSpec
from kafka.structs import OffsetAndMetadata

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
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError

log = logging.getLogger("almena.bus")

T = TypeVar("T")

_SLICE = 0.05
"""Seconds that a poll waits for records before it looks whether partitions have come or gone."""

_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("TopicAuthorizationFailedError",),
        "an administrator must allow this user Read, Write and Describe on it",
    ),
    (("GroupAuthorizationFailedError",), "an administrator must allow this user Read and Delete on that group"),
    (
        ("TransactionalIdAuthorizationFailedError",),
        "an administrator must allow this user Write and Describe on that transactional id",
    ),
    (
        ("ClusterAuthorizationFailedError",),
        "an administrator must allow this user Create on topics of the prefix, or make the topic",
    ),
    (("SaslAuthenticationFailedError",), "check the user and the password"),
    (("SSLError",), "check ca, certificate and key, and the brokers' names"),
    (("NotEnoughReplicasError", "NotEnoughReplicasAfterAppendError"), "too few brokers keep up; see to those missing"),
    (("MessageSizeTooLargeError", "RecordListTooLargeError"), "set the topic's max.message.bytes to 16777216"),
    (("UnknownTopicOrPartitionError",), "it was deleted; start Almena anew to make it again"),
    (
        ("KafkaTimeoutError", "KafkaConnectionError", "NodeNotReadyError", "NoBrokersAvailable", "Cancelled"),
        "see whether the brokers run and can be reached",
    ),
)


def refusal(what: str, error: BaseException) -> BusError:
    """The error as a person reads it: what did not happen, why, and what to do."""
    names = {"SSLError"} if "SSL: " in str(error) else {kind.__name__ for kind in type(error).__mro__}
    advice = next((f"; {text}" for kinds, text in _ADVICE if names & set(kinds)), "")
    text = re.sub(r"^\[Error \d+\] ", "", str(error)) or type(error).__name__
    return BusError(f"bus: {what}: {text}{advice}")


def _telling(error: BaseException) -> int:
    """How much an error says: why somebody was refused, that nothing listens, or only that it did not work."""
    if isinstance(error, kafka_errors.SaslAuthenticationFailedError) or "SSL: " in str(error):
        return 2
    return int("ECONN" in str(error))


def options(servers: Sequence[str], settings: KafkaSettings, name: str) -> dict[str, Any]:
    """kafka-python's options to reach a cluster; raises ConfigError when a file cannot be used."""
    found: dict[str, Any] = {
        "bootstrap_servers": list(servers),
        "client_id": name or "almena",
        "bootstrap_timeout_ms": int(PATIENCE * 800),
        "request_timeout_ms": int(PATIENCE * 800),
        "reconnect_backoff_max_ms": 1000,
        "proxy_url": f"{_Socket.SCHEMES[0]}://",
        "security_protocol": ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT"),
    }
    if found["security_protocol"] == "SASL_PLAINTEXT":
        log.warning("bus: the user %r signs in without TLS: set tls = true", settings.user)
    if settings.user:
        found |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.secret(),
        }
    if settings.tls:
        try:
            context = ssl.create_default_context(cafile=settings.ca or None)
            if settings.certificate:
                context.load_cert_chain(settings.certificate, settings.key or None)
        except OSError as error:
            files = ", ".join(filter(None, [settings.ca, settings.certificate, settings.key]))
            raise ConfigError(f"kafka: ca, certificate or key ({files}) cannot be used: {error}") from error
        found["ssl_context"] = context
    return found


class _Socket(KafkaNetSocket):  # type: ignore[misc]
    """Connects as the library does, and closes what does not connect: it leaves that to the garbage collector."""

    SCHEMES = ("closing",)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


def _made(kind: Callable[..., T], what: str, configs: dict[str, Any]) -> T:
    """A client, or a BusError and nothing left behind: a constructor that fails keeps a thread and sockets.

    The error tells why the last connection failed; the library's own only says that there is none.
    """
    made: list[Any] = []
    tried: list[Any] = []

    def network(**inner: Any) -> Any:
        made.append(KafkaNetClient(**inner))
        manager = made[0]._manager
        connect = manager.get_connection

        def get_connection(*args: Any, **options: Any) -> Any:
            tried.append(connect(*args, **options))
            return tried[-1]

        manager.get_connection = get_connection
        return made[0]

    try:
        client = kind(kafka_client=network, **configs)
    except (kafka_errors.KafkaError, OSError, ValueError, RuntimeError) as error:
        for each in made:
            with suppress(Exception):
                each.close()
        causes = [conn.init_future.exception for conn in tried if conn.init_future.is_done]
        cause = max(filter(None, causes), key=_telling, default=error)
        refused = refusal(f"{what}: {','.join(configs['bootstrap_servers'])}", cause)
        if "sasl_mechanism" in configs and not _telling(cause):  # their reason is often lost with the connection
            refused = BusError(f"{refused}; or check the user and the password")
        raise refused from error
    del made[0]._manager.get_connection
    return client


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
        self._producer = _made(
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


class PythonMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """A static member of a group, with kafka-python's consumer and its cooperative assignor."""

    def __init__(self, configs: dict[str, Any], topic: str, group: str, name: str) -> None:
        """Make the consumer; raises BusError."""
        self._topic = topic
        self._what = f"group {group!r}"
        self._counts: dict[int, int] = {}
        self._changes = 0
        self._ids: list[str] = []
        self._rejoining = False
        self._assignor = CooperativeStickyAssignor()
        self._consumer = _made(
            KafkaConsumer,
            self._what,
            {
                **configs,
                **_FETCHING,
                "group_id": group,
                "group_instance_id": name,
                "partition_assignment_strategy": [self._assignor],
                "session_timeout_ms": int(SESSION * 1000),
                "heartbeat_interval_ms": int(HEARTBEAT * 1000),
                "max_poll_interval_ms": int(LONGEST_STEP * 1000),
            },
        )
        self._consumer.subscribe([topic], listener=self)
        self._know()

    def _know(self) -> None:
        """Know the topic's partitions before joining: who leads a group without gives nobody any, often for good."""
        cluster, deadline = self._consumer._cluster, time.monotonic() + PATIENCE
        while not cluster.partitions_for_topic(self._topic):
            if self._topic in cluster.unauthorized_topics:
                self.close()
                raise refusal(self._what, kafka_errors.TopicAuthorizationFailedError({self._topic}))
            if time.monotonic() > deadline:
                self.close()
                raise BusError(f"bus: {self._what}: no broker told of topic {self._topic!r}; see whether they run")
            cluster.request_update()
            time.sleep(0.01)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Hold new partitions until their state is there; the library calls this between polls."""
        for place in assigned:
            self._consumer.pause(place)
            self._consumer.seek(place, 0)
            self._counts[place.partition] = self._counts.get(place.partition, 0) + 1
            self._changes += 1

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Note that there is less to read."""
        self._changes += 1

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Claim nothing of what others have by now."""
        self._assignor.member_assignment = None
        self._changes += 1

    def poll(self, limit: int, timeout: float) -> dict[int, list[Raw]]:
        """Up to `limit` records; returns early when the assignment has changed."""
        deadline = time.monotonic() + timeout
        before = self._changes
        try:
            while True:
                left = max(0.0, deadline - time.monotonic())
                found = self._consumer.poll(timeout_ms=min(left, _SLICE) * 1000, max_records=limit)
                if found or self._changes != before or left <= _SLICE:
                    break
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError) as error:
            raise Gone({place.partition: _offset(offset) for place, offset in error.args[0].items()}) from error
        except Exception as error:
            self._raise(error)
        self._note()
        return {place.partition: [_raw(record) for record in records] for place, records in found.items()}

    def assigned(self) -> dict[int, int]:
        """How often each partition had been assigned."""
        if self._rejoining:
            return {}
        return {place.partition: self._counts.get(place.partition, 0) for place in self._consumer.assignment()}

    def start(self, partition: int, offset: int) -> None:
        """Read on from there."""
        place = TopicPartition(self._topic, partition)
        if place in self._consumer.assignment():
            self._consumer.seek(place, offset)
            self._consumer.resume(place)

    def reached(self, partition: int) -> int:
        """The offset of the next record that may be given."""
        state = self._consumer._subscription.assignment.get(TopicPartition(self._topic, partition))
        return state.position.offset if state is not None and state.position is not None else 0

    def stir(self) -> None:
        """Take part in what the group does without reading."""
        running = self._consumer.assignment() - self._consumer.paused()
        self._consumer.pause(*running)
        try:
            self._consumer.poll(timeout_ms=_SLICE * 1000, max_records=1)
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError):
            pass  # asked for again when polled
        except Exception as error:
            self._raise(error)
        finally:
            self._consumer.resume(*(running & self._consumer.assignment()))
        self._note()

    def rejoin(self, stop: Collection[int]) -> None:
        """Pause these partitions and join the group anew with the next poll."""
        places = {TopicPartition(self._topic, partition) for partition in stop}
        self._consumer.pause(*(places & self._consumer.assignment()))
        self._consumer._coordinator.request_rejoin()
        self._rejoining = True

    def identity(self) -> Any:
        """What a claim needs."""
        return self._consumer.group_metadata()

    def ids(self) -> list[str]:
        """All ids that the group's coordinator ever gave to this member, the newest last."""
        self._note()
        return self._ids

    def replaced(self) -> bool:
        """Whether the heartbeats have ended for good, which kafka-python says nowhere else."""
        state = self._consumer._coordinator
        return bool(state.stable() and not (state._heartbeat_enabled or state.rejoining or state.rejoin_needed))

    def close(self) -> None:
        """Let go of connections and threads."""
        with suppress(Exception):
            self._consumer.close(autocommit=False, timeout_ms=2000)

    def _note(self) -> None:
        state = self._consumer._coordinator
        member_id = state._generation.member_id
        if member_id and member_id not in self._ids[-1:]:
            self._ids.append(member_id)
        if self._rejoining and state.stable() and not (state.rejoin_needed or state.rejoining):
            self._rejoining = False

    def _raise(self, error: Exception) -> NoReturn:
        if isinstance(error, kafka_errors.FencedInstanceIdError):
            raise Expelled(f"bus: {self._what}: {error}") from error
        raise refusal(self._what, error) from error


class PythonReader:
    """Reads partitions with a consumer of kafka-python that has no group."""

    def __init__(self, configs: dict[str, Any]) -> None:
        """Make the consumer; raises BusError."""
        self._consumer = _made(KafkaConsumer, "reading", {**configs, **_FETCHING})

    def read(
        self, topic: str, partition: int, start: int, end: int, limit: int, wait: float = PATIENCE
    ) -> tuple[list[Raw], int]:
        """Up to `limit` committed records of `start` to `end - 1`, and where to read on."""
        place = TopicPartition(topic, partition)
        found: list[Raw] = []
        deadline = time.monotonic() + wait
        try:
            self._consumer.assign([place])
            self._consumer.seek(place, start)
            while start < end and len(found) < limit:
                left = max(0.0, deadline - time.monotonic())
                records = self._consumer.poll(timeout_ms=left * 1000, max_records=limit - len(found)).get(place, ())
                found += [_raw(record) for record in records if record.offset < end]
                reached = self._consumer._subscription.assignment[place].position.offset
                if reached > start:
                    start, deadline = reached, time.monotonic() + wait
                elif not records and time.monotonic() > deadline:
                    break
        except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError) as error:
            raise Gone({partition: start}) from error
        except Exception as error:
            raise refusal(f"{topic}/{partition} cannot be read", error) from error
        return found, min(start, end)

    def close(self) -> None:
        """Let go of connections and threads."""
        with suppress(Exception):
            self._consumer.close(autocommit=False, timeout_ms=2000)


_FETCHING: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "isolation_level": "read_committed",
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_bytes": 32 << 20,
    "fetch_max_wait_ms": 500,
}


def _raw(record: Any) -> Raw:
    return Raw(record.offset, record.timestamp, record.key or b"", record.value, record.headers)


def _offset(position: Any) -> int:
    return int(getattr(position, "offset", position))


class PythonClient:
    """The way to one cluster with kafka-python."""

    def __init__(self, servers: Sequence[str], settings: KafkaSettings, name: str) -> None:
        """Nothing is reached yet; raises ConfigError when a file of the settings cannot be used."""
        self.configs = options(servers, settings, name)
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
        try:
            return question(self._reached(what))
        except BusError:
            raise
        except Exception as error:
            raise refusal(what, error) from error

    def _reached(self, what: str) -> Any:
        with self._lock:
            if self._closed:
                raise BusError("bus: it was closed")
            if self._admin is None:
                self._admin = _made(KafkaAdminClient, what, self.configs)
            return self._admin
