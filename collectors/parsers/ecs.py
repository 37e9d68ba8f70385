"""Any JSON object that has a time: ECS documents, nested or dotted, and whatever else a shipper sends.

`event.dataset` is taken from the record (`event.dataset` or `data_stream.dataset`), otherwise it is `unknown`.
What only Almena may say of an event, such as `almena.alert.id`, is kept under `almena.app.*` instead.
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, epoch, flat, given, instant, json_object

TIMES = (
    "@timestamp",
    "timestamp",
    "time",
    "eventTime",
    "EventTime",
    "TimeCreated",
    "UtcTime",
    "ts",
    "datetime",
    "date",
    "timereported",
    "timegenerated",
)
"""Where documents have their time, the most certain first."""
OWN = ("almena.alert.", "almena.anomaly.", "almena.misfit", "almena.source.")
"""How the names begin that only Almena gives a value."""


def parse(raw: bytes, context: Context) -> Event:
    """One event from one JSON record; raises ParseError when it is no object or has no time."""
    return convert(json_object(raw), context)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of a record that was decoded already."""
    fields = flat(document)
    event_moment = moment(fields, context)
    event = disarm(fields)
    event["@timestamp"] = format_time(event_moment)
    dataset = given(event.get("event.dataset")) or given(event.get("data_stream.dataset")) or "unknown"
    event["event.dataset"] = dataset[:256]
    event.setdefault("event.kind", "event")
    if "message" in event:
        event["message"] = as_text(event["message"])
    return event


def moment(fields: Event, context: Context) -> int:
    """The time under the first name that has one; raises ParseError."""
    for name in TIMES:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return instant(value, "UTC" if name == "UtcTime" else context.zone)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return epoch(value)
    raise ParseError("a JSON object without a time; write it as '@timestamp': '2026-11-22T13:34:00-06:00'")


def disarm(fields: Event) -> Event:
    """The fields without what only Almena says of an event; strangers' claims of it stand under `almena.app.*`."""
    event: Event = {}
    for name, value in fields.items():
        if name == "event.id":
            event["almena.app.event_id"] = as_text(value)
        elif name.startswith(OWN):
            event[f"almena.app.{name[7:]}"] = as_text(value)
        elif name != "event.ingested":
            event[name] = value
    return event
