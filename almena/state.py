"""Keyed state: what a stage remembers of one partition, bounded, and what changed since its last commit."""

from __future__ import annotations

import heapq
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from almena import metrics

log = logging.getLogger("almena.state")

FORMAT = 1
"""The layout of a snapshot: keys `owner<US>table<US>key`. What was written in another one is dropped as a whole."""

_FORMAT, _NUMBER = "~format", b"%d" % FORMAT
_SEPARATOR = "\x1f"
_WAKE = "~wake"
_MISSING = object()


class Codec(Protocol):
    """How the values of a table become bytes and are made of them again."""

    def load(self, data: bytes, /) -> Any:
        """The value of `data`; raises ValueError (all errors of msgspec are) when it is damaged."""

    def dump(self, value: Any, /) -> bytes:
        """The bytes of a value, from which `load` makes an equal one."""


class _Plain:
    """MessagePack: numbers, text, lists and dicts; bytes are taken as MessagePack already made."""

    def __init__(self, type_: Any = Any) -> None:
        self.load = msgspec.msgpack.Decoder(type_).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def dump(self, value: Any) -> bytes:
        return value if isinstance(value, bytes) else self._encode(value)


_PLAIN, _MOMENT = _Plain(), _Plain(int)


class Table:
    """A bounded map from text to values with an order of last use: `put` uses a key, `get` does not.

    Between two calls of `changes` a value that is used is an object, else it is the bytes it is saved as. One that was
    changed in place must be put again, or the change is gone at the next `changes`. Beyond `limit` entries the one used
    longest ago leaves.
    """

    def __init__(self, owner: str, name: str, entries: OrderedDict[str, bytes] | None = None) -> None:
        """Use `State.table`. No table points to its state: what is let go of is gone, without the garbage collector."""
        self.limit = 0
        self.rank: int | None = None
        self.evicted = 0
        """Entries that left for lack of room."""
        self.damaged = 0
        """Entries that were forgotten because their bytes could not be read."""
        self._owner = owner
        self._name = name
        self._opened = False
        self._codec: Codec = _PLAIN
        self._warm: dict[str, Any] | None = None
        self._entries: OrderedDict[str, bytes] = OrderedDict() if entries is None else entries
        # As of a plain dict, whose order does not matter here and is ten times as fast to go through.
        keys, saved = dict.keys(self._entries), dict.values(self._entries)
        self.size = sum(map(_length, keys)) + sum(map(len, saved))
        """Bytes of keys and encoded values; a value that was put since the last `changes` counts as it was then."""
        self._live: dict[str, Any] = {}
        self._dirty: dict[str, bool] = {}  # by key, whether the entry was saved

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        """The keys, the one used longest ago first; entries may come and go meanwhile."""
        return iter(list(self._entries))

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        value = self._read(key)
        if value is _MISSING:
            return default
        self._live[key] = value
        return value

    def put(self, key: str, value: Any) -> None:
        """Keep `value` under `key` and make it the one used last; for the default codec bytes are MessagePack."""
        known = key in self._entries
        if known:
            self._entries.move_to_end(key)
        else:
            self._entries[key] = b""
            self.size += _length(key)
        self._dirty.setdefault(key, known)
        if self._codec is _PLAIN and isinstance(value, bytes):
            self._live.pop(key, None)
            self._store(key, value)
        else:
            self._live[key] = value
        while len(self._entries) > self.limit:
            self._evict()

    def delete(self, key: str) -> None:
        """Forget `key`, if it is there."""
        data = self._entries.pop(key, None)
        if data is None:
            return
        self.size -= _length(key) + len(data)
        self._live.pop(key, None)
        if self._warm:
            self._warm.pop(key, None)
        if not self._dirty.setdefault(key, True):
            del self._dirty[key]  # came and went unsaved

    def oldest(self) -> str | None:
        """The key used longest ago."""
        return next(iter(self._entries), None)

    def _open(
        self, limit: int, codec: Codec | None, age: Callable[[bytes], int] | None, rank: int | None, warm: bool
    ) -> None:
        self._opened = True
        self._warm = {} if warm else None
        self.limit = limit
        self.rank = rank
        self._codec = _PLAIN if codec is None else codec
        saved = list(self._entries)
        order = sorted(saved)
        if age is not None:
            order = sorted(order, key=lambda key: self._made(key, age, 0))
        if order != saved:
            for key in order:
                if key in self._entries:
                    self._entries.move_to_end(key)

    def _read(self, key: str) -> Any:
        """The value as it was put last, or as its bytes say; _MISSING where there is none, or a damaged one."""
        value = self._live.get(key, _MISSING)
        if value is _MISSING and self._warm:
            value = self._warm.pop(key, _MISSING)
        if value is _MISSING and key in self._entries:
            return self._made(key, self._codec.load, _MISSING)
        return value

    def _made(self, key: str, make: Callable[[bytes], Any], default: Any) -> Any:
        """What `make` makes of the bytes of `key`; where they are damaged the entry is forgotten."""
        try:
            return make(self._entries[key])
        except (ValueError, RecursionError) as error:
            self.delete(key)
            self.damaged += 1
            if self.damaged == 1:
                kind = type(error).__name__
                log.error("state of %r, %r: damaged (%s); such entries are forgotten", self._owner, self._name, kind)
            return default

    def _evict(self) -> int:
        """Forget the entry used longest ago; returns its bytes."""
        before = self.size
        self.delete(next(iter(self._entries)))
        self.evicted += 1
        return before - self.size

    def _store(self, key: str, data: bytes) -> None:
        self.size += len(data) - len(self._entries[key])
        self._entries[key] = data

    def _saved(self) -> Iterator[str]:
        yield from (key for key in self._entries if self._dirty.get(key, True))
        yield from (key for key in self._dirty if key not in self._entries)

    def _collect(self, changed: dict[str, bytes | None], prefix: str) -> None:
        """Put what changed into `changed` under `prefix`; every value is its bytes again."""
        prefix += self._name + _SEPARATOR
        for key in self._dirty:
            if key in self._live:
                # A copy has no room to spare; what an encoder gives may have, up to half of it.
                self._store(key, bytes(memoryview(self._codec.dump(self._live[key]))))
            changed[prefix + key] = self._entries.get(key)
        if self._warm is not None:
            self._warm = {key: self._live[key] for key in self._dirty if key in self._live}
        self._dirty, self._live = {}, {}


