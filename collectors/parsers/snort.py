"""Snort's alerts: the short and the full text, comma-separated values (pfSense's too), and Snort 3's JSON.

11/22-13:34:00.123456  [**] [1:2012811:2] Query to a .tk domain [**] [Classification: Potentially Bad Traffic]
    [Priority: 2] {UDP} 10.0.0.5:1029 -> 203.0.113.53:53
11/22-13:34:00.123456 ,1,1000006,0,"Connection",TCP,10.0.0.5,57263,203.0.113.9,22,00:00:5e:00:53:02,...

The short text is Suricata's too, whose dates have their year.
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time, to_datetime
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_count, put_end, put_transport

_STAMP = r"(\d\d)/(\d\d)(?:/(\d{4}|\d\d))?-(\d\d:\d\d:\d\d\.\d{6})"
_ENDS = r"([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))? -> ([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))?"
_ALERT = re.compile(
    rf"(?:{_STAMP} {{1,2}})?(?:\[(Drop|wDrop)\] )?(?:\[\*\*\] )?"
    r"\[(\d{1,9}:\d{1,9}):\d{1,9}\] (.{1,512}?) (?:\[\*\*\] )?(?:\[Classification: ([^\]]{0,256})\] )?"
    r"(?:\[Priority: (\d{1,2})\]:? )?(?:<\S{1,64}> )?"
    rf"\{{([\w-]{{1,16}})\}} {_ENDS}$",
    re.ASCII,
)
_FULL = re.compile(
    r"\[\*\*\] \[(\d{1,9}:\d{1,9}):\d{1,9}\] ([^\n]{1,512}?) \[\*\*\] ?\n"
    r"(?:\[Classification: ([^\]]{0,256})\] ?)?(?:\[Priority: (\d{1,2})\] ?)?\n"
    rf"{_STAMP} {_ENDS}\n([\w-]{{1,16}}) ",
    re.ASCII,
)
_CSV = re.compile(
    rf"{_STAMP} ?,(\d{{1,9}}),(\d{{1,9}}),\d{{1,9}},(?:\"([^\"]{{0,512}})\"|([^,]{{0,512}})),(\w{{1,16}}),"
    r"([0-9A-Fa-f.:]{2,45}),(\d{0,5}),([0-9A-Fa-f.:]{2,45}),(\d{0,5}),(.{0,512})$",
    re.ASCII,
)
_MAC = re.compile(r"([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}),([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}),", re.ASCII)
_JUDGED = re.compile(r"\d{0,9},([^,]{0,256}),(\d{1,2}),\w{1,16},(\w{1,16})$", re.ASCII)
_DENIED = ("drop", "block", "reject")
_KEYS = ("rule", "proto", "src_addr", "msg")


def read(message: str, event: Event, context: Context) -> bool:
    """Read an alert in a file of its own; False for what is none."""
    text = message[:4_096].rstrip()
    return _csv(text, event, context) or _full(text, event, context) or alert(message, event, context)


def alert(message: str, event: Event, context: Context) -> bool:
    """Read an alert of Snort or Suricata on one line, with or without its time; False for what is none."""
    if "} " not in message or " -> " not in message:
        return False
    found = _ALERT.match(message[:2_048].rstrip())
    if found is None:
        return False
    groups = found.groups()
    dropped, identity, name, kind, priority, protocol = groups[4:10]
    _time(groups[:4], event, context)
    short = groups[0] is not None and (groups[2] is None or len(groups[2]) == 2)
    snort = short or event.get("process.name") == "snort"
    event["event.dataset"] = "snort.log" if snort else "suricata.fast"
    _say(event, "drop" if dropped == "Drop" else "alert", identity, name, kind, priority)
    put_transport(event, protocol)
    put_end(event, "source", groups[10], groups[11])
    put_end(event, "destination", groups[12], groups[13])
    event["message"] = message
    return True


def _say(event: Event, action: str, identity: str, name: str | None, kind: str | None, priority: str | None) -> None:
    event["event.kind"], event["event.action"] = "alert", action
    event["event.category"] = ["network", "intrusion_detection"]
    event["event.type"] = ["denied" if action in _DENIED else "info"]
    event["rule.id"] = identity
    put(event, "rule.name", name)
    put(event, "rule.category", kind)
    if priority:
        event["event.severity"] = int(priority)


def _time(parts: tuple[str | None, ...], event: Event, context: Context) -> None:
    """The alert's time; where it names no year, the one in which it lies nearest to the receipt."""
    month, day, year, clock = parts
    if month is None:
        return
    if year is not None:
        year = year if len(year) == 4 else f"20{year}"
        event["@timestamp"] = format_time(instant(f"{year}-{month}-{day}T{clock}", context.zone))
        return
    this, near = to_datetime(context.received).year, []
    for each in (this, this - 1, this + 1):
        try:
            near.append(instant(f"{each:04}-{month}-{day}T{clock}", context.zone))
        except ParseError:
            continue  # 29 February
    if not near:
        raise ParseError("a time that cannot be read or does not exist")
    event["@timestamp"] = format_time(min(near, key=lambda moment: abs(moment - context.received)))


