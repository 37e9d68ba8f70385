r"""Windows events as syslog agents send them: Snare's columns, NXLog's structured data, and plain text with an id.

    <14>Nov 22 13:34:00 SRV-DC-01 MSWinEventLog<TAB>1<TAB>Security<TAB>3027<TAB>Sun Nov 22 13:34:00 2026<TAB>4625...
    <14>1 2026-11-22T13:34:00-06:00 SRV-DC-01 Microsoft-Windows-Security-Auditing 652 - [NXLOG@14506 EventID="4625" ...
    <29>Nov 22 13:34:00 SRV-DC-01 Security-Auditing: 4625: AUDIT_FAILURE An account failed to log on. Subject: ...
    <13>Nov 22 13:34:00 SRV-DC-01 AgentDevice=WindowsLog<TAB>AgentLogFile=Security<TAB>...<TAB>EventID=4625...

The event's text is taken apart into its data where they do not come by themselves.
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import windows, windows_agents
from collectors.parsers.common import MONTHS, given, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.windows_records import Record
from collectors.parsers.windows_text import data_of

_SNARE = "MSWinEventLog"
_OTHERS = (windows_agents.WINCOLLECT, "0", "1")
"""How texts of other agents begin: with a name or a date."""
_HEAD = re.compile(
    r"\s*(\d{1,2})\s+(\S[^\t]{0,127}?)\s+(\d{1,12})\s+[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d\d:\d\d:\d\d)\s+"
    r"(\d{4})\s+(\d{1,5})\s+",
    re.ASCII,
)
_AUDITS = {
    "success audit": "AUDIT_SUCCESS",
    "audit success": "AUDIT_SUCCESS",
    "auditoría correcta": "AUDIT_SUCCESS",
    "failure audit": "AUDIT_FAILURE",
    "audit failure": "AUDIT_FAILURE",
    "error de auditoría": "AUDIT_FAILURE",
    "auditoría errónea": "AUDIT_FAILURE",
}
_SPACED = re.compile(
    r"(\S{1,128}) (\S{1,256}) (\S{1,64}) (Success Audit|Failure Audit|Audit Success|Audit Failure|Information|Warning"
    r"|Error|Critical|Verbose) (\S{1,256}) ",
    re.ASCII,
)
_ELEMENT = "log.syslog.structured_data.NXLOG@14506."
_ID = re.compile(
    r"(?:EventID:? )?(\d{1,5}):? (?:(AUDIT_SUCCESS|AUDIT_FAILURE|SUCCESS|INFO|INFORMATION|WARNING|ERROR|CRITICAL) )?"
)
_PROVIDERS = (
    "Microsoft-Windows-Security-Auditing",
    "Microsoft-Windows-Sysmon",
    "Microsoft-Windows-Eventlog",
    "Microsoft-Windows-PowerShell",
    "Microsoft-Windows-Windows_Defender",
    "Microsoft-Windows-TaskScheduler",
    "Microsoft-Windows-GroupPolicy",
    "Microsoft-Windows-Kernel-General",
    "Service_Control_Manager",
)
_SHORT = {provider.removeprefix("Microsoft-Windows-"): provider for provider in _PROVIDERS}
_SENTENCES = {
    "an account was successfully logged on": "4624",
    "se inició sesión correctamente en una cuenta": "4624",
    "an account failed to log on": "4625",
    "error de una cuenta al iniciar sesión": "4625",
    "an account was logged off": "4634",
    "se cerró sesión en una cuenta": "4634",
    "user initiated logoff": "4647",
    "a logon was attempted using explicit credentials": "4648",
    "se intentó iniciar sesión con credenciales explícitas": "4648",
    "special privileges assigned to new logon": "4672",
    "se asignaron privilegios especiales a nuevo inicio de sesión": "4672",
    "a new process has been created": "4688",
    "se creó un proceso nuevo": "4688",
    "a process has exited": "4689",
    "a service was installed in the system": "4697",
    "a user account was created": "4720",
    "se creó una cuenta de usuario": "4720",
    "a user account was enabled": "4722",
    "an attempt was made to change an account's password": "4723",
    "an attempt was made to reset an account's password": "4724",
    "a user account was disabled": "4725",
    "a user account was deleted": "4726",
    "se eliminó una cuenta de usuario": "4726",
    "a member was added to a security-enabled global group": "4728",
    "a member was added to a security-enabled local group": "4732",
    "se agregó un miembro a un grupo local con seguridad habilitada": "4732",
    "a user account was changed": "4738",
    "a user account was locked out": "4740",
    "se bloqueó una cuenta de usuario": "4740",
    "a member was added to a security-enabled universal group": "4756",
    "a user account was unlocked": "4767",
    "a kerberos authentication ticket (tgt) was requested": "4768",
    "se solicitó un vale de autenticación de kerberos (tgt)": "4768",
    "a kerberos service ticket was requested": "4769",
    "se solicitó un vale de servicio kerberos": "4769",
    "kerberos pre-authentication failed": "4771",
    "error de autenticación previa de kerberos": "4771",
    "the computer attempted to validate the credentials for an account": "4776",
    "the domain controller attempted to validate the credentials for an account": "4776",
    "el equipo intentó validar las credenciales para una cuenta": "4776",
    "the audit log was cleared": "1102",
    "se borró el registro de auditoría": "1102",
}
"""Ids by the first sentence, for agents that leave the id out."""


def read(message: str, event: Event, context: Context) -> bool:
    """Read a Windows event into `event`; False for everything else."""
    if f"{_ELEMENT}EventID" in event:
        _nxlog(message, event, context)
        return True
    if message.startswith(_OTHERS) and (fields := windows_agents.fields_of(message, context)) is not None:
        windows.merge(event, windows.convert(fields, context))
        return True
    at = message.find(_SNARE, 0, 320)
    if at >= 0:
        return _snare(message[at + len(_SNARE) :], event, context)
    return _plain(message, event, context)


def _snare(rest: str, event: Event, context: Context) -> bool:
    if "\t" not in rest and "#011" in rest:
        rest = rest.replace("#011", "\t")
    head = _HEAD.match(rest)
    if head is None:
        raise ParseError("an event of Snare without its columns")
    _, channel, _, month, day, clock, year, code = head.groups()
    if month not in MONTHS:
        raise ParseError("a month that does not exist")
    moment = local(int(year), MONTHS[month], int(day), clock, zone_of(context.zone))
    columns = _columns(rest[head.end() :])
    provider, user, _, audit, computer, category, text = columns
    system: Event = {
        "channel": channel,
        "event_id": code,
        "provider_name": provider,
        "computer_name": given(computer),
        "event_type": _AUDITS.get(audit.lower()),
    }
    record = _record(system, text, category, format_time(moment))
    windows.merge(event, windows.event_of(record, context))
    if given(user) is not None and user not in ("N/A", "Unknown User") and "user.name" not in event:
        domain, _, name = user.rpartition("\\")
        event["user.name"] = name
        if domain:
            event["user.domain"] = domain
    return True


def _columns(rest: str) -> tuple[str, str, str, str, str, str, str]:
    """Provider, user, kind of user, kind of audit, computer, category and text."""
    if "\t" in rest:
        columns = [column.strip() for column in rest.split("\t", 64)]
        if len(columns) > 7 and columns[-1].isdigit():
            columns.pop()  # a counter behind the text
        while len(columns) < 7:
            columns.append("")
        provider, user, kind, audit, computer, category = columns[:6]
        return provider, user, kind, audit, computer, category, "\t".join(columns[6:]).strip()
    # A relay made spaces of the tabs.
    match = _SPACED.match(rest)
    if match is None:
        provider, _, text = rest.partition(" ")
        return provider, "", "", "", "", "", text
    return *match.groups(), "", rest[match.end() :].strip()  # type: ignore[return-value]


def _record(system: Event, text: str, category: str | None, time: str) -> Record:
    sysmon = "sysmon" in str(system.get("channel", "")).lower() or "Sysmon" in str(system.get("provider_name", ""))
    data = data_of(text, str(system["event_id"]), sysmon=sysmon)
    return Record(system, data, {}, text or None, None, given(category), (time,))


def _nxlog(message: str, event: Event, context: Context) -> None:
    """NXLog's fields as the parameters of an element; they are event data, not kept twice."""
    fields: dict[str, Any] = {}
    for name in [name for name in event if name.startswith(_ELEMENT)]:
        fields[name[len(_ELEMENT) :]] = event.pop(name)
    fields.setdefault("Message", message)
    fields.setdefault("Hostname", event.get("host.name"))
    # The header's time has its zone, and EventTime has none.
    fields.setdefault("TimeCreated", event.get("@timestamp"))
    fields.setdefault("SourceName", event.get("log.syslog.appname"))
    windows.merge(event, windows.convert(fields, context))


