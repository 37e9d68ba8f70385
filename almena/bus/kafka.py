"""The bus on Kafka: appends are transactions, readers see what was committed, and a group's state is a compacted topic.

Topics are `<prefix>.<topic>`, a group's state `<prefix>.state.<group>.<topic>`, its positions those of the group
`<prefix>.<group>.<topic>`, and a partition's transactions `<prefix>.<group>.<topic>.<partition>`. Offsets have holes,
where transactions end or were aborted.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from almena.bus import Outputs, Position, Record, Snapshot, Stored, partition_of
from almena.bus.kafka_client import (
    LARGEST_MESSAGE,
    PATIENCE,
    TRANSACTION,
    Client,
    Gone,
    Raw,
    Reader,
    Replaced,
    Row,
    Writer,
)
from almena.bus.kafka_records import PLACE, Place, checked, decoded, encoded, place_of, stored
from almena.bus.kafka_session import KafkaSession
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError, Fenced

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_MEMBER = re.compile(r"[A-Za-z0-9@._-]{1,200}")

_PAGE = 20_000
_VISIBLE = 1.0
_MOST_REPLICAS = 3

_STATE_OPTIONS = {
    "cleanup.policy": "compact",
    # Brokers refuse what a worker whose clock is an hour ahead says of its time, unless they set the time themselves.
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(LARGEST_MESSAGE),
    "segment.bytes": str(64 << 20),
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.2",
    # A reader of the whole partition never finds the newer value of a key beyond its end and the older one cleaned.
    "min.compaction.lag.ms": "60000",
}


def open_kafka(url: str, settings: KafkaSettings, *, partitions: int, name: str = "", keep: int = 0) -> KafkaBus:
    """The bus at `kafka://HOST:PORT,...` or `kafka+confluent://HOST:PORT,...`; raises ConfigError."""
    scheme, _, rest = url.partition("://")
    servers = [server.strip() for server in rest.strip("/").split(",") if server.strip()]
    for server in servers or [""]:
        host, _, port = server.rpartition(":")
        if not (host and port.isdigit()):
            raise ConfigError(f"bus: {url!r}: {server!r} is no broker; write '{scheme}://HOST:9092,HOST:9092'")
    if not _NAME.fullmatch(settings.prefix):
        raise ConfigError(f"bus: prefix {settings.prefix!r} may only have letters, digits, '.', '_' and '-'")
    return KafkaBus(_client(scheme, servers, settings, name), settings, partitions=partitions, name=name, keep=keep)


def _client(scheme: str, servers: Sequence[str], settings: KafkaSettings, name: str) -> Client:
    if scheme == "kafka+confluent":
        try:
            from almena.bus.kafka_confluent import ConfluentClient
        except ImportError:
            raise ConfigError(f"bus: {scheme}:// needs confluent-kafka: pip install 'almena[confluent]'") from None
        return ConfluentClient(servers, settings, name)
    from almena.bus.kafka_python import PythonClient

    return PythonClient(servers, settings, name)


class KafkaBus:
    """The topics of one prefix on one cluster. Nothing is reached before it is needed."""

    def __init__(
        self, client: Client, settings: KafkaSettings, *, partitions: int = 4, name: str = "", keep: int = 0
    ) -> None:
        """`partitions` and `keep` (microseconds, 0 for ever) count for topics made here; `name` is who appends."""
        self.client = client
        self._settings = settings
        self._default = partitions
        self._keep = keep
        self._name = name or secrets.token_hex(8)
        self._counts: dict[str, int] = {}
        self._seen: dict[tuple[str, int], int] = {}
        self._appending = threading.Lock()
        self._writer: Writer | None = None
        self._lock = threading.Lock()
        self._readers: list[Reader] = []
        self._sessions: list[KafkaSession] = []

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Durable when it returns; all of the records or none."""
        self.append_all({topic: records})

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics in one transaction; raises Fenced when another process appends under this name.

        After another error it may have taken place all the same, if the brokers were lost at its very end.
        """
        rows = self.rows(outputs)
        if not rows:
            return
        with self._appending:
            began = math.inf
            try:
                if self._writer is None:
                    self._writer = self.client.writer(self.named(f"append.{self._name}"))
                began = time.monotonic()
                self._writer.commit(rows)
            except BusError as error:
                self._drop_writer()
                # A transaction that took too long is refused alike; only one that did not tells of another process.
                if isinstance(error, Replaced) and time.monotonic() - began < TRANSACTION / 2:
                    raise Fenced(f"bus: another process appends as {self._name!r}: give each its own name") from error
                raise

    def rows(self, outputs: Outputs) -> list[Row]:
        """The records as they are written; raises BusError for a partition that does not exist or a record too large.

        Topics are made when they do not exist.
        """
        rows: list[Row] = []
        for topic, records in outputs.items():
            count, name = self.partitions(topic), self.named(topic)
            keys: dict[str, tuple[bytes, int]] = {}  # few keys come often
            for each in records:
                key = keys.get(each.key)
                if key is None:
                    key = keys[each.key] = (encoded(each.key), partition_of(each.key, count))
                partition = key[1] if each.partition is None else each.partition
                if not 0 <= partition < count:
                    raise BusError(f"bus: topic {topic!r} has no partition {partition}")
                pairs = [(header, text.encode("utf-8", "surrogatepass")) for header, text in each.headers.items()]
                rows.append((name, partition, key[0], each.value, pairs))
        return checked(rows)

    def read(self, position: Position, limit: int = 1) -> Sequence[Stored]:
        """Up to `limit` records of one partition from `position` on; times never fall among those given at once.

        Where a transaction is open it waits a second for its end, and gives what lies before.
        """
        topic, partition, offset = position.topic, position.partition, position.offset
        count = self.known(topic)
        if count is None or not 0 <= partition < count:
            return []
        place, first = (self.named(topic), partition), offset
        found: list[Raw] = []
        with self._reader() as reader:
            end = self._seen.get(place, 0)
            while len(found) < limit:
                if first >= end:
                    end = self._seen[place] = self.client.ends(place[0], count, committed=False)[partition]
                    if first >= end:
                        break
                try:
                    raws, reached = reader.read(*place, first, end, limit - len(found), _VISIBLE)
                    found += raws
                    if not raws and reached == first:
                        break
                    first = reached
                except Gone:
                    start = self.client.starts(place[0], count)[partition]
                    if start <= first:
                        break
                    first = start
        return list(stored(topic, partition, found, 0))

    def session(self, topic: str, *, group: str, member: str) -> KafkaSession:
        """Join `group` as `member`; a member that comes back under its name takes its partitions at once."""
        for what, name, known in (("topic", topic, _NAME), ("group", group, _NAME), ("member", member, _MEMBER)):
            if not known.fullmatch(name):
                raise ConfigError(f"bus: {what} {name!r} may only have letters, digits, '.', '_' and '-' on Kafka")
        self._make_state(topic, group)
        session = KafkaSession(self, topic, group, member)
        self._sessions.append(session)
        return session

    def snapshot(
        self, topic: str, group: str, partition: int, prefix: str = "", *, limit: int | None = None
    ) -> Snapshot:
        """What `group` has committed of a partition; all of its state is read, and what does not begin so is let go."""
        count = self.known(self.state_topic(topic, group))
        if count is None or not 0 <= partition < count:
            return Snapshot({}, 0)
        state, place = self.state(topic, group, partition, prefix)
        if limit is not None:
            state = {key: state[key] for key in sorted(state)[:limit]}
        return Snapshot(state, place.position if place else self.positions(topic, group)[partition])

    def state(
        self, topic: str, group: str, partition: int, prefix: str = "", *, owner: bool = False
    ) -> tuple[dict[str, bytes], Place | None]:
        """A partition's committed state under keys that begin with `prefix`, and the place that it is true for.

        An `owner` waits until whatever an earlier one had begun is committed or aborted.
        """
        name, start = self.named(self.state_topic(topic, group)), encoded(prefix)
        state: dict[bytes, bytes] = {}
        place: Place | None = None
        count = self.partitions(topic)
        first, end = self.client.starts(name, count)[partition], self._settled(name, count, partition, owner=owner)
        with self._reader() as reader:
            while first < end:
                raws, reached = reader.read(name, partition, first, end, _PAGE)
                if reached == first:
                    raise BusError(f"bus: {name}/{partition} gives nothing from {first} on; see to its brokers")
                first = reached
                for raw in raws:
                    key = raw.key or b""
                    if key == PLACE:
                        place = place_of(raw.value)
                    elif raw.value is None:
                        state.pop(key, None)
                    elif key.startswith(start):
                        state[key] = raw.value
        return {decoded(key): value for key, value in state.items()}, place

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; it is made when it does not exist."""
        count = self.known(topic)
        if count is None:
            options = {
                "retention.ms": str(self._keep // 1000 if self._keep else -1),
                "message.timestamp.type": "LogAppendTime",
                "max.message.bytes": str(LARGEST_MESSAGE),
            }
            count = self._make(topic, self._default, options)
        return count

    def known(self, topic: str) -> int | None:
        """How many partitions the topic has, None when it does not exist."""
        count = self._counts.get(topic)
        if count is None:
            count = self.client.partitions(self.named(topic))
            if count is not None:
                self._counts[topic] = count
        return count

    def ends(self, topic: str) -> Mapping[int, int]:
        """The offset behind the last record, by partition; of open transactions too, whatever comes of them.

        So nothing that was appended before is missed, though readers see it some milliseconds later.
        """
        return self.client.ends(self.named(topic), self.partitions(topic), committed=False)

    def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """The offset of the next record the group reads, as committed, by partition."""
        count = self.partitions(topic)
        found = self.client.committed(self.group(topic, group), self.named(topic), count)
        return dict.fromkeys(range(count), 0) | {partition: position for partition, (position, _) in found.items()}

    def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """How many offsets the group has not passed, by partition: records, and the ends of transactions."""
        ends = self.ends(topic)
        starts, positions = self.client.starts(self.named(topic), len(ends)), self.positions(topic, group)
        return {number: max(0, end - max(positions[number], starts[number])) for number, end in ends.items()}

    def trim(self, topic: str, before: int) -> int:
        """Forget records appended before `before` (microseconds); returns how many offsets went."""
        name, count = self.named(topic), self.partitions(topic)
        starts, ends = self.client.starts(name, count), self.client.ends(name, count)
        kept = self.client.since(name, count, -(-before // 1000))
        wanted = {number: ends[number] if kept[number] < 0 else min(kept[number], ends[number]) for number in kept}
        wanted = {number: offset for number, offset in wanted.items() if offset > starts[number]}
        if wanted:
            self.client.delete(name, wanted)
        return sum(offset - starts[number] for number, offset in wanted.items())

    def close(self) -> None:
        """Let go of connections and threads, those of its sessions too."""
        for session in self._sessions:
            session.release()
        with self._appending:
            self._drop_writer()
        with self._lock:
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()
        self.client.close()

    def named(self, name: str) -> str:
        """A name as the cluster knows it."""
        return f"{self._settings.prefix}.{name}"

    def group(self, topic: str, group: str) -> str:
        """A group's name on the cluster, one for each topic it reads."""
        return self.named(f"{group}.{topic}")

    @staticmethod
    def state_topic(topic: str, group: str) -> str:
        """The topic of a group's state, without the prefix."""
        return f"state.{group}.{topic}"

    def _make_state(self, topic: str, group: str) -> None:
        count, name = self.partitions(topic), self.state_topic(topic, group)
        found = self.known(name)
        if found is None:
            found = self._make(name, count, dict(_STATE_OPTIONS))
        if found != count:
            raise ConfigError(
                f"bus: topic {self.named(topic)!r} has {count} partitions and {self.named(name)!r} has {found}: "
                f"a partition's state must lie in a partition of its own. Give the second as many, if it has fewer"
            )

    def _make(self, topic: str, partitions: int, options: dict[str, str]) -> int:
        replicas = self._settings.replicas or min(_MOST_REPLICAS, self.client.brokers())
        if replicas >= _MOST_REPLICAS:
            options["min.insync.replicas"] = str(replicas - 1)
        self.client.create(self.named(topic), partitions, replicas, options)
        count = self.known(topic)
        if count is None:
            raise BusError(f"bus: topic {self.named(topic)!r} was made and is not seen yet; try again")
        return count

    def _settled(self, name: str, count: int, partition: int, *, owner: bool) -> int:
        """The end of what is committed, once nothing is open any more that had been begun when this was asked.

        A commit is seen some milliseconds after it was told. Only an owner insists; others see what there is.
        """
        wanted = self.client.ends(name, count, committed=False)[partition]
        deadline = time.monotonic() + (PATIENCE + TRANSACTION if owner else _VISIBLE)
        while (end := self.client.ends(name, count)[partition]) < wanted:
            if time.monotonic() > deadline:
                if not owner:
                    break
                raise BusError(f"bus: {name}/{partition}: a transaction stays open; `kafka-transactions` tells whose")
            time.sleep(0.005)
        return end

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        """A reader for this thread alone; one that failed is not used again."""
        with self._lock:
            reader = self._readers.pop() if self._readers else None
        reader = reader or self.client.reader()
        try:
            yield reader
        except BaseException:
            reader.close()
            raise
        with self._lock:
            self._readers.append(reader)

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
