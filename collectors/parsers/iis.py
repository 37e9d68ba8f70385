"""Microsoft IIS: the W3C extended log in any order of columns, HTTP.sys's errors, FTP, the older IIS and NCSA forms.

#Fields: date time s-ip cs-method cs-uri-stem ...\n2026-11-22 19:34:00 192.0.2.5 GET /pagos x=1 443 FINANZAS\\ana
    203.0.113.9 Mozilla/5.0+(X11) - 200 0 0 15
203.0.113.9, ana, 11/22/26, 13:34:00, W3SVC1, WEB1, 192.0.2.5, 15, 163, 3223, 200, 0, GET, /pagos, x=1,

Without the line that names the columns they are told apart by what stands in them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import accesslog
from collectors.parsers.common import MAX_FIELDS, address, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_port, put_url, put_user

_FIELDS = "#Fields:"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? ", re.ASCII)
_METHOD = re.compile(r"[A-Z][A-Z_-]{1,31}$", re.ASCII)
_SESSION = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", re.ASCII)
_OLD = re.compile(
    r"([^\s,]{2,64}), ([^,]{0,256}), (\d{1,2})/(\d{1,2})/(\d{2,4}), (\d{1,2}:\d\d:\d\d), ([A-Z0-9]{3,32}),"
    r" ([^,]{0,256}), ([^\s,]{0,64}), (\d{1,10}), (\d{1,15}), (\d{1,15}), (\d{1,3}), (\d{1,10}), ([^\s,]{1,32}), ",
    re.ASCII,
)
_NCSA = re.compile(r"\S{1,256} \S{1,64} (\S{1,256}) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \"", re.ASCII)
_FTP = (
    "date time c-ip cs-username s-ip s-port cs-method cs-uri-stem sc-status sc-win32-status sc-substatus x-session"
    " x-fullpath"
)
_REFUSED = "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri {}sc-status s-siteid s-reason s-queuename"


@lru_cache(maxsize=4_096)
def _second(day: str, clock: str) -> str:
    return format_time(instant(f"{day}T{clock}", "UTC"))


@lru_cache(maxsize=256)
def _names(line: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(_FIELDS).split())


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record, with or without its header in front, into the event."""
    *head, line = message.split("\n") if message.startswith("#") else (message,)
    written = next((each for each in reversed(head) if each.startswith(_FIELDS)), None)
    if line.startswith("#"):
        return False
    if written is None and _STAMP.match(line) is None:
        return _old(line, event, context) or _ncsa(line, event)
    cells = line.split(" ")
    if len(cells) > MAX_FIELDS:
        return False
    facts = _named(_names(written[:2_000]), cells) if written is not None else _guess(cells)
    if facts is None:
        return False
    _facts(facts, event, context)
    return True


def _named(names: tuple[str, ...], cells: list[str]) -> dict[str, str]:
    if len(names) != len(cells):
        raise ParseError("a line of IIS with another number of columns than its header names")
    return dict(zip(names, cells, strict=True))


def _guess(cells: list[str]) -> dict[str, str] | None:
    """The columns of a line whose header is not at hand, by what stands in them."""
    if len(cells) in (13, 14) and address(cells[2]) is not None and address(cells[4]) is not None:
        if cells[3].isdigit() and cells[5].isdigit() and (cells[6] == "-" or cells[6].startswith("HTTP/")):
            return dict(zip(_names(_REFUSED.format("streamid " if len(cells) == 14 else "")), cells, strict=True))
        if cells[5].isdigit() and len(cells) == 13 and _SESSION.match(cells[11]):
            return dict(zip(_names(_FTP), cells, strict=True))
    for at in range(2, min(6, len(cells) - 9)):
        port, client = cells[at + 3], cells[at + 5]
        if _METHOD.match(cells[at]) and (port.isdigit() or port == "-") and (address(client) or client == "-"):
            return _around(cells, at)
    return None


def _around(cells: list[str], at: int) -> dict[str, str] | None:
    """The columns of a record of requests whose method stands at `at`."""
    facts = dict(zip(("date", "time"), cells, strict=False))
    ip = address(cells[at - 1]) is not None and at > 2
    places = cells[2 : at - 1 if ip else at]
    if ip:
        facts["s-ip"] = cells[at - 1]
    if len(places) > 2:
        return None
    site = len(places) == 2 or not ip or (places and places[0].startswith(("W3SVC", "~")))
    facts |= zip(("s-sitename", "s-computername") if site else ("s-computername",), places, strict=False)
    names = ("cs-method", "cs-uri-stem", "cs-uri-query", "s-port", "cs-username", "c-ip")
    facts |= zip(names, cells[at : at + 6], strict=True)
    at += 6
    if cells[at].startswith("HTTP/"):
        facts["cs-version"], at = cells[at], at + 1
    end = next((place for place in range(at, min(at + 6, len(cells) - 2)) if _status(cells, place)), None)
    if end is None:
        return None
    _between(cells[at:end], facts)
    facts |= zip(("sc-status", "sc-substatus", "sc-win32-status"), cells[end : end + 3], strict=True)
    _behind(cells[end + 3 :], facts)
    return facts


def _status(cells: list[str], at: int) -> bool:
    return len(cells[at]) == 3 and cells[at].isdigit() and cells[at + 1].isdigit() and cells[at + 2].isdigit()


