"""Detect and correlate together: repeats, lateness, the future, order, restarts; the same alerts however it is cut."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.alert import Alert
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Position, Record, Stored, open_bus
from almena.clock import DAY, HOUR, MINUTE, SECOND, format_time, parse_time
from almena.correlate import Correlate
from almena.detect import MARKER, SKEW, Detect
from almena.event import Event, encode, event_time
from almena.hit import Hit, decode_hit
from almena.stage import Stage
from almena.state import Partition, State

START = 1_790_000_000 * SECOND


class Every:
    """A selector that makes a hit of every event, and an alert of those that ask for it."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        for event in events:
            if event.get("message") == "boom":
                raise ValueError("boom")
            if event.get("message") == "alert":
                yield {"almena.alert.id": "A-" + event["event.id"], "@timestamp": event["@timestamp"]}
            yield Hit(event_time(event), event["event.id"], "pairs", str(event.get("user.name")))


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


def stored(offset: int, time: int, event: Event | None, **headers: str) -> Stored:
    headers = {"source": "s", "agency": "a", "lane": "l", "seq": str(offset)} | headers
    return Stored("events", 0, offset, time, "s/l", b"" if event is None else encode(event), headers)


def event(time: int, number: int, **fields: Any) -> Event:
    return {"@timestamp": format_time(time), "event.id": f"s:l:{number}", **fields}


def detect(state: Partition | None = None, **settings: Any) -> Detect:
    options: dict[str, Any] = {
        "selectors": [Every()],
        "hit_partitions": 1,
        "lateness": {},
        "seal": lambda data: data.hex(),
    }
    return Detect(0, state or Partition(), **(options | settings))


def decoded(outputs: dict[str, list[Record]]) -> list[Hit]:
    return [decode_hit(record.value) for record in outputs.get(HITS, []) if "watermark" not in record.headers]


def hits_of(outputs: dict[str, list[Record]]) -> list[str]:
    return [record.key for record in outputs.get(HITS, []) if "watermark" not in record.headers]


def watermark_of(outputs: dict[str, list[Record]]) -> int:
    return watermarks_of(outputs)[0]


def watermarks_of(outputs: dict[str, list[Record]]) -> dict[int, int]:
    """What was told last, by clock."""
    told = [record for record in outputs[HITS] if "watermark" in record.headers]
    topic, partition, marks, _ = msgspec.msgpack.decode(told[-1].value)
    assert (topic, partition, {level for _, level, _ in marks}) == (EVENTS, 0, {0})
    return {clock: watermark for clock, _, watermark in marks}


def ledger_of(outputs: dict[str, list[Record]]) -> dict[str, Any]:
    return dict(msgspec.json.decode(outputs[LEDGER][-1].value))


def test_a_repeat_is_dropped_also_after_a_restart() -> None:
    first = detect()
    outputs = first.step([stored(0, START, event(START, 0)), stored(1, START, event(START, 1))])
    assert len(hits_of(outputs)) == 2
    saved = {name: data for name, data in first.state.changes().items() if data is not None}
    second = detect(Partition(saved))
    outputs = second.step([stored(2, START, event(START, 1), seq="1"), stored(3, START, event(START, 2), seq="2")])
    assert len(hits_of(outputs)) == 1
    entry = ledger_of(outputs)
    assert (entry["events"], entry["repeats"]) == (3, 1)


def test_what_a_process_counted_and_did_not_tell_is_told_by_the_next() -> None:
    first = detect()
    first.step([stored(0, START, event(START, 0))])
    outputs = first.step([stored(1, START, event(START, 1))])
    assert LEDGER not in outputs, "at most once a second"
    saved = {name: data for name, data in first.state.changes().items() if data is not None}
    second = detect(Partition(saved))
    assert ledger_of(second.step([stored(2, START, None, **{MARKER: "idle"})]))["events"] == 2


def test_a_damaged_hit_is_counted_and_holds_up_no_other() -> None:
    work = Correlate(0, Partition(), operators={"pairs": Pairs()}, event_partitions=1)
    hit = detect().step([stored(0, START, event(START, 0, **{"user.name": "u"}))])[HITS]
    damaged = [Record("k", b"\xc1"), Record("k", b"\x93\x01"), Record("", b"x", {"watermark": "1"}), *hit]
    outputs = work.step([Stored(HITS, 0, n, START, r.key, r.value, r.headers) for n, r in enumerate(damaged)])
    assert ledger_of(outputs) | {"time": ""} == {
        "kind": "drop",
        "source": "bus.hits",
        "agency": "",
        "reason": "damaged",
        "count": 3,
        "time": "",
    }
    assert work.watermark == START - 5 * SECOND - 1


def test_a_late_event_skips_windows_but_still_alerts() -> None:
    outputs = detect(lateness={"feed": HOUR}).step(
        [
            stored(0, START, event(START - 6 * SECOND, 0, message="alert")),
            stored(1, START, event(START - 5 * SECOND, 1)),
            stored(2, START, event(START - HOUR, 2), source="feed"),
            stored(3, START, event(START - HOUR - 1, 3, message="alert"), source="feed"),
        ]
    )
    assert len(outputs[ALERTS]) == 2
    assert [hit.id for hit in decoded(outputs)] == ["s:l:1", "s:l:2"]
    assert [entry["late"] for entry in map(msgspec.json.decode, (r.value for r in outputs[LEDGER]))] == [1, 1]


