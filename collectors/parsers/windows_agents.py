"""Windows events as two agents write them: Splunk's forwarder, a name and a value a line, and WinCollect of QRadar.

11/22/2026 01:34:00 PM\nLogName=Security\nEventCode=4625\n...\nMessage=An account failed to log on. ...
AgentDevice=WindowsLog<TAB>AgentLogFile=Security<TAB>...<TAB>EventID=4625<TAB>...<TAB>Message=An account failed to ...
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers.common import given, local, number, zone_of

WINCOLLECT = "AgentDevice="
_FIRST = re.compile(
    r"(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d:\d\d)(?:\.\d{1,6})? ([AP])M\r?\n(?=(?:LogName|EventCode|SourceName)=)",
    re.ASCII,
)
_NAMES = {
    "LogName": "Channel",
    "AgentLogFile": "Channel",
    "SourceName": "SourceName",
    "Source": "SourceName",
    "EventCode": "EventID",
    "EventIDCode": "EventID",
    "ComputerName": "Hostname",
    "Computer": "Hostname",
    "TaskCategory": "Category",
    "RecordNumber": "RecordNumber",
    "OpCode": "Opcode",
    "Opcode": "Opcode",
    "Sid": "UserID",
    "User": "AccountName",
    "Domain": "Domain",
}
_AUDITS = {"Audit Success": "AUDIT_SUCCESS", "Audit Failure": "AUDIT_FAILURE"}
_SECURITY = "Microsoft-Windows-Security-Auditing"
_MAX = 64
"""Most fields before the text."""


def fields_of(message: str, context: Context) -> dict[str, Any] | None:
    """The event under the names of NXLog; None for other texts."""
    if message.startswith(WINCOLLECT):
        head, found, text = message.partition("\tMessage=")
        fields = _named(head.split("\t", _MAX))
        if (seconds := number(fields.pop("TimeGenerated", None))) is not None:
            fields["TimeCreated"] = format_time(seconds * SECOND)
    else:
        first = _FIRST.match(message, 0, 64)
        if first is None:
            return None
        head, found, text = message[first.end() :].partition("\nMessage=")
        fields = _named(head.split("\n", _MAX))
        fields["TimeCreated"] = format_time(_moment(first, context))
    if "EventID" not in fields:
        raise ParseError("a Windows event without a number as its event id")
    if found:
        fields["Message"] = text.replace("\r\n", "\n").strip()
    return fields


def _named(parts: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for part in parts:
        name, _, value = part.strip().partition("=")
        if given(value) is None:
            continue
        if name == "Keywords":
            fields["EventType"] = _AUDITS.get(value)
        elif name in _NAMES:
            fields[_NAMES[name]] = value
        elif name == "TimeGenerated":
            fields[name] = value
    if str(fields.get("SourceName")).startswith("Microsoft Windows security auditing"):
        fields["SourceName"] = _SECURITY
    return fields


def _moment(first: re.Match[str], context: Context) -> int:
    month, day, year, hour, rest, half = first.groups()
    clock = f"{int(hour) % 12 + (12 if half == 'P' else 0):02d}:{rest}"
    return local(int(year), int(month), int(day), clock, zone_of(context.zone))
