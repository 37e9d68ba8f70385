"""Fair shares: of what waits, between the senders of a source; of room and turns, between the sources of a process."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_SENDERS = 1_024
"""Senders told apart at once; of further ones some share a place, of which there are as many."""

_SLACK = 16  # a full backlog is cut to so many sixteenths less one, so that it is not levelled for every datagram
_TURN = 64  # items of one sender that are taken before the next has its turn


class _Bucket(Generic[T]):
    """What waits of one sender."""

    __slots__ = ("items", "name", "size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: deque[tuple[T, int]] = deque()
        self.size = 0


class Backlog(Generic[T]):
    """What waits, by sender. When there is no room, the largest lose their newest until all have the same share;
    who has less than that share loses nothing. Taken in turns, in the order of each sender."""

    def __init__(self, bound: int, senders: int = MOST_SENDERS) -> None:
        """`bound` bytes may wait, of `senders` at once."""
        self.size = 0
        """Bytes that wait."""
        self.bound = bound
        self._senders = senders
        self._buckets: dict[str, _Bucket[T]] = {}
        self._turns: deque[_Bucket[T]] = deque()

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def put(self, sender: str, item: T, size: int) -> int:
        """Let an item of that size wait; returns how many items had to go for it."""
        bucket = self._buckets.get(sender)
        if bucket is None:
            bucket = self._bucket(sender)
        bucket.items.append((item, size))
        bucket.size += size
        self.size += size
        return self._level() if self.size > self.bound else 0

    def take(self, limit: int) -> list[T]:
        """At most `limit` items, a turn of each sender after the other; none where all of them had to go."""
        taken: list[T] = []
        while self._turns and len(taken) < limit:
            bucket = self._turns.popleft()
            items = bucket.items
            for _ in range(min(_TURN, limit - len(taken), len(items))):
                item, size = items.popleft()
                bucket.size -= size
                self.size -= size
                taken.append(item)
            if items:
                self._turns.append(bucket)
            else:
                del self._buckets[bucket.name]
        return taken

    def largest(self) -> str:
        """The sender of whom most waits; empty where nothing does."""
        return max(self._buckets.values(), key=lambda bucket: bucket.size).name if self._buckets else ""

    def _bucket(self, sender: str) -> _Bucket[T]:
        if len(self._buckets) >= self._senders:
            sender = f"{zlib.crc32(sender.encode()) % self._senders} of {self._senders}"
            if sender in self._buckets:
                return self._buckets[sender]
        bucket = self._buckets[sender] = _Bucket(sender)
        self._turns.append(bucket)
        return bucket

    def _level(self) -> int:
        """Cut everybody to the largest share that makes room; returns how many items went."""
        share = level([bucket.size for bucket in self._buckets.values()], self.bound - self.bound // _SLACK)
        gone = 0
        for bucket in self._buckets.values():
            while bucket.size > share:
                size = bucket.items.pop()[1]
                bucket.size -= size
                self.size -= size
                gone += 1
        return gone


def level(sizes: list[int], room: int) -> int:
    """The largest share such that no more than `room` is taken when everybody takes at most that."""
    left, claims = room, sorted(sizes)
    for done, size in enumerate(claims):
        share = left // (len(claims) - done)
        if size > share:
            return share
        left -= size
    return claims[-1] if claims else room


class Room:
    """Bytes that may wait, shared by sources: each may have as much as is still free, so that however many are
    greedy, the next finds room."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        """Bytes that all may have together."""
        self.taken = 0
        """Bytes that all have."""
        self._of: Counter[str] = Counter()

    def take(self, source: str, size: int) -> None:
        """Let a source have so many bytes more."""
        self._of[source] += size
        self.taken += size

    def give(self, source: str, size: int) -> None:
        """Take bytes back."""
        self.taken -= size
        self._of[source] -= size
        if not self._of[source]:
            del self._of[source]

    def is_full(self, source: str) -> bool:
        """Whether a source has as much as is still free, and must wait."""
        return self._of[source] >= self.bound - self.taken

    def share(self, source: str) -> float:
        """How much of what it may have a source has, 0 to 1."""
        mine, free = self._of[source], max(0, self.bound - self.taken)
        return min(1.0, 2 * mine / (mine + free)) if mine else 0.0


class Turns:
    """One works at a time; who waits has a turn by source, so that a source with many connections is not heard more
    often than one with a single socket."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._given: dict[str, int] = {}  # when each source had its last turn, in turns
        self._count = 0

    async def take(self, source: str) -> None:
        """Wait for a turn, which is to be given back."""
        if not self._is_taken:
            self._is_taken = True
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(source, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give the turn to the next: of the source that has been without one for longest."""
        while self._waiting:
            source = min(self._waiting, key=lambda name: self._given.get(name, 0))
            queue = self._waiting[source]
            future = queue.popleft()
            if not queue:
                del self._waiting[source]
            if not future.done():
                self._count += 1
                self._given[source] = self._count
                future.set_result(None)
                return
        self._is_taken = False
