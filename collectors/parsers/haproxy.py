"""HAProxy's lines: requests in the HTTP, HTTPS and CLF formats, connections, errors, and the proxy's own messages.

203.0.113.9:51022 [22/Nov/2026:13:34:00.123] https~ portal/web1 0/0/1/12/13 200 512 - - ---- 5/5/1/1/0 "GET / HTTP/1.1"
Connect from 203.0.113.9:51022 to 198.51.100.2:443 (https/HTTP)
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import MONTHS, fraction, given, instant, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end

_DATE = r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)"
_HEAD = re.compile(
    rf"(\S{{1,64}}?):(\d{{1,5}}) \[{_DATE}(?:\.(\d{{1,6}}))?(?: ([+-]\d{{4}}))?\] ([^\s/~]{{1,128}})(~)?", re.ASCII
)
# A destination that somebody's format puts between the server and the timers is read too.
_SERVED = re.compile(r" ([^\s/]{1,128})/(\S{1,128})(?: ([A-Za-z0-9.:\[\]_-]{1,255}))? ([\d/+-]{1,64}) ", re.ASCII)
_COOKIES = r"(?:\S{1,1024} \S{1,1024} )?"
_HTTP = re.compile(
    rf"(-?\d{{1,3}}) \+?(\d{{1,18}}) {_COOKIES}(\S{{4}}) [\d/+-]{{1,64}} \d{{1,9}}/\d{{1,9}}"
    r"((?: \{[^}]{0,2048}\}){0,2}) \"(.*?)\"?"
    r"(?: [\d/A-Fa-f-]{1,64} (\S{1,255})/(\S{1,16})/(\S{1,128}))?$",
    re.ASCII | re.DOTALL,
)
_TCP = re.compile(r"\+?(\d{1,18}) (\S{2}) ([\d/+-]{1,64}) (\d{1,9}/\d{1,9})", re.ASCII)
_ERROR = re.compile(r"(?:/\S{0,128})?: (.{1,1024})$", re.ASCII | re.DOTALL)
_REFUSED = re.compile(
    r"(?:/\S{0,128})? (?:\d{1,9}/\d{1,9} )?(\d{1,9}/[\d/A-Fa-f-]{1,64}) (\S{1,255})/(\S{1,16})/(\S{1,128})$", re.ASCII
)
_CONNECT = re.compile(r"Connect from (\S{1,64}?):(\d{1,5}) to (\S{1,64}?):(\d{1,5}) \(([^\s/]{1,128})/(\w{1,8})\)")
_CLF = re.compile(
    rf"(\S{{1,64}}) \S{{1,64}} \S{{1,256}} \[{_DATE}(?:\.(\d{{1,6}}))? ([+-]\d{{4}})\] \"((?:[^\"\\]++|\\.)*+)\""
    r' (\d{1,3}) \+?(\d{1,18}) "" "" (\d{1,5}) (\d{1,3}) "([^"]{1,128}?)~?" "([^"]{0,128})" "([^"]{0,128})"'
    r"((?: -?\+?\d{1,12}){4,6}) \"?([A-Za-z-]{2,4})\"? ",
    re.ASCII | re.DOTALL,
)
_STATE = re.compile(
    r"(?:Server (\S{1,256}) is (UP|DOWN|going DOWN)|Proxy (\S{1,256}) (?:started|stopped)|[Bb]ackend (\S{1,256}) has "
    r"no server|(?:Health|Agent) check for (?:backup )?server|(?:Stopping|Pausing|Enabling) (?:\w{1,16} )?\S{1,256}"
    r"|(\S{1,256}) \S{1,256} is (?:UP|DOWN))",
    re.ASCII,
)


@lru_cache(maxsize=4_096)
def _second(day: str, month: str, year: str, clock: str, zone: str) -> int:
    if month not in MONTHS:
        raise ParseError("a month that does not exist")
    if zone[0] in "+-":
        return instant(f"{year}-{MONTHS[month]:02}-{day}T{clock}{zone}", "UTC")
    return local(int(year), MONTHS[month], int(day), clock, zone_of(zone))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event."""
    head = _HEAD.match(message)
    if head is None:
        return _clf(message, event) or _connect(message, event) or _own(message, event)
    host, port, day, month, year, clock, part, away, frontend, tls = head.groups()
    moment = _second(day, month, year, clock, away or context.zone) + fraction(part)
    event["@timestamp"] = format_time(moment)
    _client(event, host, port)
    event["almena.haproxy.frontend"] = frontend
    if tls:
        event["network.protocol"] = "https"
    served = _SERVED.match(message, head.end())
    if served is None:
        return _failed(message, head.end(), event)
    event["almena.haproxy.backend"], event["almena.haproxy.server"] = served[1], served[2]
    put_end(event, "destination", served[3])
    total = served[4].rpartition("/")[2].lstrip("+")
    if total.isdigit() and len(total) < 12:
        event["event.duration"] = int(total) * 1_000_000
    http = _HTTP.match(message, served.end())
    if http is not None:
        status, size, state, captured, request, *tail = http.groups()
        _request(event, status, size, state, request)
        if captured:
            event["almena.haproxy.captured"] = captured.strip()
        _tls(event, tail)
        return True
    tcp = _TCP.match(message, served.end())
    if tcp is None:
        return False
    event |= {"event.category": ["network"], "event.type": ["connection", "end"], "network.transport": "tcp"}
    put_count(event, "destination.bytes", tcp[1])
    event["almena.haproxy.termination"] = tcp[2]
    event["event.outcome"] = "success" if tcp[2][0] == "-" else "failure"
    return True


