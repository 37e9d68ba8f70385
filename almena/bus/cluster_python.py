"""kafka-python behind the interface that the bus needs; nothing untyped leaves this file."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from almena.bus.cluster_client import (
    LARGEST,
    PATIENCE,
    SESSION,
    STEP,
    TRANSACTION,
    Consumer,
    OutOfRange,
    Producer,
    Raw,
    Send,
    TopicSpec,
)
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, Fenced, Moved

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a standard module that it uses
    from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka import errors as kafka_errors
    from kafka.admin import MemberToRemove
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.structs import OffsetAndMetadata

_FETCH = 8 << 20
_PAGE = 10_000

_MOVED = (
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.CommitFailedError,
    kafka_errors.ProducerFencedError,
    kafka_errors.InvalidProducerEpochError,
)

T = TypeVar("T")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of the client as errors of the bus."""
    try:
        yield
    except (kafka_errors.KafkaError, OSError, ValueError) as error:
        raise _bus_error(what, _cause(error)) from error


def _cause(error: BaseException) -> BaseException:
    """What a producer that has failed before hides in the error of its next call."""
    inner = next((item for item in error.args if isinstance(item, kafka_errors.KafkaError)), None)
    return error if inner is None else _cause(inner)


def _bus_error(what: str, error: BaseException) -> BusError:
    said = _name(error)
    if isinstance(error, kafka_errors.FencedInstanceIdError):
        return Fenced(f"{what}: another process has this member's name")
    if isinstance(error, _MOVED):
        return Moved(f"{what}: {said}")
    if isinstance(error, kafka_errors.AuthorizationError):
        return BusError(f"{what}: the user lacks rights: {said}; `almena check` says which")
    if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
        return BusError(f"{what}: the brokers refuse user and password: {said}")
    if isinstance(error, kafka_errors.MessageSizeTooLargeError):
        return BusError(f"{what}: a record is larger than {LARGEST} bytes: {said}")
    return BusError(f"{what}: {said}")


def _name(error: BaseException) -> str:
    text = str(error)
    return text if text.startswith(type(error).__name__) else f"{type(error).__name__}: {text}"


