"""Files of every known format as events, for `almena replay` and `almena parse`: no service, no sockets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path

from almena.errors import ParseError, UsageError
from almena.event import encode
from almena.replay import LONGEST_LINE, PACKED, Item, Place, Reader, lines, native
from collectors import jsonarray
from collectors.assemble import Assembler, Line, Record
from collectors.assemblers import Recognised, assembler_for
from collectors.base import Context
from collectors.content import open_stream
from collectors.parsers import PARSERS

FORMATS = ("auto", "native", "evtx", "pcap", *PARSERS)
"""What `--format` may say; the names of parsers among them."""

SNIFF_RECORDS = 50
"""Records that are looked at to recognise a format."""

_HEAD = 4_096
_EVTX_MAGIC = b"ElfFile\x00"
_PCAP_MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
_MOST = 1 << 40  # bytes that are read of one packed file, unpacked


def read(path: Path, format_: str, zone: str = "America/Mexico_City") -> tuple[str, Iterator[Item], Reader]:
    """The format, the records with their places, and what turns a record into an event.

    A file that cannot be read, or not to its end, has an item that says so in place of what is missing. Raises
    UsageError for a format that is none and a file that cannot be opened.
    """
    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}; there are {', '.join(dict.fromkeys(FORMATS))}")
    if format_ == "auto":
        try:
            format_ = recognise(path)
        except ParseError as error:
            return "unknown", iter([(Place(shown(path), 1, 0), error)]), native
    match format_:
        case "evtx":
            return format_, _evtx(path), reader("windows", path, zone)
        case "pcap":
            return format_, _pcap(path), reader("ecs", path, zone)
        case "native":
            return format_, _records(path), native
    make = assembler_for(format_)
    return format_, _records(path, make() if make is not None else None), reader(format_, path, zone)


def reader(parser: str, path: Path, zone: str) -> Reader:
    """A parser with the context of a file: a year that is missing is that of the file's last change."""
    parse = PARSERS[parser]
    context = Context(received=path.stat().st_mtime_ns // 1000, zone=zone, source=path.stem, origin=shown(path))
    return lambda raw: parse(raw, context)


def shown(path: Path) -> str:
    """The path as text; bytes of a name that are no UTF-8 stand as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def recognise(path: Path) -> str:
    """The format of a file by its first bytes and records; raises ParseError when it is none that is known."""
    from collectors.parsers.sniff import sniff

    head = _head(path)
    if head[:8] == _EVTX_MAGIC:
        return "evtx"
    if head[:4] in _PCAP_MAGICS:
        return "pcap"
    records = islice(_records(path, Recognised()), SNIFF_RECORDS)
    first = [item for _, item in records if isinstance(item, bytes) and item.strip()]
    if not head.strip():
        return "syslog"  # nothing in it; any would do
    try:
        return sniff(first)
    except UsageError:
        raise ParseError("no parser understands this file; name its format with --format") from None


def _opened(path: Path) -> BufferedReader:
    try:
        return open_stream(path, _MOST, packed=path.suffix in PACKED)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _head(path: Path) -> bytes:
    with _opened(path) as file:
        try:
            return file.read(_HEAD)
        except OSError:
            raise ParseError("damaged at its beginning") from None


def _records(path: Path, assembler: Assembler | None = None) -> Iterator[Item]:
    """The lines of a file put together, or the elements of the JSON array that it is."""
    name, number, offset = shown(path), 0, 0
    with _opened(path) as file:
        try:
            is_array = jsonarray.begins(file.peek(_HEAD)[:_HEAD])
            split = jsonarray.elements(file, LONGEST_LINE) if is_array else lines(file)
            together = None if is_array else assembler
            for number, offset, data in split:
                if together is None:
                    yield Place(name, number, offset), data
                    continue
                for record in _together(together, number, offset, data):
                    yield Place(name, record.number, record.start), record.data
            for record in together.end() if together is not None else ():
                yield Place(name, record.number, record.start), record.data
        except OSError:
            for record in assembler.end() if assembler is not None else ():
                yield Place(name, record.number, record.start), record.data
            yield Place(name, number + 1, offset), ParseError("damaged from here on")


def _together(assembler: Assembler, number: int, offset: int, data: bytes) -> Iterable[Record]:
    """The records that a line completes; one too long stands alone, to be refused."""
    if len(data) > LONGEST_LINE:
        return [*assembler.end(), Record(data, offset, True, number)]
    return assembler.add(Line(data, offset, offset + len(data) + 1, False, number))


def _pcap(path: Path) -> Iterator[Item]:
    from collectors.packets import events_of

    name, number = shown(path), 0
    if path.suffix in PACKED:
        yield Place(name, 1, 0), ParseError("a compressed capture; unpack it first")
        return
    try:
        for number, event in enumerate(events_of(path), 1):
            yield Place(name, number, 0), encode(event)
    except (ParseError, OSError) as error:
        yield Place(name, number + 1, 0), error if isinstance(error, ParseError) else ParseError("cannot be read on")


def _evtx(path: Path) -> Iterator[Item]:
    """Records of a Windows event log; a damaged one is an error in its place, the rest goes on."""
    from collectors import eventlog

    name, number = shown(path), 0
    if path.suffix in PACKED:
        yield Place(name, 1, 0), ParseError("a compressed event log; unpack it first")
        return
    try:
        for number, found in enumerate(eventlog.records(path), 1):
            yield Place(name, number, found.place), ParseError(found.damage) if found.damage else found.data
    except OSError:
        yield Place(name, number + 1, 0), ParseError("cannot be read on")
