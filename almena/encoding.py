"""How the text of a log file is encoded, by the mark it begins with; lines leave in UTF-8."""

from __future__ import annotations

_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NEWLINES = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}


def encoding_of(head: bytes) -> str:
    """`utf-8`, `utf-16-le` or `utf-16-be`, by the first two bytes of a file."""
    return _MARKS.get(head[:2], "utf-8")


def mark_of(head: bytes) -> int:
    """How many bytes the mark at the beginning takes, 0 when there is none."""
    return 2 if head[:2] in _MARKS else 3 if head.startswith(b"\xef\xbb\xbf") else 0


def line_end(data: bytes, place: int, encoding: str) -> tuple[int, int]:
    """Where the line that begins at `place` ends, and where the next begins; (-1, -1) when its end is not there yet.

    `data` begins at a character.
    """
    newline = _NEWLINES.get(encoding)
    if newline is None:
        end = data.find(b"\n", place)
        return end, end + 1 if end >= 0 else -1
    end = data.find(newline, place)
    while end >= 0 and end % 2:  # two halves of neighbours that look like it
        end = data.find(newline, end + 1)
    return end, end + 2 if end >= 0 else -1


def to_utf_8(line: bytes, encoding: str) -> bytes:
    """The line in UTF-8 and without a carriage return at its end; what is no character becomes U+FFFD."""
    if encoding != "utf-8":
        line = line.decode(encoding, "replace").encode()
    return line.rstrip(b"\r")
