"""The groups that one correlation remembers: bounded, those nearest to alerting the longest, past ones forgotten."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from almena.state import State, Table
from detectors.correlation.episode import Episode
from detectors.correlation.window import Window

LIMIT = 100_000
"""Groups that one correlation remembers per partition."""

TIERS = 4
"""Groups are kept by how near they are to alerting, each tier with its own share of the limit: noise never pushes
out a group that is nearly there."""

SWEEP = "\x1e"
"""The wake-up at which past groups are forgotten."""

_SWEEPS = 8


@dataclass(slots=True)
class Group:
    """What one group has."""

    last: int
    """The time of its last hit."""
    memory: Any
    """What its window remembers."""
    episode: Episode | None = None
    wake: int | None = None
    """When it asked to be woken."""
    shadow: bool = False
    """Whether its last hit was of a correlation in shadow."""
    aside: tuple[str, ...] = ()
    """Correlations in shadow that rest on this one, as its last hit said."""


class _Stored(msgspec.Struct, array_like=True):
    last: int
    wake: int | None
    memory: Any
    episode: Any
    shadow: bool
    aside: tuple[str, ...]


class _Head(msgspec.Struct, array_like=True):
    last: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_age = msgspec.msgpack.Decoder(_Head).decode


def age(data: bytes) -> int:
    """The time of the last hit of a group as it is stored."""
    return _age(data).last


class Codec:
    """Groups as bytes and back."""

    def __init__(self, window: Window) -> None:
        """`window` knows its memory."""
        self._window = window

    def load(self, data: bytes) -> Group:
        """The group; raises ValueError (msgspec's included), TypeError or IndexError for other bytes."""
        stored = _decode(data)
        episode = None if stored.episode is None else Episode.load(stored.episode)
        memory = self._window.load(stored.memory)
        return Group(stored.last, memory, episode, stored.wake, stored.shadow, stored.aside)

    def dump(self, group: Group) -> bytes:
        """The group as bytes."""
        episode = None if group.episode is None else group.episode.dump()
        memory = self._window.dump(group.memory)
        return _encode([group.last, group.wake, memory, episode, group.shadow, group.aside])


class Groups:
    """The groups of one correlation in one partition's state."""

    def __init__(self, window: Window, limit: int, memory: int) -> None:
        """`limit` is how many; a group without a hit for `memory` microseconds is past."""
        self._window = window
        self._codec = Codec(window)
        self._limit = max(limit // TIERS, 1)
        self._memory = memory + 1  # later than anything a group of that age may still wait for
        self._of: weakref.ref[State] | None = None
        self._opened: list[Table] = []

    def find(self, key: str, state: State) -> tuple[int, Group | None]:
        """The group and the tier it is in; (0, None) where there is none."""
        for tier, table in enumerate(self._tables(state)):
            if key in table:
                return tier, table.get(key)
        return 0, None

    def keep(self, key: str, before: int, group: Group, state: State) -> None:
        """Keep the group in the tier that it has reached; `before` is the one it was found in."""
        tables = self._tables(state)
        tier = TIERS - 1
        if group.episode is None:
            tier = min(int(self._window.nearness(group.memory) * (TIERS - 1)), TIERS - 2)
        if tier != before:
            tables[before].delete(key)
        table = tables[tier]
        if len(table) >= table.limit and key not in table and (oldest := table.oldest()) is not None:
            state.sleep(oldest)
        table.put(key, group)

    def expect(self, time: int, state: State) -> None:
        """Ask for a sweep where a group is the first of all."""
        if not any(len(table) for table in self._tables(state)):
            state.wake(SWEEP, time + self._memory + 1)

    def sweep(self, now: int, state: State) -> None:
        """Forget what is past: it would start anew all the same. Groups lie in the order of their last hits."""
        oldest: int | None = None
        for table in self._tables(state):
            while (key := table.oldest()) is not None:
                group: Group | None = table.get(key)
                if group is not None and now - group.last <= self._memory:
                    oldest = group.last if oldest is None else min(oldest, group.last)
                    break
                if group is not None and group.wake is not None:
                    state.sleep(key)
                table.delete(key)
        if oldest is not None:
            state.wake(SWEEP, max(oldest + self._memory, now + self._memory // _SWEEPS) + 1)

    def all(self, state: State) -> Iterator[tuple[str, Group]]:
        """Every group, those nearest to alerting first."""
        for table in reversed(self._tables(state)):
            for key in table:
                group = table.get(key)
                if group is not None:
                    yield key, group

    def _tables(self, state: State) -> list[Table]:
        if self._of is None or self._of() is not state:
            self._of = weakref.ref(state)
            self._opened = [
                state.table(f"tier{tier}", limit=self._limit, codec=self._codec, age=age, rank=tier, warm=True)
                for tier in range(TIERS)
            ]
        return self._opened
