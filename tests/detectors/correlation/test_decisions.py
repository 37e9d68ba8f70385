"""What correlation engines get wrong, a test for each, and the examples of the specification."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from almena.alert import Alert
from almena.clock import SECOND, format_time
from almena.hit import Hit
from almena.replay import run_all
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_texts

START = 1_790_000_000 * SECOND


def run(rules: str, events: Iterable[tuple[float, dict[str, Any]]], shuffled: int | None = None) -> list[Alert]:
    """The last revision of every alert of native events (seconds, fields), which may come in any order."""
    ruleset = load_texts([("rules.yml", rules)], "native")
    assert not ruleset.rejected, ruleset.rejected
    detector = SigmaDetector(ruleset)
    items = [
        {"@timestamp": format_time(START + round(at * SECOND)), "event.id": f"e{number:05}", **fields}
        for number, (at, fields) in enumerate(events)
    ]
    if shuffled is not None:
        random.Random(shuffled).shuffle(items)
    hits = [found for found in detector.select(items) if isinstance(found, Hit)]
    alerts = {str(alert["almena.alert.id"]): alert for alert in run_all(operators(ruleset), hits)}
    return sorted(alerts.values(), key=lambda alert: (alert["almena.alert.first_seen"], alert["rule.name"]))


CHAINED = """
title: Correlation - Multiple Failed Logins Followed by Successful Login
id: b180ead8-d58f-40b2-ae54-c8940995b9b6
status: experimental
correlation:
    type: temporal_ordered
    rules:
        - multiple_failed_login
        - successful_login
    group-by:
        - User
    timespan: 10m
level: high
---
title: Multiple failed logons
id: a8418a5a-5fc4-46b5-b23b-6c73beb19d41
name: multiple_failed_login
correlation:
    type: event_count
    rules:
        - failed_login
    group-by:
        - User
    timespan: 10m
    condition:
        gte: 10
---
title: Single failed login
id: 53ba33fd-3a50-4468-a5ef-c583635cfa92
name: failed_login
logsource: {product: windows, service: security}
detection:
    selection:
        EventID: [529, 4625]
    condition: selection
---
title: Successful login
id: 4d0a2c83-c62c-4ed4-b475-c7e23a9269b8
name: successful_login
logsource: {product: windows, service: security}
detection:
    selection:
        EventID: [528, 4624]
    condition: selection
