"""The bus on Apache Kafka: appends are transactions, a group's state lies in a compacted topic beside its positions."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence

from almena.bus import Outputs, Position, Record, Snapshot, Stored, partition_of
from almena.bus.cluster_client import LARGEST, Client, Producer, Send, TopicSpec
from almena.bus.cluster_records import PLACE, Place, decoded, encoded, place_of, stored_of
from almena.bus.cluster_session import KafkaSession
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError

_MOST_COPIES = 3

_DATA = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(LARGEST)}
_STATE = {
    **_DATA,
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.2",
    "segment.bytes": str(64 << 20),
    "delete.retention.ms": "600000",
}


class KafkaBus:
    """Topics of one cluster under one prefix."""

    def __init__(
        self, client: Client, settings: KafkaSettings, *, partitions: int, name: str = "", keep: int = 0
    ) -> None:
        """`keep` (microseconds, 0 for ever) and `partitions` count for topics that are created; `name` is who appends."""
        self.client = client
        self._settings = settings
        self._default = partitions
        self._keep = keep
        self._name = name or secrets.token_hex(8)
        self._counts: dict[str, int] = {}
        self._lock = threading.RLock()
        self._producer: Producer | None = None
        self._sessions: list[KafkaSession] = []

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Durable when it returns; all of the records or none."""
        self.append_all({topic: records})

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics in one transaction. An error leaves open whether it took place, and nothing by
        halves: who appends again may append twice."""
        sends = list(self.sends(outputs))
        if not sends:
            return
        with self._lock:
            try:
                if self._producer is None:
                    self._producer = self.client.producer(self.named(f"append.{self._name}"))
                self._producer.begin(sends)
                self._producer.finish({}, None)
            except BaseException:
                if self._producer is not None:
                    self._producer.close()
                self._producer = None
                raise

    def sends(self, outputs: Outputs) -> Iterator[Send]:
        """The records as a producer takes them; raises BusError for a partition that is not there."""
        for topic, records in outputs.items():
            count, name = self.partitions(topic), self.named(topic)
            for record in records:
                partition = partition_of(record.key, count) if record.partition is None else record.partition
                if not 0 <= partition < count:
                    raise BusError(f"bus: topic {topic!r} has no partition {partition}")
                headers = [(key, value.encode("utf-8", "surrogatepass")) for key, value in record.headers.items()]
                yield Send(name, partition, encoded(record.key), record.value, headers)

    def read(self, position: Position, limit: int = 1) -> Sequence[Stored]:
        """Up to `limit` committed records of one partition from `position` on."""
        topic, partition, offset = position.topic, position.partition, position.offset
        if self.count(topic) is None:
            return []
        time = 0
        found = []
        for raw in self.client.read(self.named(topic), partition, offset, None, limit):
            stored = stored_of(topic, partition, raw, time)
            time = stored.time
            found.append(stored)
        return found

    def session(self, topic: str, *, group: str, member: str) -> KafkaSession:
        """Join `group` as the static member `member`."""
        count = self.partitions(topic)
        self._create_state(topic, group, count)
        session = KafkaSession(self, topic, group, member)
        self._sessions.append(session)
        return session

    def snapshot(
        self, topic: str, group: str, partition: int, prefix: str = "", *, limit: int | None = None
    ) -> Snapshot:
        """What `group` has committed of a partition. All of its state is read, and what has the prefix is kept."""
        if self.count(self.state_topic(topic, group)) is None:
            return Snapshot({}, 0)
        state, place = self.state(topic, group, partition, prefix)
        if limit is not None:
            state = {key: state[key] for key in sorted(state)[:limit]}
        return Snapshot(state, place.position if place else 0)

    def state(self, topic: str, group: str, partition: int, prefix: str = "") -> tuple[dict[str, bytes], Place | None]:
        """The committed state of a group in a partition under keys with the prefix, and its place."""
        start = encoded(prefix)
        state: dict[bytes, bytes] = {}
        place: Place | None = None
        own = encoded(PLACE)
        name = self.named(self.state_topic(topic, group))
        # Up to the very end, so that what an earlier owner has committed is waited for, not missed.
        end = self.client.edges(name, stable=False)[partition][1]
        for raw in self.client.read(name, partition, 0, end, None):
            if raw.key == own:
                place = place_of(raw)
            elif raw.value is None:
                state.pop(raw.key, None)
            elif raw.key.startswith(start):
                state[raw.key] = raw.value
        return {decoded(key): value for key, value in state.items()}, place

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; it is created when it is new."""
        count = self.count(topic)
        if count is None:
            options = dict(_DATA)
            options["retention.ms"] = str(self._keep // 1000) if self._keep else "-1"
            count = self._create(topic, self._default, options)
        return count

    def count(self, topic: str) -> int | None:
        """How many partitions the topic has; None when it is not there."""
        if topic not in self._counts:
            found = self.client.topics()
            start = self.named("")
            self._counts |= {name[len(start) :]: count for name, count in found.items() if name.startswith(start)}
        return self._counts.get(topic)

    def ends(self, topic: str) -> Mapping[int, int]:
        """The offset behind the last committed record, by partition."""
        self.partitions(topic)
        return {partition: end for partition, (_, end) in self.client.edges(self.named(topic)).items()}

    def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """The offset of the next record the group reads, as committed, by partition."""
        found = self.client.committed(self.group(topic, group), self.named(topic))
        return dict.fromkeys(range(self.partitions(topic)), 0) | found

    def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """How far the group has to go, by partition: records, and the marks of transactions among them."""
        positions = self.positions(topic, group)
        edges = self.client.edges(self.named(topic))
        return {number: end - max(positions[number], first) for number, (first, end) in edges.items()}

    def trim(self, topic: str, before: int) -> int:
        """Forget records appended before `before` (microseconds); returns by how many offsets the topic is shorter."""
        self.partitions(topic)
        name = self.named(topic)
        edges, wanted = self.client.edges(name), self.client.at(name, -(-before // 1000))
        gone = {number: wanted[number] - first for number, (first, _) in edges.items() if wanted[number] > first}
        if gone:
            self.client.trim(name, {number: wanted[number] for number in gone})
        return sum(gone.values())

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            if self._producer is not None:
                self._producer.close()
                self._producer = None
            for session in self._sessions:
                session.release()
            self.client.close()

    def named(self, name: str) -> str:
        """The name in the cluster."""
        return f"{self._settings.prefix}.{name}"

    def group(self, topic: str, group: str) -> str:
        """The name of a group on one topic."""
        return self.named(f"{group}.{topic}")

    @staticmethod
    def state_topic(topic: str, group: str) -> str:
        """The topic that holds what a group remembers of a topic's partitions."""
        return f"state.{group}.{topic}"

    def _create_state(self, topic: str, group: str, count: int) -> None:
        name = self.state_topic(topic, group)
        found = self.count(name)
        if found is None:
            found = self._create(name, count, dict(_STATE))
        if found != count:
            raise ConfigError(
                f"bus: topic {self.named(topic)} has {count} partitions and {self.named(name)} has {found}; "
                f"stop all roles and give both as many, or delete the second and lose what {group} remembers"
            )

    def _create(self, topic: str, count: int, options: dict[str, str]) -> int:
        replicas = self._settings.replicas or min(_MOST_COPIES, self.client.brokers())
        options["min.insync.replicas"] = "2" if replicas > 2 else "1"
        self.client.create(self.named(topic), TopicSpec(count, replicas, options))
        self._counts.pop(topic, None)
        made = self.count(topic)
        if made is None:
            raise BusError(f"bus: topic {self.named(topic)} was created and is not seen yet; trying again helps")
        return made


def client_of(url: str, settings: KafkaSettings, name: str) -> Client:
    """The client that a URL names; raises ConfigError for one that is none, or a client that is not installed."""
    scheme, _, rest = url.partition("://")
    servers = rest.rstrip("/")
    if not re.fullmatch(r"[^\s/@?#,:]+:\d+(,[^\s/@?#,:]+:\d+)*|\[[0-9a-fA-F:]+\]:\d+", servers):
        raise ConfigError(f"bus: {url!r}: expected {scheme}://HOST:PORT,HOST:PORT; user and keys stand under [kafka]")
    if scheme == "kafka":
        from almena.bus.cluster_python import PythonClient

        return PythonClient(servers, settings, name)
    try:
        from almena.bus.kafka_confluent import ConfluentClient
    except ImportError:
        raise ConfigError(f"bus: {scheme} needs a client more: pip install 'almena[confluent]'") from None
    return ConfluentClient(servers, settings, name)
