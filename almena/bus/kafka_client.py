"""What the Kafka bus needs of a Kafka client: transactions, one member of a group, a plain reader, and questions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from almena.errors import BusError

PATIENCE = 10.0
"""Seconds to wait for brokers before an operation is refused."""

TRANSACTION = 15.0
"""Seconds after which the brokers abort a transaction whose writer has gone; until then it holds readers back."""

SESSION = 10.0
"""Seconds after which a member that is not heard of loses its partitions."""

HEARTBEAT = 1.0
"""Seconds between two signs of life, and until a member hears that partitions move: it takes two to move one."""

LONGEST_STEP = 300.0
"""Seconds between two polls after which a member counts as stuck, heartbeats or not."""

LARGEST_MESSAGE = 16 << 20
"""Bytes of the largest record or state entry."""


class Raw(Protocol):
    """A record as a client gives it; `timestamp` is milliseconds."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


Row: TypeAlias = tuple[str, int, bytes, bytes | None, list[tuple[str, bytes]]]
"""A record to write: topic, partition, key, value and headers; without a value the key goes from a compacted topic."""


class Claim(NamedTuple):
    """A group's new position in a partition, committed with a transaction; `note` is kept beside it."""

    topic: str
    partition: int
    position: int
    note: str
    member: Any
    """What `Member.identity` gives."""


class Replaced(BusError):
    """The brokers refuse a writer: another has its transactional id, or its transaction took too long."""


class Expelled(BusError):
    """The brokers refuse a member: the group does not know it any more, or has moved on without it."""


class Unsure(BusError):
    """Whether a transaction was committed is not known; the next writer under its id settles it."""


class Gone(BusError):
    """Offsets that are not in the log: trimmed, or of a topic that was made anew."""

    def __init__(self, offsets: Mapping[int, int]) -> None:
        """`offsets` were asked for, by partition."""
        super().__init__(f"bus: offsets {dict(offsets)} are not there")
        self.offsets = dict(offsets)


class Writer(Protocol):
    """A transactional producer. Whatever it raises is a BusError, and means that it can only be closed."""

    def commit(self, rows: Sequence[Row], claim: Claim | None = None) -> None:
        """One transaction; raises Replaced, Expelled (nothing took place), Unsure, or a BusError (nothing did)."""

    def close(self) -> None:
        """Let go of its connections and threads; never raises."""


class Member(Protocol):
    """One static member of a group that reads one topic; partitions just assigned are paused until `start`."""

    def poll(self, limit: int, timeout: float) -> dict[int, list[Raw]]:
        """Up to `limit` records; returns early when the assignment has changed. Raises Gone, Expelled, BusError."""

    def assigned(self) -> dict[int, int]:
        """How often each partition that it has now had been assigned to it; empty while it joins anew."""

    def start(self, partition: int, offset: int) -> None:
        """Read on from there."""

    def reached(self, partition: int) -> int:
        """The offset of the next record that may be given: beyond markers and aborted records already passed."""

    def stir(self) -> None:
        """Take part in what the group does without reading."""

    def rejoin(self, stop: Collection[int]) -> None:
        """Pause these partitions and join the group anew with the next poll."""

    def identity(self) -> Any:
        """What a claim needs, of this moment."""

    def ids(self) -> list[str]:
        """All ids that the group's coordinator ever gave to this member, the newest last."""

    def replaced(self) -> bool:
        """Whether another process has joined under this member's name, as far as is known here."""

    def close(self) -> None:
        """Let go of its connections and threads, without leaving the group; never raises."""


class Reader(Protocol):
    """Reads partitions without a group; use it from one thread at a time."""

    def read(
        self, topic: str, partition: int, start: int, end: int, limit: int, wait: float = PATIENCE
    ) -> tuple[list[Raw], int]:
        """Up to `limit` committed records of `start` to `end - 1`, and where to read on. Raises Gone, BusError.

        When nothing comes for `wait` seconds, as behind an open transaction, it returns what it has.
        """

    def close(self) -> None:
        """Let go of its connections and threads; never raises."""


class Client(Protocol):
    """The way to one cluster; every method raises BusError, or ConfigError where waiting does not help."""

    def writer(self, transactional_id: str) -> Writer:
        """Take the id over: what its last writer left open is aborted or completed when this returns."""

    def member(self, topic: str, group: str, name: str) -> Member:
        """Make a member; it joins with its first poll."""

    def reader(self) -> Reader:
        """Make a reader."""

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, None when it does not exist."""

    def brokers(self) -> int:
        """How many brokers there are."""

    def create(self, topic: str, partitions: int, replicas: int, options: Mapping[str, str]) -> None:
        """Make a topic; returns when it can be used, also when somebody else was faster."""

    def starts(self, topic: str, partitions: int) -> dict[int, int]:
        """The first offset still there, by partition."""

    def ends(self, topic: str, partitions: int, *, committed: bool = True) -> dict[int, int]:
        """The offset behind the last record that readers may see, or with `committed` false behind the last there is.

        The two differ while transactions are open, and for some milliseconds after one was committed.
        """

    def since(self, topic: str, partitions: int, time: int) -> dict[int, int]:
        """The first offset appended at `time` (milliseconds) or later, by partition; -1 where there is none."""

    def committed(self, group: str, topic: str, partitions: int) -> dict[int, tuple[int, str]]:
        """The group's positions and the notes beside them, by partition, where there are any."""

    def delete(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Forget what lies before the offsets, by partition."""

    def members(self, group: str) -> dict[str, str]:
        """The ids of a group's members, by name."""

    def remove(self, group: str, name: str, member_id: str) -> None:
        """Take a member out of its group at once; does nothing when the name is another's by now."""

    def close(self) -> None:
        """Let go of connections and threads."""
