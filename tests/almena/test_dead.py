"""Whatever lies on the bus, no reader dies of it: what it cannot understand is kept, sealed, with where it lay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.alert import Alert
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, Record, Stored
from almena.clock import HOUR, SECOND, format_time
from almena.correlate import Correlate
from almena.dead import HEADERS, LARGEST, attempt_of, letter_of
from almena.desk.desk import Desk
from almena.desk.ledger import Ledger
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.detect import Detect
from almena.event import Event, event_time
from almena.hit import Hit, encode_hit
from almena.sealing import Secret
from almena.state import Partition, State
from almena.status import status
from almena.store import ALERTS as STORED_ALERTS
from almena.store import ALL, Query
from almena.store import DEAD as STORED_DEAD
from almena.store.memory import MemoryStore
from almena.watermarks import watermark_records
from detectors import DETECTORS

NOW = 1_790_000_000 * SECOND
SECRET = Secret(bytes(32))

_numbers = st.one_of(
    st.integers(-5, 5), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
_texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["", "9" * 30, "1e999", "2026-05-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01", "\x00"]),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=6,
)
_EVENT = {"@timestamp": format_time(NOW), "event.id": "s:l:0", "event.dataset": "system.auth", "source.ip": "192.0.2.1"}
_ALERT = {
    "@timestamp": format_time(NOW),
    "event.kind": "alert",
    "event.severity": 73,
    "rule.id": "r",
    "organization.id": "fin",
    "almena.alert.id": "202609-a",
    "almena.alert.level": "high",
    "almena.alert.revision": [1, 1],
    "almena.alert.words": {"es": {"title": "x"}, "en": {"title": "x"}},
    "almena.alert.last_seen": format_time(NOW),
    "almena.alert.shadow": False,
    "almena.alert.backfill": "",
    "almena.alert.evidence": [],
    "almena.alert.entity": "user.name=ana",
}
_ENTRIES: list[dict[str, Any]] = [
    {"kind": "source", "source": "s", "agency": "a", "partition": 0, "events": 1, "first": NOW, "last_event": NOW},
    {"kind": "drop", "source": "s", "agency": "a", "reason": "r", "count": 1, "lane": "l", "seq": 0},
    {"kind": "rules", "loaded": 1, "rejected": [{"rule": "r", "reason": "x"}], "shadow": [], "hash": "h"},
    {"kind": "member", "member": "m", "stage": "detect", "loaded": 1, "hash": "h", "since": "", "refused": []},
]


@st.composite
def _bent(draw: st.DrawFn, whole: Mapping[str, Any]) -> dict[str, Any]:
    """An object with some of its values, and some that it never had."""
    document = dict(whole)
    for name in draw(st.lists(st.sampled_from(sorted(whole)), max_size=3)):
        document.pop(name, None)
        if draw(st.booleans()):
            document[name] = draw(_values)
    return document | draw(st.dictionaries(st.one_of(_texts, st.just("almena.misfit")), _values, max_size=2))


def _json(*wholes: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    bent = st.one_of(*map(_bent, wholes)).map(msgspec.json.encode)
    return st.one_of(st.binary(max_size=30), _values.map(msgspec.json.encode), bent)


_headers = st.one_of(
    st.just({}),
    st.dictionaries(st.sampled_from(["source", "agency", "lane", "seq", "attempt", "delayed"]), _texts, max_size=4),
    st.builds(
        lambda seq, source: {"source": source, "agency": "a", "lane": "l", "seq": seq},
        st.one_of(st.integers(-3, 10).map(str), st.integers().map(str), _texts),
        st.sampled_from(["s", "t"]),
    ),
)
_hits = st.one_of(
    st.binary(max_size=30),
    _values.map(msgspec.msgpack.encode),
    st.tuples(
        _numbers,
        _texts,
        st.sampled_from(["all", *DETECTORS, "gone"]),
        _texts,
        st.dictionaries(st.one_of(_texts, st.sampled_from(sorted(_EVENT))), _values, max_size=3),
        _texts,
        st.tuples(_numbers, _numbers),
        st.booleans(),
        st.sampled_from(["", "1"]),
        st.one_of(st.sampled_from([0, HOUR]), _numbers),
    ).map(msgspec.msgpack.encode),
)
_marks = st.one_of(
    _hits,
    st.tuples(
        st.sampled_from([EVENTS, HITS]),
        st.one_of(st.just(0), _numbers),
        st.lists(st.tuples(_numbers, _numbers, _numbers), max_size=3),
        st.lists(_numbers, max_size=2),
    ).map(msgspec.msgpack.encode),
)


def records(topic: str, values: Sequence[tuple[bytes, dict[str, str]]]) -> list[Stored]:
    return [Stored(topic, 0, n, NOW + n, "key", data, headers) for n, (data, headers) in enumerate(values)]


def committed(before: Mapping[str, bytes], state: Partition) -> dict[str, bytes]:
    after = dict(before)
    for key, value in state.changes().items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after


class Every:
    """Selects every event, and remembers every hit with a wish to be woken."""

    name, version, depth = "all", "1", 0

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        for event in events:
            yield Hit(event_time(event), event["event.id"], self.name, str(event.get("user.name")), dict(event))

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        table = state.table("seen", limit=10)
        for hit in hits:
            table.put(hit.group, [hit.time, hit.id, hit.fields])
            state.wake(hit.group, hit.time + HOUR)
            yield {"almena.alert.id": hit.id, "@timestamp": format_time(hit.time), "fields": hit.fields}

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        for key in due:
            yield Hit(now, key, self.name, key)


def letters(outputs: Mapping[str, Sequence[Record]]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(record.value) for record in outputs.get(DEAD, [])]


def kept(batch: Sequence[Stored], outputs: Mapping[str, Sequence[Record]]) -> set[int]:
    """The offsets of the records that became dead letters, which hold what those records held."""
    found = set()
    for record, letter in zip(outputs.get(DEAD, []), letters(outputs), strict=True):
        source = batch[int(record.headers["offset"])]
        assert SECRET.unseal(letter["sealed"]) == source.value
        assert (record.headers["topic"], record.headers["partition"]) == (source.topic, "0")
        assert record.headers["error"]
        assert int(record.headers["attempt"]) >= 1
        found.add(source.offset)
    return found


_quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_quick
@given(st.lists(st.tuples(_json(_EVENT), _headers), min_size=1, max_size=5))
def test_detect_takes_anything(values: list[tuple[bytes, dict[str, str]]]) -> None:
    saved: dict[str, bytes] = {}
    batch = records(EVENTS, values)
    for _ in range(2):  # and once more from what it has saved
        state = Partition(dict(saved))
        work = Detect(
            0,
            state,
            selectors=[Every(), *(kind() for kind in DETECTORS.values())],
            hit_partitions=1,
            lateness={},
            seal=SECRET.seal,
            rules=lambda: "abc",
        )
        outputs = work.step(batch)
        saved = committed(saved, state)
        dead = kept(batch, outputs)
        assert all(record.headers["rules"] == "abc" for record in outputs.get(DEAD, []))
        ledger = [msgspec.json.decode(record.value) for record in outputs.get(LEDGER, [])]
        total = sum(entry["events"] + entry["repeats"] for entry in ledger)
        assert total == (1 + _) * (len(batch) - len(dead))


@_quick
@given(
    st.lists(
        st.one_of(st.tuples(_hits, st.just({})), st.tuples(_marks, st.just({"watermark": "1"}))), min_size=1, max_size=6
    )
)
def test_correlate_takes_anything(values: list[tuple[bytes, dict[str, str]]]) -> None:
    ends = watermark_records(EVENTS, 0, {(0, 0): NOW + 24 * HOUR}, [7], 1)
    good = Hit(NOW, "good", "all", "g")
    values = [*values, (encode_hit(good), {}), *((mark.value, mark.headers) for mark in ends)]
    saved: dict[str, bytes] = {}
    batch = records(HITS, values)
    found: set[str] = set()
    for _ in range(2):
        state = Partition(dict(saved))
        operators: dict[str, Any] = {"all": Every(), **{name: kind() for name, kind in DETECTORS.items()}}
        work = Correlate(0, state, operators=operators, event_partitions=1, seal=SECRET.seal)
        outputs = work.step(batch)
        saved = committed(saved, state)
        dead = kept(batch, outputs)
        assert len(batch) - 1 not in dead
        assert len(batch) - 2 not in dead
        found |= {msgspec.json.decode(record.value).get("almena.alert.id", "") for record in outputs.get(ALERTS, [])}
    assert saved
    if all("watermark" not in headers for _, headers in values[:-1]):
        assert "good" in found


@_quick
@given(st.lists(st.tuples(_json(_ALERT), _headers), min_size=1, max_size=4))
def test_the_desk_takes_anything_for_an_alert(values: list[tuple[bytes, dict[str, str]]]) -> None:
    store = MemoryStore()
    desk = Desk(store, DeskSettings(), Suppressions(None), {}, SECRET.seal)
    batch = records(ALERTS, values)
    outputs = desk.alerts(batch)
    dead = kept(batch, outputs)
    damaged = sum("-damaged-" in item.id for item in store.search(Query(kind=STORED_ALERTS, scope=ALL)).items)
    assert damaged >= len(dead)
    desk.dead([Stored(DEAD, 0, n, NOW, r.key, r.value, r.headers) for n, r in enumerate(outputs.get(DEAD, []))])
    assert store.count(Query(kind=STORED_DEAD, scope=ALL)) == len(dead)
    assert desk.alerts(batch).keys() == outputs.keys()
    status(store, None)


_LETTER = {
    "id": "x",
    "source": "s",
    "agency": "a",
    "lane": "l",
    "seq": 1,
    "parser": "p",
    "reason": "r",
    "at": 1,
    "received": format_time(NOW),
    "origin": "o",
    "place": 1,
    "sealed": "c2VhbGVk",
}


@_quick
@given(
    st.lists(
        st.tuples(_json(_LETTER), st.dictionaries(st.sampled_from(HEADERS), _texts, max_size=6)), min_size=1, max_size=4
    )
)
def test_the_desk_takes_anything_for_a_dead_letter(values: list[tuple[bytes, dict[str, str]]]) -> None:
    store = MemoryStore()
    desk = Desk(store, DeskSettings(), Suppressions(None), {}, SECRET.seal)
    batch = records(DEAD, values)
    desk.dead(batch)
    for item in store.search(Query(kind=STORED_DEAD, scope=ALL)).items:
        assert item.document["almena.dead.status"] == "open"
        for name in ("seq", "at", "place", "partition", "offset", "attempt"):
            assert isinstance(item.document.get(f"almena.dead.{name}", 0), int)
        assert "almena.misfit" not in item.document
    status(store, None)


@_quick
@given(st.lists(_json(*_ENTRIES), min_size=1, max_size=5))
def test_the_ledger_takes_anything(values: list[bytes]) -> None:
    store = MemoryStore()
    saved: dict[str, bytes] = {}
    batch = records(LEDGER, [(value, {}) for value in values])
    for _ in range(2):
        state = Partition(dict(saved))
        outputs = Ledger(0, state, store, SECRET.seal).step(batch)
        saved = committed(saved, state)
        kept(batch, outputs)
    status(store, None)


def test_a_letter_says_where_its_record_lay_and_what_became_of_it() -> None:
    record = Stored(EVENTS, 3, 12, NOW, "k", b"{", {"source": "s", "agency": "a", "lane": "l", "seq": "4"})
    made = letter_of(record, "event", ValueError("odd"), SECRET.seal, rules="h")
    assert made.key == "s/l"
    assert {name: made.headers[name] for name in HEADERS} == {
        "topic": "events",
        "partition": "3",
        "offset": "12",
        "error": "ValueError",
        "attempt": "1",
        "rules": "h",
    }
    store = MemoryStore()
    desk = Desk(store, DeskSettings(), Suppressions(None), {}, SECRET.seal)
    desk.dead([Stored(DEAD, 0, 0, NOW + 5, made.key, made.value, made.headers)])
    found = store.get(STORED_DEAD, "events-3-12", scope=ALL)
    assert found is not None
    document = found.document
    assert SECRET.unseal(document.pop("almena.dead.sealed")) == b"{"
    assert document == {
        "@timestamp": format_time(NOW),
        "organization.id": "a",
        "almena.source.name": "s",
        "almena.dead.status": "open",
        "almena.dead.parser": "event",
        "almena.dead.reason": "no event: ValueError: odd",
        "almena.dead.lane": "l",
        "almena.dead.seq": 4,
        "almena.dead.origin": "events/3",
        "almena.dead.place": 12,
        "almena.dead.topic": "events",
        "almena.dead.partition": 3,
        "almena.dead.offset": 12,
        "almena.dead.error": "ValueError",
        "almena.dead.attempt": 1,
        "almena.dead.rules": "h",
    }


def test_a_letter_finds_room_whatever_it_holds() -> None:
    headers = {"source": "s" * 10_000, "lane": "l" * 10_000, "attempt": "9" * 5_000}
    record = Stored(HITS, 0, 0, NOW, "k", b"x" * (LARGEST + 1), headers)
    made = letter_of(record, "hit", ValueError("long"), SECRET.seal)
    assert len(made.value) < 1.5 * LARGEST
    assert sum(map(len, made.headers.values())) < 2_000
    letter = msgspec.json.decode(made.value)
    assert SECRET.unseal(letter["sealed"]) == b"x" * LARGEST
    assert letter["reason"].endswith(f"(cut: it had {LARGEST + 1} bytes)")


@pytest.mark.parametrize(
    ("text", "attempt"), [("", 1), ("0", 1), ("3", 3), ("-1", 1), ("x", 1), ("²", 1), ("9" * 20, 1)]
)
def test_an_attempt_is_a_small_number(text: str, attempt: int) -> None:
    assert attempt_of(text) == attempt


def test_numbered_drops_count_once_however_often_they_come() -> None:
    store = MemoryStore()
    state = Partition()
    ledger = Ledger(0, state, store)

    def drop(lane: str, seq: int, count: int) -> tuple[bytes, dict[str, str]]:
        entry = {"kind": "drop", "source": "s", "agency": "a", "reason": "full", "count": count}
        return msgspec.json.encode(entry | {"lane": lane, "seq": seq}), {}

    ledger.step(records(LEDGER, [drop("a", 0, 1), drop("a", 0, 1), drop("a", 1, 2), drop("b", 0, 4)]))
    heir = Ledger(0, Partition(committed({}, state)), store)
    again = records(LEDGER, [drop("a", 0, 1), drop("a", 1, 2), drop("a", 2, 8), drop("b", 0, 4)])
    heir.step([msgspec.structs.replace(record, time=record.time + SECOND) for record in again])
    assert status(store, None)["drops"] == 15
