"""What each rule costs on given events: how many reach it, could match, and match, and how long that takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from almena.event import Event
from detectors.sigma.evaluator import compile_test
from detectors.sigma.expression import And, Expression, Named, Or, Predicate
from detectors.sigma.logsource import Origin, origin_of, route_of
from detectors.sigma.matching import Test
from detectors.sigma.rules import LogSource, Rule
from detectors.sigma.values import View

TIMED = 400
"""Events of its log source that a rule is timed on, evenly spread over the file."""

ROUNDS = 3
"""Times that is repeated; the fastest counts, since whatever disturbs only slows."""

Clock = Callable[[], int]
"""Nanoseconds from any moment on."""


@dataclass(frozen=True, slots=True)
class RuleCost:
    """What one rule cost."""

    rule: Rule
    events: int
    """Events of its log source."""
    candidates: int
    """Events with a value that the rule cannot match without."""
    matches: int
    each: float
    """Nanoseconds per event, the rule alone, on events whose values are prepared."""

    @property
    def total(self) -> float:
        """Nanoseconds for all of its events."""
        return self.each * self.events


def measure(rules: Sequence[Rule], events: Iterable[Event], clock: Clock) -> list[RuleCost]:
    """The cost of each rule on `events`, the dearest first.

    Each rule is asked alone, so that its cost is its own; an engine that shares work between rules costs less in all.
    """
    routed = _routed({rule.logsource for rule in rules}, events)
    costs = [_cost(rule, routed[rule.logsource], clock) for rule in rules]
    return sorted(costs, key=lambda cost: (-cost.total, -cost.events, cost.rule.title))


def _routed(sources: Iterable[LogSource], events: Iterable[Event]) -> dict[LogSource, list[View]]:
    """The events that rules of each log source see."""
    found: dict[LogSource, list[View]] = {source: [] for source in sources}
    reached: dict[Origin, list[LogSource]] = {}
    for event in events:
        origin = origin_of(event)
        if origin not in reached:
            route = route_of(origin)
            reached[origin] = [source for source in found if route.reaches(source)]
        if reached[origin]:
            view = View(event)
            for source in reached[origin]:
                found[source].append(view)
    return found


def _cost(rule: Rule, views: list[View], clock: Clock) -> RuleCost:
    test = compile_test(rule.expression)
    matches = sum(map(test, views))
    wanted = necessary(rule.expression)
    candidates = len(views) if wanted is None else sum(map(_any_of(wanted), views))
    return RuleCost(rule, len(views), candidates, matches, _timed(test, views, clock))


def _timed(test: Test, views: list[View], clock: Clock) -> float:
    chosen = views[:: max(len(views) // TIMED, 1)][:TIMED]
    if not chosen:
        return 0.0
    best = min(_round(test, chosen, clock) for _ in range(ROUNDS))
    return best / len(chosen)


def _round(test: Test, views: list[View], clock: Clock) -> int:
    began = clock()
    for view in views:
        test(view)
    return clock() - began


def _any_of(wanted: list[Predicate]) -> Test:
    return compile_test(wanted[0] if len(wanted) == 1 else Or(tuple(wanted)))


def necessary(expression: Expression) -> list[Predicate] | None:
    """Predicates of which at least one must hold for the whole to hold; None when it can hold without any."""
    match expression:
        case Predicate():
            silent = expression.op == "null" or (expression.op == "exists" and expression.value is False)
            return None if silent else [expression]
        case Named():
            return necessary(expression.child)
        case And():
            found = [wanted for child in expression.children if (wanted := necessary(child)) is not None]
            return min(found, key=len, default=None)
        case Or():
            each = [necessary(child) for child in expression.children]
            return None if None in each else list(dict.fromkeys(_flat(each)))
    return None


def _flat(each: Iterable[list[Predicate] | None]) -> Iterator[Predicate]:
    for wanted in each:
        yield from wanted or ()


def by_source(costs: Iterable[RuleCost]) -> dict[LogSource, float]:
    """Nanoseconds of all rules of each log source, the dearest first."""
    found: dict[LogSource, float] = defaultdict(float)
    for cost in costs:
        found[cost.rule.logsource] += cost.total
    return dict(sorted(found.items(), key=lambda item: -item[1]))
