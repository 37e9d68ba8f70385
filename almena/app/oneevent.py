"""One event that a person names: a record of a file, of standard input or of the command line itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from almena import replay as replaying
from almena.clock import format_time, now
from almena.errors import ParseError, UsageError
from almena.event import Event

STDIN = "-"
"""The name of standard input."""

_Read = Callable[[bytes], Event]


@dataclass(frozen=True)
class Found:
    """An event, and what to know about where it was found."""

    event: Event
    notes: tuple[str, ...] = ()
    """What a person should hear of, such as that there are more."""


def one_event(named: str, format_: str = "auto", line: int | None = None) -> Found:
    """The event that `named` means: a file, `-` for standard input, or the record itself.

    `line` chooses the record of that number, the first one otherwise; an alert stands for its first event. Raises
    UsageError, also for a record that is not understood.
    """
    path = None if named == STDIN else _path(named)
    if path is not None:
        whole = _whole(path)
        return _of_file(path, format_, line) if whole is None else _of_data(whole, named, format_, line)
    if named == STDIN:
        return _of_data(sys.stdin.buffer.read(replaying.LONGEST_LINE + 1), "standard input", format_, line)
    if named.lstrip()[:1] not in ("{", "<") and not any(char.isspace() for char in named):
        raise UsageError(f"{named}: no such file; an event is a file, '-' for standard input, or a record in quotes")
    return _of_data(named.encode("utf-8", "surrogateescape"), "the record", format_, line)


def _path(named: str) -> Path | None:
    try:
        if Path(named).is_dir():
            raise UsageError(f"{named}: a folder; name one file in it")
        return Path(named) if Path(named).exists() else None
    except (OSError, ValueError):  # too long for a name, or a character no name has
        return None


def _whole(path: Path) -> bytes | None:
    """The content of a file that is one JSON object over several lines."""
    if path.suffix in replaying.PACKED or path.stat().st_size > replaying.LONGEST_LINE:
        return None
    data = path.read_bytes()
    return data if _object(data) is not None else None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _of_file(path: Path, format_: str, line: int | None) -> Found:
    from collectors.reading import read

    _, items, read_one = read(path, format_)
    wanted = (item for item in items if not isinstance(item[1], bytes) or item[1].strip())
    if line is not None:
        place, data = next((item for item in wanted if item[0].line >= line), (None, b""))
        if place is None or place.line != line:
            raise UsageError(f"{path}: there is no record {line}")
        return Found(_parsed(data, read_one, f"{path}:{line}"))
    first = list(islice(wanted, 2))
    if not first:
        raise UsageError(f"{path}: there is no record in it")
    notes = (f"{path}: the first of several records; --line N chooses another",) if len(first) > 1 else ()
    return Found(_parsed(first[0][1], read_one, f"{path}:{first[0][0].line}"), notes)


def _of_data(data: bytes, name: str, format_: str, line: int | None) -> Found:
    if len(data) > replaying.LONGEST_LINE:
        raise UsageError(f"{name}: longer than {replaying.LONGEST_LINE} bytes; write it into a file")
    notes: list[str] = []
    if _object(data) is None:
        records = [(number, text) for number, text in enumerate(data.splitlines(), 1) if text.strip()]
        chosen = [text for number, text in records if line in (None, number)]
        if not chosen:
            raise UsageError(f"{name}: there is no record{'' if line is None else f' {line}'} in it")
        if len(chosen) > 1:
            notes.append(f"{name}: the first of several records; --line N chooses another")
        data = chosen[0]
    elif line not in (None, 1):
        raise UsageError(f"{name}: there is no record {line}")
    event = _parsed(data, _reader(data, format_, notes), name)
    return Found(event, tuple(notes))


def _reader(data: bytes, format_: str, notes: list[str]) -> _Read:
    """What reads a record that stands alone; a JSON object without a time is taken to be of this moment."""
    from collectors.base import Context
    from collectors.parsers import PARSERS
    from collectors.parsers.sniff import sniff
    from collectors.reading import FORMATS

    if format_ not in FORMATS or format_ in ("evtx", "pcap"):
        raise UsageError(f"no format {format_!r} for one record; there are auto, native, {', '.join(PARSERS)}")
    if format_ == "native":
        return replaying.native
    context = Context(received=now(), source="explain")
    if format_ not in ("auto", "ecs") or _object(data) is None:
        parse = PARSERS[sniff([data]) if format_ == "auto" else format_]
        return lambda raw: parse(raw, context)

    def read(raw: bytes) -> Event:
        for document in _timed(_first_event(_object(raw) or {}, notes), notes):
            timed = msgspec.json.encode(document)
            try:
                return PARSERS[sniff([timed]) if format_ == "auto" else format_](timed, context)
            except (ParseError, UsageError):
                continue
        raise ParseError("no parser understands it; name its format with --format")

    return read


def _first_event(given: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The record itself, or the first event of the alert that it is."""
    evidence = given.get("almena.alert.evidence")
    if isinstance(evidence, dict) and isinstance(evidence.get("first"), dict):
        notes.append("an alert: its first event is taken")
        return dict(evidence["first"])
    return given


def _timed(given: dict[str, Any], notes: list[str]) -> Iterator[dict[str, Any]]:
    yield given
    notes.append("an event without a time that is understood: it is taken to be of this moment")
    yield given | {"@timestamp": format_time(now())}


def _parsed(data: bytes | ParseError, read: _Read, name: str) -> Event:
    if isinstance(data, ParseError):
        raise UsageError(f"{name}: {data}")
    if len(data) > replaying.LONGEST_LINE:
        raise UsageError(f"{name}: longer than {replaying.LONGEST_LINE} bytes")
    try:
        return read(data)
    except ParseError as error:
        raise UsageError(f"{name}: {error}") from None