def test_every_lateness_of_batch_feeds_has_a_clock_and_the_live_one_waits_for_none_of_them() -> None:
    lateness = {"near": 2 * SECOND, "edge": MINUTE, "feed": HOUR, "tape": DAY}
    work = detect(lateness=lateness)
    sources = ["s", "near", "edge", "feed", "tape"]
    outputs = work.step([stored(n, START, event(START - 1, n), source=name) for n, name in enumerate(sources)])
    assert [hit.clock for hit in decoded(outputs)] == [0, 0, 0, HOUR, DAY]
    assert watermarks_of(outputs) == {0: START - MINUTE - 1, HOUR: START - HOUR - 1, DAY: START - DAY - 1}
    assert watermarks_of(detect().step([stored(0, START, None, **{MARKER: "idle"})])).keys() == {0}
    slow = detect(lateness={"near": 2 * SECOND}, default_lateness=HOUR, batch=10 * SECOND)
    outputs = slow.step([stored(0, START, event(START - HOUR, 0))])
    assert [hit.clock for hit in decoded(outputs)] == [HOUR]
    assert watermarks_of(outputs) == {0: START - 2 * SECOND - 1, HOUR: START - HOUR - 1}


def test_clocks_are_told_before_their_first_hit() -> None:
    (first, *_, last) = detect(lateness={"feed": HOUR}).step([stored(0, START, event(START - 1, 0))])[HITS]
    assert [*first.headers, *last.headers] == ["watermark", "watermark"]


@pytest.mark.parametrize(
    ("asked", "of_near", "of_feed", "of_tape"),
    [
        (0, 0, HOUR, DAY),
        (MINUTE, 0, HOUR, DAY),
        (MINUTE + 1, HOUR, HOUR, DAY),
        (HOUR, HOUR, HOUR, DAY),
        (2 * HOUR, DAY, DAY, DAY),
        (9 * DAY, DAY, DAY, DAY),
    ],
)
def test_a_hit_that_asks_for_a_clock_gets_the_next_one_that_waits_so_long(
    asked: int, of_near: int, of_feed: int, of_tape: int
) -> None:
    class Asking:
        def select(self, events: Sequence[Event]) -> Iterator[Hit]:
            for item in events:
                yield Hit(event_time(item), item["event.id"] + "/rule", "pairs", "g", clock=asked)

    work = detect(selectors=[Asking()], lateness={"feed": HOUR, "tape": DAY})
    outputs = work.step([stored(n, START, event(START, n), source=s) for n, s in enumerate(["s", "feed", "tape"])])
    assert [hit.clock for hit in decoded(outputs)] == [of_near, of_feed, of_tape]
    assert [hit.position for hit in decoded(outputs)] == [(0, 0), (0, 1), (0, 2)]


def test_what_keeps_append_time_stays_on_the_live_clock_however_late_its_source() -> None:
    class Signs:
        def select(self, events: Sequence[Event]) -> Iterator[Hit]:
            for item in events:
                appended = parse_time(item["event.ingested"])
                yield Hit(appended, f"feed/{appended}", "signs", "feed", clock=HOUR)
                yield Hit(appended, item["event.id"], "signs", "feed")

    work = detect(selectors=[Signs()], lateness={"feed": HOUR})
    times = [START - 1, START - 2 * HOUR]
    outputs = work.step([stored(n, START, event(time, n), source="feed") for n, time in enumerate(times)])
    assert [(hit.time, hit.clock) for hit in decoded(outputs)] == [(START, 0)] * 4


def test_the_future_is_clamped_and_said() -> None:
    outputs = detect().step([stored(0, START, event(START + SKEW + 1, 0, message="alert"))])
    assert msgspec.json.decode(outputs[ALERTS][0].value)["@timestamp"] == format_time(START)
    assert ledger_of(outputs)["future"] == 1


def test_a_failing_selector_costs_only_its_event() -> None:
    outputs = detect().step([stored(n, START, event(START, n, message="boom" if n == 1 else "")) for n in range(3)])
    assert len(hits_of(outputs)) == 2


def test_a_damaged_record_becomes_a_dead_letter() -> None:
    broken = Stored("events", 0, 0, START, "k", b"{", {"source": "s", "lane": "l", "seq": "0"})
    no_time = stored(1, START, {"event.id": "x"})
    no_seq = stored(2, START, event(START, 2), seq="")
    outputs = detect().step([broken, no_time, no_seq])
    letters = [msgspec.json.decode(record.value) for record in outputs[DEAD]]
    assert [letter["place"] for letter in letters] == [0, 1, 2]
    assert bytes.fromhex(letters[0]["sealed"]) == b"{"
    assert not hits_of(outputs)


