"""When more comes of a source than can be taken: its flood begins, costs something, and ends, and each is told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from almena import metrics
from collectors.base import Source

NEAR = 0.9
"""Share of what may wait from which on a flood is announced."""

CALM = 0.5
"""Share below which it recedes."""

QUIET = 10.0
"""Seconds below `CALM` after which a flood is over."""

Stage = Literal["near", "full", "over"]

_LEVELS = {"near": 1, "full": 2, "over": 0}


class Flood(NamedTuple):
    """What is told of a flood."""

    source: Source
    stage: Stage
    since: int
    """When it began, microseconds since 1970 UTC; with the source, its identity."""
    sender: str
    """The address of whom most waited, where that is known."""
    lost: int
    """Records lost to it so far."""


@dataclass(slots=True)
class _Open:
    source: Source
    since: int
    high: float
    sender: str = ""
    lost: int = 0
    full: bool = False


class Floods:
    """The floods of a process, by source."""

    def __init__(self, tell: Callable[[Flood], None]) -> None:
        """`tell` hears of each stage once: near, full, over."""
        self._tell = tell
        self._open: dict[str, _Open] = {}

    def filled(self, source: Source, share: float, lost: int, sender: str, moment: float, now: int) -> None:
        """How full is what waits; `moment` is monotonic, seconds, `now` microseconds since 1970 UTC."""
        found = self._open.get(source.name)
        if found is None:
            if share < NEAR and not lost:
                return
            found = self._open[source.name] = _Open(source, now, moment)
            begins = True
        else:
            begins = False
        if share >= CALM or lost:
            found.high = moment
        found.lost += lost
        found.sender = sender or found.sender
        if not found.full and (lost or share >= 1.0):
            found.full = True
            self._say(found, "full")
        elif begins:
            self._say(found, "near")

    def tick(self, moment: float) -> None:
        """End what has been quiet."""
        for name, found in list(self._open.items()):
            if moment - found.high >= QUIET:
                del self._open[name]
                self._say(found, "over")

    def close(self) -> None:
        """The process ends, and with it every flood."""
        self.tick(float("inf"))

    def _say(self, found: _Open, stage: Stage) -> None:
        metrics.SOURCE_FLOOD.labels(found.source.name).set(_LEVELS[stage])
        self._tell(Flood(found.source, stage, found.since, found.sender, found.lost))
