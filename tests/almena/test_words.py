"""A rule's words for its conditions: rendered safely, and what is wrong with them said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.words import LONGEST_CONDITION, MOST_CONDITIONS, condition_faults, conditions_of


def test_words_for_conditions_are_rendered_for_the_event() -> None:
    rule = {
        "es": {"condiciones": {"shell": "{user.name} abrió una consola"}},
        "en": {"conditions": {"shell": "A shell"}},
    }
    event = {"user.name": "ana\x1b[2J"}
    assert conditions_of(rule, event) == {
        "es": {"shell": "ana\\u001b[2J abrió una consola"},
        "en": {"shell": "A shell"},
    }
    assert condition_faults(rule, {"shell"}) == []


@pytest.mark.parametrize("block", [None, "x", [], {"condiciones": "x"}, {"condiciones": {"a": 5, "b": " "}}, {}])
def test_what_is_no_text_is_left_out(block: Any) -> None:
    assert conditions_of({"es": block}, {}) == {}


def test_words_are_bounded() -> None:
    many = {f"s{number}": "x" * 5_000 for number in range(500)}
    found = conditions_of({"es": {"condiciones": many}}, {})["es"]
    assert len(found) == MOST_CONDITIONS
    assert max(map(len, found.values())) == LONGEST_CONDITION


def test_what_is_wrong_is_said() -> None:
    rule = {"es": {"condiciones": {"shel": "x", "shell": ""}}, "en": {"conditions": ["x"]}}
    assert condition_faults(rule, {"shell"}) == [
        "'condiciones' under 'es' names 'shel', which is no selection of the condition",
        "'condiciones' under 'es' has no text for 'shell'",
        "'conditions' under 'en' is a mapping of selections to texts",
    ]


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["es", "en", "condiciones", "conditions", "s", "{a}"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["es", "en"]), anything), st.dictionaries(st.just("a"), anything))
def test_anything_is_taken(rule: dict[str, Any], event: dict[str, Any]) -> None:
    for texts in conditions_of(rule, event).values():
        assert all(isinstance(text, str) and not any(ord(char) < 32 for char in text) for text in texts.values())
    assert all(isinstance(fault, str) for fault in condition_faults(rule, {"s"}))
