"""PostgreSQL's log: lines under the usual prefixes, CSV, JSON, and the audit lines of pgAudit inside of them.

2026-11-22 13:34:00.123 CST [811] ana@pagos LOG:  statement: SELECT 1
2026-11-22 13:34:00.123 CST [811] FATAL:  password authentication failed for user "ana"
AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.linea,"select * from linea",<none>
"""

from __future__ import annotations

import csv
import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_end
from collectors.parsers.statements import put_command, put_statement

_ZONES = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 60, "BST": 60, "CET": 60, "CEST": 120, "EET": 120, "EEST": 180, "MSK": 180,
    "PKT": 300, "IST": 330, "HKT": 480, "JST": 540, "KST": 540, "ACST": 570, "AEST": 600, "AEDT": 660, "NZST": 720,
    "NZDT": 780, "NST": -210, "NDT": -150, "AST": -240, "ADT": -180, "EST": -300, "EDT": -240, "CST": -360,
    "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420, "AKST": -540, "AKDT": -480, "HST": -600,
}  # fmt: skip
"""Minutes east of UTC of the zones' short names that the server writes; the source's zone stands for others."""

_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) ([A-Z]{1,5}|[+-]\d{2,4}(?::\d\d)?)"
_LINE = re.compile(
    _TIME + r"[ :-]{1,2}(.{0,400}?)(LOG|FATAL|ERROR|WARNING|NOTICE|INFO|PANIC|DEBUG[1-5]?|DETAIL|HINT"
    r"|STATEMENT|CONTEXT|QUERY|LOCATION): {1,2}",
    re.ASCII,
)
_NUMBERED = re.compile(r"\[\d{1,10}-\d{1,10}\] ", re.ASCII)
"""What syslog's lines of the server begin with: a message's number and its part's."""
_EPOCH = re.compile(r"(\d{9,11})\.(\d{3}) ", re.ASCII)
_STATE = re.compile(r"([0-9A-Z]{5}):? {1,2}(?=\S)", re.ASCII)
_LEVEL = re.compile(
    r"(?:\[\d{1,10}-\d{1,10}\] )?(.{0,400}?)(LOG|FATAL|ERROR|WARNING|NOTICE|INFO|PANIC|DETAIL|HINT|STATEMENT"
    r"|CONTEXT): {1,2}",
    re.ASCII,
)
_PID = re.compile(r"\[(\d{1,10})(?:-\d{1,10})?\]", re.ASCII)
_PAIR = re.compile(r"\b(user|db|database|app|client|host|session)=(\[unknown\]|[^,\s\]]{0,256})", re.ASCII)
_AT = re.compile(r"([A-Za-z0-9_.$-]{1,64}|\[unknown\])@([A-Za-z0-9_.$-]{1,64}|\[unknown\])", re.ASCII)
_HOST = re.compile(r"(?:^|\s|:)((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]{3,39})\((\d{1,5})\)", re.ASCII)
_ADDRESS = re.compile(r"(?<![\d.])((?:\d{1,3}\.){3}\d{1,3})(?![\d.])", re.ASCII)
_AUTHENTICATION = re.compile(
    r"(?:password|Ident|Peer|LDAP|GSSAPI|SSPI|RADIUS|PAM|certificate|SCRAM|MD5)[a-zA-Z0-9 -]{0,20}"
    r' authentication failed for user "([^"]{1,256})"|role "([^"]{1,256})" does not exist',
    re.ASCII,
)
_NO_ENTRY = re.compile(
    r"(?:no pg_hba\.conf entry|pg_hba\.conf rejects \w{0,16} ?connection) for (?:\w{1,32} connection from )?"
    r'host "([^"]{1,64})", user "([^"]{1,256})", database "([^"]{1,256})"',
    re.ASCII,
)
_RECEIVED = re.compile(r"connection received: host=(\S{1,256})(?: port=(\d{1,5}))?", re.ASCII)
_IDENTIFIED = re.compile(r'connection authenticated: (?:identity|user)="([^"]{1,256})" method=([\w-]{1,32})', re.ASCII)
_AUTHORIZED = re.compile(
    r"(?:replication )?connection authorized: user=(\S{1,256})(?: database=(\S{1,256}))?"
    r"(?: application_name=(.{1,256}?))?(?: SSL enabled .*)?$",
    re.ASCII,
)
_ENDED = re.compile(
    r"disconnection: session time: (\d{1,9}):(\d\d):(\d\d\.\d{1,6}) user=(\S{1,256}) database=(\S{1,256})"
    r" host=(\S{1,256})(?: port=(\d{1,5}))?",
    re.ASCII,
)
_STATEMENT = re.compile(
    r"(?:duration: (\d{1,12}\.\d{1,6}) ms(?:  |$))?(?:(?:statement|execute [^:]{1,256}|parse [^:]{1,256}"
    r"|bind [^:]{1,256}): )?",
    re.ASCII,
)
_COLUMNS = (
    "time", "user", "database", "pid", "client", "session", "session_line", "command", "session_start", "virtual",
    "transaction", "level", "code", "message", "detail", "hint", "internal_query", "internal_position", "context",
    "query", "query_position", "location", "application",
)  # fmt: skip
_LEVELS = {"LOG": "info", "FATAL": "critical", "PANIC": "emergency", "ERROR": "error", "WARNING": "warning"}
_NOBODY = ("", "[unknown]", "-")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the log, in text or CSV, into the event."""
    if message[:4].isdigit() and message.count(",", 0, 4_096) > 15 and _read_csv(message, event, context):
        return True
    numbered = _NUMBERED.match(message)
    start = numbered.end() if numbered is not None and "@timestamp" in event else 2 if message[:2] == "< " else 0
    line, since = _LINE.match(message, start), _EPOCH.match(message, start)
    if line is not None:
        moment, zone, prefix, level = line.groups()
        event["@timestamp"] = format_time(_moment(moment, zone, context))
    else:
        line = _LEVEL.match(message, since.end() if since else start)
        if line is None or ("@timestamp" not in event and since is None):
            return False  # without a time in its prefix only behind a syslog header
        if since is not None:
            event["@timestamp"] = format_time(int(since[1]) * 1_000_000 + int(since[2]) * 1_000)
        prefix, level = line.groups()
    _prefix(prefix, event)
    _level(level, event)
    body = message[line.end() :]
    state = _STATE.match(body)
    if state is not None and any(each.isdigit() for each in state[1]):
        event["event.code"], body = state[1], body[state.end() :]
    _body(body, level, event)
    return True


def _moment(written: str, zone: str, context: Context) -> int:
    if zone[0] in "+-":
        return instant(f"{written.replace(' ', 'T')}{zone if len(zone) > 3 else zone + ':00'}", context.zone)
    away = _ZONES.get(zone)
    return instant(written, context.zone) if away is None else instant(written, "UTC") - away * 60_000_000


def _prefix(prefix: str, event: Event) -> None:
    pid = _PID.search(prefix)
    if pid is not None:
        event["process.pid"] = int(pid[1])
    for name, value in _PAIR.findall(prefix):
        if value in _NOBODY:
            continue
        if name == "user":
            event["user.name"] = value
        elif name in ("db", "database"):
            event["almena.database.name"] = value
        elif name == "app":
            event["almena.database.application"] = value
        elif name in ("client", "host"):
            _client(value, event)
    who = _AT.search(prefix)
    if who is not None and "user.name" not in event:
        if who[1] not in _NOBODY:
            event["user.name"] = who[1]
        if who[2] not in _NOBODY:
            event["almena.database.name"] = who[2]
    host = _HOST.search(prefix)
    if host is not None and "source.address" not in event:
        put_end(event, "source", host[1], host[2])
    elif prefix.count(".") > 2 and "source.address" not in event and (bare := _ADDRESS.search(prefix)) is not None:
        put_end(event, "source", bare[1])


def _client(value: str, event: Event) -> None:
    host, _, port = value.partition("(")
    if host != "[local]":
        put_end(event, "source", host, port.rstrip(")"))


def _level(level: str, event: Event) -> None:
    event["log.level"] = _LEVELS.get(level, level.lower())
    event["event.category"] = ["database"]
    event["event.type"] = ["error"] if level in ("ERROR", "FATAL", "PANIC") else ["info"]
    if level in ("ERROR", "FATAL", "PANIC"):
        event["event.outcome"] = "failure"


def _body(body: str, level: str, event: Event) -> None:
    event["message"] = body
    if body.startswith("AUDIT: "):
        _audit(body[7:], event)
    elif level == "STATEMENT":
        put_statement(event, body)
    elif level in ("FATAL", "ERROR") and _refused(body, event):
        return
    elif body.startswith(("duration: ", "statement: ", "execute ", "parse ", "bind ")):
        found = _STATEMENT.match(body)
        assert found is not None
        if found[1] is not None:
            event["event.duration"] = round(float(found[1]) * 1e6)
        put_statement(event, body[found.end() :])
        event["event.action"] = "statement"
        event["event.outcome"] = "success"
    else:
        _connection(body, event)


def _refused(body: str, event: Event) -> bool:
    failed = _AUTHENTICATION.search(body)
    entry = _NO_ENTRY.search(body)
    if failed is None and entry is None:
        return False
    event |= {
        "event.category": ["authentication", "database"],
        "event.type": ["start"],
        "event.action": "authentication",
        "event.outcome": "failure",
        "event.reason": body[:1_024],
    }
    if failed is not None:
        event["user.name"] = failed[1] or failed[2]
    elif entry is not None:
        put_end(event, "source", entry[1])
        event["user.name"], event["almena.database.name"] = entry[2], entry[3]
    return True


def _connection(body: str, event: Event) -> None:
    received, authorized, ended = _RECEIVED.match(body), _AUTHORIZED.match(body), _ENDED.match(body)
    if received is not None:
        _client(received[1], event)
        if received[2] and "source.address" in event:
            put_end(event, "source", None, received[2])
        event |= {"event.category": ["network", "database"], "event.type": ["connection", "start"]}
        event["event.action"] = "connection-received"
    elif authorized is not None:
        event |= {"event.category": ["authentication", "database"], "event.type": ["start"]}
        event |= {"event.action": "authentication", "event.outcome": "success", "user.name": authorized[1]}
        put(event, "almena.database.name", authorized[2])
        put(event, "almena.database.application", authorized[3])
    elif (identified := _IDENTIFIED.match(body)) is not None:
        event |= {"event.category": ["authentication", "database"], "event.type": ["start"]}
        event |= {"event.action": "authentication", "event.outcome": "success"}
        event.setdefault("user.name", identified[1])
    elif ended is not None:
        event |= {"event.category": ["session", "database"], "event.type": ["end"], "event.action": "disconnection"}
        event["event.duration"] = round((int(ended[1]) * 3600 + int(ended[2]) * 60 + float(ended[3])) * 1e9)
        event["user.name"], event["almena.database.name"] = ended[4], ended[5]
        _client(ended[6], event)
        if "source.address" in event:
            put_end(event, "source", None, ended[7])


def _audit(body: str, event: Event) -> None:
    """`SESSION,1,1,READ,SELECT,TABLE,public.linea,"select ...",<none>` of pgAudit."""
    cells = _cells(body)
    if len(cells) < 8:
        return
    event["event.category"] = ["database"]
    event["event.action"] = cells[3].lower()
    event["event.outcome"] = "success"
    put_command(event, cells[4])
    if cells[6]:
        event["almena.database.object"] = cells[6]
    event["almena.database.statement"] = cells[7][:8_000]


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\x00", "")]), [])
    except csv.Error:
        return []


def _read_csv(message: str, event: Event, context: Context) -> bool:
    cells = _cells(" ".join(message.split("\n")))
    if not 22 <= len(cells) <= 27:
        return False
    row = dict(zip(_COLUMNS, cells, strict=False))
    moment, _, zone = row["time"].rpartition(" ")
    if row["level"] not in (*_LEVELS, "NOTICE", "INFO", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"):
        return False
    event["@timestamp"] = format_time(_moment(moment, zone or "UTC", context))
    _level(row["level"], event)
    _body(row["message"], row["level"], event)
    _row(row, event)
    return True


def _row(row: dict[str, str], event: Event) -> None:
    put(event, "user.name", row.get("user"))
    put(event, "almena.database.name", row.get("database"))
    put(event, "almena.database.application", row.get("application"))
    put(event, "event.code", row.get("code"))
    pid = number(row.get("pid"))
    if pid is not None:
        event["process.pid"] = pid
    client = given(row.get("client"))
    if client is not None and client != "[local]" and "source.address" not in event:
        host, _, port = client.rpartition(":")
        put_end(event, "source", host or client, port if host else None)
    if row.get("query"):
        put_statement(event, row["query"])


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a line of the JSON log."""
    return "error_severity" in document and "timestamp" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one line of the JSON log; raises ParseError without a time."""
    written = text_at(document, "timestamp")
    if written is None:
        raise ParseError("a line of PostgreSQL's JSON log without a time")
    moment, _, zone = written.rpartition(" ")
    event: Event = {"@timestamp": format_time(_moment(moment, zone or "UTC", context))}
    level = text_at(document, "error_severity") or "LOG"
    _level(level, event)
    _body(text_at(document, "message") or "", level, event)
    names = {"user": "user", "database": "dbname", "application": "application_name", "code": "state_code"}
    row = {name: text_at(document, key) or "" for name, key in names.items()}
    row |= {"pid": text_at(document, "pid") or "", "query": text_at(document, "statement") or ""}
    _row(row, event)
    host = text_at(document, "remote_host")
    if host is not None and host != "[local]":
        put_end(event, "source", host, text_at(document, "remote_port"))
    return event


FORMAT = Format(
    name="postgresql",
    dataset="postgresql.log",
    read=read,
    programs=("postgres", "postgresql"),
    begins=("< 20",),
    convert=convert,
    fits=fits,
    words=False,
)
