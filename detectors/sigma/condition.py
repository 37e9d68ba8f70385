"""What a correlation compares: `gte 10`, `gt 2, lt 9`; numbers are exact, to six decimals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from almena.errors import RuleError

SCALE = 1_000_000
"""Numbers are compared as whole millionths."""

LARGEST = 9_000_000_000_000
"""Numbers beyond it, in either direction, count as this."""

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}

_BESIDE = frozenset({"field", "percentile"})
_SLIDING = frozenset({"gt", "gte"})
_LONGEST_NUMBER = 40


def scaled(value: object) -> int | None:
    """A number, or text that is one, in whole millionths within ±`LARGEST`; None for anything else.

    >>> scaled("1500.25")
    1500250000
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not 0 < len(value) <= _LONGEST_NUMBER:
        return None
    try:
        number = Decimal(value if isinstance(value, int) else str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite():
        return None
    if abs(number) >= LARGEST:
        return LARGEST * SCALE if number > 0 else -LARGEST * SCALE
    return int((number * SCALE).to_integral_value())


@dataclass(frozen=True, slots=False)
class Condition:
    """Bounds that a number is held against; all of them must hold."""

    bounds: tuple[tuple[str, int | float], ...]
    """Operator and number, as written."""

    def holds(self, value: int, parts: int = 1) -> bool:
        """Whether `value` / `parts` fulfils every bound; `value` in millionths, `parts` positive."""
        return all(OPERATORS[name](value, bound * parts) for name, bound in self.exact)

    def counts(self, number: int) -> bool:
        """Whether a whole number fulfils every bound."""
        return self.holds(number * SCALE)

    @property
    def sliding(self) -> bool:
        """Whether it can be decided at a hit: more never makes it untrue."""
        return all(name in _SLIDING for name, _ in self.bounds)

    @cached_property
    def smallest(self) -> int:
        """The least positive whole number that fulfils it; 0 when none does."""
        candidates = {1}
        for _, bound in self.bounds:
            candidates |= {math.floor(bound) + step for step in (-1, 0, 1, 2)}
        return next((number for number in sorted(candidates) if number >= 1 and self.counts(number)), 0)

    def text(self) -> str:
        """The bounds as written, such as `gt 2, lt 9`."""
        return ", ".join(f"{name} {bound}" for name, bound in self.bounds)

    @cached_property
    def exact(self) -> tuple[tuple[str, int | Fraction], ...]:
        """The bounds in millionths."""
        found = [(name, Fraction(str(bound)) * SCALE) for name, bound in self.bounds]
        return tuple((name, bound.numerator if bound.denominator == 1 else bound) for name, bound in found)


def parse_condition(stated: Mapping[Any, Any]) -> Condition:
    """The bounds of a condition as it is written in a rule; raises RuleError."""
    unknown = [str(key) for key in stated if key not in OPERATORS and key not in _BESIDE]
    if unknown:
        known = ", ".join([*OPERATORS, "field", "percentile"])
        raise RuleError(f"its condition has {', '.join(unknown)}; known are {known}")
    bounds = tuple((str(key), _number(key, value)) for key, value in stated.items() if key in OPERATORS)
    if not bounds:
        raise RuleError(f"its condition compares with nothing; it takes one or more of {', '.join(OPERATORS)}")
    return Condition(bounds)


def _number(name: object, value: object) -> int | float:
    exact = scaled(value)
    if exact is None or abs(exact) >= LARGEST * SCALE:
        raise RuleError(f"its condition says {name}: {value!r}, which is no number between -{LARGEST} and {LARGEST}")
    whole, rest = divmod(exact, SCALE)
    return whole if rest == 0 else float(str(value))
