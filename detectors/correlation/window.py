"""The interface of a correlation's window: what it remembers of one group, and when its condition holds."""

from __future__ import annotations

from typing import Any, Protocol

from detectors.correlation.signals import Found, Reached, Signal

EXACT = 10_000
"""Hits, values or distinct values of one window that are remembered one by one; beyond it panes are."""


class Window(Protocol):
    """One kind of window; it has no state of its own, a group's `memory` has it.

    Signals come in order. `close` is called before any signal later than `due`.
    """

    by_match: bool
    """True where an episode goes on by what is found alone, False where every further hit belongs to it."""

    def open(self) -> Any:
        """The memory of a new group."""

    def feed(self, memory: Any, signal: Signal) -> Found | None:
        """Take one signal; what holds with it, if anything does."""

    def due(self, memory: Any) -> int | None:
        """The event time that has to pass before something that waits can be decided."""

    def close(self, memory: Any, now: int) -> Found | None:
        """Decide what was due before `now`; called until nothing is."""

    def measure(self, memory: Any) -> tuple[int | float, float] | None:
        """What a window with hits comes to and how far off that may be (relative), where it is no count."""

    def idle(self, memory: Any) -> bool:
        """Whether nothing is remembered: a new memory would do as well."""

    def nearness(self, memory: Any) -> float:
        """How near the condition is to hold, 0 to 1, as far as that can be told at once."""

    def reached(self, memory: Any, now: int) -> Reached | None:
        """How far it has come at event time `now`; None where nothing counts."""

    def dump(self, memory: Any) -> Any:
        """The memory as plain values."""

    def load(self, stored: Any) -> Any:
        """The memory back from plain values."""