def _plain(message: str, event: Event, context: Context) -> bool:
    """The text alone, with an id before it or known by its first sentence."""
    program: str = event.get("log.syslog.appname", "")
    provider = _SHORT.get(program, program)
    match = _ID.match(message) if provider in _PROVIDERS else None
    if match is not None:
        code, audit, text = match[1], match[2], message[match.end() :]
    else:
        found = _SENTENCES.get(message[:100].partition(".")[0].partition(" Subject:")[0].lower())
        if found is None:
            return False
        code, audit, text = found, None, message
    if provider not in _PROVIDERS:
        provider = _PROVIDERS[0]
    channel = "Security" if provider == _PROVIDERS[0] else None
    system: Event = {
        "channel": channel,
        "event_id": code,
        "provider_name": provider.replace("_", " "),
        "computer_name": event.get("host.name"),
        "event_type": audit if audit is not None and audit.startswith("AUDIT") else None,
    }
    record = _record(system, text, None, event.get("@timestamp") or format_time(context.received))
    windows.merge(event, windows.event_of(record, context))
    return True


FORMAT = Format(
    name="windows_syslog",
    dataset="windows.unknown",
    read=read,
    programs=(*_PROVIDERS, *_SHORT),
    begins=(_SNARE, windows_agents.WINCOLLECT),
    marks=(f"{_ELEMENT}EventID",),
    words=False,
)