class PythonClient:
    """A way to a cluster by kafka-python; use it from any thread."""

    def __init__(self, servers: str, settings: KafkaSettings, name: str) -> None:
        """`servers` is `HOST:PORT,...`; connects at the first use. `name` is what brokers call this process."""
        self._servers = servers
        self._options: dict[str, Any] = {
            "bootstrap_servers": servers.split(","),
            "client_id": name or "almena",
            "request_timeout_ms": int(PATIENCE * 1000),
            "bootstrap_timeout_ms": int(PATIENCE * 1000),
            "reconnect_backoff_max_ms": 1_000,
            **_security(settings),
        }
        self._lock = threading.RLock()
        self._open: dict[str, Any] = {}

    def producer(self, transaction: str) -> Producer:
        """The one producer of a transactional id."""
        return _Producer(self._servers, self._options, transaction)

    def consumer(self, topic: str, group: str, member: str) -> Consumer:
        """Join a group as a static member."""
        return _Consumer(self._servers, self._options, topic, group, member)

    def remove(self, group: str, member: str) -> None:
        """Let a static member leave its group at once."""
        gone = MemberToRemove(group_instance_id=member)
        self._ask(f"leaving {group}", lambda admin: admin.remove_group_members(group, [gone]))

    def read(self, topic: str, partition: int, offset: int, end: int | None, limit: int | None) -> list[Raw]:
        """Committed records from `offset` on."""
        place = TopicPartition(topic, partition)
        found: list[Raw] = []
        with self._reading(topic, committed=True) as reader:
            reader.assign([place])
            try:
                start = max(offset, reader.beginning_offsets([place])[place])
                stop = reader.end_offsets([place])[place] if end is None else end
                reader.seek(place, start)
                self._fill(reader, place, stop, limit, found)
            finally:
                reader.unsubscribe()
        return found

    def _fill(self, reader: Any, place: Any, stop: int, limit: int | None, found: list[Raw]) -> None:
        waited = time.monotonic()
        while reader.position(place) < stop and (limit is None or len(found) < limit):
            wanted = _PAGE if limit is None else min(limit - len(found), _PAGE)
            records = reader.poll(timeout_ms=200, max_records=wanted).get(place, ())
            found += map(_raw, records)
            if records:
                waited = time.monotonic()
            elif time.monotonic() - waited > PATIENCE + TRANSACTION:
                raise BusError(f"{place.topic}/{place.partition}: an open transaction holds back what is behind it")

    def edges(self, topic: str, *, stable: bool = True) -> dict[int, tuple[int, int]]:
        """The first offset and the one behind the last by partition."""
        with self._reading(topic, committed=stable) as reader:
            places = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
            if not places:
                return {}
            first, last = reader.beginning_offsets(places), reader.end_offsets(places)
            return {place.partition: (first[place], last[place]) for place in places}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The group's committed offsets by partition."""
        found = self._ask(f"offsets of {group}", lambda admin: admin.list_group_offsets({group: None}))
        return {
            place.partition: entry.offset
            for place, entry in found.get(group, {}).items()
            if place.topic == topic and entry.offset >= 0
        }

    def at(self, topic: str, moment: int) -> dict[int, int]:
        """By partition the first offset at or after a moment (milliseconds), or the end."""
        with self._reading(topic, committed=True) as reader:
            places = [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]
            found, ends = reader.offsets_for_times(dict.fromkeys(places, moment)), reader.end_offsets(places)
            return {place.partition: found[place].offset if found.get(place) else ends[place] for place in places}

    def trim(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Forget what lies before the offsets."""
        asked = {TopicPartition(topic, partition): offset for partition, offset in offsets.items()}
        self._ask(f"trimming {topic}", lambda admin: admin.delete_records(asked))

    def topics(self) -> dict[str, int]:
        """Partitions by topic, of all topics that may be seen."""
        found = self._ask("topics", lambda admin: admin.describe_topics())
        return {str(item["name"]): len(item["partitions"]) for item in found if not item.get("error_code")}

    def brokers(self) -> int:
        """How many brokers there are."""
        return len(self._ask("brokers", lambda admin: admin.describe_cluster())["brokers"])

    def create(self, topic: str, spec: TopicSpec) -> None:
        """Create a topic; nothing happens when it is there."""
        wanted = {
            topic: {
                "num_partitions": spec.partitions,
                "replication_factor": spec.replicas,
                "configs": dict(spec.options),
            }
        }
        with suppress(kafka_errors.TopicAlreadyExistsError):
            self._ask(f"creating {topic}", lambda admin: admin.create_topics(wanted, wait_for_metadata=True))

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            for client in self._open.values():
                client.close()
            self._open.clear()

    def _ask(self, what: str, action: Callable[[Any], T]) -> T:
        """Ask by the admin client; one that failed is not used again."""
        with self._lock, _told(f"kafka {self._servers}: {what}"):
            try:
                if "admin" not in self._open:
                    self._open["admin"] = KafkaAdminClient(**self._options)
                return action(self._open["admin"])
            except kafka_errors.TopicAlreadyExistsError:
                raise
            except Exception:
                self._drop("admin")
                raise

    @contextmanager
    def _reading(self, topic: str, *, committed: bool) -> Iterator[Any]:
        """A consumer of no group; one that failed is not used again."""
        name = "committed" if committed else "all"
        with self._lock, _told(f"kafka {self._servers}: {topic}"):
            try:
                if name not in self._open:
                    self._open[name] = KafkaConsumer(
                        **self._options,
                        auto_offset_reset="earliest",
                        enable_auto_commit=False,
                        isolation_level="read_committed" if committed else "read_uncommitted",
                        max_partition_fetch_bytes=_FETCH,
                        metrics_enabled=False,
                    )
                yield self._open[name]
            except Exception:
                self._drop(name)
                raise

    def _drop(self, name: str) -> None:
        client = self._open.pop(name, None)
        if client is not None:
            with suppress(Exception):
                client.close()


class _Producer:
    def __init__(self, servers: str, options: Mapping[str, Any], transaction: str) -> None:
        self._what = f"kafka {servers}: transaction {transaction}"
        milliseconds = int(PATIENCE * 1000)
        with _told(self._what):
            self._client = KafkaProducer(
                **{**options, "request_timeout_ms": milliseconds // 2},
                transactional_id=transaction,
                transaction_timeout_ms=int(TRANSACTION * 1000),
                delivery_timeout_ms=milliseconds,
                max_block_ms=milliseconds,
                max_request_size=LARGEST,
                batch_size=1 << 18,
                linger_ms=2,
                compression_type="lz4",
                metrics_enabled=False,
            )
            try:
                self._client.init_transactions()
            except BaseException:
                self._client.close(timeout=0)
                raise
        self._working = False

    def begin(self, records: Iterable[Send]) -> None:
        with _told(self._what):
            self._client.begin_transaction()
            self._working = True
            send = self._client.send
            for topic, partition, key, value, headers in records:
                send(topic, value=value, key=key, headers=list(headers), partition=partition)

    def finish(self, offsets: Mapping[int, int], consumer: Consumer | None) -> None:
        with _told(self._what):
            if offsets:
                assert isinstance(consumer, _Consumer)
                places = {TopicPartition(consumer.topic, number): _offset(value) for number, value in offsets.items()}
                # Not by the client's own calls, which wait for ever when no broker answers.
                manager = self._client._transaction_manager
                self._settle(lambda: manager.send_offsets_to_transaction(places, consumer.metadata()))
            self._settle(self._client._transaction_manager.begin_commit)
            self._working = False

    def _settle(self, ask: Callable[[], Any]) -> None:
        waiting = ask()
        self._client._sender.wakeup()
        if not waiting.wait(timeout_ms=int(PATIENCE * 1000)):
            raise BusError(f"{self._what}: no answer within {PATIENCE:.0f} s")

    def close(self) -> None:
        with suppress(Exception):
            if self._working:
                waiting = self._client._transaction_manager.begin_abort()
                self._client._sender.wakeup()
                waiting.wait(timeout_ms=2_000)
        with suppress(Exception):
            self._client.close(timeout=2)


class _Consumer:
    def __init__(self, servers: str, options: Mapping[str, Any], topic: str, group: str, member: str) -> None:
        self.topic = topic
        self._what = f"kafka {servers}: {group}"
        self._gained: list[int] = []
        self._lost: list[int] = []
        self._started: set[int] = set()
        with _told(self._what):
            self._client = KafkaConsumer(
                **options,
                group_id=group,
                group_instance_id=member,
                auto_offset_reset="none",
                enable_auto_commit=False,
                isolation_level="read_committed",
                session_timeout_ms=int(SESSION * 1000),
                heartbeat_interval_ms=int(SESSION * 300),
                max_poll_interval_ms=int(STEP * 1000),
                max_partition_fetch_bytes=_FETCH,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                metrics_enabled=False,
            )
            self._client.subscribe([topic], listener=_Listener(self))

    def assigned(self, places: Iterable[Any]) -> None:
        """Partitions came: paused, at a place that is put right when they are restored."""
        for place in places:
            self._client.seek(place, 0)
            self._client.pause(place)
            self._gained.append(place.partition)

    def revoked(self, places: Iterable[Any]) -> None:
        """Partitions went."""
        for place in places:
            self._started.discard(place.partition)
            if place.partition in self._gained:
                self._gained.remove(place.partition)
            else:
                self._lost.append(place.partition)

    def poll(self, limit: int, seconds: float) -> dict[int, list[Raw]]:
        with _told(self._what):
            try:
                records = self._client.poll(timeout_ms=int(seconds * 1000), max_records=limit)
            except kafka_errors.OffsetOutOfRangeError as error:
                raise OutOfRange([place.partition for place in error.args[0]]) from error
        return {place.partition: list(map(_raw, found)) for place, found in records.items()}

    def changes(self) -> tuple[list[int], list[int]]:
        gained, lost = sorted(self._gained), sorted(self._lost)
        self._gained, self._lost = [], []
        return gained, lost

    def start(self, partition: int, offset: int) -> None:
        place = TopicPartition(self.topic, partition)
        with _told(self._what):
            self._client.seek(place, offset)
            self._client.resume(place)
        self._started.add(partition)

    def position(self, partition: int) -> int:
        with _told(self._what):
            return int(self._client.position(TopicPartition(self.topic, partition)))

    def commit(self, offsets: Mapping[int, int]) -> None:
        with _told(self._what):
            places = {TopicPartition(self.topic, number): _offset(value) for number, value in offsets.items()}
            self._client.commit(places, timeout_ms=int(PATIENCE * 1000))

    def alive(self) -> None:
        with _told(self._what):
            places = [TopicPartition(self.topic, number) for number in self._started]
            self._client.pause(*places)
            try:
                self._client.poll(timeout_ms=0)
            finally:
                self._client.resume(*[place for place in places if place.partition in self._started])

    def metadata(self) -> Any:
        """What fences a member that was replaced."""
        return self._client.group_metadata()

    def close(self) -> None:
        with suppress(Exception):
            self._client.close(autocommit=False, timeout_ms=2_000)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells a consumer what a rebalance gave and took."""

    def __init__(self, consumer: _Consumer) -> None:
        self._consumer = consumer

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._consumer.assigned(assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._consumer.revoked(revoked)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._consumer.revoked(lost)


def _raw(record: Any) -> Raw:
    return Raw(record.offset, record.timestamp, record.key or b"", record.value, record.headers)


def _offset(value: int) -> Any:
    return OffsetAndMetadata(value, "", -1)


def _security(settings: KafkaSettings) -> dict[str, Any]:
    protocol = ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT")
    options: dict[str, Any] = {"security_protocol": protocol}
    if settings.tls:
        files = {"ssl_cafile": settings.ca, "ssl_certfile": settings.certificate, "ssl_keyfile": settings.key}
        options |= {name: file for name, file in files.items() if file}
    if settings.user:
        options |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.secret(),
        }
    return options
