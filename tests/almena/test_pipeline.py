"""Detect and correlate together: repeats, lateness, the future, order, restarts; the same alerts however it is cut."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.alert import Alert
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Position, Record, Stored, open_bus
from almena.clock import SECOND, format_time
from almena.correlate import Correlate
from almena.detect import MARKER, SKEW, Detect
from almena.event import Event, encode, event_time
from almena.hit import Hit
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

    name, version = "pairs", "1"

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        last = state.table("last", limit=1000)
        for hit in hits:
            before = last.get(hit.group)
            assert before is None or before <= hit.time, "hits out of order"
            if before is not None and hit.time - before <= 10 * SECOND:
                yield {"almena.alert.id": f"pair {hit.group} {before} {hit.time}"}
            last.put(hit.group, hit.time)
            state.wake(hit.group, hit.time + 30 * SECOND)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
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


def hits_of(outputs: dict[str, list[Record]]) -> list[str]:
    return [record.key for record in outputs.get(HITS, []) if "watermark" not in record.headers]


def watermark_of(outputs: dict[str, list[Record]]) -> int:
    marks = [record for record in outputs[HITS] if "watermark" in record.headers]
    return int(msgspec.msgpack.decode(marks[-1].value)[1])


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
    outputs = detect(lateness={"slow": 3600 * SECOND}).step(
        [
            stored(0, START, event(START - 6 * SECOND, 0, message="alert")),
            stored(1, START, event(START - 5 * SECOND, 1)),
            stored(2, START, event(START - 3000 * SECOND, 2), source="slow"),
        ]
    )
    assert len(outputs[ALERTS]) == 1
    assert len(hits_of(outputs)) == 2
    assert watermark_of(outputs) == START - 3600 * SECOND - 1


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


def play(
    events: list[tuple[int, int, Event]], *, cuts: list[int], seed: int, partitions: int
) -> tuple[list[str], list[str]]:
    """Run appended events (append time, partition, event) through both roles with restarts; alert ids come out."""
    bus = open_bus("memory:", partitions=partitions)
    order = random.Random(seed)
    logs: dict[int, list[Stored]] = {partition: [] for partition in range(partitions)}
    for appended, partition, item in events:
        log = logs[partition % partitions]
        log.append(
            Stored(
                "events",
                partition % partitions,
                len(log),
                appended,
                "",
                encode(item),
                {"source": "s", "agency": "a", "lane": item["event.id"], "seq": "0"},
            )
        )
    end = {MARKER: "end"}
    for partition, log in logs.items():
        log.append(Stored("events", partition, len(log), (log[-1].time if log else 0), "", b"", end))
    snapshots: dict[int, dict[str, bytes]] = {partition: {} for partition in range(partitions)}
    reached = dict.fromkeys(range(partitions), 0)
    cut = iter([*cuts, *[7] * 10_000])
    alerts: list[str] = []
    while any(reached[partition] < len(log) for partition, log in logs.items()):
        partition = order.choice([p for p in logs if reached[p] < len(logs[p])])
        work = detect(Partition(snapshots[partition]), hit_partitions=partitions)
        work._partition = partition
        size = next(cut)
        outputs = work.step(logs[partition][reached[partition] : reached[partition] + size])
        reached[partition] += size
        save(snapshots[partition], work.state)
        for topic, records in outputs.items():
            bus.append(topic, records)
    works: dict[int, Correlate] = {}

    def open_work(partition: int, state: Partition) -> Correlate:
        works[partition] = Correlate(partition, state, operators={"pairs": Pairs()}, event_partitions=partitions)
        return works[partition]

    number = 0
    while sum(bus.lag(HITS, "correlate").values()):
        # Every step is a new process under the same name: state comes back from the bus.
        stage = Stage("correlate", bus.session(HITS, group="correlate", member="m"), open_work)
        stage.step(timeout=0.0)
        number += 1
        assert number < 1000
    for partition in range(bus.partitions(ALERTS)):
        alerts += [item.key for item in bus.read(Position(ALERTS, partition, 0), 100_000)]
    assert sum(bus.ends(EVENTS).values()) == 0
    return alerts, sorted(set(alerts))


def save(snapshot: dict[str, bytes], state: Partition) -> None:
    for name, data in state.changes().items():
        snapshot.pop(name, None)
        if data is not None:
            snapshot[name] = data


@settings(max_examples=40, deadline=None)
@given(
    times=st.lists(st.tuples(st.integers(0, 120), st.sampled_from("abc")), min_size=1, max_size=40),
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(1, 10), max_size=10),
    partitions=st.integers(1, 3),
)
def test_any_shuffle_within_the_lateness_any_cut_any_sharing_gives_the_same_alerts(
    times: list[tuple[int, str]], seed: int, cuts: list[int], partitions: int
) -> None:
    events = [event(START + t * SECOND, n, **{"user.name": user}) for n, (t, user) in enumerate(times)]
    chance = random.Random(seed)
    straight = sorted((event_time(item), 0, n) for n, item in enumerate(events))
    plain = [(when, place, events[n]) for when, place, n in straight]
    shuffled = sorted(
        (
            (event_time(item) + chance.randrange(5 * SECOND + 1), chance.randrange(3), n)
            for n, item in enumerate(events)
        ),
    )
    mixed = [(when, place, events[n]) for when, place, n in shuffled]
    all_plain, ids_plain = play(plain, cuts=[1000], seed=0, partitions=1)
    all_mixed, ids_mixed = play(mixed, cuts=cuts, seed=seed, partitions=partitions)
    assert ids_mixed == ids_plain
    assert len(all_mixed) == len(all_plain)
