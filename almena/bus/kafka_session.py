"""One member of a group on Kafka: one transaction carries a partition's outputs, its state and its position."""

from __future__ import annotations

import bisect
import logging
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import msgspec

from almena.bus import Batch, Gap, Snapshot, Step, Stored
from almena.bus.kafka_client import Claim, Expelled, Gone, Member, Raw, Replaced, Row, Unsure, Writer
from almena.bus.kafka_records import PLACE, Place, checked, encoded, stored
from almena.errors import BusError, Fenced, Moved

if TYPE_CHECKING:
    from almena.bus.kafka import KafkaBus

log = logging.getLogger("almena.bus")

_REST = 1.0
_AT_ONCE = 8
_encode = msgspec.msgpack.Encoder().encode


class _Owned:
    """A partition that is this member's."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        """Which of its assignments this is."""
        self.told = False
        self.ready = False
        self.writer: Writer | None = None
        self.committed = 0
        self.delivered = 0
        """The offset behind the last record given."""
        self.highest = 0
        self.rises: list[tuple[int, int]] = []
        """Offsets given and not committed at which the append time rose, and the time."""
        self.unsure: tuple[str, Step, int] | None = None
        """A step that may have taken place: the note beside its position, and the position."""
        self.settled: Step | None = None
        """The step that took place in a commit of several that was refused."""

    def time_at(self, position: int) -> int:
        """The highest append time before a position that is not committed yet."""
        index = bisect.bisect_left(self.rises, (position, 0))
        return self.rises[index - 1][1] if index else self.highest

    def advance(self, position: int) -> None:
        """All before the position is committed."""
        self.highest = self.time_at(position)
        self.rises = [rise for rise in self.rises if rise[0] >= position]
        self.committed = position
        self.delivered = max(self.delivered, position)


class KafkaSession:
    """One member of a group on Kafka; use it from one thread.

    A poll that gains a partition gives no records of it yet: they come once it was restored. Any operation may raise
    BusError and be tried again: nothing is delivered or given up by halves.
    """

    def __init__(self, bus: KafkaBus, topic: str, group: str, member: str) -> None:
        """Joins at the first poll; a later session under the same name takes this one's place for good."""
        self._bus = bus
        self._topic = topic
        self._group = group
        self._name = member
        self._in = bus.group(topic, group)
        self._reads = bus.named(topic)
        self._joined: Member | None = None
        self._owned: dict[int, _Owned] = {}
        self._gained: list[int] = []
        self._lost: list[int] = []
        self._gaps: list[Gap] = []
        self._rested = 0.0
        self._fenced: Fenced | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._left = False

    def poll(self, limit: int, timeout: float) -> Batch:
        """Up to `limit` records of the partitions restored, waiting up to `timeout` seconds for the first."""
        deadline = monotonic() + timeout
        for partition in [number for number, owned in self._owned.items() if owned.told and not owned.ready]:
            self.restore(partition)
        while True:
            records = self._fetch(limit, max(0.0, deadline - monotonic()))
            if records or self._gained or self._lost or self._gaps:
                batch = Batch(records, sorted(self._gained), sorted(self._lost), self._gaps)
                for partition in self._gained:
                    self._owned[partition].told = True
                self._gained, self._lost, self._gaps = [], [], []
                return batch
            self._rest()
            if monotonic() >= deadline:
                return Batch()

    def restore(self, partition: int) -> Snapshot:
        """The committed state and position of a partition just gained; the next poll reads on from there."""
        owned = self._mine(partition)
        owned.ready = False
        self._drop(owned)
        owned.writer = self._writer(partition)
        state, place = self._bus.state(self._topic, self._group, partition, owner=True)
        if place is None:
            place = Place(self._bus.positions(self._topic, self._group)[partition])
        owned.highest, owned.rises = place.time, []
        owned.unsure = owned.settled = None
        self._start(partition, owned, place.position)
        owned.ready = True
        return Snapshot(state, place.position)

    def commit(self, steps: Mapping[int, Step]) -> None:
        """Each step in a transaction of its own, all at once. Raises Moved, Fenced, or BusError to be tried again."""
        self._check()
        for partition in steps:
            if not self._mine(partition).ready:
                self.restore(partition)
        left = {number: step for number, step in steps.items() if self._owned[number].settled != step}
        if any(self._owned[number].writer is None for number in left):
            self.alive()  # who has lost a partition meanwhile learns so before a writer of it is made again
        failures = [error for error in self._commit_all(left) if error is not None]
        for error in failures:
            if isinstance(error, (Replaced, Expelled)):
                self._void(error)
        if failures:
            raise failures[0]
        for number in steps:
            self._owned[number].settled = None

    def alive(self) -> None:
        """Say that a long step goes on. Raises Moved when a partition went to another member, or Fenced."""
        self._check()
        try:
            self._member().stir()
        except Expelled as error:
            self._void(error)
        self._compare()
        if self._lost:
            self._void(Expelled(f"bus: {self._in}: partitions {sorted(self._lost)} went to another member"))

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        ids = self._joined.ids() if self._joined is not None else []
        self.release()
        if ids and self._fenced is None:
            self._bus.client.remove(self._in, self._name, ids[-1])

    def release(self) -> None:
        """Let go of connections and threads without leaving the group."""
        self._left = True
        for owned in self._owned.values():
            self._drop(owned)
        self._owned.clear()
        if self._joined is not None:
            self._joined.close()
            self._joined = None
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _member(self) -> Member:
        if self._left:
            raise BusError(f"bus: {self._in}: {self._name} was closed")
        if self._joined is None:
            self._joined = self._bus.client.member(self._reads, self._in, self._name)
        return self._joined

    def _mine(self, partition: int) -> _Owned:
        owned = self._owned.get(partition)
        if owned is None:
            raise Moved(f"bus: {self._in}/{partition} is not {self._name}'s")
        return owned

    def _check(self) -> None:
        if self._fenced is not None:
            raise self._fenced
        if self._member().replaced():
            self._end("its heartbeats are refused")

    def _end(self, why: str) -> NoReturn:
        self._fenced = Fenced(f"bus: another process has joined {self._in} as {self._name!r} ({why})")
        raise self._fenced

    def _fetch(self, limit: int, seconds: float) -> dict[int, list[Stored]]:
        self._check()
        member = self._member()
        found: dict[int, list[Raw]] = {}
        try:
            found = member.poll(limit, seconds)
        except Gone as error:
            for partition in error.offsets:
                if partition in self._owned:
                    self._start(partition, self._owned[partition], self._owned[partition].delivered)
        except Expelled as error:
            with suppress(Moved):
                self._void(error)
        self._compare()
        return {
            number: self._deliver(number, self._owned[number], raws)
            for number, raws in sorted(found.items())
            if number in self._owned and self._owned[number].ready
        }

    def _deliver(self, partition: int, owned: _Owned, raws: list[Raw]) -> list[Stored]:
        last = owned.rises[-1][1] if owned.rises else owned.highest
        records = list(stored(self._topic, partition, raws, last))
        for record in records:
            if record.time > last:
                last = record.time
                owned.rises.append((record.offset, last))
        owned.delivered = records[-1].offset + 1
        return records

    def _compare(self) -> None:
        """Note which partitions came and went since."""
        assigned = self._member().assigned()
        for partition, owned in list(self._owned.items()):
            if assigned.get(partition) != owned.turn:
                self._lose(partition)
        for partition, turn in assigned.items():
            if partition not in self._owned:
                self._owned[partition] = _Owned(turn)
                self._gained.append(partition)

    def _lose(self, partition: int) -> None:
        self._drop(self._owned.pop(partition))
        self._gaps = [gap for gap in self._gaps if gap.partition != partition]
        if partition in self._gained:
            self._gained.remove(partition)
        else:
            self._lost.append(partition)

    def _start(self, partition: int, owned: _Owned, position: int) -> None:
        """Read on from a position; what was trimmed there is told as a gap."""
        count = self._bus.partitions(self._topic)
        first = self._bus.client.starts(self._reads, count)[partition]
        end = self._bus.client.ends(self._reads, count, committed=False)[partition]
        self._gaps = [gap for gap in self._gaps if gap.partition != partition]
        start = position
        if position > end:
            log.error(
                "bus: %s/%d ends at %d, before the position %d of %s: it was made anew, and is read from its beginning",
                *(self._reads, partition, end, position, self._in),
            )
            start = position = first
        elif position < first:
            self._gaps.append(Gap(self._topic, partition, position, first))
            start = first
        owned.committed, owned.delivered = position, start
        self._member().start(partition, start)

    def _commit_all(self, steps: Mapping[int, Step]) -> list[BusError | None]:
        """Commit side by side: most of the time goes to waiting for brokers."""
        if len(steps) < 2:
            return [self._commit_one(number, step) for number, step in steps.items()]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="commit")
        return list(self._threads.map(self._commit_one, steps, steps.values()))

    def _commit_one(self, partition: int, step: Step) -> BusError | None:
        """One transaction; None when it took place, now or before."""
        owned = self._owned[partition]
        try:
            rows, place = self._rows(partition, owned, step)
            if owned.unsure is not None and self._settle(partition, owned) == step:
                owned.settled = step
                return None
            if owned.writer is None:
                owned.writer = self._writer(partition)
            note = secrets.token_hex(8)
            claim = Claim(self._reads, partition, place, note, self._member().identity())
            try:
                owned.writer.commit(rows, claim)
            except Unsure:
                self._drop(owned)
                owned.unsure = (note, step, place)
                if self._settle(partition, owned) != step:
                    raise
            else:
                owned.advance(place)
            owned.settled = step
            return None
        except BusError as error:
            self._drop(owned)
            return error

    def _writer(self, partition: int) -> Writer:
        return self._bus.client.writer(f"{self._in}.{partition}")

    def _rows(self, partition: int, owned: _Owned, step: Step) -> tuple[list[Row], int]:
        """What a step writes, and the position that it reaches: markers behind the last record given are passed too."""
        place = step.position
        if place == owned.delivered:
            place = max(place, self._member().reached(partition))
        name = self._bus.named(self._bus.state_topic(self._topic, self._group))
        rows: list[Row] = [(name, partition, encoded(key), value, []) for key, value in step.state.items()]
        rows.append((name, partition, PLACE, _encode(Place(place, owned.time_at(place))), []))
        return self._bus.rows(step.outputs) + checked(rows), place

    def _settle(self, partition: int, owned: _Owned) -> Step | None:
        """End what is left open of a step whose outcome is not known; returns the step if it took place."""
        assert owned.unsure is not None
        note, step, place = owned.unsure
        if owned.writer is None:
            owned.writer = self._writer(partition)
        count = self._bus.partitions(self._topic)
        found = self._bus.client.committed(self._in, self._reads, count).get(partition)
        owned.unsure = None
        if found is None or found[1] != note:
            return None
        owned.advance(place)
        return step

    def _rest(self) -> None:
        """With nothing to read, pass the markers and aborted records behind the last one, so that no lag is left."""
        if monotonic() - self._rested < _REST:
            return
        self._rested = monotonic()
        member = self._member()
        steps = {
            number: Step(member.reached(number))
            for number, owned in self._owned.items()
            if owned.ready and owned.committed == owned.delivered < member.reached(number)
        }
        try:
            if steps:
                self.commit(steps)
        except Moved:
            log.info("bus: %s: partitions of %s moved while nothing was read", self._in, self._name)

    def _void(self, error: BusError) -> NoReturn:
        """Let go of everything, to join anew and restore; unless the name is another's, which is the end."""
        try:
            holder = self._bus.client.members(self._in).get(self._name)
        except BusError:
            holder = None
        member = self._member()
        if holder is not None and member.ids() and holder not in member.ids():
            self._end(str(error))
        owned = list(self._owned)
        for partition in owned:
            self._lose(partition)
        member.rejoin(owned)
        raise Moved(f"{error}; what was done since the last commit is void") from error

    @staticmethod
    def _drop(owned: _Owned) -> None:
        if owned.writer is not None:
            owned.writer.close()
            owned.writer = None
