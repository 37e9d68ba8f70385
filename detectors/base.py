"""What a detector is: a pure choice of facts from events, and a pure judgement over them in event time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from almena.alert import Alert
from almena.event import Event
from almena.hit import Hit
from almena.state import State


class Selector(Protocol):
    """The stateless half, in the detect role: sees every event once, in any order."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        """Alerts that one event suffices for, and hits for operators.

        Each event has `@timestamp`, `event.ingested`, `event.id` and `organization.id`. Never reads a clock,
        never raises for what an event contains.
        """


class Operator(Protocol):
    """The stateful half, in the correlate role: sees its hits in (time, id) order, once."""

    @property
    def name(self) -> str:
        """What `Hit.detector` says to reach it."""

    @property
    def version(self) -> str:
        """Changes when its settings or its rule change; state of another version is forgotten."""

    @property
    def depth(self) -> int:
        """0 when its hits are of events alone; one more than the highest operator whose results it reads otherwise."""

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        """Take hits in order; they may be cut into calls anywhere without changing the final alerts.

        A hit that comes out is a result for an operator of a higher level; its time is that of the moment at which
        it became known, never earlier.
        """

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        """Event time has passed what `state.wake(key, at)` asked for; `due` are those keys, `now` is that `at`.

        Called in time order with `observe`: before any hit later than `now`.
        """


class Detector(Selector, Operator, Protocol):
    """Both halves in one component, as anomaly detectors have them."""
