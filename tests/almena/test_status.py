"""How an installation is doing, as people are told."""

from __future__ import annotations

from typing import Any

import pytest

from almena.clock import MINUTE, SECOND, format_time, now
from almena.status import HEARD, SETTLING, status
from almena.store import ALERTS, LEDGER
from almena.store.memory import MemoryStore


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
    assert problems(member("detect", "a"), member("gone", "b", heard=HEARD + SECOND)) == []


def test_changes_that_were_refused_are_a_problem_once() -> None:
    refused = [{"rule": "r", "file": "r.yml", "reason": "no condition\n"}, {"rule": "", "file": "", "reason": "empty"}]
    assert problems(member("detect", "a", refused=refused), member("correlate", "a", refused=refused)) == [
        "The changes of the rules were not taken, those before run on: r.yml: r: no condition\\u000a",
        "The changes of the rules were not taken, those before run on: empty",
    ]
