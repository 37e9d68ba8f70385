"""A hit: the few facts about one event that a correlation or a baseline needs, on their way to it."""

from __future__ import annotations

from typing import Any

import msgspec

from almena.clock import FOREVER


class Hit(msgspec.Struct, array_like=True, frozen=True):
    """What a detector selected of one event; small (2 KB at most), keyed by (`detector`, `group`).

    Hits reach `observe` in (`time`, `id`) order whatever order their events arrived in.
    """

    time: int
    """Event time, microseconds since 1970 UTC."""
    id: str
    """The event's `event.id`, with the rule's id behind a `/` where one event gives several hits."""
    detector: str
    """The detector or correlation this hit is for."""
    group: str
    """The key it is counted under: a user, an address, a tuple of values joined by `group_key`."""
    fields: dict[str, Any] = {}
    """The event's fields that the window and its words read, by ECS name."""
    rule: str = ""
    """The base rule that matched, for correlations."""
    position: tuple[int, int] = (-1, -1)
    """Where the event lies on the bus, (partition, offset); (-1, -1) when it is on none."""
    shadow: bool = False
    """What is made of it is in shadow: tagged, and nobody is paged."""
    version: str = ""
    """The version of the operator it was made for; an operator of another version never sees it."""
    clock: int = 0
    """The clock it is ordered by: 0 is the live one, otherwise the lateness (microseconds) that clock waits for."""
    first: tuple[int, str, dict[str, Any]] | None = None
    """For what a correlation found: time, id and fields of the earliest hit it rests on; None for an event's hit."""
    count: int = 1
    """Events it rests on."""
    fresh: bool = True
    """False where a correlation's condition goes on holding: nothing that is counted anew."""
    aside: tuple[str, ...] = ()
    """Ids of correlations in shadow that rest on the one this hit is for."""


def order_of(hit: Hit) -> str:
    """How hits of one event and one time stand to each other: results come behind what they are results of."""
    return f"{int(hit.first is not None)}{hit.rule}"


IDENTITY = ("@timestamp", "event.id", "event.ingested", "organization.id", "log.file.path", "log.offset")
"""The event's fields that every hit keeps, where the event has them: which it is, whose, and where it stands."""

WIDEST = 2**63
"""Whole numbers from here on, which JSON has and MessagePack has not, travel in a hit as text, or not at all."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Hit)


def encode_hit(hit: Hit) -> bytes:
    """The hit as MessagePack."""
    return _encoder.encode(hit)


def decode_hit(data: bytes) -> Hit:
    """The hit back from `encode_hit`."""
    return _decoder.decode(data)


def sound(hit: Hit) -> Hit:
    """The hit, if its times are such as any clock shows; raises ValueError for others, which only damage makes."""
    if not (-FOREVER < hit.time < FOREVER and 0 <= hit.clock < FOREVER):
        raise ValueError("its time or its clock is out of range")
    if hit.first is not None and not -FOREVER < hit.first[0] < FOREVER:
        raise ValueError("the time of its first is out of range")
    return hit


def group_key(*values: object) -> str:
    """One text for several values that no other values give.

    >>> group_key("a", "b|c")
    'a|b\\\\|c'
    """
    return "|".join(str(value).replace("\\", "\\\\").replace("|", "\\|") for value in values)


def split_key(key: str) -> list[str]:
    """The values that `group_key` joined.

    >>> split_key("a|b\\\\|c")
    ['a', 'b|c']
    """
    values, escaped = [""], False
    for character in key:
        if escaped or character not in "\\|":
            values[-1] += character
            escaped = False
        elif character == "|":
            values.append("")
        else:
            escaped = True
    return values
