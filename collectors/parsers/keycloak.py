"""Keycloak's events, sign-ins of users and changes of administrators, from its log and from event listeners.

2026-11-22 13:34:00,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="llave",
    clientId="portal", userId="null", ipAddress="203.0.113.9", error="user_not_found", username="ana"
{"type": "LOGIN", "realmId": "llave", "clientId": "portal", "userId": "...", "time": 1795376040000}
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import DAY, HOUR, format_time, to_datetime
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, epoch, given, instant, local, number, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_user

_LINE = re.compile(
    r"(?:(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{1,9}(?:Z|[+-]\d\d:?\d\d)?) |(\d\d:\d\d:\d\d),(\d{3}) )?"
    r"(?:(TRACE|DEBUG|INFO|WARN|ERROR|FATAL) {1,3})?"
    r"\[([A-Za-z0-9_.$]{1,200})\] \(([^)]{0,200})\) ",
    re.ASCII,
)
_EVENTS = "org.keycloak.events"
_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_.]{0,63})=(?:"((?:[^"\\]++|\\.)*+)"|([^,"\s]{0,2048}))(?:, |$)', re.ASCII)
_ADDED = re.compile(r"KC-SERVICES0009: Added user '([^']{1,256})' to realm '([^']{1,256})'", re.ASCII)
_OLD = re.compile(r"(?:operationType|type)=", re.ASCII)
_ENDS = frozenset(("LOGOUT", "REVOKE_GRANT"))
_SIGN_INS = (
    "LOGIN",
    "CODE_TO_TOKEN",
    "REFRESH_TOKEN",
    "CLIENT_LOGIN",
    "IDENTITY_PROVIDER",
    "INTROSPECT",
    "TOKEN_EXCHANGE",
)
_ACCOUNT = ("UPDATE", "RESET", "REGISTER", "REMOVE", "VERIFY", "SEND", "DELETE", "GRANT", "CUSTOM_REQUIRED")
_MOST = 64


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the server's log into the event; events of sign-ins, and any other line by its logger."""
    line = _LINE.match(message)
    if line is None:
        if not message.startswith(("type=", "operationType=")):
            return False
        body = message
    else:
        moment, clock, millis, level, logger, thread = line.groups()
        if moment is not None:
            event["@timestamp"] = format_time(instant(moment.replace(",", "."), context.zone))
        elif clock is not None:
            event["@timestamp"] = format_time(_today(clock, context) + 1_000 * int(millis))
        if level is not None:
            event["log.level"] = level.lower()
        event["log.logger"], event["process.thread.name"] = logger, thread
        body = message[line.end() :]
        added = _ADDED.match(body)
        if added is not None:
            event["event.action"], event["event.outcome"] = "user-created", "success"
            event["event.category"], event["event.type"] = ["iam"], ["user", "creation"]
            event["user.target.name"], event["almena.keycloak.realm"] = added.groups()
        if logger != _EVENTS or _OLD.match(body) is None:
            if not logger.startswith(("org.keycloak", "org.infinispan", "io.quarkus", "org.jboss", "org.hibernate")):
                return False
            event["message"] = body
            return True
    _facts(_pairs(body[:65_536]), event)
    return True


def _pairs(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(body) and len(found) < _MOST:
        pair = _PAIR.match(body, at)
        if pair is not None:
            found[pair[1]] = pair[2] or pair[3]
            at = pair.end()
        else:
            at = body.find(", ", at) + 2
            if at < 2:
                break
    return found


def _today(clock: str, context: Context) -> int:
    """The last time before the receipt at which it was `clock`: the console of WildFly writes no day."""
    zone = zone_of(context.zone)
    day = to_datetime(context.received).astimezone(zone)
    found = local(day.year, day.month, day.day, clock, zone)
    return found - DAY if found > context.received + HOUR else found


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an event of Keycloak."""
    if "realmId" not in document and "realmName" not in document:
        return False
    return "type" in document or "operationType" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one JSON object; details and the administrator's own data may be nested."""
    pairs = {name: as_text(value) for name, value in document.items() if isinstance(value, (str, int, float))}
    for inner in ("details", "authDetails"):
        nested = document.get(inner)
        if isinstance(nested, dict):
            pairs |= {name: as_text(value) for name, value in nested.items() if isinstance(value, (str, int, float))}
    event: Event = {}
    moment = document.get("time")
    if isinstance(moment, (int, float)) and not isinstance(moment, bool):
        event["@timestamp"] = format_time(epoch(moment))
    elif isinstance(moment, str):
        event["@timestamp"] = format_time(instant(moment, context.zone))
    _facts(pairs, event)
    return event


def _value(pairs: dict[str, str], *names: str) -> str | None:
    for name in names:
        found = given(pairs.get(name))
        if found is not None and found != "null":
            return found
    return None


def _facts(pairs: dict[str, str], event: Event) -> None:
    operation = _value(pairs, "operationType")
    kind = _value(pairs, "type")
    error = _value(pairs, "error")
    if operation is not None:
        resource = _value(pairs, "resourceType") or "UNKNOWN"
        event["event.dataset"] = "keycloak.admin"
        event["event.action"] = f"{resource}-{operation}".lower()
        event["event.category"] = ["iam"]
        types = {"CREATE": "creation", "DELETE": "deletion", "UPDATE": "change", "ACTION": "change"}
        event["event.type"] = ["admin", types.get(operation, "info")]
    else:
        name = (kind or "UNKNOWN").removesuffix("_ERROR")
        event["event.dataset"] = "keycloak.login"
        event["event.action"] = (kind or "unknown").lower()
        ours = name.startswith(_ACCOUNT) and not name.startswith(_SIGN_INS)
        event["event.category"] = ["iam"] if ours else ["authentication"]
        event["event.type"] = ["user", "change"] if ours else ["end"] if name in _ENDS else ["start"]
    failed = error is not None or (kind or "").endswith("_ERROR")
    event["event.outcome"] = "failure" if failed else "success"
    put(event, "event.reason", error)
    put_end(event, "source", _value(pairs, "ipAddress"))
    put_user(event, _value(pairs, "username", "userName"))
    put(event, "user.id", _value(pairs, "userId"))
    if "user.name" not in event:
        put_user(event, _value(pairs, "email"))
    for field, names in (
        ("realm", ("realmName", "realmId")),
        ("client", ("clientId",)),
        ("session", ("sessionId",)),
        ("auth_method", ("auth_method",)),
        ("grant", ("grant_type",)),
        ("redirect", ("redirect_uri",)),
        ("provider", ("identity_provider",)),
        ("credential", ("credential_type", "selected_credential_id")),
        ("resource", ("resourcePath",)),
    ):
        put(event, f"almena.keycloak.{field}", _value(pairs, *names))
    count = number(_value(pairs, "num_failures"))
    if count is not None:
        event["almena.keycloak.failures"] = str(count)


FORMAT = Format(
    name="keycloak",
    dataset="keycloak.log",
    read=read,
    programs=("keycloak",),
    convert=convert,
    fits=fits,
    words=False,
)
