"""Fair shares of a server's work: places for requests, and records over time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from collectors.base import Sink
from collectors.http.access import Entry
from collectors.http.answers import Refusal

_BURST = 10.0  # seconds of its rate that a sender may use at once
_TOLD_FROM = 0.5  # share of a burst from which the sink is told
_UNKNOWN = ""  # who signed is known only once the body is there


class Places:
    """Requests worked on at once: one place belongs to each sender, the others to who comes first."""

    def __init__(self, most: int, entries: Sequence[Entry], sink: Sink) -> None:
        """`most` places in all."""
        self._most = most
        self._sink = sink
        self._own = 1 if 2 * len(entries) <= most and len(entries) > 1 else 0
        self._shared = most - self._own * len(entries)
        self._taken: Counter[str] = Counter()
        self._buckets = {entry.key: _Bucket(entry.rate) for entry in entries if entry.rate}

    @contextmanager
    def turn(self, entry: Entry | None) -> Iterator[None]:
        """A place for a sender, or for one not known yet; raises Refusal while there is none."""
        key = entry.key if entry is not None else _UNKNOWN
        source = entry.source if entry is not None else None
        state = self._sink.state(source)
        if state == "down":
            raise Refusal(503, "events cannot be stored at the moment", retry=5)
        if state == "full":
            raise Refusal(429, "too much at once; come back", retry=1)
        if not self._has_room(key):
            if source is not None:
                self._sink.filled(source, 1.0)
            raise Refusal(429, "too much at once; come back", retry=1)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1

    def _has_room(self, key: str) -> bool:
        mine = self._taken[key]
        if key == _UNKNOWN and mine >= max(1, self._most // 4):
            return False
        return mine < self._own_of(key) or self._shared > sum(
            max(0, count - self._own_of(who)) for who, count in self._taken.items()
        )

    def _own_of(self, key: str) -> int:
        return self._own if key != _UNKNOWN else 0

    def spend(self, entry: Entry, records: int) -> None:
        """Count records against the sender's rate; raises Refusal while it is beyond."""
        bucket = self._buckets.get(entry.key)
        if bucket is None:
            return
        wait = bucket.wait()
        if (share := bucket.share()) >= _TOLD_FROM:
            self._sink.filled(entry.source, share)
        if wait > 0:
            raise Refusal(429, f"more than {entry.rate} records a second; come back", retry=int(wait) + 1)
        bucket.spend(records)


class _Bucket:
    """What a sender may still send; a batch goes through whole and leaves a debt where it was larger."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = rate * _BURST
        self._looked = time.monotonic()

    def wait(self) -> float:
        """Seconds until the debt is paid."""
        moment = time.monotonic()
        self._left = min(self._rate * _BURST, self._left + (moment - self._looked) * self._rate)
        self._looked = moment
        return -self._left / self._rate

    def share(self) -> float:
        """How much of the burst is used, 0 to 1."""
        return min(1.0, 1.0 - self._left / (self._rate * _BURST))

    def spend(self, records: int) -> None:
        """Count records, also beyond what is left."""
        self._left -= records
