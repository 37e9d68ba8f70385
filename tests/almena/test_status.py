"""How an installation is doing, as people are told."""

from __future__ import annotations

from typing import Any

import pytest

from almena.bus import ALERTS as ALERT_TOPIC
from almena.bus import EVENTS, HITS
from almena.clock import MINUTE, SECOND, format_time, now
from almena.errors import StoreError
from almena.status import DELAY_LIMIT, FORGOTTEN, HEARD, SETTLING, status
from almena.store import ALERTS, LEDGER, OUTBOX, Query
from almena.store.memory import MemoryStore
from almena.traffic import Spooled, Traffic


def store(*shadow: dict[str, str]) -> MemoryStore:
    found = MemoryStore()
    document: dict[str, Any] = {
        "@timestamp": "2026-11-22T10:00:00.000000Z",
        "almena.rules.loaded": 3,
        "almena.rules.rejected": [],
        "almena.rules.shadow": list(shadow),
        "almena.rules.hash": "abc",
    }
    found.create_many(LEDGER, {"rules": document})
    return found


def entry(why: str) -> dict[str, str]:
    return {
        "rule": "r-1",
        "title": "Cara\u202e",
        "why": why,
        "detail": "50 µs · 50%",
        "since": "2026-11-22T09:00:00.000000Z",
    }


@pytest.mark.parametrize(
    ("language", "said"),
    [
        pytest.param(
            "es",
            "La regla Cara\\u202e dejó de avisar por su costo (50 µs · 50%) desde 2026-11-22T09:00:00.000000Z: "
            "corríjala, o devuélvala con `almena rules shadow --lift r-1`.",
        ),
        pytest.param(
            "en",
            "Rule Cara\\u202e stopped alerting for what it costs (50 µs · 50%) since 2026-11-22T09:00:00.000000Z: "
            "mend it, or take it back with `almena rules shadow --lift r-1`.",
        ),
    ],
)
def test_a_rule_over_budget_is_a_problem(language: str, said: str) -> None:
    found = status(store(entry("budget")), None, language=language)
    assert not found["ok"]
    assert found["problems"] == [said]
    assert found["rules"]["shadow"] == [entry("budget")]


@pytest.mark.parametrize("why", ["listed", "rule", "rests"])
def test_what_people_put_in_shadow_is_none(why: str) -> None:
    found = status(store(entry(why)), None)
    assert found["ok"]
    assert found["problems"] == []
    assert found["rules"]["shadow"] == [entry(why)]


def test_shadows_are_no_alerts() -> None:
    here = store()
    states = ("open", "closed", "suppressed", "shadow", "shadow")
    alerts = {
        f"a{number}": {"@timestamp": "2026-11-22T10:00:00.000000Z", "almena.alert.status": state}
        for number, state in enumerate(states)
    }
    here.create_many(ALERTS, alerts | {"b": {"@timestamp": "2026-11-22T10:00:00.000000Z"}})
    assert status(here, None)["alerts"] == 4, "one without a state counts"


def member(name: str, runs: str, *, heard: int = 0, since: int = MINUTE, refused: Any = ()) -> dict[str, Any]:
    return {
        "@timestamp": format_time(now() - heard),
        "almena.rules.member": name,
        "almena.rules.stage": name,
        "almena.rules.hash": runs,
        "almena.rules.since": format_time(now() - since),
        "almena.rules.refused": list(refused),
    }


def problems(*members: dict[str, Any], language: str = "en") -> list[str]:
    found = store()
    found.create_many(LEDGER, {f"rules/{each['almena.rules.member']}": each for each in members})
    return list(status(found, None, language=language)["problems"])


def test_members_that_run_different_rules_are_a_problem() -> None:
    assert problems(member("detect", "a"), member("correlate", "a")) == []
    assert problems(member("detect", "a"), member("correlate", "b")) == [
        "Not all processes run the same rules: correlate b, detect a. Check that they read the same folder."
    ]
    assert "No todos los procesos" in problems(member("d", "a"), member("c", "b"), language="es")[0]


