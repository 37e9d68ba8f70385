"""Framing of syslog streams: octet-counted messages and lines, mixed at will, cut from any pieces (RFC 6587)."""

from __future__ import annotations

from typing import Literal, NamedTuple

_COUNT_DIGITS = 9
_BELIEVED = 16  # a count beyond so many times the limit is no count but a line that begins with a number


class Frame(NamedTuple):
    """One message of a stream."""

    data: bytes
    truncated: bool


class Framer:
    """Cuts a stream into messages, whatever the pieces it comes in; it holds `limit` bytes at most.

    A message that begins with a number, a space and `<` is counted (RFC 6587, 3.4.1); any other is a line. A count
    that cannot be true is not believed. What goes beyond `limit` is skipped, and the message flagged.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._seen = 0  # bytes of the buffer known to hold no line break
        self._skip: int | None = 0  # octets of a counted message still to skip; None skips to the line break

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are complete now."""
        self._buffer += data
        frames: list[Frame] = []
        place = 0
        while (step := self._next(place)) is not None:
            place, frame = step
            if frame is not None and frame.data:
                frames.append(frame)
        del self._buffer[:place]
        self._seen = max(0, self._seen - place)
        return frames

    def end(self) -> list[Frame]:
        """What is left when the stream ends; a counted message that is not whole is flagged."""
        left, self._buffer = bytes(self._buffer), bytearray()
        if self._skip != 0 or not left:
            return []
        head = _counted(left)
        start = head[0] if isinstance(head, tuple) and head[1] <= _BELIEVED * self._limit else 0
        frame = Frame(_strip(left[start:][: self._limit]), start > 0)
        return [frame] if frame.data else []

    def _next(self, place: int) -> tuple[int, Frame | None] | None:
        """The place behind the message (or the part to skip) at `place`; None when more bytes are needed."""
        if place >= len(self._buffer):
            return None
        if self._skip is None:
            return self._skip_line(place)
        if self._skip:
            skipped = min(self._skip, len(self._buffer) - place)
            self._skip -= skipped
            return place + skipped, None
        head = _counted(self._buffer[place : place + _COUNT_DIGITS + 2])
        if head == "more":
            return None
        return self._counted_message(place, *head) if isinstance(head, tuple) else self._line(place)

    def _counted_message(self, place: int, start: int, count: int) -> tuple[int, Frame] | None:
        if count > _BELIEVED * self._limit:
            return self._line(place)
        kept = min(count, self._limit)
        first = place + start
        if len(self._buffer) < first + kept:
            return None
        self._skip = count - kept
        return first + kept, Frame(_strip(bytes(self._buffer[first : first + kept])), count > kept)

    def _line(self, place: int) -> tuple[int, Frame] | None:
        end = self._buffer.find(b"\n", max(place, self._seen))
        if end < 0:
            self._seen = len(self._buffer)
            if len(self._buffer) - place <= self._limit:
                return None
            self._skip = None
            end = place + self._limit
            return end, Frame(_strip(bytes(self._buffer[place:end])), True)
        data = bytes(self._buffer[place : min(end, place + self._limit)])
        return end + 1, Frame(_strip(data), end - place > self._limit)

    def _skip_line(self, place: int) -> tuple[int, None]:
        end = self._buffer.find(b"\n", place)
        if end < 0:
            return len(self._buffer), None
        self._skip = 0
        return end + 1, None


def _counted(head: bytes | bytearray) -> tuple[int, int] | Literal["more", "no"]:
    """Where a counted message begins and its length, from its first bytes."""
    digits = 0
    while digits < len(head) and 0x30 <= head[digits] <= 0x39:
        digits += 1
    if head[:1] == b"0" or digits > _COUNT_DIGITS or (digits == 0 and head):
        return "no"
    if head[digits : digits + 2] == b" <":
        return digits + 1, int(head[:digits])
    return "more" if len(head) < digits + 2 and head[digits : digits + 1] in (b"", b" ") else "no"


def _strip(data: bytes) -> bytes:
    """Without the line breaks and NULs that some senders put behind a message."""
    return data.rstrip(b"\r\n\0")
