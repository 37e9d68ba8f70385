"""Detect and correlate as members that are refused, killed, fenced and replaced at any operation: the same alerts."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from almena.alert import Alert
from almena.bus import ALERTS, EVENTS, HITS, LEDGER, Position, Record, Stored
from almena.bus.sqlite import SqliteBus
from almena.clock import SECOND, format_time
from almena.correlate import Correlate
from almena.detect import MARKER, Detect
from almena.errors import BusError, Fenced
from almena.event import Event, encode, event_time
from almena.hit import Hit
from almena.stage import Stage
from almena.state import Partition, State

START = 1_790_000_000 * SECOND


class Died(BaseException):
    """The process was killed here."""


class FaultyBus(SqliteBus):
    """A bus whose every operation may be refused, be the last thing a process did, or find it stopped for long."""

    faults = 0

    def __init__(self, chance: random.Random, **options: Any) -> None:
        self.chance = chance
        self.meanwhile: Callable[[], None] = lambda: None
        super().__init__(":memory:", **options)

    def fails(self) -> bool:
        failing = self.faults > 0 and self.chance.random() < 0.2
        self.faults -= failing
        return failing

    def fail(self, *kinds: type[BaseException]) -> None:
        if self.fails():
            raise self.chance.choice(kinds)("fault")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        if self.fails():
            self.meanwhile()
        self.fail(BusError, Died)
        with super().transaction() as db:
            yield db
            self.fail(sqlite3.OperationalError, Died)
        self.fail(Died)

    def scan(self, position: Position, limit: int) -> Any:
        self.fail(BusError, Died)
        return super().scan(position, min(limit, self.chance.randint(1, 6)))


class Single:
    """A selector: an alert of every tenth event, a hit of every event."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        for event in events:
            number = int(event["event.id"].rpartition(":")[2])
            if number % 10 == 0:
                yield {"almena.alert.id": f"single {number}", "@timestamp": event["@timestamp"]}
            yield Hit(event_time(event), event["event.id"], "pairs", str(event["user.name"]))


class Pairs:
    """An operator: an alert on two hits of a user within 10 s, and one when a user is silent for 30 s."""

    name, version, depth = "pairs", "1", 0

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        last = state.table("last", limit=1000)
        for hit in hits:
            before = last.get(hit.group)
            assert before is None or before <= hit.time, "hits out of order"
            if before is not None and hit.time - before <= 10 * SECOND:
                yield {"almena.alert.id": f"pair {hit.group} {before} {hit.time} {hit.id}"}
            last.put(hit.group, hit.time)
            state.wake(hit.group, hit.time + 30 * SECOND)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        for key in due:
            yield {"almena.alert.id": f"silence {key} {now}"}


@dataclass
class Clock:
    """The clocks of all processes: the one people set, and the one that only runs."""

    wall: int = START
    running: float = 1_000.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.running


@dataclass
class Member:
    """A process that is started again whenever it died."""

    bus: FaultyBus
    topic: str
    group: str
    name: str
    open_work: Callable[[int, Partition], Any]
    ends: Counter[str] = field(default_factory=Counter)
    stage: Stage | None = None
    busy: bool = False

    def step(self) -> None:
        self.busy = True
        try:
            if self.stage is None:
                session = self.bus.session(self.topic, group=self.group, member=self.name)
                self.stage = Stage(self.group, session, self.open_work)
            self.stage.step(timeout=0.0)
        except (Died, Fenced, BusError) as end:  # BusError: refused while it started
            self.ends[type(end).__name__] += 1
            self.stage = None
        finally:
            self.busy = False


