"""Every kind of correlation through both roles: any shuffle, cut, restart and sharing out gives the same alerts."""

from __future__ import annotations

import random

import pytest
from examples import examples
from flow import Appended, Flow, final
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import SECOND, format_time
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_texts

START = 1_790_000_000 * SECOND
LATENESS = 5 * SECOND

BASE = "\n---\n".join(
    f"title: Rule {name}\nid: {number:08x}-0000-4000-8000-000000000000\nname: {name}\nlogsource: {{product: app}}\n"
    f"detection: {{s: {{event.action: {name}}}, condition: s}}"
    for number, name in enumerate("abcd", 1)
)

KINDS = {
    "count": "type: event_count, rules: [a, b], condition: {gte: 4}",
    "distinct": "type: value_count, rules: [a], condition: {gte: 3, field: user.name}",
    "sum": "type: value_sum, rules: [a, b], condition: {gt: 60, field: url.port}",
    "mean": "type: value_avg, rules: [a], condition: {gte: 14, field: url.port}",
    "percentile": "type: value_percentile, rules: [a, c], condition: {gt: 15, field: url.port, percentile: 80}",
    "median": "type: value_median, rules: [b], condition: {lt: 13, field: url.port}",
    "together": "type: temporal, rules: [a, b, c]",
    "two of three": "type: temporal, rules: [a, b, d], condition: {gte: 2}",
    "order": "type: temporal_ordered, rules: [a, b, c]",
    "few": "type: event_count, rules: [a, c], condition: {gte: 2, lt: 4}",
    "other number": "type: value_count, rules: [a, b], condition: {neq: 2, field: user.name}",
    "expression": "type: temporal, rules: [a, b, c], condition: a and (b or c)",
    "absence": "type: temporal, rules: [a, d], condition: a and not d",
    "absence behind": "type: temporal_ordered, rules: [a, b, d], condition: a and b and not d",
    "absence before": "type: temporal_ordered, rules: [d, a, b], condition: not d and a and b",
    "chain": "type: temporal_ordered, rules: [many, b]",
    "chain of absences": "type: event_count, rules: [lonely], condition: {gte: 2}",
}
INNER = {
    "many": "type: event_count, rules: [a], group-by: [source.ip, user.name], condition: {gte: 2}",
    "lonely": "type: temporal, rules: [c, d], group-by: [user.name], condition: c and not d",
}


def written(name: str, correlation: str) -> str:
    group = "" if "group-by" in correlation else ", group-by: [source.ip]"
    span = "40s" if name.startswith("chain") else "20s"
    return (
        f"---\ntitle: {name}\nname: {name.replace(' ', '_')}\ncorrelation: {{{correlation}{group}, timespan: {span}}}"
    )


RULES = load_texts([("all.yml", "\n".join([BASE, *(written(*item) for item in (INNER | KINDS).items())]))], "ecs")
SELECTOR = SigmaDetector(RULES)
OPERATORS = {operator.name: operator for operator in operators(RULES)}


def history(chance: random.Random) -> list[Appended]:
    """Events of one minute or two, appended as they happen."""
    found: list[Appended] = []
    for number in range(chance.choice([3, 20, 60])):
        time = START + chance.randrange(150) * SECOND // 2
        item = {
            "@timestamp": format_time(time),
            "event.id": f"s:l:{number}",
            "event.dataset": "app.x",
            "event.action": chance.choice("aaabbccd"),
            "organization.id": "sfa",
            "source.ip": chance.choice(["192.0.2.1", "192.0.2.2"]),
            "user.name": chance.choice("uvw"),
            "url.port": str(chance.choice([7, 9.5, 12, 16, 20])),
        }
        found.append((time, 0, "s", item))
    return found


def test_all_kinds_are_here() -> None:
    assert not RULES.rejected, RULES.rejected
    assert {operator.rule.type for operator in OPERATORS.values()} == {
        "event_count", "value_count", "temporal", "temporal_ordered",
        "value_sum", "value_avg", "value_percentile", "value_median",
    }  # fmt: skip


@examples(20)
@given(seed=st.integers(0, 2**32), partitions=st.integers(1, 4))
def test_any_shuffle_cut_restart_and_sharing_gives_the_same_alerts(seed: int, partitions: int) -> None:
    chance = random.Random(seed)
    straight = history(chance)
    mixed = [
        (time + chance.randrange(LATENESS + 1), chance.randrange(4), source, item) for time, _, source, item in straight
    ]
    with pytest.MonkeyPatch.context() as patch:
        plain = Flow(sorted(straight, key=lambda one: one[0]), [SELECTOR], OPERATORS, cuts=[1_000]).play()
        patch.setattr("almena.stage.LARGEST_STEP", chance.choice([10, 30, 2_000]))
        cuts = [chance.randint(1, 10) for _ in range(20)]
        mixed.sort(key=lambda one: one[0])
        other = Flow(mixed, [SELECTOR], OPERATORS, cuts=cuts, seed=seed, partitions=partitions).play()
    assert final(other) == final(plain)
    assert len(other) == len(plain), "no revision is told twice"


def test_every_kind_alerts_in_such_histories() -> None:
    """The property above compares alerts, and not emptiness."""
    events = [event for seed in range(12) for event in history(random.Random(seed))]
    for number, (_, _, _, item) in enumerate(events):
        item["event.id"] = f"s:l:{number}"
    alerts = final(Flow(sorted(events, key=lambda one: one[0]), [SELECTOR], OPERATORS, cuts=[1_000]).play())
    quiet = {alert["rule.name"] for alert in alerts.values()} ^ set(KINDS)
    few = [event for event in events if event[3]["event.action"] != "d"][:25]
    again = final(Flow(sorted(few, key=lambda one: one[0]), [SELECTOR], OPERATORS, cuts=[1_000]).play())
    assert quiet <= {alert["rule.name"] for alert in again.values()}
