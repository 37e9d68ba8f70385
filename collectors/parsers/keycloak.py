"""Keycloak's events, sign-ins of users and changes of administrators, from its log and from event listeners.

2026-11-22 13:34:00,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="llave",
    clientId="portal", userId="null", ipAddress="203.0.113.9", error="user_not_found", username="ana"
{"type": "LOGIN", "realmId": "llave", "clientId": "portal", "userId": "...", "time": 1795376040000}

Understood is also the log as JSON, in Quarkus' own words or in ECS'.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from almena.clock import SECOND, format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers import ecs
from collectors.parsers.common import as_text, epoch, given, instant, number, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_url, put_user

_LINE = re.compile(
    r"(?:((?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d[.,]\d{1,9}(?:Z|[+-]\d\d:?\d\d)?) )?"
    r"(?:(TRACE|DEBUG|INFO|WARN|ERROR|FATAL) {1,3})?"
    r"\[([A-Za-z0-9_.$]{1,200})\] \(([^)]{0,200})\) ",
    re.ASCII,
)
_EVENTS = "org.keycloak.events"
_LOGGERS = (
    *("org.keycloak", "org.infinispan", "org.jgroups", "org.jboss", "org.wildfly", "org.hibernate", "org.xnio"),
    *("io.quarkus", "io.undertow", "io.vertx", "io.smallrye", "io.agroal", "com.arjuna", "liquibase"),
)
_RESOURCE = re.compile(r"(users|groups)/([0-9A-Za-z-]{1,64})(?:/groups/([0-9A-Za-z-]{1,64}))?", re.ASCII)
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
        moment, level, logger, thread = line.groups()
        if moment is not None:
            event["@timestamp"] = format_time(_moment(moment.replace(",", "."), context))
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
            if not logger.startswith(_LOGGERS):
                return False
            event["message"] = body
            return True
    _facts(_pairs(body), event)
    return True


def _pairs(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, min(len(body), 65_536)
    while at < end and len(found) < _MOST:
        pair = _PAIR.match(body, at, end)
        if pair is not None:
            found[pair[1]] = pair[2] or pair[3]
            at = pair.end()
        else:
            at = body.find(", ", at, end) + 2
            if at < 2:
                break
    return found


def _moment(written: str, context: Context) -> int:
    """A time with its date, or the clock alone, as old servers write it: then of the day it was received."""
    if written[2] != ":":
        return instant(written, context.zone)
    day = datetime.fromtimestamp(context.received / SECOND, UTC).astimezone(zone_of(context.zone)).date()
    moment = instant(f"{day.isoformat()}T{written}", context.zone)
    return moment - 86_400 * SECOND if moment > context.received + 3_600 * SECOND else moment


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an event of Keycloak, or a line of its log."""
    if "realmId" in document or "realmName" in document:
        return "type" in document or "operationType" in document
    logger = document["loggerName"] if "loggerName" in document else value_at(document, "log.logger")
    return isinstance(logger, str) and logger.startswith("org.keycloak") and "message" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one JSON object; details and the administrator's own data may be nested."""
    if "realmId" not in document and "realmName" not in document:
        return _logged(document, context)
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


_QUARKUS = {
    "log.level": "level",
    "log.logger": "loggerName",
    "process.thread.name": "threadName",
    "host.name": "hostName",
    "error.type": "exception.exceptionType",
    "error.message": "exception.message",
}


def _logged(document: dict[str, Any], context: Context) -> Event:
    """A line of the log as JSON."""
    if "loggerName" in document:
        event: Event = {"@timestamp": format_time(ecs.moment(document, context))}
        for field, path in _QUARKUS.items():
            put(event, field, text_at(document, path))
        put(event, "message", document.get("message"))
    else:
        event = ecs.convert(document, context)
    event["event.dataset"] = "keycloak.log"
    if "log.level" in event:
        event["log.level"] = str(event["log.level"]).lower()
    message = event.get("message", "")
    if event.get("log.logger") == _EVENTS and _OLD.match(message) is not None:
        del event["message"]
        _facts(_pairs(message), event)
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
        event["event.action"] = event["event.code"] = f"{operation}-{resource}"
        event["event.category"] = ["iam"]
        types = {"CREATE": "creation", "DELETE": "deletion", "UPDATE": "change", "ACTION": "change"}
        event["event.type"] = ["admin", types.get(operation, "info")]
    else:
        name = (kind or "UNKNOWN").removesuffix("_ERROR")
        event["event.dataset"] = "keycloak.login"
        event["event.action"] = kind or "unknown"
        put(event, "event.code", error)
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
    put_url(event, _value(pairs, "redirect_uri"))
    _put_target(event, _value(pairs, "resourcePath"))
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


def _put_target(event: Event, path: str | None) -> None:
    """Whom an administrator changed, from `users/<id>/groups/<id>` and the like."""
    found = _RESOURCE.match(path) if path is not None else None
    if found is None:
        return
    kind, one, group = found.groups()
    event["user.target.id" if kind == "users" else "group.id"] = one
    put(event, "group.id", group)


FORMAT = Format(
    name="keycloak",
    dataset="keycloak.log",
    read=read,
    programs=("keycloak",),
    convert=convert,
    fits=fits,
    words=False,
)
