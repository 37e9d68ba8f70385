"""What can be said of a rule's logic without any event: that it always holds, never, or nearly always."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, predicates
from detectors.sigma.regex import compile_pattern

_SOMEWHERE = re.compile(r"[a-z0-9 ./\\:_-]{0,2}", re.ASCII | re.IGNORECASE)
"""What nearly every value contains somewhere: nothing, or one or two common characters."""

_AT_AN_END = re.compile(r"[a-z0-9/\\]?", re.ASCII | re.IGNORECASE)
"""What many values begin or end with."""

MOST_PAIRS = 40_000
"""Conditions compared with each other in one rule; larger ones are passed over."""


def holds(expression: Expression, answer: Callable[[Predicate], bool]) -> bool:
    """What the expression says when its predicates say `answer`."""
    match expression:
        case Predicate():
            return answer(expression)
        case Named():
            return holds(expression.child, answer)
        case Not():
            return not holds(expression.child, answer)
        case And():
            return all(holds(child, answer) for child in expression.children)
        case Or():
            return any(holds(child, answer) for child in expression.children)
    raise AssertionError(expression)


def fate(expression: Expression) -> bool | None:
    """True when it holds for every event, False when for none, None when that depends or cannot be told."""
    match expression:
        case Named():
            return fate(expression.child)
        case Not():
            inner = fate(expression.child)
            return None if inner is None else not inner
        case And():
            return _fate(expression, And, False)
        case Or():
            return _fate(expression, Or, True)
    return None


def _fate(expression: And | Or, kind: type[And | Or], decisive: bool) -> bool | None:
    fates = [fate(child) for child in expression.children]
    if decisive in fates or _clash(expression, kind):
        return decisive
    return not decisive if all(found is not decisive and found is not None for found in fates) else None


def _clash(expression: And | Or, kind: type[And | Or]) -> bool:
    """True when two parts exclude each other (in an `and`) or leave nothing out (in an `or`)."""
    said: dict[bool, list[Expression]] = {True: [], False: []}
    for part, positive in _parts(expression, kind, True):
        said[positive].append(part)
    if not set(said[True]).isdisjoint(said[False]):
        return True
    if len(said[True]) * len(said[False]) > MOST_PAIRS:
        return False
    # `a and not b` cannot be when a means b; `b or not a` leaves nothing out then.
    strong, weak = (said[True], said[False]) if kind is And else (said[False], said[True])
    return any(implies(left, right) for left in strong for right in weak)


def _parts(expression: Expression, kind: type[And | Or], positive: bool) -> Iterator[tuple[Expression, bool]]:
    """The parts that are joined by `kind`, each with whether it is asked for or excluded."""
    match expression:
        case Named():
            yield from _parts(expression.child, kind, positive)
        case Not():
            yield from _parts(expression.child, kind, not positive)
        case And() | Or() if isinstance(expression, kind) is positive:
            for child in expression.children:
                yield from _parts(child, kind, positive)
        case _:
            yield expression, positive


def implies(left: Expression, right: Expression) -> bool:
    """True when every event that satisfies the one predicate satisfies the other, as far as their values tell."""
    if left == right:
        return True
    if not (isinstance(left, Predicate) and isinstance(right, Predicate)):
        return False
    if left.field != right.field or left.cased != right.cased or left.part or right.part:
        return False
    if not (isinstance(left.value, str) and isinstance(right.value, str)):
        return False
    match left.op, right.op:
        case (("equals" | "startswith"), "startswith"):
            return left.value.startswith(right.value)
        case (("equals" | "endswith"), "endswith"):
            return left.value.endswith(right.value)
        case (("equals" | "startswith" | "endswith" | "contains"), "contains"):
            return right.value in left.value
    return False


def without(expression: Expression) -> bool:
    """True when an event that has none of the fields satisfies it."""
    return holds(expression, lambda predicate: predicate.op == "null" or _absence(predicate))


def _absence(predicate: Predicate) -> bool:
    return predicate.op == "exists" and predicate.value is False


def too_broad(expression: Expression) -> list[Predicate]:
    """Predicates that nearly every event satisfies and that suffice to satisfy the whole; none when it asks more."""
    found = list(dict.fromkeys(predicate for predicate in predicates(expression) if loose(predicate)))
    chosen = set(found)
    if not found or without(expression) or not holds(expression, chosen.__contains__):
        return []
    return next(([one] for one in found if holds(expression, one.__eq__)), found)


def loose(predicate: Predicate) -> bool:
    """True when nearly every event with the field satisfies it."""
    value = predicate.value
    match predicate.op:
        case "exists":
            return value is True
        case "contains":
            return _SOMEWHERE.fullmatch(str(value)) is not None
        case "startswith" | "endswith":
            return _AT_AN_END.fullmatch(str(value)) is not None
        case "re" | "wildcard":
            return compile_pattern(str(value)).search(b"") is not None
    return False
