"""The memory of correlations in figures: how large it is, what it forgot, how far event time lies behind."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from almena.clock import HOUR, MINUTE, SECOND
from almena.console.i18n import mark, speaker
from almena.metrics import read

log = logging.getLogger("almena.console")

SLOW = 600.0
"""Seconds that event time lies behind the clock from which on that is a problem, unless it was so an hour ago."""

PROBLEMS = {
    "forgotten": mark(
        "La memoria de correlación está llena: en la última hora se olvidaron {count} grupos de «{rule}»; "
        "puede faltar una alerta. Quizá alguien inunda a propósito."
    ),
    "damaged": mark("Se dañó parte de la memoria de «{rule}»: {count} valores no se pudieron leer y se olvidaron."),
    "slow": mark("Las ventanas de la partición {partition} se atrasan: la hora de los eventos va {minutes} min atrás."),
}
"""What is said about each kind of trouble."""

_SERIES = {
    "almena_correlation_state_entries": "entries",
    "almena_correlation_state_bytes": "size",
    "almena_correlation_evictions_total": "forgotten",
    "almena_state_damaged_total": "damaged",
    "almena_correlation_pending_hits": "pending",
    "almena_watermark_delay_seconds": "delay",
}
_FRESH = 10 * SECOND
_APART = MINUTE

Counts = dict[str, float]


@dataclass
class Figures:
    """The memory at one moment, of all correlate processes together."""

    entries: float = 0
    size: float = 0
    """Bytes."""
    forgotten: Counts = field(default_factory=dict)
    """Groups that left for lack of room since Almena started, by correlation or model."""
    damaged: Counts = field(default_factory=dict)
    """Values that could not be read, likewise."""
    pending: Counts = field(default_factory=dict)
    """Hits that wait for event time to pass them, by partition."""
    delay: Counts = field(default_factory=dict)
    """Seconds that event time lies behind the clock, by partition."""
    lately: Counts = field(default_factory=dict)
    """What was forgotten within the last hour."""
    lately_damaged: Counts = field(default_factory=dict)
    drifts: frozenset[str] = frozenset()
    """Partitions whose event time is far behind, and further than an hour ago."""

    def partitions(self) -> list[str]:
        """Every partition that something is known of."""
        return sorted({*self.pending, *self.delay}, key=lambda name: (len(name), name))

    def problems(self, language: str, titles: Mapping[str, str]) -> list[str]:
        """What is wrong, in words; `titles` are rules by id."""
        say = speaker(language)
        found, slow = [], PROBLEMS["slow"]
        for kind, counts in (("forgotten", self.lately), ("damaged", self.lately_damaged)):
            for rule, count in sorted(counts.items()):
                found.append(say(PROBLEMS[kind]).format(count=f"{count:,.0f}", rule=titles.get(rule, rule)))
        for partition in sorted(self.drifts):
            minutes = f"{self.delay[partition] / 60:,.0f}"
            found.append(say(slow).format(partition=partition, minutes=minutes))
        return found


class Memory:
    """Reads the figures from the metrics that all processes share, at most every ten seconds."""

    def __init__(self, metrics: Callable[[], bytes], clock: Callable[[], int]) -> None:
        """`metrics` gives Prometheus text, `clock` microseconds."""
        self._metrics, self._clock = metrics, clock
        self._lock = threading.Lock()
        self._asked = -_FRESH
        self._figures = Figures()
        self._before: deque[tuple[int, Figures]] = deque(maxlen=HOUR // _APART)

    def figures(self) -> Figures:
        """The figures as they are now, or were ten seconds ago."""
        with self._lock:
            now = self._clock()
            if now - self._asked >= _FRESH:
                self._asked = now
                try:
                    self._figures = self._ask(now)
                except Exception as error:  # a file of counts that was torn: the figures before stay
                    log.warning("the figures of the memory cannot be read: %r", error)
            return self._figures

    def _ask(self, now: int) -> Figures:
        found = figures_in(self._metrics())
        while self._before and self._before[0][0] < now - HOUR:
            self._before.popleft()
        # Before this console looked for the first time, nothing is known: all of it may be of the last hour.
        start = self._before[0][1] if self._before else Figures()
        found.lately = _grown(start.forgotten, found.forgotten)
        found.lately_damaged = _grown(start.damaged, found.damaged)
        late = {name for name, seconds in found.delay.items() if seconds > SLOW}
        found.drifts = frozenset(name for name in late if found.delay[name] > start.delay.get(name, 0) + SLOW / 10)
        if not self._before or now - self._before[-1][0] >= _APART:
            self._before.append((now, found))
        return found


def figures_in(text: bytes) -> Figures:
    """The figures in Prometheus text."""
    found = Figures()
    for name, labels, value in read(text, *_SERIES):
        kept = getattr(found, _SERIES[name])
        if isinstance(kept, dict):
            label = labels.get("detector", labels.get("partition", "")).partition("@")[0]
            kept[label] = kept.get(label, 0) + value
        else:
            setattr(found, _SERIES[name], kept + value)
    return found


def _grown(before: Counts, now: Counts) -> Counts:
    """What came since; a count that fell has begun anew."""
    grown = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: more if more >= 0 else now[name] for name, more in grown.items() if more}
