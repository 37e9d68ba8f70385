"""Detect and correlate together: order, clocks, levels, restarts; the same alerts however it is cut and shared out."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from flow import Appended, Flow
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.alert import Alert
from almena.bus import ALERTS, EVENTS, HITS, LEDGER, Record, Stored
from almena.clock import HOUR, MINUTE, SECOND, format_time
from almena.correlate import Correlate, Operator
from almena.detect import Detect
from almena.event import Event, encode, event_time
from almena.hit import Hit
from almena.state import Partition, State

START = 1_790_000_000 * SECOND


class Kinds:
    """A selector: every event is for pairs of its user, for both clocks together, and for bursts."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit]:
        for item in events:
            time, name, user = event_time(item), item["event.id"], str(item["user.name"])
            yield Hit(time, name, "pairs", user)
            yield Hit(time, name, "both", user, clock=HOUR)
            yield Hit(time, name, "bursts", "even" if user in "ac" else "odd")


class Pairs:
    """An operator that alerts on two hits within 10 s, and on a key's silence of 30 s."""

    name, version, depth = "pairs", "1", 0

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        last = state.table("last", limit=1000)
        for hit in hits:
            before = last.get(hit.group)
            assert before is None or before <= hit.time, "hits out of order"
            if before is not None and hit.time - before <= 10 * SECOND:
                yield {"almena.alert.id": f"pair {hit.group} {before} {hit.time}"}
            last.put(hit.group, hit.time)
            state.wake(hit.group, hit.time + 30 * SECOND)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        for key in due:
            last = state.table("last", limit=1000).get(key)
            assert last == now - 30 * SECOND
            yield {"almena.alert.id": f"silence {key} {now}"}


def event(time: int, number: int, **fields: Any) -> Event:
    return {"@timestamp": format_time(time), "event.id": f"s:l:{number}", **fields}


def detect(partition: int, state: Partition, *, partitions: int, lateness: dict[str, int]) -> Detect:
    return Detect(partition, state, selectors=[Kinds()], hit_partitions=partitions, lateness=lateness, seal=bytes.hex)


def stored(offset: int, time: int, source: str, item: Event) -> Stored:
    headers = {"source": source, "agency": "a", "lane": item["event.id"], "seq": "0"}
    return Stored(EVENTS, 0, offset, time, "", encode(item), headers)


def test_a_damaged_hit_is_counted_and_holds_up_no_other() -> None:
    work = Correlate(0, Partition(), operators={"pairs": Pairs()}, event_partitions=1)
    item = event(START, 0, **{"user.name": "u"})
    hit = detect(0, Partition(), partitions=1, lateness={}).step([stored(0, START, "s", item)])[HITS]
    damaged = [Record("k", b"\xc1"), Record("k", b"\x93\x01"), Record("", b"x", {"watermark": "1"}), *hit]
    outputs = work.step([Stored(HITS, 0, n, START, r.key, r.value, r.headers) for n, r in enumerate(damaged)])
    assert msgspec.json.decode(outputs[LEDGER][-1].value) | {"time": ""} == {
        "kind": "drop",
        "source": "bus.hits",
        "agency": "",
        "reason": "damaged",
        "count": 3,
        "time": "",
    }
    assert work.watermark == START - 5 * SECOND - 1


FEED = 90 * SECOND


class Chained(Pairs):
    """`Pairs` whose findings are results as well: of two users together, so that they cross partitions."""

    def __init__(self, name: str) -> None:
        self.name = name

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        for hit in hits:
            for alert in super().observe([hit], state):
                yield alert
                yield Hit(hit.time, f"{hit.id}/{self.name}", "bursts", "even" if hit.group in "ac" else "odd")

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        for alert in super().advance(now, due, state):
            assert not isinstance(alert, Hit)
            yield alert
            yield Hit(now, str(alert["almena.alert.id"]), "bursts", "odd")


class Bursts:
    """An operator of a higher level: an alert grows by every hit within 30 s, and ends; its end is a result."""

    version = "1"

    def __init__(self, name: str, level: int, asked: int = 0) -> None:
        self.name, self.depth, self.asked = name, level, asked

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        table = state.table("bursts", limit=100)
        for hit in hits:
            seen = [*table.get(hit.group, []), f"{hit.time} {hit.id} {hit.clock}"]
            table.put(hit.group, seen)
            state.wake(hit.group, hit.time + 30 * SECOND)
            yield {"almena.alert.id": f"{self.name} {hit.group} {seen[0]}", "seen": seen}

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        table = state.table("bursts", limit=100)
        for key in due:
            first = table.get(key)[0]
            table.delete(key)
            yield {"almena.alert.id": f"{self.name} {key} {first}", "ended": now}
            if self.name != "tops":
                yield Hit(now, f"{key} {first}", "tops", "all", clock=self.asked)


