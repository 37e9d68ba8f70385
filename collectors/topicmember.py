"""One member of a group that reads somebody else's Kafka topics, by kafka-python; for one thread at a time."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from almena.bus.kafka_python_net import made, refusal
from almena.errors import BusError
from collectors.topicbatches import Bomb, bound

log = logging.getLogger("almena.collect")

_MOST_RECORDS = 2_000  # records of one poll
_POLL = 0.5  # seconds to wait for records
_PATIENCE = 10_000  # milliseconds for a commit or a question
_TELL_EVERY = 60.0  # seconds without a partition until that is told, and told again
_ODD = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
_MOVED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)
"""Why a position was not taken over: somebody else reads on from the one before, and the repeats are recognised."""


class Unreachable(BusError):
    """The cluster refuses, or is not there."""


class Place(NamedTuple):
    """A partition, and the lane its records have."""

    topic: str
    partition: int
    lane: str


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads what the group gives it; every method raises Unreachable."""

    def __init__(self, configs: Mapping[str, Any], topics: Sequence[str], start: str) -> None:
        """Join `configs["group_id"]` with the first poll; partitions without a position are read from `start` on."""
        self.lost: Counter[str] = Counter()
        """Records that were gone before they could be read, by reason, since this was last emptied."""
        self._configs = dict(configs)
        self._topics = list(topics)
        self._start = start
        self._what = f"topic {', '.join(topics)}"
        self._new: dict[TopicPartition, int | None] = {}  # to be placed; the position where it is known
        self._lock = threading.Lock()  # a poll goes on in its thread when the collector is cancelled
        self._heard = time.monotonic()
        if (library := logging.getLogger("kafka")).level == logging.NOTSET:
            library.setLevel(logging.CRITICAL)  # what matters of it is said once, below
        self._consumer: Any = None
        self._closed = False
        bound()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Hold new partitions until it is known where to begin; called by the library between polls."""
        for place in assigned:
            self._consumer.pause(place)
            self._consumer.seek(place, 0)
            self._new[place] = None

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Others read these."""
        for place in revoked:
            self._new.pop(place, None)

    def poll(self) -> dict[Place, list[Any]]:
        """Records by partition, in their order; nothing after half a second without any."""
        with self._lock:
            if self._closed:
                return {}
            if self._consumer is None:
                self._join()
            try:
                found = self._consumer.poll(timeout_ms=_POLL * 1_000, max_records=_MOST_RECORDS)
                if self._new:
                    self._begin()
            except (kafka_errors.OffsetOutOfRangeError, kafka_errors.LogTruncationError) as error:
                for place, position in error.args[0].items():
                    self._consumer.pause(place)
                    self._new[place] = int(getattr(position, "offset", position))
                return {}
            except Bomb as bomb:
                self._pass(bomb)
                return {}
            except BusError:
                raise
            except Exception as error:
                raise _unreachable(refusal(f"{self._what} cannot be read", error)) from error
            self._tell()
            return {self._place(place): rows for place, rows in found.items()}

    def commit(self, found: Mapping[Place, Sequence[Any]]) -> None:
        """The group's position is behind these records."""
        places = {TopicPartition(each.topic, each.partition): rows[-1].offset + 1 for each, rows in found.items()}
        with self._lock:
            self._commit(places)

    def close(self) -> None:
        """Leave the group, and let go of connections and threads; never raises."""
        with self._lock, suppress(Exception):
            self._closed = True
            if self._consumer is not None:
                self._consumer.close(autocommit=False, timeout_ms=2_000)

    def _join(self) -> None:
        try:
            self._consumer = made(KafkaConsumer, self._what, self._configs)
        except BusError as error:
            raise _unreachable(error) from error
        self._consumer.subscribe(self._topics, listener=self)

    def _commit(self, positions: Mapping[TopicPartition, int]) -> None:
        offsets = {place: OffsetAndMetadata(position, "", -1) for place, position in positions.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=_PATIENCE)
        except _MOVED as error:
            log.info("%s: a position was not kept: %s", self._what, type(error).__name__)
        except Exception as error:
            raise _unreachable(refusal(f"{self._what}: a position cannot be kept", error)) from error

    def _pass(self, bomb: Bomb) -> None:
        """Go on behind a batch that cannot be unpacked; what came before it is durable by now."""
        log.error("%s: partition %d: %s", self._what, bomb.place.partition, bomb)
        self.lost["too large to unpack"] += bomb.behind - bomb.first
        if bomb.place in self._consumer.assignment():
            self._consumer.seek(bomb.place, bomb.behind)
            self._commit({bomb.place: bomb.behind})

    def _begin(self) -> None:
        """Go to where the group was in new partitions, or as near as what is left of them allows."""
        places = [place for place in self._new if place in self._consumer.assignment()]
        starts = self._consumer.beginning_offsets(places) if places else {}
        ends = self._consumer.end_offsets(places) if places else {}
        for place in places:
            position = self._new[place]
            if position is None:
                position = self._consumer.committed(place, timeout_ms=_PATIENCE)
            self._consumer.seek(place, self._reachable(place, position, starts[place], ends[place]))
            self._consumer.resume(place)
        self._new.clear()

    def _reachable(self, place: TopicPartition, position: int | None, start: int, end: int) -> int:
        if position is None:
            position = end if self._start == "end" else start
            self._commit({place: position})  # or what comes before the first record would be left out next time
        elif position < start:
            self.lost["gone from the topic"] += start - position
            position = start
        elif position > end:
            log.warning(
                "%s: partition %d ends before %d; read from its beginning", self._what, place.partition, position
            )
            position = start
        return position

    def _place(self, place: TopicPartition) -> Place:
        """The lane names the topic's own id too: one that is made anew counts its records from nought again."""
        unique = self._consumer._cluster.topic_id(place.topic)
        made_as = f".{unique.hex[:12]}" if unique is not None and unique.int else ""
        return Place(place.topic, place.partition, f"k.{_ODD.sub('_', place.topic)}.{place.partition}{made_as}")

    def _tell(self) -> None:
        """Say so when the group gives us nothing for a long time."""
        moment = time.monotonic()
        if self._consumer.assignment():
            self._heard = moment
        elif moment - self._heard >= _TELL_EVERY:
            self._heard = moment
            log.warning("%s: nothing to read; see whether it exists, the brokers run, and others have it", self._what)


def _unreachable(error: BusError) -> Unreachable:
    return Unreachable(str(error).removeprefix("bus: "))