def _csv(text: str, event: Event, context: Context) -> bool:
    found = _CSV.match(text)
    if found is None or address(found[10]) is None:
        return False
    groups = found.groups()
    generator, rule, quoted, bare, protocol, source, port, target, to, rest = groups[4:]
    _time(groups[:4], event, context)
    judged, macs = _JUDGED.match(rest), _MAC.match(rest)
    kind, priority, verdict = judged.groups() if judged is not None else (None, None, "")
    action = verdict.lower() or "alert"
    _say(event, action, f"{generator}:{rule}", quoted or bare, kind, priority)
    if action == "allow":
        event["event.type"] = ["allowed"]
    if macs is not None:
        event["source.mac"], event["destination.mac"] = (each.upper().replace(":", "-") for each in macs.groups())
    put_transport(event, protocol)
    put_end(event, "source", source, port)
    put_end(event, "destination", target, to)
    return True


def _full(text: str, event: Event, context: Context) -> bool:
    found = _FULL.match(text)
    if found is None:
        return False
    identity, name, kind, priority, *stamp, source, port, target, to, protocol = found.groups()
    _time(tuple(stamp), event, context)
    _say(event, "alert", identity, name, kind, priority)
    put_transport(event, protocol)
    put_end(event, "source", source, port)
    put_end(event, "destination", target, to)
    event["message"] = text
    return True


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an alert of Snort 3."""
    return all(key in document for key in _KEYS)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one JSON object."""
    event: Event = {}
    seconds, written = number(document.get("seconds")), text_at(document, "timestamp") or ""
    stamp = re.match(_STAMP, written[:64], re.ASCII)
    event["@timestamp"] = format_time(context.received)
    if seconds is not None and 0 < seconds < 10**11:
        micros = written.rpartition(".")[2] if stamp is not None else "0"
        event["@timestamp"] = format_time(seconds * 1_000_000 + int(micros))
    elif stamp is not None:
        _time(stamp.groups(), event, context)
    rule, action = text_at(document, "rule") or "", (text_at(document, "action") or "alert").lower()
    kind = text_at(document, "class")
    _say(event, action, rule.rpartition(":")[0] or rule, text_at(document, "msg"), kind, None)
    if action in ("allow", "pass"):
        event["event.type"] = ["allowed"]
    priority = number(document.get("priority"))
    if priority is not None and 0 <= priority < 100:
        event["event.severity"] = priority
    put_transport(event, text_at(document, "proto"))
    put_end(event, "source", text_at(document, "src_addr"), document.get("src_port"))
    put_end(event, "destination", text_at(document, "dst_addr"), document.get("dst_port"))
    for key, name in (("eth_src", "source.mac"), ("eth_dst", "destination.mac")):
        written = text_at(document, key) or ""
        if len(written) == 17:
            event[name] = written.upper().replace(":", "-")
    put(event, "observer.ingress.interface.name", text_at(document, "iface"))
    if (service := given(text_at(document, "service"))) is not None and service != "unknown":
        event["network.protocol"] = service
    put_count(event, "network.bytes", document.get("pkt_len"))
    return event


FORMAT = Format(
    name="snort",
    dataset="snort.log",
    read=read,
    convert=convert,
    fits=fits,
    words=False,
    begins=("[**] [",),
)
