"""How near a value is, for every kind of condition, and for whatever strangers send."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import detectors.sigma.nearness as nearness
from detectors.sigma.expression import Predicate
from detectors.sigma.nearness import Near, edits, near
from detectors.sigma.rules import Rule
from detectors.sigma.values import View


@pytest.mark.parametrize(
    ("condition", "event", "kind", "detail"),
    [
        ("a: x", {}, "absent", {}),
        ("a: x", {"A": "x"}, "renamed", {"name": "A", "value": "x", "holds": True}),
        ("a: x", {"a": ""}, "empty", {}),
        ("a: x", {"a": "y"}, "different", {}),
        ("a|cased: Xyz", {"a": "xyz"}, "case", {}),
        ("a|re: '^Xyz$'", {"a": "xyz"}, "case", {}),
        ("a|endswith: xyz", {"a": "xyz!"}, "elsewhere", {}),
        ("a|startswith: xyz", {"a": "!XYZ"}, "elsewhere", {}),
        ("a: xyz", {"a": "xyz!"}, "elsewhere", {}),
        ("a: powershell", {"a": "powershel1"}, "similar", {"edits": 1}),
        ("a|contains: powershell", {"a": "run powershll now"}, "similar", {"edits": 1}),
        ("a|endswith: /nginx", {"a": "/usr/sbin/ngin"}, "similar", {"edits": 1}),
        ("a|startswith: /usr/", {"a": "/us/sbin/nginx"}, "similar", {"edits": 1}),
        ("a|gte: 8", {"a": 5}, "number", {"difference": 3}),
        ("a|lt: 8", {"a": [20, 9]}, "number", {"difference": -1}),
        ("a|gte: 8", {"a": "x"}, "no_number", {}),
        ("a: 8", {"a": 9}, "number", {"difference": -1}),
        ("a|cidr: 10.0.0.0/8", {"a": "11.0.0.1"}, "different", {}),
        ("a|cidr: 10.0.0.0/8", {"a": "x"}, "no_address", {}),
        ("a|fieldref: b", {"a": "x", "b": "y"}, "reference", {"name": "b", "value": "y"}),
        ("a|fieldref: b", {"a": "x"}, "reference", {"name": "b", "value": None}),
        ("a|hour: 3", {"a": "2026-01-01T12:00:00Z"}, "time", {"value": 6}),
        ("a|hour: 3", {"a": "soon"}, "no_time", {}),
        ("a: null", {"a": "x"}, "present", {}),
        ("a|exists: false", {"a": "x"}, "present", {}),
        ("a|exists: true", {}, "absent", {}),
    ],
)
def test_a_condition_says_how_near_it_is(
    one_rule: Callable[..., Rule], condition: str, event: dict[str, Any], kind: str, detail: dict[str, Any]
) -> None:
    predicate = one_rule(f"s: {{{condition}}}\ncondition: s").expression.child  # type: ignore[union-attr]
    assert isinstance(predicate, Predicate)
    assert near(predicate, View(event)) == Near(kind, detail)


@pytest.mark.parametrize(
    ("predicate", "event", "kind"),
    [
        (Predicate("a", "equals", "x"), {"a": "x"}, "holds"),
        (Predicate("a", "null", None), {}, "absent"),
        (Predicate("a", "exists", True), {"a": "x"}, "holds"),
        (Predicate("a", "exists", False), {}, "absent"),
    ],
)
def test_what_holds_and_should_not(predicate: Predicate, event: dict[str, Any], kind: str) -> None:
    assert near(predicate, View(event), wanted=False).kind == kind


def test_keywords_are_looked_for_everywhere() -> None:
    assert near(Predicate(None, "contains", "Needle", cased=True), View({"b": "a needle"})).kind == "case"
    assert near(Predicate(None, "contains", "needle"), View({"b": "hay"})).kind == "nowhere"


def test_nearer_is_less() -> None:
    kinds = [Near("case"), Near("elsewhere"), Near("similar", {"edits": 1}), Near("similar", {"edits": 3})]
    kinds += [Near("different"), Near("absent")]
    assert [item.distance for item in kinds] == sorted(item.distance for item in kinds)
    assert all(0 < item.distance < 1 for item in kinds)


def test_edits_are_the_fewest() -> None:
    assert doctest.testmod(nearness).failed == 0
    assert edits("abc", "abc") == edits("abc", "xxabcxx", "contains") == edits("abc", "xxabc", "endswith") == 0
    assert edits("abc", "abcxx", "startswith") == 0
    assert edits("abc", "abcxx") == 2
    assert edits("abc", "") == 3


def plain(asked: str, text: str) -> int:
    if not asked or not text:
        return len(asked) + len(text)
    if asked[0] == text[0]:
        return plain(asked[1:], text[1:])
    return 1 + min(plain(asked[1:], text), plain(asked, text[1:]), plain(asked[1:], text[1:]))


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_edits_equal_the_definition(asked: str, text: str) -> None:
    assert edits(asked, text) == plain(asked, text)
    stretches = {text[begin:end] for begin in range(len(text) + 1) for end in range(begin, len(text) + 1)}
    assert edits(asked, text, "contains") == min(plain(asked, stretch) for stretch in stretches)
    assert edits(asked, text, "endswith") == min(plain(asked, text[begin:]) for begin in range(len(text) + 1))
    assert edits(asked, text, "startswith") == min(plain(asked, text[:end]) for end in range(len(text) + 1))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ASKED = [
    Predicate("a", "equals", "needle"),
    Predicate("a", "contains", "Needle", cased=True),
    Predicate("a", "re", "(?i)^n+$", cased=True),
    Predicate("a", "wildcard", "(?s)^a.*b$"),
    Predicate("a", "cidr", "10.0.0.0/8"),
    Predicate("a", "gt", 5),
    Predicate("a", "number", 5),
    Predicate("a", "number", 5, part="hour", zone="UTC"),
    Predicate("a", "fieldref_equals", "b"),
    Predicate("a", "null", None),
    Predicate("a", "exists", True),
    Predicate(None, "contains", "needle"),
]


@given(
    st.sampled_from(ASKED), st.dictionaries(st.sampled_from(["a", "b", "A", "almena.misfit"]), anything), st.booleans()
)
def test_nothing_that_strangers_send_raises(predicate: Predicate, event: dict[str, Any], wanted: bool) -> None:
    found = near(predicate, View(event), ["b"], wanted=wanted)
    assert 0 < found.distance < 1
    assert found.said()["kind"] == found.kind