"""

WINDOWS = {"product": "windows", "service": "security", "Channel": "Security"}
FAILED, ENTERED = WINDOWS | {"EventID": 4625, "User": "ana"}, WINDOWS | {"EventID": 4624, "User": "ana"}
ATTACK = [(float(second), FAILED) for second in range(10)]


def test_1_failed_logons_followed_by_a_successful_one_raise_the_outer_alert() -> None:
    (alert,) = run(CHAINED, [*ATTACK, (60, ENTERED)])
    assert alert["rule.id"] == "b180ead8-d58f-40b2-ae54-c8940995b9b6"
    assert alert["almena.alert.count"] == 11
    assert alert["almena.alert.first_seen"] == format_time(START)
    assert not run(CHAINED, ATTACK)
    assert not run(CHAINED, [(0, ENTERED), *((at + 1, event) for at, event in ATTACK)])


@pytest.mark.parametrize("reference", ["failed_login", "53ba33fd-3a50-4468-a5ef-c583635cfa92"])
def test_2_correlations_find_their_rules_by_name_as_well_as_by_id(reference: str) -> None:
    assert run(CHAINED.replace("        - failed_login", f"        - {reference}"), [*ATTACK, (60, ENTERED)])


def app(name: str) -> str:
    detection = f"{{s: {{do: {name}}}, condition: s}}"
    return f"title: {name}\nname: {name}\nlogsource: {{product: app}}\ndetection: {detection}\n---\n"


def did(what: str, who: str | None = "ana", **fields: Any) -> dict[str, Any]:
    return {"product": "app", "do": what, **({} if who is None else {"who": who}), **fields}


def over(kind: str, rules: str, condition: str = "", timespan: str = "1m", group: str = "[who]") -> str:
    names = sorted({name.strip() for name in rules.strip("[]").split(",")})
    content = f"type: {kind}, rules: {rules}, group-by: {group}, timespan: {timespan}"
    content += f", condition: {condition}" if condition else ""
    return "".join(map(app, names)) + f"title: tested\ncorrelation: {{{content}}}\n"


def test_3_temporal_without_a_condition_needs_all_its_rules() -> None:
    rules = over("temporal", "[one, two, three]", timespan="5m")
    assert not run(rules, [(0, did("one")), (1, did("two")), (2, did("one"))])
    assert run(rules, [(0, did("three")), (1, did("two")), (299, did("one"))])


def test_4_what_chained_correlations_find_is_returned() -> None:
    loud = CHAINED.replace("    timespan: 10m\nlevel: high", "    timespan: 10m\n    generate: true\nlevel: high")
    assert {alert["rule.name"] for alert in run(loud, [*ATTACK, (60, ENTERED)])} >= {
        "Correlation - Multiple Failed Logins Followed by Successful Login",
        "Multiple failed logons",
    }


def test_5_a_percentile_is_held_against_its_value_and_not_its_rank() -> None:
    rules = over("value_percentile", "[one]", "{gt: 90, field: size, percentile: 50}")
    assert not run(rules, [(second, did("one", size=second)) for second in range(50)])
    (alert,) = run(rules, [(second, did("one", size=80 + second)) for second in range(50)])
    assert alert["almena.alert.explanation"]["root"]["percentile"] == 50


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_6_two_hits_two_hours_apart_never_fire_a_minute_in_whatever_order_they_come(
    seed: int | None,
) -> None:
    rules = over("event_count", "[one]", "{gte: 2}")
    assert not run(rules, [(7_200, did("one")), (0, did("one"))], seed)
    assert run(rules, [(7_200, did("one")), (0, did("one")), (7_230, did("one"))], seed)


def test_7_events_without_a_field_to_group_by_share_no_group_and_the_skip_is_counted() -> None:
    rules = over("event_count", "[one]", "{gte: 2}")
    identity = load_texts([("rules.yml", rules)], "native").correlations[0].id

    def skipped() -> float:
        labels = {"rule_id": identity, "reason": "group"}
        return REGISTRY.get_sample_value("almena_correlation_skipped_total", labels) or 0.0

    before = skipped()
    assert not run(rules, [(0, did("one", None)), (1, did("one", "")), (2, did("one", None))])
    assert skipped() == before + 3


@pytest.mark.parametrize(
    ("condition", "few", "many"),
    [("{lt: 3}", True, False), ("{lte: 2}", True, False), ("{eq: 2}", True, False), ("{neq: 4}", True, False)],
)
def test_8_lt_lte_eq_and_neq_are_decided_when_the_window_closes(condition: str, few: bool, many: bool) -> None:
    rules = over("event_count", "[one]", condition)
    alerts = run(rules, [(0, did("one")), (30, did("one"))])
    assert bool(alerts) is few
    assert alerts[0]["almena.alert.revision"][0] == START + 60 * SECOND + 1, "not at the first event"
    assert bool(run(rules, [(second, did("one")) for second in (0, 1, 2, 60)])) is many


def test_8_absence_is_decided_when_the_window_closes() -> None:
    rules = over("temporal", "[one, two]", "one and not two", timespan="10m")
    assert run(rules, [(0, did("one"))])
    assert run(rules, [(0, did("one")), (601, did("two"))])
    assert not run(rules, [(0, did("one")), (600, did("two"))])
    assert not run(rules, [(0, did("two")), (600, did("one"))]), "before counts as behind where there is no order"
    ordered = over("temporal_ordered", "[one, two]", "one and not two", timespan="10m")
    assert run(ordered, [(0, did("two")), (600, did("one"))])
    assert not run(ordered, [(0, did("one")), (600, did("two"))])
    before = over("temporal_ordered", "[two, one]", "not two and one", timespan="10m")
    (alert,) = run(before, [(0, did("one"))])
    assert alert["almena.alert.revision"][0] == START, "nothing is left to wait for"
    assert not run(before, [(0, did("two")), (600, did("one"))])


def test_14_a_million_distinct_values_cost_what_the_threshold_costs() -> None:
    rules = over("value_count", "[one]", "{gte: 5, field: size}", timespan="1d")
    (alert,) = run(rules, [(number / 100, did("one", size=f"v{number}")) for number in range(20_000)])
    root = alert["almena.alert.explanation"]["root"]
    assert abs(root["value"] - 20_000) <= 20_000 * 3 * root["error"]


def test_15_ten_thousand_noisy_keys_do_not_evict_the_one_at_nine_of_ten() -> None:
    ruleset = load_texts([("rules.yml", over("event_count", "[one]", "{gte: 10}", timespan="1h"))], "native")
    (tested,) = operators(ruleset, limit=400)
    detector = SigmaDetector(ruleset)
    events = [(float(second), did("one")) for second in range(9)]
    events += [(10 + number / 1_000, did("one", f"noise{number}")) for number in range(10_000)]
    events += [(30, did("one"))]
    items = [
        {"@timestamp": format_time(START + round(at * SECOND)), "event.id": f"e{number:05}", **fields}
        for number, (at, fields) in enumerate(events)
    ]
    hits = [found for found in detector.select(items) if isinstance(found, Hit)]
    assert [alert["almena.alert.count"] for alert in run_all([tested], hits)] == [10]


def test_the_specification_counts_many_failed_logins_to_a_host() -> None:
    rules = over("event_count", "[one]", "{gte: 100}", timespan="1h", group="[ComputerName]")
    events = [(36 * number, did("one", ComputerName="pc1")) for number in range(100)]
    assert run(rules, events)
    assert not run(rules, events[1:])


def test_the_specification_counts_values_of_users() -> None:
    group = "[ComputerName, WorkstationName]"
    rules = over("value_count", "[one]", "{field: User, gte: 100}", timespan="1d", group=group)
    events = [(number, did("one", ComputerName="a", WorkstationName="b", User=f"u{number}")) for number in range(100)]
    assert run(rules, events)
    assert not run(rules, [*events[:99], (100, did("one", ComputerName="a", WorkstationName="b", User="u0"))])


def test_the_specification_has_ranges() -> None:
    rules = over("event_count", "[one]", "{gt: 100, lte: 200}", timespan="1h")
    assert not run(rules, [(number, did("one")) for number in range(100)])
    assert run(rules, [(number, did("one")) for number in range(101)])
    assert run(rules, [(number, did("one")) for number in range(200)])
    assert not run(rules, [(number, did("one")) for number in range(201)])


ALIASES = """
title: internal error
name: internal_error
logsource: {product: app}
detection: {selection: {http.response.status_code: 500}, condition: selection}
---
title: new network connection
name: new_network_connection
logsource: {product: app}
detection: {selection: {event.category: network, event.type: connection, event.outcome: success}, condition: selection}
---
title: tested
correlation:
    type: temporal
    rules:
        - internal_error
        - new_network_connection
    group-by:
        - internal_ip
        - remote_ip
    timespan: 10s
    aliases:
        internal_ip:
            internal_error: destination.ip
            new_network_connection: source.ip
        remote_ip:
            internal_error: source.ip
            new_network_connection: destination.ip
