"""Each rule's cost is told by its id: matches exactly, time by samples."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_index import rules_of

from almena.event import Event
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index import costs as module
from detectors.sigma.index.costs import SAMPLE, Costs
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.rules import Rule

ORIGIN = {"event.dataset": "windows.test"}
ASKED: list[dict[str, Any]] = [
    {"s": {"x": "a"}},
    {"s": {"x|re": "(a|b)*c$"}},
    {"s": {"x|fieldref": "y"}},
    {"s": {"|re": "zz+z"}},
    {"s": {"x": "a"}, "condition": "not s"},
    {"s": ["often"]},
]


def many(count: int) -> list[Event]:
    return [ORIGIN | {"x": "ab" * 500 + str(number), "y": "often" if number % 3 else "a"} for number in range(count)]


@settings(max_examples=50)
@given(
    st.lists(st.fixed_dictionaries({"x": st.sampled_from("abc"), "y": st.sampled_from(["a", "often"])}), max_size=30),
    st.integers(1, 7),
)
def test_matches_are_exact(events: list[Event], cut: int) -> None:
    rules = rules_of(ASKED)
    engine, plain = IndexEngine(rules), PlainEngine(rules)
    events = [event | ORIGIN for event in events]
    expected = dict.fromkeys((rule.id for rule in rules), 0)
    for start in range(0, len(events), cut):
        engine.match_all(events[start : start + cut])
        for event in events[start : start + cut]:
            for rule in plain.match(event):
                expected[rule.id] += 1
        assert {identity: cost.matches for identity, cost in engine.costs().items()} == expected
    assert all(cost.candidates >= 0 <= cost.nanoseconds for cost in engine.costs().values())


def test_rules_never_asked_are_told_too() -> None:
    rules = rules_of(ASKED)
    engine = IndexEngine(rules)
    assert set(engine.costs()) == {rule.id for rule in rules}
    assert set(engine.costs().values()) == {(0, 0, 0)}


def test_slow_rules_cost_time_and_quick_ones_little() -> None:
    rules = rules_of(ASKED)
    engine = IndexEngine(rules)
    for _ in range(4):
        for event in many(200):
            engine.match_all([event])
    costs = {rule.title: engine.costs()[rule.id] for rule in rules}
    for slow in ("T1", "T2", "T3"):
        assert costs[slow].nanoseconds > 0, slow
    assert costs["T4"].matches == 800
    assert costs["T1"].nanoseconds > costs["T0"].nanoseconds


def test_costs_never_fall() -> None:
    engine = IndexEngine(rules_of(ASKED))
    before = engine.costs()
    for start in range(5):
        engine.match_all(many(50 + start))
        now = engine.costs()
        assert all(new >= old for name in now for new, old in zip(now[name], before[name], strict=True))
        before = now


def test_one_judgement_in_so_many_is_timed() -> None:
    costs = Costs(rules_of(ASKED))
    turns = [costs.turn((0, 2)) for _ in range(4 * SAMPLE)]
    assert turns == [(number + 1) % SAMPLE == 0 for number in range(4 * SAMPLE)]
    assert [cost.candidates for cost in costs.total({}).values()] == [4 * SAMPLE, 0, 4 * SAMPLE, 0, 0, 0]


def test_time_is_shared_and_time_measured_elsewhere_added() -> None:
    rules = rules_of(ASKED[:3])
    costs = Costs(rules)
    costs.spend((0, 1), 100)
    costs.spend((1,), 7)
    assert [cost.nanoseconds for cost in costs.total({2: 5.0, 1: 1.0}).values()] == [50, 58, 5]


def test_combinations_are_added_up_before_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COMBINATIONS", 3)
    rules = rules_of(ASKED)
    costs = Costs(rules)
    expected = [0] * len(rules)
    for number in range(64):
        verdict: tuple[Rule, ...] = tuple(rule for place, rule in enumerate(rules) if number >> place & 1)
        for rule in verdict:
            expected[rules.index(rule)] += 2
        costs.count([verdict, verdict])
        assert len(costs._combinations) <= 3
    assert [cost.matches for cost in costs.total({}).values()] == expected