def test_markers_move_time_on_and_an_end_ends_it() -> None:
    assert watermark_of(detect().step([stored(0, START, None, **{MARKER: "idle"})])) == START - 5 * SECOND - 1
    assert watermark_of(detect().step([stored(0, START, None, **{MARKER: "end"})])) > START * 1000


FEED = 2 * HOUR


class Kinds:
    """A selector: every event is for pairs of its user, for both clocks together, and for bursts."""

    def select(self, events: Sequence[Event]) -> Iterator[Hit]:
        for item in events:
            time, name, user = event_time(item), item["event.id"], str(item["user.name"])
            yield Hit(time, name, "pairs", user)
            yield Hit(time, name, "both", user, clock=HOUR)
            yield Hit(time, name, "bursts", "even" if user in "ac" else "odd")


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

    def __init__(self, name: str, level: int) -> None:
        self.name, self.depth = name, level

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
                yield Hit(now, f"{key} {first}", "tops", "all")


OPERATORS = {item.name: item for item in (Bursts("tops", 2), Chained("pairs"), Bursts("bursts", 1), Chained("both"))}

Appended = tuple[int, int, str, Event]
"""Append time, partition, source and event."""


class Run:
    """Both roles over what was appended, every step of which is a new process; correlate follows at random moments."""

    def __init__(
        self, events: Sequence[Appended], *, cuts: Iterable[int], seed: int, partitions: int, removed: bool = False
    ) -> None:
        """With `removed` the feed leaves the configuration behind the last event: nobody ends its clock."""
        self.removed = removed
        self.bus = open_bus("memory:", partitions=partitions)
        self.partitions = partitions
        self.chance = random.Random(seed)
        self.cuts = iter([*cuts, *[7] * 10_000])
        self.logs: list[list[Stored]] = [[] for _ in range(partitions)]
        for appended, partition, source, item in events:
            headers = {"source": source, "agency": "a", "lane": item["event.id"], "seq": "0"}
            self.append(partition % partitions, appended, encode(item), headers)
        for partition, log in enumerate(self.logs):
            self.append(partition, log[-1].time if log else 0, b"", {MARKER: "end"})
        self.saved: list[dict[str, bytes]] = [{} for _ in range(partitions)]
        self.reached = [0] * partitions

    def append(self, partition: int, time: int, value: bytes, headers: dict[str, str]) -> None:
        log = self.logs[partition]
        log.append(Stored(EVENTS, partition, len(log), time, "", value, headers))

    def play(self) -> list[bytes]:
        """Every alert that comes of it, in order of its text."""
        while left := [p for p in range(self.partitions) if self.reached[p] < len(self.logs[p])]:
            self.detect(self.chance.choice(left))
            if self.chance.random() < 0.3:
                self.correlate()
        steps = 0
        while sum(self.bus.lag(HITS, "correlate").values()):
            self.correlate()
            steps += 1
            assert steps < 3_000
        found = [self.bus.read(Position(ALERTS, p, 0), 100_000) for p in range(self.partitions)]
        return sorted(item.value for items in found for item in items)

    def detect(self, partition: int) -> None:
        start = self.reached[partition]
        left = len(self.logs[partition]) - 1 - start
        work = Detect(
            partition,
            Partition(dict(self.saved[partition])),
            selectors=[Kinds()],
            hit_partitions=self.partitions,
            lateness={"feed": FEED} if left or not self.removed else {},
            seal=bytes.hex,
        )
        size = min(next(self.cuts), left or 1)
        self.bus.append_all(work.step(self.logs[partition][start : start + size]))
        self.reached[partition] += size
        save(self.saved[partition], work.state)

    def correlate(self) -> None:
        """A new process under the same name: state comes back from the bus."""

        def open_work(partition: int, state: Partition) -> Correlate:
            return Correlate(partition, state, operators=OPERATORS, event_partitions=self.partitions)

        Stage("correlate", self.bus.session(HITS, group="correlate", member="m"), open_work).step(timeout=0.0)


def save(snapshot: dict[str, bytes], state: Partition) -> None:
    for name, data in state.changes().items():
        snapshot.pop(name, None)
        if data is not None:
            snapshot[name] = data


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
    with pytest.MonkeyPatch.context() as patch:
        by_time = operator.itemgetter(0)
        plain = Run(sorted(straight, key=by_time), cuts=[1_000], seed=0, partitions=1).play()
        patch.setattr("almena.stage.LARGEST_STEP", chance.choice([10, 30, 2_000]))
        other = Run(sorted(mixed, key=by_time), cuts=cuts, seed=seed, partitions=partitions, removed=removed)
        assert other.play() == plain
    assert any(b"tops" in alert for alert in plain)


def test_a_feed_that_comes_hours_late_delays_no_live_window() -> None:
    """Both pairs are seen 5 s after they are complete: of live events by live time, of the feed by its own."""
    work, offset = Correlate(0, Partition(), operators={"pairs": Pairs()}, event_partitions=1), iter(range(1_000))
    reading = detect(lateness={"feed": FEED})
    found: dict[int, list[str]] = {}

    def append(time: int, moment: int, source: str) -> None:
        number = next(offset)
        one = stored(number, time, event(moment, number, **{"user.name": "u"}), source=source)
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
