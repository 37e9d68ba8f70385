"""A rule set as bytes and back: plain tables, no code, so that reading them can at worst give rules.

Predicates and names stand in one table each; an expression is a list of numbers, read like a calculator that takes
its operands first: each number is an index or a count, times eight, plus what it stands for.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Annotated, Any

import msgspec

from detectors.sigma.condition import OPERATORS, Condition
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, Value
from detectors.sigma.rules import Correlation, LogSource, Rejection, Rule, RuleSet

_PREDICATE, _NAMED, _AND, _OR, _NOT = range(5)
_DATE, _DATETIME, _INTEGER, _SET, _PAIRS = range(1, 6)

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Predicate = tuple[str | None, str, Value, bool, str, str, str]


class _Rule(msgspec.Struct, array_like=True, frozen=True):
    id: str
    title: str
    name: str
    level: str
    file: str
    version: str
    document: Any
    logsource: tuple[str | None, str | None, str | None]
    condition: str
    program: list[_Count]


class _Correlation(msgspec.Struct, array_like=True, frozen=True):
    id: str
    title: str
    name: str
    level: str
    file: str
    version: str
    document: Any
    type: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan: int
    condition: tuple[tuple[str, int | float], ...] | None
    expression: str
    named: dict[str, str]
    ways: tuple[tuple[tuple[str, bool], ...], ...]
    counted: tuple[str, ...]
    percentile: int
    generate: bool
    sources: dict[str, dict[str, dict[str, str]]]
    depth: int
    lateness: int


class _Set(msgspec.Struct, array_like=True, frozen=True):
    hash: str
    mode: str
    reading: str
    rules: list[_Rule]
    correlations: list[_Correlation]
    rejected: list[tuple[str, str, str]]
    warnings: list[tuple[str, str, str]]
    filters: list[tuple[str, str]]
    muted: list[str]
    predicates: list[_Predicate]
    names: list[str]


def pack(ruleset: RuleSet) -> bytes:
    """The rule set as MessagePack, all but `field`; raises TypeError or ValueError for what YAML never gives."""
    tables = _Tables()
    packed = _Set(
        hash=ruleset.hash,
        mode=ruleset.mode,
        reading=ruleset.reading,
        rules=[tables.rule(rule) for rule in ruleset.rules],
        correlations=[_correlation(item) for item in ruleset.correlations],
        rejected=[(item.rule, item.file, item.reason) for item in ruleset.rejected],
        warnings=[(item.rule, item.file, item.reason) for item in ruleset.warnings],
        filters=list(ruleset.filters),
        muted=sorted(ruleset.muted),
        predicates=tables.predicates,
        names=list(tables.names),
    )
    return msgspec.msgpack.encode(packed)


def unpack(data: bytes | memoryview, field: Callable[[str, LogSource], str]) -> RuleSet:
    """The rule set that `pack` took; raises ValueError (msgspec's own included) or IndexError for other bytes."""
    with collecting_later():
        packed = _decoder.decode(data)
        documents = [item.document for item in packed.rules] + [item.document for item in packed.correlations]
        if not all(isinstance(document, dict) for document in documents):
            raise ValueError("a document is no mapping")
        predicates: list[Expression] = [Predicate(*items) for items in packed.predicates]
        ruleset = RuleSet(
            rules=tuple(_unpacked(rule, predicates, packed.names) for rule in packed.rules),
            correlations=tuple(map(_correlated, packed.correlations)),
            rejected=tuple(Rejection(*items) for items in packed.rejected),
            warnings=tuple(Rejection(*items) for items in packed.warnings),
            mode=packed.mode,
            field=field,
            muted=frozenset(packed.muted),
            filters=tuple(packed.filters),
            reading=packed.reading,
        )
        vars(ruleset)["hash"] = packed.hash  # what the cached property would find out from every document
    return ruleset


@contextmanager
def collecting_later() -> Iterator[None]:
    """No search for cycles while a hundred thousand objects that have none are made."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Tables:
    """Each predicate and name once, in the order they came."""

    def __init__(self) -> None:
        self.predicates: list[_Predicate] = []
        self.names: dict[str, int] = {}
        self._places: dict[tuple[_Predicate, type], int] = {}

    def rule(self, rule: Rule) -> _Rule:
        source = rule.logsource
        return _Rule(
            id=rule.id,
            title=rule.title,
            name=rule.name,
            level=rule.level,
            file=rule.file,
            version=rule.version,
            document=_document(rule),
            logsource=(source.product, source.category, source.service),
            condition=rule.condition,
            program=self._program(rule.expression),
        )

    def _program(self, expression: Expression) -> list[int]:
        """The expression, operands first, found backwards: each node before its children, the last child first."""
        found: list[int] = []
        stack: list[Expression] = [expression]
        while stack:
            node = stack.pop()
            match node:
                case Predicate():
                    found.append(self._place(node) << 3 | _PREDICATE)
                case Named():
                    found.append(self.names.setdefault(node.name, len(self.names)) << 3 | _NAMED)
                    stack.append(node.child)
                case Not():
                    found.append(_NOT)
                    stack.append(node.child)
                case And() | Or():
                    found.append(len(node.children) << 3 | (_AND if isinstance(node, And) else _OR))
                    stack.extend(node.children)
        found.reverse()
        return found

    def _place(self, asked: Predicate) -> int:
        row = (asked.field, asked.op, asked.value, asked.cased, asked.part, asked.zone, asked.shown)
        key = (row, type(asked.value))  # 1, 1.0 and True are equal and not the same
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.predicates)
            self.predicates.append(row)
        return place


def _correlation(item: Correlation) -> _Correlation:
    named = {name: getattr(item, name) for name in _Correlation.__struct_fields__}
    sources = {read: {leaf: dict(names) for leaf, names in leaves.items()} for read, leaves in item.sources.items()}
    bounds = None if item.condition is None else item.condition.bounds
    return _Correlation(
        **named | {"document": _document(item), "sources": sources, "condition": bounds, "named": dict(item.named)}
    )


def _correlated(packed: _Correlation) -> Correlation:
    bounds = packed.condition
    if bounds is not None and any(name not in OPERATORS for name, _ in bounds):
        raise ValueError("no condition")
    return Correlation(**msgspec.structs.asdict(packed) | {"condition": None if bounds is None else Condition(bounds)})


def _unpacked(packed: _Rule, predicates: list[Expression], names: list[str]) -> Rule:
    return Rule(
        id=packed.id,
        title=packed.title,
        name=packed.name,
        level=packed.level,
        file=packed.file,
        version=packed.version,
        document=packed.document,
        logsource=LogSource(*packed.logsource),
        condition=packed.condition,
        expression=_expression(packed.program, predicates, names),
    )


def _expression(program: list[int], predicates: list[Expression], names: list[str]) -> Expression:
    stack: list[Expression] = []
    for step in program:
        kind, number = step & 7, step >> 3
        if kind == _PREDICATE:
            stack.append(predicates[number])
        elif kind == _NAMED:
            stack[-1] = Named(names[number], stack[-1])
        elif kind == _NOT:
            stack[-1] = Not(stack[-1])
        elif kind in (_AND, _OR) and 0 < number <= len(stack):
            children = tuple(stack[-number:])
            stack[-number:] = [And(children) if kind == _AND else Or(children)]
        else:
            raise ValueError(f"no step of an expression: {step}")
    if len(stack) != 1:
        raise ValueError("no whole expression")
    return stack[0]


def _document(item: Rule | Correlation) -> Any:
    return _plain(dict(item.document))


def _plain(value: Any) -> Any:
    """What YAML gives as MessagePack has it; dates, wide numbers, sets and odd keys as extensions of ours."""
    match value:
        case dict():
            pairs = [(_plain(key), _plain(item)) for key, item in value.items()]
            if any(isinstance(key, msgspec.msgpack.Ext) for key, _ in pairs):
                return msgspec.msgpack.Ext(_PAIRS, msgspec.msgpack.encode(pairs))
            return dict(pairs)
        case list():
            return [_plain(item) for item in value]
        case str() | None | bool() | float() | bytes():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else msgspec.msgpack.Ext(_INTEGER, str(value).encode())
        case datetime():
            return msgspec.msgpack.Ext(_DATETIME, value.isoformat().encode())
        case date():
            return msgspec.msgpack.Ext(_DATE, value.isoformat().encode())
        case set():
            return msgspec.msgpack.Ext(_SET, msgspec.msgpack.encode([_plain(item) for item in value]))
    raise TypeError(f"{type(value).__name__} is nothing that YAML gives")


def _extended(code: int, data: memoryview) -> Any:
    match code:
        case 1:
            return date.fromisoformat(str(data, "ascii"))
        case 2:
            return datetime.fromisoformat(str(data, "ascii"))
        case 3:
            return int(str(data, "ascii"))
        case 4:
            return set(msgspec.msgpack.decode(data, ext_hook=_extended))
        case 5:
            return dict(msgspec.msgpack.decode(data, ext_hook=_extended))
    raise ValueError(f"no extension of ours: {code}")


_decoder = msgspec.msgpack.Decoder(_Set, ext_hook=_extended)
