"""Detect: repeats, lateness and its clocks, the future, damage; each judged once, and also after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from almena.alert import Alert
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Record, Stored
from almena.clock import DAY, HOUR, MINUTE, SECOND, format_time, parse_time
from almena.detect import MARKER, SKEW, Detect
from almena.event import Event, encode, event_time
from almena.hit import Hit, decode_hit
from almena.state import Partition

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


def test_how_far_a_clock_is_off_follows_the_quick_events_and_no_single_lie() -> None:
    def delay(delays: list[int]) -> int:
        work = detect()
        events = [stored(n, START, event(START - late, n)) for n, late in enumerate(delays)]
        return int(ledger_of(work.step(events))["delay"])

    assert delay([SECOND]) == SECOND
    assert delay([SECOND] * 50 + [HOUR]) < 20 * SECOND
    assert delay([-MINUTE] * 50) == -MINUTE
    assert 0 < delay([SECOND, HOUR] * 200) < 3 * MINUTE
    assert delay([400 * DAY]) == 366 * DAY


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
