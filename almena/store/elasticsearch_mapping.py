"""Which indices a store in Elasticsearch has, their mapping, and where a field's values lie in them."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple

from almena.clock import SECOND
from almena.ecs import KEYWORD_BYTES, fields
from almena.errors import StoreError
from almena.store import ALERTS, EVENTS, KINDS
from almena.store.match import OBJECTS, Value
from almena.store.settings import ElasticsearchSettings

LAYOUT = 1
"""Raised when the template must change although the schema did not."""

OURS = "almena.store"
"""The object of each document that is the store's own; no field of the schema lies there."""

ID, MICROS, WORDS, KNOWN, OTHER = (f"{OURS}.{name}" for name in ("id", "micros", "words", "known", "other"))

LONGEST_KEYWORD = KEYWORD_BYTES + 1
"""Characters of an indexed keyword; `match.index` leaves none out that is shorter."""

_KEYWORDS = {"keyword", "wildcard", "constant_keyword"}
_TYPES = {
    "long": "long",
    "integer": "long",
    "float": "double",
    "double": "double",
    "scaled_float": "double",
    "boolean": "boolean",
    "ip": "ip",
    "date": "date",
    "match_only_text": "text",
}
_PLAIN_NAME = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9_@-]+(?:\.[A-Za-z0-9_@-]+){0,20}")
_MONTH = re.compile(r"([0-9]{4})(0[1-9]|1[0-2])-")
_DAY = re.compile(r"([0-9]{4})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])-")
_ENDED = re.compile(r"-([0-9]{4})\.([0-9]{2})(?:\.([0-9]{2}))?")


def index_name(prefix: str, kind: str, identity: str) -> str:
    """The one index in which a document can be: by month or day where the id begins with one."""
    begin = _MONTH.match(identity) if kind == ALERTS else _DAY.match(identity) if kind == EVENTS else None
    if begin is not None:
        return f"{prefix}-{kind}-{'.'.join(begin.groups())}"
    return f"{prefix}-{kind}-other" if kind in (ALERTS, EVENTS) else f"{prefix}-{_known(kind)}"


def index_pattern(prefix: str, kind: str) -> str:
    """The name of all indices of a kind."""
    return f"{prefix}-{_known(kind)}{'-*' if kind in (ALERTS, EVENTS) else ''}"


def is_ours(prefix: str, name: str) -> bool:
    """Whether an index is one of this prefix's, and not of a longer one's."""
    rest = name.removeprefix(f"{prefix}-")
    return rest in KINDS or any(rest.startswith(f"{kind}-") for kind in (ALERTS, EVENTS))


def ended(prefix: str, kind: str, names: Sequence[str], before: int) -> list[str]:
    """Those of the indices whose whole month or day is before `before` (microseconds)."""
    return [
        name for name in names if (end := _end(name.removeprefix(f"{prefix}-{kind}"))) is not None and end <= before
    ]


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise StoreError(f"{kind[:60]!r} is no kind of documents; there are {', '.join(KINDS)}")
    return kind


def _end(suffix: str) -> int | None:
    """Microseconds at which the month or day in an index's name is over; None when there is none."""
    named = _ENDED.fullmatch(suffix)
    if named is None:
        return None
    year, month, day = int(named[1]), int(named[2]), int(named[3] or 1)
    try:
        start = datetime(year, month, day, tzinfo=UTC)
        after = start + timedelta(days=1) if named[3] else (start + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        return None
    return int(after.timestamp()) * SECOND


class Place(NamedTuple):
    """Where the values of a field are indexed."""

    path: str
    plain: bool
    """Whether texts stand there as they are; otherwise `encode` makes terms that sort as values do."""


@cache
def native() -> Mapping[str, str]:
    """The schema's fields that Elasticsearch indexes under their own names, with its type for each.

    A name that is also the beginning of another one cannot be a value and an object at once, and is not among them.
    """
    beginnings = {name[:at] for name in fields() for at, sign in enumerate(name) if sign == "."}
    return {
        name: "keyword" if field.type in _KEYWORDS else _TYPES[field.type]
        for name, field in fields().items()
        if field.type not in OBJECTS and name not in beginnings
    }


@lru_cache(maxsize=8_192)
def place(field: str) -> Place:
    """Keywords of the schema under their own name; its other types, and every name that is not in it, encoded."""
    kind = native().get(field)
    if kind == "keyword":
        return Place(field, True)
    if kind is not None:
        return Place(f"{KNOWN}.{field}", False)
    return Place(f"{OTHER}.{other_key(field)}", False)


def other_key(field: str) -> str:
    """A name outside the schema as a key of the flattened object: as it is, or its hash where it is odd."""
    if _PLAIN_NAME.fullmatch(field):
        return field
    return "~" + hashlib.blake2b(field.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def encode(where: Place, value: Value) -> str | None:
    """The value as a term of `where`, or None when it cannot stand there."""
    if where.plain:
        return value if isinstance(value, str) else None
    return "t" + value if isinstance(value, str) else "n" + _sortable(value)


def decode(where: Place, term: str) -> Value:
    """The value back from `encode`."""
    if where.plain:
        return term
    return term[1:] if term[0] == "t" else _number(term[1:])


def _sortable(value: int | float) -> str:
    """Hexadecimal that sorts as numbers do: the greatest double that is not above, then what a long has beyond it."""
    below = float(value)
    if below > value:
        below = math.nextafter(below, -math.inf)
    beyond = value - int(below) if isinstance(value, int) else 0
    (bits,) = struct.unpack(">Q", struct.pack(">d", below))
    bits = bits ^ 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63
    return f"{bits:016x}{beyond:03x}" if beyond else f"{bits:016x}"


def _number(term: str) -> int | float:
    bits, beyond = int(term[:16], 16), int(term[16:] or "0", 16)
    bits = bits ^ 1 << 63 if bits >> 63 else bits ^ 0xFFFF_FFFF_FFFF_FFFF
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    return int(value) + beyond if value.is_integer() and -(2**63) <= value < 2**63 else value


def version() -> int:
    """The template's version: it grows whenever the schema does, so that an older Almena leaves it alone."""
    return LAYOUT * 1_000_000 + len(fields())


def meta(settings: ElasticsearchSettings) -> dict[str, Any]:
    """What of the settings the template holds."""
    return {"managed_by": "almena", "shards": settings.shards, "replicas": settings.replicas}


def mappings() -> dict[str, Any]:
    """Explicit types for every field of the schema and of our own; nothing else is ever indexed."""
    keyword = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
    tree: dict[str, Any] = {}
    for name, kind in native().items():
        _put(tree, name, keyword if kind == "keyword" else {"type": kind})
        if kind != "keyword":
            _put(tree, f"{KNOWN}.{name}", keyword)
    ours: dict[str, dict[str, Any]] = {
        ID: {"type": "keyword"},
        # Microseconds where Elasticsearch reads milliseconds: only dates are counted in whole numbers, not in doubles.
        MICROS: {"type": "date", "format": "epoch_millis"},
        WORDS: {"type": "keyword"},
        OTHER: {"type": "flattened"},
        f"{OURS}.token": {"type": "keyword", "index": False, "doc_values": False},
        f"{OURS}.rest": {"type": "keyword", "index": False, "doc_values": False},
    }
    for name, mapping in ours.items():
        _put(tree, name, mapping)
    return {"dynamic": False, "date_detection": False, "properties": tree}


def _put(tree: dict[str, Any], name: str, mapping: Mapping[str, Any]) -> None:
    *parents, leaf = name.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {"properties": {}})["properties"]
    tree[leaf] = mapping
