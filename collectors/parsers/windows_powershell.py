"""Windows events as PowerShell writes them: `Get-WinEvent | ConvertTo-Json`, as the flat records of other exporters.

    {"Id": 4625, "ProviderName": "Microsoft-Windows-Security-Auditing", "LogName": "Security", "MachineName": "SRV-1",
     "TimeCreated": "2026-11-22T13:34:00.1234567-06:00", "Message": "An account failed to log on. ..."}

What happened stands in the text alone: the values beside it have no names.
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from collectors.parsers.common import given, number

_DATE = re.compile(r"/Date\((-?\d{1,15})\)/", re.ASCII)
_NAMES = {
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


def fits(document: dict[str, Any]) -> bool:
    """Whether an object is such an event."""
    return "LogName" in document and "ProviderName" in document and "Id" in document


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """The same under the names that other exporters use."""
    found = {name: document[written] for written, name in _NAMES.items() if document.get(written) is not None}
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
