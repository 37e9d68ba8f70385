"""ECS fields of Windows events: copies that the table of meanings asks for, and what needs more than a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from almena.event import Event
from collectors.parsers import windows_details, windows_sysmon
from collectors.parsers.common import number
from collectors.parsers.windows_channels import DEFENDER, DNS_AUDIT, DNS_SERVER
from collectors.parsers.windows_meanings import MEANINGS
from collectors.parsers.windows_table import NOTHING, Meaning

_BY_STATUS = frozenset(("4768", "4769", "4770", "4776"))
_EXECUTABLES = (("process.executable", "process.name"), ("process.parent.executable", "process.parent.name"))
_ENDS = tuple(tuple(f"{side}.{what}" for what in ("ip", "domain", "address")) for side in ("source", "destination"))
_OF_ITSELF = frozenset(("security", "sysmon"))
"""Whose events the system writes, whomever they are of."""
_WRITERS = tuple((f"user.{part}", f"winlog.user.{part}") for part in ("name", "domain"))
_WRITERS += (("user.id", "winlog.user.identifier"),)
_USERS = ("user.name", "user.target.name", "user.effective.name")
_AUDITS = {"AUDIT_SUCCESS": "success", "AUDIT_FAILURE": "failure", "Success Audit": "success"}
_AUDITS |= {"Audit Success": "success", "Audit Failure": "failure", "Failure Audit": "failure"}
_AUDITS |= {"Auditoría correcta": "success", "Error de auditoría": "failure", "Auditoría errónea": "failure"}
_SUCCESS, _FAILURE = 0x0020000000000000, 0x0010000000000000
"""Bits of the keywords of an audit."""


def enrich(event: Event, dataset: str, code: str, data: Mapping[str, str], category: str | None) -> None:
    """Add the ECS fields that the event's id and data give; what is `-` in the data is missing in ECS."""
    meanings = MEANINGS.get(dataset)
    meaning = meanings.get(code) if meanings is not None else None
    if meaning is not None:
        event["event.action"] = meaning.action
        event["event.category"] = [*meaning.category]
        event["event.type"] = [*meaning.type]
        for field, datum, convert in meaning.copies:
            value: Any = data.get(datum)
            if value is None or value in NOTHING:
                continue
            if convert is None or (value := convert(value)) is not None:
                event[field] = value
    elif category is not None:
        event.setdefault("event.action", category)
    outcome = _outcome(event, code, data, meaning)
    if outcome is not None:
        event["event.outcome"] = outcome
    more = _MORE.get(dataset)
    if more is not None:
        more(event, code, data)
    elif meaning is not None:
        windows_details.other(event, code, data)
    if dataset not in _OF_ITSELF:
        _writer(event)
    _parts(event)


def _writer(event: Event) -> None:
    """Who wrote the event, where it does not say whom else it is of."""
    identifier = event.get("winlog.user.identifier")
    if "user.name" in event or event.get("user.id", identifier) != identifier:
        return
    for field, written in _WRITERS:
        value = event.get(written)
        if isinstance(value, str) and value not in NOTHING:
            event[field] = value


def _outcome(event: Event, code: str, data: Mapping[str, str], meaning: Meaning | None) -> str | None:
    if meaning is not None and meaning.outcome is not None:
        return meaning.outcome
    if code in _BY_STATUS and "Status" in data:
        return "success" if number(data["Status"]) == 0 else "failure"
    audit = event.get("winlog.event_type") or event.get("winlog.keywords")
    if isinstance(audit, list):
        audit = audit[0] if audit else None
    if audit is None:
        return None
    if isinstance(audit, str):
        known = _AUDITS.get(audit)
        if known is not None:
            return known
    bits = _bits(audit)
    if bits & (_SUCCESS | _FAILURE):
        return "failure" if bits & _FAILURE else "success"
    return None


def _bits(audit: Any) -> int:
    """The keywords' bits, however they are written; 0 for text."""
    if isinstance(audit, str) and len(audit) <= 20 and audit.removeprefix("-").isascii():
        digits = audit.removeprefix("-")
        try:
            return int(audit, 16 if digits[:2] == "0x" else 10)
        except ValueError:
            return 0
    return audit if isinstance(audit, int) else 0


_MORE: dict[str, Callable[[Event, str, Mapping[str, str]], None]] = {
    "security": windows_details.security,
    "sysmon": windows_sysmon.more,
    "powershell": windows_details.powershell,
    "microsoft-windows-dns-client/operational": windows_details.dns_client,
    DEFENDER: windows_details.defender,
    "microsoft-windows-dns client events/operational": windows_details.dns_client,
    DNS_SERVER: windows_details.dns_server,
    "microsoft-windows-dns-server/analytical": windows_details.dns_server,
    DNS_AUDIT: windows_details.dns_audit,
    "microsoft-windows-dns-server/audit": windows_details.dns_audit,
}


@lru_cache(maxsize=4_096)
def _base(path: str) -> tuple[str, str, str]:
    """A path's directory, last part and its extension."""
    slash = path.rfind("\\")
    if slash < 0:
        slash = path.rfind("/")
    name = path[slash + 1 :]
    stem, found, extension = name.rpartition(".")
    return path[:slash] if slash > 0 else "", name, extension.lower() if found and stem else ""


def _parts(event: Event) -> None:
    """What follows from other fields: names of paths, users without their domain, addresses."""
    for executable, name in _EXECUTABLES:
        path = event.get(executable)
        if isinstance(path, str) and len(path) <= 1_024 and (last := _base(path)[1]):
            event[name] = last
    file = event.get("file.path")
    if isinstance(file, str) and len(file) <= 1_024:
        directory, name, extension = _base(file)
        for field, value in (("directory", directory), ("name", name), ("extension", extension)):
            if value:
                event[f"file.{field}"] = value
    for field in _USERS:
        user = event.get(field)
        if isinstance(user, str) and ("\\" in user or "@" in user):
            _user(event, field, user)
    for ip, domain, address in _ENDS:
        known = event.get(ip) or event.get(domain)
        if known is not None:
            event.setdefault(address, known)


def _user(event: Event, field: str, user: str) -> None:
    r"""Take `DOMAIN\user` and `user@domain` apart; a domain that the event says otherwise stays."""
    domain, found, name = user.rpartition("\\")
    if found and name:
        event[field], domain_field = name, field[:-4] + "domain"
        if domain:
            event[domain_field] = domain
        return
    name, found, domain = user.partition("@")
    if found and name and domain:
        event[field] = name
        event.setdefault(field[:-4] + "domain", domain)
