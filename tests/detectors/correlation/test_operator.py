"""Correlations in event time, against the specification's examples and against naive windows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest
from examples import examples
from harness import driven, final
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from almena.alert import Alert
from almena.clock import DAY, FOREVER, HOUR, MINUTE, SECOND, format_time
from almena.hit import Hit, group_key
from almena.replay import run_all
from almena.state import Partition, State
from detectors.correlation import CorrelationOperator
from detectors.correlation.feeds import feeds_of, short
from detectors.sigma.detector import SigmaDetector, operators, operators_of
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import RuleSet

START = 1_790_000_000 * SECOND
RULES = {name: f"{number:08x}-0000-4000-8000-000000000000" for number, name in enumerate(("a", "b", "c"), 1)}
BASE = "\n---\n".join(
    f"title: Rule {name}\nid: {ident}\nname: {name}\nlogsource: {{product: app}}\n"
    f"detection: {{s: {{event.action: {name}}}, condition: s}}"
    for name, ident in RULES.items()
)
ES = 'es: {que_paso: "{source.ip}: {almena.alert.count} de {user.name}"}'


def load(correlation: str, more: str = "") -> RuleSet:
    text = f"{BASE}\n---\ntitle: Correlated\nlevel: high\ncorrelation: {{{correlation}}}\n{ES}\n{more}"
    ruleset = load_texts([("x.yml", text)], "ecs")
    assert not ruleset.rejected, ruleset.rejected[0].reason
    return ruleset


def operator(correlation: str, more: str = "", **options: Any) -> CorrelationOperator:
    ruleset = load(correlation, more)
    (found,) = [item for item in ruleset.correlations if item.title == "Correlated"]
    return CorrelationOperator(found, **options)


def chain(correlation: str, more: str = "") -> list[CorrelationOperator]:
    ruleset = load(correlation, more)
    (found,) = [item for item in ruleset.correlations if item.title == "Correlated"]
    return operators_of(found, ruleset)


def run_chain(tested: Sequence[CorrelationOperator], hits: Sequence[Hit]) -> list[Alert]:
    feeds = [feed for one in tested for feed in feeds_of(one.rule, one.readers)]
    routed = [
        msgspec.structs.replace(item, detector=feed.rule.id, group=group)
        for item in hits
        for feed in feeds
        if feed.leaf == item.rule
        and (group := feed.key("sfa", item.fields.get)) is not None
        and feed.counts(item.fields.get)
    ]
    return list(run_all(tested, routed))


def hit(seconds: float, rule: str = "a", ident: str = "", group: str = "1.1.1.1", **fields: Any) -> Hit:
    time = START + round(seconds * SECOND)
    ident = ident or f"e{round(seconds * 1000):012}{rule}"
    return Hit(
        time=time,
        id=f"{ident}/{RULES[rule]}",
        detector="",
        group=group_key("sfa", group),
        fields={
            "@timestamp": format_time(time),
            "event.ingested": format_time(time + SECOND),
            "event.id": ident,
            "organization.id": "sfa",
            "source.ip": group,
            **{name.replace("_", "."): value for name, value in fields.items()},
        },
        rule=RULES[rule],
    )


def run(tested: CorrelationOperator, hits: Iterable[Hit], state: State | None = None) -> list[Alert]:
    ordered = sorted(hits, key=lambda item: (item.time, item.id))
    return driven(tested, ordered, FOREVER, state or State())


def times(values: Sequence[float], **fields: Any) -> list[Hit]:
    return [hit(value, **fields) for value in values]


COUNT = "type: event_count, rules: [a], group-by: [source.ip], timespan: 1m, condition: {gte: 3}"
VALUES = "type: value_count, rules: [a], group-by: [source.ip], timespan: 1m, condition: {gte: 3, field: user.name}"
TOGETHER = "type: temporal, rules: [a, b], group-by: [source.ip], timespan: 1m"
ORDERED = "type: temporal_ordered, rules: [a, b, c], group-by: [source.ip], timespan: 1m"


# --- event_count -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moments", "fires"),
    [
        ([0, 1, 2], True),
        ([0, 30, 60], True),
        ([0, 30, 60.000001], False),
        ([0, 1], False),
        ([0, 1, 61.5, 62, 200, 201], False),
        ([0, 50, 100, 110, 110.5], True),
        ([0, 0, 0], True),
        ([0, 7_200, 7_200.5], False),
    ],
)
def test_a_count_within_a_sliding_window(moments: list[float], fires: bool) -> None:
    hits = [hit(moment, ident=f"e{number}") for number, moment in enumerate(moments)]
    assert bool(run(operator(COUNT), hits)) is fires


def test_gt_takes_one_more() -> None:
    tested = operator(COUNT.replace("gte", "gt"))
    assert not run(tested, times([0, 1, 2]))
    (alert,) = run(tested, times([0, 1, 2, 3]))
    assert alert["almena.alert.explanation"]["root"]["threshold"] == "gt 3"


def test_groups_do_not_mix() -> None:
    hits = [hit(0), hit(1), hit(2, group="2.2.2.2")]
    assert not run(operator(COUNT), hits)


def test_the_alert_says_who_how_many_and_why() -> None:
    first, *_ = alerts = run(operator(COUNT), times([0, 10, 20, 25], user_name="ana"))
    assert len(alerts) == 2  # when it began, and at four
    assert first["rule.name"] == "Correlated"
    assert first["event.severity"] == 73
    assert first["almena.alert.count"] == 3
    assert first["almena.alert.entity"] == "source.ip=1.1.1.1"
    assert first["almena.alert.first_seen"] == format_time(START)
    assert first["almena.alert.last_seen"] == format_time(START + 20 * SECOND)
    assert first["almena.alert.revision"] == [START + 20 * SECOND, 3]
    assert first["event.reason"] == "1.1.1.1: 3 de ana"
    assert first["user.name"] == "ana", "what all its events share stands in the alert"
    assert first["organization.id"] == "sfa"
    assert first["almena.alert.explanation"] == {
        "condition": "event_count gte 3 / 1m",
        "root": {
            "kind": "correlation",
            "rule": first["rule.id"],
            "type": "event_count",
            "group": {"source.ip": "1.1.1.1"},
            "value": 3,
            "threshold": "gte 3",
            "timespan": "1m",
            "pass": True,
        },
    }
    assert first["almena.alert.evidence"]["first"]["event.id"] == "e000000000000a"
    assert first["almena.alert.id"].startswith(format_time(START)[:7].replace("-", ""))


def test_one_episode_is_one_alert_revised_at_powers_of_two_and_at_its_end() -> None:
    alerts = run(operator(COUNT), times([float(second) for second in range(40)]))
    assert [alert["almena.alert.count"] for alert in alerts] == [3, 4, 8, 16, 32, 40]
    assert [alert["almena.alert.explanation"]["root"]["value"] for alert in alerts] == [3, 4, 8, 16, 32, 40]
    assert len({alert["almena.alert.id"] for alert in alerts}) == 1
    revisions = [tuple(alert["almena.alert.revision"]) for alert in alerts]
    assert revisions == sorted(revisions)
    assert revisions[-1] == (START + 39 * SECOND + MINUTE + 1, 40)
    assert alerts[-1]["almena.alert.last_seen"] == format_time(START + 39 * SECOND)
    assert alerts[-1]["almena.alert.first_seen"] == format_time(START)


def test_a_gap_of_one_timespan_ends_the_episode() -> None:
    alerts = run(operator(COUNT), times([0, 1, 2, 62, 122, 182.1, 183, 184]))
    found = list(final(alerts).values())
    assert [alert["almena.alert.count"] for alert in found] == [5, 3]
    assert found[1]["almena.alert.first_seen"] == format_time(START + round(182.1 * SECOND))


def test_an_episode_does_not_go_on_for_ever() -> None:
    tested = operator(COUNT, longest=HOUR)
    found = list(final(run(tested, times([float(30 * number) for number in range(300)]))).values())
    assert len(found) == 3
    assert sum(alert["almena.alert.count"] for alert in found) == 300


def test_an_episode_of_distinct_values_does_not_go_on_for_ever() -> None:
    tested = operator(VALUES, longest=HOUR)
    hits = [hit(10.0 * number, user_name=f"u{number % 5}") for number in range(900)]
    found = list(final(run(tested, hits)).values())
    assert len(found) == 3
    assert sum(alert["almena.alert.count"] for alert in found) == 900


def test_the_identity_is_the_earliest_hit_of_the_first_window_that_holds() -> None:
    early = run(operator(COUNT), times([0, 50, 55, 100, 101]))
    late = run(operator(COUNT), times([50, 55, 100, 101]))
    assert early[0]["almena.alert.evidence"]["first"]["event.id"] == "e000000000000a"
    assert late[0]["almena.alert.evidence"]["first"]["event.id"] == "e000000050000a"
    assert run(operator(COUNT), times([-61, 50, 55, 100]))[0]["almena.alert.id"] == late[0]["almena.alert.id"]


def test_an_event_that_matches_two_rules_counts_once() -> None:
    tested = operator(COUNT.replace("[a]", "[a, b]"))
    both = [hit(second, rule, ident=f"e{second}") for second in range(2) for rule in ("a", "b")]
    assert not run(tested, both)
    more = [hit(second, rule, ident=f"e{second}") for second in range(2, 7) for rule in ("a", "b")]
    assert [alert["almena.alert.count"] for alert in run(tested, [*both, *more])] == [3, 4, 7]


def test_a_group_that_is_no_entity_is_named_all_the_same() -> None:
    tested = operator("type: event_count, rules: [a], group-by: [url.path], timespan: 1m, condition: {gte: 3}")
    (alert,) = run(tested, times([0, 1, 2], url_path="/pagos"))
    assert alert["almena.alert.entity"] == "url.path=/pagos"


def test_without_groups_everything_counts_together() -> None:
    tested = operator("type: event_count, rules: [a], timespan: 1m, condition: {gte: 3}")
    hits = [msgspec.structs.replace(hit(second, group=f"1.1.1.{second}"), group="sfa") for second in range(3)]
    (alert,) = run(tested, hits)
    assert alert["almena.alert.explanation"]["root"]["group"] == {}
    assert alert["almena.alert.entity"] == "source.ip=1.1.1.0"


def test_large_windows_keep_what_identifies_a_hit() -> None:
    tested = operator(COUNT.replace("gte: 3", "gte: 200"))
    state = State()
    (alert,) = run(tested, [hit(second / 10, user_name="x" * 150) for second in range(200)], state)
    assert alert["almena.alert.evidence"]["first"]["event.id"] == "e000000000000a"
    assert alert["source.ip"] == "1.1.1.1"
    part = State()
    ordered = [hit(second / 10, user_name="x" * 150) for second in range(199)]
    list(tested.observe(ordered, part))
    assert sum(len(data or b"") for data in part.changes().values()) < 199 * 200


# --- value_count -----------------------------------------------------------------------------------------------------


def test_distinct_values_within_a_window() -> None:
    tested = operator(VALUES)
    assert not run(tested, [hit(second, user_name="ana") for second in range(20)])
    assert not run(tested, [hit(second * 31, user_name=f"u{second}") for second in range(20)])
    alerts = run(tested, [hit(second, user_name=f"u{second % 5}") for second in range(20)])
    last = alerts[-1]
    assert alerts[0]["almena.alert.count"] == 3
    assert last["almena.alert.explanation"]["root"]["value"] == 5
    assert "user.name" not in last, "a counted value is not what the alert is about"
    assert last["almena.alert.evidence"]["last"]["user.name"] == "u4"


def test_hits_without_the_counted_field_do_not_count() -> None:
    assert not run(operator(VALUES), [hit(0, user_name="a"), hit(1), hit(2, user_name="b"), hit(3, user_name="")])


def test_several_fields_count_together() -> None:
    tested = operator(VALUES.replace("field: user.name", "field: [user.name, host.name]"))
    assert run(tested, [hit(second, user_name="ana", host_name=f"h{second}") for second in range(3)])
    assert not run(tested, [hit(second, user_name="ana", host_name="h") for second in range(9)])


def test_a_million_distinct_values_cost_what_the_threshold_costs() -> None:
    tested, state = operator(VALUES), State()
    for start in range(0, 20_000, 1_000):
        hits = [hit(number / 1_000, user_name=f"u{number}") for number in range(start, start + 1_000)]
        list(tested.observe(hits, state))
    size = sum(len(data or b"") for data in state.changes().values())
    assert size < 20_000
    alerts = driven(tested, [], FOREVER, state)
    assert alerts[-1]["almena.alert.count"] == 20_000
    root = alerts[-1]["almena.alert.explanation"]["root"]
    assert abs(root["value"] - 20_000) < 20_000 * 3 * root["error"]


# --- temporal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "fires"),
    [("a0 b1", True), ("b0 a1", True), ("a0 a1", False), ("a0 b61", False), ("a0 b61 a62", True), ("b0 a60", True)],
)
def test_temporal_needs_all_its_rules_in_any_order(sequence: str, fires: bool) -> None:
    hits = [hit(float(step[1:]), step[0]) for step in sequence.split()]
    assert bool(run(operator(TOGETHER), hits)) is fires


@pytest.mark.parametrize(
    ("sequence", "fires"),
    [
        ("a0 b1 c2", True),
        ("a0 c1 b2", False),
        ("b0 a1 c2", False),
        ("a0 b1 b2 c60", True),
        ("a0 b1 c61", False),
        ("a0 b1 a50 c62", False),
        ("a0 b1 a50 b55 c100", True),
        ("c0 a1 b2 c3", True),
        ("a0 b30 c90", False),
    ],
)
def test_temporal_ordered_needs_its_rules_in_order(sequence: str, fires: bool) -> None:
    hits = [hit(float(step[1:]), step[0]) for step in sequence.split()]
    assert bool(run(operator(ORDERED), hits)) is fires


def test_the_same_rule_may_stand_twice_in_an_order() -> None:
    tested = operator("type: temporal_ordered, rules: [a, b, a], group-by: [source.ip], timespan: 1m")
    assert not run(tested, [hit(0, "a"), hit(1, "b")])
    (alert,) = run(tested, [hit(0, "a"), hit(1, "b"), hit(2, "a")])
    assert alert["almena.alert.count"] == 3


def test_one_hit_takes_one_place_of_an_order() -> None:
    tested = operator("type: temporal_ordered, rules: [a, a], group-by: [source.ip], timespan: 1m")
    assert not run(tested, [hit(0, "a")])
    assert run(tested, [hit(0, "a"), hit(1, "a")])


def skipped(tested: CorrelationOperator) -> float:
    labels = {"rule_id": tested.name, "reason": "group"}
    return REGISTRY.get_sample_value("almena_correlation_skipped_total", labels) or 0.0


def test_aliases_group_by_differently_named_fields() -> None:
    text = (
        "type: temporal, rules: [a, b], group-by: [who], timespan: 1m, "
        "aliases: {who: {a: user.name, b: user.target.name}}"
    )
    detector = SigmaDetector(load(text))
    (tested,) = operators(detector.ruleset)
    events = [
        {
            "@timestamp": format_time(START),
            "event.id": "1",
            "event.dataset": "app.x",
            "event.action": "a",
            "user.name": "ana",
        },
        {
            "@timestamp": format_time(START),
            "event.id": "2",
            "event.dataset": "app.x",
            "event.action": "b",
            "user.target.name": "ana",
        },
        {
            "@timestamp": format_time(START),
            "event.id": "3",
            "event.dataset": "app.x",
            "event.action": "b",
            "user.name": "luis",
        },
    ]
    before = skipped(tested)
    hits = [found for found in detector.select(events) if isinstance(found, Hit)]
    (alert,) = run(tested, hits)
    assert alert["almena.alert.explanation"]["root"]["group"] == {"user.target.name": "ana"}
    assert skipped(tested) == before + 1


# --- chains ----------------------------------------------------------------------------------------------------------

CHAIN = "type: temporal_ordered, rules: [many, b], group-by: [source.ip], timespan: 5m"
MANY = """---
title: Many
name: many
correlation: {type: event_count, rules: [a], group-by: [source.ip], timespan: 1m, condition: {gte: 10}}
"""


def test_failed_logins_followed_by_a_successful_one() -> None:
    tested = chain(CHAIN, MANY)
    attack = [hit(float(second)) for second in range(10)]
    assert not run_chain(tested, attack)
    assert not run_chain(tested, [*attack[:9], hit(20, "b")])
    assert not run_chain(tested, [hit(0, "b"), *[hit(1.0 + second) for second in range(10)]])
    assert not run_chain(tested, [*attack, hit(9 + 301, "b")])
    (alert,) = run_chain(tested, [*attack, hit(9 + 300, "b", user_name="ana")])
    assert alert["almena.alert.count"] == 11
    assert alert["almena.alert.first_seen"] == format_time(START)
    assert alert["event.reason"] == "1.1.1.1: 11 de ana"
    root = alert["almena.alert.explanation"]["root"]
    assert root["type"] == "temporal_ordered"
    (inner,) = root["children"]
    assert inner == {
        "kind": "correlation",
        "rule": root["rules"][0],
        "type": "event_count",
        "threshold": "gte 10",
        "timespan": "1m",
        "pass": True,
    }


def test_a_long_attack_still_counts_when_it_succeeds_at_its_end() -> None:
    attack = [hit(float(second)) for second in range(0, 1_200, 5)]
    (alert,) = run_chain(chain(CHAIN, MANY), [*attack, hit(1_210, "b")])
    assert alert["almena.alert.count"] == 241


def test_chained_correlations_that_are_asked_to_alert_do() -> None:
    quiet, loud = load(CHAIN, MANY), load(CHAIN + ", generate: true", MANY)
    assert [(item.rule.title, item.depth) for item in operators(quiet)] == [("Many", 0), ("Correlated", 1)]
    attack = [*(hit(float(second)) for second in range(10)), hit(20, "b")]
    assert {alert["rule.name"] for alert in run_chain(operators(quiet), attack)} == {"Correlated"}
    assert {alert["rule.name"] for alert in run_chain(operators(loud), attack)} == {"Correlated", "Many"}
    assert quiet.muted >= {RULES["a"], RULES["b"]}
    assert not loud.muted & {RULES["b"]}


def test_an_inner_correlation_may_group_by_more() -> None:
    inner = MANY.replace("[source.ip]", "[source.ip, user.name]").replace("gte: 10", "gte: 3")
    tested = chain(CHAIN, inner)
    spread = [hit(float(second), user_name=f"u{second}") for second in range(3)]
    one = [hit(float(second), user_name="ana") for second in range(3)]
    nobody = [hit(float(second), user_name=name) for second, name in enumerate(["", "", "", "", ""])]
    assert not run_chain(tested, [*spread, hit(10, "b")])
    assert not run_chain(tested, [*nobody, hit(10, "b")])
    assert not run_chain(tested, [*times([0, 1, 2, 3]), hit(10, "b")])
    assert run_chain(tested, [*one, hit(10, "b")])


def test_counting_episodes_of_an_inner_correlation() -> None:
    tested = chain("type: event_count, rules: [many], group-by: [source.ip], timespan: 1h, condition: {gte: 2}", MANY)
    burst = [hit(float(second)) for second in range(30)]
    again = [hit(600.0 + second) for second in range(10)]
    assert not run_chain(tested, burst)
    assert run_chain(tested, [*burst, *again])


# --- state, batches, noise -------------------------------------------------------------------------------------------


def test_noise_does_not_push_out_a_group_that_is_nearly_there() -> None:
    tested, state = operator(COUNT.replace("gte: 3", "gte: 10"), limit=400), State()
    alerts = driven(tested, [hit(second / 10) for second in range(9)], START, state)
    noise = [hit(1 + number / 10_000, group=f"10.0.{number // 250}.{number % 250}") for number in range(10_000)]
    alerts += driven(tested, noise, START + 3 * SECOND, state)
    assert not alerts
    assert state.entries() < 1_000
    assert state.evictions() > 9_000
    (alert,) = driven(tested, [hit(10)], FOREVER, state)
    assert alert["almena.alert.count"] == 10


def test_past_groups_are_forgotten() -> None:
    tested, state = operator(COUNT), State()
    driven(tested, [hit(0), *(hit(1, group=f"10.0.0.{number}") for number in range(50))], START, state)
    assert state.entries() > 50
    driven(tested, [], FOREVER, state)
    assert state.entries() == 0
    assert state.next_wake() is None


def test_a_single_group_is_forgotten_too() -> None:
    tested, state = operator(COUNT), State()
    driven(tested, [hit(0)], FOREVER, state)
    assert state.entries() == 0


def test_an_episode_that_was_pushed_out_is_over_without_a_word() -> None:
    tested, state = operator(COUNT, limit=4), State()
    hits = [hit(second, group=group) for second, group in enumerate(["1.1.1.1"] * 3 + ["2.2.2.2"] * 3)]
    alerts = driven(tested, hits, FOREVER, state)
    assert [alert["source.ip"] for alert in alerts] == ["1.1.1.1", "2.2.2.2"]
    assert state.evictions() == 1


def test_versions_follow_the_rules() -> None:
    assert operator(COUNT).version != operator(COUNT.replace("1m", "2m")).version
    assert operator(COUNT).version == operator(COUNT).version


def test_long_values_are_told_apart() -> None:
    assert short("x" * 300) != short("x" * 301)
    assert len(short("x" * 100_000)) <= 200
    assert short(["b", "a"]) == "b, a"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 5, 20, 29, 30, 31, 59, 60, 61, 200]),
        st.sampled_from("aaabbc"),
        st.sampled_from(["1.1.1.1", "1.1.1.1", "2.2.2.2"]),
        st.sampled_from("uvwx"),
    ),
    max_size=40,
)


@functools.cache
def made(kind: str) -> CorrelationOperator:
    return operator(kind, longest=10 * MINUTE)


def sequence(steps: Sequence[tuple[int, str, str, str]], kind: str) -> list[Hit]:
    read = {"a"} if kind in (COUNT, VALUES) else {"a", "b"} if kind == TOGETHER else {"a", "b", "c"}
    found, second = [], 0
    for number, (gap, rule, group, user) in enumerate(steps):
        second += gap
        if rule in read:
            found.append(hit(second, rule, ident=f"e{number:03}", group=group, user_name=user))
    return found


def oracle(kind: str, hits: Sequence[Hit]) -> list[tuple[str, int]]:
    """(id of the first hit, last time) of every episode of one group, by brute force over all earlier hits."""
    episodes: list[list[Any]] = []
    cut = 0
    for position, present in enumerate(hits):
        if episodes and episodes[-1][2]:
            _, last, _, began = episodes[-1]
            if present.time - last > MINUTE or present.time - began > 10 * MINUTE:
                episodes[-1][2] = False
                cut = position
            else:
                episodes[-1][1] = present.time
                continue
        window = [item for item in hits[cut : position + 1] if item.time >= present.time - MINUTE]
        first = _holds(kind, window)
        if first is not None:
            episodes.append([first.id, present.time, True, first.time])
    return [(first, last) for first, last, *_ in episodes]


def _holds(kind: str, window: Sequence[Hit]) -> Hit | None:
    if kind == COUNT:
        return window[0] if len(window) >= 3 else None
    if kind in (VALUES, TOGETHER):
        value: Callable[[Hit], str] = (
            (lambda item: item.fields["user.name"]) if kind == VALUES else (lambda item: item.rule)
        )
        latest = {value(item): item for item in window}
        chosen = sorted(latest.values(), key=lambda item: (item.time, item.id))[-(3 if kind == VALUES else 2) :]
        return chosen[0] if len(chosen) == (3 if kind == VALUES else 2) else None
    chain: list[Hit] = []
    wanted = [RULES["c"], RULES["b"], RULES["a"]]
    if window[-1].rule != wanted[0]:
        return None
    for item in reversed(window):
        if item.rule == wanted[len(chain)]:
            chain.append(item)
            if len(chain) == 3:
                return item
    return None


@examples(100)
@given(st.sampled_from([COUNT, VALUES, TOGETHER, ORDERED]), STEPS)
def test_episodes_equal_those_of_naive_windows(kind: str, steps: list[tuple[int, str, str, str]]) -> None:
    tested = made(kind)
    hits = sequence(steps, kind)
    found = sorted(
        (alert["source.ip"], alert["almena.alert.evidence"]["first"]["event.id"], alert["almena.alert.last_seen"])
        for alert in final(run(tested, hits)).values()
    )
    expected = sorted(
        (group, first.rpartition("/")[0], format_time(last))
        for group in ("1.1.1.1", "2.2.2.2")
        for first, last in oracle(kind, [item for item in hits if item.fields["source.ip"] == group])
    )
    assert found == expected


def test_the_day_is_the_longest_episode() -> None:
    tested = operator(COUNT)
    hits = [hit(float(30 * number)) for number in range(DAY // (30 * SECOND) + 100)]
    assert len(final(run(tested, hits))) == 2


def test_a_budget_of_bytes_costs_noise_first() -> None:
    tested, partition = operator(COUNT.replace("gte: 3", "gte: 10")), Partition()
    state = partition.state("many")
    driven(tested, [hit(second / 10) for second in range(9)], START, state)
    noise = [hit(1 + number / 10_000, group=f"10.0.{number // 250}.{number % 250}") for number in range(10_000)]
    for start in range(0, 10_000, 1_000):
        driven(tested, noise[start : start + 1_000], START + SECOND, state)
        partition.changes()
        partition.shrink(200_000)
        assert state.size() <= 200_000
    assert state.evictions() > 5_000
    (alert,) = driven(tested, [hit(10)], FOREVER, state)
    assert alert["almena.alert.count"] == 10


def test_what_is_evicted_wakes_nobody() -> None:
    tested, partition = operator(COUNT.replace("gte: 3", "lt: 3")), Partition()
    state = partition.state("few")
    hits = [hit(number / 10_000, group=f"10.0.{number // 250}.{number % 250}") for number in range(2_000)]
    driven(tested, hits, START, state)
    partition.changes()
    partition.shrink(10_000)
    assert state.entries() < 100
    assert len(driven(tested, [], FOREVER, state)) < 50


@pytest.mark.parametrize("wanted", [9_000, 20_000])
def test_a_million_values_are_told_within_the_error(wanted: int) -> None:
    tested, state = operator(VALUES.replace("gte: 3", f"gte: {wanted}").replace("1m", "1h"), exact=9_500), State()
    alerts: list[Alert] = []
    for start in range(0, 40_000, 2_000):
        hits = [hit(number / 100, user_name=f"u{number}") for number in range(start, start + 2_000)]
        alerts += driven(tested, hits, hits[-1].time - 1, state)
        state.changes()
    root = alerts[-1]["almena.alert.explanation"]["root"]
    assert abs(root["value"] - alerts[-1]["almena.alert.count"]) <= 0.1 * root["value"]
    assert abs(alerts[0]["almena.alert.explanation"]["root"]["value"] - wanted) <= 0.08 * wanted
    assert alerts[0]["almena.alert.explanation"]["root"]["error"] > 0
