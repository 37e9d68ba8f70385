"""The header of a syslog line, RFC 3164 as it is really written and RFC 5424: who speaks, when, how urgently.

    <38>Nov 22 13:34:00 web1 sshd[811]: Failed password for root from 192.0.2.7 port 22 ssh2
    <165>1 2026-11-22T19:34:00.003Z web1 app 811 ID47 [origin@32473 unit="7"] message

The priority may be missing where the time is not, and the other way round (then the time is that of the receipt).
A time without year gets the year that lies nearest to the receipt; one without zone is in the source's. Known vendor
habits are read: ISO times, milliseconds, a year, Cisco's `*` and sequence number, no host name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import lru_cache

from almena.clock import DAY, format_time, to_datetime
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import cisco_header
from collectors.parsers.common import (
    MAX_FIELDS,
    MONTHS,
    address,
    fraction,
    instant,
    local,
    number,
    zone_of,
)

FACILITIES = (
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
)
SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")

_SHORT = {"emerg": "emergency", "crit": "critical", "err": "error", "warn": "warning", "info": "informational"}
_BSD = re.compile(
    r"(?:\d{1,10}: )?[*.]?(?:(\d{4}) )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?(\d\d:\d\d:\d\d)"
    r"(?:[.,](\d{1,9}))?(?: (UTC|GMT)(?=:? ))?(?: (?:[A-Z]{3,5})(?=: ))?:?(?: |$)",
    re.ASCII,
)
_ISO = re.compile(
    r"(?:\d{1,10}: )?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?):?(?: |$)", re.ASCII
)
_SOPHOS = re.compile(r"(\d{4}):(\d{1,2}):(\d{1,2})-(\d\d:\d\d:\d\d) ", re.ASCII)
# What begins with a time is no program but a message with a time of its own; GDM's `gdm-password]` lost its bracket.
_TAG = re.compile(r"(?!\d{4}-\d\d-\d\dT\d\d:)([^\s:\[\]]{1,128})\]?(?:\[([^\]\s]{1,64})\])?: ?", re.ASCII)
_BUSYBOX = re.compile(
    r"(kern|user|mail|daemon|auth(?:priv)?|syslog|lpr|news|uucp|cron|ftp|ntp|local[0-7])"
    r"\.(emerg|alert|crit|err|warn|notice|info|debug) ",
    re.ASCII,
)
"""The priority as busybox writes it behind the host's name, on Alpine and on routers."""
# WatchGuard's devices add their serial number, a cluster's member, and the time in UTC.
_DEVICE = re.compile(r"(?:([\w-]{1,64}) )?(?:[\w.-]{1,64} )?\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\) ", re.ASCII)
_WRAPPED = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ([\w.:-]{1,253}) (?=<\d{1,3}>[A-Za-z0-9:*%])", re.ASCII)
"""The header of a relay that writes what it got, its priority too, behind its own."""
_KIWI = re.compile(r"Original Address=([0-9A-Fa-f.:]{2,45}) (?:1 (?:\S{1,64} ){5}(?!-|\[))?", re.ASCII)
"""What Kiwi Syslog Server writes in front of what it hands on."""
_BEHIND = re.compile(r"([0-9A-Fa-f.:]{2,45}) (?=[A-Za-z][^\s:\[\]]{0,127}\[\d{1,10}\]: )", re.ASCII)
"""The address that relays write behind the name of a host."""
_VMWARE = re.compile(r"(?:In|Wa|Er|No|Db|Cr|Al|Em)\(\d{1,3}\) ", re.ASCII)
"""The severity once more, as ESXi writes it in front of the program since its version 7."""
_SD_ID = re.compile(r"\[([^\s=\]\"]{1,128})", re.ASCII)
_NO_SD = re.compile(r'\[?[A-Za-z_][A-Za-z0-9_]{0,63}[:=]{1,2}"|\{"', re.ASCII)
"""What Check Point writes in its place; it is the message."""
_SD_PARAM = re.compile(r' ([^\s=\]"]{1,128})="((?:[^"\\]++|\\.)*+)"', re.ASCII | re.DOTALL)
_SD_ESCAPE = re.compile(r'\\(["\\\]])', re.ASCII)

