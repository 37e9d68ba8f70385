"""MySQL and MariaDB: the error log, the general and the slow log, and the audit plugins' records.

2026-11-22T19:34:00.123456Z 12 [Note] [MY-010926] [Server] Access denied for user 'ana'@'203.0.113.9'
2026-11-22T19:34:00.123456Z\t   12 Connect\tana@203.0.113.9 on pagos using SSL/TLS
20261122 13:34:00,bd1,ana,203.0.113.9,12,34,QUERY,pagos,'SELECT 1',0
"""

from __future__ import annotations

import html
import re
from typing import Any

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, epoch, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_user
from collectors.parsers.statements import put_statement

_ERROR = re.compile(
    r"(\d{4}-\d\d-\d\d[T ] ?\d{1,2}:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?|\d{6} {1,2}\d{1,2}:\d\d:\d\d)"
    r" {1,2}(?:(\d{1,20}) )?(?:\[([A-Za-z]{3,8})\] |(?=mysqld|InnoDB:))"
    r"(?:\[(MY-\d{6})\] )?(?:\[([A-Za-z-]{1,32})\] )?",
    re.ASCII,
)
_GENERAL = re.compile(
    r"(?:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?)|(\d{6}) {1,2}(\d{1,2}:\d\d:\d\d))?"
    r"\s{1,8}(\d{1,10}) (Connect|Quit|Query|Init DB|Prepare|Execute|Close stmt|Field List|Statistics|Change user"
    r"|Refresh|Ping|Daemon|Shutdown|Kill|Binlog Dump|Reset stmt|Fetch|Set option|Create DB|Drop DB|Debug|Time)\b\t?",
    re.ASCII,
)
_SLOW_USER = re.compile(
    r"# User@Host: ([^\[\s]{0,256})\[([^\]]{0,256})\] @ {1,2}([^\s\[]{0,256}) {0,2}\[([^\]]{0,64})\]", re.ASCII
)
_SLOW_TIME = re.compile(r"# Time: (?:(\d{4}-\d\d-\d\dT\S{8,24})|(\d{6}) {1,2}(\d{1,2}:\d\d:\d\d))", re.ASCII)
_SLOW_TOOK = re.compile(r"# Query_time: (\d{1,9}\.\d{1,9}) ", re.ASCII)
_SLOW_EPOCH = re.compile(r"SET timestamp=(\d{1,12});", re.ASCII)
_DENIED = re.compile(
    r"Access denied for user '([^']{0,256})'@'([^']{0,256})'(?: to database '([^']{1,256})')?", re.ASCII
)
_ABORTED = re.compile(
    r"Aborted connection \d{1,12} to db: '([^']{0,256})' user: '([^']{0,256})' host: '([^']{0,256})' \((.{0,256}?)\)",
    re.ASCII,
)
_CONNECT = re.compile(
    r"(?:Access denied for user '([^']{0,256})'@'([^']{0,256})'|(\S{0,256}?)@(\S{0,256})(?: as .{0,256}?)?"
    r" on (\S{0,256}))",
    re.ASCII,
)
_AUDIT = re.compile(
    r"(?:(\d{8} \d\d:\d\d:\d\d),)?([^,]{0,256}),([^,]{0,256}),([^,]{0,256}),(\d{0,20}),(\d{0,20}),"
    r"(CONNECT|DISCONNECT|FAILED_CONNECT|QUERY|QUERY_DDL|QUERY_DML|QUERY_DCL|READ|WRITE|CREATE|ALTER|RENAME|DROP"
    r"|CHANGEUSER),([^,]{0,256}),(.*),(-?\d{0,10})(?:,\w{0,32})?$",
    re.ASCII | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"\b([A-Z_]{2,32})=\"([^\"]{0,65536})\"", re.ASCII)