class State:
    """The tables of one owner (a stage, or one detector with its version) in one partition."""

    def __init__(self, name: str = "", snapshot: Mapping[str, bytes] | None = None) -> None:
        """`snapshot` holds this owner's share of what was committed, without the owner's name."""
        self.name = name
        self._tables: dict[str, Table] = {}
        self._wakes: list[tuple[int, str]] | None = None
        for (table,), entries in _split(snapshot or {}, 1):
            self._adopt(table, entries)

    def table(
        self,
        name: str,
        *,
        limit: int,
        codec: Codec | None = None,
        age: Callable[[bytes], int] | None = None,
        rank: int | None = None,
        warm: bool = False,
    ) -> Table:
        """The table called `name`, with at most `limit` entries; the same object at every call, as it was first asked.

        `codec` is MessagePack if None. `age` tells when the entry of these bytes was used last, as any rising number,
        so that restored entries stand in the order of last use; those of equal age, and all of them without `age`,
        stand by key. A table with a `rank` may lose entries to `Partition.shrink`, the lowest rank first, and with
        them the wish to be woken under their key. A `warm` one keeps what was put before the last `changes` as objects
        until the next, for values that are large and used again and again.
        """
        table = self._tables.get(name)
        if table is None:
            table = self._adopt(name)
        if not table._opened:
            table._open(limit, codec, age, rank, warm)
        return table

    def wake(self, key: str, at: int) -> None:
        """Ask for `advance` with `key` once event time has passed `at` microseconds; replaces an earlier wish."""
        wishes, heap = self._wishes()
        if wishes.get(key) == at:
            return
        wishes.put(key, at)
        heapq.heappush(heap, (at, key))
        if len(heap) > 2 * len(wishes) + 100:  # most are wishes that were replaced
            self._wakes = None

    def sleep(self, key: str) -> None:
        """Take the wish of `wake` back."""
        self._wishes()[0].delete(key)

    def next_wake(self) -> int | None:
        """The earliest event time asked for, or None."""
        wishes, heap = self._wishes()
        while heap:
            at, key = heap[0]
            if wishes.get(key) == at:
                return at
            heapq.heappop(heap)
        return None

    def due(self, watermark: int) -> list[str]:
        """Take out the keys of the earliest wish at or before `watermark`, sorted; their wishes are fulfilled."""
        at = self.next_wake()
        if at is None or at > watermark:
            return []
        wishes, heap = self._wishes()
        keys = set()
        while heap and heap[0][0] == at:
            key = heapq.heappop(heap)[1]
            if wishes.get(key) == at:
                keys.add(key)
                wishes.delete(key)
        return sorted(keys)

    def entries(self) -> int:
        """How many values are kept."""
        return sum(map(len, self._tables.values()))

    def size(self) -> int:
        """Bytes of keys and encoded values, see `Table.size`."""
        return sum([table.size for table in self._tables.values()])

    def evictions(self) -> int:
        """How many values left for lack of room since the state was opened."""
        return sum(table.evicted for table in self._tables.values())

    def damaged(self) -> int:
        """How many values were forgotten because they could not be read, since the state was opened."""
        return sum(table.damaged for table in self._tables.values())

    def keys(self) -> Iterator[str]:
        """Every `table<US>key` that is saved."""
        for name, table in self._tables.items():
            yield from (name + _SEPARATOR + key for key in table._saved())

    def changes(self) -> dict[str, bytes | None]:
        """What changed since the last call, by `table<US>key`; None means deleted."""
        changed: dict[str, bytes | None] = {}
        self._collect(changed, "")
        return changed

    def _adopt(self, name: str, entries: OrderedDict[str, bytes] | None = None) -> Table:
        table = self._tables[name] = Table(self.name, name, entries)
        return table

    def _wishes(self) -> tuple[Table, list[tuple[int, str]]]:
        """The wishes by key, and by time; among the latter are some that were replaced or taken back."""
        wishes = self.table(_WAKE, limit=2**31, codec=_MOMENT)
        if self._wakes is None:
            self._wakes = [(at, key) for key in wishes if (at := wishes._read(key)) is not _MISSING]
            heapq.heapify(self._wakes)
        return wishes, self._wakes

    def _collect(self, changed: dict[str, bytes | None], prefix: str) -> None:
        for table in self._tables.values():
            if table._dirty or table._live:
                table._collect(changed, prefix)

    def _shed(self) -> Iterator[int]:
        """Forget one entry at each step, in the order in which they can best be missed; gives the bytes of each."""
        ranked = [(table.rank, name) for name, table in self._tables.items() if table.rank is not None]
        for _, name in sorted(ranked):
            table = self._tables[name]
            while (key := table.oldest()) is not None:
                self.sleep(key)
                yield table._evict()


