"""Records of any format: the one that understands them is found by trying; what none understands is kept all the same.

`event.module` says which format it was. A record of none becomes an event of the data set `unknown` with its text.
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import anyjson, formats, header, syslog
from collectors.parsers.common import json_object, text
from collectors.parsers.format import Format, finish
from collectors.parsers.shipped import beside, carries, taken_out

UNKNOWN = "unknown"
"""The data set of records that no format understands."""


def parse(raw: bytes, context: Context) -> Event:
    """One event from any record; raises ParseError only for what is empty, too long or no text."""
    return read(raw, context, None)


def read(raw: bytes, context: Context, first: Format | None) -> Event:
    """As `parse`; `first` is tried before all others."""
    line = text(raw)
    found = (
        _document(raw, line, context) if line[0] == "{" else _favourite(line, context, first) or _line(line, context)
    )
    if found is None:
        event: Event = {"event.dataset": UNKNOWN, "event.kind": "event", "@timestamp": format_time(context.received)}
        return finish(event, line, context)
    name, event = found
    event["event.module"] = name
    return event


def _document(raw: bytes, line: str, context: Context) -> tuple[str, Event] | None:
    try:
        document = json_object(raw)
        known = formats.of_document(document)
        if known is not None:
            return known.name, known.document(document, {}, context, line)
        return _shipped(document, context) or ("json", anyjson.convert(document, context))
    except ParseError:
        return None


def _shipped(document: dict[str, Any], context: Context) -> tuple[str, Event] | None:
    """The event of a line or an object that a shipper wrapped, where its format is known."""
    shipped = taken_out(document, context) if carries(document) else None
    if shipped is None:
        return None
    if shipped.line[0] != "{":
        found = _line(shipped.line, shipped.context)
    else:
        inner = json_object(shipped.line.encode("utf-8", "replace"))
        known = formats.of_document(inner)
        found = (known.name, known.document(inner, {}, shipped.context, shipped.line)) if known is not None else None
    return (found[0], beside(found[1], shipped.fields)) if found is not None else None


def _favourite(line: str, context: Context, first: Format | None) -> tuple[str, Event] | None:
    if first is None or first.read is None:
        return None
    event: Event = {}
    try:
        at = header.read(line, event, context, first.known) if line[0] == "<" else 0
        if formats.known(line, at) and not first.known(line, at):
            return None  # it reads what is more particularly another's
        found = first.message(line, at, event, context)
    except ParseError:
        return None
    return (first.name, found) if found is not None else None


def _line(line: str, context: Context) -> tuple[str, Event] | None:
    event: Event = {}
    at = 0
    try:
        if not formats.known(line, 0) and header.begins(line):
            at = header.read(line, event, context, formats.known)
        elif line[0] != "<":
            at = header.signed(line, event, formats.PROGRAMS)
    except ParseError:
        event, at = {}, 0
    found = formats.recognise(line, at, event, context)
    if found is None and line[0] != "<":
        # Logs of many programs begin with a time, which is no syslog header to them.
        found = _alone(line, 0, {}, context)
    if found is None and at:
        found = _alone(line, at, event, context) or ("syslog", syslog.plain(line, at, event, context))
    return found


def _alone(line: str, at: int, event: Event, context: Context) -> tuple[str, Event] | None:
    for each in formats.ALONE:
        if each.convert is not None and line.startswith("{", at):
            continue  # an object of that format would have been known by its keys
        found = formats.read(each, line, at, event, context)
        if found is not None:
            return each.name, found
    return None
