"""One member of a group on Kafka: a transaction per partition carries its outputs, its state and its position."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from almena.bus import Batch, Gap, Snapshot, Step, Stored
from almena.bus.cluster_client import Consumer, OutOfRange, Producer, Raw, Send
from almena.bus.cluster_records import PLACE, Place, encoded, stored_of
from almena.errors import BusError, Fenced, Moved

if TYPE_CHECKING:
    from almena.bus.cluster import KafkaBus

log = logging.getLogger("almena.bus")

_IDLE = 1.0
_SLICE = 0.25


class _Owned:
    """A partition of this member's."""

    def __init__(self) -> None:
        self.producer: Producer | None = None
        self.reading = False
        self.time = 0
        self.read = 0
        """The offset behind the last record delivered."""
        self.committed = 0
        self.settled: Step | None = None
        """The step that took place in a commit of several that was refused."""


class KafkaSession:
    """One member of a group; use it from one thread.

    A partition just gained is read from `restore` on. Any operation may raise BusError and be tried again.
    """

    def __init__(self, bus: KafkaBus, topic: str, group: str, member: str) -> None:
        """Joins at the first poll; a later session under the same name takes this one's place for good."""
        self._bus = bus
        self._topic = topic
        self._group = group
        self._member = member
        self._consumer: Consumer | None = None
        self._owned: dict[int, _Owned] = {}
        self._gained: list[int] = []
        self._lost: list[int] = []
        self._gaps: list[Gap] = []
        self._idle = 0.0
        self._threads: ThreadPoolExecutor | None = None

    def poll(self, limit: int, timeout: float) -> Batch:
        """Up to `limit` records of the partitions that were restored, waiting up to `timeout` seconds."""
        deadline = monotonic() + timeout
        while True:
            records = self._fetch(limit, max(0.0, min(deadline - monotonic(), _SLICE)))
            if records or self._gained or self._lost or self._gaps:
                batch = Batch(records, self._gained, self._lost, self._gaps)
                self._gained, self._lost, self._gaps = [], [], []
                return batch
            self._rest()
            if monotonic() >= deadline:
                return Batch()

    def restore(self, partition: int) -> Snapshot:
        """The committed state and position of a partition just gained; reading begins there."""
        owned = self._mine(partition)
        self._take(partition, owned)
        state, place = self._bus.state(self._topic, self._group, partition)
        if place is None:
            committed = self._bus.client.committed(self._name, self._bus.named(self._topic))
            position, owned.time = committed.get(partition, 0), 0
        else:
            position, owned.time = place.position, place.time
        start = self._reachable(partition, position)
        owned.read = owned.committed = position
        self._joined().start(partition, start)
        owned.reading = True
        return Snapshot(state, position)

    def commit(self, steps: Mapping[int, Step]) -> None:
        """Each step in a transaction of its own, all at once. Raises Moved, Fenced, or BusError to be tried again."""
        left = {number: step for number, step in steps.items() if self._mine(number).settled is not step}
        try:
            for number, step in left.items():
                self._begin(number, step)
        except BusError as error:
            for number in left:
                self._drop(self._owned[number])
            self._refuse([error])
        self._refuse([error for error in self._finish(left) if error is not None])
        for number in steps:
            self._owned[number].settled = None

    def alive(self) -> None:
        """Say that a long step goes on. Raises Moved when a partition went meanwhile, or Fenced."""
        consumer = self._joined()
        try:
            consumer.alive()
        except Moved as error:
            self._give_up(error)
        self._note(consumer)
        if self._lost:
            self._give_up(Moved(f"bus: partitions of {self._name} went to another member"))

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        joined = self._consumer is not None
        self.release()
        if joined:
            with suppress(Moved):
                self._bus.client.remove(self._name, self._member)

    def release(self) -> None:
        """Let go of connections without leaving the group."""
        for owned in self._owned.values():
            if owned.producer is not None:
                owned.producer.close()
        self._owned.clear()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    @property
    def _name(self) -> str:
        return self._bus.group(self._topic, self._group)

    def _joined(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._bus.client.consumer(self._bus.named(self._topic), self._name, self._member)
        return self._consumer

    def _mine(self, partition: int) -> _Owned:
        owned = self._owned.get(partition)
        if owned is None:
            raise Moved(f"bus: {self._name}/{partition} is not {self._member}'s")
        return owned

    def _fetch(self, limit: int, seconds: float) -> dict[int, list[Stored]]:
        consumer = self._joined()
        try:
            found = consumer.poll(limit, seconds)
        except OutOfRange as error:
            for partition in error.partitions:
                consumer.start(partition, self._reachable(partition, self._owned[partition].read))
            found = {}
        except Moved as error:
            self._forget(str(error))
            return {}
        self._note(consumer)
        return {number: self._stored(number, raws) for number, raws in found.items() if number in self._owned}

    def _note(self, consumer: Consumer) -> None:
        """Take down what a rebalance gave and took."""
        gained, lost = consumer.changes()
        for partition in lost:
            owned = self._owned.pop(partition, None)
            if owned is None:
                continue
            if owned.producer is not None:
                owned.producer.close()
            if partition in self._gained:
                self._gained.remove(partition)
            else:
                self._lost.append(partition)
        for partition in gained:
            self._owned[partition] = _Owned()
            self._gained.append(partition)

    def _stored(self, partition: int, raws: list[Raw]) -> list[Stored]:
        owned = self._owned[partition]
        found = []
        for raw in raws:
            stored = stored_of(self._topic, partition, raw, owned.time)
            owned.time = stored.time
            found.append(stored)
        owned.read = raws[-1].offset + 1
        return found

    def _reachable(self, partition: int, position: int) -> int:
        """Where reading can begin; what is gone before it is told as a gap."""
        first, end = self._bus.client.edges(self._bus.named(self._topic), stable=False)[partition]
        if position < first:
            self._gaps.append(Gap(self._topic, partition, position, first))
            return first
        if position > end:
            log.error(
                "%s/%d ends at %d, before the position %d: it was made anew, and is read from its beginning",
                *(self._topic, partition, end, position),
            )
            return first
        return position

    def _take(self, partition: int, owned: _Owned) -> Producer:
        """The partition's producer; making it fences whoever had the partition, and ends what they left open."""
        if owned.producer is None:
            owned.producer = self._bus.client.producer(f"{self._name}.{partition}")
        return owned.producer

    def _begin(self, partition: int, step: Step) -> None:
        owned = self._mine(partition)
        place = msgspec.msgpack.encode(Place(step.position, owned.time))
        name = self._bus.named(self._bus.state_topic(self._topic, self._group))
        sends = list(self._bus.sends(step.outputs))
        sends += [Send(name, partition, encoded(key), value) for key, value in step.state.items()]
        sends.append(Send(name, partition, encoded(PLACE), place))
        self._take(partition, owned).begin(sends)

    def _finish(self, steps: Mapping[int, Step]) -> list[BusError | None]:
        """Commit every transaction that was begun, side by side; what each came to."""
        if len(steps) < 2:
            return [self._finish_one(number, step) for number, step in steps.items()]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(8, thread_name_prefix="commit")
        return list(self._threads.map(self._finish_one, steps, steps.values()))

    def _finish_one(self, partition: int, step: Step) -> BusError | None:
        owned = self._owned[partition]
        assert owned.producer is not None
        try:
            owned.producer.finish({partition: step.position}, self._joined())
        except BusError as error:
            self._drop(owned)
            if isinstance(error, (Fenced, Moved)) or not self._took_place(partition, owned, step):
                return error
        owned.settled = step
        owned.committed = max(owned.committed, step.position)
        return None

    def _took_place(self, partition: int, owned: _Owned, step: Step) -> bool:
        """Whether a step whose outcome nobody told was committed: a new producer settles it, the position says."""
        try:
            self._take(partition, owned)
            found = self._bus.client.committed(self._name, self._bus.named(self._topic)).get(partition, -1)
        except BusError:
            return False
        return owned.committed < step.position <= found

    def _refuse(self, failures: list[BusError]) -> None:
        """Raise what weighs most of them: a name that is taken, a partition that went, or what may be tried again."""
        for error in failures:
            if isinstance(error, Fenced):
                raise error
        for error in failures:
            if isinstance(error, Moved):
                with suppress(Moved):  # it raises Fenced where it was for the name
                    self._joined().commit({number: owned.committed for number, owned in self._owned.items()})
                self._give_up(error)
        if failures:
            raise failures[0]

    @staticmethod
    def _drop(owned: _Owned) -> None:
        if owned.producer is not None:
            owned.producer.close()
            owned.producer = None

    def _rest(self) -> None:
        """With nothing to read, say so: the marks of transactions behind the last record are read too."""
        if monotonic() - self._idle < _IDLE or self._consumer is None:
            return
        self._idle = monotonic()
        ahead = {}
        for number, owned in self._owned.items():
            if owned.reading and owned.read <= owned.committed:
                position = self._consumer.position(number)
                if position > owned.committed:
                    ahead[number] = position
        if ahead:
            with suppress(Moved):
                self._consumer.commit(ahead)
                for number, position in ahead.items():
                    self._owned[number].committed = self._owned[number].read = position

    def _give_up(self, error: Moved) -> None:
        self._forget(str(error))
        raise error

    def _forget(self, why: str) -> None:
        """Let go of everything and join anew: what was read and not committed is read again by whoever has it then."""
        log.info("%s leaves and joins again: %s", self._member, why)
        lost = [number for number in self._owned if number not in self._gained]
        self._gained.clear()
        self.release()
        self._lost = sorted({*self._lost, *lost})
