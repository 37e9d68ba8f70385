"""What keeps a rule from matching an event: the fewest conditions that would have to change, and how near each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from almena.errors import RuleError
from almena.event import Event
from detectors.sigma.explain import MOST_EXPECTED, Walk, expected_of, explain, operator_of, seen
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, groups
from detectors.sigma.loader import load_texts
from detectors.sigma.logsource import origin_of, route_of
from detectors.sigma.nearness import Near, near
from detectors.sigma.rules import LogSource, Rule, RuleSet
from detectors.sigma.values import View

MOST_CHANGES = 20
"""Conditions that are told; the others are counted."""

MOST_COMPARED = 50
"""Values of one condition that are compared with what was seen to find the nearest."""

UNKNOWN = "unknown"
"""The dataset of an event that names none."""

_DATA = "winlog.event_data."


@dataclass(frozen=True)
class _Change:
    """Conditions of one shape that would have to answer otherwise."""

    predicates: tuple[Predicate, ...]
    selection: str
    wanted: bool
    every: bool
    """True when each of the predicates has to, False when one of them suffices."""
    near: Near


class _Way(NamedTuple):
    """A way to make an expression true or false; the smallest is the nearest."""

    cost: int
    distance: float
    changes: tuple[_Change, ...]


_NOTHING = _Way(0, 0.0, ())


def verdict(rule: Rule, event: Event, ruleset: RuleSet | None = None) -> dict[str, Any]:
    """Everything there is to say of one rule and one event, as plain values.

    `matches`; `explanation`, as in an alert; `logsource`, None or what the rule asks for and the event is not; and
    `nearest`, `{"changes": [...], "left_out": 0}`: the conditions that would have to change, each with `selection`,
    `op`, `expected` (the nearest value first), `seen`, `wanted` (True when it has to hold) and `near`.
    """
    view = View(event)
    walk = Walk(view)
    gap = source_gap(rule, event)
    holds = walk.holds(rule.expression)
    found: dict[str, Any] = {
        "matches": holds and gap is None,
        "logsource": gap,
        "explanation": explain(rule, view),
        "nearest": {"changes": [], "left_out": 0},
    }
    if not holds:
        changes = _Search(walk, view, other_names(rule, ruleset)).way(rule.expression, True, "").changes
        found["nearest"] = {
            "changes": [_told(change, view) for change in changes[:MOST_CHANGES]],
            "left_out": max(len(changes) - MOST_CHANGES, 0),
        }
    return found


def source_gap(rule: Rule, event: Event) -> dict[str, Any] | None:
    """What of the rule's log source the event is not, or None when the rule sees the event.

    `asked` is the rule's log source, `failed` the parts of it that the event is not, and `event` what rules may call
    the event.
    """
    origin = origin_of(event)
    route = route_of(origin)
    if route.reaches(rule.logsource):
        return None
    unknown = origin.dataset == UNKNOWN
    if unknown:
        route = route_of(origin._replace(dataset=""))
    asked = {name: value for name in rule.logsource.__slots__ if (value := getattr(rule.logsource, name)) is not None}
    said = {
        "product": sorted(route.products),
        "category": sorted(route.categories),
        "service": sorted(route.services),
    }
    return {
        "asked": asked,
        "failed": [name for name, value in asked.items() if value not in said[name]],
        "event": said,
        "dataset": "" if unknown else origin.dataset,
    }


def other_names(rule: Rule, ruleset: RuleSet | None = None) -> dict[str, list[str]]:
    """For each field the rule reads, what events may call it that are not of the kind its rules were loaded for.

    Rules loaded as ECS have the names their authors wrote; rules loaded as written have those of ECS.
    """
    native = ruleset is not None and ruleset.mode == "native"
    field = ruleset.field if ruleset is not None and not native else _shipped()
    found: dict[str, list[str]] = {}
    for written in _written(rule.document.get("detection")):
        try:
            mapped = field(written, rule.logsource)
        except RuleError:  # a name that became none
            continue
        if native:
            found.setdefault(written, []).extend(dict.fromkeys([mapped, _DATA + written]))
        elif mapped != written:
            found.setdefault(mapped, []).extend(dict.fromkeys([written, _DATA + written]))
    return {name: [other for other in others if other != name] for name, others in found.items()}


@cache
def _shipped() -> Callable[[str, LogSource], str]:
    return load_texts([], "ecs").field


def _written(detection: object) -> set[str]:
    """The field names of a detection as its author wrote them."""
    names: set[str] = set()
    waiting = [detection]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            names |= {str(key).partition("|")[0] for key, value in node.items() if not isinstance(value, Mapping)}
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(item for item in node if isinstance(item, (Mapping, list)))
    return names - {"", "condition", "timeframe"}


class _Search:
    """The cheapest way to another answer: the sum of what must all change, the least of what may."""

    def __init__(self, walk: Walk, view: View, names: Mapping[str, Sequence[str]]) -> None:
        self._walk = walk
        self._view = view
        self._names = names

    def way(self, expression: Expression, wanted: bool, selection: str) -> _Way:
        """How `expression` would become `wanted`."""
        if self._walk.holds(expression) is wanted:
            return _NOTHING
        match expression:
            case Predicate():
                return self._change([expression], wanted, selection)
            case Named():
                return self.way(expression.child, wanted, expression.name)
            case Not():
                return self.way(expression.child, not wanted, selection)
            case And() | Or():
                shapes, others = groups(expression.children)
                every = isinstance(expression, And) is wanted
                ways = [
                    self._change(shape, wanted, selection, every=every) for shape in shapes if self._off(shape, wanted)
                ]
                ways += [self.way(other, wanted, selection) for other in others]
                return _sum(ways) if every else min(ways, key=lambda way: way[:2])
        raise AssertionError(expression)

    def _off(self, shape: Sequence[Predicate], wanted: bool) -> bool:
        """Whether one of the predicates is not as wanted: always so where one that is would have sufficed."""
        return any(self._walk.holds(predicate) is not wanted for predicate in shape)

    def _change(self, predicates: Sequence[Predicate], wanted: bool, selection: str, *, every: bool = False) -> _Way:
        """What predicates of one shape cost: each that must change counts, except that one value less is one."""
        wrong = [predicate for predicate in predicates if self._walk.holds(predicate) is not wanted]
        found = sorted(
            (
                (near(predicate, self._view, self._others(predicate), wanted=wanted), at)
                for at, predicate in enumerate(wrong[:MOST_COMPARED])
            ),
            key=lambda item: (item[0].distance, item[1]),
        )
        ordered = [wrong[at] for _, at in found] + wrong[MOST_COMPARED:]
        if not every and not wanted:
            ordered = ordered[:1]  # one that stops holding suffices
        every = every and wanted
        change = _Change(tuple(ordered), selection, wanted, every, found[0][0])
        count = len(wrong) if every else 1
        distance = sum(item.distance for item, _ in found) if every else found[0][0].distance
        return _Way(count, distance, (change,))

    def _others(self, predicate: Predicate) -> Sequence[str]:
        return self._names.get(predicate.field, ()) if predicate.field is not None else ()


def _sum(ways: Sequence[_Way]) -> _Way:
    return _Way(
        sum(way.cost for way in ways),
        sum(way.distance for way in ways),
        tuple(change for way in ways for change in way.changes),
    )


def _told(change: _Change, view: View) -> dict[str, Any]:
    first = change.predicates[0]
    found: dict[str, Any] = {
        "kind": "keyword" if first.field is None else "field",
        "op": operator_of(first) + ("|all" if change.every and len(change.predicates) > 1 else ""),
        "expected": [expected_of(predicate) for predicate in change.predicates[:MOST_EXPECTED]],
        "seen": seen(view, first, () if change.wanted else change.predicates),
        "wanted": change.wanted,
        "near": change.near.said(),
    }
    if len(change.predicates) > MOST_EXPECTED:
        found["more"] = len(change.predicates) - MOST_EXPECTED
    if first.field is not None:
        found["field"] = first.field
    if change.selection:
        found["selection"] = change.selection
    return found
