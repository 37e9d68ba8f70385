"""From events to alerts and hits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from almena.alert import Alert, alert_id
from almena.clock import parse_time
from almena.hit import Hit, decode_hit, encode_hit
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.explain import MOST_NODES, explain
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Rule, RuleSet
from detectors.sigma.values import View

RULES = """\
title: Web Server Spawns Shell
id: 0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10
name: shell
status: experimental
description: A web server starts a shell.
references: [https://example.org/a]
logsource: {category: process_creation, product: linux}
detection:
  server: {ParentImage|endswith: [/nginx, /apache2]}
  shell: {Image|endswith: [/sh, /bash]}
  idle: {CommandLine: null}
  condition: server and shell and not idle
level: high
tags: [attack.persistence, attack.t1505.003]
es: {titulo: Una consola, que_paso: "{process.parent.executable} abrió {process.executable} en {host.name}"}
---
title: Login failed
id: 11111111-1111-4111-8111-111111111111
name: failed
logsource: {product: app, service: tramites}
detection: {s: {event.action: login_failed}, condition: s}
level: informational
---
title: Many logins failed
id: 22222222-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [failed], group-by: [source.ip], timespan: 5m, condition: {gte: 3}}
es: {que_paso: "{source.ip} falló {almena.alert.count} veces con {user.name}"}
"""

EVENT = {
    "@timestamp": "2026-11-22T10:00:00.000000Z",
    "event.id": "web:0:1",
    "event.ingested": "2026-11-22T10:00:02.000000Z",
    "organization.id": "sfa",
    "product": "linux",
    "category": "process_creation",
    "process.executable": "/bin/sh",
    "process.command_line": "sh -c id",
    "process.parent.executable": "/usr/sbin/nginx",
    "host.name": "web\u202e1",
}

FAILED = {
    "@timestamp": "2026-11-22T10:00:00.000000Z",
    "event.id": "app:0:1",
    "event.ingested": "2026-11-22T10:00:02.000000Z",
    "organization.id": "sfa",
    "event.dataset": "app.tramites",
    "event.action": "login_failed",
    "source.ip": "203.0.113.9",
    "user.name": "ana",
    "user_agent.original": "x" * 5_000,
}


@pytest.fixture(scope="module")
def ruleset() -> RuleSet:
    found = load_texts([("rules.yml", RULES)], "ecs")
    assert not found.rejected
    return found


@pytest.fixture
def detector(ruleset: RuleSet) -> SigmaDetector:
    return SigmaDetector(ruleset)


def selected(detector: SigmaDetector, *events: dict[str, Any]) -> tuple[list[Alert], list[Hit]]:
    found = list(detector.select(events))
    return [item for item in found if not isinstance(item, Hit)], [item for item in found if isinstance(item, Hit)]


def test_one_event_is_one_alert(detector: SigmaDetector) -> None:
    (alert,), hits = selected(detector, EVENT)
    assert not hits
    moment = parse_time("2026-11-22T10:00:00Z")
    rule = "0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10"
    assert alert["almena.alert.id"] == alert_id(moment, rule, "web:0:1", appended=moment + 2_000_000)
    assert alert["event.severity"] == 73
    assert alert["rule.id"] == rule
    assert alert["rule.reference"] == "https://example.org/a"
    assert alert["threat.technique.subtechnique.id"] == ["T1505.003"]
    assert alert["message"] == "Web Server Spawns Shell"
    assert alert["event.reason"] == "/usr/sbin/nginx abrió /bin/sh en web\\u202e1"
    assert alert["almena.alert.words"]["es"]["title"] == "Una consola"
    assert alert["almena.alert.words"]["en"]["what_happened"] == "A web server starts a shell."
    assert alert["organization.id"] == "sfa"


def test_the_explanation_says_what_was_asked_and_seen(detector: SigmaDetector) -> None:
    (alert,), _ = selected(detector, EVENT)
    assert alert["almena.alert.explanation"] == {
        "condition": "server and shell and not idle",
        "root": {
            "kind": "and",
            "pass": True,
            "children": [
                {"kind": "field", "selection": "server", "field": "process.parent.executable", "op": "endswith",
                 "expected": ["*/nginx", "*/apache2"], "seen": "/usr/sbin/nginx", "pass": True},
                {"kind": "field", "selection": "shell", "field": "process.executable", "op": "endswith",
                 "expected": ["*/sh", "*/bash"], "seen": "/bin/sh", "pass": True},
                {"kind": "not", "pass": True, "children": [
                    {"kind": "field", "selection": "idle", "field": "process.command_line", "op": "equals",
                     "expected": [None], "seen": "sh -c id", "pass": False}]},
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("detection", "event", "leaf"),
    [
        ("{a|contains: [x, y]}", {"a": "y"}, ("contains", ["*y*", "*x*"], "y", True)),
        ("{a|re: '^y'}", {"a": "y"}, ("re", ["^y"], "y", True)),
        ("{a: 5}", {"a": "5"}, ("equals", ["5"], "5", True)),
        ("{a: 'x*y'}", {"a": "xy"}, ("wildcard", ["x*y"], "xy", True)),
        ("{a|exists: true}", {"a": "x"}, ("exists", [True], "x", True)),
        ("{a|gte: 5}", {"a": 7}, ("gte", ["5"], "7", True)),
        ("{a|cidr: 10.0.0.0/8}", {"a": "10.0.0.1"}, ("cidr", ["10.0.0.0/8"], "10.0.0.1", True)),
        ("{a|fieldref|endswith: b}", {"a": "xy", "b": "y"}, ("fieldref|endswith", ["b"], "xy", True)),
        ("{a|fieldref: b}", {"a": "y", "b": "y"}, ("fieldref", ["b"], "y", True)),
        ("{a|hour|gte: 1}", {"a": "2026-01-01T12:00:00Z"}, ("hour|gte", ["1"], "2026-01-01T12:00:00Z", True)),
        ("{a: x}", {"a": ["z", "x"]}, ("equals", ["x"], "z, x", True)),
        ("{a: x}", {}, ("equals", ["x"], None, False)),
        ("[needle]", {"b": "a needle\n"}, ("contains", ["needle"], "a needle\\u000a", True)),
        ("{'|re': 'ne+dle'}", {"b": "a needle"}, ("re", ["ne+dle"], "a needle", True)),
    ],
)
def test_leaves_of_explanations(
    one_rule: Callable[..., Rule], detection: str, event: dict[str, Any], leaf: tuple[Any, ...]
) -> None:
    root = explain(one_rule(f"s: {detection}\ncondition: s"), View(event))["root"]
    assert (root["op"], root["expected"], root["seen"], root["pass"]) == leaf
    assert root["selection"] == "s"
    assert root["kind"] == ("keyword" if "field" not in root else "field")


def test_explanations_are_bounded(one_rule: Callable[..., Rule]) -> None:
    values = ", ".join(f"v{number}" for number in range(2_000))
    rule = one_rule(f"s: {{a|contains|all: [{values}]}}\nt: {{a: [{values}]}}\ncondition: s or t")

    def size(node: dict[str, Any]) -> int:
        return 1 + len(node.get("expected", ())) + sum(map(size, node.get("children", ())))

    assert size(explain(rule, View({"a": "v1999"}))["root"]) < 3 * MOST_NODES


def test_rules_that_feed_correlations_give_hits_and_no_alerts(detector: SigmaDetector, ruleset: RuleSet) -> None:
    alerts, (hit,) = selected(detector, FAILED)
    assert not alerts
    assert hit.detector == ruleset.correlations[0].id == operators(ruleset)[0].name
    assert hit.id == "app:0:1/11111111-1111-4111-8111-111111111111"
    assert hit.time == parse_time("2026-11-22T10:00:00Z")
    assert hit.group == "sfa|203.0.113.9"
    assert hit.rule == "11111111-1111-4111-8111-111111111111"
    assert hit.fields["user.name"] == "ana"
    assert len(encode_hit(hit)) < 2_048


def test_with_generate_they_alert_too() -> None:
    found = load_texts([("rules.yml", RULES.replace("timespan: 5m", "timespan: 5m, generate: true"))], "ecs")
    alerts, hits = selected(SigmaDetector(found), FAILED)
    assert [alert["rule.name"] for alert in alerts] == ["Login failed"]
    assert len(hits) == 1


@pytest.mark.parametrize("missing", [None, "", [], [None]])
def test_an_event_without_its_group_is_not_counted_and_the_skip_is(detector: SigmaDetector, missing: Any) -> None:
    before = skipped()
    assert selected(detector, FAILED | {"source.ip": missing}) == ([], [])
    assert skipped() == before + 1


def skipped() -> float:
    labels = {"rule_id": "22222222-2222-4222-8222-222222222222", "reason": "group"}
    return REGISTRY.get_sample_value("almena_correlation_skipped_total", labels) or 0.0


def test_two_agencies_are_never_counted_together(detector: SigmaDetector) -> None:
    _, hits = selected(detector, FAILED, FAILED | {"organization.id": "segob"})
    assert len({hit.group for hit in hits}) == 2


def test_hits_stay_small_whatever_strangers_send(detector: SigmaDetector) -> None:
    event = FAILED | dict.fromkeys(("user.name", "host.name", "url.path", "source.ip", "process.name"), "ñ" * 3000)
    _, (hit,) = selected(detector, event)
    assert len(encode_hit(hit)) < 4_096
    assert hit.fields["@timestamp"] == FAILED["@timestamp"]
    _, (other,) = selected(detector, event | {"source.ip": "ñ" * 3_001})
    assert hit.group != other.group


def test_match_ids_names_muted_rules_too(detector: SigmaDetector) -> None:
    assert detector.match_ids(FAILED) == ["11111111-1111-4111-8111-111111111111"]
    assert detector.match_ids(EVENT) == ["0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10"]
    assert detector.match_ids({"event.dataset": "app.payments", "event.action": "login_failed"}) == []


def test_native_records_may_be_nested() -> None:
    text = (
        "title: T\nlogsource: {product: windows, service: security}\n"
        "detection: {s: {EventID: 4625, Provider_Name: X, TargetUserName: ana}, condition: s}\n"
    )
    detector = SigmaDetector(load_texts([("x.yml", text)], "native"))
    record = {
        "Event": {
            "System": {"Provider": {"#attributes": {"Name": "X"}}, "EventID": 4625, "Channel": "Security"},
            "EventData": {"TargetUserName": "Ana"},
        },
        "@timestamp": "2026-11-22T10:00:00.000000Z",
        "event.id": "f:1",
    }
    (alert,), _ = selected(detector, record)
    assert alert["rule.name"] == "T"
    assert alert["event.start"] == "2026-11-22T10:00:00.000000Z"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from([EVENT, FAILED]),
    st.dictionaries(
        st.sampled_from(
            [
                "source.ip",
                "user.name",
                "host.name",
                "process.executable",
                "process.command_line",
                "organization.id",
                "event.action",
                "almena.misfit",
                "url.path",
                "event.code",
            ]
        ),
        ANYTHING,
    ),
)
def test_no_event_raises_and_its_hits_travel(base: dict[str, Any], changes: dict[str, Any]) -> None:
    found = load_texts([("rules.yml", RULES)], "ecs")
    for item in SigmaDetector(found).select([base | changes]):
        if isinstance(item, Hit):
            assert decode_hit(encode_hit(item)) == item


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
def test_a_number_too_large_for_a_hit_travels_as_text(detector: SigmaDetector, number: int) -> None:
    _, (hit,) = selected(detector, FAILED | {"user.name": number, "source.ip": number})
    assert decode_hit(encode_hit(hit)).fields["user.name"] == str(number)


NATIVE = """\
title: By names
id: 22222222-2222-4222-8222-222222222222
logsource: {product: windows}
detection: {s: {a.b: x}, t: {a.b.c: "1"}, u: {a: "y"}, v: {b|exists: true}, w: {event.code: "1"}, condition: 1 of them}
---
title: By nothing
id: 33333333-3333-4333-8333-333333333333
logsource: {product: windows}
detection: {s: {a: null}, t: {b: ""}, u: {c|exists: false}, condition: s and t and u}
---
title: By two
id: 44444444-4444-4444-8444-444444444444
logsource: {product: windows}
detection: {s: {a|fieldref: b}, condition: s}
---
title: By keywords
id: 55555555-5555-4555-8555-555555555555
logsource: {product: windows}
detection: {words: [/bin/sh], condition: words}
"""


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["x", "y", "/bin/sh", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "code"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "a.b", "a.b.c", "EventID", "event", "Event"]), nested, max_size=5),
        max_size=6,
    )
)
def test_objects_in_native_records_are_looked_into_only_where_rules_do(events: list[dict[str, Any]]) -> None:
    """As if every record had been made flat first; the same record may come behind another of its shape."""
    rules = load_texts([("rules.yml", NATIVE)], "native")
    assert not rules.rejected
    made = [{"product": "windows"} | event for event in events]
    assert SigmaDetector(rules).ids(made) == SigmaDetector(rules, PlainEngine).ids(made)
