"""The tree of an explanation is true, whole where it can be, bounded where it cannot, and costs only what matches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma import detector as detecting
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.evaluator import compile_test
from detectors.sigma.explain import LONGEST_SEEN, MOST_EXPECTED, MOST_NODES, MOST_TEXT, Walk, around, explain
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import LogSource, Rule, RuleSet
from detectors.sigma.values import View


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", ()):
        yield from nodes(child)


def rule_of(expression: Expression) -> Rule:
    return Rule(id="r", title="R", logsource=LogSource(), expression=expression, condition="x")


predicates = st.builds(
    Predicate, st.sampled_from(["a", "b", "c", None]), st.just("contains"), st.sampled_from(["x", "y", "z"])
)
expressions = st.recursive(
    predicates,
    lambda inner: (
        st.builds(And, st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Not, inner)
        | st.builds(Named, st.sampled_from(["s", "t"]), inner)
    ),
    max_leaves=20,
)
events = st.dictionaries(st.sampled_from("abc"), st.text("xyz", max_size=3), max_size=3)


@given(expressions, events)
def test_every_node_says_the_truth(expression: Expression, event: dict[str, Any]) -> None:
    root = explain(rule_of(expression), View(event))["root"]
    assert root["pass"] is compile_test(expression)(View(event))
    for node in nodes(root):
        children = [child["pass"] for child in node.get("children", ())]
        match node["kind"]:
            case "and":
                assert node["pass"] is all(children)
            case "or":
                assert node["pass"] is any(children)
            case "not":
                assert node["pass"] is not children[0]


@given(expressions, events, st.integers(1, 12))
def test_a_tree_that_is_cut_claims_nothing_wrong(expression: Expression, event: dict[str, Any], most: int) -> None:
    walk = Walk(View(event))
    root = walk.node(expression, most=most)
    assert root["pass"] is compile_test(expression)(View(event))
    assert len(list(nodes(root))) <= most
    for node in nodes(root):
        children = [child["pass"] for child in node.get("children", ())]
        if node["kind"] == "and" and children and not node["pass"]:
            assert not all(children), "what decided is kept"
        if node["kind"] == "or" and children and node["pass"]:
            assert any(children), "what decided is kept"
        if node["kind"] in ("and", "or", "not"):
            assert node.get("left_out", 0) + len(children) > 0


def test_the_one_that_decides_is_kept_among_thousands(one_rule: Callable[..., Rule]) -> None:
    maps = "".join(f"\n  - {{a{number}: x, b{number}: y}}" for number in range(1_000))
    rule = one_rule(f"s:{maps}\ncondition: s")
    matched = explain(rule, View({"a999": "x", "b999": "y"}))["root"]
    assert (matched["kind"], matched["pass"]) == ("or", True)
    assert matched["left_out"] == 1_000 - len(matched["children"])
    assert matched["children"][-1]["pass"] is True
    failed = explain(rule, View({"a999": "x"}))["root"]
    assert failed["pass"] is False
    denied = explain(one_rule(f"s:{maps}\ncondition: not s"), View({"a999": "x", "b999": "y"}))["root"]
    assert denied["pass"] is False


def test_branches_share_the_room_fairly(one_rule: Callable[..., Rule]) -> None:
    maps = "".join(f"\n  - {{a{number}: x, b{number}: y}}" for number in range(1_000))
    rule = one_rule(f"big:{maps}\nsmall: {{c: x, d: y}}\ncondition: big and small")
    root = explain(rule, View({"c": "x", "d": "y", "a1": "x", "b1": "y"}))["root"]
    _, small = root["children"]
    assert small["selection"] == "small"
    assert "left_out" not in small
    assert len(list(nodes(root))) <= MOST_NODES


def test_text_is_bounded_whatever_the_rule_and_the_event(one_rule: Callable[..., Rule]) -> None:
    maps = "".join(f"\n  - {{a{n}: ['{'v' * 150}{n}', w], b{n}: ['{'u' * 150}{n}', w]}}" for n in range(300))
    rule = one_rule(f"s:{maps}\ncondition: s")
    event = {f"{name}{number}": "e" * 5_000 for number in range(300) for name in "ab"}
    root = explain(rule, View(event))["root"]
    text = sum(len(str(node.get("seen"))) + sum(len(str(v)) for v in node.get("expected", ())) for node in nodes(root))
    assert text < MOST_TEXT + MOST_NODES * 250
    assert not root["pass"]


def test_values_beyond_those_shown_are_counted(one_rule: Callable[..., Rule]) -> None:
    values = ", ".join(f"v{number}" for number in range(2_000))
    root = explain(one_rule(f"s: {{a: [{values}]}}\ncondition: s"), View({"a": "v1999"}))["root"]
    assert root["expected"][0] == "v1999"
    assert (len(root["expected"]), root["more"]) == (MOST_EXPECTED, 2_000 - MOST_EXPECTED)


def test_all_of_several_is_one_condition_when_it_holds_and_several_when_it_fails(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a|contains|all: [x, y]}\ncondition: s")
    assert explain(rule, View({"a": "xy"}))["root"] == {
        "kind": "field", "selection": "s", "field": "a", "op": "contains|all", "expected": ["*x*", "*y*"],
        "seen": "xy", "pass": True,
    }  # fmt: skip
    failed = explain(rule, View({"a": "x"}))["root"]
    assert (failed["kind"], [child["pass"] for child in failed["children"]]) == ("and", [True, False])


def test_case_is_told_where_it_counts(one_rule: Callable[..., Rule]) -> None:
    assert (
        explain(one_rule("s: {a|contains|cased: X}\ncondition: s"), View({"a": "x"}))["root"]["op"] == "contains|cased"
    )


@pytest.mark.parametrize(
    ("detection", "text", "part"),
    [
        ("{a|contains: needle}", "y" * 500 + "NEEDLE" + "z" * 500, "NEEDLE"),
        ("{a|endswith: needle}", "y" * 500 + "needle", "needle"),
        ("{a|startswith: needle}", "needle" + "y" * 500, "needle"),
        ("{a|re: 'nee+dle'}", "ñ" * 500 + "neeedle" + "z" * 500, "neeedle"),
        ("{a: '*nee*dle*'}", "ñ" * 500 + "nee and dle" + "z" * 500, "nee and dle"),
        ("[needle]", "y" * 500 + "needle" + "z" * 500, "needle"),
    ],
)
def test_what_was_found_is_shown_of_a_long_value(
    one_rule: Callable[..., Rule], detection: str, text: str, part: str
) -> None:
    rule = one_rule(f"s: {detection}\ncondition: s")
    for event in ({"a": text}, {"a": ["first", text]}):
        seen = explain(rule, View(event))["root"]["seen"]
        assert part in seen
        assert len(seen) <= LONGEST_SEEN + 2


@given(st.text(max_size=600), st.text(min_size=1, max_size=5), st.integers(10, 100))
def test_a_stretch_is_never_longer_than_asked(text: str, value: str, longest: int) -> None:
    for op in ("contains", "endswith", "startswith", "equals"):
        assert len(around(text, Predicate("a", op, value.lower()), longest)) <= longest + 2


def test_the_rules_words_travel_with_the_tree(one_rule: Callable[..., Rule]) -> None:
    extra = "es: {condiciones: {s: 'Lo abrió {user.name}'}}\nen: {conditions: {s: Opened by somebody}}\n"
    rule = one_rule("s: {a: x}\ncondition: s", extra=extra)
    assert explain(rule, View({"a": "x", "user.name": "ana\n"}))["words"] == {
        "es": {"s": "Lo abrió ana\\u000a"},
        "en": {"s": "Opened by somebody"},
    }
    assert "words" not in explain(one_rule("s: {a: x}\ncondition: s"), View({"a": "x"}))


RULES = """
title: Shell
id: 11111111-1111-4111-8111-111111111111
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /sh}, condition: s}
"""


@pytest.fixture
def ruleset() -> RuleSet:
    return load_texts([("rules.yml", RULES)], "native")


def test_only_what_matches_is_explained(ruleset: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    explained: list[str] = []

    def counted(rule: Rule, view: View) -> dict[str, Any]:
        explained.append(rule.id)
        return explain(rule, view)

    monkeypatch.setattr(detecting, "explain", counted)
    calm = [
        {"@timestamp": "2026-11-22T10:00:00Z", "product": "linux", "category": "process_creation", "Image": f"/bin/{n}"}
        for n in range(200)
    ]
    found = SigmaDetector(ruleset)
    assert list(found.select(calm)) == []
    assert explained == []
    (alert,) = found.select([*calm, calm[0] | {"Image": "/bin/sh"}])
    assert explained == [alert["rule.id"]]  # type: ignore[index]
