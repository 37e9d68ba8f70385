"""Files of every known format as events, for `almena replay` and `almena parse`: no service, no sockets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import msgspec

from almena.errors import ParseError, UsageError
from almena.event import Event
from almena.replay import Place, Reader, lines, native, open_file
from collectors.base import Context
from collectors.parsers import PARSERS

FORMATS = ("auto", "native", "evtx", "pcap", *PARSERS)
"""What `--format` may say; the names of parsers among them."""

SNIFF_LINES = 50
"""Lines that are looked at to recognise a format."""

Item = tuple[Place, bytes | Event | ParseError]

_EVTX_MAGIC = b"ElfFile\x00"
_PCAP_MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")


def read(path: Path, format_: str, zone: str = "America/Mexico_City") -> tuple[str, Iterator[Item], Reader]:
    """The format, the records with their places, and what turns a record into an event."""
    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}; there are {', '.join(FORMATS)}")
    if format_ == "auto":
        format_ = recognise(path)
    if format_ == "evtx":
        return format_, _evtx(path), reader("windows", path, zone)
    if format_ == "pcap":
        return format_, _pcap(path), native
    return format_, _lines(path), native if format_ == "native" else reader(format_, path, zone)


def reader(parser: str, path: Path, zone: str) -> Reader:
    """A parser with the context of a file: a year that is missing is that of the file's last change."""
    parse = PARSERS[parser]
    context = Context(received=path.stat().st_mtime_ns // 1000, zone=zone, source=path.stem, origin=str(path))
    return lambda raw, _: parse(raw, context)


def recognise(path: Path) -> str:
    """The format of a file by its first bytes and lines."""
    from collectors.parsers.sniff import sniff

    with open_file(path) as file:
        head = file.read(8)
    if head == _EVTX_MAGIC:
        return "evtx"
    if head[:4] in _PCAP_MAGICS:
        return "pcap"
    with open_file(path) as file:
        first = [line for _, _, line in islice(lines(file), SNIFF_LINES) if line.strip()]
    return sniff(first)


def _lines(path: Path) -> Iterator[Item]:
    with open_file(path) as file:
        for number, offset, line in lines(file):
            yield Place(str(path), number, offset), line


def _pcap(path: Path) -> Iterator[Item]:
    from collectors.packets import events_of

    for number, event in enumerate(events_of(path), 1):
        yield Place(str(path), number, 0), event


def _evtx(path: Path) -> Iterator[Item]:
    """Records of a Windows event log; a damaged one is an error in its place, the rest goes on."""
    from evtx import PyEvtxParser

    try:
        records: Iterable[object] = PyEvtxParser(str(path)).records_json()
    except (OSError, RuntimeError, ValueError) as error:
        yield Place(str(path), 1, 0), ParseError(f"no readable event log: {_brief(error)}")
        return
    iterator = iter(records)
    number = 0
    while True:
        number += 1
        try:
            record = next(iterator)
        except StopIteration:
            return
        except (OSError, RuntimeError, ValueError) as error:
            yield Place(str(path), number, 0), ParseError(f"damaged record: {_brief(error)}")
            continue
        data = record["data"]  # type: ignore[index]
        yield Place(str(path), number, 0), data.encode("utf-8", "surrogatepass")


def _brief(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:120]


def single_document(path: Path) -> Iterator[Item] | None:
    """The records of a file that is one JSON array, or None when it is none; at most 64 MiB."""
    with open_file(path) as file:
        data = file.read((64 << 20) + 1)
    if len(data) > 64 << 20 or not data.lstrip().startswith(b"["):
        return None
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    places = (Place(str(path), number, 0) for number in range(1, len(items) + 1))
    return chain(zip(places, map(bytes, items), strict=True))
