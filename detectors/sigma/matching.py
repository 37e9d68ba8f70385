"""From predicates to functions that answer them for one event."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, TypeAlias

from detectors.sigma.expression import Predicate
from detectors.sigma.regex import compile_pattern
from detectors.sigma.values import View, address, present, time_part

Test: TypeAlias = Callable[[View], bool]

MOST_REFERENCED = 64
"""Values of a list that a field reference compares with the other field's."""

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "number": operator.eq,
}


@lru_cache(maxsize=65_536)
def test_of(predicate: Predicate) -> Test:
    """The test of one predicate."""
    return test_of_any([predicate])


def test_of_any(predicates: Sequence[Predicate]) -> Test:
    """One test for predicates of one shape, true when any of them is."""
    first = predicates[0]
    values: tuple[Any, ...] = tuple(dict.fromkeys(predicate.value for predicate in predicates))
    if first.field is None:
        return _keywords(first, values)
    field, op = first.field, first.op
    if first.part:
        return _parts(field, op, values, first.part, first.zone)
    if op in _TEXT:
        return _TEXT[op](View.texts if first.cased else View.lowered, field, values)
    if op in ("re", "wildcard"):
        return _patterns(op, View.texts if first.cased else View.lowered, field, values)
    if op in COMPARE:
        return _numbers(field, op, values)
    if op.startswith("fieldref_"):
        return _references(field, op, values, View.texts if first.cased else View.lowered)
    if op == "cidr":
        return _networks(field, values)
    if op == "exists":
        wanted = frozenset(values)
        return lambda view: view.has(field) in wanted
    if op == "null":
        return lambda view: not present(view.value(field))
    raise AssertionError(op)


_Get: TypeAlias = Callable[[View, str], tuple[str, ...]]


def _equals(get: _Get, field: str, values: tuple[str, ...]) -> Test:
    wanted = frozenset(values)

    def test(view: View) -> bool:
        texts = get(view, field)
        return len(texts) > 0 and (texts[0] in wanted or not wanted.isdisjoint(texts))

    return test


def _startswith(get: _Get, field: str, values: tuple[str, ...]) -> Test:
    def test(view: View) -> bool:
        for text in get(view, field):  # noqa: SIM110 - a generator costs more here
            if text.startswith(values):
                return True
        return False

    return test


def _endswith(get: _Get, field: str, values: tuple[str, ...]) -> Test:
    def test(view: View) -> bool:
        for text in get(view, field):  # noqa: SIM110 - a generator costs more here
            if text.endswith(values):
                return True
        return False

    return test


def _contains(get: _Get, field: str, values: tuple[str, ...]) -> Test:
    def test(view: View) -> bool:
        for text in get(view, field):
            for value in values:
                if value in text:
                    return True
        return False

    return test


_TEXT = {"equals": _equals, "startswith": _startswith, "endswith": _endswith, "contains": _contains}


def _patterns(op: str, get: _Get, field: str, values: tuple[str, ...]) -> Test:
    searches = [compile_pattern(value).search for value in values]

    def test(view: View) -> bool:
        texts = view.encoded(field) if op == "re" else [text.encode("utf-8", "replace") for text in get(view, field)]
        return any(search(text) is not None for text in texts for search in searches)

    return test


def _numbers(field: str, op: str, values: tuple[int | float, ...]) -> Test:
    if op == "number":
        wanted = frozenset(values)
        return lambda view: not wanted.isdisjoint(view.numbers(field))
    compare = COMPARE[op]
    return lambda view: any(compare(number, value) for number in view.numbers(field) for value in values)


def _parts(field: str, op: str, values: tuple[int, ...], part: str, zone: str) -> Test:
    compare = COMPARE[op]

    def test(view: View) -> bool:
        found = [time_part(text, part, zone) for text in view.texts(field)]
        return any(number is not None and compare(number, value) for number in found for value in values)

    return test


def _networks(field: str, values: tuple[str, ...]) -> Test:
    networks = [ip_network(value) for value in values]

    def test(view: View) -> bool:
        found = [address(text) for text in view.texts(field)]
        return any(ip is not None and ip in network for ip in found for network in networks)

    return test


_PAIRS: dict[str, Callable[[str, str], bool]] = {
    "fieldref_equals": operator.eq,
    "fieldref_startswith": str.startswith,
    "fieldref_endswith": str.endswith,
    "fieldref_contains": operator.contains,
}


def _references(field: str, op: str, others: tuple[str, ...], get: _Get) -> Test:
    compare = _PAIRS[op]

    def test(view: View) -> bool:
        texts = get(view, field)[:MOST_REFERENCED]
        return any(
            compare(text, other) for name in others for other in get(view, name)[:MOST_REFERENCED] for text in texts
        )

    return test


def _keywords(first: Predicate, values: tuple[Any, ...]) -> Test:
    if first.op == "contains":
        get = View.all_texts if first.cased else View.all_lowered
        return lambda view: any(value in text for text in get(view) for value in values)
    if first.op == "cidr":
        networks = [ip_network(value) for value in values]
        return lambda view: any(
            ip in network for text in view.all_texts() if (ip := address(text)) is not None for network in networks
        )
    searches = [compile_pattern(value).search for value in values]
    if first.op == "re":
        return lambda view: any(search(text) is not None for text in view.all_encoded() for search in searches)
    texts = View.all_texts if first.cased else View.all_lowered
    return lambda view: any(
        search(text.encode("utf-8", "replace")) is not None for text in texts(view) for search in searches
    )
