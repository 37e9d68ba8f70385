"""How an installation is doing, as people are told."""

from __future__ import annotations

from typing import Any

import pytest

from almena.status import status
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