def test_members_may_differ_for_a_moment_and_those_that_left_count_no_more() -> None:
    assert problems(member("detect", "a", since=SETTLING // 2), member("correlate", "b")) == []
    gone = member("detect", "b", heard=HEARD + SECOND) | {"almena.rules.member": "detect@gone"}
    assert problems(member("detect", "a"), gone) == []


def test_changes_that_were_refused_are_a_problem_once() -> None:
    refused = [{"rule": "r", "file": "r.yml", "reason": "no condition\n"}, {"rule": "", "file": "", "reason": "empty"}]
    assert problems(member("detect", "a", refused=refused), member("correlate", "a", refused=refused)) == [
        "The changes of the rules were not taken, those before run on: r.yml: r: no condition\\u000a",
        "The changes of the rules were not taken, those before run on: empty",
    ]


def test_a_role_of_which_nobody_is_left_is_a_problem_and_who_works_is_listed() -> None:
    found = store()
    gone = member("detect@a", "x", heard=HEARD + MINUTE) | {"almena.rules.stage": "detect", "almena.rules.host": "m1"}
    old = member("detect@b", "x", heard=FORGOTTEN + MINUTE)
    found.create_many(LEDGER, {"rules/detect@a": gone, "rules/detect@b": old})
    said = status(found, None, language="en")
    assert said["problems"] == [f"The role detect has not been heard of since {gone['@timestamp']}: check m1."]
    assert [(each["member"], each["host"], each["here"]) for each in said["members"]] == [("detect@a", "m1", False)]
    assert said["rules"]["members"] == []
    here = member("detect@c", "x") | {"almena.rules.stage": "detect"}
    found.create_many(LEDGER, {"rules/detect@c": here})
    said = status(found, None, language="en")
    assert said["problems"] == []
    assert [(each["host"], each["here"]) for each in said["members"]] == [("m1", False), ("c", True)]


def test_what_waits_too_long_is_a_problem() -> None:
    delays: dict[str, int | None] = {EVENTS: DELAY_LIMIT + 90 * SECOND, HITS: DELAY_LIMIT, ALERT_TOPIC: None}
    waiting = Traffic(lag={EVENTS: {0: 3, 1: 4}, HITS: {0: 1}, ALERT_TOPIC: {0: 5}}, delay=delays)
    found = status(store(), waiting, language="en")
    assert found["problems"] == [
        "Topic events has waited for 6 min 30 s: check the role detect, or give it more processes."
    ]
    assert found["lag"] == {EVENTS: 7, HITS: 1, ALERT_TOPIC: 5}
    assert found["delay"] == {EVENTS: 390.0, HITS: 300.0, ALERT_TOPIC: None}


class Away(MemoryStore):
    """A store that stopped to answer."""

    def search(self, query: Query, cursor: str | None = None) -> Any:
        raise StoreError("https://es1:9200: no answer\x1b")


@pytest.mark.parametrize("away", [Away(), "https://es1:9200: no answer\x1b"])
def test_without_the_store_what_the_bus_says_is_told(away: Any) -> None:
    found = status(away, Traffic(lag={EVENTS: {0: 3}}, delay={EVENTS: 0}), language="es")
    assert (found["ok"], found["bus"], found["store"]) == (False, True, False)
    assert found["problems"] == ["El almacén no responde: https://es1:9200: no answer\\u001b"]
    assert found["lag"] == {EVENTS: 3}
    assert set(found) == set(status(store(), Traffic()))


def test_without_the_bus_what_the_store_says_is_told() -> None:
    found = status(store(), Traffic(error="nobody at k1:9092"), language="en")
    assert (found["ok"], found["bus"], found["store"]) == (False, False, True)
    assert found["problems"] == ["The bus does not answer: nobody at k1:9092"]
    assert found["rules"]["loaded"] == 3


def test_what_waits_on_disk_is_told_and_a_problem_once_it_lasts() -> None:
    spool = Spooled(records=1_200, bytes=500, age=2 * MINUTE, share=0.257)
    found = status(store(), None, language="en", spool=spool)
    assert found["spool"] == {"records": 1_200, "bytes": 500, "share": 0.257, "seconds": 120.0}
    assert found["problems"] == [
        "1,200 records wait on this disk for the bus, the first for 2 min; they take 26 % of their room."
    ]
    assert status(store(), None, spool=Spooled(records=5, age=SECOND))["ok"]


def test_notifications_that_wait_are_counted_and_those_that_failed_are_a_problem() -> None:
    here = store()
    states = ("pending", "pending", "failed", "sent")
    here.create_many(OUTBOX, {str(number): {"almena.outbox.status": state} for number, state in enumerate(states)})
    found = status(here, None, language="en")
    assert found["outbox"] == {"waiting": 2, "failed": 1}
    assert found["problems"] == ["1 notifications could not be delivered."]
