"""How a query becomes Elasticsearch's: the same conditions, order and pages as every other store's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from almena.clock import format_time, parse_time
from almena.errors import StoreError
from almena.store import Filter, Query
from almena.store.elasticsearch_mapping import ID, MICROS, WORDS, decode, encode, place
from almena.store.match import TIME, Mark, Value, conditions
from almena.store.text import tokens

_NOTHING: dict[str, Any] = {"match_none": {}}
_NO_TIME = 2**63 - 1  # what a document without a time is sorted by


def matching(query: Query) -> dict[str, Any]:
    """The conditions of a query; raises StoreError for a query that is none."""
    must: list[dict[str, Any]] = [{"term": {WORDS: word}} for word in tokens(query.text)]
    must_not: list[dict[str, Any]] = []
    for condition in conditions(query):
        (must_not if condition.negate else must).append(_clause(condition))
    return {"bool": {"filter": must, "must_not": must_not}}


def ordering(query: Query) -> list[dict[str, Any]]:
    """The order of a query: its field's value, documents without it last, then the id."""
    way = "desc" if query.descending else "asc"
    mode = "max" if query.descending else "min"
    path = MICROS if query.sort == TIME else place(query.sort).path
    return [{path: {"order": way, "mode": mode, "missing": "_last", "unmapped_type": "keyword"}}, {ID: {"order": way}}]


def behind(query: Query, mark: Mark) -> list[Any]:
    """What a cursor's page continues behind, in the terms of `ordering`."""
    if query.sort != TIME:
        where = place(query.sort)
        return [None if mark.value is None else encode(where, mark.value), mark.id]
    if mark.value is None:
        return [-_NO_TIME - 1 if query.descending else _NO_TIME, mark.id]
    micros = _micros(mark.value)
    if micros is None:
        raise StoreError("the cursor is damaged; search again from the first page")
    return [micros, mark.id]


def sorted_by(query: Query, hit: Mapping[str, Any]) -> Value | None:
    """The value by which a hit was sorted."""
    found = hit["sort"][0]
    if query.sort != TIME:
        return None if found is None else decode(place(query.sort), found)
    return None if found is None or not 0 <= found < _NO_TIME else format_time(found)


def _clause(condition: Filter) -> dict[str, Any]:
    if condition.field == TIME and condition.op in ("gte", "lt") and condition.values:
        micros = _micros(condition.values[0])
        if micros is not None:
            return {"range": {MICROS: {condition.op: micros}}}
    where = place(condition.field)
    if condition.op == "exists":
        return {"exists": {"field": where.path}}
    terms = [term for value in condition.values if (term := encode(where, value)) is not None]
    if not terms:
        return _NOTHING
    if condition.op == "in":
        return {"terms": {where.path: terms}}
    if condition.op == "prefix":
        return {"prefix": {where.path: {"value": terms[0]}}}
    if where.plain:
        return {"range": {where.path: {condition.op: terms[0]}}}
    sort = terms[0][0]  # "n" or "t": a bound on numbers holds for numbers alone, one on texts for texts
    bounds = {"gte": terms[0], "lt": chr(ord(sort) + 1)} if condition.op == "gte" else {"gte": sort, "lt": terms[0]}
    return {"range": {where.path: bounds}}


def _micros(value: Value) -> int | None:
    """The moment in a text that is written as documents write it; None for any other value."""
    try:
        micros = parse_time(str(value))
    except ValueError:
        return None
    return micros if micros >= 0 and format_time(micros) == value else None
