"""Conditions and structure of the Sigma specification 2.1, through every engine, and what is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        ("1 of a*2", "b", True),
        ("1 of a*2", "a", False),
        ("all of *", "abc", True),
        ("1 of _*", "d", True),
        ("1 of _*", "abc", False),
        ("1 of a1", "a", True),
        ("not 1 of them", "d", True),
        ("not all of them", "ab", True),
        ("1 of them and not 1 of a*", "c", True),
        ("( a1 )", "a", True),
        ("a1 and\n    a2", "ab", True),
    ],
)
def test_conditions(match: Match, condition: str, fields: str, expected: bool) -> None:
    """Rules, "Condition": `them` and patterns leave out names that begin with `_` unless the pattern does."""
    event = dict.fromkeys(fields, "x")
    assert match(f"{SELECTIONS}condition: |-\n  {condition}", event) is expected


OPERANDS = {"a1": "a", "a2": "b", "c-d": "c", "_hidden": "d"}
"""Selections, and the field whose presence makes each true."""
EXPRESSIONS = st.recursive(
    st.sampled_from(list(OPERANDS)),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).flatmap(
            lambda parts: st.sampled_from([" and ", " or "]).map(lambda word: word.join(parts))
        )
        | inner.map(lambda text: f"({text})")
        | st.sampled_from(list(OPERANDS)).map(lambda text: f"not {text}")
        | inner.map(lambda text: f"not ({text})")
    ),
    max_leaves=6,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXPRESSIONS, st.sets(st.sampled_from("abcd")))
def test_precedence_is_not_before_and_before_or(match: Match, condition: str, fields: set[str]) -> None:
    """Rules, "Condition", "Operator Precedence (least to most binding)": or, and, not; which is Python's too."""
    python = condition
    for name, field in OPERANDS.items():
        python = python.replace(name, str(field in fields))
    expected = eval(python, {"__builtins__": {}})  # of words that stand above
    assert match(f"{SELECTIONS}condition: {condition}", dict.fromkeys(fields, "x")) is expected


def test_names_may_begin_with_an_operator(match: Match) -> None:
    """Rules, "Condition": `notepad` and `order` are names like others."""
    detection = "notepad: {a: x}\norder: {b: x}\nandy: {c: x}\ncondition: notepad and order and not andy"
    assert match(detection, {"a": "x", "b": "x"})
    assert not match(detection, {"a": "x", "b": "x", "c": "x"})


def test_a_list_of_conditions_is_any_of_them(match: Match, one_rule: Callable[..., Rule]) -> None:
    """Rules, "Condition": the condition can be a list, linked with OR."""
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
        (
            r"[{Image|endswith: '\example.exe'}, {Description|contains: Test executable}]",
            {"Image": r"C:\EXAMPLE.exe"},
            True,
        ),
        ("[{Image|endswith: x}, {Description|contains: Test executable}]", {"Description": "a test executable"}, True),
        ("{EventLog: Security, EventID: [517, 1102]}", {"EventLog": "security", "EventID": 1102}, True),
        ("{EventLog: Security, EventID: [517, 1102]}", {"EventLog": "security", "EventID": 1103}, False),
        ("['EVILSERVICE', 'svchost.exe -n evil']", {"m": "run svchost.exe -n evil now"}, True),
        ("['EVILSERVICE', 'svchost.exe -n evil']", {"m": "svchost.exe"}, False),
        ("{'|all': ['OabVirtualDirectory', ' -ExternalUrl ']}", {"m": "Set-OabVirtualDirectory -ExternalUrl x"}, True),
        ("{'|all': ['OabVirtualDirectory', ' -ExternalUrl ']}", {"m": "OabVirtualDirectory"}, False),
        ("{'|all': [one, two]}", {"m": "one", "n": "two"}, True),
        ("[[{a: x, b: y}, {c: z}], {d: w}]", {"c": "z"}, True),
        ("[{a: x, '|all': [p, q]}]", {"a": "x", "m": "qp"}, True),
    ],
)
def test_structure(match: Match, detection: str, event: dict[str, Any], expected: bool) -> None:
    """Rules, "Lists", "Maps", "Keywords search": a map is AND, a list OR, strings of a list search the whole event."""
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
        ("{a|exists: 'true'}", "Exists"),
        ("{a|windash: '-a -b -c -d'}", "windash permutes at most 3"),
        ("{a: 1" + "0" * 300 + "}", "300 digits"),
        ("{a: x}\na-b: {b: x}\ncondition: 1 of a-*", "Expected"),
        ("{a: x}\ncondition: 2 of s*", "Expected"),
        ("{a: x}\ncondition: s AND s", "Expected"),
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
