"""A correlator with a million live groups is killed with -9 and comes back: how long until it commits again.

`python -m bench.cluster_recovery JSON` is one life of the correlator, which works until it is killed.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from almena.bus import HITS, Step
from almena.bus.kafka import open_kafka
from almena.bus.settings import KafkaSettings
from almena.clock import SECOND
from almena.heap import settle
from almena.stage import LARGEST_STEP
from bench.cluster_place import Place
from bench.cluster_report import Section, Table, say, span
from bench.correlation_load import START, TIMESPAN, Load, One, Role, resident
from bench.correlation_run import ROOM

GROUPS = 1_000_000

_GROUP, _MEMBER = "correlate", "bench"
_APART = 10_000
"""Microseconds of event time between two steps."""
_WORKING = 0.5
"""Seconds that a correlator goes on before it is killed, in the middle of some step."""


class Life(msgspec.Struct):
    """What to do, and when it was said (seconds of the monotonic clock, which all processes share)."""

    url: str
    prefix: str
    groups: int
    number: int
    """How many lives there were before."""
    began: float


PARTS = (
    "to start the process",
    "to join the group under the same name",
    "to end what was left open and read the state",
    "to open a correlator on it",
    f"its first step, of {LARGEST_STEP:,} hits of different groups",
    "to commit that",
)
"""What a correlator does from its start to its first committed step."""

_READ, _OPEN = 2, 3


class Back(msgspec.Struct):
    """Seconds by the clock from the start of the process to the first committed step, by part."""

    parts: list[float]
    """As in `PARTS`."""
    groups: int
    entries: int
    """Entries of state that were read."""
    bytes: int
    """Keys and values of them."""
    cpu: float
    """Seconds of the processor of the whole of it."""
    memory: int
    """Bytes that the process holds afterwards."""

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.parts)


def live(life: Life) -> None:
    """Join, restore, fill where nothing is there yet, commit a step, tell, and go on until killed."""
    load = Load("event_count", "{gte: 10}", ROOM)
    spacing = max(TIMESPAN // (2 * life.groups), 1)
    settings = KafkaSettings(prefix=life.prefix)
    marks = [life.began, time.monotonic()]
    bus = open_kafka(life.url, settings, partitions=1, name=_MEMBER)
    session = bus.session(HITS, group=_GROUP, member=_MEMBER)
    while not session.poll(1, 1.0).gained:
        pass
    marks.append(time.monotonic())
    snapshot = session.restore(0)
    marks.append(time.monotonic())
    settle()
    role = Role([load.operator], snapshot.state)
    marks.append(time.monotonic())
    entries, size = len(snapshot.state), sum(len(key) + len(value) for key, value in snapshot.state.items())
    del snapshot
    turn = 0
    if not entries:
        for step in load.steps(One(START + number * spacing, number) for number in range(life.groups)):
            role.step(role.records(step))
            session.commit({0: Step(0, {}, role.changes())})
        marks[-1] = time.monotonic()
    choose = random.Random(entries)
    while True:
        # Later than whatever was committed before, and so early that no group has been forgotten.
        begin = START + TIMESPAN // 2 + life.number * SECOND + turn * _APART
        some = choose.sample(range(life.groups), min(LARGEST_STEP, life.groups))
        role.step(role.records([load.hit(One(begin + place, group)) for place, group in enumerate(some)]))
        stepped = time.monotonic()
        session.commit({0: Step(0, {}, role.changes())})
        if turn == 0:
            marks += [stepped, time.monotonic()]
            parts = [after - before for before, after in pairwise(marks)]
            back = Back(parts, _known(role), entries, size, time.process_time(), resident())
            sys.stdout.buffer.write(msgspec.json.encode(back) + b"\n")
            sys.stdout.flush()
        turn += 1


def _known(role: Role) -> int:
    states = {state.name: state for state in role.partition.states()}
    return sum(len(table) for state in states.values() for name, table in state._tables.items() if name[:4] == "tier")


def _life(place: Place, prefix: str, groups: int, number: int) -> Back:
    """One life, ended by SIGKILL in the middle of its work."""
    life = Life(f"kafka://{place.kafka}", prefix, groups, number, time.monotonic())
    command = [sys.executable, "-m", "bench.cluster_recovery", msgspec.json.encode(life).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the correlator ended with {process.wait()}")
            time.sleep(_WORKING)
        finally:
            process.send_signal(signal.SIGKILL)
    return msgspec.json.decode(line, type=Back)


def recovery(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """Fill once, then as often as there are rounds kill and come back under the same name, at once."""
    groups, prefix = max(int(GROUPS * scale), 1_000), place.name()
    first = _life(place, prefix, groups, 0)
    say([f"filled {groups:,} groups", f"{first.parts[_OPEN]:.0f} s"])
    found = []
    for number in range(rounds):
        found.append(_life(place, prefix, groups, number + 1))
        if found[-1].groups < groups:
            raise RuntimeError(f"{found[-1].groups:,} groups came back of {groups:,}")
        say([f"back after {found[-1].whole:.1f} s", str(found[-1])])
    return Section("Recovery after kill -9", [table(found, first.parts[_OPEN])], rounds)


def table(found: Sequence[Back], filled: float) -> Table:
    """What coming back took, by part."""
    read = [each.bytes / 1e6 / each.parts[_READ] for each in found]
    rows = [
        ["groups", f"{found[0].groups:,}"],
        ["entries of state read, their keys and values, MB", f"{found[0].entries:,}, {found[0].bytes / 1e6:,.0f}"],
        *([f"{name}, s", span([each.parts[number] for each in found], 1)] for number, name in enumerate(PARTS)),
        ["reading, MB/s", span(read, 1)],
        ["**from the start to the first committed step, s**", span([each.whole for each in found], 1)],
        ["processor time of the whole, s", span([each.cpu for each in found], 1)],
        ["memory afterwards, MB", span([each.memory / 1e6 for each in found])],
        ["(to fill it, commit by commit, s)", f"{filled:,.0f}"],
    ]
    return Table(["what", "figure"], rows)


if __name__ == "__main__":
    live(msgspec.json.decode(sys.argv[1], type=Life))
