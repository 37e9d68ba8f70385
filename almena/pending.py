"""Hits that wait for event time to pass them: saved, bounded, and taken out in (time, id) order."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator

import msgspec

from almena.hit import Hit, decode_hit, encode_hit, order_of
from almena.state import Table

log = logging.getLogger("almena.correlate")

_SEPARATOR = "\x1e"

_Entry = tuple[int, str, str, bytes]
"""Time, id and key of a hit, and itself; where only the table has it no bytes."""


def key_of(hit: Hit) -> str:
    """What is saved under: two hits of the same key are one."""
    name = hit.detector
    named = _SEPARATOR.join((name + hit.id, order_of(hit), hit.group))
    return f"{hit.clock} {hit.time} {len(name)} {len(hit.id)} {named}"


def hits_in(table: Table) -> Iterator[tuple[str, Hit]]:
    """What a table of encoded hits by `key_of` holds."""
    for key in table:
        hit = _saved(table, key)
        if hit is not None:
            yield key, hit


def _saved(table: Table, key: str) -> Hit | None:
    """The hit under `key`; one that is damaged is none, and the table counts it."""
    value = table.get(key)
    if isinstance(value, bytes):
        return decode_hit(value)
    try:
        return None if value is None else msgspec.convert(value, Hit)
    except msgspec.ValidationError as error:
        log.error("a hit that was saved is damaged: %s; it is left out", error)
        table.delete(key)
        table.damaged += 1
        return None


class Pending:
    """Hits by clock and operator. What comes and goes within one step is never written down."""

    def __init__(self, table: Table) -> None:
        """`table` holds what waits, encoded; beyond its limit the oldest leave, see `evicted`."""
        self._table = table
        self._fresh: dict[str, tuple[Hit, bytes]] = {}
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
            data = encode_hit(hit) if data is None else data
            heaps = self._heaps.setdefault(hit.clock, {})
            heapq.heappush(heaps.setdefault(hit.detector, []), (hit.time, hit.id, key, data))
            self._entries += 1
            self._fresh[key] = hit, data

    def take(self, clock: int, detector: str, watermark: int) -> list[Hit]:
        """Take out the operator's hits of the clock up to `watermark`, in (time, id) order."""
        heaps = self._heaps.get(clock, {})
        heap = heaps.get(detector)
        found: list[Hit] = []
        while heap and heap[0][0] <= watermark:
            hit = self._pop(*heapq.heappop(heap)[2:])
            self._entries -= 1
            if hit is not None:
                found.append(hit)
        if heap is not None and not heap:
            del heaps[detector]
        return found

    def settle(self) -> None:
        """Write down what is still waiting, at the end of a step."""
        before = self._table.evicted
        for key, (_, data) in self._fresh.items():
            self._table.put(key, data)
        self._fresh.clear()
        self.evicted += self._table.evicted - before
        if self._entries > 2 * self._table.limit:
            self._build()

    def _pop(self, key: str, data: bytes) -> Hit | None:
        fresh = self._fresh.pop(key, None)
        if fresh is not None:
            return fresh[0]
        if key not in self._table:
            return None
        hit = decode_hit(data) if data else _saved(self._table, key)
        self._table.delete(key)
        return hit

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
    return int(clock), rest[:stop], (int(time), rest[stop : stop + int(length)], key, b"")
