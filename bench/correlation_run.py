"""One measurement of correlations in a process of its own; one line of JSON out.

`python -m bench.correlation_run PART JSON`: parts are the functions below, JSON their arguments.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from almena.bus import HITS, Session, Step, open_bus
from almena.correlate import drive
from almena.heap import settle
from almena.state import State
from bench.correlation_load import START, TIMESPAN, Load, One, Role, Watch, resident
from bench.engine_core import pin

ROOM = 8_000_000
"""Groups that state has room for, so that none has to leave."""

_BUS_GROUP = "correlate"


class Speed(msgspec.Struct):
    """What hits cost: seconds of processor time of each round, all rounds of as many hits."""

    hits: int
    work: list[float] = []
    """`drive` or `Correlate.step`."""
    changes: list[float] = []
    """Encoding what changed, at the end of each step."""
    out: int = 0
    """Alerts (of `drive`, their revisions) in all rounds."""
    live: int = 0
    """Groups that are remembered at the end."""
    encoded: int = 0
    """Bytes of the largest value that was encoded in a step."""


class Filled(msgspec.Struct):
    """A state with many groups, written step by step."""

    groups: int
    bytes: int
    """Keys and values as they are saved."""
    memory: int
    """Bytes by which the process grew."""
    step: list[float] = []
    """Processor seconds of a step of hits of different groups."""
    encode: list[float] = []
    """Processor seconds to encode what it changed."""
    commit: list[float] = []
    """Seconds by the clock to commit that on the bus."""
    hits: int = 0
    """Hits of each such step."""
    entries: int = 0
    """Entries that such a commit writes."""
    database: int = 0
    """Bytes of the bus's file."""


class Restored(msgspec.Struct):
    """A state brought back."""

    groups: int
    read: float
    """Seconds by the clock from the bus to a snapshot."""
    open: float
    """From there to a role that works."""
    first: float
    """Its first step, of one hit."""
    memory: int
    """Bytes by which the process grew."""


def _even(hits: int, groups: int, spacing: int, start: int, seed: int) -> Iterator[One]:
    """Hits at random over groups, values and sizes, evenly spaced."""
    choose = random.Random(seed)
    for number in range(hits):
        yield One(start + number * spacing, choose.randrange(groups), choose.randrange(20), choose.randrange(1_000))


