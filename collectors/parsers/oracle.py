"""Oracle Database's audit: syslog records, the text files of the standard audit, and the unified audit trail.

Oracle Audit[2410]: LENGTH: "205" SESSIONID:[2] "12" ENTRYID:[1] "1" USERID:[3] "ANA" ACTION:[3] "100" ...
ORA_AUDIT ... CLIENT USER:[6] 'oracle' ACTION :[7] 'CONNECT' DATABASE USER:[1] '/' STATUS:[1] '0'
"""

from __future__ import annotations

import html
import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, fraction, given, instant, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_user
from collectors.parsers.statements import put_command, put_statement

_FIELD = re.compile(r"([A-Z][A-Z$ _]{0,40}?) ?: ?\[(\d{1,6})\] (?=[\"'])", re.ASCII)
_TIME = re.compile(
    r"(?:[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? (\d{4})(?: ([+-]\d\d:\d\d))?"
    r"|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?))",
    re.ASCII,
)
_SHORT = re.compile(r"\b([A-Z][A-Z_$]{1,31}): ?\"([^\"]{0,8192})\"", re.ASCII)
_TAGS = re.compile(r"<([A-Za-z_]{2,32})>([^<]{0,65536})</", re.ASCII)
_XML = {
    "DB_User": "USERID",
    "OS_User": "OS$USERID",
    "Userhost": "USERHOST",
    "Comment_Text": "COMMENT$TEXT",
    "Action": "ACTION",
    "Returncode": "RETURNCODE",
    "Object_Name": "OBJ$NAME",
    "Object_Schema": "OBJ$CREATOR",
    "Sql_Text": "SQLTEXT",
    "Session_Id": "SESSIONID",
    "Extended_Timestamp": "TIME",
}
_SAME = {"RETCODE": "RETURNCODE", "OBJNAME": "OBJ$NAME", "SCHEMA": "OBJ$CREATOR", "SESID": "SESSIONID"}
_LISTENER = re.compile(
    r"(\d\d)-([A-Z]{3})-(\d{4}) (\d\d:\d\d:\d\d)(?:\.\d{1,9})? \* (\(CONNECT_DATA=.{0,4096}?\)) \* "
    r"(?:(\(ADDRESS=.{0,512}?\)) \* )?(\w{1,32}) \* (?:(\S{1,256}) \* )?(\d{1,6})$",
    re.ASCII,
)
_CALLER = re.compile(r"\(CID=.{0,1024}?\(USER=([^)]{1,128})\)", re.ASCII)
_ADDRESS = re.compile(r"\(HOST=([^)\s]{1,256})\)(?:\(PORT=(\d{1,5})\))?", re.ASCII)
_MOST = 64
ACTIONS = {
    1: "CREATE TABLE",
    2: "INSERT",
    3: "SELECT",
    4: "CREATE CLUSTER",
    6: "UPDATE",
    7: "DELETE",
    9: "CREATE INDEX",
    10: "DROP INDEX",
    11: "ALTER INDEX",
    12: "DROP TABLE",
    15: "ALTER TABLE",
    17: "GRANT OBJECT",
    18: "REVOKE OBJECT",
    19: "CREATE SYNONYM",
    21: "CREATE VIEW",
    22: "DROP VIEW",
    24: "CREATE PROCEDURE",
    26: "LOCK TABLE",
    28: "RENAME",
    32: "CREATE DATABASE LINK",
    33: "DROP DATABASE LINK",
    35: "ALTER DATABASE",
    39: "CREATE TABLESPACE",
    40: "ALTER TABLESPACE",
    41: "DROP TABLESPACE",
    42: "ALTER SESSION",
    43: "ALTER USER",
    44: "COMMIT",
    45: "ROLLBACK",
    47: "PL/SQL EXECUTE",
    49: "ALTER SYSTEM",
    51: "CREATE USER",
    52: "CREATE ROLE",
    53: "DROP USER",
    54: "DROP ROLE",
    55: "SET ROLE",
    59: "CREATE TRIGGER",
    61: "DROP TRIGGER",
    65: "CREATE PROFILE",
    66: "DROP PROFILE",
    67: "ALTER PROFILE",
    68: "DROP PROCEDURE",
    85: "TRUNCATE TABLE",
    91: "CREATE FUNCTION",
    94: "CREATE PACKAGE",
    100: "LOGON",
    101: "LOGOFF",
    102: "LOGOFF BY CLEANUP",
    103: "SESSION REC",
    104: "SYSTEM AUDIT",
    105: "SYSTEM NOAUDIT",
    108: "SYSTEM GRANT",
    109: "SYSTEM REVOKE",
    114: "GRANT ROLE",
    115: "REVOKE ROLE",
    116: "EXECUTE PROCEDURE",
    117: "USER COMMENT",
    128: "FLASHBACK",
    197: "PURGE USER_RECYCLEBIN",
}
"""Numbers of the standard audit, and the actions they stand for."""
_NAMES = frozenset((*ACTIONS.values(), "PL/SQL EXECUTE"))

