"""HAProxy's lines: requests in the HTTP and HTTPS formats, connections in the TCP format, errors and its own messages.

203.0.113.9:51022 [22/Nov/2026:13:34:00.123] https~ portal/web1 0/0/1/12/13 200 512 - - ---- 5/5/1/1/0 "GET / HTTP/1.1"
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import MONTHS, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end

_HEAD = re.compile(
    r"(\S{1,64}?):(\d{1,5}) \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\] ([^\s/~]{1,128})(~)?",
    re.ASCII,
)
_SERVED = re.compile(r" ([^\s/]{1,128})/(\S{1,128}) ([\d/+-]{1,64}) ", re.ASCII)
_HTTP = re.compile(
    r"(-?\d{1,3}) \+?(\d{1,18}) (\S{1,256}) (\S{1,256}) (\S{4}) ([\d/+]{5,64}) (\d{1,9}/\d{1,9})((?: \{[^}]{0,2048"
    r"}\}){0,2}) \"(.*?)\"?"
    r"(?: (\d{1,4}/\S{1,64}) (\S{1,256}))?$",
    re.ASCII | re.DOTALL,
)
_TCP = re.compile(r"\+?(\d{1,18}) (\S{2}) ([\d/+]{5,64}) (\d{1,9}/\d{1,9})", re.ASCII)
_ERROR = re.compile(r"/?(\S{0,128}): (.{1,1024})$", re.ASCII | re.DOTALL)
_STATE = re.compile(
    r"(?:Server (\S{1,256}) is (UP|DOWN|going DOWN)|Proxy (\S{1,256}) (?:started|stopped)|backend (\S{1,256}) has "
    r"no server"
    r"|(\S{1,256}) \S{1,256} is (?:UP|DOWN))",
    re.ASCII,
)


@lru_cache(maxsize=4_096)
def _second(day: str, month: str, year: str, clock: str, zone: str) -> int:
    if month not in MONTHS:
        raise ParseError("a month that does not exist")
    return local(int(year), MONTHS[month], int(day), clock, zone_of(zone))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event."""
    head = _HEAD.match(message)
    if head is None:
        return _own(message, event)
    host, port, day, month, year, clock, part, frontend, tls = head.groups()
    moment = _second(day, month, year, clock, context.zone) + (int(part.ljust(6, "0")) if part else 0)
    event["@timestamp"] = format_time(moment)
    put_end(event, "source", host.strip("[]"), port)
    event["almena.haproxy.frontend"] = frontend
    if tls:
        event["network.protocol"] = "https"
    served = _SERVED.match(message, head.end())
    if served is None:
        error = _ERROR.match(message, head.end())
        if error is None:
            return False
        event |= {"event.category": ["network"], "event.type": ["error"], "event.outcome": "failure"}
        event |= {"event.reason": error[2], "message": error[2]}
        return True
    event["almena.haproxy.backend"], event["almena.haproxy.server"] = served[1], served[2]
    timers = served[3].split("/")
    total = timers[-1].lstrip("+")
    if total.isdigit() and len(total) < 12:
        event["event.duration"] = int(total) * 1_000_000
    http = _HTTP.match(message, served.end())
    if http is not None:
        _request(http, event)
        return True
    tcp = _TCP.match(message, served.end())
    if tcp is None:
        return False
    event |= {"event.category": ["network"], "event.type": ["connection", "end"], "network.transport": "tcp"}
    put_count(event, "destination.bytes", tcp[1])
    event["almena.haproxy.termination"] = tcp[2]
    event["event.outcome"] = "success" if tcp[2][0] == "-" else "failure"
    return True


def _request(http: re.Match[str], event: Event) -> None:
    status, size, _, _, state, _, _, captured, request, _, _ = http.groups()
    code = int(status)
    event |= {"event.category": ["web", "network"], "event.type": ["access"], "almena.haproxy.termination": state}
    event["event.outcome"] = "success" if 0 < code < 400 else "failure"
    event["http.response.bytes"] = int(size)
    if code > 0:
        event["http.response.status_code"] = code
    if code >= 400 or code < 0:
        event["event.type"] = ["access", "error"]
    if captured:
        event["almena.haproxy.captured"] = captured.strip()
    if request != "<BADREQ>":
        accesslog.put_request(request, event)


def _own(message: str, event: Event) -> bool:
    state = _STATE.search(message[:1_024])
    if state is None:
        return False
    event |= {"event.category": ["web"], "event.type": ["info"], "message": message}
    return True


FORMAT = Format(
    name="haproxy", dataset="haproxy.log", read=read, programs=("haproxy", "haproxy-systemd-wrapper"), words=False
)
