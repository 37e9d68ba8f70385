"""What every store means by a field's values, a filter, an order, a cursor: written once, so they agree."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from almena.clock import format_time, parse_time
from almena.ecs import KEYWORD_BYTES, check, fields
from almena.errors import Refused, StoreError
from almena.store import Document, Filter, Histogram, Query
from almena.store.text import index_tokens

Value: TypeAlias = int | float | str
"""A value as it is compared: numbers come before texts; booleans are the texts `true` and `false`."""

Index: TypeAlias = dict[str, tuple[Value, ...]]
"""What can be asked of a document: by field, its values, each once, in rising order."""

TIME = "@timestamp"
AGENCY = "organization.id"

LARGEST_DOCUMENT = 8 * 1024 * 1024
"""Bytes of one document as JSON."""

MOST_FIELDS = 1_000
"""Fields of one document that can be asked for; later ones are stored and shown only."""

MOST_VALUES = 1_000
"""Values of one field that can be asked for."""

LONGEST_NAME = 512
"""Bytes of an id, a field's name or a kind."""

LONGEST_BOUND = 512
"""Bytes of a text that values are compared with by `gte`, `lt` and `prefix`: Lucene takes less than a thousand."""

LARGEST_PAGE = 10_000
"""Documents of one page."""

OBJECTS = {"object", "flattened", "nested", "geo_point", "binary"}
"""Types of the schema whose values are stored and not asked for."""

_SEARCHED_OBJECTS = ("almena.alert.words", "almena.misfit")
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(kind: str, identity: str, document: Document) -> bytes:
    """The document as JSON with sorted keys: equal content gives equal bytes. Raises Refused, saying which."""
    if not identity or "\x00" in identity or len(identity.encode("utf-8", "replace")) > LONGEST_NAME:
        raise Refused(f"{kind}: an id has 1 to {LONGEST_NAME} bytes and no NUL, unlike {identity[:60]!r}")
    try:
        identity.encode()
        body = _encoder.encode(document)
        _decoder.decode(body)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Refused(f"{kind}/{identity[:60]!a}: cannot be written as JSON: {error}") from None
    if len(body) > LARGEST_DOCUMENT:
        raise Refused(f"{kind}/{identity}: {len(body)} bytes; a document may have {LARGEST_DOCUMENT}")
    return body


def decode(body: bytes) -> Document:
    """The document back from `encode`."""
    return _decoder.decode(body)


def unwritable(identity: str) -> bool:
    """Whether no document can have this id, since it is no valid Unicode."""
    return _encoded(identity) is None


def index(document: Document) -> Index:
    """The values that filters, sorting and counting see.

    A field of the schema is seen in its type (a text `"73"` in `event.severity` is the number 73) and not at all
    when it does not fit; any other field is seen as it is. Objects are not seen.
    """
    known = fields()
    fit = check({name: value for name, value in document.items() if name in known and name != "almena.misfit"})
    seen: Index = {}
    for name, value in document.items():
        if len(seen) >= MOST_FIELDS or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
            continue
        if name in known:
            value = None if known[name].type in OBJECTS else fit.get(name)
        if name == TIME and not isinstance(value, str):
            continue
        found = {plain for item in _items(value) if (plain := _plain(item)) is not None}
        if found:
            seen[name] = tuple(sorted(found, key=order))
    return seen


def words(document: Document) -> list[str]:
    """The words under which the document is found: all its texts, those of its words and misfits too."""
    return index_tokens(_texts(document))


def _texts(document: Document) -> Iterator[str]:
    known = fields()
    for name, value in document.items():
        if name in _SEARCHED_OBJECTS or name not in known or known[name].type not in OBJECTS:
            yield from _strings(value, deep=name in _SEARCHED_OBJECTS)


def _strings(value: Any, *, deep: bool) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif deep and isinstance(item, dict):
            stack.extend(reversed(item.values()))


def _items(value: Any) -> list[Any]:
    return value[:MOST_VALUES] if isinstance(value, list) else [value]


def _plain(value: Any) -> Value | None:
    """The value as it is compared, or None when it cannot be asked for."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if len(value.encode("utf-8", "replace")) <= KEYWORD_BYTES else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() and -(2**63) <= value < 2**63 else value
    return None


def coerce(field: str, value: str | int | float | bool) -> Value | None:
    """A filter's value in the type of its field; as it is where it does not fit, None where nothing can equal it."""
    known = fields().get(field)
    if known is not None and known.type not in OBJECTS:
        value = check({field: value}).get(field, value)
    plain = _plain(value)
    return None if isinstance(plain, str) and _encoded(plain) is None else plain