_REASONS = {
    "1017": "invalid user name or password",
    "1005": "no password given",
    "1045": "the user lacks CREATE SESSION",
    "28000": "the account is locked",
    "28001": "the password has expired",
    "942": "table or view does not exist",
    "1031": "insufficient privileges",
}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record, one line or the several lines of an audit file, into the event."""
    listener = _LISTENER.match(message)
    if listener is not None:
        return _listener(listener, event, context)
    fields = _tagged(message) if message.startswith("<AuditRecord>") else _fields(message) or _short(message)
    if not fields or not ({"ACTION", "USERID", "DATABASE USER", "DBUSER"} & fields.keys()):
        return False
    time = _TIME.match(fields.get("TIME") or message)
    if time is not None:
        event["@timestamp"] = format_time(_moment(time, context))
    code = fields.get("RETURNCODE") or fields.get("STATUS") or fields.get("RETURN_CODE") or "0"
    action = fields.get("ACTION", "")
    if action.isdigit() and len(action) < 5:
        action = ACTIONS.get(int(action), f"ACTION {action}")
    sql = "" if " " not in action or action in _NAMES or action.startswith("ACTION ") else action
    command = " ".join(sql[:256].split(None, 2)[:2]).upper() if sql else action
    if command not in _NAMES and sql:
        command = ""
    word = (command or sql.partition(" ")[0]).upper()
    event["event.outcome"] = "success" if code == "0" else "failure"
    _kind(event, word, command, sql)
    if code != "0":
        event["event.code"] = f"ORA-{code.zfill(5)}"
        put(event, "event.reason", _REASONS.get(code))
    _who(fields, event)
    return True


def _kind(event: Event, word: str, command: str, sql: str) -> None:
    if word in ("LOGON", "CONNECT"):
        event |= {"event.category": ["authentication", "database"], "event.type": ["start"], "event.action": "logon"}
    elif word.startswith(("LOGOFF", "DISCONNECT")):
        event |= {"event.category": ["session", "database"], "event.type": ["end"], "event.action": "logoff"}
    else:
        if sql:
            put_statement(event, sql)
        if command or not sql:
            put_command(event, command or "UNKNOWN")
        event["event.category"] = (
            ["iam", "database"] if any(w in word for w in ("USER", "ROLE", "GRANT")) else ["database"]
        )
        event["event.action"] = event.get("almena.database.command", "unknown").lower().replace(" ", "-")


def _who(fields: dict[str, str], event: Event) -> None:
    put_user(event, given(fields.get("USERID") or fields.get("DATABASE USER") or fields.get("DBUSER")))
    if event.get("user.name") == "/":
        put_user(event, given(fields.get("CLIENT USER")))
    put(event, "almena.database.os_user", fields.get("OS$USERID") or fields.get("CLIENT USER"))
    host = given(fields.get("USERHOST"))
    address = _ADDRESS.search(" ".join(fields.get(name, "") for name in ("COMMENT$TEXT", "COMMENT", "CLIENT ADDRESS")))
    if address is not None:
        put_end(event, "source", address[1], address[2])
    elif (client := given(fields.get("CLIENT ADDRESS"))) is not None and "(" not in client:
        put_end(event, "source", client)
    elif host is not None:
        put_end(event, "source", host.rpartition("\\")[2])
    for name, field in (
        ("OBJ$NAME", "object"),
        ("OBJ$CREATOR", "schema"),
        ("SESSIONID", "session"),
        ("DBID", "name"),
        ("PRIVILEGE", "privilege"),
        ("PRIV$USED", "privilege"),
        ("SQLTEXT", "statement"),
    ):
        value = given(fields.get(name))
        if value is not None and value != "NONE":
            event[f"almena.database.{field}"] = value[:8_000]
    put(event, "user.target.name", fields.get("AUTH$GRANTEE"))


def _listener(found: re.Match[str], event: Event, context: Context) -> bool:
    """What the listener was asked for, by whom, and whether it did it."""
    day, month, year, clock, data, place, action, service, code = found.groups()
    if month.title() not in MONTHS:
        raise ParseError("a month that does not exist", 0)
    event["@timestamp"] = format_time(local(int(year), MONTHS[month.title()], int(day), clock, zone_of(context.zone)))
    event |= {"event.dataset": "oracle.listener", "event.category": ["network", "database"], "event.action": action}
    event["event.type"] = ["connection", "start"] if action == "establish" else ["info"]
    event["event.outcome"] = "success" if code == "0" else "failure"
    if code != "0":
        event["event.code"] = f"TNS-{code.zfill(5)}"
    address, caller = _ADDRESS.search(place or ""), _CALLER.search(data)
    if address is not None:
        put_end(event, "source", address[1], address[2])
    if caller is not None:
        put_user(event, caller[1])
    put(event, "almena.database.name", service)
    return True


def _tagged(message: str) -> dict[str, str]:
    """A record of the XML files."""
    pairs = (_TAGS.findall(message, 0, 200_000))[: 2 * _MOST]
    return {_XML[name]: html.unescape(value) for name, value in pairs if name in _XML}


def _short(message: str) -> dict[str, str]:
    """A record of the unified audit over syslog: values in quotes, without their lengths."""
    return {_SAME.get(name, name): value for name, value in _SHORT.findall(message, 0, 65_536)[:_MOST]}


def _fields(message: str) -> dict[str, str]:
    """`NAME:[length] "value"`: the length says where a value ends, whatever it holds; a lie ends at its quote."""
    found: dict[str, str] = {}
    at = 0
    for _ in range(_MOST):
        name = _FIELD.search(message, at, at + 4_096)
        if name is None:
            break
        quote = message[name.end()]
        start = name.end() + 1
        end = start + int(name[2])
        if message[end : end + 1] != quote:
            end = message.find(quote, start)
            if end < 0:
                raise ParseError("an audit record of Oracle whose value has no end", min(start, len(message)))
        found[name[1].strip()] = message[start:end]
        at = end + 1
    return found


def _moment(time: re.Match[str], context: Context) -> int:
    month, day, clock, digits, year, away, iso = time.groups()
    if iso is not None:
        return instant(iso, context.zone)
    if month not in MONTHS:
        raise ParseError("a month that does not exist", 0)
    if away is not None:
        return instant(f"{year}-{MONTHS[month]:02}-{int(day):02}T{clock}{away}", context.zone)
    return local(int(year), MONTHS[month], int(day), clock, zone_of(context.zone)) + fraction(digits)


FORMAT = Format(
    name="oracle",
    dataset="oracle.database_audit",
    read=read,
    programs=("oracle",),
    begins=("<AuditRecord>", "Oracle Audit[", "Oracle Unified Audit[", "LENGTH: ", "LENGTH : ", 'LENGTH:"'),
    words=False,
)
