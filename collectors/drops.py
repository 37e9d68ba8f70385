"""What the ledger is told of collecting: what is lost for good, counted once by source and reason, and floods."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from almena import metrics
from almena.bus import Record
from almena.clock import format_time, now
from collectors.floods import Flood

log = logging.getLogger("almena.intake")

TOLD_EVERY = 60.0
"""Seconds between two lines in the log about the same source and reason."""


MOST_FLOODS = 1_000
"""Stages of floods that wait for the ledger; of more the oldest are only in the log."""


class Drop(NamedTuple):
    """What drops are counted by."""

    source: str
    agency: str
    reason: str


class Drops:
    """Counts of this process. Its entries are numbered, so that one whose append is repeated is known again."""

    def __init__(self) -> None:
        self._lane = secrets.token_hex(8)
        self._next = 0
        self._lock = threading.Lock()
        self._fresh: Counter[Drop] = Counter()
        self._owed: list[Record] = []
        self._untold: Counter[Drop] = Counter()
        self._told: dict[Drop, float] = {}
        self._floods: deque[Record] = deque(maxlen=MOST_FLOODS)

    def add(self, drop: Drop, count: int) -> None:
        """Count, from any thread."""
        metrics.EVENTS_DROPPED.labels(drop.source, drop.reason).inc(count)
        with self._lock:
            self._fresh[drop] += count
            self._untold[drop] += count

    def flood(self, flood: Flood) -> None:
        """Tell of a flood, in the log at once; the desk makes an alert of it. From any thread."""
        source, at = flood.source, f" most of it of {flood.sender};" if flood.sender else ""
        log.warning("%s: flood: %s;%s %d records lost", source.name, flood.stage, at, flood.lost)
        entry = {"kind": "flood", "source": source.name, "agency": source.agency, "time": format_time(now())}
        entry |= {"stage": flood.stage, "since": format_time(flood.since), "sender": flood.sender}
        value = msgspec.json.encode(entry | {"lost": flood.lost})
        with self._lock:
            self._floods.append(Record(f"flood/{source.name}", value))

    def owed(self) -> Sequence[Record]:
        """What the ledger has to be told; the same until `settle` is called, since an append may be repeated."""
        if not self._owed:
            moment = format_time(now())
            with self._lock:
                fresh, self._fresh = self._fresh, Counter()
                self._owed += self._floods
                self._floods.clear()
            for drop, count in fresh.items():
                entry = {"kind": "drop", **drop._asdict(), "count": count, "time": moment}
                value = msgspec.json.encode(entry | {"lane": self._lane, "seq": self._next})
                self._owed.append(Record(f"drop/{drop.source}/{drop.reason}", value))
                self._next += 1
        return self._owed

    def settle(self) -> None:
        """What was owed is durable."""
        self._owed = []

    def announce(self, *, all_of_it: bool = False) -> None:
        """Say in the log what was lost, at once and then every minute while it goes on."""
        moment = time.monotonic()
        with self._lock:
            due = [
                drop for drop in self._untold if all_of_it or moment - self._told.get(drop, -TOLD_EVERY) >= TOLD_EVERY
            ]
            said = [(drop, self._untold.pop(drop)) for drop in due]
            self._told.update(dict.fromkeys(due, moment))
        for drop, count in said:
            log.error("%s: %d records are lost for good: %s", drop.source, count, drop.reason)