def _client(event: Event, host: str, port: str) -> None:
    put_end(event, "source", host.strip("[]") if host != "unix" else None, port if host != "unix" else None)


def _failed(message: str, at: int, event: Event) -> bool:
    """A connection that came to nothing: a sentence, or the numbers that the HTTPS format writes instead."""
    error, refused = _ERROR.match(message, at), _REFUSED.match(message, at)
    if error is None and refused is None:
        return False
    event |= {"event.category": ["network"], "event.type": ["error"], "event.outcome": "failure"}
    if error is not None:
        event["event.reason"] = event["message"] = error[1]
    elif refused is not None:
        event["event.code"] = refused[1]
        _tls(event, list(refused.groups()[1:]))
    return True


def _tls(event: Event, tail: list[str | None]) -> None:
    """What the HTTPS format ends with: the name the client asked for, the version and the cipher."""
    name, version, cipher = (given(part) for part in tail)
    if name is not None:
        event["tls.client.server_name"] = event["destination.domain"] = event["destination.address"] = name
        event.setdefault("url.domain", name)
    if version is not None:
        event["tls.version"] = version.removeprefix("TLSv")
        event["tls.version_protocol"] = "tls" if version.startswith("TLS") else "ssl"
    if cipher is not None:
        event["tls.cipher"] = cipher


def _request(event: Event, status: str, size: str, state: str, request: str) -> None:
    code = int(status)
    event |= {"event.category": ["web", "network"], "event.type": ["access"], "almena.haproxy.termination": state}
    event["event.outcome"] = "success" if 0 < code < 400 else "failure"
    event["http.response.bytes"] = int(size)
    if code > 0:
        event["http.response.status_code"] = code
    if code >= 400 or code <= 0:
        event["event.type"] = ["access", "error"]
    if request != "<BADREQ>":
        accesslog.put_request(request, event)


def _clf(message: str, event: Event) -> bool:
    """The common log format with what HAProxy adds, every text in quotes."""
    found = _CLF.match(message)
    if found is None:
        return False
    host, day, month, year, clock, part, away, request, status, size, port, ms, front, back, server = found.groups()[
        :15
    ]
    event["@timestamp"] = format_time(_second(day, month, year, clock, away) + fraction(part or ms.rjust(3, "0")))
    _client(event, host, port)
    event |= {"almena.haproxy.frontend": front, "almena.haproxy.backend": back, "almena.haproxy.server": server}
    total = found[16].rpartition(" ")[2].lstrip("+")
    if total.isdigit():
        event["event.duration"] = int(total) * 1_000_000
    if request == "TCP ":
        event |= {"event.category": ["network"], "event.type": ["connection", "end"], "network.transport": "tcp"}
        event["almena.haproxy.termination"] = found[17]
        event["event.outcome"] = "success" if found[17][0] == "-" else "failure"
        put_count(event, "destination.bytes", size)
    else:
        _request(event, status, size, found[17], request)
    return True


def _connect(message: str, event: Event) -> bool:
    found = _CONNECT.match(message)
    if found is None:
        return False
    put_end(event, "source", found[1].strip("[]"), found[2])
    put_end(event, "destination", found[3].strip("[]"), found[4])
    event |= {"event.category": ["network"], "event.type": ["connection", "start"], "network.transport": "tcp"}
    event |= {"almena.haproxy.frontend": found[5], "message": message}
    if found[6] == "HTTP":
        event["event.category"] = ["web", "network"]
    return True


def _own(message: str, event: Event) -> bool:
    state = _STATE.search(message[:1_024])
    if state is None:
        return False
    event |= {"event.category": ["web"], "event.type": ["info"], "message": message}
    return True


FORMAT = Format(
    name="haproxy",
    dataset="haproxy.log",
    read=read,
    programs=("haproxy", "haproxy-systemd-wrapper", "hapee-lb"),
    words=False,
)
