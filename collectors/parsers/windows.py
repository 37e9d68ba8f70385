"""Windows events as JSON, in every shape they come in, to one: Winlogbeat's field names and ECS beside them.

What they may look like is told in `windows_records`.
`winlog.event_data.<Name>` holds the event's own data as text, with spaces taken out of the names.
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import mssql, windows_fields
from collectors.parsers.common import MAX_FIELDS, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.windows_channels import DEFENDER, DNS_AUDIT, DNS_SERVER
from collectors.parsers.windows_records import Record, fits, record_of
from collectors.parsers.windows_text import data_of, defender_data

_CHANNELS = {
    "security": ("Security", "security"),
    "system": ("System", "system"),
    "application": ("Application", "application"),
    "windows powershell": ("Windows PowerShell", "powershell"),
    "microsoft-windows-powershell/operational": ("Microsoft-Windows-PowerShell/Operational", "powershell"),
    "powershellcore/operational": ("PowerShellCore/Operational", "powershell"),
    "microsoft-windows-sysmon/operational": ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
    "linux-sysmon/operational": ("Linux-Sysmon/Operational", "sysmon"),
}
"""Channels as Windows writes them, by their lowercase name, with the last part of the data set's name."""

_PROVIDERS = {
    "Microsoft-Windows-Security-Auditing": "security",
    "Microsoft-Windows-Sysmon": "sysmon",
    "Linux-Sysmon": "sysmon",
    "Microsoft-Windows-PowerShell": "powershell",
    "PowerShell": "powershell",
}

_TRACED = {
    ("Microsoft-Windows-DNSServer", "16"): DNS_SERVER,
    ("Microsoft-Windows-DNSServer", "17"): DNS_AUDIT,
}
"""Channels by the provider and their number among its own."""

_DATABASE_AUDIT = "33205"  # of SQL Server, which writes it to the log of Windows


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of a record that was decoded already."""
    return event_of(record_of(document), context)


def event_of(record: Record, context: Context) -> Event:
    """The event of a record of any shape; raises ParseError when it has no id."""
    code = given(record.system.get("event_id"))
    if code is None or number(code) is None:
        raise ParseError("a Windows event without a number as its event id")
    record.system["event_id"] = code
    dataset = _dataset(record)
    if not record.data and record.message is not None:
        record = record._replace(data=_told(record.message, code, dataset))
    if dataset == DEFENDER:
        # Winlogbeat writes its data with underscores where Defender has spaces.
        record = record._replace(data={name.replace("_", ""): text for name, text in record.data.items()})
    event: Event = dict(record.extra)
    event |= {"winlog." + name: value for name, value in record.system.items() if value is not None and value != ""}
    event |= {"winlog.event_data." + name: text for name, text in record.data.items()}
    if len(event) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    event["@timestamp"] = format_time(_time(record, dataset, context))
    of_linux = dataset == "sysmon" and record.system.get("provider_name") == "Linux-Sysmon"
    event |= {"event.kind": "event", "event.dataset": "sysmon_linux.log" if of_linux else f"windows.{dataset}"}
    event["event.code"] = code
    if (provider := record.system.get("provider_name")) is not None:
        event["event.provider"] = provider
    if (computer := record.system.get("computer_name")) is not None:
        event["host.name"] = computer
    if record.message is not None:
        event["message"] = record.message
    if record.level is not None:
        event["log.level"] = record.level
    windows_fields.enrich(event, dataset, code, record.data, record.category)
    if code == _DATABASE_AUDIT:
        event |= mssql.audited(record.data.get("param1") or record.message or "", context)
    return event


def _told(message: str, code: str, dataset: str) -> dict[str, str]:
    return defender_data(message) if dataset == DEFENDER else data_of(message, code, sysmon=dataset == "sysmon")


def merge(event: Event, found: Event) -> None:
    """Add an event to what a syslog header said; the program that signed there only passed it on."""
    for name in ("process.name", "process.pid"):
        event.pop(name, None)
    event |= found


def _dataset(record: Record) -> str:
    channel = given(record.system.get("channel"))
    if channel is None:
        # Without a channel the provider tells; Sysmon alone dates its data with UtcTime.
        known = _PROVIDERS.get(str(record.system.get("provider_name")))
        return known or ("sysmon" if "UtcTime" in record.data else "unknown")
    if channel.isdigit():  # of an event that was traced and not logged
        return _TRACED.get((str(record.system.get("provider_name")), channel), "unknown")
    known_channel = _CHANNELS.get(channel.lower())
    if known_channel is not None:
        record.system["channel"] = known_channel[0]
        return known_channel[1]
    return channel.lower()[:256]


def _time(record: Record, dataset: str, context: Context) -> int:
    """When it happened: Sysmon's own clock reading, else what the record says, the best first, else its receipt."""
    if dataset == "sysmon" and (utc := given(record.data.get("UtcTime"))) is not None:
        try:
            return instant(utc, "UTC")
        except ParseError:
            pass  # a forged or empty field; the log's own time follows
    for value in record.times:
        if (text := given(value)) is not None:
            return instant(text, context.zone)
    if (utc := given(record.data.get("CreationUtcTime"))) is not None:
        return instant(utc, "UTC")
    return context.received


FORMAT = Format(name="windows", dataset="windows.unknown", convert=convert, fits=fits, relayed=True, whole=True)