_ELEMENT = re.compile(r"<([A-Z_]{2,32})>([^<]{0,65536})</", re.ASCII)
_LEVELS = {"note": "info", "system": "info"}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of one of the logs into the event; a slow query is several lines."""
    if message.startswith("# ") and ("# User@Host: " in message[:400] or "# Time: " in message[:16]):
        return _slow(message, event, context)
    if message.startswith("<AUDIT_RECORD"):
        event |= convert({"audit_record": _tagged(message)}, context)
        return True
    for pattern, reader in ((_ERROR, _error), (_GENERAL, _general), (_AUDIT, _audit)):
        found = pattern.match(message)
        if found is not None and (reader is not _audit or found[1] or "@timestamp" in event):
            reader(found, message, event, context)
            return True
    return False


def _tagged(message: str) -> dict[str, str]:
    """A record of the audit in XML, of the older form with attributes and the newer with elements."""
    pairs = (_ATTRIBUTE.findall(message, 0, 200_000) + _ELEMENT.findall(message, 0, 200_000))[:64]
    return {name.lower(): html.unescape(value) for name, value in pairs}


def _error(line: re.Match[str], message: str, event: Event, context: Context) -> None:
    moment, thread, level, code, part = line.groups()
    written = moment.replace("  ", " 0")
    if written[:6].isdigit():
        written = _dated(written[:6], written[7:])
    event["@timestamp"] = format_time(instant(written, context.zone))
    event["event.dataset"] = "mysql.error"
    level = (level or "note").lower()
    event["log.level"] = _LEVELS.get(level, level)
    event["event.category"] = ["database"]
    event["event.type"] = ["error"] if level in ("error", "warning") else ["info"]
    event["message"] = body = message[line.end() :]
    put(event, "event.code", code)
    put(event, "event.provider", part)
    if thread is not None:
        event["process.thread.id"] = int(thread)
    denied, aborted = _DENIED.search(body), _ABORTED.search(body)
    if denied is not None:
        _signs_in(event, "failure", denied[1], denied[2], denied[3])
        event["event.reason"] = body[:1_024]
    elif aborted is not None:
        event |= {"event.action": "connection-aborted", "event.type": ["connection", "end"], "event.outcome": "failure"}
        _who(event, aborted[2], aborted[3], aborted[1])
        event["event.reason"] = aborted[4]


def _who(event: Event, user: str | None, host: str | None, database: str | None) -> None:
    if user != "unauthenticated":
        put_user(event, user)
    if host not in (None, "", "connecting host"):
        put_end(event, "source", host)
    if database not in (None, "", "unconnected"):
        event["almena.database.name"] = database


def _signs_in(event: Event, outcome: str, user: str | None, host: str | None, database: str | None) -> None:
    event |= {"event.category": ["authentication", "database"], "event.type": ["start"]}
    event |= {"event.action": "authentication", "event.outcome": outcome}
    _who(event, user, host, database)


def _general(line: re.Match[str], message: str, event: Event, context: Context) -> None:
    moment, day, clock, thread, command = line.groups()
    if moment is not None:
        event["@timestamp"] = format_time(instant(moment, context.zone))
    elif day is not None:
        event["@timestamp"] = format_time(instant(_dated(day, clock), context.zone))
    event["event.dataset"] = "mysql.general"
    event["process.thread.id"] = int(thread)
    body = message[line.end() :].strip()
    if command in ("Query", "Prepare", "Execute"):
        put_statement(event, body)
        event |= {"event.action": command.lower(), "event.outcome": "success"}
        return
    event |= {"event.category": ["database"], "event.type": ["info"], "event.action": command.lower().replace(" ", "-")}
    event["message"] = f"{command} {body}".strip()
    found = _CONNECT.match(body) if command == "Connect" else None
    if found is not None:
        failed = found[2] is not None
        _signs_in(event, "failure" if failed else "success", found[1] or found[3], found[2] or found[4], found[5])
    elif command == "Quit":
        event |= {"event.category": ["session", "database"], "event.type": ["end"]}


def _dated(day: str, clock: str) -> str:
    return f"20{day[:2]}-{day[2:4]}-{day[4:]}T{clock.rjust(8, '0')}"


def _slow(message: str, event: Event, context: Context) -> bool:
    head = message[:4_096]
    user, took = _SLOW_USER.search(head), _SLOW_TOOK.search(head)
    if user is None:
        return False
    written, epoch_at = _SLOW_TIME.search(head), _SLOW_EPOCH.search(head)
    if written is not None:
        event["@timestamp"] = format_time(instant(written[1] or _dated(written[2], written[3]), context.zone))
    elif epoch_at is not None:
        event["@timestamp"] = format_time(int(epoch_at[1]) * 1_000_000)
    event["event.dataset"] = "mysql.slowlog"
    _who(event, user[2] or user[1], user[4] or user[3], None)
    if user[4] and user[3] and user[3] != user[4]:
        event["source.domain"] = user[3]
    if took is not None:
        event["event.duration"] = round(float(took[1]) * 1e9)
    lines = [line for line in message.split("\n") if not line.startswith(("#", "SET timestamp=", "use "))]
    put_statement(event, "\n".join(lines))
    event |= {"event.category": ["database"], "event.action": "slow-query", "event.outcome": "success"}
    return True


def _audit(line: re.Match[str], message: str, event: Event, context: Context) -> None:
    """A record of MariaDB's audit plugin, which Percona and Amazon's servers write too."""
    moment, server, user, host, connection, _, operation, database, detail, code = line.groups()
    if moment is not None:
        stamp = f"{moment[:4]}-{moment[4:6]}-{moment[6:8]}T{moment[9:]}"
        event["@timestamp"] = format_time(instant(stamp, context.zone))
    event["event.dataset"] = "mysql.audit"
    event["almena.database.server"] = server
    event["almena.database.session"] = connection
    failed = code not in ("0", "")
    if operation in ("CONNECT", "FAILED_CONNECT", "CHANGEUSER"):
        _signs_in(event, "failure" if failed or operation == "FAILED_CONNECT" else "success", user, host, database)
    else:
        _who(event, user, host, database)
        event |= {"event.category": ["database"], "event.type": ["info"], "event.action": operation.lower()}
        event["event.outcome"] = "failure" if failed else "success"
        if operation == "DISCONNECT":
            event |= {"event.category": ["session", "database"], "event.type": ["end"]}
        elif operation.startswith("QUERY"):
            put_statement(event, detail.removeprefix("'").removesuffix("'").replace("\\'", "'"))
        elif detail:
            event["almena.database.object"] = detail[:1_024]
    if failed:
        event["event.code"] = code


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of an audit log: MySQL Enterprise's and Percona's shapes."""
    if isinstance(document.get("audit_record"), dict) or ("msg-type" in document and "thread-id" in document):
        return True
    return "connection_id" in document and "timestamp" in document and ("class" in document or "account" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one audit record; raises ParseError when its time cannot be read."""
    inner = document.get("audit_record")
    facts: dict[str, Any] = inner if isinstance(inner, dict) else document
    written = (text_at(facts, "timestamp") or "").replace(" UTC", "Z")
    moment = instant(written, "UTC") if written else context.received
    since = number(facts.get("date")) if "msg-type" in facts else None
    if since is not None and since >= 0:
        moment = epoch(since)
    event: Event = {"@timestamp": format_time(moment), "event.dataset": "mysql.audit"}
    user = text_at(facts, "account.user") or text_at(facts, "login.user") or text_at(facts, "user")
    host = (
        text_at(facts, "login.ip") or text_at(facts, "ip") or text_at(facts, "account.host") or text_at(facts, "host")
    )
    database = text_at(facts, "connection_data.db") or text_at(facts, "db") or text_at(facts, "general_data.db")
    name = (text_at(facts, "event") or text_at(facts, "name") or text_at(facts, "cmd") or "audit").lower()
    status = (
        text_at(facts, "connection_data.status") or text_at(facts, "status") or text_at(facts, "general_data.status")
    )
    failed = number(status) not in (None, 0) or name == "failed login"
    told = status is not None or name not in ("disconnect", "quit", "startup", "shutdown", "audit", "noaudit")
    user = (user or "").partition("[")[0] or user
    connects = text_at(facts, "class") == "connection" and name != "disconnect"
    if connects or name in ("connect", "connection", "change user", "failed login"):
        _signs_in(event, "failure" if failed else "success", user, host, database)
    else:
        _who(event, user, host, database)
        event |= {"event.category": ["database"], "event.type": ["info"], "event.action": name}
        if told:
            event["event.outcome"] = "failure" if failed else "success"
    named = given(text_at(facts, "account.host"))
    if "source.ip" in event and named is not None and named != host:
        event["source.domain"] = named
    if "class" in facts:
        event["event.action"] = f"mysql-{name}"
    query = value_at(facts, "general_data.query") or facts.get("sqltext") or value_at(facts, "query_data.query")
    if "msg-type" in facts and event["event.action"] != "authentication":
        query = facts.get("query")
    if query:
        put_statement(event, as_text(query))
    put(event, "almena.database.session", given(facts.get("connection_id")))
    return event


FORMAT = Format(
    name="mysql",
    dataset="mysql.error",
    read=read,
    programs=("mysqld", "mariadbd", "mysql-server_auditing"),
    begins=("<AUDIT_RECORD",),
    convert=convert,
    fits=fits,
    words=False,
)
