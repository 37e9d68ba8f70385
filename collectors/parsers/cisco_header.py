"""What stands before the mark `%FACILITY-SEVERITY-MNEMONIC` of Cisco's messages: counters, names, clocks, uptimes.

    <189>123: 000045: sw1: *Nov 22 13:34:00.123 CST: %SYS-5-CONFIG_I: Configured from console by ana on vty0 (10.1.1.1)
    <166>Nov 22 13:33:59 192.0.2.1 Nov 22 2026 13:34:00 fw1 : %ASA-6-302013: Built inbound TCP connection ...

There may be a relay's header in front of the device's own; of several times the device's, which is the last, counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from almena.clock import DAY, MINUTE, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, fraction, instant

LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
SEVERITIES = {str(level): level for level in range(8)} | {
    "A": 1, "C": 2, "E": 3, "W": 4, "N": 5, "I": 6, "D": 7,
}  # fmt: skip
"""Severities as marks have them; small switches write letters."""

_REACH = 320  # the mark stands within so many characters
_MARK = re.compile(r"%([A-Za-z][A-Za-z0-9_/-]{0,63})-([0-7ACEWNID])-([A-Za-z0-9_]{1,64})(?= ?:|$| )", re.ASCII)
_CLOCK = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?[*.]?(?:(\d{4}) )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?"
    r"(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?",
    re.ASCII,
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?=[ :])", re.ASCII)
_ZONE = re.compile(r" (?:([A-Za-z]{1,5})(?:([+-])(\d\d?)(?::?(\d\d))?)?)(?=(:| ))", re.ASCII)
_YEAR = re.compile(r" (\d{4})(?=[: ])", re.ASCII)
_NUMBER = re.compile(r"(\d{1,12})(?=:? )", re.ASCII)
_UPTIME = re.compile(r"(?:(?:\d{1,4}[ywdhms]){1,4}|\d{1,6}:\d\d:\d\d(?:\.\d{1,3})?)(?=: )", re.ASCII)
_CARD = re.compile(r"[A-Za-z0-9]{1,6}/[A-Za-z0-9]{1,6}/[A-Za-z0-9/]{1,20}:", re.ASCII)
_PROCESS = re.compile(r"([A-Za-z][\w.-]{0,63})\[(\d{1,9})\]: ?$", re.ASCII)
_WORD = re.compile(
    r"[A-Za-z0-9_.:/()-]{1,255}(?=[ %]|$)|[*][A-Za-z0-9_. -]{1,64}: (?=[*.]?[A-Z0-9])|%\$[^\s%]{1,64}%\$", re.ASCII
)
_SKIP = re.compile(r"[ :]*")

_ZONES = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 60, "BST": 60, "CET": 60, "MET": 60, "CEST": 120, "MEST": 120,
    "EET": 120, "EEST": 180, "MSK": 180, "IST": 330, "SGT": 480, "HKT": 480, "JST": 540, "KST": 540, "AEST": 600,
    "AEDT": 660, "NZST": 720, "NZDT": 780, "AST": -240, "ADT": -180, "EST": -300, "EDT": -240, "CST": -360,
    "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420, "AKST": -540, "HST": -600, "BRT": -180,
    "ART": -180, "CLT": -240, "COT": -300, "PET": -300,
}  # fmt: skip
"""Minutes east of UTC of the zone names that devices are configured with; as Mexico reads them where several exist."""

Moment = Callable[[str | None, str, str, str, str, Context], int]
"""Microseconds of (year or None, month, day, clock, zone, context)."""


class Mark(NamedTuple):
    """`%SYS-5-CONFIG_I` and where it stands in the line."""

    start: int
    end: int
    facility: str
    severity: str
    mnemonic: str


def find(line: str, at: int = 0) -> Mark | None:
    """The first mark near `at`, or None."""
    percent = line.find("%", at, at + _REACH)
    if percent < 0:
        return None
    found = _MARK.match(line, percent) or _MARK.search(line, percent + 1, at + _REACH + 200)
    if found is None or found.start() > at + _REACH:
        return None
    return Mark(found.start(), found.end(), found[1], found[2], found[3])


def begins(line: str) -> bool:
    """Whether the line begins with a header of Cisco's that has no priority."""
    mark = find(line)
    if mark is None:
        return False
    try:
        return _parsed(line[: mark.start], "UTC", 0, _never) is not None
    except ParseError:
        return False


def _never(*_: object) -> int:
    return 0


