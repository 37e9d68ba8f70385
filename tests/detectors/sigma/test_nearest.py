"""What comes nearest: the fewest conditions, each with its reason, and truly enough to change the answer."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from corpora import corpus
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.evaluator import PlainEngine, compile_test
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate
from detectors.sigma.loader import load_texts
from detectors.sigma.nearest import MOST_CHANGES, other_names, source_gap, verdict
from detectors.sigma.rules import LogSource, Rule, RuleSet
from detectors.sigma.values import View

CREATION = {"product": "windows", "category": "process_creation"}


def changes(rule: Rule, event: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = verdict(rule, event)["nearest"]["changes"]
    return found


def test_a_match_needs_nothing(one_rule: Callable[..., Rule]) -> None:
    found = verdict(one_rule("s: {a: x}\ncondition: s"), CREATION | {"a": "x"})
    assert found["matches"] is True
    assert found["logsource"] is None
    assert found["nearest"] == {"changes": [], "left_out": 0}
    assert found["explanation"]["root"]["pass"] is True


def test_the_fewest_conditions_are_found(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a: x, b: y, c: z}\nt: {d: w, e: v}\ncondition: s or t")
    (only,) = changes(rule, {"a": "no", "b": "y", "c": "z", "d": "no", "e": "no"})
    assert (only["selection"], only["field"], only["expected"], only["seen"]) == ("s", "a", ["x"], "no")
    assert only["wanted"] is True
    assert {change["field"] for change in changes(rule, {"a": "x"})} == {"b", "c"}


def test_an_exception_that_applies_must_not(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a: x}\nf: {b: [y, z], c|startswith: q}\ncondition: s and not f")
    (only,) = changes(rule, {"a": "x", "b": "z", "c": "quit"})
    assert (only["selection"], only["wanted"], only["near"]) == ("f", False, {"kind": "holds"})
    rule = one_rule("s: {a: x}\nf:\n  b: [y, z]\ncondition: s and not f")
    (only,) = changes(rule, {"a": "x", "b": "z"})
    assert only["expected"] == ["z"], "only what holds is in the way"


def test_of_all_that_hold_one_less_suffices(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a: x}\nf: {b|contains|all: [y, z]}\ncondition: s and not f")
    (only,) = changes(rule, {"a": "x", "b": "yz"})
    assert (only["wanted"], only["expected"]) == (False, ["*y*"])


def test_all_of_several_names_what_is_missing(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a|contains|all: [one, two, three]}\nt: {b: x}\ncondition: s or t")
    (only,) = changes(rule, {"a": "xx two xx", "b": "y"})
    assert only["field"] == "b", "one condition is nearer than two"
    (only,) = changes(rule, {"a": "one two"})
    assert (only["field"], only["expected"], only["op"]) == ("a", ["*three*"], "contains")
    rule = one_rule("s: {a|contains|all: [one, two, three]}\ncondition: s")
    (only,) = changes(rule, {"a": "two"})
    assert (only["expected"], only["op"]) == (["*one*", "*three*"], "contains|all")


def test_the_nearest_value_stands_first(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a|endswith: ['\\cmd.exe', '\\powershell.exe', '\\wscript.exe']}\ncondition: s")
    (only,) = changes(rule, {"a": "C:\\powershel.exe"})
    assert only["expected"][0] == "*\\powershell.exe"
    assert only["near"] == {"kind": "similar", "edits": 1}


def test_many_changes_are_cut_and_counted(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule(f"s: {{{', '.join(f'f{number}: x' for number in range(50))}}}\ncondition: s")
    nearest = verdict(rule, {})["nearest"]
    assert (len(nearest["changes"]), nearest["left_out"]) == (MOST_CHANGES, 50 - MOST_CHANGES)


def test_keywords_are_told_as_such(one_rule: Callable[..., Rule]) -> None:
    (only,) = changes(one_rule("s: [needle, 'pin*']\ncondition: s"), {"a": "hay"})
    assert (only["kind"], "field" in only, only["near"]["kind"]) == ("keyword", False, "nowhere")
    assert only["seen"] is None


def test_the_log_source_is_the_first_reason(one_rule: Callable[..., Rule]) -> None:
    rule = one_rule("s: {a: x}\ncondition: s", "{product: windows, category: process_creation}")
    found = verdict(rule, {"a": "x", "event.dataset": "system.auth"})
    assert found["matches"] is False
    assert found["explanation"]["root"]["pass"] is True
    gap = found["logsource"]
    assert gap["asked"] == CREATION
    assert gap["failed"] == ["product", "category"]
    assert gap["event"]["product"] == ["linux"]
    assert source_gap(rule, CREATION) is None
    assert source_gap(rule, {}) == {
        "asked": CREATION,
        "failed": ["product", "category"],
        "event": {"product": [], "category": [], "service": []},
        "dataset": "",
    }


@pytest.mark.parametrize(
    ("mode", "event", "name", "holds"),
    [
        ("ecs", {"Image": "C:\\cmd.exe"}, "Image", True),
        ("ecs", {"winlog.event_data.Image": "C:\\ping.exe"}, "winlog.event_data.Image", False),
        ("ecs", {"Process.Executable": "C:\\cmd.exe"}, "Process.Executable", True),
        ("ecs", {"almena.misfit": {"Image": "C:\\cmd.exe"}}, "Image", True),
        ("native", {"process.executable": "C:\\cmd.exe"}, "process.executable", True),
    ],
)
def test_a_field_under_another_name_is_found(
    one_rule: Callable[..., Rule], mode: str, event: dict[str, Any], name: str, holds: bool
) -> None:
    text = (
        "title: T\nlogsource: {product: windows, category: process_creation}\n"
        "detection: {s: {Image|endswith: '\\cmd.exe'}, condition: s}\n"
    )
    ruleset = load_texts([("rule.yml", text)], mode)  # type: ignore[arg-type]
    (rule,) = ruleset.rules
    (only,) = verdict(rule, CREATION | event, ruleset)["nearest"]["changes"]
    assert (only["near"]["kind"], only["near"]["name"], only["near"]["holds"]) == ("renamed", name, holds)
    assert other_names(rule, ruleset)


leaves = st.builds(Predicate, st.sampled_from("abcd"), st.just("equals"), st.just("x"))
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, inner)
        | st.builds(Named, st.sampled_from(["s", "t"]), inner)
    ),
    max_leaves=8,
)


def once(expression: Expression) -> bool:
    """Whether no field is asked twice: then each condition can change by itself."""
    fields: list[str | None] = []
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        match node:
            case Predicate():
                fields.append(node.field)
            case And() | Or():
                waiting.extend(node.children)
            case Not() | Named():
                waiting.append(node.child)
    return len(fields) == len(set(fields))


@given(expressions.filter(once), st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x", "y"]), max_size=4))
def test_the_changes_suffice_and_no_fewer_do(expression: Expression, event: dict[str, Any]) -> None:
    rule = Rule(id="r", title="R", logsource=LogSource(), expression=expression, condition="c")
    test = compile_test(expression)
    found = verdict(rule, event)
    assert found["matches"] is test(View(event))
    wanted = {change["field"]: "x" if change["wanted"] else "y" for change in found["nearest"]["changes"]}
    assert test(View(event | wanted))
    msgspec.json.encode(found)
    names = list("abcd")
    for chosen in range(16):
        fields = [name for at, name in enumerate(names) if chosen >> at & 1]
        if len(fields) < len(wanted):
            for values in range(1 << len(fields)):
                other = {name: "x" if values >> at & 1 else "y" for at, name in enumerate(fields)}
                assert not test(View(event | other)), "fewer changes would have done"


def test_a_verdict_agrees_with_the_engine_on_every_rule_of_others(sigmahq: RuleSet) -> None:
    with lzma.open(corpus("otrf/events.ndjson.xz"), "rb") as file:
        events = [msgspec.json.decode(line) for at, line in enumerate(file) if at in (6, 24_000)]
    engine = PlainEngine(sigmahq.rules)
    for event in events:
        wanted = {rule.id for rule in engine.match(event)}
        for rule in sigmahq.rules[::3]:
            found = verdict(rule, event, sigmahq)
            assert found["matches"] is (rule.id in wanted)
            assert found["matches"] or found["logsource"] or found["nearest"]["changes"]
