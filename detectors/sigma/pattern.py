"""Boolean conditions over rules, such as `a and (b or not c)`, taken apart into the ways in which they can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeAlias

from pyparsing import ParseException
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from almena.errors import RuleError

Way: TypeAlias = tuple[tuple[str, bool], ...]
"""Rules by id, in the order of the correlation, and whether each occurs or must not."""

MOST_WAYS = 64
"""Ways in which one condition may hold."""

_LONGEST = 2_000
_DEEPEST = 50
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WORDS = re.compile(r"\b(AND|OR|NOT)\b")
_PLACE = "uuid_in_condition_{}"

_Node: TypeAlias = CorrelationConditionItem | SigmaRuleReference
_Chosen: TypeAlias = dict[str, bool]


class Expression:
    """A boolean condition as written."""

    def __init__(self, text: str) -> None:
        """Raises RuleError where it is none."""
        if len(text) > _LONGEST or text.count("(") + text.lower().count("not") > _DEEPEST:
            raise RuleError("its condition is too long or nested too deeply")
        self._uuids: dict[str, str] = {}
        plain = _UUID.sub(self._hide, text)
        plain = _WORDS.sub(lambda found: found[0].lower(), plain)
        try:
            self._parsed: _Node = SigmaExtendedCorrelationCondition.parse(plain)
        except (ParseException, RecursionError) as error:
            at = f" at column {error.column}" if isinstance(error, ParseException) else ""
            raise RuleError(f"its condition {text!r} is no expression of rules with and, or, not{at}") from None

    def references(self) -> list[str]:
        """The rules it names, each once, in order."""
        found: dict[str, None] = {}
        stack: list[_Node] = [self._parsed]
        while stack:
            node = stack.pop()
            if isinstance(node, SigmaRuleReference):
                found[self._name(node)] = None
            else:
                stack.extend(reversed(node.args))
        return list(found)

    def ways(self, order: Sequence[str], identify: Callable[[str], str]) -> tuple[Way, ...]:
        """Every way in which it holds, as rules in `order` (ids); `identify` gives the id of a reference."""
        chosen = _alternatives(self._parsed, True, lambda node: identify(self._name(node)))
        return _ordered([way for way in chosen if way is not None], order)

    def _hide(self, found: re.Match[str]) -> str:
        name = _PLACE.format(len(self._uuids))
        self._uuids[name] = found[0]
        return name

    def _name(self, node: SigmaRuleReference) -> str:
        return self._uuids.get(node.reference, node.reference)


def some_of(order: Sequence[str], number: int) -> tuple[Way, ...]:
    """The ways in which `number` rules of `order` occur one after the other; raises RuleError where they are many."""
    found = []
    for places in combinations(range(len(order)), number):
        found.append(tuple((order[place], True) for place in places))
        if len(found) > MOST_WAYS:
            raise RuleError(f"not supported: {number} of {len(order)} rules in order is more than {MOST_WAYS} ways")
    return tuple(dict.fromkeys(found))


def _alternatives(node: _Node, wanted: bool, name: Callable[[SigmaRuleReference], str]) -> list[_Chosen]:
    """The disjunctive normal form of `node`, or of its negation, without what contradicts itself."""
    if isinstance(node, SigmaRuleReference):
        return [{name(node): wanted}]
    if isinstance(node, CorrelationConditionNOT):
        return _alternatives(node.args[0], not wanted, name)
    parts = [_alternatives(child, wanted, name) for child in node.args]
    if isinstance(node, CorrelationConditionAND) is not wanted:
        found = [way for part in parts for way in part]
    else:
        found = [{}]
        for part in parts:
            found = [merged for one in found for other in part if (merged := _merged(one, other)) is not None]
            if len(found) > 4 * MOST_WAYS:
                raise RuleError(f"its condition can hold in more than {MOST_WAYS} ways; write several correlations")
    return found


def _merged(one: _Chosen, other: _Chosen) -> _Chosen | None:
    if any(one.get(rule, wanted) is not wanted for rule, wanted in other.items()):
        return None
    return one | other


def _ordered(chosen: Sequence[_Chosen], order: Sequence[str]) -> tuple[Way, ...]:
    found = dict.fromkeys(tuple((rule, way[rule]) for place, rule in enumerate(order) if rule in way) for way in chosen)
    if not found:
        raise RuleError("its condition contradicts itself and can never hold")
    if len(found) > MOST_WAYS:
        raise RuleError(f"its condition can hold in more than {MOST_WAYS} ways; write several correlations")
    for way in found:
        if not any(occurs for _, occurs in way):
            raise RuleError("its condition can hold by absence alone; every way needs a rule that occurs")
    return tuple(found)
