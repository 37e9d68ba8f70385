"""The engine as a whole: any cut and order of events, real rules over real events, and what attackers send."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from sys import getsizeof
from typing import Any

import msgspec
import pytest
from corpora import corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_index import agree, rules_of, titles
from sigma_strategies import ANYTHING, EVENTS, detections

from almena.event import Batch, Event
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.rules import Rule, RuleSet

ORIGIN = {"event.dataset": "windows.test"}
RULES = rules_of(
    [
        {"s": {"x|contains": ["bad", "evil"]}},
        {"s": {"x|startswith": "v1", "y": "*"}, "f": {"z": "ok"}, "condition": "s and not f"},
        {"s": {"x|re": "v[0-9]+7$"}},
        {"s": {"x|fieldref": "y"}},
        {"s": ["evil"]},
        {"s": {"x": None}},
    ]
)


@settings(max_examples=100)
@given(
    st.lists(detections(), min_size=1, max_size=3),
    st.lists(EVENTS, min_size=1, max_size=10),
    st.randoms(use_true_random=False),
)
def test_any_cut_and_any_order(found: list[dict[str, Any]], events: list[Event], random: Any) -> None:
    rules = rules_of(found)
    events = [event | ORIGIN for event in events]
    expected = titles(PlainEngine(rules).match_all(events))
    engine = IndexEngine(rules)
    for _ in range(4):
        order = list(range(len(events)))
        random.shuffle(order)
        results: dict[int, list[str]] = {}
        while order:
            size = random.randint(1, len(order))
            part, order = order[:size], order[size:]
            results.update(zip(part, titles(engine.match_all([events[place] for place in part])), strict=True))
        assert [results[place] for place in range(len(events))] == expected


@settings(max_examples=100)
@given(st.lists(st.dictionaries(st.text(max_size=3) | st.sampled_from(["x", "Channel"]), ANYTHING), max_size=8))
def test_events_of_any_kind_are_answered(events: list[Event]) -> None:
    agree(RULES, [*events, *({**event, **ORIGIN} for event in events)])


def test_no_rules_and_no_events() -> None:
    assert IndexEngine([]).match_all([{"x": "evil"}]) == [()]
    assert IndexEngine(RULES).match_all([]) == []
    assert IndexEngine(RULES).match_all(Batch()) == []
    assert IndexEngine(RULES).match({}) == ()


# --- real rules over real events -------------------------------------------------------------------------------------


def otrf(step: int) -> list[Event]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with lzma.open(corpus("otrf/events.ndjson.xz")) as file:
        return [decode(line) for number, line in enumerate(file) if number % step == 0]


@pytest.mark.parametrize("mode", ["native", "ecs"])
@pytest.mark.parametrize("budget", [64 << 20, 40_000])
def test_all_rules_over_some_real_events(mode: str, budget: int, request: pytest.FixtureRequest) -> None:
    ruleset: RuleSet = request.getfixturevalue("sigmahq" if mode == "native" else "sigmahq_ecs")
    events = otrf(97)
    if mode == "ecs":
        from collectors.base import Context
        from collectors.parsers.windows import convert

        context = Context(received=1_790_000_000_000_000)
        events = [convert(event, context) for event in events]
    expected = titles(PlainEngine(ruleset.rules).match_all(events))
    assert sum(map(bool, expected)) >= 2
    engine = IndexEngine(ruleset.rules, budget=budget)
    found: list[Sequence[Rule]] = []
    for start in range(0, len(events), 61):
        part = events[start : start + 61]
        found += engine.match_all(Batch(part, map(msgspec.json.encode, part)))
        assert engine._budget.used <= budget
    assert titles(found) == expected
    assert titles(engine.match_all(events[::-1])) == expected[::-1]


# --- attackers -------------------------------------------------------------------------------------------------------


def remembered(engine: IndexEngine) -> int:
    """Bytes of all that is remembered of events, as Python counts them, each object once."""
    seen: dict[int, int] = {}
    stack: list[object] = []
    for memory in engine._budget._memories:
        stack += [memory.known, memory.old]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, (int, Rule)) or type(item).__name__ == "Reach":
            continue
        seen[id(item)] = getsizeof(item)
        if isinstance(item, dict):
            stack += [*item.keys(), *item.values()]
        elif isinstance(item, (tuple, list)):
            stack += item
    return sum(seen.values())


SHAPES: dict[str, Any] = {
    "values": lambda n: {"x": f"v{n}", "y": f"w{n}", "z": "ok" if n % 2 else "no"},
    "long values": lambda n: {"x": f"v{n} " * 900, "y": "evil " * 3_000 + str(n)},
    "wide values": lambda n: {"x": "😀" * 200 + f"bad {n}"},
    "numbers": lambda n: {"x": n, "y": n if n % 2 else n + 2**63, "z": n / 7},
    "lists": lambda n: {"x": [f"v{n}", "bad"], "y": [f"{n}" * 20] * 16},
    "field names": lambda n: {f"field{n}": "evil", "x": f"v{n}"},
    "many fields": lambda n: {f"field{n}.{place}": "a" for place in range(700)},
    "origins": lambda n: {"Channel": f"Channel {n}", "Provider_Name": "x" * 3_000 + str(n), "x": "bad"},
    "products": lambda n: {"product": f"p{n}", "category": f"c{n}", "service": f"s{n}", "x": "bad"},
    "misfits": lambda n: {"x": None, "almena.misfit": {"x": f"v{n}", f"q{n}": {"deep": ["evil", n]}}},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_floods_of_what_is_always_new_stay_within_the_budget(shape: str) -> None:
    budget = 150_000
    engine, plain = IndexEngine(RULES, budget=budget), PlainEngine(RULES)
    make, count = SHAPES[shape], 300 if shape == "many fields" else 2_000
    matched = 0
    for start in range(0, count, 50):
        events: list[Event] = [ORIGIN | make(number) for number in range(start, start + 50)]
        found = titles(engine.match_all(events))
        matched += sum(map(len, found))
        assert engine._budget.used <= budget
        if start % 500 == 0:
            assert found == titles(plain.match_all(events))
    assert matched > 0
    assert remembered(engine) <= 2 * budget


def test_answers_that_are_all_different_stay_within_the_budget() -> None:
    """Values that hold each its own choice of what rules ask cost more than a look at their length tells."""
    words = [f"w{number:03}" for number in range(400)]
    rules = rules_of([{"s": {"x|contains": word}} for word in words])
    budget = 300_000
    engine = IndexEngine(rules, budget=budget)
    for number in range(1_500):
        chosen = [word for place, word in enumerate(words) if (number * 2_654_435_761 >> (place % 31)) & 1]
        event = ORIGIN | {"x": " ".join(chosen) + f" {number}"}
        assert titles([engine.match(event)]) == [[f"T{int(word[1:])}" for word in chosen]]
        assert engine._budget.used <= budget
    assert remembered(engine) <= 3 * budget
    (memo,) = engine._fields.values()
    assert sum(map(getsizeof, [*memo.index._sets, *engine._judge._worth])) <= budget
