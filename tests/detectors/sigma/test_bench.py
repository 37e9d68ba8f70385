"""What is counted and timed of each rule."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.bench import TIMED, by_source, measure, necessary
from detectors.sigma.evaluator import PlainEngine, compile_test
from detectors.sigma.expression import And, Not, Or, Predicate
from detectors.sigma.loader import load_texts
from detectors.sigma.values import View

RULES = """\
title: Shell
logsource: {product: windows, category: process_creation}
detection: {s: {Image|endswith: sh.exe, CommandLine: [a, b]}, f: {User: x}, condition: s and not f}
---
title: Nobody
logsource: {product: windows, category: process_creation}
detection: {s: {User: null}, condition: s}
---
title: Name
logsource: {product: windows, category: dns_query}
detection: {s: {QueryName: x}, condition: s}
"""

ruleset = load_texts([("x.yml", RULES)])
EVENT = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1}


def test_events_candidates_and_matches_are_counted() -> None:
    events: list[dict[str, Any]] = [
        EVENT | {"Image": "sh.exe", "CommandLine": "a"},
        EVENT | {"Image": "sh.exe", "CommandLine": "c", "User": "y"},
        EVENT | {"Image": "sh.exe", "CommandLine": "b", "User": "x"},
        EVENT | {"EventID": 22, "QueryName": "y"},
        {"Channel": "Security", "EventID": 1},
    ]
    ticks = count(0, 50)
    found = {cost.rule.title: cost for cost in measure(ruleset.rules, events, lambda: next(ticks))}
    seen = {title: (cost.events, cost.candidates, cost.matches) for title, cost in found.items()}
    assert seen == {"Shell": (3, 3, 1), "Nobody": (3, 3, 1), "Name": (1, 0, 0)}
    assert found["Shell"].each == 50 / 3
    assert found["Shell"].total == 50
    assert {str(source): total for source, total in by_source(found.values()).items()} == {
        "windows/process_creation/*": 100,
        "windows/dns_query/*": 50,
    }


def test_the_dearest_comes_first_and_the_clock_is_read_for_a_sample_only() -> None:
    events = [EVENT | {"Image": f"{number}.exe"} for number in range(3 * TIMED)]
    ticks = count(0, 1_000)
    costs = measure(ruleset.rules, events, lambda: next(ticks))
    assert [cost.events for cost in costs] == [3 * TIMED, 3 * TIMED, 0]
    assert costs[0].each == 1_000 / TIMED
    assert costs[-1].each == costs[-1].total == 0


def test_matches_are_those_of_the_engine(sigmahq: Any) -> None:
    rules = [rule for rule in sigmahq.rules if rule.logsource.category == "process_creation"][:300]
    lines = [
        "whoami /all",
        "net user a b /add",
        "powershell -enc AAAA",
        "vssadmin delete shadows",
        "certutil -urlcache",
    ]
    events = [EVENT | {"CommandLine": line, "Image": f"C:\\x\\{line.split()[0]}.exe"} for line in lines]
    matched = [rule.id for event in events for rule in PlainEngine(rules).match(event)]
    ticks = count()
    costs = measure(rules, events, lambda: next(ticks))
    assert {cost.rule.id: cost.matches for cost in costs if cost.matches} == {
        identity: matched.count(identity) for identity in matched
    }
    assert all(cost.matches <= cost.candidates <= cost.events for cost in costs)


LEAVES = st.sampled_from(
    [
        Predicate("a", "equals", "x"),
        Predicate("a", "contains", "y"),
        Predicate("b", "equals", "x"),
        Predicate("b", "null", None),
        Predicate("a", "exists", False),
        Predicate("b", "exists", True),
    ]
)
EXPRESSIONS: Any = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
        inner.map(Not),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.dictionaries(st.sampled_from("ab"), st.sampled_from(["x", "xy", "z"])))
def test_nothing_matches_without_what_is_necessary(expression: Any, event: dict[str, Any]) -> None:
    wanted = necessary(expression)
    view = View(event)
    if wanted is not None and compile_test(expression)(view):
        assert any(compile_test(predicate)(view) for predicate in wanted)
