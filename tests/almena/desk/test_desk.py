"""The desk stores every alert once, keeps the newest revision and what people decided, and tells each group once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena import metrics
from almena.alert import Alert, build
from almena.bus import Stored
from almena.clock import DAY, HOUR, SECOND, Span, format_time
from almena.desk.desk import Desk
from almena.desk.notify import Common, Message
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.errors import Conflict, Refused, StoreError
from almena.store import ALERTS, ALL, DEAD, OUTBOX, Document, Filter, Query, Store, open_store
from almena.store.memory import MemoryStore

NOW = 1_780_000_000 * SECOND
TODAY = NOW - NOW % DAY


@dataclass(kw_only=True)
class Told(Common):
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture(params=["memory:", "sqlite:{path}/store.sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(request.param.format(path=tmp_path))
    yield opened
    opened.close()


def alert(identity: str = "a", *, level: str = "high", start: int = NOW - HOUR, **parts: Any) -> Alert:
    event = {
        "@timestamp": format_time(start),
        "event.id": f"s:l:{identity}",
        "organization.id": parts.pop("agency", "fin"),
        "user.name": parts.pop("user", "ana"),
    }
    return build(
        identity=f"202605-{identity}",
        rule={"id": parts.pop("rule", "r1"), "name": "Rule one"},
        level=level,
        reason="because",
        words={"es": {"title": "Regla uno"}, "en": {"title": "Rule one"}},
        first=event,
        **parts,
    )


def record(value: Document | bytes, offset: int = 0, time: int = NOW) -> Stored:
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Stored("alerts", 0, offset, time, "key", data, {})


def desk(store: Store, path: Path | None = None, **channels: Common) -> Desk:
    return Desk(store, DeskSettings(), Suppressions(path), channels)


def get(store: Store, identity: str, kind: str = ALERTS) -> Document:
    found = store.get(kind, identity, scope=ALL)
    assert found is not None
    return found.document


def counted(store: Store, kind: str) -> int:
    return store.count(Query(kind=kind, scope=ALL))


def failures() -> float:
    return float(metrics.STORE_FAILURES._value.get())


def test_an_alert_is_stored_open_in_its_group(store: Store) -> None:
    desk(store).alerts([record(alert())])
    found = get(store, "202605-a")
    assert found["almena.alert.status"] == "open"
    assert found["event.ingested"] == format_time(NOW)
    assert len(found["almena.alert.group"]) == 24
    assert found["almena.alert.words"]["es"]["title"] == "Regla uno"


def test_the_same_batch_again_changes_nothing(store: Store) -> None:
    before = metrics.ALERTS.labels("high", "fin")._value.get()
    here = desk(store, phone=Told())
    batch = [record(alert("a")), record(alert("b", user="beto"))]
    here.alerts(batch)
    first = store.search(Query(kind=ALERTS, scope=ALL)).items
    here.alerts(batch)
    here.alerts([record(alert("a"), offset=9, time=NOW + SECOND)])
    assert store.search(Query(kind=ALERTS, scope=ALL)).items == first
    assert counted(store, OUTBOX) == 2
    assert metrics.ALERTS.labels("high", "fin")._value.get() == before + 2


def test_the_newest_revision_wins_and_triage_stays(store: Store) -> None:
    here = desk(store)
    here.alerts([record(alert(count=1, revision=(10, 1)))])
    found = store.get(ALERTS, "202605-a", scope=ALL)
    assert found is not None
    decided = {
        "almena.alert.status": "acknowledged",
        "almena.alert.assignee": "luz",
        "almena.alert.history": [{"x": 1}],
    }
    store.replace(ALERTS, found.id, {**found.document, **decided}, found.version)
    here.alerts([record(alert(count=5, revision=(20, 5))), record(alert(count=3, revision=(15, 3)))])
    here.alerts([record(alert(count=2, revision=(20, 4)))])
    after = get(store, "202605-a")
    assert (after["almena.alert.count"], after["almena.alert.revision"]) == (5, [20, 5])
    assert after["almena.alert.group"] == found.document["almena.alert.group"]
    assert {name: after[name] for name in decided} == decided


def test_other_content_under_one_revision_is_counted_and_changes_nothing(store: Store) -> None:
    here = desk(store)
    here.alerts([record(alert())])
    before = failures()
    here.alerts([record(alert() | {"event.reason": "another"})])
    assert failures() == before + 1
    assert get(store, "202605-a")["event.reason"] == "because"
    here.alerts([record(alert("b")), record(alert("b") | {"event.reason": "another"})])
    assert failures() == before + 2
    assert get(store, "202605-b")["event.reason"] == "because"


def test_nobody_but_the_desk_says_what_people_decided(store: Store) -> None:
    hostile = alert() | {"almena.alert.status": "closed", "almena.alert.group": "x", "almena.alert.assignee": "me"}
    desk(store, phone=Told()).alerts([record(hostile)])
    found = get(store, "202605-a")
    assert found["almena.alert.status"] == "open"
    assert found["almena.alert.group"] != "x"
    assert "almena.alert.assignee" not in found
    assert counted(store, OUTBOX) == 1


def test_groups_are_rule_agency_entity_and_window(store: Store) -> None:
    here = desk(store)
    here.alerts(
        [
            record(alert("a", start=TODAY)),
            record(alert("b", start=TODAY + 2 * HOUR)),
            record(alert("rule", rule="r2", start=TODAY)),
            record(alert("agency", agency="edu", start=TODAY)),
            record(alert("entity", user="beto", start=TODAY)),
            record(alert("earlier", start=TODAY - 1)),
        ]
    )
    groups = {
        item.id: item.document["almena.alert.group"] for item in store.search(Query(kind=ALERTS, scope=ALL)).items
    }
    assert groups["202605-a"] == groups["202605-b"]
    assert len(set(groups.values())) == 5


def test_one_message_per_group_and_channel(store: Store) -> None:
    here = desk(store, phone=Told(), mail=Told(min_level="low"))
    here.alerts([record(alert(str(number), start=TODAY + number)) for number in range(5)])
    here.alerts([record(alert(str(number), start=TODAY + number)) for number in range(5, 9)])
    found = store.search(Query(kind=OUTBOX, scope=ALL)).items
    assert sorted(item.document["almena.outbox.channel"] for item in found) == ["mail", "phone"]
    assert {item.document["almena.alert.id"] for item in found} == {"202605-0"}
    assert {item.document["almena.outbox.status"] for item in found} == {"pending"}
    assert len({item.document["almena.outbox.key"] for item in found}) == 2


def test_channels_take_their_levels_and_agencies(store: Store) -> None:
    channels: dict[str, Any] = {
        "high": Told(),
        "low": Told(min_level="low"),
        "edu": Told(min_level="low", agencies=["edu"]),
        "critical": Told(min_level="critical"),
    }
    here = desk(store, **channels)
    here.alerts(
        [
            record(alert("i", level="informational", user="i")),
            record(alert("l", level="low", user="l")),
            record(alert("h", level="high", user="h")),
            record(alert("e", level="medium", user="e", agency="edu")),
        ]
    )
    told = {
        (item.document["almena.outbox.channel"], item.document["almena.alert.id"][-1])
        for item in store.search(Query(kind=OUTBOX, scope=ALL)).items
    }
    assert told == {("low", "l"), ("low", "h"), ("low", "e"), ("high", "h"), ("edu", "e")}
    assert counted(store, ALERTS) == 4


def test_a_group_that_gets_worse_is_told_again_and_never_for_less(store: Store) -> None:
    here = desk(store, mail=Told(min_level="low"))
    here.alerts([record(alert("a", level="medium", start=TODAY))])
    here.alerts([record(alert("b", level="critical", start=TODAY))])
    here.alerts([record(alert("c", level="high", start=TODAY)), record(alert("d", level="medium", start=TODAY))])
    levels = sorted(item.document["almena.alert.level"] for item in store.search(Query(kind=OUTBOX, scope=ALL)).items)
    assert levels == ["critical", "medium"]


def test_a_message_lost_between_store_and_outbox_is_made_up_for(store: Store) -> None:
    desk(store).alerts([record(alert())])  # stored, then killed before the outbox
    desk(store, phone=Told()).alerts([record(alert())])
    assert counted(store, OUTBOX) == 1


def test_old_alerts_are_stored_and_not_told(store: Store) -> None:
    desk(store, phone=Told()).alerts([record(alert(start=NOW - 3 * DAY))])
    assert (counted(store, ALERTS), counted(store, OUTBOX)) == (1, 0)


def test_alerts_in_shadow_are_kept_apart_and_told_to_nobody(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "suppressions.toml"
    file.write_text('[[suppression]]\nname = "x"\nrule = "r1"\nowner = "luz"\nreason = "y"\nexpires = 2026-12-31\n')
    before = shadows()
    here = desk(store, file, phone=Told())
    here.alerts([record(alert("a", extra={"almena.alert.shadow": True}))])
    file.write_text("")
    here.alerts([record(alert("b", level="critical", extra={"almena.alert.shadow": True})), record(alert("c"))])
    assert [get(store, f"202605-{name}")["almena.alert.status"] for name in "abc"] == ["shadow", "shadow", "open"]
    groups = [get(store, f"202605-{name}")["almena.alert.group"] for name in "abc"]
    assert groups[0] == groups[1] != groups[2], "who closes a group means no shadows, nor the other way round"
    assert get(store, "202605-a")["almena.alert.shadow"] is True
    assert [item.document["almena.alert.id"] for item in store.search(Query(kind=OUTBOX, scope=ALL)).items] == [
        "202605-c"
    ]
    assert shadows() - before == 2


def test_history_is_kept_apart_and_the_last_run_of_a_backfill_wins(store: Store, tmp_path: Path) -> None:
    before, live = shadows(metrics.ALERTS_HISTORY), shadows(metrics.ALERTS)
    found = {"almena.alert.backfill": "enero"}
    here = desk(store, phone=Told())
    both = found | {"almena.alert.shadow": True}
    parts: list[dict[str, Any]] = [found, both, {"almena.alert.backfill": "otro"}, {}]
    for name, extra in zip("abcd", parts, strict=True):
        here.alerts([record(alert(name, level="critical", extra=extra))])
    states = [get(store, f"202605-{name}")["almena.alert.status"] for name in "abcd"]
    assert states == ["history", "history", "history", "open"]
    groups = [get(store, f"202605-{name}")["almena.alert.group"] for name in "abcd"]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3, "each backfill has groups of its own, none with live ones"
    assert get(store, "202605-b")["almena.alert.shadow"] is True
    assert counted(store, OUTBOX) == 1
    assert shadows(metrics.ALERTS_HISTORY) - before == 3
    assert shadows(metrics.ALERTS) - live == 1

    version = store.get(ALERTS, "202605-a", scope=ALL)
    here.alerts([record(alert("a", level="critical", extra=found))])
    assert store.get(ALERTS, "202605-a", scope=ALL) == version, "the same again changes nothing"
    here.alerts([record(alert("a", level="low", extra=found, revision=(0, 0)))])
    assert get(store, "202605-a")["almena.alert.level"] == "low", "the rule was changed meanwhile"
    assert get(store, "202605-a")["almena.alert.status"] == "history"
    assert (counted(store, ALERTS), counted(store, OUTBOX)) == (4, 1)


def test_no_event_says_that_its_alert_is_to_be_kept_apart(store: Store) -> None:
    sent = alert("a")["almena.alert.evidence"]["first"] | {"almena.alert.backfill": "x", "almena.alert.shadow": True}
    rule = {"id": "r1", "name": "Rule one"}
    built = build(identity="202605-a", rule=rule, level="high", reason="x", words={}, first=sent)
    desk(store, phone=Told()).alerts([record(built)])
    assert get(store, "202605-a")["almena.alert.status"] == "open"
    assert counted(store, OUTBOX) == 1


def shadows(counter: Any = metrics.ALERTS_SHADOW) -> float:
    return float(sum(item.value for metric in counter.collect() for item in metric.samples if "total" in item.name))


def test_suppressed_alerts_say_by_whom_and_are_not_told(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "suppressions.toml"
    file.write_text(
        '[[suppression]]\nname = "pruebas"\nrule = "r1"\nentity = "user.name=ana"\nowner = "luz"\n'
        'reason = "oficio 112"\nexpires = 2026-12-31\n'
    )
    here = desk(store, file, phone=Told())
    here.alerts([record(alert("a")), record(alert("b", user="beto"))])
    found = get(store, "202605-a")
    assert found["almena.alert.status"] == "suppressed"
    assert found["almena.alert.suppression.name"] == "pruebas"
    assert found["almena.alert.suppression.owner"] == "luz"
    assert found["almena.alert.suppression.reason"] == "oficio 112"
    assert get(store, "202605-b")["almena.alert.status"] == "open"
    assert [item.document["almena.alert.id"] for item in store.search(Query(kind=OUTBOX, scope=ALL)).items] == [
        "202605-b"
    ]
    file.write_text("")
    here.alerts([record(alert("c", start=NOW - 2 * HOUR))])
    assert get(store, "202605-c")["almena.alert.status"] == "open"


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"almena.alert.id": 7}', b'{"almena.alert.id": "x"}'])
def test_a_damaged_record_becomes_an_alert_that_says_so(store: Store, data: bytes) -> None:
    before = failures()
    here = desk(store, phone=Told())
    here.alerts([record(data, offset=7), record(alert())])
    here.alerts([record(data, offset=7)])
    found = get(store, "202605-damaged-alerts-0-7")
    assert "almena.alert.refused" in found
    assert "guardar" in found["almena.alert.words"]["es"]["what_happened"]
    assert get(store, "202605-a")["rule.id"] == "r1"
    assert counted(store, OUTBOX) == 2
    assert failures() >= before + 1


def test_what_the_store_refuses_is_kept_as_less(store: Store) -> None:
    large = alert("large") | {"almena.misfit": {"x": "y" * (9 * 1024 * 1024)}}
    here = desk(store, phone=Told())
    for _ in range(2):
        here.alerts([record(alert("before")), record(large), record(alert("n" * 600)), record(alert("after"))])
    found = get(store, "202605-large")
    assert "bytes" in found["almena.alert.refused"]
    assert (found["rule.id"], found["organization.id"], found["almena.alert.status"]) == ("r1", "fin", "open")
    assert found["@timestamp"] == format_time(NOW - HOUR)
    assert counted(store, ALERTS) == 4
    assert store.count(Query(kind=ALERTS, scope=ALL, filters=(Filter("almena.alert.refused", "exists"),))) == 2


class Down(MemoryStore):
    """A store that fails now and then, like a full disk."""

    def __init__(self) -> None:
        super().__init__()
        self.fail = 0

    def create_many(self, kind: str, documents: Any) -> Any:
        if self.fail:
            self.fail -= 1
            raise StoreError("the disk is full")
        return super().create_many(kind, documents)


def test_a_store_that_is_down_fails_the_step_and_loses_nothing() -> None:
    store = Down()
    here = desk(store, phone=Told())
    store.fail = 1
    with pytest.raises(StoreError, match="full"):
        here.alerts([record(alert())])
    here.alerts([record(alert())])
    found = get(store, "202605-a")
    assert "almena.alert.refused" not in found
    assert counted(store, OUTBOX) == 1


def test_two_desks_revising_one_alert_agree_on_the_highest(store: Store) -> None:
    class Late(MemoryStore):
        raced = False

        def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
            if not self.raced:
                self.raced = True
                desk(self).alerts([record(alert(count=9, revision=(30, 9)))])
                raise Conflict("raced")
            return super().replace(kind, id, document, version)

    racing = Late()
    here = desk(racing)
    here.alerts([record(alert(count=1, revision=(10, 1)))])
    here.alerts([record(alert(count=5, revision=(20, 5)))])
    assert get(racing, "202605-a")["almena.alert.revision"] == [30, 9]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=1, max_size=14),
    cuts=st.lists(st.integers(0, 14), max_size=4),
    repeats=st.integers(0, 3),
)
def test_any_order_batching_and_repetition_gives_the_same_alerts(
    arrivals: list[tuple[str, int]], cuts: list[int], repeats: int
) -> None:
    store = MemoryStore()
    here = desk(store, phone=Told())
    records = [record(alert(name, count=count, revision=(count, count))) for name, count in arrivals]
    bounds = sorted({0, len(records), *(min(cut, len(records)) for cut in cuts)})
    for start, end in pairwise(bounds):
        for _ in range(repeats + 1):
            here.alerts(records[start:end])
    found = {item.id: item.document for item in store.search(Query(kind=ALERTS, scope=ALL)).items}
    best = {name: max(count for other, count in arrivals if other == name) for name, _ in arrivals}
    assert {identity: each["almena.alert.count"] for identity, each in found.items()} == {
        f"202605-{name}": count for name, count in best.items()
    }
    assert counted(store, OUTBOX) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(alert())), values, max_size=6))
def test_no_alert_however_odd_stops_the_desk(odd: dict[str, Any]) -> None:
    store = MemoryStore()
    desk(store, phone=Told(min_level="low")).alerts([record(alert() | odd), record(alert("good", user="beto"))])
    assert counted(store, ALERTS) == 2


def letter(**changes: Any) -> dict[str, Any]:
    return {
        "id": "portal:lane:7",
        "source": "portal",
        "agency": "fin",
        "lane": "lane",
        "seq": 7,
        "parser": "nginx",
        "reason": "no time",
        "at": 12,
        "received": format_time(NOW - HOUR),
        "origin": "10.0.0.9",
        "place": 120,
        "sealed": "c2VhbGVk",
    } | changes


def test_dead_letters_are_stored_once_and_keep_their_state(store: Store) -> None:
    here = desk(store)
    here.dead([record(letter()), record(letter(id="detect", parser="event"))])
    found = store.get(DEAD, "portal:lane:7", scope=ALL)
    assert found is not None
    assert found.document == {
        "@timestamp": format_time(NOW - HOUR),
        "organization.id": "fin",
        "almena.source.name": "portal",
        "almena.dead.status": "open",
        "almena.dead.parser": "nginx",
        "almena.dead.reason": "no time",
        "almena.dead.at": 12,
        "almena.dead.lane": "lane",
        "almena.dead.seq": 7,
        "almena.dead.origin": "10.0.0.9",
        "almena.dead.place": 120,
        "almena.dead.sealed": "c2VhbGVk",
    }
    store.replace(DEAD, found.id, found.document | {"almena.dead.status": "replayed"}, found.version)
    here.dead([record(letter())])
    assert get(store, "portal:lane:7", DEAD)["almena.dead.status"] == "replayed"
    assert store.search(Query(kind=DEAD, scope=ALL, text="c2VhbGVk")).items == []


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=20), st.dictionaries(st.sampled_from(sorted(letter())), values).map(msgspec.json.encode)
    )
)
def test_no_dead_letter_however_odd_stops_the_desk(data: bytes) -> None:
    store = MemoryStore()
    desk(store).dead([record(data), record(letter())])
    assert store.get(DEAD, "portal:lane:7", scope=ALL) is not None
    assert counted(store, DEAD) in (1, 2)


def test_an_oversized_dead_letter_leaves_a_note(store: Store) -> None:
    desk(store).dead([record(letter(sealed="x" * (9 * 1024 * 1024)))])
    assert "refused" in get(store, "portal:lane:7", DEAD)["almena.dead.reason"]


def test_what_reached_its_age_is_removed(store: Store) -> None:
    here = desk(store, phone=Told())
    here.alerts([record(alert())])
    here.dead([record(letter())])
    assert here.expire(NOW) == 0
    assert here.expire(NOW + 35 * DAY) == 2
    assert counted(store, ALERTS) == 1
    assert here.expire(NOW + 401 * DAY) == 1


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"window": Span(1)}, {"attempts": 0}, {"console_url": "javascript:x"}, {"first_retry": Span(DAY)}):
        with pytest.raises(ValueError):
            DeskSettings(**wrong)


def test_a_refusal_is_an_error_of_the_store() -> None:
    assert issubclass(Refused, StoreError)
