"""How records lie on Kafka: keys, headers, append times, and the place of a group in a partition."""

from __future__ import annotations

import msgspec

from almena.bus import Stored
from almena.bus.cluster_client import Raw
from almena.clock import SECOND

PLACE = "~place"
"""The key of the state topic under which a partition's position lies, true for all that is written before it."""

DELAYED = "delayed"
"""The header of a record that lay in a collector's spool: for how long, in microseconds."""

_LONGEST_DELAY = 30 * 86_400 * SECOND


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a group stands in a partition."""

    position: int
    time: int
    """The latest append time that was read, microseconds."""


def encoded(key: str) -> bytes:
    """A key as it lies in a topic."""
    return key.encode("utf-8", "surrogatepass")


def decoded(key: bytes) -> str:
    """A key as it was."""
    return key.decode("utf-8", "surrogatepass")


def stored_of(topic: str, partition: int, raw: Raw, last: int) -> Stored:
    """A record as readers take it; its time never falls behind `last`, that of the record before it."""
    headers = {key: (value or b"").decode("utf-8", "replace") for key, value in raw.headers}
    time = raw.timestamp * 1000 - _delay(headers.get(DELAYED, ""))
    key = raw.key.decode("utf-8", "replace")
    return Stored(topic, partition, raw.offset, max(time, last), key, raw.value or b"", headers)


def _delay(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return 0
    return min(int(text), _LONGEST_DELAY)


def place_of(raw: Raw) -> Place | None:
    """The place in a record of the state topic; None where it is damaged."""
    try:
        return msgspec.msgpack.decode(raw.value or b"", type=Place)
    except msgspec.MsgspecError:
        return None
