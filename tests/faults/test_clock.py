"""A clock that is set back or forward by an hour: nothing is lost or doubled, and what it makes late is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from almena.alert import Alert
from almena.bus import ALERTS, EVENTS, HITS, LEDGER, Position, Record
from almena.bus.sqlite import SqliteBus
from almena.clock import HOUR, MINUTE, SECOND, format_time
from almena.correlate import Correlate
from almena.detect import MARKER, Detect
from almena.event import Event, encode, event_time
from almena.hit import Hit
from almena.stage import Stage
from almena.state import Partition, State

START = 1_790_000_000 * SECOND


class Single:
    """An alert of every event, and a hit."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        for event in events:
            yield {"almena.alert.id": f"single {event['event.id']}"}
            yield Hit(event_time(event), event["event.id"], "three", "group")


class Three:
    """An alert when three hits fall into ten seconds."""

    name, version, depth = "three", "1", 0

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        table = state.table("times", limit=10)
        for hit in hits:
            times = [time for time in table.get(hit.group, []) if hit.time - time <= 10 * SECOND]
            assert all(time <= hit.time for time in times), "hits out of order"
            times.append(hit.time)
            if len(times) == 3:
                yield {"almena.alert.id": f"three {hit.id}"}
                times = []
            table.put(hit.group, times)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        yield from ()


class World:
    """A machine whose clock is wrong by `skew`; its events carry the same wrong time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.true = START
        self.skew = 0
        monkeypatch.setattr("almena.bus.sqlite.now", lambda: self.true + self.skew)
        self.bus = SqliteBus(":memory:", partitions=2)
        self.sent = 0
        self.detect = Stage("detect", self.bus.session(EVENTS, group="detect", member="d"), self._detect)
        self.correlate = Stage("correlate", self.bus.session(HITS, group="correlate", member="c"), self._correlate)

    def _detect(self, partition: int, state: Partition) -> Detect:
        return Detect(partition, state, selectors=[Single()], hit_partitions=2, lateness={}, seal=bytes.hex)

    def _correlate(self, partition: int, state: Partition) -> Correlate:
        return Correlate(partition, state, operators={"three": Three()}, event_partitions=2)

    def run(self, seconds: int) -> None:
        """Three quick events a minute, and markers every second, as collect sends them."""
        for second in range(seconds):
            self.true += SECOND
            if second % 60 in (10, 12, 14):
                event = {"@timestamp": format_time(self.true + self.skew), "event.id": f"s:l:{self.sent}"}
                headers = {"source": "s", "agency": "a", "lane": "l", "seq": str(self.sent)}
                self.bus.append(EVENTS, [Record("s/l", encode(event), headers)])
                self.sent += 1
            self.bus.append(EVENTS, [Record("", b"", {MARKER: "idle"}, number) for number in range(2)])
            if second % 10 == 0:
                self.work()

    def work(self) -> None:
        for stage in (self.detect, self.correlate):
            while stage.step(0.0):
                pass

    def end(self) -> tuple[Counter[str], Counter[str], dict[str, int]]:
        """Single alerts, window alerts, and what was counted."""
        self.bus.append(EVENTS, [Record("", b"", {MARKER: "end"}, number) for number in range(2)])
        self.work()
        keys = [item.key for p in range(2) for item in self.bus.read(Position(ALERTS, p, 0), 100_000)]
        told = [item.value for p in range(2) for item in self.bus.read(Position(LEDGER, p, 0), 100_000)]
        last = {(entry["source"], entry["partition"]): entry for entry in map(msgspec.json.decode, told)}
        totals = {name: sum(entry[name] for entry in last.values()) for name in ("events", "repeats", "late", "future")}
        single = Counter(key for key in keys if key.startswith("single"))
        return single, Counter(key for key in keys if key.startswith("three")), totals


@pytest.mark.parametrize("step", [HOUR, -HOUR, 10 * SECOND, -10 * SECOND, -2 * SECOND])
def test_a_clock_that_is_set_while_events_come(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    world = World(monkeypatch)
    world.run(5 * 60)
    world.skew = step
    world.run(70 * 60)
    single, windows, totals = world.end()
    assert totals["events"] == world.sent == 225
    assert totals["repeats"] == totals["future"] == 0
    assert single == Counter(f"single s:l:{number}" for number in range(world.sent)), "each once, late or not"
    # Set back, append time stands still until the clock has caught up: what comes meanwhile is late, and said so.
    assert totals["late"] == (180 if step == -HOUR else 0)
    assert set(windows.values()) == {1}
    assert len(windows) == 75 - totals["late"] // 3


def test_a_sender_whose_clock_is_ahead_or_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr("almena.bus.sqlite.now", lambda: world.true)
    for skew in (HOUR, -HOUR, 4 * MINUTE):
        world.skew = skew
        world.run(10 * 60)
    single, windows, totals = world.end()
    assert totals == {"events": 90, "repeats": 0, "late": 30, "future": 30}
    assert sum(single.values()) == len(single) == 90
    assert set(windows.values()) == {1}
    assert len(windows) == 20, "all but the late"
