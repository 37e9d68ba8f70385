"""How a moment of the simulation looks on the wire: application JSON, Winlogbeat JSON, nginx and syslog lines."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any, NamedTuple, TypeAlias

import msgspec

from almena.clock import format_time, to_datetime

ZONE = timezone(timedelta(hours=-6))
"""Central Mexico: six hours behind UTC all year."""

APPS = ("payments", "tramites", "registry", "posts", "api", "identity", "audit")
"""The institution's applications; each is a source that comes by HTTP."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_encode = msgspec.json.Encoder().encode


class Request(NamedTuple):
    """One line of the web server's access log."""

    ip: str
    target: str
    status: int = 200
    size: int = 5120
    agent: str = "-"
    method: str = "GET"
    referrer: str = "-"


class Line(NamedTuple):
    """One line of syslog."""

    host: str
    program: str
    message: str
    pid: int = 0
    priority: int = 86  # authpriv, informational


class Windows(NamedTuple):
    """One event of a Windows log."""

    code: int
    data: dict[str, str]
    computer: str
    channel: str = "Security"
    provider: str = "Microsoft-Windows-Security-Auditing"
    outcome: str = "success"


Body: TypeAlias = dict[str, Any] | Request | Line | Windows | bytes
"""What happened: an application's fields, a line, a Windows event, or bytes that nobody can read."""


class Draft(NamedTuple):
    """What happens `after` so many seconds, and the source that tells of it."""

    after: float
    source: str
    body: Body


def render(body: Body, source: str, time: int, number: int) -> tuple[bytes, str]:
    """The bytes of what happened at `time` (microseconds), without line break, and its id where the format has one."""
    if isinstance(body, bytes):
        return body, ""
    if isinstance(body, dict):
        identity = f"sim-{number:08d}"
        return _encode(_app(body, source, time, identity)), identity
    if isinstance(body, Windows):
        return _encode(_windows(body, time, number)), str(number)
    if isinstance(body, Request):
        return _request(body, time), ""
    return (_rfc5424 if source == "servers-tcp" else _rfc3164)(body, time), ""


def _app(body: dict[str, Any], source: str, time: int, identity: str) -> dict[str, Any]:
    moment = to_datetime(time).astimezone(ZONE).isoformat(timespec="microseconds")
    head = {"@timestamp": moment, "event.dataset": f"app.{source}", "event.id": identity, "service.name": source}
    return {**head, "event.outcome": "success", **body}


def _windows(event: Windows, time: int, number: int) -> dict[str, Any]:
    return {
        "@timestamp": format_time(time)[:-4] + "Z",
        "event": {"code": str(event.code), "kind": "event", "provider": event.provider, "outcome": event.outcome},
        "host": {"name": event.computer},
        "log": {"level": "information"},
        "winlog": {
            "channel": event.channel,
            "computer_name": event.computer,
            "event_data": event.data,
            "event_id": str(event.code),
            "provider_name": event.provider,
            "record_id": number,
        },
    }


def _request(request: Request, time: int) -> bytes:
    moment = to_datetime(time).astimezone(ZONE)
    when = f"{moment:%d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} -0600"
    return (
        f'{request.ip} - - [{when}] "{request.method} {request.target} HTTP/1.1" {request.status} {request.size} '
        f'"{request.referrer}" "{request.agent}"'
    ).encode()


def _rfc3164(line: Line, time: int) -> bytes:
    moment = to_datetime(time).astimezone(ZONE)
    when = f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S}"
    pid = f"[{line.pid}]" if line.pid else ""
    return f"<{line.priority}>{when} {line.host} {line.program}{pid}: {line.message}".encode()


def _rfc5424(line: Line, time: int) -> bytes:
    when = to_datetime(time).astimezone(ZONE).isoformat(timespec="microseconds")
    return f"<{line.priority}>1 {when} {line.host} {line.program} {line.pid or '-'} - - {line.message}".encode()