@contextmanager
def clocks() -> Iterator[Clock]:
    """Clocks of our own, and refusals that are not waited out."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("almena.bus.sqlite.now", clock.now)
        patch.setattr("almena.bus.sqlite_session.monotonic", clock.monotonic)
        patch.setattr("almena.stage._FIRST_PAUSE", 0.0)
        yield clock


def send(bus: SqliteBus, clock: Clock, times: Sequence[tuple[int, str, bool]]) -> None:
    """Append events in order of time, some of them twice."""
    clock.wall = START
    for number, (second, user, twice) in enumerate(sorted(times)):
        clock.wall = START + second * SECOND
        event: Event = {"@timestamp": format_time(clock.wall), "event.id": f"s:{number}", "user.name": user}
        headers = {"source": "s", "agency": "a", "lane": f"l{number}", "seq": "0"}
        record = Record(f"s/l{number}", encode(event | {"event.id": f"s:l:{number}"}), headers)
        bus.append(EVENTS, [record] * (2 if twice else 1))
    bus.append(EVENTS, [Record("", b"", {MARKER: "end"}, number) for number in range(bus.partitions(EVENTS))])


@dataclass
class Outcome:
    alerts: Counter[str]
    totals: dict[str, int]
    ends: Counter[str]


def play(times: Sequence[tuple[int, str, bool]], *, seed: int, faults: int, members: int) -> Outcome:
    """Detect and correlate over what was sent at `times`, with so many faults; what came of it."""
    chance = random.Random(seed)
    bus = FaultyBus(chance, partitions=3)

    def detect(partition: int, state: Partition) -> Detect:
        return Detect(partition, state, selectors=[Single()], hit_partitions=3, lateness={}, seal=bytes.hex)

    def correlate(partition: int, state: Partition) -> Correlate:
        return Correlate(partition, state, operators={"pairs": Pairs()}, event_partitions=3)

    processes = [Member(bus, EVENTS, "detect", f"detect{number}", detect) for number in range(members)]
    processes += [Member(bus, HITS, "correlate", f"correlate{number}", correlate) for number in range(members)]
    with clocks() as clock:

        def stopped() -> None:
            clock.running += bus.lease + 1
            for _ in range(4):
                if idle := [process for process in processes if not process.busy]:
                    chance.choice(idle).step()

        bus.meanwhile = stopped
        send(bus, clock, times)
        bus.faults = faults
        for _ in range(20_000):
            clock.running += chance.choice([0.0, 0.3, 1.1, 1.1, bus.lease / 2, bus.lease + 1])
            chance.choice(processes).step()
            if not any(bus.lag(EVENTS, "detect").values()) and not any(bus.lag(HITS, "correlate").values()):
                break
        else:
            raise AssertionError("never done")
    bus.faults = 0
    alerts = [item.key for partition in range(3) for item in everything(bus, ALERTS, partition)]
    return Outcome(Counter(alerts), totals(bus), sum((process.ends for process in processes), Counter()))


def everything(bus: SqliteBus, topic: str, partition: int) -> Sequence[Stored]:
    return SqliteBus.scan(bus, Position(topic, partition, 0), 1_000_000)[0]


def totals(bus: SqliteBus) -> dict[str, int]:
    """The last totals of every partition, added up, as the desk stores them."""
    last: dict[int, dict[str, Any]] = {}
    for partition in range(3):
        for item in everything(bus, LEDGER, partition):
            entry = msgspec.json.decode(item.value)
            last[entry["partition"]] = entry
    return {name: sum(entry[name] for entry in last.values()) for name in ("events", "repeats", "late")}


@examples(30)
@given(seed=st.integers(0, 2**32))
def test_alerts_and_totals_are_those_of_the_run_without_faults(seed: int) -> None:
    chance = random.Random(seed)
    times = [(chance.randrange(200), chance.choice("abcd"), chance.random() < 0.3) for _ in range(80)]
    calm = play(times, seed=seed, faults=0, members=1)
    rough = play(times, seed=seed, faults=300, members=chance.randint(1, 3))
    assert calm.ends == Counter()
    assert rough.ends["Died"] > 10
    assert rough.alerts == calm.alerts
    assert set(rough.alerts.values()) <= {1}
    assert rough.totals == calm.totals == {"events": len(times), "repeats": sum(t[2] for t in times), "late": 0}
