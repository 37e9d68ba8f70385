from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import console_seed as seed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import now
from almena.console.explain import MOST_NODES, Step, asked, explain
from almena.console.show import Look

LOOKS = {language: Look(language, ZoneInfo("America/Mexico_City"), now()) for language in ("es", "en")}


def told(node: dict[str, Any], language: str = "es", titles: dict[str, str] | None = None) -> Step:
    step = explain({"condition": "x", "root": node}, LOOKS[language], titles)
    assert step is not None
    return step


def lines(step: Step, depth: int = 0) -> list[str]:
    mark = {True: "✓", False: "✗", None: ""}[step.held]
    own = " ".join(part for part in (mark, step.asked, step.text, step.lead, step.seen) if part)
    return ["  " * depth + own, *(line for below in step.below for line in lines(below, depth + 1))]


def test_a_rule_is_told_with_what_was_seen() -> None:
    assert lines(told(seed.web_shell(now())["almena.alert.explanation"]["root"])) == [
        "✓ Se cumple todo esto",
        "  ✓ programa padre termina en «/nginx» o «/apache2» se vio /usr/sbin/nginx",
        "  ✓ Se cumple al menos una de estas",
        "    ✓ programa termina en «/sh», «/bash» o «/dash» se vio /usr/bin/dash",
        "  ✓ usuario no es «deploy» se vio www-data",
    ]
    english = lines(told(seed.web_shell(now())["almena.alert.explanation"]["root"], "en"))
    assert english[-1] == "  ✓ user not: is «deploy» seen www-data"


def test_a_field_keeps_its_own_name_beside_its_word() -> None:
    step = told({"kind": "field", "field": "user.name", "expected": ["a"], "seen": "b", "selection": "person"})
    assert (step.asked, step.raw, step.name) == ("usuario", "user.name", "person")
    step = told({"kind": "field", "field": "novel.field", "expected": ["a"], "seen": "b"})
    assert (step.asked, step.raw) == ("novel.field", "novel.field")


def test_a_correlation_is_told() -> None:
    root = seed.spraying(now(), "198.51.100.7")["almena.alert.explanation"]["root"]
    assert lines(told(root | {"counted": ["user.name"]})) == [
        "✓ Al menos 8 valores distintos de usuario en 10 min hubo 14",
        "  todos con origen 198.51.100.7",
    ]
    assert lines(told(root, "en"))[0] == "✓ At least 8 different values of a field within 10 min there were 14"


def test_a_correlation_of_correlations_names_what_it_puts_together() -> None:
    inner = {"kind": "correlation", "rule": "b", "type": "event_count", "threshold": "gte 8", "timespan": "1h30m"}
    root = {
        "kind": "correlation",
        "type": "temporal_ordered",
        "threshold": "gte 2",
        "value": 2,
        "timespan": "30d",
        "group": {"almena.notary.id": "NP-31"},
        "rules": ["b", "a", "unknown"],
        "children": [inner],
    }
    assert lines(told(root, titles={"a": "Alguien entró", "b": "Varios intentos"})) == [
        "✓ 2 hechos en este orden, en 30 días",
        "  todos con notaría NP-31",
        "  ✓ Varios intentos: al menos 8 eventos en 1 hora 30 min",
        "  ✓ Alguien entró",
    ]
    assert lines(told(root))[2:] == ["  ✓ Al menos 8 eventos en 1 hora 30 min"]


def test_a_model_is_told_as_a_table() -> None:
    step = told(seed.refund(now())["almena.alert.explanation"]["root"])
    assert step.rows[0] == ("monto frente a pares", "184,300.00", "2,150.00")
    found = {"feature": "error_share", "observed": 0.641129, "expected": None}
    assert told({"kind": "model", "contributions": [found]}).rows == [("Parte de respuestas con error", "0.641", "—")]


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ({"op": "contains|all", "expected": ["a", "b"]}, "contiene todo esto: «a» y «b»"),
        ({"op": "", "expected": ["a"]}, "es «a»"),
        ({"op": "cidr", "expected": "10.0.0.0/8"}, "está en la red «10.0.0.0/8»"),
        ({"op": "exists", "expected": [True]}, "existe"),
        ({"op": "exists", "expected": [False]}, "no existe"),
        ({"op": "gte", "expected": [8]}, "es al menos «8»"),
        ({"op": "equals", "expected": [None]}, "es vacío"),
        ({"op": "fieldref", "expected": ["user.target.name"]}, "es igual al campo «cuenta afectada»"),
        ({"op": "endswith", "expected": ["*-512", "*"]}, "termina en «-512» o vacío"),
        ({"op": "startswith", "expected": ["a*", r"a\*"]}, r"empieza con «a» o «a\*»"),
        ({"op": "contains", "expected": ["*a*"]}, "contiene «a»"),
        ({"op": "equals", "expected": ["*a*"]}, "es «*a*»"),
        ({"op": "fieldref|endswith", "expected": ["b"]}, "termina en el campo «b»"),
        ({"op": "hour|gte", "expected": ["22"]}, "la hora es al menos «22»"),
        ({"op": "hour", "expected": ["22"]}, "la hora es «22»"),
        ({"op": "novel", "expected": ["a"]}, "novel «a»"),
        ({"op": "equals", "expected": list("abcdefg")}, "es «a», «b», «c», «d», «e», «f» o «g»"),
        ({"op": "equals", "expected": list("abcdefgh")}, "es «a», «b», «c», «d», «e», «f» u otros 2 valores"),
        (
            {"op": "contains|all", "expected": list("abcdefgh")},
            "contiene todo esto: «a», «b», «c», «d», «e», «f» y otros 2 valores",
        ),
    ],
)
def test_operators_are_words(node: dict[str, Any], text: str) -> None:
    assert told({"kind": "field", "field": "x", "seen": "1", "pass": True, **node}).text == text


def test_a_missing_value_is_said() -> None:
    step = told({"kind": "field", "op": "equals", "expected": ["a"], "seen": None})
    assert (step.lead, step.seen) == ("el evento no lo trae", "")
    assert told({"kind": "field", "op": "equals", "expected": ["a"], "seen": ""}, "en").lead == (
        "the event does not have it"
    )


def test_the_fields_that_were_asked_about_are_known() -> None:
    root = {
        "kind": "correlation",
        "group": {"source.ip": "x"},
        "counted": ["user.name"],
        "children": [{"kind": "not", "children": [{"kind": "field", "field": "event.code"}, 7]}],
    }
    assert asked({"root": root}) == {"source.ip", "user.name", "event.code"}
    assert asked(None) == asked({"root": []}) == set()


def test_a_huge_tree_is_cut() -> None:
    node: dict[str, Any] = {"kind": "keyword", "expected": ["x"]}
    wide = told({"kind": "or", "children": [node] * 5_000})
    assert len(wide.below) == MOST_NODES - 1
    deep = node
    for _ in range(5_000):
        deep = {"kind": "not", "children": [deep, deep]} if deep is node else {"kind": "or", "children": [deep]}
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
                             "contributions", "type", "threshold", "timespan", "selection", "rule", "rules",
                             "counted"]),
            inner | st.sampled_from(["and", "or", "not", "field", "keyword", "model", "correlation", "exists|all"]),
        )
    ),
    max_leaves=30,
)  # fmt: skip


@given(json)
def test_anything_is_told_or_left_out(explanation: object) -> None:
    step = explain(explanation, LOOKS["es"], {"": "x"})
    assert all(isinstance(name, str) for name in asked(explanation))
    assert step is None or isinstance(step.text, str)
