"""What one web client did in one window: counted request by request, and the features a model judges it by."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

from almena.event import Event, strings
from almena.hit import IDENTITY, Hit, group_key
from almena.words import safe
from detectors._anomaly import appended, facts, network_of, number

FIELDS = (
    *IDENTITY,
    "source.ip",
    "service.name",
    "almena.source.name",
    "host.name",
    "http.response.status_code",
    "http.response.body.bytes",
    "http.request.method",
    "url.path",
    "event.dataset",
    "url.domain",
    "user_agent.original",
)

FEATURES = ("requests", "uris", "errors", "error_share", "bytes", "methods", "agents")
"""What a window is judged by: counts as logarithms, and the share of errors."""

FLOORS = (0.5, 0.5, 0.5, 0.1, 1.0, 0.35, 0.35)
"""The smallest scale of each feature, in its own unit, for services whose clients are all alike."""

DISTINCT = 256
"""Distinct addresses, agents and methods of one window that are told apart; more look like this many."""

_FEW = 4
"""Requests added to the error share's divisor, so that one failed request is no share of 100 %."""

_PRIVATE = ("uri", "agent")
"""What a hit carries beside the event's own fields: hashes of texts that may be long."""


def is_request(event: Event) -> bool:
    """Whether the event is one request that a web server answered."""
    dataset = str(event.get("event.dataset", ""))
    web = dataset.endswith(".access") or dataset == "network.http" or "web" in strings(event.get("event.category"))
    return web and ("url.path" in event or "url.original" in event)


def client_of(event: Event) -> str | None:
    """The client: its IPv4 address or IPv6 /64, or None when there is none, or it is the machine itself."""
    address = event.get("source.ip")
    network = network_of(address, 32, 64) if isinstance(address, str) else None
    return None if network is None else network.removesuffix("/32")


def service_of(event: Event) -> str:
    """What is visited: the service where it says its name, else the source that reported it, else the host."""
    for name in ("service.name", "almena.source.name", "host.name"):
        for value in strings(event.get(name)):
            if value:
                return safe(value, 64)
    return ""


def group_of(event: Event) -> str:
    """The group whose clients are compared: agency and service."""
    return group_key(safe(event.get("organization.id", ""), 64), service_of(event))


def request_facts(event: Event) -> dict[str, Any]:
    """The fields of a hit: small facts, and hashes of the address asked for and of the client's program."""
    found = facts(event, FIELDS)
    address = event.get("url.original") or f"{event.get('url.path')}?{event.get('url.query')}"
    found["uri"] = zlib.crc32(str(address).encode("utf-8", "replace"))
    found["agent"] = zlib.crc32(str(event.get("user_agent.original")).encode("utf-8", "replace"))
    return found


def event_of(fields: Mapping[str, Any]) -> Event:
    """The event's own fields of a hit."""
    return {name: value for name, value in fields.items() if name not in _PRIVATE}


def add(window: dict[str, Any] | None, hit: Hit) -> dict[str, Any]:
    """The window with one more request; None begins one."""
    fields = hit.fields
    if window is None:
        window = {"requests": 0, "errors": 0, "bytes": 0.0, "uris": {}, "agents": {}, "methods": {}, "first": fields}
        window["appended"] = appended(hit)
    window["requests"] += 1
    window["errors"] += 400 <= number(fields.get("http.response.status_code")) < 600
    window["bytes"] += number(fields.get("http.response.body.bytes"))
    for seen, name in (("uris", "uri"), ("agents", "agent"), ("methods", "http.request.method")):
        if len(window[seen]) < DISTINCT:
            window[seen][str(fields.get(name))] = 1
    window["last"] = fields
    return window


def measures(window: Mapping[str, Any]) -> dict[str, float]:
    """The window's features as people read them."""
    requests = window["requests"]
    counts = {name: len(window[name]) for name in ("uris", "methods", "agents")}
    share = round(window["errors"] / (requests + _FEW), 6)
    return {"requests": requests, "errors": window["errors"], "error_share": share, "bytes": window["bytes"], **counts}


def features(window: Mapping[str, Any]) -> list[float]:
    """The window as a row, in the order of `FEATURES`."""
    found = measures(window)
    return [round(found[name] if name == "error_share" else math.log1p(found[name]), 6) for name in FEATURES]


def said(name: str, value: float) -> float | str:
    """A measure as people read it; `256+` where no more were told apart."""
    if name == "error_share":
        return value
    return f"{DISTINCT}+" if name in ("uris", "agents", "methods") and value >= DISTINCT else round(value)


def unlog(name: str, value: float) -> float:
    """A feature's value as people read it: `value` is in the unit of `features`."""
    return round(value, 3) if name == "error_share" else round(math.expm1(value), 1)
