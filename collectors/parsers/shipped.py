"""Lines of text inside the JSON documents of shippers: Filebeat, Logstash, Fluent Bit, Vector, rsyslog.

    {"@timestamp": "2026-11-22T19:34:01Z", "message": "192.0.2.7 - - [22/Nov/2026:13:34:00 -0600] \\"GET / ...",
     "host": {"name": "web1"}, "log": {"file": {"path": "/var/log/nginx/access.log"}}, "agent": {"type": "filebeat"}}

The text goes through the parser of its source as if it had come alone. What the shipper says beside it (the host, the
file) stands where the line says nothing, what is no field of ECS under `almena.app.*`; its time is that of the event
only where the line has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from almena.ecs import fields as known
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context, Parser
from collectors.parsers import ecs
from collectors.parsers.common import MAX_FIELDS, flat, given, json_object

_TEXTS = ("event.original", "message", "MESSAGE", "log", "msg", "result._raw")
_MARKS = (
    *("agent.type", "agent.name", "agent.ephemeral_id", "beat.name", "input.type", "log.file.path", "log.offset"),
    *("@version", "fromhost", "source_type", "fluentbit.tag", "syslog.appname", "result._indextime"),
)
_READ = frozenset(("event.action", "event.category", "event.outcome", "source.ip", "source.address"))
_NOT_SAID = frozenset((*_TEXTS, *ecs.TIMES, "host", "event.created", "event.dataset", "event.module", "event.kind"))
_PROGRAMS = ("process.name", "log.syslog.appname", "syslog.appname", "appname", "programname", "program", "ident")
_HOSTS = ("host.name", "host.hostname", "log.syslog.hostname", "fromhost", "hostname", "host", "beat.hostname")

Bare = Callable[[str, Event, Context], Event]
"""The event of a message whose header the shipper has taken off, added to what it said there."""


class Shipped(NamedTuple):
    """A line as a shipper wraps it."""

    line: str
    fields: Event
    """What stands beside the line."""
    context: Context
    """The line's own: it was received when the shipper read it."""


def opened(parse: Parser, bare: Bare | None = None) -> Parser:
    """A parser that reads its lines also out of documents; what it understands as it is stays as it was.

    `bare` reads lines that `parse` refuses for want of a header.
    """

    def read(raw: bytes, context: Context) -> Event:
        try:
            return parse(raw, context)
        except ParseError:
            shipped = unwrap(raw, context)
            if shipped is None:
                raise
        try:
            event = parse(shipped.line.encode("utf-8", "replace"), shipped.context)
        except ParseError:
            if bare is None:
                raise
            event = bare(shipped.line.strip(), _header(shipped.fields), shipped.context)
        return beside(event, shipped.fields)

    return read


def unwrap(raw: bytes, context: Context) -> Shipped | None:
    """The line in a document, or None where there is no document, or no line in it."""
    if raw[:16].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return None
    try:
        return taken_out(json_object(raw), context)
    except ParseError:
        return None


def taken_out(document: dict[str, Any], context: Context) -> Shipped | None:
    """As `unwrap`, of a document that was decoded already; raises ParseError."""
    fields = flat(document)
    for name in _TEXTS:
        value = fields.get(name)
        if isinstance(value, str) and value and not value.isspace():
            return Shipped(value, fields, replace(context, received=_moment(fields, context)))
    return None


def carries(document: dict[str, Any]) -> bool:
    """Whether a document only carries a line or another document, as far as its keys tell: it has what shippers add,
    the original and nothing read from it, or no time of its own, which no application's document lacks."""
    fields = flat(document)
    if any(name in fields for name in _MARKS) or ("event.original" in fields and _READ.isdisjoint(fields)):
        return True
    return not any(name in fields for name in ecs.TIMES)


def beside(event: Event, fields: Event) -> Event:
    """The event with what the shipper said of what it says nothing; raises ParseError when that is too much."""
    if len(event) + len(fields) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    host = _first(fields, _HOSTS)
    if host is not None:
        event.setdefault("host.name", host)
    for name, value in ecs.disarm(fields).items():
        if name in event or name in _NOT_SAID or name.startswith("@"):
            continue
        event[name if name in known() or name.startswith("almena.app.") else f"almena.app.{name}"] = value
    return event


def _moment(fields: Event, context: Context) -> int:
    try:
        return ecs.moment(fields, context)
    except ParseError:
        return context.received


def _header(fields: Event) -> Event:
    """What a syslog header would have said."""
    event: Event = {}
    if (program := _first(fields, _PROGRAMS)) is not None:
        event["process.name"] = program
    if (host := _first(fields, _HOSTS)) is not None:
        event["host.name"] = host
    return event


def _first(fields: Event, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and (text := given(value)) is not None:
            return text
    return None