def read(line: str, at: int, event: Event, context: Context, moment: Moment) -> int:
    """Read what stands between `at` and the mark into the event, and return where the mark is.

    -1, with the event as it was, when there is no mark or when what stands before it is no header of Cisco's.
    Raises ParseError for a time that does not exist.
    """
    mark = find(line, at)
    if mark is None:
        return -1
    header = _parsed(line[at : mark.start], context.zone, context.received // DAY, moment)
    if header is None:
        return -1
    event["event.code"] = f"{mark.facility}-{mark.severity}-{mark.mnemonic}"
    event["@timestamp"] = format_time(context.received) if header.written is None else header.written
    if header.name is not None:
        event["host.name"] = event["log.syslog.hostname"] = header.name
    if header.sequence is not None:
        event["event.sequence"] = header.sequence
    if header.process is not None:
        event["process.name"], event["process.pid"] = header.process
    return mark.start


@lru_cache(maxsize=4_096)
def _parsed(before: str, zone: str, day: int, moment: Moment) -> _Header | None:
    """What stands before a mark, remembered since a device writes the same for a second; None for no header."""
    header = _Header(before, Context(received=day * DAY, zone=zone), moment)
    return header if header.read() else None


class _Header:
    """The parts before the mark, taken one after the other."""

    def __init__(self, line: str, context: Context, moment: Moment) -> None:
        self.line, self.end, self.context, self.moment = line, len(line), context, moment
        self.time: int | None = None
        self.sequence: int | None = None
        self.names: list[str] = []
        self.process: tuple[str, int] | None = None
        self.name: str | None = None
        self.written: str | None = None

    def read(self) -> bool:
        """Read all parts; False when one is nothing known."""
        line, end, at = self.line, self.end, 0
        skip = _SKIP.match
        for _ in range(12):
            blank = skip(line, at, end)
            at = blank.end() if blank else at
            if at >= end:
                if self.names:
                    self.name = next((each for each in self.names if address(each) is None), self.names[0])
                if self.time is not None:
                    self.written = format_time(self.time)
                return True
            after = self._part(at)
            if after <= at:
                return False
            at = after
        return False

    def _part(self, at: int) -> int:
        """Where the part that begins at `at` ends; `at` when it is nothing known."""
        line = self.line
        after = self._clock(at)
        if after > at:
            return after
        if line[at].isdigit():
            uptime = _UPTIME.match(line, at)
            if uptime is not None:
                return uptime.end()
            number = _NUMBER.match(line, at)
            if number is not None:
                self.sequence = int(number[1])
                return number.end()
        if line.find("/", at, self.end) > 0 and (card := _CARD.match(line, at)) is not None:
            return card.end()
        process = _PROCESS.match(line, at) if line.find("[", at, self.end) > 0 else None
        if process is not None:
            self.process = process[1], int(process[2])
            return process.end()
        word = _WORD.match(line, at)
        if word is None or len(self.names) == 2:
            return at
        if word[0][0] not in "*%":
            self.names.append(word[0].rstrip(":"))
        return word.end()

    def _clock(self, at: int) -> int:
        line = self.line
        iso = _ISO.match(line, at) if line[at].isdigit() else None
        if iso is not None:
            self.time = instant(iso[0], self.context.zone)
            return iso.end()
        found = _CLOCK.match(line, at)
        if found is None:
            return at
        before, month, day, behind, clock, digits = found.groups()
        if month not in MONTHS:
            raise ParseError("a month that does not exist", at)
        at = found.end()
        year = before or behind
        if year is None and (later := _YEAR.match(line, at)) is not None:
            year, at = later[1], later.end()
        zone = _ZONE.match(line, at)
        offset = None
        if zone is not None:
            offset = _offset(zone)
            if offset is not None or (
                zone[5] == ":" and zone[1].isupper() and (self.names or digits or "*" in found[0][:6])
            ):
                at = zone.end()
        time = self.moment(year, month, day, clock, self.context.zone if offset is None else "UTC", self.context)
        self.time = time + fraction(digits) - (offset or 0) * MINUTE
        return at


def _offset(zone: re.Match[str]) -> int | None:
    """Minutes east of UTC, or None for a name that is not known."""
    name, sign, hours, minutes, _ = zone.groups()
    if sign is None:
        return _ZONES.get(name.upper())
    away = int(hours) * 60 + int(minutes or 0)
    return -away if sign == "-" else away
