"""The names and types that may stand at the top of a document: the Elastic Common Schema and `almena.*`."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from almena.clock import format_time, parse_time
from almena.event import Event

KEYWORD_BYTES = 8_192
"""Longest keyword that is indexed; a longer one is a misfit (Elasticsearch refuses terms over 32,766 bytes)."""

_MISFIT = "almena.misfit"
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Field(NamedTuple):
    """One field of the schema."""

    type: str
    """Its type in Elasticsearch, such as `keyword` or `ip`."""


@cache
def fields() -> dict[str, Field]:
    """Every field a document may have at its top level, by dotted name."""
    table: dict[str, Field] = {}
    for file in ("ecs_fields.tsv", "fields.tsv"):
        for line in files("almena").joinpath(file).read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                name, kind, *_ = line.split("\t")
                table[name] = Field(kind)
    return table


def check(event: Event) -> Event:
    """The event as a document: known fields with values of their type, everything else under `almena.misfit`.

    A hostile field never costs an alert: nothing is refused here and nothing is lost, it only moves where
    no index reads it.
    """
    known = fields()
    document: Event = {}
    before = event.get(_MISFIT)
    misfit: dict[str, Any] = dict(before) if isinstance(before, dict) else {}
    for name, value in event.items():
        if value is None or (name == _MISFIT and isinstance(value, dict)):
            continue
        field = known.get(name) if name != _MISFIT else None
        clean = _fit(field, value) if field is not None else None
        if clean is None:
            misfit[name] = value
        else:
            document[name] = clean
    if misfit:
        document[_MISFIT] = misfit
    return document


def _fit(field: Field, value: Any) -> Any:
    """`value` in the type of `field`, or None when it does not fit."""
    fit: Callable[[Any], Any] = _FITS.get(field.type, _keyword)
    if not isinstance(value, list):
        return fit(value)
    values = [fit(item) for item in value]
    return None if None in values else values


def _keyword(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str) and len(value.encode("utf-8", "replace")) <= KEYWORD_BYTES:
        return value
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else _keyword(value)


def _long(value: Any) -> int | None:
    if (isinstance(value, str) and _WHOLE.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


def _double(value: Any) -> float | None:
    if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        return None
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


@lru_cache(maxsize=65_536)
def _address(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return None


def _ip(value: Any) -> str | None:
    return _address(value) if isinstance(value, str) and len(value) <= 64 and "%" not in value else None


def _date(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        moment = parse_time(value)
    except ValueError:
        return None
    return format_time(moment) if moment >= 0 else None


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else None


_FITS: dict[str, Callable[[Any], Any]] = {
    "keyword": _keyword,
    "constant_keyword": _keyword,
    "wildcard": _text,
    "match_only_text": _text,
    "long": _long,
    "integer": _long,
    "float": _double,
    "double": _double,
    "scaled_float": _double,
    "boolean": _boolean,
    "ip": _ip,
    "date": _date,
    "object": _object,
    "flattened": _object,
    "nested": _object,
    "geo_point": _object,
}
