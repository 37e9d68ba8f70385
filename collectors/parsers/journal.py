"""Records of systemd's journal, as `journalctl -o json` writes them: who spoke is known to the kernel, not claimed.

    {"__REALTIME_TIMESTAMP": "1795376040000000", "_HOSTNAME": "web1", "SYSLOG_IDENTIFIER": "sshd", "_PID": "811",
     "_UID": "0", "_SYSTEMD_UNIT": "ssh.service", "PRIORITY": "6", "MESSAGE": "Failed password for root from ..."}

A value is a text, a list of bytes where it is no text, a list of values where there are several, or null where it was
too long. The message goes to the readers of syslog by the name of its program. What a program adds of its own stands
under `almena.app.journal.*`.
"""

from __future__ import annotations

from typing import Any

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import formats
from collectors.parsers.common import as_text, given, number
from collectors.parsers.format import Format, finish
from collectors.parsers.header import FACILITIES, SEVERITIES

_LONGEST = 8_192
_MOST_OWN = 64
_LATEST = 253_402_300_799_999_999  # the last microsecond that RFC 3339 can write
_NOBODY = "4294967295"

_TEXTS = {
    "_HOSTNAME": ("host.name", "log.syslog.hostname"),
    "_MACHINE_ID": ("host.id",),
    "_BOOT_ID": ("host.boot.id",),
    "_UID": ("process.user.id",),
    "_GID": ("process.group.id",),
    "_EXE": ("process.executable",),
    "_CMDLINE": ("process.command_line",),
    "CODE_FILE": ("log.origin.file.name",),
    "CODE_FUNC": ("log.origin.function",),
    "MESSAGE_ID": ("log.syslog.msgid",),
    "CONTAINER_ID_FULL": ("container.id",),
    "CONTAINER_NAME": ("container.name",),
    "IMAGE_NAME": ("container.image.name",),
}
"""Fields that stand for themselves, and what they are called."""

_SKIPPED = frozenset(
    (
        *("MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_TIMESTAMP"),
        *("SYSLOG_RAW", "CODE_LINE", "CONTAINER_ID", "CONTAINER_TAG", "TID", "INVOCATION_ID", "USER_INVOCATION_ID"),
    )
)
"""Fields of known meaning that are read elsewhere, or say nothing that another does not."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of the journal."""
    return "MESSAGE" in document and ("__REALTIME_TIMESTAMP" in document or "_TRANSPORT" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of a record that was decoded already; raises ParseError when it has no message."""
    message = _message(document.get("MESSAGE"))
    if message is None or not message.strip("\0\r\n\t "):
        raise ParseError("a record of the journal without a message")
    message = message.strip("\0\r\n")
    event: Event = {"@timestamp": format_time(_time(document, context))}
    _say(document, event)
    _urgency(document, event)
    line = _audit_line(document, message) or message
    found = formats.recognise(line, 0, event, context)
    if found is not None:
        return found[1]
    event["event.dataset"] = "system.syslog"
    event["message"] = message
    return finish(event, message, context)


def _message(value: Any) -> str | None:
    """The message; several of them are one of several lines."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return "\n".join(filter(None, map(_value, value)))
    return _value(value)


def _audit_line(document: dict[str, Any], message: str) -> str | None:
    """The message as the audit daemon writes it, where the kernel's audit is who speaks."""
    kind, serial = _one(document, "_AUDIT_TYPE_NAME"), _number(document, "_AUDIT_ID")
    moment = _number(document, "_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")
    if document.get("_TRANSPORT") != "audit" or kind is None or moment is None or not message.startswith(f"{kind} "):
        return None
    seconds, micros = divmod(moment, SECOND)
    return f"type={kind} msg=audit({seconds}.{micros // 1_000:03}:{serial or 0}): {message[len(kind) + 1 :]}"


def _say(document: dict[str, Any], event: Event) -> None:
    """Who spoke, and what the program added."""
    for name, fields in _TEXTS.items():
        value = _value(document.get(name))
        if value:
            for field in fields:
                event[field] = value
    program = _one(document, "SYSLOG_IDENTIFIER", "_COMM")
    if program is None and document.get("_TRANSPORT") == "kernel":
        program = "kernel"
    if program is not None:
        event["process.name"] = event["log.syslog.appname"] = program
    pid = _number(document, "_PID", "SYSLOG_PID")
    if pid is not None:
        event["process.pid"] = pid
        event["log.syslog.procid"] = str(pid)
    unit = _one(document, "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT")
    if unit is not None:
        event["service.name"] = unit.removesuffix(".service")
    login = _one(document, "_AUDIT_LOGINUID")
    if login is not None and login != _NOBODY:
        event["process.session_leader.user.id"] = login
    audit = _one(document, "_AUDIT_TYPE_NAME")
    if audit is not None:
        event["event.action"] = audit.lower()
    line = _number(document, "CODE_LINE")
    if line is not None:
        event["log.origin.file.line"] = line
    _own(document, event)


def _own(document: dict[str, Any], event: Event) -> None:
    names = [name for name in document if name[:1] != "_" and name not in _TEXTS and name not in _SKIPPED]
    for name in names[:_MOST_OWN]:
        value = _value(document[name])
        if value:
            event[f"almena.app.journal.{name[:64].lower()}"] = value


def _urgency(document: dict[str, Any], event: Event) -> None:
    severity, facility = _number(document, "PRIORITY"), _number(document, "SYSLOG_FACILITY")
    if severity is not None and 0 <= severity <= 7:
        event["log.syslog.severity.code"] = severity
        event["log.syslog.severity.name"] = event["log.level"] = SEVERITIES[severity]
    if facility is not None and 0 <= facility < len(FACILITIES):
        event["log.syslog.facility.code"] = facility
        event["log.syslog.facility.name"] = FACILITIES[facility]
    if "log.level" in event and "log.syslog.facility.code" in event:
        event["log.syslog.priority"] = 8 * event["log.syslog.facility.code"] + event["log.syslog.severity.code"]


def _time(document: dict[str, Any], context: Context) -> int:
    """When the program spoke, else when the journal heard it."""
    for name in ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"):
        moment = _number(document, name)
        if moment is not None and 0 < moment <= _LATEST:
            return moment
    return context.received


def _one(document: dict[str, Any], *names: str) -> str | None:
    """The first of these that says something, and is short enough to be a name."""
    for name in names:
        value = given(_value(document.get(name)))
        if value is not None and len(value) <= _LONGEST:
            return value
    return None


def _number(document: dict[str, Any], *names: str) -> int | None:
    for name in names:
        found = number(_value(document.get(name)))
        if found is not None:
            return found
    return None


def _value(value: Any) -> str | None:
    """A field's text: as it is, of its bytes, or of the first of several values."""
    if isinstance(value, list) and value:
        if isinstance(value[0], int) and not isinstance(value[0], bool):
            return _text(value)
        value = value[0]
        if isinstance(value, list):
            return _text(value)
    return None if value is None or isinstance(value, (list, dict)) else as_text(value)


def _text(values: list[Any]) -> str | None:
    """Bytes as `text` reads those of a line."""
    try:
        return bytes(values).decode("utf-8", "backslashreplace")
    except (TypeError, ValueError):
        return None


FORMAT = Format(name="journal", dataset="system.syslog", convert=convert, fits=fits)
