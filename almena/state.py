"""Keyed state: what a stage remembers of one partition, bounded, and what changed since its last commit."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_SEPARATOR = "\x1f"
_WAKE = "~wake"
_MISSING = object()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Table:
    """A bounded map from text to plain values (numbers, text, lists, dicts) with an order of last use.

    A value that was changed in place must be put again, or the change is not saved. Beyond `limit` entries the
    one used longest ago leaves; `evicted` counts them.
    """

    def __init__(self, state: State, name: str, limit: int) -> None:
        """Belongs to `state`; use `State.table`."""
        self.limit = limit
        self.evicted = 0
        self._state = state
        self._prefix = name + _SEPARATOR
        self._values: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        value = self._values.get(key, _MISSING)
        if value is _MISSING:
            return default
        if isinstance(value, bytes):
            value = self._values[key] = _decode(value)
        return value

    def put(self, key: str, value: Any) -> None:
        """Keep `value` under `key` and make it the one used last; bytes are taken as MessagePack already made."""
        self._values.pop(key, None)
        self._values[key] = value
        self._state.dirty[self._prefix + key] = self
        while len(self._values) > self.limit:
            self.delete(next(iter(self._values)))
            self.evicted += 1

    def delete(self, key: str) -> None:
        """Forget `key`, if it is there."""
        if self._values.pop(key, _MISSING) is not _MISSING:
            self._state.dirty[self._prefix + key] = self

    def _load(self, key: str, data: bytes) -> None:
        self._values[key] = data

    def _dump(self, key: str) -> bytes | None:
        value = self._values.get(key, _MISSING)
        if value is _MISSING:
            return None
        return value if isinstance(value, bytes) else _encode(value)


class State:
    """The tables of one owner (a stage, or one detector with its version) in one partition."""

    def __init__(self, name: str = "", snapshot: Mapping[str, bytes] | None = None) -> None:
        """`snapshot` holds this owner's share of what was committed, without the owner's name."""
        self.name = name
        self.dirty: dict[str, Table] = {}
        self._tables: dict[str, Table] = {}
        self._snapshot: dict[str, dict[str, bytes]] = {}
        for key, data in (snapshot or {}).items():
            table, _, rest = key.partition(_SEPARATOR)
            self._snapshot.setdefault(table, {})[rest] = data
        self._wakes: list[tuple[int, str]] = []
        table_of_wakes = self.table(_WAKE, limit=2**31)
        for key in table_of_wakes:
            self._wakes.append((table_of_wakes.get(key), key))
        heapq.heapify(self._wakes)

    def table(self, name: str, *, limit: int) -> Table:
        """The table called `name`, with at most `limit` entries; the same object at every call."""
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(self, name, limit)
            for key, data in sorted(self._snapshot.pop(name, {}).items()):
                table._load(key, data)
        return table

    def wake(self, key: str, at: int) -> None:
        """Ask for `advance` with `key` once event time has passed `at` microseconds; replaces an earlier wish."""
        self.table(_WAKE, limit=2**31).put(key, at)
        heapq.heappush(self._wakes, (at, key))

    def sleep(self, key: str) -> None:
        """Take the wish of `wake` back."""
        self.table(_WAKE, limit=2**31).delete(key)

    def next_wake(self) -> int | None:
        """The earliest event time asked for, or None."""
        wishes = self.table(_WAKE, limit=2**31)
        while self._wakes:
            at, key = self._wakes[0]
            if wishes.get(key) == at:
                return at
            heapq.heappop(self._wakes)
        return None

    def due(self, watermark: int) -> list[str]:
        """Take out the keys of the earliest wish at or before `watermark`, sorted; their wishes are fulfilled."""
        at = self.next_wake()
        if at is None or at > watermark:
            return []
        wishes = self.table(_WAKE, limit=2**31)
        keys = set()
        while self._wakes and self._wakes[0][0] == at:
            key = heapq.heappop(self._wakes)[1]
            if wishes.get(key) == at:
                keys.add(key)
                wishes.delete(key)
        return sorted(keys)

    def entries(self) -> int:
        """How many values are kept, for the metric of state size."""
        return sum(len(table) for table in self._tables.values()) + sum(map(len, self._snapshot.values()))

    def evictions(self) -> int:
        """How many values left for lack of room since the state was opened."""
        return sum(table.evicted for table in self._tables.values())

    def keys(self) -> Iterator[str]:
        """Every `table<US>key` that is saved, or may be."""
        yield from self.dirty
        for table in self._tables.values():
            yield from (table._prefix + key for key in table)
        for name, saved in self._snapshot.items():
            yield from (name + _SEPARATOR + key for key in saved)

    def changes(self) -> dict[str, bytes | None]:
        """What changed since the last call, by `table<US>key`; None means deleted."""
        changed = {full: table._dump(full[len(table._prefix) :]) for full, table in self.dirty.items()}
        self.dirty.clear()
        return changed


class Partition:
    """All the state of one partition: one `State` per owner, saved and restored together."""

    def __init__(self, snapshot: Mapping[str, bytes] | None = None) -> None:
        """`snapshot` is what `changes` gave, added up."""
        self._snapshots: dict[str, dict[str, bytes]] = {}
        for key, data in (snapshot or {}).items():
            owner, _, rest = key.partition(_SEPARATOR)
            self._snapshots.setdefault(owner, {})[rest] = data
        self._states: dict[str, State] = {}
        self._gone: dict[str, None] = {}

    def state(self, owner: str) -> State:
        """The state of `owner` (a name without control characters); the same object at every call."""
        state = self._states.get(owner)
        if state is None:
            state = self._states[owner] = State(owner, self._snapshots.pop(owner, None))
        return state

    def keep(self, owners: set[str]) -> list[str]:
        """Forget every owner not in `owners`, such as an old version of a rule; returns the forgotten."""
        forgotten = sorted((set(self._snapshots) | set(self._states)) - owners)
        for owner in forgotten:
            state = self._states.pop(owner, None)
            for rest in state.keys() if state is not None else self._snapshots.pop(owner):
                self._gone[owner + _SEPARATOR + rest] = None
        return forgotten

    def states(self) -> Iterator[State]:
        """Every owner's state that was opened."""
        yield from self._states.values()

    def changes(self) -> dict[str, bytes | None]:
        """What changed since the last call, by `owner<US>table<US>key`; None means deleted."""
        changed: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        for owner, state in self._states.items():
            for key, data in state.changes().items():
                changed[owner + _SEPARATOR + key] = data
        return changed
