"""Numbers for what rules ask, so that an event's answers are a set of numbers and a rule is a test of that set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from sys import getsizeof
from typing import TypeAlias

from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate

Held: TypeAlias = frozenset[int]
"""The numbers of the predicates that hold for a value, or for an event."""

NONE: Held = frozenset()

FEW = 4
"""Numbers of a small set; there are few such sets, of which many values share one."""

WIDE = 64
"""Numbers of a large set; of such there may be as many as there are values."""

Check: TypeAlias = Callable[[Held], bool]


@dataclass(frozen=True, slots=True)
class All:
    """Every number and every other node holds."""

    numbers: Held
    others: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """A number or another node holds."""

    numbers: Held
    others: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class No:
    """The child does not hold."""

    child: Condition


Condition: TypeAlias = int | All | Some | No
"""A rule's expression over numbers."""


def size_of(held: Held) -> int:
    """Bytes of a set that is not small; strangers' texts may hold a choice of their own each."""
    return getsizeof(held) if len(held) > FEW else 0


class Atoms:
    """Every predicate that some rule asks, once."""

    def __init__(self) -> None:
        """Empty; `condition` fills it."""
        self.predicates: list[Predicate] = []
        """Predicates by number: `exists` only as true, `null` as the opposite of `present`."""
        self.rarity: list[float] = []
        """By number, a guess of how often it holds: smaller is rarer."""
        self._numbers: dict[Predicate, int] = {}

    def number(self, predicate: Predicate) -> int:
        """The predicate's number, new or known."""
        found = self._numbers.get(predicate)
        if found is None:
            found = self._numbers[predicate] = len(self.predicates)
            self.predicates.append(predicate)
            self.rarity.append(_rarity(predicate))
        return found

    def condition(self, expression: Expression) -> Condition:
        """`expression` over numbers."""
        match expression:
            case Predicate(op="null"):
                return No(self.number(Predicate(expression.field, "present", True)))
            case Predicate(op="exists"):
                number = self.number(Predicate(expression.field, "exists", True))
                return number if expression.value else No(number)
            case Predicate():
                return self.number(expression)
            case Named():
                return self.condition(expression.child)
            case Not():
                child = self.condition(expression.child)
                return child.child if isinstance(child, No) else No(child)
            case And():
                return _joined(All, [self.condition(child) for child in expression.children])
            case Or():
                return _joined(Some, [self.condition(child) for child in expression.children])
        raise AssertionError(expression)

    def needed(self, condition: Condition) -> Held | None:
        """Numbers of which at least one holds whenever `condition` does, few and rare; None when there are none."""
        match condition:
            case int():
                return frozenset((condition,))
            case Some():
                parts = [self.needed(other) for other in condition.others]
                return None if None in parts else condition.numbers.union(*filter(None, parts))
            case All():
                rarest = min(condition.numbers, key=self.rarity.__getitem__, default=None)
                choices = [] if rarest is None else [frozenset((rarest,))]
                choices += [found for other in condition.others if (found := self.needed(other)) is not None]
                return min(choices, key=self._weight, default=None)
        return None

    def _weight(self, numbers: Held) -> float:
        return sum(map(self.rarity.__getitem__, numbers))


def _joined(kind: type[All] | type[Some], children: list[Condition]) -> Condition:
    numbers: set[int] = set()
    others: list[Condition] = []
    for child in children:
        if isinstance(child, int):
            numbers.add(child)
        elif isinstance(child, kind):
            numbers |= child.numbers
            others += child.others
        else:
            others.append(child)
    if len(numbers) + len(others) == 1:
        return others[0] if others else numbers.pop()
    return kind(frozenset(numbers), tuple(others))


_COMMON = {"equals": 1.0, "endswith": 2.0, "startswith": 3.0, "contains": 4.0, "exists": 50.0, "present": 50.0}


def _rarity(predicate: Predicate) -> float:
    base = _COMMON.get(predicate.op, 2.0)
    return base / (1 + len(predicate.value)) if isinstance(predicate.value, str) else base


def numbers_of(condition: Condition) -> Iterator[int]:
    """Every number in `condition`."""
    stack: list[Condition] = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, int):
            yield node
        elif isinstance(node, No):
            stack.append(node.child)
        else:
            yield from node.numbers
            stack.extend(node.others)


def compiled(condition: Condition) -> Check:
    """One function that answers `condition` for a set of numbers that hold."""
    match condition:
        case int():
            return lambda held: condition in held
        case No():
            return _no(condition.child)
        case Some():
            checks = [compiled(other) for other in condition.others]
            return _some(condition.numbers, checks) if checks else lambda held: not condition.numbers.isdisjoint(held)
        case All():
            checks = [compiled(other) for other in condition.others]
            return _all(condition.numbers, checks) if checks else condition.numbers.issubset
    raise AssertionError(condition)


def _no(child: Condition) -> Check:
    if isinstance(child, int):
        return lambda held: child not in held
    if isinstance(child, Some) and not child.others:
        return child.numbers.isdisjoint
    check = compiled(child)
    return lambda held: not check(held)


def _some(numbers: Held, checks: list[Check]) -> Check:
    def check(held: Held) -> bool:
        if not numbers.isdisjoint(held):
            return True
        for other in checks:  # noqa: SIM110 - a generator costs more here
            if other(held):
                return True
        return False

    return check


def _all(numbers: Held, checks: list[Check]) -> Check:
    def check(held: Held) -> bool:
        if not numbers <= held:
            return False
        for other in checks:  # noqa: SIM110 - a generator costs more here
            if not other(held):
                return False
        return True

    return check
