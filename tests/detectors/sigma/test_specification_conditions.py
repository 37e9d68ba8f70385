"""Conditions and the structure of selections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from detectors.sigma.rules import Rule

Match = Callable[..., bool]

SELECTIONS = """\
a1: {a: x}
a2: {b: x}
c-d: {c: x}
_hidden: {d: x}
"""


@pytest.mark.parametrize(
    ("condition", "fields", "expected"),
    [
        ("a1", "a", True),
        ("not a1", "", True),
        ("a1 and a2", "a", False),
        ("a1 or a2", "b", True),
        ("not a1 and a2", "b", True),
        ("not (a1 and a2)", "b", True),
        ("a1 or a2 and c-d", "a", True),
        ("a1 and a2 or c-d", "c", True),
        ("a1 and (a2 or c-d)", "c", False),
        ("not not a1", "a", True),
        ("1 of a*", "b", True),
        ("any of a*", "b", True),
        ("all of a*", "a", False),
        ("all of a*", "ab", True),
        ("1 of them", "d", False),
        ("1 of them", "c", True),
        ("all of them", "abc", True),
        ("1 of _h*", "d", True),
        ("not 1 of a*", "c", True),
        ("(1 of a*) and c-d", "ac", True),
        ("all of a* and not _hidden", "abd", False),
        ("1 of *2", "b", True),
    ],
)
def test_conditions(match: Match, condition: str, fields: str, expected: bool) -> None:
    event = dict.fromkeys(fields, "x")
    assert match(f"{SELECTIONS}condition: {condition}", event) is expected


def test_a_list_of_conditions_is_any_of_them(match: Match, one_rule: Callable[..., Rule]) -> None:
    detection = f"{SELECTIONS}condition: [a1 and a2, c-d]"
    assert match(detection, {"c": "x"})
    assert match(detection, {"a": "x", "b": "x"})
    assert not match(detection, {"a": "x"})
    assert one_rule(detection).condition == "(a1 and a2) or (c-d)"


@pytest.mark.parametrize(
    ("detection", "event", "expected"),
    [
        ("{a: x, b: y}", {"a": "x", "b": "y"}, True),
        ("{a: x, b: y}", {"a": "x"}, False),
        ("[{a: x}, {b: y}]", {"b": "y"}, True),
        ("[{a: x, c: z}, {b: y}]", {"a": "x"}, False),
        ("[word, {b: y}]", {"z": "a word"}, True),
        ("[word, {b: y}]", {"b": "y"}, True),
        ("[[{a: x}], [{b: y}]]", {"b": "y"}, True),
        ("{a: [x, y], b|contains|all: [p, q]}", {"a": "y", "b": "qp"}, True),
        ("{a|contains: [x, y], a|endswith: z}", {"a": "yz"}, True),
        ("{a|contains: [x, y], a|endswith: z}", {"a": "y"}, False),
    ],
)
def test_structure(match: Match, detection: str, event: dict[str, Any], expected: bool) -> None:
    assert match(detection, event) is expected


@pytest.mark.parametrize(
    ("detection", "said"),
    [
        ("{a|expand: '%servers%'}", "%servers%"),
        ("{a|re: '(?=x)'}", "invalid perl operator: (?="),
        ("{a|re: 'a\\Z'}", "invalid escape"),
        ("{a|re: '(a{1000}){1000}'}", "Regular expression"),
        ("{a|nope: x}", "Unknown modifier 'nope'"),
        ("{a: []}", "a has an empty list"),
        ("[]", "empty list"),
        ("{}", "empty"),
        ("null", "null without a field"),
        ("[null]", "null without a field"),
        ("{a: 2020-01-01}", "Unsupported type"),
        ("{a: {b: c}}", "Unsupported type"),
        ("{1: b}", "no text"),
        ("{a|cidr: 10.0.0.1/8}", "host bits"),
        ("{a|gt: x}", "GreaterThan"),
        ("{a|lt: .nan}", "Invalid number"),
        ("{a|exists: maybe}", "Exists"),
        ("{a|base64: 'x*'}", "wildcards"),
        ("{a|fieldref: 'x*'}", "wildcards"),
        ("{a|contains|re: x}", "unmodified"),
        ("{'|gt': 5}", "keyword"),
        ("{'|fieldref': x}", "keyword"),
        ("{a|gte|hour: 5}", "Hour"),
        ("{a: x}\noff: {b: x}\ncondition: s and not off", "False is no text"),
        ("{a: x}\ncondition: s and t", "'t'"),
        ("{a: x}\ncondition: 1 of t*", "names no selection"),
        ("{a: x}\ncondition: s |  count() > 5", "deprecated"),
        ("{a: x}\ncondition: s and", "Expected"),
        ("{a: x}\ncondition: ''", "needs a condition"),
        ("{a: x}\ncondition: 5", "needs a condition"),
        ("{a: x}\ncondition: [s, 5]", "needs a condition"),
        ("{a: x}\ncondition: " + "(" * 30 + "s" + ")" * 30, "parentheses"),
        ("{a: x}\ncondition: " + "s or " * 5_000 + "s", "longer than"),
        ("{a: x}\ncondition: " + "not " * 2_000 + "s", "nested too deeply"),
    ],
)
def test_what_cannot_be_asked_is_rejected_with_its_reason(
    reason: Callable[..., str], detection: str, said: str
) -> None:
    text = f"s: {detection}" if "condition:" in detection else detection
    assert said in reason(text)


def test_re2_prints_nothing(reason: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    reason(r"{a|re: '(?<!x)y'}")
    assert capfd.readouterr() == ("", "")


def test_a_rule_in_legacy_form_keeps_its_timeframe_apart(match: Match) -> None:
    assert match("s: {a: x}\ntimeframe: 5m\ncondition: 1 of them", {"a": "x"})
    assert not match("s: {a: x}\ntimeframe: 5m\ncondition: 1 of them", {"a": "5m"})
