"""Squid's access log in its native format, and in the common and combined ones.

1795376040.123    250 10.20.0.5 TCP_TUNNEL/200 5120 CONNECT portal.example:443 ana HIER_DIRECT/203.0.113.5 -
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_count, put_end, put_url, put_user

_NATIVE = re.compile(
    r"(\d{9,11})\.(\d{3,6})\s{1,16}(-?\d{1,12}) (\S{1,256})(?: (\d{1,5}))? ([A-Z_]{3,64})/(\d{3}) (\d{1,18})"
    r"(?: (?:\d{1,18}|-)){0,6} ([A-Z0-9_-]{1,32}) (\S{1,65536}) (?:\d\.\d )?(\S{1,256}) ([A-Z_0-9]{2,64})/(\S{1,256})"
    r"(?: (\d{1,5}))?(?: (\S{1,256}))?",
    re.ASCII,
)
"""The native format, and the longer one of many sites, with ports, sizes and the version between its fields."""
_QUOTED = re.compile(r'"([^"]{0,8192})"', re.ASCII)
_BEHIND = re.compile(r" ([A-Z_]{3,64}):([A-Z_0-9]{2,64})$", re.ASCII)
_DENIED = ("TCP_DENIED", "NONE_ABORTED", "TCP_REDIRECT", "DENIED")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event."""
    line = _NATIVE.match(message)
    if line is not None:
        _native(line, event)
        return True
    behind = _BEHIND.search(message[-160:])
    if behind is None:
        return False
    try:
        event |= accesslog.convert(message, "squid.access", durations=False)
    except ParseError:
        return False
    event["event.action"] = behind[1]
    event["almena.squid.hierarchy"] = behind[2]
    return True


def _native(line: re.Match[str], event: Event) -> None:
    seconds, part, took, client, port, code, status, size, method, url, user, hierarchy, peer, to, kind = line.groups()
    event["@timestamp"] = format_time(int(seconds) * 1_000_000 + int(part[:6].ljust(6, "0")))
    number = int(status)
    denied = code.startswith(_DENIED)
    event |= {
        "event.category": ["web", "network"],
        "event.type": ["access", "denied"] if denied else ["access", "allowed"],
        "event.action": code,
        "event.outcome": "failure" if code.startswith("TCP_DENIED") or number >= 400 else "success",
        "event.duration": max(0, int(took)) * 1_000_000,
        "http.response.bytes": int(size),
        "destination.bytes": int(size),
        "almena.squid.hierarchy": hierarchy,
    }
    if number:
        event["http.response.status_code"] = number
    put_end(event, "source", client, port)
    if method not in ("-", "NONE"):
        event["http.request.method"] = method
    put_user(event, user)
    if "user.name" in event:
        event["source.user.name"] = event["user.name"]
    if given(kind) is not None:
        event["http.response.mime_type"] = kind
    put_url(event, url)
    put_end(event, "destination", peer if peer != "-" else event.get("url.domain"), to)
    _behind(line.string[line.end() :], event)


def _behind(rest: str, event: Event) -> None:
    """The referrer and the user agent, which the longer format quotes."""
    if '"' not in rest:
        return
    quoted = _QUOTED.findall(rest)
    for name, value in zip(("http.request.referrer", "user_agent.original"), quoted, strict=False):
        if given(value) is not None:
            event[name] = value


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a request as OPNsense has Squid write it."""
    return text_at(document, "service.type") == "squid" and "url" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one request, whose members have ECS's names but for the status."""
    moment = text_at(document, "@timestamp") or ""
    event: Event = {"@timestamp": format_time(instant(moment, context.zone) if moment else context.received)}
    put_end(event, "source", text_at(document, "source.ip"))
    put(event, "http.request.method", text_at(document, "http.request.method"))
    put(event, "http.version", text_at(document, "http.version"))
    put(event, "user_agent.original", text_at(document, "user_agent.original"))
    put(event, "message", text_at(document, "message"))
    put(event, "event.action", text_at(document, "labels.request_status"))
    put(event, "almena.squid.hierarchy", text_at(document, "labels.hierarchy_status"))
    put_user(event, text_at(document, "user.name"))
    put_url(event, text_at(document, "url.original"))
    put_end(event, "destination", event.get("url.domain"))
    status, size = (
        number(value_at(document, "http.response.body.status_code")),
        value_at(document, "http.response.bytes"),
    )
    denied = str(event.get("event.action", "")).startswith(_DENIED)
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
        event["event.outcome"] = "failure" if denied or status >= 400 else "success"
    put_count(event, "http.response.bytes", size)
    took = number(value_at(document, "event.duration"))
    if took is not None and 0 <= took < 10**10:
        event["event.duration"] = took * 1_000_000
    event["event.category"], event["event.type"] = ["web", "network"], ["access", "denied" if denied else "allowed"]
    return event


FORMAT = Format(
    name="squid",
    dataset="squid.access",
    read=read,
    convert=convert,
    fits=fits,
    programs=("squid", "squid3", "(squid-1)"),
    words=False,
)