class Partition:
    """All the state of one partition: one `State` per owner, saved and restored together."""

    def __init__(self, snapshot: Mapping[str, bytes] | None = None) -> None:
        """`snapshot` is what `changes` gave, added up."""
        self._states: dict[str, State] = {}
        self._gone: dict[str, None] = {}
        snapshot = snapshot or {}
        written = snapshot.get(_FORMAT, b"1")  # the first format came without saying so
        self._said = snapshot.get(_FORMAT) == _NUMBER
        if snapshot and written != _NUMBER:
            log.warning("state of format %.20r is not of format %d: %d entries dropped", written, FORMAT, len(snapshot))
            metrics.STATE_DAMAGED.labels("all").inc(len(snapshot))
            self._gone = dict.fromkeys(snapshot)
            return
        for (owner, table), entries in _split(snapshot, 2):
            self.state(owner)._adopt(table, entries)

    def state(self, owner: str) -> State:
        """The state of `owner` (a name without control characters); the same object at every call."""
        state = self._states.get(owner)
        if state is None:
            state = self._states[owner] = State(owner)
        return state

    def keep(self, owners: set[str]) -> list[str]:
        """Forget every owner not in `owners`, such as an old version of a rule; returns the forgotten."""
        forgotten = sorted(set(self._states) - owners)
        for owner in forgotten:
            for rest in self._states.pop(owner).keys():  # noqa: SIM118 (a State is no dict)
                self._gone[owner + _SEPARATOR + rest] = None
        return forgotten

    def states(self) -> Iterator[State]:
        """Every owner's state."""
        yield from self._states.values()

    def shrink(self, budget: int, spare: Collection[str] = ()) -> int:
        """Forget entries until all owners but those in `spare` hold `budget` bytes together; returns how many.

        One at a time leaves the owner that holds most: of its tables with the lowest rank (by name if equal) the entry
        used longest ago. So nobody loses anything to one that holds more. Tables without a rank lose nothing.
        """
        states = [(-state.size(), name, state) for name, state in self._states.items() if name not in spare]
        excess = -sum(size for size, _, _ in states) - budget
        heap = [(size, name, state._shed()) for size, name, state in states if excess > 0]
        heapq.heapify(heap)
        left = 0
        while excess > 0 and heap:
            size, name, shed = heap[0]
            freed = next(shed, None)
            if freed is None:
                heapq.heappop(heap)
                continue
            heapq.heapreplace(heap, (size + freed, name, shed))
            excess -= freed
            left += 1
        return left

    def changes(self) -> dict[str, bytes | None]:
        """What changed since the last call, by `owner<US>table<US>key`; None means deleted."""
        changed: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        for owner, state in self._states.items():
            state._collect(changed, owner + _SEPARATOR)
        if changed and not self._said:
            changed[_FORMAT] = _NUMBER
            self._said = True
        return changed


def _length(key: str) -> int:
    return len(key) if key.isascii() else len(key.encode("utf-8", "surrogatepass"))


def _split(snapshot: Mapping[str, bytes], heads: int) -> Iterable[tuple[tuple[str, ...], OrderedDict[str, bytes]]]:
    """A snapshot's entries by the first `heads` names of their keys; what has fewer names is none."""
    shares: dict[tuple[str, ...], OrderedDict[str, bytes]] = {}
    head: str | None = None
    for full, data in snapshot.items():
        # They come sorted, or nearly so: most begin as the one before.
        if head is None or not full.startswith(head):
            *names, _ = full.split(_SEPARATOR, heads)
            if len(names) < heads:
                continue
            head = _SEPARATOR.join(names) + _SEPARATOR
            entries = shares.setdefault(tuple(names), OrderedDict())
        entries[full[len(head) :]] = data
    return shares.items()
