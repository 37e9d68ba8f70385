"""Lines of web servers in the common and combined formats, as nginx and Apache write them.

    203.0.113.9 - ana [22/Nov/2026:13:34:00 -0600] "GET /pagos?x=1 HTTP/1.1" 200 512 "-" "Mozilla/5.0"

The time in brackets with the quote behind it is looked for first: whatever a client may put before it (a user name)
cannot hold a bare quote, since servers escape it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.parsers.common import MONTHS, address, local, put_source, unescape, zone_of

_WHEN = re.compile(r" \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] \"", re.ASCII)
_QUOTED = r'((?:[^"\\]++|\\.)*+)"'
_REST = re.compile(rf'{_QUOTED} (\d{{3}}) (\d{{1,18}}|-)(?: "{_QUOTED} "{_QUOTED})?', re.ASCII | re.DOTALL)
_METHOD = re.compile(r"[A-Za-z_-]{1,32}$", re.ASCII)
_TAIL = re.compile(r' (?:"([^"]{0,1024})"|([^\s"]{1,256}))', re.ASCII)
_SECONDS = re.compile(r"(?:rt=|request_time=)?(\d{1,6}\.\d{3})$", re.ASCII)


@lru_cache(maxsize=4_096)
def time_of(written: str) -> str:
    """`22/Nov/2026:13:34:00 -0600` as RFC 3339 in UTC; raises ParseError."""
    if written[3:6] not in MONTHS:
        raise ParseError("a month that does not exist")
    moment = local(int(written[7:11]), MONTHS[written[3:6]], int(written[:2]), written[12:20], zone_of("UTC"))
    away = (int(written[22:24]) * 60 + int(written[24:26])) * 60 * SECOND
    return format_time(moment + away if written[21] == "-" else moment - away)


def convert(line: str, dataset: str, *, durations: bool) -> Event:
    """The event of one line; `durations` tells that a number with three decimals behind it is the request's time.

    Raises ParseError when the line is in neither format.
    """
    when = _WHEN.search(line)
    if when is None:
        raise ParseError("no access log: no time in brackets with the quoted request behind it")
    rest = _REST.match(line, when.end())
    if rest is None:
        raise ParseError("the request, the status or the size is malformed", when.end())
    request, status_text, size, referrer, agent = rest.groups()
    status = int(status_text)
    event: Event = {
        "@timestamp": time_of(when[1]),
        "event.kind": "event",
        "event.dataset": dataset,
        "event.category": ["web"],
        "event.type": ["access", "error"] if status >= 400 else ["access"],
        "event.outcome": "failure" if status >= 400 else "success",
        "http.response.status_code": status,
        "event.original": line,
    }
    _client(line[: when.start()], event)
    put_request(unescape(request), event)
    if size != "-":
        event["http.response.body.bytes"] = int(size)
    if referrer not in (None, "-", ""):
        event["http.request.referrer"] = unescape(referrer)
    if agent not in (None, "-", ""):
        event["user_agent.original"] = unescape(agent)
    if rest.end() < len(line):
        _behind(line, rest.end(), event, durations)
    return event


def _client(before: str, event: Event) -> None:
    parts = before.split(" ", 2)
    if len(parts) == 3 and parts[1] == "-" and parts[0][-1:] not in ("", ",") and parts[2][:1] not in ("[", "-", ""):
        client, user = parts[0], parts[2]  # nearly all
        if address(client) is None and ":" in client:
            client, user = _unusual(before, event)
    else:
        client, user = _unusual(before, event)
    put_source(event, client)
    if user not in ("-", '""', ""):
        event["user.name"] = unescape(user)


def _unusual(before: str, event: Event) -> tuple[str, str]:
    """The client and the user where a virtual host or a list of addresses stands in front, or a proxy's client behind;
    raises ParseError when either is missing."""
    words = before.split(" ")
    listed = 0
    while listed < len(words) - 1 and words[listed][-1:] == ",":
        listed += 1
    client, rest = words[0].rstrip(","), words[listed + 1 :]
    if not listed and len(words) >= 4 and address(client) is None and words[1] not in ("-", ""):
        domain, _, port = client.rpartition(":")
        if domain and port.isascii() and port.isdigit() and len(port) < 6:
            event["url.domain"], event["url.port"] = domain, int(port)
        else:
            event["url.domain"] = client
        client, rest = words[1], words[2:]
    if len(rest) < 2 or not client:
        raise ParseError("the client, the identity or the user is missing", 0)
    user = rest[1:]
    if user[0][:1] == "[" and len(user) >= 3 and user[1] == "-":
        user = user[2:]  # ingress-nginx repeats the address in brackets
    return client, " ".join(user)


def put_request(request: str, event: Event) -> None:
    """`GET /x HTTP/1.1`; a request that is none is kept whole as `url.original`, for it is an event all the same."""
    method, found, rest = request.partition(" ")
    if not found or _METHOD.match(method) is None:
        if request not in ("", "-"):
            event["url.original"] = request
        return
    target, found, protocol = rest.rpartition(" ")
    if found and protocol.startswith("HTTP/"):
        event["http.version"] = protocol[5:]
    else:
        target = rest
    event["http.request.method"] = method
    event["url.original"] = target
    if "://" in target[:16]:
        scheme, _, target = target.partition("://")
        domain, slash, target = target.partition("/")
        event["url.scheme"], event["url.domain"] = scheme, domain
        target = slash + target
    path, found, query = target.partition("?")
    event["url.path"] = path.partition("#")[0]
    if found:
        event["url.query"] = query


def _behind(line: str, at: int, event: Event, durations: bool) -> None:
    """What formats add at the end: whom it was forwarded for (quoted addresses), and how long it took."""
    for _ in range(8):
        part = _TAIL.match(line, at)
        if part is None:
            return
        at = part.end()
        if part[1] is not None and "network.forwarded_ip" not in event:
            forwarded = address(part[1].partition(",")[0].strip())
            if forwarded is not None:
                event["network.forwarded_ip"] = forwarded
                continue
        seconds = _SECONDS.match(part[2] or part[1] or "") if durations else None
        if seconds is not None and "event.duration" not in event:
            event["event.duration"] = round(float(seconds[1]) * 1e9)
