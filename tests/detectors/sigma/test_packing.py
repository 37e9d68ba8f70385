"""A rule set as bytes and back: nothing lost, nothing changed, and other bytes are refused."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_facts import same

from detectors.sigma.condition import Condition
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate
from detectors.sigma.loader import load_texts
from detectors.sigma.packing import collecting_later, pack, unpack
from detectors.sigma.rules import Correlation, LogSource, Rejection, Rule, RuleSet


def own(name: str, logsource: LogSource) -> str:
    return name


def again(ruleset: RuleSet) -> RuleSet:
    return unpack(pack(ruleset), ruleset.field)


SHOWN = """
title: One
id: 11111111-1111-4111-8111-111111111111
date: 2024-02-03
modified: 2024-02-03 04:05:06
big: 123456789012345678901234567890
least: -9223372036854775809
set: !!set {a, 1}
bytes: !!binary aGVsbG8=
not: .nan
1: one
2024-01-01: a day
null: nothing
true: yes
logsource: {product: windows, category: process_creation}
detection:
  s:
    Image|endswith: ['/sh', '/bash']
    Count: [1, 1.5, 'x*y']
    Other: null
  f|re: 'x.*y'
  k: [word, 12]
  condition: s and not (1 of f*) or k
---
title: Many
name: many
correlation:
  type: value_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [User]
  timespan: 5m
  condition: {gte: 3, field: Image}
