"""ModSecurity's serial audit log: a transaction in sections, from the line `--id-A--` to the line `--id-Z--`.

--5a1c2b3d-A--
[22/Nov/2026:13:34:00.123456 -0600] XhTGxQ 203.0.113.9 41000 10.0.0.80 443
--5a1c2b3d-B--
POST /pagos?x=1 HTTP/1.1
Host: portal.gob.example
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.parsers import accesslog
from collectors.parsers.common import MONTHS, instant, unescape
from collectors.parsers.network import put_end

_BOUNDARY = re.compile(r"--(-?[A-Za-z0-9@_-]{4,64}-?)-([A-Z])--$", re.ASCII)
_PARTIES = re.compile(
    r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d(?:\.\d{1,9})?) -?([+-]\d\d)(\d\d)\] (\S{1,128})"
    r" ([0-9A-Fa-f.:]{2,45}) (\d{1,5}) (\S{1,255}) (\d{1,5})",
    re.ASCII,
)
_STATUS = re.compile(r"HTTP/[\d.]{1,4} (\d{3})(?: |$)", re.ASCII)
_LINES = 4_096  # of a section that are looked at
Sections = dict[str, list[str]]


def sections(text: str) -> Sections | None:
    """The lines of each section by its letter, the first of equal ones; None for what is no transaction."""
    lines = text.split("\n")
    first = _BOUNDARY.match(lines[0].rstrip("\r"))
    if first is None or first[2] != "A":
        return None
    found: Sections = {"A": []}
    now: list[str] = found["A"]
    for line in lines[1:]:
        line = line.rstrip("\r")
        mark = _BOUNDARY.match(line) if line.startswith("--") else None
        if mark is not None and mark[1] == first[1]:
            now = found.setdefault(mark[2], [])
            if now:
                now = []  # a second one is somebody's doing
        elif len(now) < _LINES:
            now.append(line)
    return found


def transaction(found: Sections, event: Event) -> int | None:
    """Put who asked whom for what into the event; the status of the answer, where it is known."""
    parties = _PARTIES.match(found["A"][0]) if found["A"] else None
    if parties is not None and parties[2] in MONTHS:
        day, month, year, clock, hours, minutes, unique, client, port, server, server_port = parties.groups()
        written = f"{year}-{MONTHS[month]:02}-{day}T{clock}{hours}:{minutes}"
        event["@timestamp"] = format_time(instant(written, "UTC"))
        event["almena.modsecurity.transaction"] = unique
        put_end(event, "source", client, port)
        put_end(event, "destination", server, server_port)
    request = found.get("B", [])
    if request:
        accesslog.put_request(unescape(request[0]), event)
    for name, field in (("user-agent", "user_agent.original"), ("referer", "http.request.referrer")):
        if value := header(request, name):
            event[field] = value
    if host := header(request, "host"):
        event["url.domain"] = host.partition(":")[0] if host.count(":") == 1 else host
    status = next((each for line in found.get("F", [])[:1] if (each := _STATUS.match(line)) is not None), None)
    return int(status[1]) if status is not None else None


def header(lines: list[str], name: str) -> str:
    """The first value of a header, by its name in lower case; empty where there is none."""
    for line in lines[1:101]:
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == name:
            return value.strip()
    return ""
