"""What a rule asks of an event: predicates over its fields, joined by and, or and not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Predicate:
    """One question about one field; equal predicates have equal answers, whatever rule asks."""

    field: str | None
    """The field it reads; None asks every value of the event (a keyword)."""
    op: str
    """`equals`, `contains`, `startswith`, `endswith`, `wildcard`, `re`, `cidr`, `exists`, `null`, `number`, `lt`,
    `lte`, `gt`, `gte`, or one of the first four behind `fieldref_`."""
    value: Value
    """Text (in lower case unless `cased`), an RE2 pattern, a network, a number, or the other field's name."""
    cased: bool = False
    """True when upper and lower case differ."""
    part: str = ""
    """`minute`, `hour`, `day`, `week`, `month` or `year`: the part of a time that is compared, if any."""
    zone: str = ""
    """The time zone `part` is read in."""
    shown: str = dataclasses.field(default="", compare=False)
    """The value as its author wrote it, for explanations."""

    @property
    def shape(self) -> tuple[str | None, str, bool, str, str]:
        """All but the value: predicates of one shape can be asked together."""
        return (self.field, self.op, self.cased, self.part, self.zone)


@dataclass(frozen=True, slots=True)
class And:
    """All of its children."""

    children: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of its children."""

    children: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of its child."""

    child: Expression


@dataclass(frozen=True, slots=True)
class Named:
    """A selection of a rule, under the name its condition uses."""

    name: str
    child: Expression


Expression: TypeAlias = Predicate | And | Or | Not | Named


def both(left: Expression, right: Expression) -> And:
    """`left and right`."""
    return And((left, right))


def any_of(children: list[Expression]) -> Expression:
    """Any of `children`; the child itself when there is one."""
    return children[0] if len(children) == 1 else Or(tuple(children))


def predicates(expression: Expression) -> Iterator[Predicate]:
    """Every predicate of `expression`, in the order written."""
    stack: list[Expression] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Predicate):
            yield node
        elif isinstance(node, (And, Or)):
            stack.extend(reversed(node.children))
        else:
            stack.append(node.child)


def fields_of(expression: Expression) -> frozenset[str]:
    """Every field `expression` reads."""
    names: set[str] = set()
    for predicate in predicates(expression):
        if predicate.field is not None:
            names.add(predicate.field)
        if predicate.op.startswith("fieldref_"):
            names.add(str(predicate.value))
    return frozenset(names)


def groups(children: tuple[Expression, ...]) -> tuple[list[list[Predicate]], list[Expression]]:
    """The predicates among `children` by shape, and the other children."""
    shapes: dict[tuple[str | None, str, bool, str, str], list[Predicate]] = {}
    others: list[Expression] = []
    for child in children:
        if isinstance(child, Predicate):
            shapes.setdefault(child.shape, []).append(child)
        else:
            others.append(child)
    return list(shapes.values()), others
