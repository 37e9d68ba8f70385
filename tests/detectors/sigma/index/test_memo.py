"""Memory stays within its budget and never changes an answer, whether remembered, recalled or forgotten."""

from __future__ import annotations

from sys import getsizeof
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.expression import Predicate
from detectors.sigma.index import memo as module
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.index.memo import LONGEST, Budget, Memory, ValueMemo
from detectors.sigma.matching import test_of as plain_test
from detectors.sigma.values import View

ASKED = [
    Predicate("x", "equals", "1"),
    Predicate("x", "contains", "a"),
    Predicate("x", "equals", "true"),
    Predicate("x", "number", 1),
    Predicate("x", "gt", 3),
    Predicate("x", "startswith", "1.", cased=True),
    Predicate("x", "endswith", "é"),
    Predicate("x", "exists", True),
]
TRICKY: list[Any] = [
    True,
    False,
    1,
    1.0,
    "1",
    0,
    0.0,
    -0.0,
    "0",
    "1.0",
    "true",
    "True",
    None,
    [],
    [None],
    {},
    [1],
    ["1"],
]
TRICKY += [[True], [1.0], ["a", "1"], [["1"]], [["a"], "1"], 2**64, float(2**64), 2**64 + 1, str(2**64), "a", "é"]
TRICKY += [1.5, 10**16, 1e16, float("nan"), "\ud800a", "a" * (LONGEST + 1), ["a"] * 17, ["b" * 65]]
VALUES = st.sampled_from(TRICKY) | st.text("aé1", max_size=3) | st.integers(0, 30)
COLUMNS = st.lists(
    st.lists(VALUES, min_size=1, max_size=6)
    | st.lists(st.text("aé1", max_size=3), min_size=1, max_size=6)
    | st.lists(st.integers(0, 30) | st.sampled_from([2**64, 10**30]), min_size=1, max_size=6),
    max_size=30,
)


def expected(value: Any) -> frozenset[int]:
    return frozenset(number for number, predicate in enumerate(ASKED) if plain_test(predicate)(View({"x": value})))


def memo_of(limit: int) -> tuple[ValueMemo, Budget]:
    budget = Budget(limit)
    return ValueMemo(FieldIndex(enumerate(ASKED)), budget), budget


def kept(budget: Budget) -> int:
    return sum(memory.young + memory.aged for memory in budget._memories)


def ask(memo: ValueMemo, values: list[Any]) -> list[frozenset[int]]:
    return list(memo.of(values)) or [frozenset()] * len(values)


@settings(max_examples=300)
@given(COLUMNS, st.sampled_from([0, 500, 1_000, 3_000, 20_000, 1 << 20]))
def test_answers_never_change_and_the_budget_holds(columns: list[list[Any]], limit: int) -> None:
    memo, budget = memo_of(limit)
    for values in [*columns, *columns]:
        assert ask(memo, values) == [expected(value) for value in values]
        assert budget.used <= limit
        assert budget.used == kept(budget)


@given(st.permutations(TRICKY), st.booleans())
def test_equal_values_of_other_meaning_have_their_own_answers(values: list[Any], each: bool) -> None:
    memo, _ = memo_of(1 << 20)
    for _ in range(2):
        found = [ask(memo, [value])[0] for value in values] if each else ask(memo, values)
        assert found == [expected(value) for value in values]


def test_a_field_of_only_new_values_comes_to_rest_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIAL", 64)
    monkeypatch.setattr(module, "_REST", 4)
    memo, budget = memo_of(1 << 20)
    fresh = map(str, range(100_000))
    for _ in range(8):
        ask(memo, [next(fresh) for _ in range(8)])
    assert memo._resting == 4 * 64
    before = budget.used
    for _ in range(32):
        values = [next(fresh) for _ in range(7)] + ["1a"]
        assert ask(memo, values) == [expected(value) for value in values]
    assert budget.used == before, "nothing is remembered at rest"
    for _ in range(3 * 8):
        ask(memo, ["1a", "a", "b", "1"] * 2)
    assert memo._resting <= 0, "what repeats is remembered again"
    assert budget.used > before


def test_a_field_of_repeating_values_never_rests() -> None:
    memo, budget = memo_of(1 << 20)
    for _ in range(20):
        ask(memo, ["a", "b", "c"] * 400)
    assert memo._resting == 0
    assert budget.used < 3_000


def test_long_texts_are_not_remembered() -> None:
    memo, budget = memo_of(1 << 30)
    assert ask(memo, ["a" * (LONGEST + 1)] * 2) == [expected("a")] * 2
    assert budget.used == 0
    ask(memo, ["a" * LONGEST])
    assert budget.used > LONGEST


@pytest.mark.parametrize("kind", ["text", "wide", "list", "number"])
def test_what_is_remembered_is_paid_for(kind: str) -> None:
    """The bytes that values alone take, whatever they are, are within what the budget counts."""
    make: dict[str, Any] = {
        "text": lambda number: f"value {number}",
        "wide": lambda number: f"😀 {number}" * 100,
        "list": lambda number: [f"😀{number:013}{item:02}" * 4 for item in range(16)],
        "number": lambda number: 2**60 + number,
    }
    memo, budget = memo_of(200_000)
    for number in range(3_000):
        ask(memo, [make[kind](number)])
        assert budget.used <= 200_000
    size = 0
    for memory in budget._memories:
        for generation in (memory.known, memory.old):
            for key in generation:
                size += getsizeof(key) + (sum(map(getsizeof, set(key))) if isinstance(key, tuple) else 0)
    assert 0 < size <= 200_000


def weigh(key: str, value: int) -> int:
    return value


def test_the_largest_memory_forgets_first() -> None:
    budget = Budget(1_000)
    small: Memory[str, int] = budget.memory(weigh)
    large: Memory[str, int] = budget.memory(weigh)
    small.put("kept", 100)
    for number in range(50):
        large.put(str(number), 90)
        assert budget.used <= 1_000
    assert small.known == {"kept": 100}
    assert 0 < len(large.known) + len(large.old) < 11


def test_what_is_asked_for_again_outlives_what_is_not() -> None:
    budget = Budget(1_000)
    memory: Memory[str, int] = budget.memory(weigh)
    memory.put("often", 100)
    for number in range(40):
        memory.put(str(number), 100)
        assert memory.known.get("often") or memory.recall("often") == 100
    assert "0" not in memory.known
    assert memory.recall("0") is None


def test_a_memory_that_is_released_costs_nothing() -> None:
    budget = Budget(1_000)
    one: Memory[str, int] = budget.memory(weigh)
    other: Memory[str, int] = budget.memory(weigh)
    one.put("a", 300)
    other.put("b", 200)
    budget.release(one)
    assert (budget.used, one.known, one.old) == (200, {}, {})
    other.put("c", 900)
    assert budget.used <= 1_000
