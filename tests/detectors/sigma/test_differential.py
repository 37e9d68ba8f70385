"""Every engine equals the naive evaluator: on all real events with all of SigmaHQ's rules, and on random ones."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
import sigma_routing as routing
from corpora import corpus
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sigma_engines import ENGINES
from sigma_naive import NaiveEngine
from sigma_strategies import EVENTS, detections, written

from almena.event import Batch
from detectors.sigma.evaluator import Engine
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.inputs import Mode, gather
from detectors.sigma.loader import load_texts
from detectors.sigma.pipelines import Mapping
from detectors.sigma.rules import Rule, RuleSet

MODES: tuple[Mode, ...] = ("native", "ecs")
PARTS = 5
"""The real events are shared out: a part each time the tests run, all of them with the long runs."""


def otrf(part: int) -> list[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with lzma.open(corpus("otrf/events.ndjson.xz")) as file:
        return [decode(line) for number, line in enumerate(file) if number % PARTS == part]


def read(mode: str, native: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events as they are, or as the product's parser makes them."""
    if mode == "native":
        return native
    from collectors.base import Context
    from collectors.parsers.windows import convert

    context = Context(received=1_790_000_000_000_000)
    return [convert(event, context) for event in native]


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.faults) for part in range(1, PARTS))])
@pytest.mark.parametrize("mode", MODES)
def test_all_rules_over_all_real_events(mode: Mode, part: int, request: pytest.FixtureRequest) -> None:
    """48,498 events by 3,132 rules; log sources are judged by the taxonomy's tables, not by the product's routing."""
    ruleset: RuleSet = request.getfixturevalue("sigmahq" if mode == "native" else "sigmahq_ecs")
    assert len(ruleset.rules) == 3_132
    native = otrf(part)
    events = read(mode, native)
    pipelines = Mapping(gather([], mode).pipelines)
    naive = NaiveEngine(ruleset.rules, kind=routing.kind, sees=routing.sees, pipelines=pipelines)
    expected = naive.match_all(events, native)
    assert sum(map(bool, expected)) > 40
    for make in ENGINES:
        engine = make(ruleset.rules)
        for event, ids in zip(events, expected, strict=True):
            assert {rule.id for rule in engine.match(event)} == ids, (make.__name__, event)


# --- random rules over random events ---------------------------------------------------------------------------------

LITTLE: list[Callable[[Sequence[Rule]], Engine]] = [partial(IndexEngine, budget=3_000)]
"""One that must forget all the time."""


def rules_of(found: Sequence[dict[str, Any]]) -> Sequence[Rule]:
    documents = [
        {"title": f"T{number}", "logsource": {"product": "windows"}, "detection": detection}
        for number, detection in enumerate(found)
    ]
    ruleset = load_texts([("x.yml", "---\n".join(map(written, documents)))])
    assert not ruleset.rejected, ruleset.rejected[0].reason
    return ruleset.rules


@examples(150)
@given(st.lists(detections(), min_size=1, max_size=3), st.lists(EVENTS, min_size=1, max_size=6))
def test_random_rules_over_random_events(found: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
    rules = rules_of(found)
    events = [event | {"event.dataset": "windows.test"} for event in events]
    naive = NaiveEngine(rules)
    expected = [[rule.title for rule in naive.match(event)] for event in events]
    for make in [*ENGINES, *LITTLE]:
        engine = make(rules)
        for _ in range(2):  # the second time it may remember
            for event, titles in zip(events, expected, strict=True):
                assert [rule.title for rule in engine.match(event)] == titles, (make, event)


def lines_of(event: dict[str, Any], plain: bool) -> bytes | None:
    """The event as JSON in one of the ways that writers have; None for what JSON cannot say or nobody would read."""
    try:
        line = json.dumps(event, ensure_ascii=plain, allow_nan=False).replace("/", "\\/" if plain else "/").encode()
        msgspec.json.decode(line)
    except (ValueError, msgspec.DecodeError):
        return None
    return line


@examples(80)
@given(detections(), st.lists(st.tuples(EVENTS, st.booleans()), min_size=1, max_size=12))
def test_batches_answer_as_their_events_do(found: dict[str, Any], written: list[tuple[dict[str, Any], bool]]) -> None:
    """Also where the bytes are known that the events were read from."""
    rules = rules_of([found])
    lines = [line for event, plain in written if (line := lines_of(event | {"event.dataset": "windows.x"}, plain))]
    events = [msgspec.json.decode(line) for line in lines]
    naive = NaiveEngine(rules)
    expected = [naive.match(event) for event in events]
    for engine in (IndexEngine(rules), IndexEngine(rules, budget=3_000)):
        for batch in (events, Batch(events, lines), Batch(events, lines)):
            assert [list(verdict) for verdict in engine.match_all(batch)] == expected


@pytest.mark.parametrize(
    ("detection", "event", "expected"),
    [
        ({"s": {"x": "a*"}, "condition": "s"}, {"x": "aB"}, True),
        ({"s": {"x": "a*"}, "condition": "s"}, {"x": "xa"}, False),
        ({"s": {"x|re": "a$"}, "condition": "not s"}, {"x": "ab"}, True),
        ({"s": ["x"], "condition": "s"}, {"y": "axb"}, True),
        ({"s": {"x": 5}, "condition": "s"}, {"x": "5.0"}, True),
        ({"s": {"x": 5}, "condition": "s"}, {"x": True}, False),
        ({"s": {"x|exists": True}, "condition": "s"}, {"x": None}, True),
        ({"s": {"x": None}, "condition": "s"}, {"x": ""}, False),
    ],
)
def test_the_naive_evaluator_tells_matches_from_others(
    detection: dict[str, Any], event: dict[str, Any], expected: bool
) -> None:
    assert bool(NaiveEngine(rules_of([detection])).match(event)) is expected


@pytest.mark.parametrize("make", ENGINES)
def test_an_expression_may_be_written_as_a_wildcard_is_compiled(make: Callable[[Sequence[Rule]], Engine]) -> None:
    rules = rules_of(
        [{"s": {"x|re": "(?s)^a.$"}, "condition": "s"}, {"s": {"x|cased": "a?"}, "condition": "s"}],
    )
    assert len(make(rules).match({"event.dataset": "windows.x", "x": "ab"})) == 2
