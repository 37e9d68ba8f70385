"""An event: one flat mapping of ECS field names to values, the thing that rules read and that travels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from almena.clock import parse_time
from almena.errors import ParseError

Event: TypeAlias = dict[str, Any]
"""`event["source.ip"]`: keys are dotted ECS names, values are strings, numbers, booleans, lists of those, or
(under `almena.misfit` only) whatever a stranger sent. `@timestamp` is RFC 3339 in UTC with six decimals."""


class Batch(list[Event]):
    """Events, and for each the JSON it was read from; only what intake and detect write about an event may differ."""

    def __init__(self, events: Iterable[Event] = (), lines: Iterable[bytes] = ()) -> None:
        """As many lines as events."""
        super().__init__(events)
        self.lines = list(lines)

    def add(self, event: Event, line: bytes) -> None:
        """One more."""
        self.append(event)
        self.lines.append(line)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])
_BYTE = re.compile(r"\(byte (\d{1,9})\)", re.ASCII)


def encode(event: Event) -> bytes:
    """The event as one line of JSON, without the line break."""
    return _encoder.encode(event)


def decode(data: bytes) -> Event:
    """One JSON object in UTF-8, such as `encode` gives; of equal keys the last counts. Raises ParseError."""
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise ParseError("JSON nested too deeply") from None
    except UnicodeDecodeError:
        raise ParseError("JSON that is no UTF-8") from None
    except msgspec.ValidationError as error:
        if str(error).startswith("Expected `object`"):
            raise ParseError("JSON, but no object", 0) from None
        raise ParseError("JSON with a number out of range") from None
    except msgspec.DecodeError as error:
        place = _BYTE.search(str(error))
        raise ParseError("malformed JSON", int(place[1]) if place else None) from None


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