def _encoded(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def order(value: Value) -> tuple[bool, Value]:
    """The key that sorts values: numbers before texts."""
    return (isinstance(value, str), value)


def after_prefix(prefix: str) -> str | None:
    """The least text behind every text that begins with `prefix`; None when there is none."""
    while prefix:
        point = ord(prefix[-1])
        if point < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if point == 0xD7FF else point + 1)
        prefix = prefix[:-1]
    return None


def conditions(query: Query) -> list[Filter]:
    """Every filter of the query with values in their fields' types, the caller's scope first. Checks the query."""
    if not 1 <= query.limit <= LARGEST_PAGE:
        raise StoreError(f"{query.kind}: a page has 1 to {LARGEST_PAGE} documents, not {query.limit}")
    for name in (query.sort, *(condition.field for condition in query.filters)):
        if _encoded(name) is None:
            raise StoreError(f"{query.kind}: {name!a} is no field's name; it is no valid Unicode")
    scope = [] if query.scope is None else [Filter(AGENCY, "in", tuple(sorted(query.scope)))]
    return [_checked(condition) for condition in (*scope, *query.filters)]


def _checked(condition: Filter) -> Filter:
    values = [coerce(condition.field, value) for value in condition.values]
    is_bound = condition.op in ("gte", "lt", "prefix")
    if is_bound and len(values) != 1:
        raise StoreError(f"filter on {condition.field}: {condition.op} takes one value, not {len(values)}")
    if is_bound and len(str(condition.values[0]).encode("utf-8", "replace")) > LONGEST_BOUND:
        raise StoreError(f"filter on {condition.field}: {condition.op} takes a text of at most {LONGEST_BOUND} bytes")
    if condition.op == "prefix" and not isinstance(condition.values[0], str):
        raise StoreError(f"filter on {condition.field}: prefix takes a text, not {condition.values[0]!r}")
    if condition.op == "prefix":
        values = [value for value in condition.values if _encoded(str(value)) is not None]
    return msgspec.structs.replace(condition, values=tuple(value for value in values if value is not None))


def holds(condition: Filter, values: tuple[Value, ...]) -> bool:
    """Whether a document whose field has `values` meets a condition of `conditions`."""
    return any(_value_test(condition)(value) for value in values) != condition.negate


def _value_test(condition: Filter) -> Callable[[Value], bool]:
    if condition.op == "exists":
        return lambda value: True
    if condition.op == "in":
        return lambda value: value in condition.values
    if not condition.values:
        return lambda value: False
    bound: Any = condition.values[0]
    is_text = isinstance(bound, str)
    if condition.op == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(bound)
    if condition.op == "gte":
        return lambda value: isinstance(value, str) == is_text and value >= bound
    return lambda value: isinstance(value, str) == is_text and value < bound


def visible(document: Document, scope: frozenset[str] | None) -> bool:
    """Whether a caller with this scope may see the document."""
    return scope is None or any(value in scope for value in index({AGENCY: document.get(AGENCY)}).get(AGENCY, ()))


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """What a cursor holds: the query it belongs to, and the sort value and id of the last document given."""

    query: str
    value: int | float | str | None
    id: str


def _query_mark(query: Query) -> str:
    scope = None if query.scope is None else sorted(query.scope)
    parts = repr((query.kind, scope, query.text, query.filters, query.sort, query.descending))
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def cursor_of(query: Query, value: Value | None, identity: str) -> str:
    """An opaque text that continues `query` behind this document."""
    mark = msgspec.msgpack.encode(Mark(_query_mark(query), value, identity))
    return base64.urlsafe_b64encode(mark).decode().rstrip("=")


def read_cursor(query: Query, cursor: str) -> Mark:
    """The mark in a cursor of `query`; raises StoreError for any other text, whoever wrote it."""
    try:
        mark = msgspec.msgpack.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", True), type=Mark)
        mark.id.encode()
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise StoreError("the cursor is damaged; search again from the first page") from None
    if mark.query != _query_mark(query) or (mark.value is not None and _plain(mark.value) is None):
        raise StoreError("the cursor belongs to another search; search again from the first page")
    return mark


def key_text(value: Value) -> str:
    """A value as the key of a count."""
    return str(value)


def buckets(counts: Mapping[str, int], by: Histogram) -> list[tuple[str, int]]:
    """Counts by moment (RFC 3339, or a beginning of it down to the minute) added up per interval."""
    if by.interval <= 0:
        raise StoreError(f"histogram of {by.field}: the interval must be longer than nothing")
    sums: dict[int, int] = {}
    for moment, count in counts.items():
        try:
            micros = parse_time(moment)
        except ValueError:
            continue
        start = micros - micros % by.interval
        sums[start] = sums.get(start, 0) + count
    return [(format_time(start), sums[start]) for start in sorted(sums)]
