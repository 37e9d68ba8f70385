"""SQL Server: the lines of its error log, and records of its audit as JSON.

2026-11-22 13:34:00.12 Logon       Login failed for user 'ana'. Reason: Password did not match. [CLIENT: 203.0.113.9]
{"event_time": "2026-11-22T19:34:00.1234567", "action_id": "LGIF", "succeeded": false, "server_principal_name": "ana"}
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import given, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.mssql_actions import action_of
from collectors.parsers.network import put_end, put_user
from collectors.parsers.statements import put_statement

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,7}) {1,2}([A-Za-z][A-Za-z0-9 ó()_-]{0,30}?)(?: {2,}|\t| (?=[A-Z]))",
    re.ASCII,
)
_LOGIN = re.compile(
    r"(?:Login (succeeded|failed) for user|(Error de inicio de sesión|Inicio de sesión correcto) "
    r"(?:de|del|para el|para) ?usuario) '([^']{0,256})'",
    re.ASCII,
)
_CLIENT = re.compile(r"\[CLIENTE?: ([^\]]{1,64})\]", re.ASCII)
_ERROR = re.compile(r"Error: (\d{1,6}), (?:Severity|[Gg]ravedad): (\d{1,2}), (?:State|[Ee]stado): (\d{1,3})", re.ASCII)
_REASON = re.compile(r"(?:Reason|Motivo): (.{1,512}?)(?: \[CLIENTE?: |$)", re.ASCII)
_OPTION = re.compile(
    r"Configuration option '([^']{1,64})' changed from (-?\d{1,12}) to (-?\d{1,12})"
    r"|La opción de configuración '([^']{1,64})' (?:ha cambiado|cambió) de (-?\d{1,12}) a (-?\d{1,12})",
    re.ASCII,
)
_SOURCES = ("spid", "Server", "Logon", "Backup", "Servidor", "Inicio de sesi", "Copia de seguridad")
"""What stands behind the time; a server in Spanish writes its own words."""

_FAILED = frozenset(("LGIF", "LGFL", "DAGF", "DBAF"))
_STATEMENT, _BEHIND = "\nstatement:", "\nadditional_information:"
_MAX = 65_536


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the error log into the event."""
    line = _LINE.match(message)
    if line is None:
        return False
    body = message[line.end() :].strip()
    login, error = _LOGIN.match(body), _ERROR.match(body)
    # The time, a word and text are little: without a word that only this server uses it is another's log.
    if login is None and error is None and not line[2].startswith(_SOURCES):
        return False
    event["@timestamp"] = format_time(instant(line[1], context.zone))
    event |= {
        "event.category": ["database"],
        "event.type": ["info"],
        "event.provider": line[2].strip(),
        "message": body,
    }
    if login is not None:
        failed = login[1] == "failed" or (login[2] or "").startswith("Error")
        event |= {"event.category": ["authentication", "database"], "event.type": ["start"]}
        event |= {
            "event.action": f"login-{'failed' if failed else 'succeeded'}",
            "event.outcome": "failure" if failed else "success",
        }
        put_user(event, login[3])
        reason = _REASON.search(body)
        if reason is not None:
            event["event.reason"] = reason[1]
        client = _CLIENT.search(body)
        if client is not None and client[1][0] != "<":  # such as <local machine>
            put_end(event, "source", client[1])
    elif error is not None:
        event |= {"event.type": ["error"], "event.code": error[1], "event.severity": int(error[2])}
    elif (option := _OPTION.match(body)) is not None:
        event |= {"event.category": ["configuration", "database"], "event.type": ["change"]}
        event |= {"event.action": "configuration-changed", "event.outcome": "success"}
        event["almena.database.object"] = option[1] or option[4]
    return True


def audited(text: str, context: Context) -> Event:
    """The fields of the record in the text of Windows' event 33205; empty for other texts."""
    record = _record(text)
    if record is None:
        return {}
    event = convert(record, context)
    del event["event.code"]
    return event | {"event.dataset": FORMAT.dataset}


def _record(text: str) -> dict[str, Any] | None:
    """A record that has a name and a value a line; None for other texts."""
    text = text[:_MAX].replace("\r\n", "\n").removeprefix("Audit event: ")
    if not text.startswith("audit_schema_version:"):
        return None
    found: dict[str, Any] = {}
    at, end = text.find(_STATEMENT), text.rfind(_BEHIND)
    if 0 <= at < end:
        # A statement has lines of its own.
        found["statement"] = text[at + len(_STATEMENT) : end].strip()
        text = text[:at] + text[end:]
    for line in text.split("\n", 64):
        name, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(name, value.strip())
    return found


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of the audit."""
    return "action_id" in document and ("server_principal_name" in document or "server_instance_name" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one audit record; raises ParseError when its time cannot be read."""
    written = text_at(document, "event_time")
    code = (text_at(document, "action_id") or "").strip()
    action = action_of(code.upper())
    succeeded = (text_at(document, "succeeded") or "true").lower() in ("true", "1") and code not in _FAILED
    event: Event = {
        "@timestamp": format_time(instant(written[:26], "UTC") if written else context.received),
        "event.action": action.name,
        "event.code": code,
        "event.category": list(action.category),
        "event.type": list(action.type),
        "event.outcome": "success" if succeeded else "failure",
    }
    name = given(document.get("server_principal_name")) or given(document.get("session_server_principal_name"))
    put_user(event, name)
    put_user(event, given(document.get("target_server_principal_name")), "user.target")
    client = text_at(document, "client_ip")
    if client is not None and client not in ("local machine", "Unknown"):
        put_end(event, "source", client)
    put(event, "host.name", text_at(document, "server_instance_name"))
    statement = text_at(document, "statement")
    if statement is not None:
        put_statement(event, statement)
        event["event.category"], event["event.type"] = list(action.category), list(action.type)
    for field, key in (
        ("name", "database_name"),
        ("schema", "schema_name"),
        ("object", "object_name"),
        ("session", "session_id"),
        ("application", "application_name"),
        ("principal", "database_principal_name"),
    ):
        put(event, f"almena.database.{field}", text_at(document, key))
    return event


FORMAT = Format(name="mssql", dataset="microsoft_sqlserver.audit", read=read, convert=convert, fits=fits, words=False)
