"""What a model learns from: an even sample of each event-time day, frozen into one table when the day is over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from almena.state import State
from detectors._anomaly import day_of

SHARE = 10
"""One entity fills at most one part in this many of a day's sample."""

GROUPS = 64
"""Groups with a table of their own per partition."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The table a model is fitted to, unchanged until the next one takes its place."""

    digest: str
    """Equal for equal rows."""
    rows: list[list[float]]
    """Features by row."""


class Training:
    """The samples of one group's past days and of today, and the table frozen from them.

    Which rows of a day are kept depends on hashes alone (the smallest stay), so neither their order nor how they
    were cut into calls matters, and every hour of the day has its share.
    """

    def __init__(self, state: State, group: str, *, sample: int, days: int, minimum: int) -> None:
        """`sample` rows per day, of `days` days; nothing is frozen below `minimum` rows."""
        self._group = group
        self._sample = sample
        self._days = days
        self._minimum = minimum
        self._today = state.table("sample", limit=GROUPS)
        self._past = state.table("past", limit=GROUPS * days)
        self._frozen = state.table("frozen", limit=GROUPS)

    def table(self) -> Frozen | None:
        """The frozen table, or None while too little is known."""
        frozen = self._frozen.get(self._group)
        return None if frozen is None else Frozen(frozen["digest"], frozen["rows"])

    def learn(self, moment: int, rows: Iterable[tuple[str, Sequence[float]]]) -> None:
        """Teach rows of features by entity, all of `moment` (microseconds; never falling)."""
        today = self._today.get(self._group)
        if today is None:
            today = {"day": day_of(moment), "rows": []}
        elif day_of(moment) > today["day"]:
            self._roll(today)
            today = {"day": day_of(moment), "rows": []}
        kept = self._keep(today["rows"], [self._row(moment, entity, row) for entity, row in rows])
        if kept is not None:
            self._today.put(self._group, {"day": today["day"], "rows": kept})
        if self._group not in self._frozen:
            self._freeze()

    def forget(self) -> None:
        """Let go of everything the group taught."""
        for table in (self._today, self._frozen):
            table.delete(self._group)
        for key, _ in self._days_kept():
            self._past.delete(key)

    def _row(self, moment: int, entity: str, row: Sequence[float]) -> list[Any]:
        who = int.from_bytes(_digest(entity.encode())[:6])
        place = int.from_bytes(_digest(f"{self._group}|{moment}|{entity}".encode())[:6])
        return [place, who, *(round(value, 6) for value in row)]

    def _keep(self, known: list[list[Any]], fresh: list[list[Any]]) -> list[list[Any]] | None:
        """The sample with the fresh rows in it, or None when it stays as it was."""
        if len(known) >= self._sample:
            fresh = [row for row in fresh if row < known[-1]]
        if not fresh:
            return None
        of: dict[int, int] = {}
        kept = []
        for row in sorted(known + fresh):
            of[row[1]] = of.get(row[1], 0) + 1
            if of[row[1]] <= max(1, self._sample // SHARE):
                kept.append(row)
        return kept[: self._sample]

    def _roll(self, today: dict[str, Any]) -> None:
        """The day is over: its sample joins the past, the oldest day leaves, and a new table is frozen."""
        self._past.put(f"{self._group}\x1e{today['day']:08d}", today["rows"])
        self._today.delete(self._group)
        for key, day in self._days_kept():
            if day <= today["day"] - self._days:
                self._past.delete(key)
        self._freeze()

    def _days_kept(self) -> list[tuple[str, int]]:
        found = ((key, key.rpartition("\x1e")) for key in self._past)
        return sorted((key, int(day)) for key, (group, _, day) in found if group == self._group)

    def _freeze(self) -> None:
        today = self._today.get(self._group, {"rows": []})["rows"]
        past = (self._past.get(key) for key, _ in self._days_kept())
        rows = [row[2:] for row in chain(*past, today)]
        if len(rows) >= self._minimum:
            digest = _digest(msgspec.msgpack.encode(rows)).hex()
            self._frozen.put(self._group, {"digest": digest, "rows": rows})


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()
