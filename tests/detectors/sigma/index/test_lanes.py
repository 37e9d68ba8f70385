"""Events are sorted as the plain engine routes them, whatever came before, and what is remembered is bounded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_index import agree, rules_of, titles

from almena.event import Event
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index import lanes as module
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.logsource import READ

LOGSOURCES = [
    {"product": "windows"},
    {"product": "windows", "category": "process_creation"},
    {"product": "windows", "category": "registry_add"},
    {"product": "windows", "service": "security"},
    {"product": "linux"},
    {"product": "linux", "service": "sshd"},
    {"product": "linux", "category": "process_creation"},
    {"category": "antivirus"},
    {"category": "process_creation"},
    {"product": "own"},
    {"product": "1"},
    {"service": "nginx"},
]
ASKED: list[dict[str, Any]] = [
    {"s": {"x": "a"}},
    {"s": {"x": "a"}, "condition": "not s"},
    {"s": {"EventID": 5}},
    {"s": {"EventID|startswith": "1000"}},
    {"s": {"EventID|exists": True}},
    {"s": {"Channel|contains": "sec"}},
    {"s": {"event.category": None}},
    {"s": {"event.category": "process"}},
    {"s": {"product": 1}},
    {"s": {"product": "true"}},
    {"s": {"x|fieldref": "product"}},
    {"s": ["sec"]},
]
RULES = rules_of([asked for _ in LOGSOURCES for asked in ASKED], [source for source in LOGSOURCES for _ in ASKED])
NAMES = [*(name for names in READ for name in names), "x"]
CHANNELS = ["Security", "security", "SECURITY", "Microsoft-Windows-Sysmon/Operational", "Linux-Sysmon/Operational"]
WORDS = [*CHANNELS, "own", "OWN", "linux", "windows", "nginx", "nginx.access", "system.auth", "system.syslog", "sshd"]
WORDS += ["process", "start", "creation", "registry", "malware", "CreateKey", "a", "", "antivirus", "process_creation"]
OTHERS: list[Any] = [True, False, 1, 1.0, 0, 0.0, 12, 13, 5, 5.0, 4688, None, 10**16, 1e16, 10**400, -1]
OTHERS += [float("nan"), float("inf"), "windows.security", "1", "12", "5", "true", "x" * 200, "x" * 2_000]
SCALARS = st.sampled_from([*WORDS, *OTHERS])
VALUES = st.one_of(
    SCALARS,
    SCALARS,
    st.lists(SCALARS, max_size=10),
    st.lists(st.lists(SCALARS, max_size=2), max_size=2),
    st.dictionaries(st.sampled_from(["x", "process"]), SCALARS, max_size=2),
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
EVENTS = st.one_of(
    FIELDS,
    st.tuples(FIELDS, FIELDS | SCALARS | st.lists(SCALARS, max_size=2)).map(
        lambda two: {**two[0], "almena.misfit": two[1]}
    ),
    st.tuples(st.sampled_from(CHANNELS), st.sampled_from([1, "1", 12, "12", 4688, True]), FIELDS).map(
        lambda three: {"Channel": three[0], "EventID": three[1], **three[2]}
    ),
)
BOUNDS = ["MOST_SHAPES", "MOST_ROUTES", "MOST_REACHES", "MOST_LANES", "MOST_FIELDS", "LONGEST_KEY"]


@settings(max_examples=300)
@given(st.lists(EVENTS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_no_event_changes_the_answer_of_another(events: list[Event], random: Any) -> None:
    plain, engine = PlainEngine(RULES), IndexEngine(RULES)
    for _ in range(3):
        assert titles(engine.match_all(events)) == titles(plain.match_all(events))
        for event in events:
            assert titles([engine.match(event)]) == titles([plain.match(event)]), event
        random.shuffle(events)


@settings(max_examples=150)
@given(st.lists(EVENTS, min_size=4, max_size=30), st.integers(1, 4), st.sampled_from(BOUNDS))
def test_what_is_remembered_of_routing_is_bounded(events: list[Event], most: int, bound: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, bound, most)
        patch.setattr(module, "MOST_SHAPES", min(most, module.MOST_SHAPES))
        engine = agree(RULES, events)
        lanes = engine._lanes
        assert len(lanes._shapes) <= most
        assert len(lanes._open_shapes) <= most
        assert len(lanes._reaches) <= module.MOST_ROUTES
        assert len(lanes._joined) <= module.MOST_REACHES
        shapes = [*lanes._shapes.values(), *lanes._open_shapes.values()]
        assert sum(len(shape.lanes) for shape in shapes) <= module.MOST_LANES
        assert all(len(shape.names) <= module.MOST_FIELDS for shape in shapes)
        assert all(len(str(key)) <= module.LONGEST_KEY for shape in shapes for key in shape.lanes)


EQUALS: list[list[Any]] = [
    [True, 1, 1.0],
    [False, 0, 0.0, -0.0],
    [5, 5.0],
    [10**16, 1e16],
    [10**20, 1e20],
    [2**53, 2.0**53],
]


@pytest.mark.parametrize("values", [order for group in EQUALS for order in (group, group[::-1])], ids=str)
@pytest.mark.parametrize("field", ["EventID", "product", "event.code", "Channel", "service"])
def test_equal_values_that_are_written_differently(field: str, values: list[Any]) -> None:
    """Looking up by value would give one of them the answers of the other."""
    asked: list[dict[str, Any]] = [{"s": {f"{field}|startswith": "1000"}}, {"s": {field: "true"}}, {"s": {field: 1}}]
    asked += [{"s": {f"{field}|contains": "e+"}}, {"s": {field: 5}}, {"s": {f"{field}|gte": 0}}]
    rules = rules_of(asked)
    agree(rules, [{"event.dataset": "windows.x", field: value} for value in values])


def test_ten_thousand_strange_names_and_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("MOST_SHAPES", "MOST_ROUTES", "MOST_REACHES", "MOST_LANES"):
        monkeypatch.setattr(module, bound, 64)
    engine, plain = IndexEngine(RULES), PlainEngine(RULES)
    for number in range(3_000):
        shapes: list[Event] = [
            {"product": "own", f"field{number}": "a"},
            {"product": f"own{number}", "x": "a"},
            {"Channel": f"Channel {number}", "EventID": number, "x": "a"},
            {"event.category": [f"c{number}", "process"], "event.type": ["start"], "host.os.type": "linux", "x": "a"},
        ]
        for event in shapes if number % 100 == 0 else ():
            assert titles([engine.match(event)]) == titles([plain.match(event)])
        engine.match_all(shapes)
        assert max(len(engine._lanes._shapes), len(engine._lanes._reaches)) <= 64
        assert sum(len(shape.lanes) for shape in engine._lanes._shapes.values()) <= 64


@pytest.mark.parametrize("name", ["event.category", "Channel", "EventID", "x"])
@pytest.mark.parametrize("aside", [False, True])
def test_the_deepest_values_that_can_be_read_are_routed(name: str, aside: bool) -> None:
    deepest = 100
    for depth in range(100, 2_000, 1):
        try:
            msgspec.json.decode(b"[" * depth + b"]" * depth)
        except RecursionError:
            break
        deepest = depth
    engine = IndexEngine(RULES)
    for depth in range(deepest - 30, deepest):
        value = msgspec.json.decode(b"[" * depth + b"]" * depth)
        event = {"event.dataset": "windows.x", "x": "a"}
        engine.match({**event, "almena.misfit": {name: value}} if aside else {**event, name: value})
        if name != "x":
            assert "T0" in titles([engine.match({"event.dataset": "windows.x", "x": "a"})])[0]


def test_names_that_no_rule_knows_make_no_reach_of_their_own() -> None:
    engine = IndexEngine(RULES)
    for number in range(50):
        assert titles([engine.match({"Channel": "Security", "product": f"own{number}", "x": "a"})])
    assert len(engine._lanes._reaches) == 50
    assert len(engine._lanes._joined) == 1


def test_long_names_and_many_of_them_are_forgotten_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    engine, plain = IndexEngine(RULES), PlainEngine(RULES)
    lanes = engine._lanes
    kept = []
    for number in range(60):
        event: Event = {
            "Channel": "Security",
            "x": "a",
            **{f"{number}.{place}" + "n" * 60: "v" for place in range(100)},
        }
        for found in (event, event | {"almena.misfit": {}}, event | {"Channel": f"Other {number}"}):
            assert titles([engine.match(found)]) == titles([plain.match(found)])
        shapes = [*lanes._shapes.values(), *lanes._open_shapes.values()]
        kept.append(sum(len("".join(shape.names)) for shape in shapes))
    assert 0 < max(kept) <= 100_000


def test_events_that_no_rule_sees_are_left_out() -> None:
    lanes = IndexEngine(rules_of([{"s": {"x": "a"}}], [{"product": "linux"}]))._lanes
    assert lanes.sort([{"Channel": "Security", "x": "a"}, {"x": "a"}]) == {}
    ((places, events),) = lanes.sort([{"x": "b"}, {"product": "linux", "x": "a"}]).values()
    assert (places, events) == ([1], [{"product": "linux", "x": "a"}])
