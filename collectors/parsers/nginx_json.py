"""Access logs of nginx and Apache as JSON, by the names of nginx's variables, which most configurations keep.

{"time_iso8601": "2026-11-22T13:34:00-06:00", "remote_addr": "203.0.113.9", "request": "GET / HTTP/1.1", "status": 200}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import MONTHS, address, as_text, epoch, given, instant, number, put_source
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_end, put_user

_LOCAL = re.compile(r"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)\]?$", re.ASCII)
_CLIENTS = ("remote_addr", "remote_ip", "client_ip", "clientip", "client")
_STATUS = ("status", "status_code", "response")
_TEXTS = {
    "http_user_agent": "user_agent.original",
    "user_agent": "user_agent.original",
    "agent": "user_agent.original",
    "http_referrer": "http.request.referrer",
    "http_referer": "http.request.referrer",
    "referrer": "http.request.referrer",
    "referer": "http.request.referrer",
    "ssl_cipher": "tls.cipher",
    "request_id": "http.request.id",
}
_HOSTS = ("http_host", "host", "server_name", "vhost")


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is a line of an access log: a client, a status, and what was asked for."""
    if not any(name in document for name in _CLIENTS) or not any(name in document for name in _STATUS):
        return False
    return "request" in document or "request_uri" in document or ("request_method" in document and "uri" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; raises ParseError for one that is no line of an access log."""
    if not fits(document):
        raise ParseError("no access log in JSON: it lacks remote_addr, status, or request")
    status = number(_first(document, _STATUS))
    event: Event = {
        "event.dataset": "nginx.access",
        "event.category": ["web"],
        "event.type": ["access", "error"] if (status or 0) >= 400 else ["access"],
        "event.original": as_text(document),
    }
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
        event["event.outcome"] = "failure" if status >= 400 else "success"
    _time(document, event, context)
    client = _first(document, _CLIENTS)
    if client is not None:
        put_source(event, client, text_at(document, "remote_port"))
    _request(document, event)
    for key, name in _TEXTS.items():
        if name not in event:
            put(event, name, text_at(document, key))
    put(event, "tls.version", (text_at(document, "ssl_protocol") or "").removeprefix("TLSv"))
    put_user(event, text_at(document, "remote_user") or text_at(document, "user"))
    forwarded = address((text_at(document, "http_x_forwarded_for") or "").partition(",")[0].strip())
    if forwarded is not None:
        event["network.forwarded_ip"] = forwarded
    server = address(text_at(document, "server_addr"))
    put_end(event, "destination", server, text_at(document, "server_port") if server else None)
    _amounts(document, event)
    return event


def _first(document: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := text_at(document, name)) is not None), None)


def _time(document: dict[str, Any], event: Event, context: Context) -> None:
    with suppress(ParseError, ValueError, OverflowError):
        seconds = given(document.get("msec"))
        written = _first(document, ("time_iso8601", "@timestamp", "timestamp", "time_local", "time", "date"))
        found = _LOCAL.match(written or "")
        if found is not None and found[2] in MONTHS:
            day, month, year, clock, hours, minutes = found.groups()
            written = f"{year}-{MONTHS[month]:02}-{day}T{clock}{hours}:{minutes}"
        if seconds is not None and len(seconds) <= 20:
            event["@timestamp"] = format_time(epoch(float(seconds)))
        elif written is not None and re.fullmatch(r"\d{9,13}(?:\.\d{1,9})?", written, re.ASCII):
            event["@timestamp"] = format_time(epoch(float(written)))
        elif written is not None:
            event["@timestamp"] = format_time(instant(written[:64], context.zone))


def _request(document: dict[str, Any], event: Event) -> None:
    line = text_at(document, "request")
    method = _first(document, ("request_method", "method", "verb"))
    target = _first(document, ("request_uri", "uri"))
    if line is not None and (" " in line or method is None):
        accesslog.put_request(line, event)
    elif method is not None and target is not None:
        query = text_at(document, "args") or text_at(document, "query_string")
        asked = f"{target}?{query.lstrip('?')}" if query and "?" not in target else target
        accesslog.put_request(f"{method} {asked} {text_at(document, 'server_protocol') or 'HTTP/1.1'}", event)
        if text_at(document, "server_protocol") is None:
            event.pop("http.version", None)
    host = _first(document, _HOSTS)
    if host is not None and "url.domain" not in event:
        event["url.domain"] = host.partition(":")[0] if host.count(":") == 1 else host
    put(event, "url.scheme", text_at(document, "scheme"))


def _amounts(document: dict[str, Any], event: Event) -> None:
    for keys, name in (
        (("body_bytes_sent", "bytes_sent", "bytes"), "http.response.body.bytes"),
        (("request_length",), "http.request.bytes"),
    ):
        found = number(_first(document, keys))
        if found is not None and found >= 0:
            event[name] = found
    with suppress(ValueError):
        seconds = float((text_at(document, "request_time") or "x")[:20])
        if 0 <= seconds < 1e8:
            event["event.duration"] = round(seconds * 1e9)
