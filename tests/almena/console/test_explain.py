from __future__ import annotations

from typing import Any

import console_seed as seed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import now
from almena.console.explain import MOST_NODES, Step, explain
from almena.console.i18n import speaker

SAY = speaker("es")


def told(node: dict[str, Any], language: str = "es") -> Step:
    step = explain({"condition": "x", "root": node}, speaker(language))
    assert step is not None
    return step


def lines(step: Step, depth: int = 0) -> list[str]:
    mark = {True: "✓ ", False: "✗ ", None: ""}[step.held]
    own = f"{'  ' * depth}{mark}{step.asked} {step.text} [{step.seen}]".replace("  []", "")
    return [own, *(line for below in step.below for line in lines(below, depth + 1))]


def test_a_rule_is_told_with_what_was_seen() -> None:
    step = explain(seed.web_shell(now())["almena.alert.explanation"], SAY)
    assert step is not None
    assert [line.strip() for line in lines(step)] == [
        "✓  Se cumplen todas []",
        "✓ process.parent.executable termina en «/nginx» o «/apache2» [/usr/sbin/nginx]",
        "✓  Se cumple al menos una []",
        "✓ process.executable termina en «/sh» o «/bash» o «/dash» [/usr/bin/dash]",
        "✓  No debe cumplirse []",
        "✗ user.name es «deploy» [www-data]",
    ]


def test_a_correlation_is_told() -> None:
    step = explain(seed.spraying(now(), "198.51.100.7")["almena.alert.explanation"], SAY)
    assert step is not None
    assert (step.text, step.seen) == ("Número de valores distintos en 10m: al menos 8", "14")
    assert [(below.text, below.seen) for below in step.below] == [("con el mismo source.ip", "198.51.100.7")]
    english = explain(seed.spraying(now(), "198.51.100.7")["almena.alert.explanation"], speaker("en"))
    assert english is not None
    assert english.text == "Number of different values within 10m: at least 8"


def test_a_model_is_told_as_a_table() -> None:
    step = explain(seed.refund(now())["almena.alert.explanation"], SAY)
    assert step is not None
    assert step.rows[0] == ("monto frente a pares", "184,300.00", "2,150.00")


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ({"op": "contains|all", "expected": ["a", "b"]}, "contiene todo esto: «a» o «b»"),
        ({"op": "", "expected": ["a"]}, "es «a»"),
        ({"op": "cidr", "expected": "10.0.0.0/8"}, "está en la red «10.0.0.0/8»"),
        ({"op": "exists", "expected": [True]}, "existe"),
        ({"op": "exists", "expected": [False]}, "no existe"),
        ({"op": "gte", "expected": [8]}, "es al menos «8»"),
        ({"op": "equals", "expected": [None]}, "es vacío"),
        ({"op": "fieldref", "expected": ["user.target.name"]}, "es igual al campo «user.target.name»"),
        ({"op": "fieldref|endswith", "expected": ["b"]}, "termina en el campo «b»"),
        ({"op": "hour|gte", "expected": ["22"]}, "la hora es al menos «22»"),
        ({"op": "hour", "expected": ["22"]}, "la hora es «22»"),
        ({"op": "novel", "expected": ["a"]}, "novel «a»"),
        ({"op": "equals", "expected": list("abcdefgh")}, "es «a» o «b» o «c» o «d» o «e» o «f» y 2 más"),
    ],
)
def test_operators_are_words(node: dict[str, Any], text: str) -> None:
    assert told({"kind": "field", "field": "x", "seen": "1", "pass": True, **node}).text == text


def test_a_missing_value_is_said() -> None:
    assert told({"kind": "field", "op": "equals", "expected": ["a"], "seen": None}).seen == "sin valor"
    assert told({"kind": "field", "op": "equals", "expected": ["a"], "seen": ""}, "en").seen == "no value"


def test_a_huge_tree_is_cut() -> None:
    node: dict[str, Any] = {"kind": "keyword", "expected": ["x"]}
    wide = told({"kind": "or", "children": [node] * 5_000})
    assert len(wide.below) == MOST_NODES - 1
    deep = node
    for _ in range(5_000):
        deep = {"kind": "not", "children": [deep]}
    step, depth = told(deep), 0
    while step.below:
        step, depth = step.below[0], depth + 1
    assert depth <= 20


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["root", "kind", "op", "expected", "seen", "pass", "children", "field", "group", "value",
                             "contributions", "type", "threshold", "timespan", "selection"]),
            inner | st.sampled_from(["and", "or", "not", "field", "keyword", "model", "correlation", "exists|all"]),
        )
    ),
    max_leaves=30,
)  # fmt: skip


@given(json)
def test_anything_is_told_or_left_out(explanation: object) -> None:
    step = explain(explanation, SAY)
    assert step is None or isinstance(step.text, str)
