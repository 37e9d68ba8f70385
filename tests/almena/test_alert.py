"""Alerts have an identity that nothing absurd can move, say whom they are about, and are documents as they stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.alert import LEVELS, SEVERITY, alert_id, build, entity_of, stamp, threat
from almena.clock import DAY, SECOND, format_time
from almena.ecs import check

NOW = 1_795_376_040 * SECOND
EVENT: dict[str, Any] = {
    "@timestamp": format_time(NOW),
    "event.id": "portal:1:7",
    "event.dataset": "nginx.access",
    "event.original": "GET /",
    "organization.id": "fin",
    "source.ip": "203.0.113.9",
    "user.name": "ana",
}


def made(**changed: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "identity": "202611-x",
        "rule": {"id": "r1", "name": "A rule", "version": "v", "tags": ["attack.t1110.001"], "reference": "https://x"},
        "level": "high",
        "reason": "why",
        "words": {"es": {"title": "T"}, "en": {"title": "T"}},
        "first": EVENT,
    }
    return build(**(usual | changed))


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**48))
def test_the_month_of_an_id_lies_near_the_append(start: int, appended: int) -> None:
    month = alert_id(start, "r", "e", appended=appended)[:7]
    earliest, latest = (
        alert_id(moment, "r", "e", appended=moment)[:7] for moment in (appended - 400 * DAY, appended + DAY)
    )
    assert earliest <= month <= latest


@given(st.lists(st.text(st.characters(exclude_characters="\x1f")), min_size=1, max_size=3), st.data())
def test_ids_are_equal_for_equal_parts_and_no_others(parts: list[str], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.text(st.characters(exclude_characters="\x1f")), min_size=1, max_size=3))
    same = alert_id(NOW, *parts, appended=NOW) == alert_id(NOW, *others, appended=NOW)
    assert same == (parts == others)


def test_an_alert_is_a_document_with_all_it_needs() -> None:
    last = EVENT | {"@timestamp": format_time(NOW + 60 * SECOND), "source.ip": "198.51.100.7"}
    alert = made(last=last, count=5, revision=(NOW, 5), extra={"almena.anomaly.p": 0.5})
    assert check(alert) == alert
    assert alert["event.kind"] == "alert"
    assert (alert["event.severity"], alert["event.risk_score"]) == (73, 73.0)
    assert (alert["event.id"], alert["event.start"]) == ("portal:1:7", EVENT["@timestamp"])
    assert alert["event.end"] == alert["almena.alert.last_seen"] == last["@timestamp"]
    assert alert["event.dataset"] == "nginx.access"
    assert "event.original" not in alert, "the raw text is evidence and no field of the alert"
    assert alert["almena.alert.evidence"]["first"]["event.original"] == "GET /"
    assert alert["related.ip"] == ["198.51.100.7", "203.0.113.9"]
    assert alert["related.user"] == ["ana"]
    assert alert["almena.alert.entity"] == "user.name=ana"
    assert alert["almena.anomaly.p"] == 0.5
    assert (alert["rule.id"], alert["rule.version"], alert["rule.reference"]) == ("r1", "v", "https://x")
    assert alert["threat.technique.id"] == ["T1110"]
    assert "rule.description" not in alert
    assert stamp(alert, NOW)["event.ingested"] == format_time(NOW)


def test_an_alert_names_who_wrote_the_rule_and_its_licence() -> None:
    rule = {"id": "r1", "name": "A rule", "author": "Ana López, frack113", "license": "DRL-1.1"}
    alert = made(rule=rule)
    assert alert["rule.author"] == ["Ana López", "frack113"]
    assert alert["rule.license"] == "DRL-1.1"
    assert "rule.author" not in made()


def test_an_event_cannot_say_what_only_an_alert_does() -> None:
    forged = EVENT | {
        "event.kind": "state",
        "event.severity": 1,
        "rule.id": "mine",
        "almena.alert.id": "mine",
        "almena.alert.level": "low",
        "message": "harmless",
    }
    alert = made(first=forged)
    assert alert["almena.alert.id"] == "202611-x"
    assert (alert["event.kind"], alert["event.severity"], alert["almena.alert.level"]) == ("alert", 73, "high")
    assert (alert["rule.id"], alert["message"]) == ("r1", "A rule")


@pytest.mark.parametrize(
    ("event", "entity"),
    [
        ({"source.ip": "10.0.0.1", "user.name": "ana"}, "user.name=ana"),
        ({"source.ip": ["10.0.0.1", "10.0.0.2"]}, "source.ip=10.0.0.1"),
        ({"user.name": "", "source.ip": [], "host.name": "web1"}, "host.name=web1"),
        ({}, ""),
    ],
)
def test_whom_it_is_about(event: dict[str, Any], entity: str) -> None:
    assert entity_of(event) == entity


def test_tactics_and_techniques_come_from_tags() -> None:
    tags = [
        "attack.initial-access",
        "attack.t1078",
        "attack.t1110.003",
        "attack.g0016",
        "attack.s0154",
        "cve.2021-44228",
    ]
    assert threat(tags) == {
        "threat.framework": "MITRE ATT&CK",
        "threat.tactic.name": ["initial-access"],
        "threat.technique.id": ["T1078", "T1110"],
        "threat.technique.subtechnique.id": ["T1110.003"],
    }
    assert threat(["attack.", "tlp.red", ""]) == {}


def test_levels_and_severities_are_each_other_s() -> None:
    assert SEVERITY == {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}, "as Elastic has them"
    assert {LEVELS[SEVERITY[level]] for level in SEVERITY} == set(SEVERITY)
