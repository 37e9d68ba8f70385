"""Lines of nginx: the access log in the combined format, whatever is added behind it or as JSON, and the error log."""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog, nginx_json
from collectors.parsers.common import address, instant, put_source
from collectors.parsers.format import Format
from collectors.parsers.network import put_end

# 2026/11/22 13:34:00 [error] 811#811: *5 open() "/x" failed (2: No such file), client: 192.0.2.7, server: _, ...
_ERROR = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[([a-z]{3,8})\] (\d{1,10})#\d{1,20}: (?:\*\d{1,20} )?", re.ASCII
)
_DETAIL = re.compile(r', (client|server|request|upstream|host|referrer): (?:"([^"]*)"|([^,"\s]+))', re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the access or the error log into the event; raises ParseError for anything else."""
    event |= convert(message, context)
    return True


def convert(line: str, context: Context) -> Event:
    """The event of a line that was decoded already."""
    error = _ERROR.match(line)
    if error is not None:
        return _error(line, error, context)
    return accesslog.convert(line, "nginx.access", durations=True)


def _error(line: str, match: re.Match[str], context: Context) -> Event:
    year, month, day, clock, level, pid = match.groups()
    event: Event = {
        "@timestamp": format_time(instant(f"{year}-{month}-{day}T{clock}", context.zone)),
        "event.kind": "event",
        "event.dataset": "nginx.error",
        "event.category": ["web"],
        "event.type": ["error"],
        "log.level": level,
        "process.pid": int(pid),
        "message": line[match.end() :],
        "event.original": line,
    }
    for name, quoted, bare in _DETAIL.findall(line, match.end()):
        value = quoted or bare
        if name == "client":
            put_source(event, value)
        elif name == "request":
            accesslog.put_request(value, event)
        elif name == "host":
            event["url.domain"] = value.partition(":")[0] if value.count(":") == 1 else value
        elif name == "upstream":
            _upstream(value, event)
        elif name == "referrer":
            event["http.request.referrer"] = value
    return event


def _upstream(value: str, event: Event) -> None:
    """The server behind: `http://10.0.0.9:8080/x`, `fastcgi://unix:/run/php.sock:`."""
    place = value.partition("://")[2].partition("/")[0]
    host, colon, port = place.rpartition(":")
    if colon and port.isdigit() and address(host.strip("[]")) is not None:
        put_end(event, "destination", host.strip("[]"), port)
    elif address(place) is not None:
        put_end(event, "destination", place)


FORMAT = Format(
    name="nginx",
    dataset="nginx.access",
    read=read,
    words=False,
    programs=("nginx",),
    convert=nginx_json.convert,
    fits=nginx_json.fits,
)
