"""The judge asks only rules that may hold, and says of them what asking all would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_index import rules_of, titles
from sigma_strategies import EVENTS, detections

from almena.event import Event
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index import judge as module
from detectors.sigma.index.atoms import Atoms, Held, compiled
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.index.judge import Judge
from detectors.sigma.index.lanes import Reach
from detectors.sigma.rules import Rule

LETTERS = "abcdef"
ASKED: list[dict[str, Any]] = [{"s": {letter: "x"}} for letter in LETTERS]
ASKED += [
    {"s": {one: "x", two: "x"}, "t": {"f": "x"}, "condition": condition}
    for one, two in [("a", "b"), ("b", "c"), ("c", "d"), ("e", "a")]
    for condition in ("s", "s and not t", "s or t", "not s", "not s and not t", "1 of them")
]
RULES = rules_of(ASKED)
ANSWERS = st.lists(st.frozensets(st.integers(0, len(LETTERS) - 1), max_size=3), max_size=3)


def judge_of(rules: Sequence[Rule]) -> tuple[Judge, Atoms]:
    atoms = Atoms()
    return Judge(rules, atoms), atoms


def expected(judge: Judge, rules: Sequence[Rule], places: frozenset[int], answers: Sequence[Held]) -> list[Rule]:
    held: Held = frozenset().union(*answers)
    return [
        rule
        for place, (rule, condition) in enumerate(zip(rules, judge.conditions, strict=True))
        if place in places and compiled(condition)(held)
    ]


@settings(max_examples=200)
@given(st.lists(ANSWERS, max_size=40), st.frozensets(st.integers(0, len(RULES) - 1)), st.booleans())
def test_verdicts_equal_asking_every_rule_while_it_learns(
    many: list[list[Held]], places: frozenset[int], learns: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SAMPLE", 1 if learns else 8)
        patch.setattr(module, "LESSON", 2)
        patch.setattr(module, "AGAIN", 2)
        patch.setattr(module, "MOST_SETS", 3)
        judge, atoms = judge_of(RULES)
        assert len(atoms.predicates) == len(LETTERS)
        for answers in many:
            # What needs nothing is looked up anew, for a lesson may change what a rule is filed under.
            reach = Reach(rules=places, always=places & judge.always)
            assert list(judge.verdict(reach, answers)) == expected(judge, RULES, places, answers)
            assert len(judge._worth) <= 3


@settings(max_examples=60)
@given(st.lists(detections(), min_size=1, max_size=3), st.lists(EVENTS, min_size=1, max_size=5))
def test_what_it_learns_changes_no_verdict(found: list[dict[str, Any]], events: list[Event]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SAMPLE", "LESSON"):
            patch.setattr(module, name, 1)
        patch.setattr(module, "AGAIN", 2)
        rules = rules_of(found)
        events = [event | {"event.dataset": "windows.test"} for event in events]
        told = titles(PlainEngine(rules).match_all(events))
        engine = IndexEngine(rules, budget=1)  # judges each time
        for _ in range(6):
            assert titles(engine.match_all(events)) == told


def test_a_lesson_files_rules_under_what_is_rare() -> None:
    rules = rules_of([{"s": {"a": "x", "b": "a very long and so a rare text"}}])
    judge, atoms = judge_of(rules)
    (short, long) = sorted(range(2), key=lambda number: len(str(atoms.predicates[number].value)))
    assert set(judge._by_number) == {long}
    reach = Reach(rules=frozenset({0}), always=judge.always)
    for _ in range(module.LESSON):
        assert judge.verdict(reach, [frozenset({long})]) == ()
    assert set(judge._by_number) == {short}
    assert judge.verdict(reach, [frozenset({long}), frozenset({short})]) == tuple(rules)


def test_rules_that_need_nothing_are_always_asked() -> None:
    judge, _ = judge_of(RULES)
    always = {place for place in range(len(RULES)) if expected(judge, RULES, frozenset({place}), [])}
    assert always <= judge.always
    assert judge.verdict(Reach(rules=frozenset(range(len(RULES))), always=judge.always), []) == tuple(
        RULES[place] for place in sorted(always)
    )


def test_rules_that_do_not_see_the_event_are_not_asked() -> None:
    judge, _ = judge_of(RULES)
    everything = [frozenset(range(len(LETTERS)))]
    assert judge.verdict(Reach(), everything) == ()
    assert judge.verdict(Reach(rules=frozenset({0})), everything) == (RULES[0],)
    assert judge.verdict(Reach(rules=frozenset({0, 1})), everything) == (RULES[0], RULES[1])


def test_who_asks_a_predicate() -> None:
    judge, atoms = judge_of(RULES)
    asking = judge.asking(frozenset(range(len(atoms.predicates))))
    for number, places in asking.items():
        field = atoms.predicates[number].field
        assert places == [place for place, rule in enumerate(RULES) if field in rule.fields]
    assert judge.asking(frozenset()) == {}


def test_sets_of_many_numbers_are_not_kept() -> None:
    judge, _ = judge_of(RULES)
    wide = frozenset(range(1_000))
    assert judge.verdict(Reach(rules=frozenset({0})), [wide]) == (RULES[0],)
    assert wide not in judge._worth
