"""An event: one flat mapping of ECS field names to values, the thing that rules read and that travels."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from almena.clock import parse_time
from almena.errors import ParseError

Event: TypeAlias = dict[str, Any]
"""`event["source.ip"]`: keys are dotted ECS names, values are strings, numbers, booleans, lists of those, or
(under `almena.misfit` only) whatever a stranger sent. `@timestamp` is RFC 3339 in UTC with six decimals."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(event: Event) -> bytes:
    """The event as one line of JSON, without the line break."""
    return _encoder.encode(event)


def decode(data: bytes) -> Event:
    """The event back from `encode`; raises ParseError when the bytes are no JSON object."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise ParseError(f"not a JSON object: {error}") from None


def event_time(event: Event) -> int:
    """`@timestamp` in microseconds since 1970 UTC."""
    return parse_time(event["@timestamp"])


def flatten(document: dict[str, Any], *, depth: int = 20) -> Event:
    """Nested objects to dotted keys, lists kept; raises ParseError beyond `depth` levels.

    >>> flatten({"source": {"ip": "10.0.0.1"}, "tags": ["a"]})
    {'source.ip': '10.0.0.1', 'tags': ['a']}
    """
    flat: Event = {}
    stack: list[tuple[str, dict[str, Any], int]] = [("", document, 0)]
    while stack:
        prefix, mapping, level = stack.pop()
        if level >= depth:
            raise ParseError(f"objects nested deeper than {depth}")
        for key, value in mapping.items():
            name = prefix + key
            if isinstance(value, dict):
                if value:
                    stack.append((name + ".", value, level + 1))
            else:
                flat[name] = value
    return flat


def strings(value: object) -> list[str]:
    """A field's value as a list of strings: nothing, one, or many."""
    if value is None:
        return []
    if isinstance(value, list):
        return [str(item) for item in value if item is not None]
    return [str(value)]
