"""The records of a Windows event log (EVTX) as JSON, in the order they were written; damaged ones in their place.

A log is a head of 4 KiB and chunks of 64 KiB. Each chunk is decoded by itself: what is damaged in one costs no other.
A log that is full begins again at its first chunk; so chunks come by the number of their first record.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from collectors.decoder import Decoder, Stuck

MAGIC = b"ElfFile\x00"

_HEAD, _CHUNK = 4096, 65_536
_CHUNK_MAGIC = b"ElfChnk\x00"
_RECORD_MAGIC = 0x2A2A
_FIRST_RECORD = 512
_MOST_STUCK = 8  # chunks of one log on which the decoder may hang
_LONGEST = 1 << 20
_NOT_ONE = "no Windows event log"
_DAMAGED_CHUNK = "a damaged chunk of an event log"
_DAMAGED_RECORD = "a damaged record of an event log"


_ANY_HEAD = struct.pack("<8sQQQIHHHH76xII", MAGIC, 0, 0, 1, 128, 1, 3, _HEAD, 1, 0, 0).ljust(_HEAD, b"\x00")
"""The head of a log with one chunk: that of the file says nothing that is needed, and may be damaged."""


class Found(NamedTuple):
    """A record, or what is damaged in its place."""

    data: bytes
    """JSON; of what is damaged, the bytes as they are in the file."""
    place: int
    """The byte of the file it begins at."""
    number: int = 0
    """Its number in the log, which only grows; 0 for what is damaged."""
    damage: str = ""
    """What is wrong with it; empty for a whole record."""
    truncated: bool = False
    """True when it was too long and only its beginning is here."""


def records(path: Path, *, patience: float = 10.0) -> Generator[Found, None, None]:
    """Every record of a log; `patience` is seconds for a chunk. Raises OSError when the file cannot be read."""
    with path.open("rb") as file, Decoder(patience=patience) as decoder:
        places = _chunks(file)
        stuck = 0
        if not places:
            file.seek(0)
            yield Found(file.read(_HEAD), 0, damage=_NOT_ONE)
        for place in places:
            file.seek(place)
            chunk = file.read(_CHUNK)
            if chunk.startswith(_CHUNK_MAGIC) and stuck < _MOST_STUCK:
                try:
                    yield from _decoded(decoder, chunk, place)
                except Stuck:
                    stuck += 1
                    yield Found(chunk, place, damage=_DAMAGED_CHUNK)
            elif any(chunk):  # one that is nothing but zeros was never used
                yield Found(chunk, place, damage=_DAMAGED_CHUNK)


def _chunks(file: BinaryIO) -> list[int]:
    """The places of the chunks, by the number of their first record; none for a file that is no event log."""
    size = file.seek(0, os.SEEK_END)
    found: list[tuple[int, int]] = []
    number = 0
    whole = False
    for place in range(_HEAD, size, _CHUNK):
        file.seek(place)
        head = file.read(32)
        if head.startswith(_CHUNK_MAGIC) and len(head) == 32:
            whole = True
            number = int.from_bytes(head[24:32], "little")  # what is damaged stays behind the one before it
        found.append((number, place))
    return [place for _, place in sorted(found)] if whole else []


def _decoded(decoder: Decoder, chunk: bytes, place: int) -> Iterator[Found]:
    known, end = _walk(chunk)
    for answer in decoder.decode(_ANY_HEAD + chunk.ljust(_CHUNK, b"\x00")):
        start, size = known.get(answer.number, (end, len(chunk) - end))
        if answer.data is None:
            yield Found(chunk[start : start + size], place + start, damage=_DAMAGED_RECORD)
        else:
            long = len(answer.data) > _LONGEST
            yield Found(answer.data[:_LONGEST], place + start, answer.number, truncated=long)


def _walk(chunk: bytes) -> tuple[dict[int, tuple[int, int]], int]:
    """Where the records of a chunk begin and how long they are, by number; and where there is none any more."""
    known: dict[int, tuple[int, int]] = {}
    place = _FIRST_RECORD
    while place + 24 <= len(chunk):
        magic, size, number = struct.unpack_from("<IIQ", chunk, place)
        if magic != _RECORD_MAGIC or size < 28 or place + size > len(chunk):
            break
        known[number] = (place, size)
        place += size
    return known, place
