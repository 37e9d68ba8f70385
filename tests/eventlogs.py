"""Windows event logs made for tests: whole, growing, full and begun again, or damaged as a test wants them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

HEAD, CHUNK = 4096, 65_536
FIRST = 512  # where the first record of a chunk begins

SYSTEM = {
    "EventID": "1",
    "TimeCreated": "2026-11-22T19:34:00Z",
    "EventRecordID": "{number}",
    "Channel": "Test",
    "Computer": "pc1",
}
"""What every event says of itself."""

_FILETIME = 133_000_000_000_000_000


def element(name: str, content: bytes, place: int) -> bytes:
    """An element in binary XML that begins at `place` of its chunk."""
    named = struct.pack("<IHH", 0, 0, len(name)) + name.encode("utf-16-le") + b"\0\0"
    inner = struct.pack("<I", place + 9) + named + b"\x02" + content + b"\x04"
    return b"\x01" + struct.pack("<I", len(inner)) + inner


def _start(name: str) -> int:
    """How far behind the element its content begins."""
    return 9 + 8 + 2 * len(name) + 2 + 1


def text(value: str) -> bytes:
    return b"\x05\x01" + struct.pack("<H", len(value)) + value.encode("utf-16-le")


def record(number: int, message: str, place: int) -> bytes:
    """A record with an event of a few elements."""
    body, at = b"", place + 24 + 4 + _start("Event")
    system, inner = b"", at + _start("System")
    for name, value in SYSTEM.items():
        system += element(name, text(value.format(number=number)), inner + len(system))
    body += element("System", system, at)
    data = element("Text", text(message), at + len(body) + _start("EventData"))
    body += element("EventData", data, at + len(body))
    xml = b"\x0f\x01\x01\x00" + element("Event", body, place + 24 + 4) + b"\x00"
    size = 24 + len(xml) + 4
    return struct.pack("<IIQQ", 0x2A2A, size, number, _FILETIME + number * 10_000_000) + xml + struct.pack("<I", size)


def chunk(messages: Sequence[str], first: int) -> bytes:
    """A chunk with these records, numbered from `first`."""
    records = b""
    last_place = FIRST
    for number, message in enumerate(messages, first):
        last_place = FIRST + len(records)
        records += record(number, message, last_place)
    last, free = first + len(messages) - 1, FIRST + len(records)
    assert free <= CHUNK, "too much for a chunk"
    head = struct.pack(
        "<8sQQQQIIII", b"ElfChnk\0", first, last, first, last, 128, last_place, free, zlib.crc32(records)
    )
    head = head.ljust(120, b"\0") + struct.pack("<II", 1, 0)
    return (head.ljust(FIRST, b"\0") + records).ljust(CHUNK, b"\0")


def log(chunks: Iterable[bytes]) -> bytes:
    """A whole log."""
    listed = list(chunks)
    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, len(listed) - 1, 1, 128, 1, 3, HEAD, len(listed))
    return head.ljust(HEAD, b"\0") + b"".join(listed)


def write(path: Path, messages: Sequence[str], *, first: int = 1, each: int = 50) -> Path:
    """A log with these messages, `each` of them in a chunk, put in its place as a whole."""
    chunks = [chunk(messages[at : at + each], first + at) for at in range(0, len(messages), each)]
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(log(chunks))
    return draft.replace(path)
