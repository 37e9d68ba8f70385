"""A verdict reads well in both languages, and stays safe whatever it holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.verdict import MOST_CHANGES, verdict_lines

LEAF: dict[str, Any] = {
    "kind": "field", "selection": "shell", "field": "process.executable", "op": "endswith", "expected": ["*/sh"],
    "seen": "/bin/ash2", "pass": False,
}  # fmt: skip
CHANGE = {name: value for name, value in LEAF.items() if name != "pass"} | {"wanted": True}
SOURCE = {"asked": {"product": "linux"}, "failed": ["product"], "event": {"product": ["windows"]}, "dataset": "a.b"}


def verdict(*changes: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "matches": False,
        "logsource": None,
        "explanation": {"condition": "shell", "root": LEAF},
        "nearest": {"changes": list(changes), "left_out": 0},
    } | others


def test_a_match_is_told() -> None:
    found = verdict(matches=True, explanation={"condition": "shell", "root": LEAF | {"pass": True, "seen": "/bin/sh"}})
    assert verdict_lines(found) == [
        "La regla coincide con el evento.",
        "Condición: shell",
        "✓ shell: programa termina en «/sh» · se vio /bin/sh",
    ]
    assert verdict_lines(found, "en")[:2] == ["The rule matches the event.", "Condition: shell"]


def test_the_nearest_miss_is_told() -> None:
    near = CHANGE | {"near": {"kind": "similar", "edits": 2}}
    assert verdict_lines(verdict(near)) == [
        "La regla no coincide con el evento.",
        "Condición: shell",
        "✗ shell: programa termina en «/sh» · se vio /bin/ash2",
        "Lo más cercano: tendría que cambiar una condición.",
        "  1. shell: programa termina en «/sh» · se vio /bin/ash2",
        "     está a 2 caracteres de «/sh»",
    ]
    denied = CHANGE | {"wanted": False, "near": {"kind": "holds"}}
    assert verdict_lines(verdict(near, denied, nearest={"changes": [near, denied], "left_out": 3}), "en")[3:] == [
        "The nearest miss: 5 conditions would change.",
        "  1. shell: program ends with «/sh» · seen /bin/ash2",
        "     it is 2 characters from «/sh»",
        "  2. shell: program does not end with «/sh» · seen /bin/ash2",
        "     it holds, and should not",
        "  and 3 more",
    ]


def test_the_log_source_comes_first() -> None:
    assert verdict_lines(verdict(logsource=SOURCE))[1] == (
        "La regla no mira este evento: pide product linux; el evento es product windows."
    )
    assert verdict_lines(verdict(logsource=SOURCE))[-1].startswith("Sus condiciones sí se cumplen")
    unknown = SOURCE | {"event": {"product": []}}
    assert "nadie conoce el origen «a.b»" in verdict_lines(verdict(logsource=unknown))[1]
    assert "no dice de dónde viene" in verdict_lines(verdict(logsource=unknown | {"dataset": ""}))[1]


@pytest.mark.parametrize(
    ("near", "said"),
    [
        ({"kind": "absent"}, "el evento no trae el campo process.executable"),
        ({"kind": "renamed", "name": "Image", "value": "x"}, "el evento lo trae con otro nombre, Image: «x»"),
        (
            {"kind": "renamed", "name": "Image", "value": "x", "holds": True},
            "el evento lo trae con otro nombre, Image: «x»; ahí se cumpliría",
        ),
        ({"kind": "empty"}, "el campo está vacío"),
        ({"kind": "case"}, "solo difieren las mayúsculas y minúsculas"),
        ({"kind": "elsewhere"}, "el valor lo contiene, pero no al final"),
        ({"kind": "similar", "edits": 1}, "está a un carácter de «/sh»"),
        ({"kind": "number", "difference": -3}, "la diferencia es de 3"),
        ({"kind": "time", "value": 6}, "en el evento es 6"),
        ({"kind": "no_number"}, "el valor no es un número"),
        ({"kind": "no_time"}, "el valor no es una hora"),
        ({"kind": "no_address"}, "el valor no es una dirección IP"),
        ({"kind": "reference", "name": "b", "value": "y"}, "el campo b dice «y»"),
        ({"kind": "reference", "name": "b", "value": None}, "el evento no trae el campo b"),
        ({"kind": "nowhere"}, "no está en ningún valor del evento"),
        ({"kind": "present"}, "el campo está, y no debería"),
        ({"kind": "holds"}, "se cumple, y no debería"),
    ],
)
def test_every_kind_of_nearness_has_words(near: dict[str, Any], said: str) -> None:
    assert verdict_lines(verdict(CHANGE | {"near": near}))[-1].strip() == said
    assert verdict_lines(verdict(CHANGE | {"near": near}), "en")[-1].strip() != said


def test_another_value_says_no_more() -> None:
    assert verdict_lines(verdict(CHANGE | {"near": {"kind": "different"}}))[-1].startswith("  1. shell: ")


keys = st.sampled_from(
    ["matches", "logsource", "explanation", "nearest", "changes", "left_out", "asked", "event", "dataset", "root",
     "kind", "op", "expected", "seen", "wanted", "near", "edits", "difference", "name", "value", "holds", "field",
     "condition", "words", "es"]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
    | st.sampled_from(["field", "renamed", "similar", "number", "reference", "elsewhere", "\x1b\n{x}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(keys, anything, max_size=6), st.sampled_from(["es", "en"]))
def test_anything_is_told(found: dict[str, Any], language: str) -> None:
    for line in verdict_lines(found, language):
        assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in line)


def test_a_long_list_of_changes_is_cut() -> None:
    told = verdict_lines(verdict(*[CHANGE] * 500))
    assert len(told) == 3 + 1 + MOST_CHANGES + 1
    assert told[-1] == "  y 450 más"
