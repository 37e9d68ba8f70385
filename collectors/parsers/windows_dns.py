"""The debug log of Windows' DNS server: every packet it received or sent, with what was asked and answered.

    11/22/2026 1:34:00 PM 0F30 PACKET  000000D0C9C5F2A0 UDP Rcv 192.0.2.7  0002   Q [0001   D   NOERROR] A  (3)www(0)

Dates are written as the server's language does: the month or the day first, or the year; half days in English or
Spanish (`p. m.`). Where a date can be read in two ways, the one nearer to the receipt counts when it is within two
days, else the one that goes with the half day's language.
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import DAY, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, local, zone_of
from collectors.parsers.format import Format

_LINE = re.compile(
    r"(\d{1,4})([./-]?)(\d{2}|(?<=[./-])\d)\2(\d{2,4})[ T](\d{1,2}):(\d\d):(\d\d)"
    r"(?:[ \u00a0\u202f]?([AaPp])\.?[ \u00a0\u202f]?[Mm]\b\.?)? +([0-9A-Fa-f]{3,8}) +([A-Z]{2,16})\b *",
)
_PACKET = re.compile(
    r"(?:([0-9A-Fa-f]{8,16}) +)?(UDP|TCP) +(Rcv|Snd) +(\S{1,64}) +([0-9A-Fa-f]{1,4}) +(R +)?([QNU?]) +"
    r"\[([0-9A-Fa-f]{1,4}) {0,8}([ATDR ]{0,16}?) {0,8}([A-Z]{2,16}|\d{1,5}|0x[0-9A-Fa-f]{1,4})?\]"
    r" *(\S{1,32}) *(\S{0,2048})",
    re.ASCII,
)
_LABEL = re.compile(r"\((\d{1,3})\)", re.ASCII)
_OPERATIONS = {"Q": "QUERY", "N": "NOTIFY", "U": "UPDATE", "?": "UNKNOWN"}
_FLAGS = {"A": "AA", "T": "TC", "D": "RD", "R": "RA"}
_FAR = 2 * DAY


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of the log into the event; False for the log's own heading and everything else."""
    match = _LINE.match(message)
    if match is None:
        return False
    first, _, second, third, hour, minute, seconds, half, thread, what = match.groups()
    clock = f"{_hour(int(hour), half):02d}:{minute}:{seconds}"
    english = half is not None and "." not in message[match.start(8) : match.end(8) + 2]
    moment = _moment(first, second, third, clock, english, context.zone, context.received // DAY)
    event["@timestamp"] = format_time(moment)
    event["process.name"], event["process.thread.id"] = "dns.exe", int(thread, 16)
    rest = message[match.end() :]
    if what == "PACKET":
        packet = _PACKET.match(rest)
        if packet is None:
            raise ParseError("a packet of Windows' DNS server that is not written as its log's heading says")
        _packet(packet, event)
    else:
        event["event.category"], event["event.type"] = ["process"], ["info"]
        event["event.action"] = what.lower()
        event["message"] = rest
    return True


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    return hour % 12 + (12 if half in "Pp" else 0)


@lru_cache(maxsize=4_096)
def _moment(first: str, second: str, third: str, clock: str, english: bool, zone: str, received: int) -> int:
    """The moment of a date; `received` is the day of the receipt. Raises ParseError when there is no such date."""
    if len(first) == 4:
        orders = [(first, second, third)]
    elif len(third) == 4:
        orders = [(third, first, second), (third, second, first)]
    else:
        orders = [(f"20{third}", first, second), (f"20{third}", second, first)]
    found = []
    for year, month, day in orders:
        try:
            found.append(local(int(year), int(month), int(day), clock, zone_of(zone)))
        except ParseError:
            zone_of(zone)
    if not found:
        raise ParseError("a time that cannot be read or does not exist")
    nearest = min(found, key=lambda moment: abs(moment - received * DAY - DAY // 2))
    if abs(nearest - received * DAY - DAY // 2) < _FAR:
        return nearest
    return found[0] if english else found[-1]


def _packet(packet: re.Match[str], event: Event) -> None:
    _, transport, way, remote, query, answer, operation, _, flags, code, kind, name = packet.groups()
    side = "source" if way == "Rcv" else "destination"
    event[f"{side}.address"] = remote
    if (found := address(remote)) is not None:
        event[f"{side}.ip"] = found
    event |= {
        "event.category": ["network"],
        "event.type": ["protocol"],
        "event.action": "dns-response" if answer else "dns-query",
        "network.direction": "ingress" if way == "Rcv" else "egress",
        "network.protocol": "dns",
        "network.transport": transport.lower(),
        "dns.type": "answer" if answer else "query",
        "dns.id": str(int(query, 16)),
        "dns.op_code": _OPERATIONS[operation],
        "dns.question.type": kind,
    }
    if shown := [_FLAGS[flag] for flag in flags if flag in _FLAGS]:
        event["dns.header_flags"] = shown
    if answer and code is not None:
        event["dns.response_code"] = code
        event["event.outcome"] = "success" if code == "NOERROR" else "failure"
    if name:
        event["dns.question.name"] = _name(name)


def _name(written: str) -> str:
    """`www.example.org` of `(3)www(7)example(3)org(0)`; the root is a dot."""
    if written[0] != "(":
        return written.removesuffix(".") or "."
    labels, at = [], 0
    while (label := _LABEL.match(written, at)) is not None and label[1] != "0":
        at = label.end() + int(label[1])
        labels.append(written[label.end() : at])
    # A label's length says where it ends, whatever stands in it; where the lengths do not fit, the marks do.
    return ".".join(labels) if label is not None and labels else _LABEL.sub(".", written).strip(".") or "."


FORMAT = Format(name="windows_dns", dataset="windows.dns", read=read, words=False)
