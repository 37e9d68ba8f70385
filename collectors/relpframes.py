"""The frames of RELP, cut from any pieces: transaction number, command, length, data, line break."""

from __future__ import annotations

import re
from typing import NamedTuple

_HEADER = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})(?=[ \n])")
_BEGINNING = re.compile(rb"[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: (?:[0-9]{1,9})?)?)?)?")
_LONGEST_HEADER = 9 + 1 + 32 + 1 + 9


class Command(NamedTuple):
    """One command of a client."""

    number: int
    """Its transaction, which the answer names."""
    name: bytes
    data: bytes
    truncated: bool
    """True when the data was longer than the limit and only its beginning was kept."""


class Frames:
    """Cuts a stream into commands, whatever the pieces it comes in; it holds `limit` bytes of data at most.

    What is no RELP cannot be followed any further: `broken` then says why, and nothing more is taken.
    """

    def __init__(self, limit: int) -> None:
        self.broken = ""
        """Why the stream cannot be followed, once it cannot."""
        self._limit = limit
        self._buffer = bytearray()
        self._open: tuple[int, bytes, int] | None = None  # number, name and length of the command under way
        self._data: bytes | None = None  # of the command under way, once it is there or cut
        self._skip = 0  # bytes of it beyond the limit that are still to come

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are complete now."""
        commands: list[Command] = []
        if self.broken:
            return commands
        self._buffer += data
        place = 0
        while (step := self._next(place)) is not None:
            place, command = step
            if command is not None:
                commands.append(command)
        del self._buffer[:place]
        return commands

    def _next(self, place: int) -> tuple[int, Command | None] | None:
        """The place behind the next part of a frame, and the command it completes; None when more bytes are needed."""
        if self._open is None:
            return self._header(place)
        if self._data is None:
            return self._body(place, self._open[2])
        if self._skip:
            skipped = min(self._skip, len(self._buffer) - place)
            self._skip -= skipped
            return (place + skipped, None) if skipped else None
        return self._trailer(place, *self._open, self._data)

    def _header(self, place: int) -> tuple[int, None] | None:
        head = bytes(self._buffer[place : place + _LONGEST_HEADER + 1])
        if found := _HEADER.match(head):
            number, name, length = int(found[1]), found[2], int(found[3])
            self._open = number, name, length
            if head[found.end()] == 0x20:
                return place + found.end() + 1, None
            if length:
                self.broken = "a length, and no data behind it"
                return None
            self._data = b""
            return place + found.end(), None
        if head and not _BEGINNING.fullmatch(head):
            self.broken = "no RELP frame"
        return None

    def _body(self, place: int, length: int) -> tuple[int, None] | None:
        kept = min(length, self._limit)
        if len(self._buffer) - place < kept:
            return None
        self._data = bytes(self._buffer[place : place + kept])
        self._skip = length - kept
        return place + kept, None

    def _trailer(self, place: int, number: int, name: bytes, length: int, data: bytes) -> tuple[int, Command] | None:
        if place >= len(self._buffer):
            return None
        if self._buffer[place] != 0x0A:
            self.broken = "a length that is not true"
            return None
        self._open = self._data = None
        return place + 1, Command(number, name, data, length > len(data))


def response(number: int, data: bytes = b"200 OK") -> bytes:
    """The answer to a transaction."""
    return b"%d rsp %d %s\n" % (number, len(data), data) if data else b"%d rsp 0\n" % number