_USUAL = re.compile(
    r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (?!UTC |GMT )([\w.-]{1,253}) ([A-Za-z_][\w.-]{0,127})"
    r"(?:\[(\d{1,10})\])?: (?!%|\d{1,10}: [A-Z*.])",
    re.ASCII,
)
"""What nearly all lines begin with, which none of the vendors' habits below is."""

Known = Callable[[str, int], object]
"""Whether a message of a known format begins at a place of the line: there is no more header from there on."""


def begins(line: str) -> bool:
    """Whether the line begins as syslog does: with a priority or a time, or as Cisco's devices do."""
    return line[0] == "<" or any(each.match(line) for each in (_BSD, _ISO, _SOPHOS)) or cisco_header.begins(line)


def signed(line: str, event: Event, programs: Container[str]) -> int:
    """Read a program's name that a line begins with and nothing before it, and return where its message begins.

    So lines look of which a relay took the header off; 0 when there is none of `programs`.
    """
    tag = _TAG.match(line)
    if tag is None or tag[1] not in programs or not line.startswith(": ", tag.end() - 2):
        return 0
    event["log.syslog.appname"] = event["process.name"] = tag[1]
    if tag[2] is not None:
        event["log.syslog.procid"] = tag[2]
        if (pid := number(tag[2])) is not None:
            event["process.pid"] = pid
    return tag.end()


def read(line: str, event: Event, context: Context, known: Known) -> int:
    """Read the header into the event and return where the message begins.

    Raises ParseError when there is neither a priority nor a time, and for RFC 5424 that is malformed.
    """
    wrapped = _WRAPPED.match(line) if line[0] != "<" else None
    if wrapped is not None:
        event["host.name"] = event["log.syslog.hostname"] = wrapped[1]
        return wrapped.end() + read(line[wrapped.end() :], event, context, known)
    at = _priority(line, event)
    if at:
        if known(line, at):
            return at
        if line.startswith("Original Address=", at) and (kiwi := _KIWI.match(line, at)) is not None:
            event["host.ip"] = [kiwi[1]]
            at = kiwi.end()
        if line.startswith("1 ", at):
            return _rfc5424(line, at + 2, event, context)
        if known(line, at):
            return at
    usual = _USUAL.match(line, at)
    if usual is not None and not (known(line, at) or known(line, usual.start(4)) or known(line, usual.start(5))):
        return _usual(usual, event, context)
    mark = cisco_header.read(line, at, event, context, _of_parts)
    return mark if mark >= 0 else _rfc3164(line, at, event, context, known)


