"""Files whose columns are named by a header: every record is handed on with the header lines in front of it.

W3C extended logs (IIS, Exchange) and Zeek's tab-separated ones. Lines that begin with `#` are no records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from collectors.assemble import Line, Record, Span

_LONGEST_HEADER = 16 << 10  # bytes; every record carries them
_NAME = re.compile(rb"#([A-Za-z_-]{1,32})")
_W3C = re.compile(rb"#(?:Software|Version|Date|Start-Date|End-Date|Fields|Log-type|Remark): ")
_ZEEK = re.compile(rb"#(?:separator |(?:set_separator|empty_field|unset_field|path|open|close|fields|types)\t)")
_KEPT = frozenset(
    (b"software", b"fields", b"separator", b"set_separator", b"empty_field", b"unset_field", b"path", b"types")
)
_FIRST = frozenset((b"software", b"separator"))  # those a header begins with: what was said before is void


def is_header(data: bytes) -> bool:
    """Whether a line of any file looks like one of a header."""
    return data.startswith(b"#") and (_W3C.match(data) is not None or _ZEEK.match(data) is not None)


class Header:
    """Remembers the header's lines, of which the later ones replace the earlier ones."""

    def __init__(self) -> None:
        self._lines: dict[bytes, Line] = {}
        self._front = b""

    def add(self, line: Line) -> Sequence[Record]:
        """A line with the header in front; nothing for a line of the header."""
        if not line.data or self.head(line):
            return ()
        return (self.record(line),)

    def record(self, line: Line) -> Record:
        """The line with the header in front."""
        return Record(self._front + line.data, line.start, line.truncated, line.number)

    def head(self, line: Line) -> bool:
        """Remember a line of the header."""
        if not line.data.startswith(b"#"):
            return False
        found = _NAME.match(line.data)
        name = found[1].lower() if found else b""
        if name in _FIRST:
            self._lines.clear()
        if name in _KEPT:
            self._lines.pop(name, None)
            if not line.truncated:
                self._lines[name] = line
            front = b"".join([kept.data + b"\n" for kept in self._lines.values()])
            self._front = front if len(front) <= _LONGEST_HEADER else b""
        return True

    def end(self) -> Sequence[Record]:
        """Nothing is ever unfinished."""
        return ()

    def spans(self) -> list[Span]:
        """The lines of the header."""
        return [(line.start, line.end) for line in self._lines.values()]

    def waiting(self) -> bool:
        """Nothing is ever unfinished."""
        return False
