"""How a document lies in Elasticsearch: the schema's fields as they are, everything else where nothing parses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from almena.clock import parse_time
from almena.store import Document
from almena.store.elasticsearch_mapping import KNOWN, OTHER, WORDS, encode, native, other_key, place
from almena.store.match import MOST_VALUES, TIME, Index, Value, decode, index, words

HIDDEN = [WORDS, KNOWN, OTHER]
"""What of a stored document only serves to find it."""

_encoder = msgspec.json.Encoder()


def laid_out(identity: str, body: bytes, token: str = "") -> bytes:
    """The document in `body` (JSON of `match.encode`) as JSON for Elasticsearch.

    At the top stand the schema's fields with values of their type, which Kibana and Elastic Security read; `rest`
    holds as one text all that does not fit there or was written otherwise: Elasticsearch neither parses nor limits it.
    """
    document = decode(body)
    seen = index(document)
    top: dict[str, Any] = {}
    rest: Document = {}
    for name, value in document.items():
        kind = native().get(name) if name in seen else None
        if kind is not None and _stands(kind, value, seen[name]):
            top[name] = value
            continue
        rest[name] = value
        if kind is not None:
            top[name] = list(seen[name])
    ours: dict[str, Any] = {"id": identity, "words": words(document), **_values(seen)}
    if TIME in seen:
        ours["micros"] = parse_time(str(seen[TIME][0]))
    if rest:
        ours["rest"] = _encoder.encode(rest).decode()
    if token:
        ours["token"] = token
    return _encoder.encode({**top, "almena": {"store": ours}})


def read_back(source: Mapping[str, Any]) -> Document:
    """The document as it was given to `laid_out`."""
    ours = source["almena"]["store"]
    document = {name: value for name, value in source.items() if name != "almena"}
    return {**document, **decode(ours["rest"].encode())} if "rest" in ours else document


def token_of(source: Mapping[str, Any]) -> str:
    """What says which write a stored document comes from."""
    return str(source["almena"]["store"].get("token", ""))


def _values(seen: Index) -> dict[str, dict[str, list[str | None]]]:
    """The terms of all fields that do not stand at the top as plain texts."""
    known: dict[str, list[str | None]] = {}
    other: dict[str, list[str | None]] = {}
    for name, values in seen.items():
        where = place(name)
        if not where.plain:
            terms = [encode(where, value) for value in values]
            if name in native():
                known[name] = terms
            else:
                other[other_key(name)] = terms
    return {"known": known, "other": other}


def _stands(kind: str, value: Any, seen: tuple[Value, ...]) -> bool:
    """Whether the value can be left as it is: then what Elasticsearch indexes of it is what is seen of it."""
    items = value if isinstance(value, list) else [value]
    indexed = frozenset(seen)
    return len(items) <= MOST_VALUES and all(_fits(kind, item, indexed) for item in items)


def _fits(kind: str, item: Any, seen: frozenset[Value]) -> bool:
    if kind == "boolean":
        return isinstance(item, bool)
    if kind == "long":
        return type(item) is int and item in seen
    if kind == "double":
        return type(item) in (int, float) and item in seen
    return isinstance(item, str) and item in seen
