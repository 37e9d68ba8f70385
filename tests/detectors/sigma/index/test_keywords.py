"""Keywords are found in any value of an event, however the event was written, as the plain engine finds them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma_index import WINDOWS, agree, rules_of, titles
from sigma_strategies import EVENTS, KEYWORDS

from almena.errors import ParseError
from almena.event import Batch, Event, decode, encode
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index import keywords as module
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.index.keywords import Keywords

ORIGIN = {"event.dataset": "windows.test"}
LETTERS = 'aAkKiIsS\u212aİıñÑßΣς/\\"\n\t\0\x01\x1f\x7f 1.-<😀u0'
TEXTS = st.text(LETTERS, max_size=6)
LITERALS = st.lists(
    (TEXTS | st.text(max_size=3))
    .filter(lambda text: text.strip("*?\\") and "\0" not in text)
    .map(escaped := (lambda text: text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?"))),
    min_size=1,
    max_size=4,
)
DETECTIONS = st.one_of(
    LITERALS.map(lambda words: {"s": words}),
    LITERALS.map(lambda words: {"s": {"|cased": words}}),
    st.tuples(LITERALS, LITERALS).map(lambda two: {"s": two[0], "t": {"|cased": two[1]}, "condition": "s and not t"}),
    KEYWORDS.map(lambda words: {"s": words}),
)
SCALARS = TEXTS | st.sampled_from([True, False, None, 1, -3, 1.5, 1e22, 10**20, 0.1])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
FLAT = st.dictionaries(
    st.sampled_from(["x", "y", "z", "event.id", "event.ingested", "almena.source.name", "almena.misfit"]),
    VALUES,
    max_size=4,
)
SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def oddly(value: Any, random: Random) -> str:
    """JSON in one of the many ways it may be written."""
    space = random.choice(["", "", " ", "\n", "\t "])
    if isinstance(value, str):
        return '"' + "".join(_char(char, random) for char in value) + '"' + space
    if isinstance(value, list):
        return "[" + space + ",".join(oddly(item, random) for item in value) + "]" + space
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{oddly(key, random)}:{oddly(item, random)}" for key, item in value.items()) + space + "}"
        )
    return encode({"": value}).decode()[4:-1] + space


def _char(char: str, random: Random) -> str:
    units = char.encode("utf-16-be").hex()
    hexed = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
    ways = [hexed, hexed.upper().replace("\\U", "\\u")]
    if char in SHORT:
        ways.append(SHORT[char])
    if char not in '"\\' and ord(char) >= 32:
        ways += [char] * 4
    return random.choice(ways)


@settings(max_examples=300)
@given(st.lists(DETECTIONS, min_size=1, max_size=3), st.lists(FLAT | EVENTS, min_size=1, max_size=6))
def test_any_keywords_in_any_events(detections: list[dict[str, Any]], events: list[Event]) -> None:
    agree(rules_of(detections), [event | ORIGIN for event in events])


@settings(max_examples=300)
@given(
    st.lists(DETECTIONS, min_size=1, max_size=3),
    st.lists(FLAT, min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_however_the_events_were_written(detections: list[dict[str, Any]], events: list[Event], random: Random) -> None:
    lines = [oddly(event | ORIGIN, random).encode() for event in events]
    read = [decode(line) for line in lines]
    assert read == [event | ORIGIN for event in events]
    agree(rules_of(detections), read, lines)


@settings(max_examples=100)
@given(
    st.lists(DETECTIONS, min_size=1, max_size=3),
    st.lists(FLAT, min_size=6, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(0, 1),
    st.integers(1, 5),
)
def test_many_occurrences_and_frequent_keywords(
    detections: list[dict[str, Any]], events: list[Event], random: Random, most: int, trial: int
) -> None:
    """Where there are too many occurrences, and where most events hold keywords, answers stay the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_MATCHES", most / 100)
        patch.setattr(module, "TRIAL", trial)
        lines = [oddly(event | ORIGIN, random).encode() for event in events]
        agree(rules_of(detections), [decode(line) for line in lines], lines)


WRITTEN = [rb'"mimikatz"', rb'"MIMIKATZ"', rb'"\u006dimikatz"', rb'"\u004DIMIKATZ"', rb'"mimi\u212aatz"']
WRITTEN += [rb'"mimi\u212Aatz"', rb'"m\u0130mikatz"', rb'["x",{"a":"mimikatz"}]', '"mimi\u212aatz"'.encode()]
WRITTEN += ['"mİmikatz"'.encode()]


