"""What one field's predicates answer for its texts and numbers equals what the plain tests say of each value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_strategies import LONG, PLACES, SPOKEN, TIMES

from detectors.sigma.expression import Predicate
from detectors.sigma.index import field as module
from detectors.sigma.index.field import FieldIndex
from detectors.sigma.index.memo import Budget, ValueMemo
from detectors.sigma.matching import test_of as plain_test
from detectors.sigma.values import View, fold

NUMBERS = [0, 1, 5, -3, 5.0, 0.5, 1e300, 2**64, 2**64 + 1, 10**20]
PARTS = ["minute", "hour", "day", "week", "month", "year"]
PATTERNS = ["a+b", "^a", "(?i)ñ", "^$", r"\d", "(?s)^a.*b$", "."]
NETWORKS = ["10.0.0.0/8", "0.0.0.0/0", "::/0", "::1/128", "10.1.2.3/32", "fe80::/10", "::ffff:0:0/96", "10.1.0.0/16"]
WORDS = st.sampled_from([*SPOKEN, *PLACES]) | st.text(max_size=3)


def words(op: str, value: str, cased: bool) -> Predicate:
    return Predicate("x", op, value if cased else fold(value), cased=cased)


PREDICATES = st.one_of(
    st.builds(words, st.sampled_from(["equals", "contains", "startswith", "endswith"]), WORDS, st.booleans()),
    st.builds(
        lambda op, value: Predicate("x", op, value),
        st.sampled_from(["number", "lt", "lte", "gt", "gte"]),
        st.sampled_from(NUMBERS),
    ),
    st.builds(
        lambda op, value, part: Predicate("x", op, value, part=part, zone="America/Mexico_City"),
        st.sampled_from(["number", "lt", "gte"]),
        st.sampled_from([4, 22, 34, 48, 12, 2025]),
        st.sampled_from(PARTS),
    ),
    st.builds(
        lambda op, value, cased: Predicate("x", op, value, cased=cased or op == "re"),
        st.sampled_from(["re", "wildcard"]),
        st.sampled_from(PATTERNS),
        st.booleans(),
    ),
    st.sampled_from(NETWORKS).map(lambda value: Predicate("x", "cidr", value)),
    st.just(Predicate("x", "exists", True)),
    st.just(Predicate("x", "present", True)),
)
SAID = ["5", "+5", "5.0", "1e2", "0x10", "05", "-3", " 5", "5 ", "٥", "1e400", "9" * 40, "9" * 41, "NaN", "inf", "1_0"]
SCALARS = st.one_of(
    st.sampled_from([*SPOKEN, *SAID, *PLACES, *TIMES, *LONG, str(2**64), str(2**64 + 1)]),
    st.sampled_from([True, False, None, 0, 1, 1.0, 5, 5.0, 0x10, -0.0, 2**63, 2**64, 2**64 + 1, 10**20, 10**400]),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e15, 1e16, 1e300]),
    st.text(max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xq"), inner, max_size=2),
    max_leaves=4,
)


def holds(predicate: Predicate, value: Any) -> bool:
    if predicate.op == "present":
        return not plain_test(Predicate("x", "null", None))(View({"x": value}))
    return plain_test(predicate)(View({"x": value}))


def expected(predicates: list[Predicate], value: Any) -> frozenset[int]:
    return frozenset(number for number, predicate in enumerate(predicates) if holds(predicate, value))


def column(predicates: list[Predicate], values: list[Any]) -> list[frozenset[int]]:
    memo = ValueMemo(FieldIndex(enumerate(predicates)), Budget())
    return list(memo.of(values)) or [frozenset()] * len(values)


@settings(max_examples=400)
@given(st.lists(PREDICATES, min_size=1, max_size=8, unique=True), st.lists(VALUES, min_size=1, max_size=8))
def test_any_predicates_of_any_values(predicates: list[Predicate], values: list[Any]) -> None:
    assert column(predicates, values) == [expected(predicates, value) for value in values]


@settings(max_examples=200)
@given(st.lists(PREDICATES, min_size=1, max_size=8, unique=True), st.lists(WORDS, max_size=8))
def test_any_predicates_of_many_texts_at_once(predicates: list[Predicate], texts: list[str]) -> None:
    index = FieldIndex(enumerate(predicates))
    hidden = frozenset(number for number, predicate in enumerate(predicates) if predicate.op == "null")
    assert index.answers(texts) == [expected(predicates, text) - hidden for text in texts]


@settings(max_examples=100)
@given(st.lists(PREDICATES, min_size=1, max_size=3, unique=True), st.lists(WORDS, min_size=1, max_size=5))
def test_what_holds_for_a_part_is_possible_for_the_whole(predicates: list[Predicate], texts: list[str]) -> None:
    index = FieldIndex(enumerate(predicates))
    if any(index.answers(texts)):
        assert index.possible("\0".join(texts))


FIVE = [5, "5", "+5", "5.0", "05", 5.0, "5e0", "0.5e1", [1, "5"], [{"a": 5}]]
OTHERS = [True, "0x5", " 5", "5 ", "٥", "", None, [], {"a": 5}, "5\n", "55"]


@pytest.mark.parametrize(
    ("value", "is_five"), [*((value, True) for value in FIVE), *((value, False) for value in OTHERS)]
)
def test_what_five_is(value: Any, is_five: bool) -> None:
    assert column([Predicate("x", "number", 5)], [value]) == [frozenset({0} if is_five else ())]
    assert holds(Predicate("x", "number", 5), value) is is_five


@pytest.mark.parametrize(
    ("value", "present", "empty"),
    [
        ("", True, True),
        (None, False, False),
        ([], False, False),
        ([None], False, False),
        ({}, True, False),
        ([""], True, True),
        ([None, "a"], True, False),
        (0, True, False),
    ],
)
def test_something_and_nothing(value: Any, present: bool, empty: bool) -> None:
    asked = [Predicate("x", "exists", True), Predicate("x", "present", True), Predicate("x", "equals", "")]
    asked.append(Predicate("x", "contains", ""))
    (held,) = column(asked, [value])
    assert [number in held for number in range(3)] == [True, present, empty]
    assert (3 in held) is (value not in (None, [], [None], {}))
    assert held == expected(asked, value)


def test_addresses_in_networks() -> None:
    asked = [Predicate("x", "cidr", network) for network in NETWORKS]
    for text in [*PLACES, "255.255.255.255", "10.1.255.255", "10.1.2.3\n", "::ffff:0a01:0203", "x" * 100, "febf::1"]:
        assert column(asked, [text]) == [expected(asked, text)], text
    assert column(asked[:1], ["::ffff:10.1.2.3", "010.1.2.3"]) == [frozenset({0}), frozenset()]


def test_equal_answers_are_one_object_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SETS", 8)
    index = FieldIndex(enumerate([Predicate("x", "contains", letter) for letter in "abcdefgh"]))
    one, other = index.answers(["xa", "ax"])
    assert one is other
    for number in range(256):
        text = "".join(letter for place, letter in enumerate("abcdefgh") if number >> place & 1)
        assert index.answers([text]) == [frozenset(place for place in range(8) if number >> place & 1)]
        assert len(index._sets) <= 8


def test_the_time_of_patterns_is_estimated() -> None:
    index = FieldIndex(enumerate([Predicate("x", "re", "(a|b)*c", cased=True), Predicate("x", "contains", "z")]))
    for _ in range(module.SAMPLE * 2):
        index.answers(["ab" * 50])
    assert set(index.spent) == {0}
    assert index.spent[0] > 0
