"""Microsoft IIS's W3C extended log, with its `#Fields:` line in front of a record, or with the default columns.

#Fields: date time s-ip cs-method cs-uri-stem ...\n2026-11-22 19:34:00 192.0.2.5 GET /pagos x=1 443 FINANZAS\\ana
    203.0.113.9 Mozilla/5.0+(X11) - 200 0 0 15
"""

from __future__ import annotations

from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MAX_FIELDS, address, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_port, put_user

_FIRST = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent)"
_SITED = (
    "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version"
)
_DEFAULTS = {
    14: f"{_FIRST} sc-status sc-substatus sc-win32-status time-taken",
    15: f"{_FIRST} cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
    16: f"{_FIRST} cs(Referer) sc-status sc-substatus sc-win32-status time-taken X-Forwarded-For",
    13: f"{_FIRST} sc-status sc-substatus sc-win32-status",
    22: f"{_SITED} cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes "
    "cs-bytes time-taken",
    21: f"{_SITED} cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes "
    "cs-bytes",
    23: f"{_SITED} cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes "
    "cs-bytes time-taken X-Forwarded-For",
}
"""The columns that IIS 6 to 10 write by default, and with all fields chosen, by their number."""

_FIELDS = "#Fields:"


@lru_cache(maxsize=256)
def _names(line: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(_FIELDS).split())


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record, with or without its header in front, into the event."""
    *head, line = message.split("\n") if message.startswith("#") else (message,)
    cells = line.split(" ")
    if line.startswith("#") or len(cells) > MAX_FIELDS:
        return False
    written = next((each for each in reversed(head) if each.startswith(_FIELDS)), None)
    names = _names(written[:1_000]) if written is not None else _guess(cells)
    if names is None:
        return False
    if len(names) != len(cells):
        if written is None:
            return False
        raise ParseError("a line of IIS with another number of columns than its header names")
    _facts(dict(zip(names, cells, strict=True)), event, context)
    return True


def _guess(cells: list[str]) -> tuple[str, ...] | None:
    default = _DEFAULTS.get(len(cells))
    if default is None or len(cells[0]) != 10 or cells[0][4] != "-" or cells[1][2:3] != ":":
        return None
    names = _names(default)
    at = dict(zip(names, cells, strict=True))
    fits = address(at["c-ip"]) is not None and at["s-port"].isdigit() and at["sc-status"].isdigit()
    return names if fits else None


def _facts(facts: dict[str, str], event: Event, context: Context) -> None:
    def cell(name: str) -> str | None:
        return given(facts.get(name))

    day, clock = cell("date"), cell("time")
    if day is not None and clock is not None:
        event["@timestamp"] = format_time(instant(f"{day}T{clock}", "UTC"))
    elif clock is not None:
        event["@timestamp"] = format_time(context.received)
    event |= {"event.category": ["web", "network"], "event.type": ["access"], "network.transport": "tcp"}
    put_end(event, "source", cell("c-ip"), cell("c-port"))
    put_end(event, "destination", cell("s-ip"), cell("s-port"))
    put_user(event, cell("cs-username"))
    method, stem, query = cell("cs-method"), cell("cs-uri-stem"), cell("cs-uri-query")
    if method is not None:
        event["http.request.method"] = method
    if stem is not None:
        event["url.path"] = stem
        event["url.original"] = stem if query is None else f"{stem}?{query}"
    if query is not None:
        event["url.query"] = query
    host = cell("cs-host")
    if host is not None:
        name, _, port = host.partition(":")
        event["url.domain"] = name
        put_port(event, "url.port", port)
    for name, field in (("cs(User-Agent)", "user_agent.original"), ("cs(Referer)", "http.request.referrer")):
        text = cell(name)
        if text is not None:
            event[field] = text.replace("+", " ") if field.startswith("user") else text
    version = cell("cs-version")
    if version is not None:
        event["http.version"] = version.removeprefix("HTTP/")
    _results(facts, event)


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


FORMAT = Format(
    name="iis", dataset="iis.access", read=read, begins=("#Fields: ", "#Software: Microsoft Internet"), words=False
)
