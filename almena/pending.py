"""Hits that wait for event time to pass them: saved, bounded, and taken out in (time, id) order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from almena.hit import Hit, decode_hit, encode_hit
from almena.state import State, Table

_SEPARATOR = "\x1e"

_Entry = tuple[int, str, str]
"""Time, id and key of a hit."""


def key_of(hit: Hit) -> str:
    """What is saved under: two hits of the same key are one."""
    name = hit.detector
    return (
        f"{hit.clock} {hit.time} {len(name)} {len(hit.id)} {name}{hit.id}{_SEPARATOR}{hit.rule}{_SEPARATOR}{hit.group}"
    )


class _Codec:
    """Hits as they travel; bytes are taken as a hit that is encoded already."""

    def load(self, data: bytes, /) -> Hit:
        return decode_hit(data)

    def dump(self, value: Hit | bytes, /) -> bytes:
        return value if isinstance(value, bytes) else encode_hit(value)


_CODEC = _Codec()


def table_of_hits(state: State, name: str, limit: int) -> Table:
    """A table of hits, or of bytes of hits, by `key_of`."""
    return state.table(name, limit=limit, codec=_CODEC)


def hits_in(table: Table) -> Iterator[tuple[str, Hit]]:
    """What such a table holds, by key."""
    for key in table:
        hit = _hit(table.get(key))
        if hit is not None:
            yield key, hit


def _hit(value: Hit | bytes | None) -> Hit | None:
    return decode_hit(value) if isinstance(value, bytes) else value


class Pending:
    """Hits by clock and operator. What comes and goes within one step is never written down."""

    def __init__(self, table: Table) -> None:
        """`table` (see `table_of_hits`) holds what waits; beyond its limit the oldest leave, see `evicted`."""
        self._table = table
        self._fresh: dict[str, tuple[Hit, bytes | None]] = {}
        self._heaps: dict[int, dict[str, list[_Entry]]] = {}
        self._entries = 0
        self.evicted = 0
        """Hits that left for lack of room."""
        self._build()

    def __len__(self) -> int:
        return len(self._table) + len(self._fresh)

    @property
    def clocks(self) -> set[int]:
        """The clocks that hits wait for."""
        return {clock for clock, heaps in self._heaps.items() if heaps}

    def detectors(self, clock: int) -> list[str]:
        """The operators whose hits wait for the clock."""
        return list(self._heaps.get(clock, ()))

    def add(self, hit: Hit, data: bytes | None = None) -> None:
        """Let a hit wait; `data` is its MessagePack where that is at hand. The same hit twice is one."""
        key = key_of(hit)
        if key not in self._fresh and key not in self._table:
            self._push(hit.clock, hit.detector, (hit.time, hit.id, key))
            self._fresh[key] = hit, data

    def take(self, clock: int, detector: str, watermark: int) -> list[Hit]:
        """Take out the operator's hits of the clock up to `watermark`, in (time, id) order."""
        heaps = self._heaps.get(clock, {})
        heap = heaps.get(detector)
        found: list[Hit] = []
        while heap and heap[0][0] <= watermark:
            hit = self._pop(heapq.heappop(heap)[2])
            self._entries -= 1
            if hit is not None:
                found.append(hit)
        if heap is not None and not heap:
            del heaps[detector]
        return found

    def settle(self) -> None:
        """Write down what is still waiting, at the end of a step."""
        before = self._table.evicted
        for key, (hit, data) in self._fresh.items():
            self._table.put(key, hit if data is None else data)
        self._fresh.clear()
        self.evicted += self._table.evicted - before
        if self._entries > 2 * self._table.limit:
            self._build()

    def _pop(self, key: str) -> Hit | None:
        fresh = self._fresh.pop(key, None)
        if fresh is not None:
            return fresh[0]
        saved = _hit(self._table.get(key))
        self._table.delete(key)
        return saved

    def _push(self, clock: int, detector: str, entry: _Entry) -> None:
        heapq.heappush(self._heaps.setdefault(clock, {}).setdefault(detector, []), entry)
        self._entries += 1

    def _build(self) -> None:
        """Order what is saved; entries of hits that left for lack of room go."""
        self._heaps = {}
        for clock, detector, entry in map(_parse, self._table):
            self._heaps.setdefault(clock, {}).setdefault(detector, []).append(entry)
        heaps = [heap for operators in self._heaps.values() for heap in operators.values()]
        for heap in heaps:
            heapq.heapify(heap)
        self._entries = sum(map(len, heaps))


def _parse(key: str) -> tuple[int, str, _Entry]:
    clock, time, width, length, rest = key.split(" ", 4)
    stop = int(width)
    return int(clock), rest[:stop], (int(time), rest[stop : stop + int(length)], key)
