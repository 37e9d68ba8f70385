"""How records, keys and append times lie on Kafka, and the entry that says what a partition's state is true for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from almena.bus import Stored
from almena.bus.kafka_client import LARGEST_MESSAGE, Raw, Row
from almena.clock import DAY
from almena.errors import BusError

PLACE = b"\xff~position"
"""The state topic's key for `Place`. No text is encoded so, and no key of anybody's state."""

DELAYED = "delayed"
"""The header of a record that lay in a collector's spool: for how long, microseconds."""

LONGEST_DELAY = 30 * DAY
"""Longer than any spool keeps records: a header that says more is not believed."""


_LARGEST = LARGEST_MESSAGE - (64 << 10)


class Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a group stands in a partition; written last in every transaction, with the state it is true for."""

    position: int
    """The offset of the next record to read."""
    time: int = 0
    """The highest append time of what lies before it, microseconds."""


def encoded(text: str) -> bytes:
    """A key or header as it lies on Kafka; every text comes back as it was."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """What `encoded` made; what others wrote comes with marks where it is no text."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def place_of(value: bytes | None) -> Place | None:
    """The place in a state topic's entry, None when it is none."""
    try:
        return msgspec.msgpack.decode(value or b"", type=Place)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def stored(topic: str, partition: int, raws: Iterable[Raw], highest: int) -> Iterator[Stored]:
    """Records as readers get them. Their times never fall below `highest` (microseconds), nor below one before.

    The time is that of the append, as the broker wrote it, less the time a record had waited in a spool.
    """
    for raw in raws:
        try:
            named = {name: data.decode() for name, data in raw.headers}
            key = raw.key.decode() if raw.key else ""
        except (UnicodeDecodeError, AttributeError):
            named = {name: decoded(data or b"") for name, data in raw.headers}
            key = decoded(raw.key or b"")
        moment = raw.timestamp * 1000
        if DELAYED in named:
            moment -= _delay(named[DELAYED])
        if moment > highest:
            highest = moment
        yield Stored(topic, partition, raw.offset, highest, key, raw.value or b"", named)


def _delay(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        return 0
    delay = int(text)
    return delay if delay <= LONGEST_DELAY else 0


def checked(rows: list[Row]) -> list[Row]:
    """The rows; raises BusError for one that no broker would take, which would be tried again for ever."""
    for topic, _, key, value, _ in rows:
        size = len(key) + len(value or b"")
        if size > _LARGEST:
            raise BusError(f"bus: {topic}: a record of {size} bytes is larger than {_LARGEST}")
    return rows
