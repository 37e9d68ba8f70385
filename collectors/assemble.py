"""What stands between the lines of a file and a parser that wants several at once: lines in, records out, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

LONGEST = (1 << 20) - (1 << 15)
"""Bytes of the lines of one record; leaves room for a header in front under the cap of the parsers."""

MOST_LINES = 500
"""Lines of one record."""


class Line(NamedTuple):
    """One line, without its end."""

    data: bytes
    start: int
    """The place of its first byte; later lines of a file have greater ones."""
    end: int
    """The place behind its end."""
    truncated: bool = False
    """True when it was longer than the cap and only its beginning is here."""
    number: int = 0
    """Its number in the file, for those who count."""


class Record(NamedTuple):
    """What one call of a parser reads."""

    data: bytes
    start: int
    """The place of its own first line; a header in front of it does not count."""
    truncated: bool = False
    number: int = 0
    """The number of its own first line."""


Span = tuple[int, int]
"""The start and the end of a line that is needed still."""


class Assembler(Protocol):
    """Puts the lines of one file, or of one stream, together to records. It knows no time and no other files.

    What it gives depends on the lines alone: one that is fed the lines of `spans` again goes on as this one would.
    """

    def add(self, line: Line) -> Sequence[Record]:
        """The records that are complete now, in the order in which they were completed. Empty lines may be added."""

    def end(self) -> Sequence[Record]:
        """No more lines come for what is unfinished: everything there is."""

    def head(self, line: Line) -> bool:
        """Take a line from the beginning of a file whose middle is read; False when it says nothing about the rest."""

    def spans(self) -> list[Span]:
        """The lines that are needed still, in the order of the file: those of unfinished records, and of a header."""

    def waiting(self) -> bool:
        """Whether there are unfinished records."""


class Group:
    """Lines that belong together, up to a bound."""

    __slots__ = ("lines", "quotes", "size")

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.size = 0
        self.quotes = 0
        """Double quotes in all of them."""

    def __len__(self) -> int:
        return len(self.lines)

    def fits(self, line: Line) -> bool:
        """Whether there is room for one more; a first line always fits."""
        return not self.lines or (len(self.lines) < MOST_LINES and self.size + len(line.data) + 1 <= LONGEST)

    def add(self, line: Line) -> None:
        """Take one more line."""
        self.lines.append(line)
        self.size += len(line.data) + 1
        self.quotes += line.data.count(b'"')

    def record(self) -> Record:
        """The lines as one record, without empty ones at the end."""
        first = self.lines[0]
        data = b"\n".join([line.data for line in self.lines]).rstrip(b"\n")
        return Record(data, first.start, any(line.truncated for line in self.lines), first.number)