def operators(asked: int) -> dict[str, Operator]:
    """Three levels; the results of the second ask for a clock."""
    found: list[Operator] = [Bursts("tops", 2), Chained("pairs"), Bursts("bursts", 1, asked), Chained("both")]
    return {item.name: item for item in found}


class Run(Flow):
    """Both roles over toy operators of three levels."""

    def __init__(self, events: Sequence[Appended], *, removed: bool = False, asked: int = 0, **how: Any) -> None:
        """With `removed` the feed leaves the configuration behind the last event: nobody ends its clock."""
        super().__init__(events, [Kinds()], operators(asked), lateness={"feed": FEED}, **how)
        self.removed = removed

    def lateness_at(self, left: int) -> Mapping[str, int]:
        return self.lateness if left or not self.removed else {}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), partitions=st.integers(1, 3), removed=st.booleans())
def test_any_shuffle_within_the_lateness_any_cut_any_sharing_gives_the_same_alerts(
    seed: int, partitions: int, removed: bool
) -> None:
    chance = random.Random(seed)
    straight: list[Appended] = []
    mixed: list[Appended] = []
    for number in range(chance.choice([2, 10, 40])):
        time = START + chance.randrange(120) * SECOND
        source, lateness = chance.choice([("s", 5 * SECOND), ("feed", FEED)])
        item = event(time, number, **{"user.name": chance.choice("abc")})
        straight.append((time, 0, source, item))
        mixed.append((time + chance.randrange(lateness + 1), chance.randrange(3), source, item))
    cuts = [chance.randint(1, 10) for _ in range(20)]
    asked = 0 if removed else chance.choice([0, MINUTE, HOUR])
    with pytest.MonkeyPatch.context() as patch:
        by_time = operator.itemgetter(0)
        plain = Run(sorted(straight, key=by_time), cuts=[1_000], seed=0, partitions=1, asked=asked).play()
        patch.setattr("almena.stage.LARGEST_STEP", chance.choice([10, 30, 2_000]))
        mixed.sort(key=by_time)
        other = Run(mixed, cuts=cuts, seed=seed, partitions=partitions, removed=removed, asked=asked)
        assert other.play() == plain
    assert any(b"tops" in alert for alert in plain)


def test_a_feed_that_comes_hours_late_delays_no_live_window() -> None:
    """Both pairs are seen 5 s after they are complete: of live events by live time, of the feed by its own."""
    work, offset = Correlate(0, Partition(), operators={"pairs": Pairs()}, event_partitions=1), iter(range(1_000))
    reading = detect(0, Partition(), partitions=1, lateness={"feed": 2 * HOUR})
    found: dict[int, list[str]] = {}

    def append(time: int, moment: int, source: str) -> None:
        number = next(offset)
        one = stored(number, time, source, event(moment, number, **{"user.name": "u"}))
        records = reading.step([one])[HITS]
        outputs = work.step([Stored(HITS, 0, 0, time, r.key, r.value, r.headers) for r in records])
        found[time - START] = [record.key for record in outputs.get(ALERTS, [])]

    append(START, START, "s")
    append(START + SECOND, START - HOUR, "feed")
    append(START + 2 * SECOND, START + 2 * SECOND, "s")
    append(START + 3 * SECOND, START - HOUR + SECOND, "feed")
    append(START + 7 * SECOND, START + 7 * SECOND, "s")
    append(START + 8 * SECOND, START + 8 * SECOND, "other")
    append(START + HOUR + SECOND, START + HOUR + SECOND, "s")
    append(START + HOUR + 2 * SECOND, START + HOUR + 2 * SECOND, "s")
    pair = f"pair u {START} {START + 2 * SECOND}"
    feed = f"pair u {START - HOUR} {START - HOUR + SECOND}"
    assert pair in found[8 * SECOND]
    assert [time for time, alerts in found.items() if feed in alerts] == [HOUR + 2 * SECOND]
    assert sum(len(alerts) for alerts in found.values()) >= 4
