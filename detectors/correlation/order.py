"""Different rules one after the other within a timespan, in one of several ways; some must not come at their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectors.correlation.signals import Found, Mark, Reached, Signal, plain, restored
from detectors.correlation.together import Wait
from detectors.sigma.pattern import Way


@dataclass(slots=True)
class Chain:
    """The shortest chain of hits that reaches one place of the order."""

    start: int
    """The time of its first hit."""
    first: Mark
    events: int
    barred: int
    """When a rule that must not come before had come last at its start; -1 where none had."""


@dataclass(slots=True)
class Steps:
    """How far one group has come in one way."""

    chains: list[Chain | None]
    barred: int = -1
    """When a rule that must not come before the first came last."""
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class _Path:
    """One way: the rules that occur, and those that must not come before, between and behind them."""

    occur: tuple[str, ...]
    between: tuple[frozenset[str], ...]
    """By place: what must not come before the first, then behind each of the others."""


def _path(way: Way) -> _Path:
    occur: list[str] = []
    between: list[set[str]] = [set()]
    for rule, occurs in way:
        if occurs:
            occur.append(rule)
            between.append(set())
        else:
            between[-1].add(rule)
    return _Path(tuple(occur), tuple(map(frozenset, between)))


class Ordered:
    """Rules in order within a timespan in one of the given ways.

    For each place the chain with the latest start is remembered: none that starts earlier can do better.
    """

    def __init__(self, timespan: int, ways: tuple[Way, ...]) -> None:
        """`timespan` in microseconds; every way has a rule that occurs."""
        self._timespan = timespan
        self._paths = [_path(way) for way in ways]
        self.by_match = any(any(path.between) for path in self._paths)

    def open(self) -> list[Steps]:
        """No step taken."""
        return [Steps([None] * len(path.occur)) for path in self._paths]

    def feed(self, memory: list[Steps], signal: Signal) -> Found | None:
        """Take one hit; the shortest chain that ends with it and need not wait."""
        best: tuple[int, Found] | None = None
        for path, steps in zip(self._paths, memory, strict=True):
            done = self._step(path, steps, signal)
            if done is None:
                continue
            if path.between[-1]:
                self._wait(steps, done, signal)
            elif best is None or done.start > best[0]:
                best = done.start, Found(done.first, count=done.events, value=len(path.occur), occurred=path.occur)
        return best[1] if best is not None else None

    def due(self, memory: list[Steps]) -> int | None:
        """When the next chain that waits comes true."""
        return min((steps.wait.due for steps in memory if steps.wait is not None), default=None)

    def close(self, memory: list[Steps], now: int) -> Found | None:
        """The chain that has waited for long enough."""
        ready = [
            (steps.wait.due, place)
            for place, steps in enumerate(memory)
            if steps.wait is not None and steps.wait.due < now
        ]
        if not ready:
            return None
        place = min(ready)[1]
        wait, memory[place].wait, occur = memory[place].wait, None, self._paths[place].occur
        if wait is None:
            return None
        return Found(wait.first, last=wait.last, count=wait.events, value=len(occur), occurred=occur)

    def measure(self, memory: list[Steps]) -> None:
        """Counts are the episode's."""

    def idle(self, memory: list[Steps]) -> bool:
        """Whether no step was taken."""
        return all(steps.wait is None and steps.barred < 0 and not any(steps.chains) for steps in memory)

    def nearness(self, memory: list[Steps]) -> float:
        """The largest share of the steps of one way that were taken."""
        return max(
            1.0 if steps.wait is not None else sum(chain is not None for chain in steps.chains) / len(steps.chains)
            for steps in memory
        )

    def reached(self, memory: list[Steps], now: int) -> Reached | None:
        """The way that has come furthest; a chain that waits is nearest."""
        best: tuple[float, Reached] | None = None
        for path, steps in zip(self._paths, memory, strict=True):
            if steps.wait is not None:
                return Reached(len(path.occur), steps.wait.events, steps.wait.first.time, steps.wait.due)
            for place, chain in enumerate(steps.chains, 1):
                if chain is None or now - chain.start > self._timespan:
                    continue
                near = place / len(path.occur)
                if best is None or near > best[0]:
                    closes = chain.start + self._timespan
                    best = near, Reached(place, chain.events, chain.start, closes, path.occur[place:])
        return best and best[1]

    def dump(self, memory: list[Steps]) -> list[Any]:
        """Chains by way and place."""
        return [
            [
                [chain and [chain.start, plain(chain.first), chain.events, chain.barred] for chain in steps.chains],
                steps.barred,
                (wait := steps.wait) and [plain(wait.first), plain(wait.last), wait.due, wait.events],
            ]
            for steps in memory
        ]

    def load(self, stored: list[Any]) -> list[Steps]:
        """The same back."""
        return [
            Steps(
                [
                    None if chain is None else Chain(chain[0], restored(chain[1]), chain[2], chain[3])
                    for chain in chains
                ],
                barred,
                None if wait is None else Wait(restored(wait[0]), restored(wait[1]), wait[2], wait[3]),
            )
            for chains, barred, wait in stored
        ]

    def _step(self, path: _Path, steps: Steps, signal: Signal) -> Chain | None:
        """Move the chains of one way on; the whole chain that ends with this hit, if there is one that counts."""
        mark, read, chains = signal.mark, signal.read, steps.chains
        if read in path.between[0]:
            steps.barred = mark.time
        for place, barred in enumerate(path.between[1:-1]):
            if read in barred:
                chains[place] = None
        if read in path.between[-1] and steps.wait is not None and mark.time <= steps.wait.due:
            steps.wait = None
        done: Chain | None = None
        for place in range(len(path.occur) - 1, -1, -1):
            if path.occur[place] != read:
                continue
            if place == 0:
                reached = Chain(mark.time, mark, mark.weight, steps.barred)
            else:
                before = chains[place - 1]
                if before is None or mark.time - before.start > self._timespan:
                    continue
                reached = Chain(before.start, before.first, before.events + mark.weight, before.barred)
            chains[place] = reached
            if place == len(path.occur) - 1:
                done = reached
        free = done is not None and (done.barred < 0 or done.barred < mark.time - self._timespan)
        return done if free else None

    def _wait(self, steps: Steps, done: Chain, signal: Signal) -> None:
        mark = signal.mark
        if steps.wait is None:
            steps.wait = Wait(done.first, mark, done.start + self._timespan, done.events)
        elif not steps.wait.last.same_event(mark):
            steps.wait.events += signal.weight
            steps.wait.last = mark
