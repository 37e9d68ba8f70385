"""Flows and names seen in traffic, as our own collectors hand them on: an event already, checked and nothing more.

What is no JSON is a datagram that could not be read: it says why, and is kept as a dead letter.
"""

from __future__ import annotations

from functools import cache

import msgspec

from almena import ecs
from almena.clock import format_time, parse_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.netflow import wire
from collectors.parsers.common import MAX_BYTES
from collectors.parsers.ecs import OWN

_DATASETS = ("network.flow", "network.dns", "network.tls", "network.http")
_decode = msgspec.json.Decoder(dict[str, str | int | float | list[str]]).decode


def parse(raw: bytes, context: Context) -> Event:
    """The event of one line of JSON; raises ParseError for anything that a collector of traffic would not say."""
    if len(raw) > MAX_BYTES:
        raise ParseError(f"longer than {MAX_BYTES} bytes", MAX_BYTES)
    if raw[:1] != b"{":
        raise _why(raw)
    try:
        event: Event = _decode(raw)
        event["@timestamp"] = format_time(parse_time(event["@timestamp"]))
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, RecursionError):
        raise ParseError("no event of a flow") from None
    if event.get("event.dataset") not in _DATASETS:
        raise ParseError("an event, but not of a flow")
    if not event.keys() <= _known():
        raise ParseError("an event with a field that flows do not have")
    return event


@cache
def _known() -> frozenset[str]:
    """Every field that a flow may have."""
    made = ("event.id", "event.ingested", "event.original")
    return frozenset(name for name in ecs.fields() if name not in made and not name.startswith(OWN))


def _why(raw: bytes) -> ParseError:
    """What is wrong with a datagram that became no events."""
    try:
        for message in wire.messages(raw):
            head = wire.header(message)
            if head.version == wire.V5:
                wire.flows(message, head.flows)
                continue
            for found in wire.sets(message, head.version):
                if found.number in wire.DEFINING[head.version]:
                    for _ in wire.definitions(found, head.version):
                        pass
    except ParseError as error:
        return error
    return ParseError("a datagram whose data do not lie as their template says")