def _between(cells: list[str], facts: dict[str, str]) -> None:
    """Agent, cookie, referrer and host: those that a log has, in this order."""
    names = ["cs(User-Agent)", "cs(Cookie)", "cs(Referer)", "cs-host"]
    if len(cells) == 3:
        names.pop(3 if "://" in cells[2][:16] else 2)
    elif len(cells) == 2:
        bare = cells[1] == "-" or "://" in cells[1][:16]
        names[1:] = ["cs(Referer)"] if bare else ["cs(Cookie)"] if "=" in cells[1] else ["cs-host"]
    facts |= zip(names, cells, strict=False)


def _behind(cells: list[str], facts: dict[str, str]) -> None:
    count = next((place for place, cell in enumerate(cells) if not cell.isdigit()), len(cells))
    names = {1: ("time-taken",), 2: ("sc-bytes", "cs-bytes")}.get(count, ("sc-bytes", "cs-bytes", "time-taken"))
    facts |= zip(names, cells[:count], strict=False)
    if cells[count:]:
        facts["X-Forwarded-For"] = cells[count]


def _facts(facts: dict[str, str], event: Event, context: Context) -> None:
    def cell(name: str) -> str | None:
        return given(facts.get(name))

    day, clock = cell("date"), cell("time")
    if day is not None and clock is not None:
        event["@timestamp"] = _second(day, clock)
    event |= {"event.category": ["web", "network"], "event.type": ["access"], "network.transport": "tcp"}
    put_end(event, "source", cell("c-ip"), cell("c-port"))
    put_end(event, "destination", cell("s-ip"), cell("s-port"))
    put_user(event, cell("cs-username"))
    method = cell("cs-method")
    if method is not None:
        event["http.request.method"] = method
    _url(cell("cs-uri-stem"), cell("cs-uri-query"), event)
    host = cell("cs-host")
    if host is not None:
        name, _, port = host.partition(":")
        event["url.domain"] = event["destination.domain"] = name
        event.setdefault("destination.address", name)
        put_port(event, "url.port", port)
    for name, field in (("cs(User-Agent)", "user_agent.original"), ("cs(Referer)", "http.request.referrer")):
        text = cell(name)
        if text is not None:
            event[field] = text.replace("+", " ") if field.startswith("user") else text
    version = cell("cs-version")
    if version is not None:
        event["http.version"] = version.removeprefix("HTTP/")
    if "s-reason" in facts:
        event["event.dataset"] = "iis.error"
        put_url(event, cell("cs-uri"))
        event["event.reason"] = facts["s-reason"]
        event["event.type"] = ["access", "error"]
    _results(facts, event)


def _url(stem: str | None, query: str | None, event: Event) -> None:
    if stem is not None:
        event["url.path"] = stem
        event["url.original"] = stem if query is None else f"{stem}?{query}"
    if query is not None:
        event["url.query"] = query


def _results(facts: dict[str, str], event: Event) -> None:
    status = number(facts.get("sc-status"))
    if status is not None and 0 < status < 1_000:
        event["http.response.status_code"] = status
        event["event.outcome"] = "failure" if status >= 400 else "success"
        if status >= 400:
            event["event.type"] = ["access", "error"]
    for name, field in (("sc-substatus", "sub_status"), ("sc-win32-status", "win32_status"), ("s-sitename", "site")):
        text = given(facts.get(name))
        if text is not None:
            event[f"almena.iis.{field}"] = text
    computer = given(facts.get("s-computername"))
    if computer is not None:
        event["host.name"] = computer
    put_count(event, "http.response.bytes", facts.get("sc-bytes"))
    put_count(event, "http.request.bytes", facts.get("cs-bytes"))
    took = number(facts.get("time-taken"))
    if took is not None and 0 <= took < 10**10:
        event["event.duration"] = took * 1_000_000
    forwarded = address((given(facts.get("X-Forwarded-For")) or "").partition(",")[0].replace("+", "").strip())
    if forwarded is not None:
        event["network.forwarded_ip"] = forwarded


def _old(line: str, event: Event, context: Context) -> bool:
    """The IIS format of before W3C: commas, and the server's own time."""
    found = _OLD.match(line)
    if found is None or address(found[1]) is None:
        return False
    client, user, month, day, year, clock, site, computer, server, took, sent, back, status, win32, method = (
        found.groups()
    )
    century = year if len(year) == 4 else f"20{year.zfill(2)}"
    written = f"{century}-{int(month):02}-{int(day):02}T{clock.rjust(8, '0')}"
    event["@timestamp"] = format_time(instant(written, context.zone))
    target, _, query = line[found.end() :].rstrip(", ").rpartition(", ")
    facts = {"c-ip": client, "cs-username": user, "s-sitename": site, "s-computername": computer, "s-ip": server}
    facts |= {"time-taken": took, "cs-bytes": sent, "sc-bytes": back, "sc-status": status, "sc-win32-status": win32}
    facts |= {"cs-method": method, "cs-uri-stem": target or query, "cs-uri-query": query if target else "-"}
    _facts(facts, event, context)
    return True


def _ncsa(line: str, event: Event) -> bool:
    """The NCSA common format, whose users may have a domain that is no escape."""
    found = _NCSA.match(line)
    if found is None:
        return False
    event |= accesslog.convert(line, "iis.access", durations=False)
    event.pop("user.name", None)
    put_user(event, given(found[1]))
    return True


FORMAT = Format(name="iis", dataset="iis.access", read=read, begins=("#Fields: ", "#Software: Microsoft "), words=False)
