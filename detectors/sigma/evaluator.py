"""Runs rules over events: the rules of an event's log source, each as one compiled test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from almena.event import Event
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, groups
from detectors.sigma.logsource import Origin, origin_of, route_of
from detectors.sigma.matching import Test, test_of_any
from detectors.sigma.rules import Rule
from detectors.sigma.values import View

MOST_ORIGINS = 4_096
"""Origins whose rules are remembered; strangers choose origins, so all are forgotten beyond it."""


class Engine(Protocol):
    """Says which rules events match."""

    def match(self, event: Event) -> Sequence[Rule]:
        """The matching rules, in the order they were loaded; never raises for what an event contains."""

    def match_all(self, events: Sequence[Event]) -> Sequence[Sequence[Rule]]:
        """The matching rules of each event, likewise; a `Batch` also has the bytes that events were read from."""


class PlainEngine:
    """Asks every rule of the event's log source in turn."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Compiles `rules`."""
        self._rules = [(rule, compile_test(rule.expression)) for rule in rules]
        self._origins: dict[Origin, list[tuple[Rule, Test]]] = {}

    def match(self, event: Event) -> Sequence[Rule]:
        """The matching rules, in the order they were loaded."""
        origin = origin_of(event)
        candidates = self._origins.get(origin)
        if candidates is None:
            candidates = self._route(origin)
        if not candidates:
            return ()
        view = View(event)
        return [rule for rule, test in candidates if test(view)]

    def match_all(self, events: Sequence[Event]) -> Sequence[Sequence[Rule]]:
        """The matching rules of each event."""
        return list(map(self.match, events))

    def _route(self, origin: Origin) -> list[tuple[Rule, Test]]:
        if len(self._origins) >= MOST_ORIGINS:
            self._origins.clear()
        route = route_of(origin)
        found = [entry for entry in self._rules if route.reaches(entry[0].logsource)]
        self._origins[origin] = found
        return found


def compile_test(expression: Expression) -> Test:
    """One function that answers `expression`, the cheapest questions first."""
    match expression:
        case Predicate():
            return test_of_any([expression])
        case Named():
            return compile_test(expression.child)
        case Not():
            child = compile_test(expression.child)
            return lambda view: not child(view)
        case And():
            return _all([compile_test(child) for child in sorted(_flat(expression), key=_cost)])
        case Or():
            shapes, others = groups(tuple(_flat(expression)))
            tests = [(_price(shape), test_of_any(shape)) for shape in shapes]
            tests += [(_cost(other), compile_test(other)) for other in others]
            return _any([test for _, test in sorted(tests, key=lambda item: item[0])])
    raise AssertionError(expression)


def _flat(node: And | Or) -> list[Expression]:
    """The children, with those of children of the same kind in their place."""
    found: list[Expression] = []
    for child in node.children:
        while isinstance(child, Named):
            child = child.child
        found.extend(_flat(child) if isinstance(child, type(node)) else [child])
    return found


def _all(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda view: first(view) and second(view)

    def test(view: View) -> bool:
        for ask in tests:  # noqa: SIM110 - a generator costs more here
            if not ask(view):
                return False
        return True

    return test


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(view: View) -> bool:
        for ask in tests:  # noqa: SIM110 - a generator costs more here
            if ask(view):
                return True
        return False

    return test


_PRICES = {"equals": 1, "number": 1, "null": 1, "exists": 1, "endswith": 2, "startswith": 2, "contains": 3}


def _price(shape: list[Predicate]) -> int:
    first = shape[0]
    each = _PRICES.get(first.op, 20)
    several = len(shape) if first.op not in ("equals", "number", "startswith", "endswith") else 1
    return each * several * (50 if first.field is None else 1)


def _cost(expression: Expression) -> int:
    match expression:
        case Predicate():
            return _price([expression])
        case Named() | Not():
            return 1 + _cost(expression.child)
        case And():
            return 1 + min(_cost(child) for child in expression.children)
        case Or():
            shapes, others = groups(expression.children)
            return 1 + sum(map(_price, shapes)) + sum(map(_cost, others))
    raise AssertionError(expression)
