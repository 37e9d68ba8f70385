"""Windows events in the shapes of other readers of the log, to records of NXLog or documents of Winlogbeat.

    {"Id": 4625, "ProviderName": "Microsoft-Windows-Security-Auditing", "LogName": "Security", "MachineName": "SRV-1",
     "TimeCreated": "2026-11-22T13:34:00.1234567-06:00", "Message": "An account failed to log on. ..."}
    {"win": {"system": {"eventID": "4625", "channel": "Security", ...}, "eventdata": {"targetUserName": "ana", ...}}}
    {"log_name": "Security", "event_id": 4625, "computer_name": "SRV-1", "event_data": {"TargetUserName": "ana", ...}}

    {"ProviderName": "...", "EventID": 4625, "TimeCreated": "2026-11-22 13:34:00 -0600", "StringInserts": [...], ...}
    {"provider": {"name": "..."}, "event_id": {"id": 4625}, "system_time": "2026-11-22T19:34:00Z", "event_data": ...}
    {"version": "1.1", "host": "SRV-1", "timestamp": 1795376040.123, "_EventID": 4625, "_TargetUserName": "ana", ...}

The first is of PowerShell (`Get-WinEvent | ConvertTo-Json`), the second of Wazuh, as it reads it or in its alerts, the
third of Winlogbeat before version 7, the fourth of Fluent Bit, the fifth of OpenTelemetry, the last of NXLog as GELF.
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import SECOND, format_time
from collectors.parsers.common import MAX_FIELDS, given, number

_LIMIT = 10**11  # seconds
_DATE = re.compile(r"/Date\((-?\d{1,15})\)/", re.ASCII)
_POWERSHELL = {
    "Id": "EventID",
    "LogName": "Channel",
    "ProviderName": "SourceName",
    "ProviderId": "ProviderGuid",
    "MachineName": "Hostname",
    "RecordId": "RecordNumber",
    "ProcessId": "ExecutionProcessID",
    "ThreadId": "ThreadID",
    "Level": "Level",
    "Keywords": "Keywords",
    "Task": "Task",
    "Opcode": "Opcode",
    "Version": "Version",
    "ActivityId": "ActivityID",
    "TaskDisplayName": "Category",
    "Message": "Message",
}
_WAZUH = {
    "eventID": "EventID",
    "channel": "Channel",
    "providerName": "SourceName",
    "providerGuid": "ProviderGuid",
    "computer": "Hostname",
    "eventRecordID": "RecordNumber",
    "processID": "ExecutionProcessID",
    "threadID": "ThreadID",
    "level": "Level",
    "keywords": "Keywords",
    "task": "Task",
    "opcode": "Opcode",
    "version": "Version",
    "systemTime": "TimeCreated",
}
_FLUENT = _POWERSHELL | {
    "EventID": "EventID",
    "Channel": "Channel",
    "ProviderGuid": "ProviderGuid",
    "Computer": "Hostname",
    "EventRecordID": "RecordNumber",
    "ProcessID": "ExecutionProcessID",
    "ThreadID": "ThreadID",
    "ActivityID": "ActivityID",
    "UserID": "UserID",
}
_TELEMETRY = {
    "channel": "Channel",
    "computer": "Hostname",
    "record_id": "RecordNumber",
    "task": "Category",
    "opcode": "Opcode",
    "version": "Version",
    "system_time": "TimeCreated",
    "message": "Message",
}
_AUDITS = {"Audit Success": "AUDIT_SUCCESS", "Audit Failure": "AUDIT_FAILURE"}
_OLD = {
    "event_id": "event_id",
    "log_name": "channel",
    "source_name": "provider_name",
    "provider_guid": "provider_guid",
    "computer_name": "computer_name",
    "record_number": "record_id",
    "keywords": "keywords",
    "task": "task",
    "opcode": "opcode",
    "version": "version",
    "activity_id": "activity_id",
    "user": "user",
    "event_data": "event_data",
    "user_data": "user_data",
}


def flat(document: dict[str, Any]) -> dict[str, Any] | None:
    """The record under the names of NXLog; None when it is of none of the shapes that become so."""
    if "StringInserts" in document:
        return _fluent(document)
    if "LogName" in document and "ProviderName" in document and "Id" in document:
        return _powershell(document)
    if "_EventID" in document:
        return _gelf(document)
    if _is_telemetry(document):
        return _telemetry(document)
    win = _win(document)
    return _wazuh(win["system"], win.get("eventdata")) if win is not None else None


def fits(document: dict[str, Any]) -> bool:
    """Whether an object is of one of these shapes."""
    if "LogName" in document:
        return "ProviderName" in document and "Id" in document
    return "_EventID" in document or _is_old(document) or _is_telemetry(document) or _win(document) is not None


def nested(document: dict[str, Any]) -> dict[str, Any] | None:
    """The document of today's Winlogbeat; None when it is not of an older one."""
    if not _is_old(document):
        return None
    winlog = {name: document[old] for old, name in _OLD.items() if document.get(old) is not None}
    level = given(document.get("level"))
    found = {"@timestamp": document.get("@timestamp"), "message": document.get("message"), "winlog": winlog}
    return found if level is None else found | {"log": {"level": level.lower()}}