es: {titulo: Muchos}
---
title: Broken
detection: {}
---
title: Filter
logsource: {product: windows, category: process_creation}
filter: {rules: any, s: {User: root}, condition: not s}
"""


def test_a_set_with_everything_comes_back_as_it_was() -> None:
    text = SHOWN.replace("  f|re: 'x.*y'", "  f:\n    Line|re: 'x.*y'").replace("null: nothing\n", "~: nothing\n")
    ruleset = load_texts([("one.yml", text)], "ecs")
    assert [item.title for item in ruleset.everything] == ["One", "Many"]
    assert len(ruleset.rejected) == 1
    assert ruleset.filters
    assert ruleset.muted
    back = again(ruleset)
    assert same(ruleset, back)
    document: dict[Any, Any] = dict(back.rules[0].document)
    assert document["date"] == date(2024, 2, 3)
    assert document["big"] == 123456789012345678901234567890
    assert document["set"] == {"a", 1}
    assert document["bytes"] == b"hello"
    assert document[date(2024, 1, 1)] == "a day"
    assert "hash" in vars(back), "not found out again"


MANY = """
title: One
name: one
logsource: {product: x}
detection: {s: {a: b}, condition: s}
---
title: Many
correlation: {type: event_count, rules: [one], group-by: [User], timespan: 5m, condition: {gte: 3}}
"""

PREDICATES = st.builds(
    Predicate,
    field=st.none() | st.text(max_size=4),
    op=st.sampled_from(["equals", "contains", "re"]),
    value=st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(max_size=3),
    cased=st.booleans(),
    part=st.sampled_from(["", "hour"]),
    zone=st.sampled_from(["", "UTC"]),
    shown=st.text(max_size=3),
)


def groups(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(children, min_size=1, max_size=4).map(tuple)
    return (
        st.builds(And, several)
        | st.builds(Or, several)
        | st.builds(Not, children)
        | st.builds(Named, st.text(max_size=3), children)
    )


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(PREDICATES, groups, max_leaves=30)

TIMES = (st.datetimes() | st.datetimes(timezones=st.just(UTC))).map(lambda at: at.replace(fold=0))
KEYS = st.text(max_size=3) | st.none() | st.booleans() | st.integers() | st.dates() | st.floats(allow_nan=False)
PLAIN = st.recursive(
    KEYS | TIMES | st.binary(max_size=3) | st.sets(st.text(max_size=2)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(EXPRESSIONS, max_size=4), st.dictionaries(st.text(max_size=3), PLAIN, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_expression_and_any_document_come_back(expressions: list[Expression], document: dict[str, Any]) -> None:
    rules = [
        Rule(id=str(n), title="T", logsource=LogSource(product="x"), expression=each, condition="", document=document)
        for n, each in enumerate(expressions)
    ]
    inner = Correlation(
        id="c",
        title="C",
        type="event_count",
        rules=("0",),
        timespan=1,
        condition=Condition((("gte", 2), ("lt", 9.5))),
        ways=((("0", True), ("1", False)),),
        sources={"0": {"0": {"a": "b"}}},
        document=document,
    )
    rejected = (Rejection("a", "b", "c"),)
    ruleset = RuleSet(
        rules=tuple(rules), correlations=(inner,), rejected=rejected, warnings=rejected, muted=frozenset("ab")
    )
    assert same(ruleset, again(ruleset))


def test_a_deep_expression_takes_no_stack() -> None:
    deep: Expression = Predicate("a", "equals", "b")
    for _ in range(50_000):
        deep = Not(deep)
    rule = Rule(id="1", title="T", logsource=LogSource(), expression=deep, condition="")
    back: Expression = again(RuleSet(rules=(rule,))).rules[0].expression
    for _ in range(50_000):
        assert isinstance(back, Not)
        back = back.child
    while isinstance(deep, Not):  # taken apart by hand: Python's own way would be as deep
        deep = deep.child
    assert back == deep


def test_equal_predicates_are_one_object() -> None:
    text = "title: {0}\nlogsource: {{product: x}}\ndetection: {{s: {{a: b}}, condition: s}}\n"
    ruleset = load_texts([("one.yml", "---\n".join(text.format(name) for name in "AB"))])
    one, two = again(ruleset).rules
    assert isinstance(one.expression, Named)
    assert isinstance(two.expression, Named)
    assert one.expression.child is two.expression.child


@pytest.mark.parametrize(
    "program", [[], [5], [9 << 3], [0, 0], [2 << 3 | 2], [0 | 2], [0, 5 << 3 | 1], [4], [-8], ["x"]]
)
def test_a_program_that_makes_no_expression_is_refused(program: list[Any]) -> None:
    ruleset = load_texts([("o.yml", "title: A\nlogsource: {product: x}\ndetection: {s: {a: b}, condition: s}\n")])
    packed = msgspec.msgpack.decode(pack(ruleset))
    packed[3][0][-1] = program
    with pytest.raises((ValueError, IndexError)):
        unpack(msgspec.msgpack.encode(packed), own)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        unpack(data, own)


@pytest.mark.parametrize("place", [3, 4])
def test_a_document_is_a_mapping(place: int) -> None:
    packed = msgspec.msgpack.decode(pack(load_texts([("one.yml", MANY)])))
    packed[place][0][6] = 1
    with pytest.raises(ValueError, match="no mapping"):
        unpack(msgspec.msgpack.encode(packed), own)


def test_what_yaml_never_gives_is_not_packed() -> None:
    rule = Rule(
        id="1", title="T", logsource=LogSource(), expression=Predicate("a", "b", "c"), condition="",
        document={"a": object()},
    )  # fmt: skip
    with pytest.raises(TypeError):
        pack(RuleSet(rules=(rule,)))


def test_every_field_is_packed() -> None:
    """A field that is added must be thought of here: `_place`, `_Rule`, `_Correlation`, `_Set`."""
    names = ["field", "op", "value", "cased", "part", "zone", "shown"]
    assert [item.name for item in dataclasses.fields(Predicate)] == names
    stated = {"id", "title", "name", "level", "file", "version", "document"}
    assert {item.name for item in dataclasses.fields(Rule)} == stated | {"logsource", "expression", "condition"}
    assert {item.name for item in dataclasses.fields(RuleSet)} == {
        "rules", "correlations", "rejected", "warnings", "mode", "field", "muted", "filters", "reading"
    }  # fmt: skip


def test_the_collector_is_left_as_it_was() -> None:
    import gc

    for wanted in (True, False):
        (gc.enable if wanted else gc.disable)()
        try:
            with collecting_later():
                assert not gc.isenabled()
            assert gc.isenabled() is wanted
        finally:
            gc.enable()
