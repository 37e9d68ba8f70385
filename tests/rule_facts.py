"""Everything a rule set holds, as plain values to compare: with types, and with what does not count for equality."""

from __future__ import annotations

import dataclasses

from detectors.sigma.rules import RuleSet


def facts(value: object) -> object:
    """Types, names and values all the way down; functions are left out."""
    match value:
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = (item.name for item in dataclasses.fields(value))
            return type(value).__name__, [(name, facts(getattr(value, name))) for name in names if name != "field"]
        case dict():
            return [(facts(key), facts(item)) for key, item in value.items()]
        case set() | frozenset():
            return sorted(map(repr, value))
        case list() | tuple():
            return type(value).__name__, [facts(item) for item in value]
    return type(value).__name__, repr(value)


def same(left: RuleSet, right: RuleSet) -> bool:
    """Whether two sets hold the same, to the last remark."""
    return facts(left) == facts(right) and left.hash == right.hash