def operator(
    groups: int,
    hits: int,
    rounds: int,
    busy: bool,
    whole: bool,
    kind: str = "event_count",
    condition: str = "{gte: 10}",
) -> Speed:
    """Hits at random over live groups: two for each in a timespan, or where `busy` as many as alert.

    `whole`: the role, from records of the bus on; otherwise `drive` alone. Warm: every group has been seen.
    """
    load = Load(kind, condition, ROOM)
    spacing = max(TIMESPAN // (hits * rounds if busy else 2 * groups), 1)
    measure = _Measure(load, whole, hits)
    warm = max(groups, min(hits, 20_000))
    for step in load.steps(One(START + number * spacing, number % groups) for number in range(warm)):
        measure.take(step)
    settle()
    for number in range(rounds):
        begin = START + (warm + number * hits) * spacing
        measure.round(list(load.steps(_even(hits, groups, spacing, begin, number))))
    return measure.found()


def window(kind: str, condition: str, inside: int, distinct: int, hits: int, rounds: int, high: int = 0) -> Speed:
    """One group whose window holds `inside` hits, of `distinct` different values, through `drive` alone.

    Sizes are from 0 to 999; every hundredth is 1,000 more than `high` where that is given.
    """
    load = Load(kind, condition, ROOM)
    spacing = max(TIMESPAN // inside, 1)
    measure = _Measure(load, False, hits)
    for step in load.steps(_values(inside, distinct, spacing, START, -1, high)):
        measure.take(step)
    settle()
    for number in range(rounds):
        begin = START + (inside + number * hits) * spacing
        measure.round(list(load.steps(_values(hits, distinct, spacing, begin, number, high))))
    return measure.found()


def _values(hits: int, distinct: int, spacing: int, start: int, seed: int, high: int) -> Iterator[One]:
    """Hits of one group; the values come one after the other, so that a window has them all."""
    choose = random.Random(seed)
    for number in range(hits):
        place = (start - START) // spacing + number
        size = choose.randrange(1_000)
        yield One(start + number * spacing, 1, place % distinct, high + size if high and size < 100 else size)


class _Measure:
    """Takes steps of hits, and times rounds of them."""

    def __init__(self, load: Load, whole: bool, hits: int) -> None:
        self._load, self._state = load, State()
        self._role = Role([load.operator]) if whole else None
        self._speed = Speed(hits)

    def take(self, hits: list[Any]) -> tuple[float, float, int]:
        """One step, and what changed; the processor seconds of both, and how much came out."""
        records = self._role.records(hits) if self._role is not None else []
        watch = Watch()
        if self._role is not None:
            out = sum(map(len, self._role.step(records).values()))
        else:
            out = sum(1 for _ in drive(self._load.operator, hits, hits[-1].time, self._state))
        worked = watch.cpu
        changes = (self._role or self._state).changes()
        encoded = watch.cpu - worked
        self._speed.encoded = max(map(len, filter(None, changes.values())), default=0)
        return worked, encoded, out

    def round(self, steps: list[list[Any]]) -> None:
        """One round of steps."""
        taken = [self.take(step) for step in steps]
        self._speed.work.append(sum(work for work, _, _ in taken))
        self._speed.changes.append(sum(encoded for _, encoded, _ in taken))
        self._speed.out += sum(out for _, _, out in taken)

    def found(self) -> Speed:
        """What it came to."""
        states = self._role.partition.states() if self._role is not None else iter([self._state])
        for state in states:
            if state.name != "correlate":
                self._speed.live = sum(len(table) for name, table in state._tables.items() if name.startswith("tier"))
        return self._speed


def _session(folder: str) -> Session:
    """The correlate role's place at the bus of a folder."""
    session = open_bus(f"sqlite:{folder}/bus.sqlite").session(HITS, group=_BUS_GROUP, member="bench")
    session.poll(1, 0)
    return session


def fill(folder: str, groups: int, hits: int, rounds: int) -> Filled:
    """One hit for each of so many groups, committed step by step; then steps of `hits` hits of different groups."""
    load = Load("event_count", "{gte: 10}", ROOM)
    session = _session(folder)
    role = Role([load.operator])
    spacing = max(TIMESPAN // (2 * groups), 1)
    settle()
    before = resident()
    for step in load.steps(One(START + number * spacing, number) for number in range(groups)):
        role.step(role.records(step))
        session.commit({0: Step(0, {}, role.changes())})
    grown = resident() - before
    found = Filled(groups, sum(state.size() for state in role.partition.states()), grown, hits=hits)
    choose = random.Random(1)
    for number in range(rounds):
        begin = START + (groups + number * hits) * spacing
        some = choose.sample(range(groups), hits)
        (step,) = load.steps((One(begin + place * spacing, group) for place, group in enumerate(some)), hits)
        records = role.records(step)
        watch = Watch()
        role.step(records)
        found.step.append(watch.cpu)
        watch = Watch()
        changes = role.changes()
        found.encode.append(watch.cpu)
        watch = Watch()
        session.commit({0: Step(0, {}, changes)})
        found.commit.append(watch.wall)
        found.entries = len(changes)
    session.close()
    found.database = sum(path.stat().st_size for path in Path(folder).iterdir())
    return found


def restore(folder: str, groups: int) -> Restored:
    """What `fill` wrote, brought back into a role that takes a hit of a group it knows."""
    load = Load("event_count", "{gte: 10}", ROOM)
    session = _session(folder)
    settle()
    before = resident()
    watch = Watch()
    snapshot = session.restore(0)
    read = watch.wall
    role = Role([load.operator], snapshot.state)
    opened = watch.wall
    del snapshot
    last = START + TIMESPAN
    records = role.records([load.hit(One(last, groups // 2))])
    watch = Watch()
    role.step(records)
    first = watch.wall
    session.close()
    states = {state.name: state for state in role.partition.states()}
    known = sum(len(table) for state in states.values() for name, table in state._tables.items() if name[:4] == "tier")
    if known < groups:
        raise RuntimeError(f"{known} groups came back of {groups}")
    return Restored(known, read, opened - read, first, resident() - before)


PARTS: Mapping[str, Callable[..., Any]] = {"operator": operator, "window": window, "fill": fill, "restore": restore}


def start(part: Callable[..., Any], **arguments: Any) -> Any:
    """Run one of these functions in a process of its own, on one core; raises CalledProcessError."""
    kind: type = part.__annotations__["return"]
    command = [sys.executable, "-m", "bench.correlation_run", part.__name__, msgspec.json.encode(arguments).decode()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return msgspec.json.decode(done.stdout, type={it.__name__: it for it in (Speed, Filled, Restored)}[str(kind)])


def main() -> None:
    """Measure what the command line names."""
    pin()
    _, part, arguments = sys.argv
    found = PARTS[part](**msgspec.json.decode(arguments))
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