def _usual(found: re.Match[str], event: Event, context: Context) -> int:
    month, day, clock, host, program, pid = found.groups()
    if month not in MONTHS:
        raise ParseError("a month that does not exist", found.start())
    event["@timestamp"] = _stamp(month, day, clock, context.zone, context.received // DAY)
    event["host.name"] = event["log.syslog.hostname"] = host
    event["log.syslog.appname"] = event["process.name"] = program
    if pid is not None:
        event["log.syslog.procid"] = pid
        event["process.pid"] = int(pid)
    return found.end()


@lru_cache(maxsize=4_096)
def _stamp(month: str, day: str, clock: str, zone: str, received_day: int) -> str:
    return format_time(_moment(year_of(month, day, zone, received_day), month, day, clock, zone))


def _fields(priority: int) -> Event:
    facility, severity = divmod(priority, 8)
    return {
        "log.syslog.priority": priority,
        "log.syslog.facility.code": facility,
        "log.syslog.facility.name": FACILITIES[facility],
        "log.syslog.severity.code": severity,
        "log.syslog.severity.name": SEVERITIES[severity],
        "log.level": SEVERITIES[severity],
    }


_PRIORITIES = {f"<{priority}": _fields(priority) for priority in range(192)}


def _priority(line: str, event: Event) -> int:
    """Read `<PRI>` and return where it ends; 0 when there is none."""
    if line[0] != "<":
        return 0
    end = line.find(">", 1, 5)
    fields = _PRIORITIES.get(line[:end]) if end > 0 else None
    if fields is None:
        digits = line[1:end] if end > 0 else ""
        if not (digits.isascii() and digits.isdigit()) or int(digits) > 191:
            raise ParseError("no priority: syslog begins with <0> to <191>", 0)
        fields = _PRIORITIES[f"<{int(digits)}"]  # with zeros in front
    event |= fields
    return end + 1


@lru_cache(maxsize=4_096)
def year_of(month: str, day: str, zone: str, received_day: int) -> int:
    """The year of a day that is written without one: the last that is not more than a week behind the receipt.

    So lines of last year keep their time when they come late, and a clock may be ahead. Raises ParseError.
    """
    received = received_day * DAY + DAY // 2
    year = to_datetime(received).year
    for candidate in range(year + 1, year - 8, -1):
        try:
            noon = local(candidate, MONTHS[month], int(day), "12:00:00", zone_of(zone))
        except ParseError:
            continue  # 29 February is in few of them
        if noon <= received + 7 * DAY:
            return candidate
    raise ParseError("a time that cannot be read or does not exist")


@lru_cache(maxsize=4_096)
def _moment(year: int, month: str, day: str, clock: str, zone: str) -> int:
    return local(year, MONTHS[month], int(day), clock, zone_of(zone))


def _time(line: str, at: int, context: Context) -> tuple[int | None, int]:
    """The time at `at` in microseconds and where it ends; (None, at) when none stands there."""
    sophos = _SOPHOS.match(line, at)
    if sophos is not None:
        year, month, day, clock = sophos.groups()
        return instant(f"{year}-{month:0>2}-{day:0>2}T{clock}", context.zone), sophos.end()
    iso = _ISO.match(line, at) if line[at : at + 1].isdigit() else None
    if iso is not None:
        return instant(iso[1], context.zone), iso.end()
    bsd = _BSD.match(line, at)
    if bsd is None:
        return None, at
    before, month, day, behind, clock, digits, utc = bsd.groups()
    zone = "UTC" if utc else context.zone
    if month not in MONTHS:
        raise ParseError("a month that does not exist", at)
    return _of_parts(before or behind, month, day, clock, zone, context) + fraction(digits), bsd.end()


def _of_parts(year: str | None, month: str, day: str, clock: str, zone: str, context: Context) -> int:
    number = int(year) if year else year_of(month, day, zone, context.received // DAY)
    return _moment(number, month, day, clock, zone)


def _rfc3164(line: str, at: int, event: Event, context: Context, known: Known) -> int:
    if at and known(line, at):
        return at
    moment, start = _time(line, at, context)
    if moment is None:
        if at == 0:
            raise ParseError("neither a priority nor a time at the beginning", 0)
        event["@timestamp"] = format_time(context.received)
    else:
        event["@timestamp"] = format_time(moment)
        if line[at + 4 : at + 5] == ":" and _SOPHOS.match(line, at):  # nobody else writes a date so
            event["observer.vendor"], event["observer.product"] = "Sophos", "UTM"
        start = _host(line, start, event, known)
    if known(line, start):
        return start
    device = _DEVICE.match(line, start)
    if device is not None:
        if device[1] is not None:
            event["observer.serial_number"] = device[1]
        event["@timestamp"] = format_time(instant(device[2], "UTC"))
        start = device.end()
    severity = _VMWARE.match(line, start)
    if severity is not None:
        start = severity.end()
    busybox = _BUSYBOX.match(line, start)
    if busybox is not None:
        event["log.syslog.facility.name"], short = busybox.groups()
        event["log.level"] = event["log.syslog.severity.name"] = _SHORT.get(short, short)
        start = busybox.end()
    tag = _TAG.match(line, start)
    if tag is None:
        behind = _BEHIND.match(line, start)
        if behind is None or address(behind[1]) is None:
            return start
        event["host.ip"] = [behind[1]]
        tag = _TAG.match(line, behind.end())
        assert tag is not None
    _program(event, tag[1], tag[2])
    return tag.end()


def _host(line: str, start: int, event: Event, known: Known) -> int:
    """Read the host's name behind the time, when there is one, and return where it ends."""
    if _VMWARE.match(line, start) is not None:
        return start
    end = line.find(" ", start, start + 256)
    if known(line, start):
        return start
    tab = line.find("\t", start, end if end >= 0 else start + 256)
    if tab >= 0 and known(line, tab + 1):
        end = tab  # senders whose columns are apart by tabs, the host's name too
    if end < 0:
        return start
    host = line[start:end]
    if host.endswith(":") and (address(host[:-1]) or line.startswith("%", end + 1) or known(line, end + 1)):
        host = host[:-1]
    elif not host or host.endswith((":", "]")) or host[0] in "%[{\"'" or "=" in host:
        return start  # a tag or a message: this sender writes no host
    if host != "-":
        event["host.name"] = event["log.syslog.hostname"] = host
    return end + 1


def _program(event: Event, name: str, pid: str | None) -> None:
    event["log.syslog.appname"] = name
    event["process.name"] = name.rpartition("/")[2] or name if name[0] == "/" else name
    if pid is not None:
        event["log.syslog.procid"] = pid
        digits = number(pid)
        if digits is not None and digits >= 0:
            event["process.pid"] = digits


def _rfc5424(line: str, at: int, event: Event, context: Context) -> int:
    parts = line[at:].split(" ", 5)
    if len(parts) < 6:
        raise ParseError("RFC 5424 with a part of its header missing", len(line))
    stamp, host, program, pid, msgid, _ = parts
    event["log.syslog.version"] = "1"
    stamp = stamp.replace("--", "-0")  # Check Point's zones west of Greenwich
    event["@timestamp"] = format_time(context.received if stamp == "-" else instant(stamp, context.zone))
    if host not in ("-", ""):
        event["host.name"] = event["log.syslog.hostname"] = host
    if program not in ("-", ""):
        _program(event, program, None if pid in ("-", "") else pid)
    elif pid not in ("-", ""):
        event["log.syslog.procid"] = pid
    if msgid not in ("-", ""):
        event["log.syslog.msgid"] = msgid
    start = at + sum(map(len, parts[:5])) + 5
    if _NO_SD.match(line, start) is not None:
        return start
    end = _structured(line, start, event)
    if end < len(line) and line[end] != " ":
        raise ParseError("RFC 5424 without a space behind the structured data", end)
    return end + 2 if line.startswith("\ufeff", end + 1) else min(end + 1, len(line))


def _structured(line: str, at: int, event: Event) -> int:
    """Read `-` or `[id name="value"...]...` into `log.syslog.structured_data.*` and return where it ends."""
    if line.startswith("-", at):
        return at + 1
    start, count = at, 0
    while (element := _SD_ID.match(line, at)) is not None:
        at = element.end()
        while (param := _SD_PARAM.match(line, at)) is not None:
            value = _SD_ESCAPE.sub(r"\1", param[2])
            event[f"log.syslog.structured_data.{element[1]}.{param[1]}"] = value
            at = param.end()
            count += 1
            if count > MAX_FIELDS:
                raise ParseError(f"more than {MAX_FIELDS} fields", at)
        if line.startswith(" ]", at):
            at += 1  # as Check Point closes it
        if not line.startswith("]", at):
            raise ParseError("malformed structured data", at)
        at += 1
    if at == start:
        raise ParseError("malformed structured data", at)
    return at
