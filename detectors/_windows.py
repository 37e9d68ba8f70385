"""Sliding windows over ordered signals, remembering no more than it takes to know that a threshold is reached.

A window's state is a plain dict, so that it can be stored; times are microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Mark: TypeAlias = list[Any]
"""A hit as it is remembered: [time, id, fields]."""

Memory: TypeAlias = dict[str, Any]
"""The state of one window of one group; empty at first."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something happened: a rule matched, or a window's condition held."""

    time: int
    first: Mark
    """The earliest hit it rests on."""
    count: int = 1
    """Hits it rests on."""
    value: str = ""
    """`distinct`: the value that is counted."""
    fresh: bool = True
    """False when a window's condition goes on holding."""


def event_of(mark: Mark) -> str:
    """The id of the event behind a hit, which may have matched several rules."""
    return str(mark[1]).rpartition("/")[0]


def count(memory: Memory, signal: Signal, timespan: int, threshold: int) -> Signal | None:
    """At least `threshold` signals within `timespan`; an event that matched several rules is one."""
    if not signal.fresh:
        return None
    marks: list[Mark] = memory.setdefault("marks", [])
    if marks and event_of(marks[-1]) and event_of(marks[-1]) == event_of(signal.first):
        return None
    start = signal.time - timespan
    kept = 0
    while kept < len(marks) and marks[kept][0] < start:
        kept += 1
    del marks[: max(kept, len(marks) - threshold + 1)]
    marks.append([signal.time, *signal.first[1:]])
    return _held(memory, signal, marks[0], len(marks), threshold, timespan, len(marks))


def distinct(memory: Memory, signal: Signal, timespan: int, threshold: int) -> Signal | None:
    """At least `threshold` distinct values within `timespan`: only the values seen last are remembered."""
    seen: dict[str, Mark] = memory.setdefault("seen", {})
    seen.pop(signal.value, None)
    seen[signal.value] = [signal.time, *signal.first[1:], signal.first[0], signal.count]
    start = signal.time - timespan
    while len(seen) > threshold or next(iter(seen.values()))[0] < start:
        del seen[next(iter(seen))]
    oldest = next(iter(seen.values()))
    rested = sum(mark[4] for mark in seen.values())
    return _held(memory, signal, [oldest[3], *oldest[1:3]], len(seen), threshold, timespan, rested)


def _held(
    memory: Memory, signal: Signal, first: Mark, reached: int, threshold: int, timespan: int, rested: int
) -> Signal | None:
    """The condition holds or not; `run` counts the hits of the episode within which it goes on holding."""
    if memory.get("run") and signal.time - memory["last"] > timespan:
        memory["run"] = 0
    memory["last"] = signal.time
    memory["reached"] = reached
    going_on = memory.get("run", 0)
    if going_on:
        memory["run"] = going_on + 1
    elif reached >= threshold:
        memory["run"] = rested
    if reached < threshold:
        return None
    return Signal(signal.time, first, memory["run"], fresh=not going_on)


def ordered(memory: Memory, signal: Signal, timespan: int, steps: Sequence[int], length: int) -> Signal | None:
    """All steps in order within `timespan`; `steps` are the places (from 0) that the signal can take.

    For each place the latest start of a chain that reaches it is remembered: none that starts earlier can do better.
    """
    chains: list[list[Any] | None] = memory.setdefault("chains", [None] * length)
    done: Signal | None = None
    for place in sorted(steps, reverse=True):
        if place == 0:
            chains[0] = [signal.time, signal.first, signal.count]
        else:
            before = chains[place - 1]
            if before is None or signal.time - before[0] > timespan:
                continue
            chains[place] = [before[0], before[1], before[2] + signal.count]
        if place == length - 1:
            _, first, counted = chains[place] or (0, signal.first, 0)
            done = Signal(signal.time, first, counted)
    memory["last"] = signal.time
    memory["reached"] = sum(chain is not None for chain in chains)
    return done