"""


def test_the_specification_groups_by_aliases() -> None:
    error = {"product": "app", "http.response.status_code": 500, "source.ip": "192.0.2.9", "destination.ip": "10.0.0.1"}
    call = {"product": "app", "event.category": "network", "event.type": "connection", "event.outcome": "success"}
    back = call | {"source.ip": "10.0.0.1", "destination.ip": "192.0.2.9"}
    assert run(ALIASES, [(0, error), (10, back)])
    assert not run(ALIASES, [(0, error), (10, call | {"source.ip": "192.0.2.9", "destination.ip": "10.0.0.1"})])
    assert not run(ALIASES, [(0, error), (11, back)])


def test_the_specification_lets_a_chain_use_its_own_group() -> None:
    """Even if the rule many_failed_logins groups by the ComputerName, the correlation uses its own group-by User."""
    inner = "        - failed_login\n    group-by:\n        - {}"
    rules = CHAINED.replace(inner.format("User"), inner.format("ComputerName"))
    attack = [(at, event | {"ComputerName": "pc1", "User": "ana" if at < 3 else "luis"}) for at, event in ATTACK]
    assert [alert["almena.alert.count"] for alert in run(rules, [*attack, (60, ENTERED)])] == [11]
    assert not run(rules, [*attack, (60, ENTERED | {"User": "eva"})])