@pytest.mark.parametrize("written", WRITTEN)
def test_every_way_to_write_a_keyword_is_suspected(written: bytes) -> None:
    line = b'{"event.dataset":"windows.test","x":' + written + b"}"
    rules = rules_of([{"s": ["mimikatz"]}])
    engine = agree(rules, [decode(line)], [line])
    harmless = b'{"event.dataset":"windows.test","x":"harmless"}'
    assert titles(engine.match_all(Batch(map(decode, [harmless, line]), [harmless, line]))) == [[], ["T0"]]


def test_only_some_events_are_suspected() -> None:
    rules = rules_of([{"s": ["mimikatz", "a/b"]}])
    engine = IndexEngine(rules)
    lines = [encode(ORIGIN | {"x": text}) for text in ["harmless"] * 50 + ["Mimikatz"] + ["fine"] * 50 + ["a/b"]]
    assert titles(engine.match_all(Batch(map(decode, lines), lines)))[50] == ["T0"]
    (index,) = engine._keyword_indexes.values()
    assert index.suspects(lines) == [50, 101]


@pytest.mark.parametrize(
    ("keyword", "value", "matches"),
    [
        ("-inf", float("-inf"), True),
        ("inf", float("inf"), True),
        ("nan", float("nan"), True),
        ("1e+22", 1e22, True),
        ("1", 10**20, True),
        ("tru", True, True),
        ("ALS", False, True),
        ("none", None, False),
        ("5", 5.0, True),
        ("5.0", 5.0, False),
        ("x", {"q": ["ax"]}, True),
        ("q", {"q": ["ax"]}, False),
    ],
)
def test_values_that_are_no_text(keyword: str, value: Any, matches: bool) -> None:
    rules = rules_of([{"s": [keyword]}])
    agree(rules, [ORIGIN | {"x": value}, ORIGIN | {"x": "text"}])
    assert bool(IndexEngine(rules).match(ORIGIN | {"x": value})) is matches


def test_an_event_full_of_a_keyword() -> None:
    rules = rules_of([{"s": ["a"]}, {"s": ["b"]}, {"s": {"|cased": "A"}}])
    events = [ORIGIN | {"x": "a" * 100_000}, ORIGIN | {"x": "b"}, ORIGIN | {"x": "Aé" * 50_000}]
    agree(rules, events, list(map(encode, events)))


def test_frequent_keywords_are_no_longer_suspected_first_until_they_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIAL", 8)
    rules = rules_of([{"s": ["often"]}])
    engine = IndexEngine(rules)
    for text, usual in [("often", True), ("seldom", False), ("often", True)]:
        lines = [encode(ORIGIN | {"x": f"{text} {number}"}) for number in range(20)]
        for _ in range(2):
            found = engine.match_all(Batch(map(decode, lines), lines))
            assert titles(found) == [["T0"] if text == "often" else []] * 20
        (index,) = engine._keyword_indexes.values()
        assert index._usual is usual


def test_many_log_sources_share_one_index_of_all_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.sigma.index.engine.MOST_KEYWORD_SETS", 2)
    services = [{"service": f"own{number}"} for number in range(6)]
    rules = rules_of([{"s": [f"word{number}"]} for number in range(6)], services)
    events = [{"service": f"own{number % 6}", "x": f"word{number % 4}"} for number in range(24)]
    engine = agree(rules, events, list(map(encode, events)))
    assert len(engine._keyword_indexes) <= 3


def test_long_keywords_and_those_with_the_separator_are_found() -> None:
    long = "é" * 1_999
    rules = rules_of([{"s": [long]}, {"s": ["a\0b"]}, {"s": ["plain"]}])
    events = [ORIGIN | {"x": text} for text in [long, "É" * 1_999, "a\0b", "A\0B", "a", "b", "plain"]]
    agree(rules, events, list(map(encode, events)))
    split: Event = ORIGIN | {"x": "a", "y": "b"}
    agree(rules, [split], [encode(split)])
    assert IndexEngine(rules).match(split) == ()


def test_what_is_no_json_is_no_concern() -> None:
    with pytest.raises(ParseError):
        decode(b'{"x": "a\nb"}')
    assert Keywords([]).of([["a"]], 1) == ()
    assert PlainEngine(rules_of([{"s": ["a"]}], [WINDOWS])).match({"x": "a"}) == ()
