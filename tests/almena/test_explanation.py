"""Explanations of every kind read well in both languages, whatever values they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.explanation import DEEPEST, LONGEST_SUMMARY, MOST_NODES, Step, asked, lines, summary, tell
from almena.phrases import MEASURES

SHELL: dict[str, Any] = {
    "condition": "server and shell and not filter",
    "root": {
        "kind": "and",
        "pass": True,
        "children": [
            {"kind": "field", "selection": "server", "field": "process.parent.executable", "op": "endswith",
             "expected": ["*/nginx", "*/apache2"], "seen": "/usr/sbin/nginx", "pass": True},
            {"kind": "or", "selection": "shell", "pass": True, "children": [
                {"kind": "field", "field": "process.executable", "op": "endswith", "expected": ["/sh", "/bash"],
                 "seen": "/usr/bin/dash", "pass": True},
                {"kind": "keyword", "op": "contains", "expected": ["busybox"], "seen": None, "pass": False},
            ]},
            {"kind": "not", "pass": True, "children": [
                {"kind": "field", "selection": "filter", "field": "user.name", "op": "", "expected": ["deploy"],
                 "seen": "www-data", "pass": False}]},
        ],
    },
}  # fmt: skip
SPRAYING: dict[str, Any] = {
    "kind": "correlation",
    "type": "value_count",
    "group": {"source.ip": "198.51.100.7"},
    "value": 14,
    "threshold": "gte 8",
    "timespan": "10m",
}
REFUND = {
    "kind": "model",
    "contributions": [{"feature": "almena.payment.amount", "observed": 184_300.0, "expected": 2_150}],
}


def told(node: dict[str, Any], language: str = "es", titles: dict[str, str] | None = None) -> Step:
    step = tell({"condition": "x", "root": node}, language, titles)
    assert step is not None
    return step


def text(node: dict[str, Any], language: str = "es", titles: dict[str, str] | None = None) -> list[str]:
    return lines({"root": node}, language, titles)


def test_a_rule_is_told_with_what_was_seen() -> None:
    assert lines(SHELL) == [
        "✓ Se cumple todo esto",
        "  ✓ server: programa padre termina en «/nginx» o «/apache2» · se vio /usr/sbin/nginx",
        "  ✓ shell: Se cumple al menos una de estas",
        "    ✓ programa termina en «/sh» o «/bash» · se vio /usr/bin/dash",
        "    ✗ algún valor del evento contiene «busybox»",
        "  ✓ filter: usuario no es «deploy» · se vio www-data",
    ]
    assert lines(SHELL, "en") == [
        "✓ All of this holds",
        "  ✓ server: parent program ends with «/nginx» or «/apache2» · seen /usr/sbin/nginx",
        "  ✓ shell: At least one of these holds",
        "    ✓ program ends with «/sh» or «/bash» · seen /usr/bin/dash",
        "    ✗ some value of the event contains «busybox»",
        "  ✓ filter: user is not «deploy» · seen www-data",
    ]


def test_the_rules_own_words_stand_before_the_proof() -> None:
    words = {
        "es": {"server": "La abre un servidor web", "shell": "Es una consola", "filter": "Es un despliegue"},
        "en": {"server": "A web server opens it"},
    }
    assert lines(SHELL | {"words": words}) == [
        "✓ Se cumple todo esto",
        "  ✓ La abre un servidor web: programa padre termina en «/nginx» o «/apache2» · se vio /usr/sbin/nginx",
        "  ✓ Es una consola",
        "    ✓ programa termina en «/sh» o «/bash» · se vio /usr/bin/dash",
        "    ✗ algún valor del evento contiene «busybox»",
        "  ✓ Excepción que no aplica: Es un despliegue: usuario no es «deploy» · se vio www-data",
    ]
    english = lines(SHELL | {"words": words}, "en")
    assert english[1].startswith("  ✓ A web server opens it: parent program")
    assert english[2] == "  ✓ Es una consola", "words that are missing are taken from the other language"


def test_a_summary_is_one_line_of_what_holds() -> None:
    assert summary(SHELL) == (
        "programa padre termina en «/nginx» o «/apache2» (/usr/sbin/nginx); "
        "programa termina en «/sh» o «/bash» (/usr/bin/dash); y usuario no es «deploy» (www-data)"
    )
    words = {"es": {"server": "La abre un servidor web", "shell": "Es una consola"}}
    assert summary(SHELL | {"words": words}) == (
        "La abre un servidor web; Es una consola; y usuario no es «deploy» (www-data)"
    )
    assert summary({"root": SPRAYING | {"counted": ["user.name"]}}) == (
        "al menos 8 valores distintos de usuario en 10 min (hubo 14); y todos con origen 198.51.100.7"
    )
    assert summary({"root": REFUND}, "en") == "Amount: 184,300 (usual 2,150)"
    assert summary(None) == summary({}) == summary({"root": {"kind": "and", "pass": True}}) == ""


def test_a_summary_leaves_out_patterns_and_counts_exceptions_and_the_rest() -> None:
    pattern = {"kind": "field", "field": "url.path", "op": "re", "expected": ["^.*$"], "seen": "/x", "pass": True}
    denied = {"kind": "not", "pass": True, "children": [pattern | {"pass": False}]}
    assert summary({"root": pattern}) == "ruta pedida coincide con un patrón (/x)"
    assert summary({"root": denied}) == "ruta pedida no coincide con un patrón (/x)"
    many = {"kind": "and", "pass": True, "children": [pattern, denied, denied]}
    assert (
        summary({"root": many}) == "ruta pedida coincide con un patrón (/x); y no aplica ninguna de sus 2 excepciones"
    )
    long = [pattern | {"seen": f"{at}" * 100} for at in range(9)]
    cut = summary({"root": {"kind": "and", "pass": True, "children": long}})
    assert cut.endswith("; y 7 más")
    assert len(cut) < 500


def test_a_negation_of_several_reads_as_what_must_not_hold() -> None:
    leaf = {"kind": "field", "field": "user.name", "op": "", "expected": ["a"], "seen": "b", "pass": False}
    either = {"kind": "or", "selection": "filter", "pass": False, "children": [leaf, leaf]}
    assert text({"kind": "not", "pass": True, "children": [either]}) == [
        "✓ filter: Nada de esto debe cumplirse",
        "  ✗ usuario es «a» · se vio b",
        "  ✗ usuario es «a» · se vio b",
    ]
    both = {"kind": "and", "pass": True, "children": [leaf | {"pass": True}]}
    assert text({"kind": "not", "pass": False, "children": [both]}, "en") == [
        "✗ Not all of this may hold at once",
        "  ✓ user is «a» · seen b",
    ]
    keyword = {"kind": "keyword", "op": "contains", "expected": ["x"], "seen": None, "pass": False}
    assert text({"kind": "not", "pass": True, "children": [keyword]}) == ["✓ ningún valor del evento contiene «x»"]
    assert text({"kind": "not", "children": [{"kind": "not", "children": [leaf]}]}, "en") == [
        "This must not hold",
        "  user is not «a» · seen b",
    ]


def test_a_failing_branch_says_that_it_fails() -> None:
    assert text({"kind": "and", "pass": False})[0] == "✗ No se cumple todo esto"
    assert text({"kind": "or", "pass": False}, "en")[0] == "✗ None of these holds"


def test_a_field_keeps_its_own_name_beside_its_word() -> None:
    step = told({"kind": "field", "field": "user.name", "expected": ["a"], "seen": "b", "selection": "person"})
    assert (step.asked, step.raw, step.name) == ("usuario", "user.name", "person")
    step = told({"kind": "field", "field": "novel.field", "expected": ["a"], "seen": "b"})
    assert (step.asked, step.raw) == ("novel.field", "novel.field")


def test_a_correlation_is_told() -> None:
    assert text(SPRAYING | {"counted": ["user.name"]}) == [
        "✓ Al menos 8 valores distintos de usuario en 10 min · hubo 14",
        "  todos con origen 198.51.100.7",
    ]
    assert text(SPRAYING, "en")[0] == "✓ At least 8 different values of a field within 10 min · there were 14"


def test_a_correlation_of_correlations_names_what_it_puts_together() -> None:
    inner = {"kind": "correlation", "rule": "b", "type": "event_count", "threshold": "gte 8", "timespan": "1h30m"}
    root = {
        "kind": "correlation",
        "type": "temporal_ordered",
        "threshold": "gte 3",
        "value": 3,
        "timespan": "30d",
        "group": {"almena.notary.id": "NP-31"},
        "rules": ["b", "a", "unknown"],
        "children": [inner],
    }
    titles = {"a": "Alguien entró", "b": "Varios intentos"}
    assert text(root, titles=titles) == [
        "✓ 3 hechos en este orden, en 30 días",
        "  todos con notaría NP-31",
        "  ✓ Varios intentos: al menos 8 eventos en 1 hora 30 min",
        "  ✓ Alguien entró",
    ]
    assert text(root)[2:] == ["  ✓ Al menos 8 eventos en 1 hora 30 min"]
    assert summary({"root": root}, titles=titles).endswith(
        "; Varios intentos: al menos 8 eventos en 1 hora 30 min; y Alguien entró"
    )


def test_a_model_is_told_as_a_table() -> None:
    assert told(REFUND).rows == [("Monto", "184,300", "2,150")]
    found = {"feature": "error_share", "observed": 0.641129, "expected": None}
    assert text({"kind": "model", "contributions": [found]}) == [
        "✓ Esto se aparta de lo acostumbrado",
        "  Parte de respuestas con error: 0.641 (acostumbrado —)",
    ]


@pytest.mark.parametrize(
    ("node", "said"),
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
            "contiene todo esto: «a», «b», «c», «d», «e», «f» y 2 más",
        ),
    ],
)
def test_operators_are_words(node: dict[str, Any], said: str) -> None:
    assert told({"kind": "field", "field": "x", "seen": "1", "pass": True, **node}).text == said


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
    assert len(wide.below) == MOST_NODES
    assert wide.below[-1].text == "y 4,601 condiciones más"
    deep = node
    for _ in range(5_000):
        deep = {"kind": "not", "children": [deep, deep]} if deep is node else {"kind": "or", "children": [deep]}
    step, depth = told(deep), 0
    while step.below:
        step, depth = step.below[0], depth + 1
    assert depth == DEEPEST + 1
    assert step.text == "y una condición más"


correlations: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "kind": st.just("correlation"),
        "type": st.sampled_from([*MEASURES, "temporal", "temporal_ordered", "value_count"]),
    },
    optional={
        "threshold": st.sampled_from(["gt 2", "gte 2, lt 9", "neq 1.5", "eq -3, gt 1e9", "lt ٣"]),
        "value": st.floats() | st.integers() | st.text(max_size=5),
        "error": st.floats() | st.just(0.016),
        "percentile": st.integers() | st.text(max_size=3),
        "counted": st.lists(st.text(max_size=9), max_size=3),
        "rules": st.lists(st.sampled_from("abc"), max_size=4),
        "absent": st.lists(st.sampled_from("abc"), max_size=2),
        "occurred": st.lists(st.sampled_from("abc"), max_size=2),
        "condition": st.sampled_from(["a and not b", "((a or", "not", "\x1b[2J or \u202e", ") and ("]),
        "closes": st.booleans(),
        "timespan": st.sampled_from(["10m", "0s", "1d", "999999999999d", "-1h", "x"]),
        "group": st.just({}),
    },
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["root", "kind", "op", "expected", "seen", "pass", "children", "field", "group", "value",
                             "contributions", "type", "threshold", "timespan", "selection", "rule", "rules",
                             "counted", "absent", "condition", "closes", "percentile", "error", "names", "occurred"]),
            inner | st.sampled_from(["and", "or", "not", "field", "keyword", "model", "correlation", "exists|all"])
            | correlations,
        )
    ),
    max_leaves=30,
)  # fmt: skip


def control(shown: str) -> bool:
    return any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0x202A <= ord(char) <= 0x202E for char in shown)


@given(json | correlations, st.sampled_from(["es", "en", "xx"]))
def test_anything_is_told_or_left_out(explanation: object, language: str) -> None:
    told = lines(explanation, language, {"": "x\n\x1b", "a": "A\n", "b": "{x}"})
    assert not any(control(line) for line in told)
    assert not control(summary(explanation, language))
    assert all(isinstance(name, str) for name in asked(explanation))
    assert bool(told) is (tell(explanation, language) is not None)


HOSTILE = ["\x1b[2J", "\n✓ ", "\u202e", "{field}", "%s", "\x00", "x" * 100_000, ["y" * 10_000] * 50]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_on_their_line_and_are_cut(value: object) -> None:
    leaf: dict[str, Any] = {
        "kind": "field",
        "field": value,
        "op": value,
        "selection": value,
        "expected": [value] * 30,
        "seen": value,
    }
    group: dict[str, Any] = {
        "kind": "correlation",
        "group": {str(value): value},
        "rules": [str(value)],
        "type": value,
        "value": value,
    }
    model: dict[str, Any] = {
        "kind": "model",
        "contributions": [{"feature": value, "observed": value, "expected": value}],
    }
    words = {"es": {str(value)[:200]: value}}
    kinds = (dict.fromkeys(group, value) | {"kind": "correlation", "type": kind} for kind in (*MEASURES, "temporal"))
    asks: dict[str, Any] = {
        "condition": value,
        "absent": [value],
        "threshold": value,
        "percentile": value,
        "error": value,
    }
    for node in (
        *(kind | asks for kind in kinds),
        leaf,
        group,
        model,
        {"kind": "not", "children": [leaf]},
        {"kind": value, "children": [leaf]},
    ):
        for line in lines({"root": {"pass": True, **node}, "words": words}, titles={str(value): str(value)}):
            assert not control(line)
            assert len(line) < 5_000
        assert len(summary({"root": {"pass": True, **node}, "words": words})) < LONGEST_SUMMARY * 4


def test_what_was_left_out_is_counted() -> None:
    leaf = {
        "kind": "field",
        "field": "user.name",
        "op": "",
        "expected": ["a", "b"],
        "more": 10,
        "seen": "b",
        "pass": True,
    }
    node = {"kind": "or", "pass": True, "children": [leaf], "left_out": 12}
    assert text(node) == [
        "✓ Se cumple al menos una de estas",
        "  ✓ usuario es «a», «b» u otros 10 valores · se vio b",
        "  y 12 condiciones más",
    ]
    assert text(node | {"left_out": "x", "children": []}) == ["✓ Se cumple al menos una de estas"]
