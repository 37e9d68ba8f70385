"""Which rules are over their budget, judged from totals and told times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import MINUTE
from detectors.sigma.budget import FEWEST_EVENTS, PATIENCE, Budget, Cost, Excess

EVENTS = 10_000
DEAR = 50_000 * EVENTS
"""Nanoseconds that a rule of 50 µs per event takes in a window."""


def budget(**changes: float) -> Budget:
    return Budget(**{"share": 0.25, "each": 20} | changes)  # type: ignore[arg-type]


def windows(
    judge: Budget, *spent: dict[str, int], whole: int = 2 * DEAR, events: int = EVENTS
) -> list[dict[str, Excess]]:
    """What the judge says at the end of each window in which the rules spent so many nanoseconds."""
    totals = {rule: 0 for each in spent for rule in each}
    found = [judge.judge(0, 0, 0, {})]
    for number, each in enumerate(spent, start=1):
        totals = {rule: total + each.get(rule, 0) for rule, total in totals.items()}
        costs = {rule: Cost(1, 0, total) for rule, total in totals.items()}
        found.append(judge.judge(number * MINUTE, number * events, number * whole, costs))
    return found


def test_a_rule_over_both_limits_for_two_windows_is_over_budget() -> None:
    assert windows(budget(), {"a": DEAR, "b": 1_000}, {"a": DEAR, "b": 1_000}) == [{}, {}, {"a": Excess(50.0, 0.5)}]


@pytest.mark.parametrize(
    ("whole", "each"), [(5 * DEAR, 20), (2 * DEAR, 50)], ids=["a small share", "little for every event"]
)
def test_one_limit_alone_is_no_excess(whole: int, each: int) -> None:
    assert windows(budget(each=each), *[{"a": DEAR}] * 5, whole=whole) == [{}] * 6


def test_one_slow_window_is_forgiven_however_often() -> None:
    assert windows(budget(), *[{"a": DEAR}, {"a": 0}] * 4) == [{}] * 9


def test_whoever_is_told_once_is_told_again_only_after_as_many_windows() -> None:
    found = windows(budget(), *[{"a": DEAR}] * 4)
    assert [sorted(each) for each in found] == [[], [], ["a"], [], ["a"]]
    assert PATIENCE == 2


def test_nothing_is_judged_before_the_window_ends() -> None:
    judge = budget()
    judge.judge(0, 0, 0, {})
    assert not judge.due(MINUTE - 1)
    assert judge.judge(MINUTE - 1, EVENTS, DEAR, {"a": Cost(1, 1, DEAR)}) == {}
    assert judge.due(MINUTE)


def test_a_quiet_window_goes_on_until_there_is_enough_to_judge_by() -> None:
    few = FEWEST_EVENTS - 1
    judge = budget()
    judge.judge(0, 0, 0, {})
    for number in range(1, 5):
        now, spent = number * MINUTE, number * 50_000 * few
        found = judge.judge(now, number * few, spent, {"a": Cost(1, 1, spent)})
        assert found == ({"a": Excess(50.0, 1.0)} if number == 4 else {})


def test_without_a_limit_there_is_no_budget() -> None:
    judge = budget(each=0)
    assert windows(judge, *[{"a": 100 * DEAR}] * 4) == [{}] * 5
    assert not judge.due(10**18)


def test_rules_loaded_anew_are_measured_anew() -> None:
    judge = budget()
    windows(judge, {"a": DEAR})
    assert judge.judge(2 * MINUTE, 5, 10, {"a": Cost(1, 1, 10)}) == {}, "the totals fell"
    assert judge.judge(3 * MINUTE, EVENTS, 2 * DEAR, {"a": Cost(1, 1, DEAR)}) == {}, "a first strike"
    found = judge.judge(4 * MINUTE, 2 * EVENTS, 4 * DEAR, {"a": Cost(1, 1, 2 * DEAR)})
    assert found == {"a": Excess(50.0, 0.5)}


def test_an_engine_compiled_anew_in_between_counts_from_nothing() -> None:
    judge = budget()
    judge.judge(0, 0, 0, {"a": Cost(9, 9, 10 * DEAR)})
    judge.judge(MINUTE, EVENTS, 2 * DEAR, {"a": Cost(1, 1, DEAR)})
    assert judge.judge(2 * MINUTE, 2 * EVENTS, 4 * DEAR, {"a": Cost(2, 2, 2 * DEAR)}) == {"a": Excess(50.0, 0.5)}


readings = st.lists(
    st.tuples(
        st.integers(0, 3 * MINUTE),
        st.integers(0, 10**6),
        st.integers(0, 10**12),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**12)),
    ),
    max_size=12,
)


@given(readings)
def test_any_readings_are_judged(steps: list[tuple[int, int, int, dict[str, int]]]) -> None:
    judge, now = budget(), 0
    for wait, events, whole, costs in steps:
        now += wait
        for excess in judge.judge(
            now, events, whole, {rule: Cost(0, 0, spent) for rule, spent in costs.items()}
        ).values():
            assert excess.microseconds > 20
            assert 0.25 < excess.share <= 1.0


def test_an_excess_reads_well() -> None:
    assert str(Excess(1_234.5, 0.618)) == "1,234 µs per event, 62% of the time of detection"
    assert Excess(1_234.5, 0.618).short == "1,234 µs · 62%"
