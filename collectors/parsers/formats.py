"""Every format that is recognised by itself: one file each, one line here; the more particular ones first."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import (
    accounts,
    apache,
    auditd,
    bind,
    cef,
    checkpoint,
    cisco_asa,
    cisco_ftd,
    cisco_ios,
    cisco_ise,
    cloudtrail,
    cron,
    defender,
    dhcp,
    dhcp_kea,
    dhcp_windows,
    dnsmasq,
    dovecot,
    entra,
    eset,
    exchange,
    f5,
    fortigate,
    freeradius,
    gcp_audit,
    google_workspace,
    haproxy,
    iis,
    iptables,
    journal,
    juniper_srx,
    kaspersky,
    keycloak,
    keyvalue,
    leef,
    linux_kernel,
    login,
    mikrotik,
    modsecurity,
    mssql,
    mysql,
    nginx,
    o365,
    okta,
    openvpn,
    oracle,
    pam,
    panos,
    pfsense,
    postfix,
    postgresql,
    snort,
    sonicwall,
    sophos_utm,
    sophos_xg,
    squid,
    sshd,
    sudo,
    suricata,
    sysmon_linux,
    systemd,
    trend_micro,
    unbound,
    vmware,
    watchguard,
    windows,
    windows_dns,
    windows_syslog,
    windows_xml,
    zeek,
)
from collectors.parsers.common import json_object
from collectors.parsers.format import Format

FORMATS: tuple[Format, ...] = (
    windows.FORMAT,
    windows_dns.FORMAT,
    journal.FORMAT,
    cisco_ftd.FORMAT,
    cisco_asa.FORMAT,
    cisco_ios.FORMAT,
    auditd.FORMAT,
    linux_kernel.FORMAT,
    iptables.FORMAT,
    windows_syslog.FORMAT,
    windows_xml.FORMAT,
    juniper_srx.FORMAT,
    cloudtrail.FORMAT,
    okta.FORMAT,
    gcp_audit.FORMAT,
    o365.FORMAT,
    defender.FORMAT,
    entra.FORMAT,
    google_workspace.FORMAT,
    keycloak.FORMAT,
    mssql.FORMAT,
    oracle.FORMAT,
    vmware.FORMAT,
    mikrotik.FORMAT,
    f5.FORMAT,
    openvpn.FORMAT,
    pfsense.FORMAT,
    snort.FORMAT,
    fortigate.FORMAT,
    zeek.FORMAT,
    sophos_utm.DAEMONS,
    bind.FORMAT,
    suricata.FORMAT,
    unbound.FORMAT,
    dnsmasq.FORMAT,
    squid.FORMAT,
    haproxy.FORMAT,
    postfix.FORMAT,
    dovecot.FORMAT,
    sysmon_linux.FORMAT,
    dhcp.FORMAT,
    dhcp_kea.FORMAT,
    dhcp_windows.FORMAT,
    freeradius.FORMAT,
    cisco_ise.FORMAT,
    cef.FORMAT,
    watchguard.FORMAT,
    sonicwall.FORMAT,
    checkpoint.FORMAT,
    sophos_xg.FORMAT,
    sophos_utm.FORMAT,
    leef.FORMAT,
    panos.FORMAT,
    eset.FORMAT,
    trend_micro.FORMAT,
    exchange.FORMAT,
    kaspersky.FORMAT,
    sshd.FORMAT,
    sudo.FORMAT,
    systemd.FORMAT,
    pam.FORMAT,
    login.FORMAT,
    cron.FORMAT,
    accounts.FORMAT,
    modsecurity.FORMAT,
    nginx.FORMAT,
    apache.FORMAT,
    iis.FORMAT,
    mysql.FORMAT,
    postgresql.FORMAT,
    keyvalue.FORMAT,
)
"""Where several fit a message, the first that understands it wins."""

_PROGRAMS: dict[str, list[Format]] = {}
_BEGINS: dict[str, list[tuple[str, Format]]] = {}
for _format in FORMATS:
    for _name in _format.programs:
        _PROGRAMS.setdefault(_name, []).append(_format)
    for _text in _format.begins:
        _BEGINS.setdefault(_text[0], []).append((_text, _format))
_MARKS = tuple((mark, each) for each in FORMATS for mark in each.marks)
_FIRST = {first: tuple(begin for begin, _ in begins) for first, begins in _BEGINS.items()}
_DOCUMENTS = tuple(each for each in FORMATS if each.fits is not None)

ALONE = tuple(each for each in FORMATS if each.read is not None and not (each.programs and each.words))
"""Formats whose lines stand in files of their own, without a syslog header."""


PROGRAMS: Container[str] = _PROGRAMS
"""The names by which programs of known formats sign."""


def known(line: str, at: int) -> bool:
    """Whether a message of a known format begins there."""
    return line.startswith(_FIRST.get(line[at : at + 1], ()), at) or line.startswith('{"', at)


def recognise(line: str, at: int, event: Event, context: Context) -> tuple[str, Event] | None:
    """The first format that understands the message that begins at `at`, and its event; None when none does."""
    if line.startswith("{", at):
        return _document(line, at, event, context)
    for each in _candidates(line, at, event):
        found = read(each, line, at, event, context)
        if found is not None:
            return each.name, found
    signed = [each for each in _PROGRAMS.get(event.get("process.name", ""), ()) if not each.within]
    if len(signed) == 1:
        return signed[0].name, signed[0].unread(line, at, dict(event), context)
    found = read(keyvalue.FORMAT, line, at, event, context)
    return (keyvalue.FORMAT.name, found) if found is not None else None


def read(each: Format, line: str, at: int, event: Event, context: Context) -> Event | None:
    """The event by one format, None when it does not understand the message or finds it damaged."""
    try:
        return each.message(line, at, dict(event), context)
    except ParseError:
        return None


def _candidates(line: str, at: int, event: Event) -> list[Format]:
    found = _PROGRAMS.get(event.get("process.name", ""), [])
    if "log.syslog.version" in event:
        found = [each for mark, each in _MARKS if mark in event] + found
    if known(line, at):
        found = [each for begin, each in _BEGINS[line[at]] if line.startswith(begin, at)] + found
    return found


def of_document(document: dict[str, Any]) -> Format | None:
    """The format that a JSON object has, or None."""
    for each in _DOCUMENTS:
        assert each.fits is not None
        if each.fits(document):
            return each
    return None


def _document(line: str, at: int, event: Event, context: Context) -> tuple[str, Event] | None:
    try:
        document = json_object(line[at:].encode())
        each = of_document(document)
        return (each.name, each.document(document, dict(event), context, line)) if each is not None else None
    except ParseError:
        return None
