"""From a field and a value that pySigma has parsed to the predicate that asks for it."""

from __future__ import annotations

from dataclasses import replace

from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from almena.errors import RuleError
from detectors.sigma.expression import Expression, Predicate, any_of
from detectors.sigma.modifiers import CASED
from detectors.sigma.regex import compile_pattern, escape
from detectors.sigma.values import fold, scalar

_COMPARE = {
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
}


LONGEST_VALUE = 4_096
"""Characters of one value or pattern, modifiers applied; the longest of SigmaHQ's rules has 178."""


def expression_of(field: str | None, value: SigmaType, zone: str) -> Expression:
    """What `value` asks of `field` (None: of the whole event); raises RuleError for what cannot be asked."""
    if isinstance(value, SigmaExpansion):
        return any_of([expression_of(field, item, zone) for item in value.values])
    predicate = _anywhere(value) if field is None else _of_field(field, value, zone)
    if isinstance(predicate.value, str) and len(predicate.value) > LONGEST_VALUE:
        raise RuleError(f"{field or 'a keyword'} has a value longer than {LONGEST_VALUE} characters")
    if predicate.op in ("wildcard", "re"):
        compile_pattern(str(predicate.value))
    return predicate


def _of_field(field: str, value: SigmaType, zone: str) -> Predicate:
    match value:
        case SigmaString():
            return _of_text(field, value)
        case SigmaTimestampPart() | SigmaNumber():
            return _of_number(field, "number", value, zone)
        case SigmaCompareExpression() if value.op in _COMPARE:
            return _of_number(field, _COMPARE[value.op], value.number, zone)
        case SigmaBool():
            text = "true" if value.boolean else "false"
            return Predicate(field, "equals", text, shown=text)
        case SigmaNull():
            return Predicate(field, "null", None, shown="null")
        case SigmaExists():
            return Predicate(field, "exists", value.exists, shown=str(value.exists).lower())
        case SigmaRegularExpression():
            return _of_regex(field, value)
        case SigmaCIDRExpression():
            return Predicate(field, "cidr", str(value.network), shown=value.cidr)
        case SigmaFieldReference():
            return _of_reference(field, value)
    raise RuleError(f"{field}: values of type {type(value).__name__} are not supported")


def _anywhere(value: SigmaType) -> Predicate:
    """A keyword: contained in any value of the event."""
    match value:
        case SigmaString():
            predicate = _of_text("", value, keyword=True)
        case SigmaRegularExpression():
            predicate = _of_regex("", value)
        case SigmaCIDRExpression():
            predicate = Predicate("", "cidr", str(value.network), shown=value.cidr)
        case SigmaBool():
            predicate = Predicate("", "contains", "true" if value.boolean else "false")
        case SigmaNumber() if not isinstance(value, SigmaTimestampPart):
            predicate = Predicate("", "contains", scalar(value.number))
        case _:
            raise RuleError(f"a keyword cannot be a {type(value).__name__.removeprefix('Sigma').lower()}")
    return replace(predicate, field=None, shown=predicate.shown or str(predicate.value))


def _of_number(field: str, op: str, value: SigmaNumber, zone: str) -> Predicate:
    shown = str(value.number)
    if isinstance(value, SigmaTimestampPart):
        return Predicate(field, op, value.number, part=value.timestamp_part.name.lower(), zone=zone, shown=shown)
    return Predicate(field, op, value.number, shown=shown)


def _of_reference(field: str, value: SigmaFieldReference) -> Predicate:
    starts, cased = bool(value.starts_with & ~CASED), bool(value.starts_with & CASED)
    op = {
        (False, False): "fieldref_equals",
        (True, False): "fieldref_startswith",
        (False, True): "fieldref_endswith",
        (True, True): "fieldref_contains",
    }[starts, bool(value.ends_with)]
    return Predicate(field, op, value.field, cased=cased, shown=value.field)


def _of_regex(field: str, value: SigmaRegularExpression) -> Predicate:
    if value.contains_placeholder():
        raise RuleError(f"no value is set for the placeholder in {value.regexp}")
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    pattern = str(value.regexp)
    return Predicate(field, "re", f"(?{flags}){pattern}" if flags else pattern, cased=True, shown=pattern)


def _of_text(field: str, value: SigmaString, *, keyword: bool = False) -> Predicate:
    cased = isinstance(value, SigmaCasedString)
    parts = list(value.s)
    for part in parts:
        if isinstance(part, Placeholder):
            raise RuleError(f"no value is set for the placeholder %{part.name}%")
    many, shown = SpecialChars.WILDCARD_MULTI, str(value)
    starts = keyword or (bool(parts) and parts[-1] == many)
    ends = keyword or (bool(parts) and parts[0] == many)
    while parts and parts[-1] == many:
        parts.pop()
    while parts and parts[0] == many:
        parts.pop(0)
    if all(isinstance(part, str) for part in parts):
        text = "".join(str(part) for part in parts)
        op = {(False, False): "equals", (True, False): "startswith", (False, True): "endswith"}.get(
            (starts, ends), "contains"
        )
        return Predicate(field, op, text if cased else fold(text), cased=cased, shown=shown)
    pattern = "".join(
        (".*" if part == many else ".") if isinstance(part, SpecialChars) else escape(_case(str(part), cased))
        for part in parts
    )
    pattern = ("(?s)" if ends else "(?s)^") + pattern + ("" if starts else "$")
    return Predicate(field, "wildcard", pattern, cased=cased, shown=shown)


def _case(text: str, cased: bool) -> str:
    return text if cased else fold(text)
