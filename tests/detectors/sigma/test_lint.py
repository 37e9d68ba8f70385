"""What is said of doubtful rules, each doubt by a rule that deserves it beside one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.check import review
from detectors.sigma.expression import And, Expression, Not, Or, Predicate
from detectors.sigma.lint import KINDS, doubts
from detectors.sigma.loader import load_texts
from detectors.sigma.logic import fate, holds, implies
from detectors.sigma.rules import RuleSet

WINDOWS = "{product: windows, category: process_creation}"


def said(detection: str, *, logsource: str = WINDOWS, extra: str = "", head: bool = True) -> list[tuple[str, str]]:
    text = "title: T\nid: 11111111-1111-4111-8111-111111111111\n" if head else "title: T\n"
    text += "status: test\nlevel: high\ndescription: d\n" if head else ""
    ruleset = load_texts([("x.yml", f"{text}logsource: {logsource}\ndetection: {detection}\n{extra}")])
    assert not ruleset.rejected, ruleset.rejected[0].reason
    (rule,) = ruleset.rules
    return list(doubts(rule))


def test_an_ordinary_rule_is_without_doubt() -> None:
    assert said("{s: {Image|endswith: '\\whoami.exe'}, f: {User: x}, condition: s and not f}") == []


@pytest.mark.parametrize(
    ("detection", "kind", "reason"),
    [
        ("{s: {a: x}, condition: s or not s}", "logic", "is always true"),
        ("{s: {a: x}, condition: s and not s}", "logic", "is never true"),
        ("{s: {a: x, b: y}, f: {b: y}, condition: s and not 1 of f*}", "logic", "is never true"),
        ("{s: {a|endswith: '\\cmd.exe'}, f: {a|endswith: .exe}, condition: s and not f}", "logic", "is never true"),
        ("{s: {a|contains: bcd, c: d}, f: {a|contains: c}, condition: s and not f}", "logic", "is never true"),
        ("{s: {a|contains: bc}, f: {a|contains: bcd}, condition: f or not s}", "broad", "none of the fields"),
        ("{s: {a|contains: bcd}, f: {a|contains: c}, condition: f or not s}", "logic", "is always true"),
        ("{s: {a: x}, condition: not s}", "broad", "none of the fields it asks for"),
        ("{s: {a: null}, condition: s}", "broad", "none of the fields it asks for"),
        ("{s: {a|exists: false}, condition: s}", "broad", "none of the fields it asks for"),
        ("{s: {a: '*'}, condition: s}", "broad", "it matches by a contains '*' alone"),
        ("{s: {a|exists: true}, condition: s}", "broad", "it matches by a exists alone"),
        ("{s: {a|contains: e}, condition: s}", "broad", "a contains '*e*' alone"),
        ("{s: {a|startswith: C}, condition: s}", "broad", "a startswith 'C*' alone"),
        ("{s: {a|re: 'x*'}, condition: s}", "broad", "a re 'x*' alone"),
        ("{s: {a: '*', b: '*'}, f: {c: x}, condition: s and not f}", "broad", "a contains '*' and b contains '*'"),
        ("{s: {a: x}, t: {b: y}, condition: s}", "selection", "its selection 't' is in no condition"),
        ("{s: {a|contains|all: xyz}, condition: s}", "modifier", "'all' changes nothing with one value"),
        ("{s: {a|base64offset: xyz}, condition: s}", "modifier", "needs 'contains' behind it"),
        ("{s: {a: [x, X]}, condition: s}", "value", "the field a for 'X' twice"),
        ("{s: {a: '*xyz*'}, condition: s}", "value", "the modifier 'contains' says it plainly"),
        ("{s: {a: '*xyz'}, condition: s}", "value", "the modifier 'endswith' says it plainly"),
        ("{s: {a: 'xyz*'}, condition: s}", "value", "the modifier 'startswith' says it plainly"),
        ("{s: {a: 'x**y'}, condition: s}", "value", "two wildcards in a row are one"),
        ('{s: {a: "x\\ay"}, condition: s}', "value", "control characters"),
        ("{s: [{a: [x, x]}, {b: y}], condition: s}", "value", "the field a for 'x' twice"),
    ],
)
def test_doubts_about_detections(detection: str, kind: str, reason: str) -> None:
    assert any(found == kind and reason in text for found, text in said(detection)), said(detection)


@pytest.mark.parametrize(
    "detection",
    [
        "{s: {a: x}, f: {a: y}, condition: s and not f}",
        "{s: {a|endswith: .exe}, f: {a|endswith: '\\cmd.exe'}, condition: s and not f}",
        "{s: {a|contains: '.', b: xyz}, condition: s}",
        "{s: {a|contains: А}, condition: s}",
        "{s: {a|contains: '^^'}, condition: s}",
        "{s: {a|endswith: '='}, condition: s}",
        "{s: {a|re: '^x+$'}, condition: s}",
        "{s: {a: '*'}, t: {b: xyz}, condition: s and t}",
        "{s: {a|re: 'x*y'}, condition: s}",
        "{s: {a|cased: [x, X]}, condition: s}",
        "{s: {a: 'C:\\*\\x'}, condition: s}",
        "{s: {a: 'x\\*'}, condition: s}",
        "{'keywords': ['*xyz*'], condition: keywords}",
        "{s: {a: '', b: xyz}, condition: s}",
    ],
)
def test_no_doubts_about_what_is_meant(detection: str) -> None:
    assert said(detection) == []


@pytest.mark.parametrize(
    ("extra", "kind", "reason"),
    [
        ("falsepositive: [x]", "key", "its key 'falsepositive' is not Sigma's; is 'falsepositives' meant?"),
        ("tags: [attack.t1562, attack.execution]", "tag", "now it is attack.t1685"),
        ("tags: [attack.execution, attack.execution]", "tag", "'attack.execution' is written twice"),
        ("references: [a, b, a]", "value", "the reference a is written twice"),
    ],
)
def test_doubts_about_documents(extra: str, kind: str, reason: str) -> None:
    found = said("{s: {a: x}, condition: s}", extra=extra)
    assert [(kind, True)] == [(each, reason in text) for each, text in found], found


def test_what_a_rule_should_state() -> None:
    texts = [text for _, text in said("{s: {a: x}, condition: s}", head=False)]
    assert texts == [
        "it has no id; one is made from its name or title, and changes with it",
        "it states no level; it counts as medium",
        "it states no status",
        "it has no description",
    ]
    assert said("{s: {a: x}, condition: s}", extra="status: deprecated\nlevel: low", head=False)[1] == (
        "statement",
        "its status is deprecated, and it is in use",
    )


def test_log_sources_that_choose_nothing_and_categories_by_number() -> None:
    found = said("{s: {a: x}, condition: s}", logsource="{product: windows, channel: Security}")
    assert found == [("key", "its log source has the key 'channel'; only product, category and service choose events")]
    sysmon = "{product: windows, service: sysmon}"
    (doubt,) = said("{s: {EventID: [1, 999], Image: x}, condition: s}", logsource=sysmon)
    assert doubt == (
        "logsource",
        "it asks for EventID 1 of Sysmon; its category process_creation says it for any source",
    )


def ruleset_of(*texts: str) -> RuleSet:
    return load_texts([(f"{number}.yml", text) for number, text in enumerate(texts)], "ecs")


def test_titles_and_detections_of_two_rules() -> None:
    base = "logsource: {product: windows}\ndetection: {s: {Image: %s}, condition: s}\n"
    ruleset = ruleset_of(
        "title: One\n" + base % "x",
        "title: ONE \nid: 22222222-2222-4222-8222-222222222222\n" + base % "y",
        "title: Two\n" + base % "x",
    )
    found = {
        (finding.rule, finding.reason) for finding in review(ruleset).warnings if "has no id" not in finding.reason
    }
    assert ("ONE", f"its title is that of {ruleset.rules[0].id} in 0.yml") in found
    assert ("Two", "it detects the same as 'One' in 0.yml") in found


def test_one_that_only_feeds_a_correlation_may_repeat_another() -> None:
    base = "name: {0}\nlogsource: {{product: windows}}\ndetection: {{s: {{Image: x}}, condition: s}}\n"
    correlation = "title: C\ncorrelation: {type: event_count, rules: [b], group-by: [User], timespan: 1m, "
    ruleset = ruleset_of(
        "title: T\n" + base.format("a"), "title: T\n" + base.format("b"), correlation + "condition: {gte: 2}}\n"
    )
    assert not ruleset.rejected
    assert [
        finding for finding in review(ruleset).warnings if finding.kind == "identity" and "same" in finding.reason
    ] == []


def test_unreachable_log_sources_and_filters_are_said() -> None:
    ruleset = ruleset_of(
        "title: T\nlogsource: {product: windwos}\ndetection: {s: {Image: x}, condition: s}\n",
        "title: F\nlogsource: {product: linux}\nfilter: {rules: any, s: {Image: x}, condition: not s}\n",
    )
    loading = [finding.reason for finding in review(ruleset).warnings if finding.kind == "loading"]
    assert loading == [
        "no event reaches its log source windwos/*/*",
        "no loaded rule has the filter's log source linux/*/*",
    ]


def test_sigmahq_has_few_doubts_of_its_own(sigmahq_ecs: RuleSet) -> None:
    report = review(sigmahq_ecs)
    kinds: dict[str, int] = {}
    for finding in report.warnings:
        kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    assert set(kinds) <= set(KINDS)
    assert kinds["tests"] == kinds["words"] == 3_132
    assert kinds["broad"] < 10
    assert "logic" not in kinds
    assert "tag" not in kinds


PREDICATES = [
    *(
        Predicate(field, op, value)
        for field in "ab"
        for op in ("equals", "contains", "endswith")
        for value in ("x", "yx")
    ),
    Predicate("a", "null", None),
]
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from(PREDICATES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
        inner.map(Not),
    ),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries({}, optional={name: st.sampled_from(["x", "yx", "xy", "", "z"]) for name in "ab"})


def answered(predicate: Predicate, event: dict[str, Any]) -> bool:
    seen = event.get(str(predicate.field))
    if predicate.op == "null":
        return seen is None
    tests = {"equals": str.__eq__, "contains": str.__contains__, "endswith": str.endswith}
    return seen is not None and tests[predicate.op](seen, str(predicate.value))


@given(EXPRESSIONS, EVENTS)
def test_what_always_or_never_holds_does(expression: Expression, event: dict[str, Any]) -> None:
    certain = fate(expression)
    if certain is not None:
        assert holds(expression, lambda predicate: answered(predicate, event)) is certain


@given(st.sampled_from(PREDICATES), st.sampled_from(PREDICATES), EVENTS)
def test_what_is_implied_holds(left: Predicate, right: Predicate, event: dict[str, Any]) -> None:
    if implies(left, right) and answered(left, event):
        assert answered(right, event)
