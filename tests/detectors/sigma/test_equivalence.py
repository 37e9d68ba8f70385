"""The evaluator against a naive one that walks pySigma's own condition tree with Python's regular expressions."""

from __future__ import annotations

import functools
import ipaddress
import lzma
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from corpora import corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SpecialChars,
)

from detectors.sigma.detector import SigmaDetector
from detectors.sigma.evaluator import PlainEngine, compile_test
from detectors.sigma.loader import load_texts
from detectors.sigma.logsource import origin_of, route_of
from detectors.sigma.rules import RuleSet
from detectors.sigma.values import View

ENVELOPE = {"@timestamp", "event.id", "event.ingested", "event.dataset", "organization.id"}


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


def said(value: Any) -> list[str]:
    found = []
    for leaf in leaves(value) if isinstance(value, list) else [value]:
        if isinstance(leaf, bool):
            found.append(str(leaf).lower())
        elif isinstance(leaf, (str, int)):
            found.append(str(leaf))
        elif isinstance(leaf, float):
            found.append(str(int(leaf)) if leaf.is_integer() else repr(leaf))
    return found


def numeric(value: Any) -> list[float]:
    found = []
    for leaf in leaves(value) if isinstance(value, list) else [value]:
        if isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
            found.append(leaf)
        elif isinstance(leaf, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", leaf):
            found.append(float(leaf))
    return found


@functools.lru_cache(maxsize=50_000)
def glob(parts: tuple[Any, ...], cased: bool, anywhere: bool) -> re.Pattern[str]:
    text = "".join(
        ".*" if part is SpecialChars.WILDCARD_MULTI else "." if isinstance(part, SpecialChars)
        else re.escape(part if cased else part.lower())
        for part in parts
    )  # fmt: skip
    return re.compile(f".*{text}.*" if anywhere else text, re.DOTALL)


def text_matches(value: SigmaString, seen: list[str], anywhere: bool) -> bool:
    cased = isinstance(value, SigmaCasedString)
    pattern = glob(tuple(value.s), cased, anywhere)
    return any(pattern.fullmatch(text if cased else text.lower()) for text in seen)


def value_matches(field: str | None, value: Any, event: dict[str, Any]) -> bool:
    raw = event.get(field) if field is not None else None
    everywhere = [text for name, found in event.items() if name not in ENVELOPE for text in said(leaves(found))]
    seen = everywhere if field is None else said(raw)
    match value:
        case SigmaExpansion():
            return any(value_matches(field, item, event) for item in value.values)
        case SigmaString():
            return text_matches(value, seen, field is None)
        case SigmaRegularExpression():
            flags = {SigmaRegularExpressionFlag.IGNORECASE: re.I, SigmaRegularExpressionFlag.MULTILINE: re.M,
                     SigmaRegularExpressionFlag.DOTALL: re.S}  # fmt: skip
            together = functools.reduce(lambda one, two: one | two, (flags[flag] for flag in value.flags), re.ASCII)
            return any(re.search(str(value.regexp), text, together) for text in seen)
        case SigmaCompareExpression():
            number = value.number.number
            compare = {"LT": float.__lt__, "LTE": float.__le__, "GT": float.__gt__, "GTE": float.__ge__}[value.op.name]
            return any(compare(float(found), float(number)) for found in numeric(raw))
        case SigmaNumber():
            if field is None:
                return any(str(value.number) in text for text in seen)
            return any(found == value.number for found in numeric(raw))
        case SigmaBool():
            return any(text.lower() == str(value.boolean).lower() for text in seen)
        case SigmaNull():
            return all(leaf is None for leaf in raw) if isinstance(raw, list) else raw is None
        case SigmaExists():
            nothing = all(leaf is None for leaf in raw) if isinstance(raw, list) else raw is None
            return nothing is not value.exists
        case SigmaCIDRExpression():
            return any(address(text) in value.network for text in seen if address(text) is not None)
        case SigmaFieldReference():
            return any(one.lower() == two.lower() for one in seen for two in said(event.get(value.field)))
    raise AssertionError(value)


@functools.lru_cache(maxsize=10_000)
def address(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def naive(node: Any, event: dict[str, Any]) -> bool:
    match node:
        case ConditionAND():
            return all(naive(arg, event) for arg in node.args)
        case ConditionOR():
            return any(naive(arg, event) for arg in node.args)
        case ConditionNOT():
            return not naive(node.args[0], event)
        case ConditionFieldEqualsValueExpression():
            return value_matches(node.field, node.value, event)
        case ConditionValueExpression():
            return value_matches(None, node.value, event)
    raise AssertionError(node)


def trees(document: dict[str, Any]) -> list[Any]:
    return [condition.parsed for condition in SigmaRule.from_dict(document).detection.parsed_condition]


# --- real rules over real events -------------------------------------------------------------------------------------


def otrf(step: int) -> list[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with lzma.open(corpus("otrf/events.ndjson.xz")) as file:
        return [decode(line) for number, line in enumerate(file) if number % step == 0]


def test_sigmahq_over_real_events_equals_the_naive_evaluator(sigmahq: RuleSet) -> None:
    parsed = [(rule, trees(dict(rule.document))) for rule in sigmahq.rules]
    engine = PlainEngine(sigmahq.rules)
    found = 0
    for event in otrf(401):
        route = route_of(origin_of(event))
        expected = [
            rule.id
            for rule, conditions in parsed
            if route.reaches(rule.logsource) and any(naive(condition, event) for condition in conditions)
        ]
        assert [rule.id for rule in engine.match(event)] == expected
        found += len(expected)
    assert found > 0


def test_all_rules_over_a_twentieth_of_the_real_events(sigmahq: RuleSet, sigmahq_ecs: RuleSet) -> None:
    """What fires natively fires through the parser and the pipelines too; ECS sees more in Security 4688 alone."""
    from collectors.base import Context
    from collectors.parsers.windows import convert

    context = Context(received=1_790_000_000_000_000)
    native, mapped = SigmaDetector(sigmahq), SigmaDetector(sigmahq_ecs)
    fired = 0
    for event in otrf(20):
        own = native.match_ids(event)
        through = mapped.match_ids(convert(event, context))
        assert set(own) <= set(through), event
        if set(through) - set(own):
            assert event["EventID"] in (4688, 104, 1102), (event, set(through) - set(own))
        fired += len(own)
    assert fired > 15


# --- random rules over random events ---------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["a", "b", "ab", "A", "ba", "", "aab", "5", "5.0", "a*", "*a", "?", "a?b", r"\*", r"a\\", "ñ", "a\nb", "*", "b*a"]
)
SCALARS = WORDS | st.integers(-3, 6) | st.booleans() | st.none() | st.sampled_from([1.5, 5.0])
VALUES = SCALARS | st.lists(SCALARS, min_size=1, max_size=3)
FIELDS = st.sampled_from(["x", "y", "z"])
TEXTS = WORDS | st.lists(WORDS, min_size=1, max_size=3)


@st.composite
def items(draw: Callable[..., Any]) -> tuple[str, Any]:
    field = draw(FIELDS)
    kind = draw(st.sampled_from(["", "text", "number", "exists", "re", "cidr", "fieldref", "neq"]))
    if kind == "text":
        modifiers = draw(st.sampled_from(
            ["contains", "startswith", "endswith", "contains|all", "cased", "contains|cased", "windash", "neq|contains",
             "wide|base64offset|contains", "windash|contains|all"]))  # fmt: skip
        values = draw(
            st.lists(WORDS.filter(bool) if "base64" not in modifiers else st.just("ab"), min_size=1, max_size=3)
        )
        return f"{field}|{modifiers}", values
    if kind == "number":
        return f"{field}|{draw(st.sampled_from(['lt', 'lte', 'gt', 'gte']))}", draw(st.integers(-3, 6))
    if kind == "exists":
        return f"{field}|exists", draw(st.booleans())
    if kind == "re":
        pattern = draw(st.sampled_from(["a+b", "^a", "b$", "[ab]{2}", r"\w\d", "a|5", "(?i)A", "."]))
        return f"{field}|re{draw(st.sampled_from(['', '|i', '|m', '|s', '|i|s']))}", pattern
    if kind == "cidr":
        return f"{field}|cidr", draw(st.sampled_from(["10.0.0.0/8", "::1/128"]))
    if kind == "fieldref":
        return f"{field}|fieldref", draw(FIELDS)
    return (f"{field}|neq" if kind == "neq" else field), draw(VALUES)


SELECTIONS = st.dictionaries(FIELDS, VALUES, min_size=1, max_size=2) | st.lists(items(), min_size=1, max_size=3).map(
    lambda pairs: dict(pairs)
)
DETECTIONS = st.one_of(
    SELECTIONS, st.lists(SELECTIONS, min_size=1, max_size=2), st.lists(WORDS.filter(bool), min_size=1, max_size=2)
)
CONDITIONS = st.recursive(
    st.sampled_from(["s1", "s2", "f1", "1 of s*", "all of s*", "1 of them", "all of them"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})")
        | inner.map(lambda text: f"not {text}")
    ),
    max_leaves=5,
)
EVENTS = st.dictionaries(
    FIELDS, VALUES | st.sampled_from(["10.1.2.3", "::1", "-a", "/ab", "YQBiAA==", "xYQBiAAx"]), max_size=3
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DETECTIONS, DETECTIONS, SELECTIONS, CONDITIONS, st.lists(EVENTS, min_size=1, max_size=6))
def test_random_rules_over_random_events(
    s1: Any, s2: Any, f1: Any, condition: str, events: list[dict[str, Any]]
) -> None:
    document = {
        "title": "T",
        "logsource": {"product": "windows"},
        "detection": {"s1": s1, "s2": s2, "f1": f1, "condition": condition},
    }
    ruleset = load_texts([("x.yml", msgspec.json.encode(document).decode())])
    assert not ruleset.rejected, ruleset.rejected[0].reason
    test = compile_test(ruleset.rules[0].expression)
    conditions = trees(document)
    for event in events:
        assert test(View(event)) is any(naive(tree, event) for tree in conditions), event


@pytest.mark.parametrize("text", ["ab", "xAb", "b"])
def test_the_naive_evaluator_can_disagree(text: str) -> None:
    """The oracle itself tells matches from others."""
    document = {"title": "T", "logsource": {"product": "windows"}, "detection": {"s": {"x": "a*"}, "condition": "s"}}
    assert naive(trees(document)[0], {"x": text}) is text.startswith("a")