def _is_old(document: dict[str, Any]) -> bool:
    return "log_name" in document and "event_id" in document


def _is_telemetry(document: dict[str, Any]) -> bool:
    if "system_time" not in document:
        return False
    return isinstance(document.get("event_id"), dict) and isinstance(document.get("provider"), dict)


def _win(document: dict[str, Any]) -> dict[str, Any] | None:
    """What Wazuh says of the event: alone, or in the data of an alert."""
    data = document if "win" in document else document.get("data")
    win = data.get("win") if isinstance(data, dict) else None
    system = win.get("system") if isinstance(win, dict) else None
    return win if isinstance(system, dict) and "eventID" in system else None


def _powershell(document: dict[str, Any]) -> dict[str, Any]:
    found = {name: document[written] for written, name in _POWERSHELL.items() if document.get(written) is not None}
    user, created = document.get("UserId"), document.get("TimeCreated")
    if user is not None:
        found["UserID"] = user.get("Value") if isinstance(user, dict) else user
    if isinstance(created, dict):
        created = created.get("value") or created.get("DateTime")
    if (text := given(created)) is not None:
        date = _DATE.fullmatch(text)
        milliseconds = number(date[1]) if date is not None else None
        # Windows PowerShell 5 counts from 1970.
        found["TimeCreated"] = text if milliseconds is None else format_time(milliseconds * 1_000)
    return found


def _wazuh(system: dict[str, Any], data: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(data, dict):
        # It writes the first letter of every name small.
        found = {name[:1].upper() + name[1:]: value for name, value in data.items() if isinstance(name, str)}
    found |= {name: system[written] for written, name in _WAZUH.items() if system.get(written) is not None}
    severity, message = given(system.get("severityValue")), given(system.get("message"))
    if severity is not None and severity.startswith("AUDIT_"):
        found["EventType"] = severity
    if message is not None:
        found["Message"] = message.strip('"')
    return found


def _fluent(document: dict[str, Any]) -> dict[str, Any]:
    found = {name: document[written] for written, name in _FLUENT.items() if document.get(written) not in (None, "")}
    created = given(document.get("TimeCreated"))
    if created is not None:
        # A space before the offset, which no other writer of such times sets.
        day, _, rest = created.partition(" ")
        found["TimeCreated"] = f"{day}T{rest.replace(' ', '')}" if rest else created
    return found


def _telemetry(document: dict[str, Any]) -> dict[str, Any]:
    found = _pairs(document.get("event_data"))
    found |= {name: document[written] for written, name in _TELEMETRY.items() if document.get(written) is not None}
    identity, provider, keywords = document["event_id"], document["provider"], document.get("keywords")
    found |= {"EventID": identity.get("id"), "SourceName": provider.get("name"), "ProviderGuid": provider.get("guid")}
    if (level := given(document.get("level"))) is not None:
        found["Severity"] = "INFO" if level == "Information" else level
    for keyword in keywords if isinstance(keywords, list) else ():
        if isinstance(keyword, str) and keyword in _AUDITS:
            found["EventType"] = _AUDITS[keyword]
    return found


def _pairs(data: Any) -> dict[str, Any]:
    """The data, whether its names and values are in one object or in objects of their own."""
    if not isinstance(data, dict):
        return {}
    inner = data.get("data")
    if not isinstance(inner, list):
        return dict(data)
    return {name: value for each in inner[:MAX_FIELDS] if isinstance(each, dict) for name, value in each.items()}


def _gelf(document: dict[str, Any]) -> dict[str, Any]:
    found = {name[1:]: value for name, value in document.items() if name[:1] == "_"}
    found.setdefault("Hostname", document.get("host"))
    message = given(document.get("full_message")) or given(document.get("short_message"))
    if message is not None:
        found.setdefault("Message", message)
    moment = document.get("timestamp")
    if isinstance(moment, int | float) and 0 <= moment < _LIMIT:
        found["TimeCreated"] = format_time(round(moment * SECOND))
    return found
