"""Reading Kafka with kafka-python: as a static member of a group, or partition by partition without one."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, NoReturn

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from almena.bus.kafka_client import HEARTBEAT, LONGEST_STEP, PATIENCE, SESSION, Expelled, Gone, Raw
from almena.bus.kafka_python_net import made, refusal
from almena.errors import BusError

_SLICE = 0.05
"""Seconds that a poll waits for records before it looks whether partitions have come or gone."""


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
        self._consumer = made(
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
        return {place.partition: records for place, records in found.items()}

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
        self._consumer = made(KafkaConsumer, "reading", {**configs, **_FETCHING})

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
                found += [record for record in records if record.offset < end]
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


def _offset(position: Any) -> int:
    return int(getattr(position, "offset", position))
