"""Cisco's ISE and ACS: who was let in by RADIUS or TACACS+ and who was not, accounting, what administrators did.

    <181>Nov 22 13:34:00 ise1 CISE_Failed_Attempts 0000000123 1 0 2026-11-22 13:34:00.123 -06:00 0000012345 5400 NOTICE
        Failed-Attempt: Authentication failed, ConfigVersionId=1, Device IP Address=10.0.0.2, UserName=ana, ...

A message may come in several segments; each is an event, and only the first says what happened.
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, instant, number
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_port, put_total, put_user

_MOST = 512  # values of one segment
_HEAD = re.compile(r"(?:CISE|CSCOacs)_([A-Za-z_]{1,64}) (\d{1,12}) (\d{1,4}) (\d{1,4}) ", re.ASCII)
_FIRST = re.compile(
    r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{1,6}) ([+-]\d\d:\d\d) (\d{1,12}) (\d{1,6}) ([A-Z]{2,8}) +([^,]{1,256}), ?",
    re.ASCII,
)
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9 _.-]{0,63})=", re.ASCII)
_MAC = re.compile(
    r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{12}", re.ASCII
)
_LEVELS = {"NOTICE": "notice", "INFO": "informational", "WARN": "warning", "ERROR": "error", "FATAL": "critical"}
_NAMES = (
    ("NetworkDeviceName", "almena.radius.client"),
    ("NAS-Port-Id", "almena.radius.port"),
    ("FailureReason", "event.reason"),
    ("AdminInterface", "network.application"),
    ("CmdSet", "process.command_line"),
    ("SelectedAuthorizationProfiles", "rule.name"),
    ("AuthorizationPolicyMatchedRule", "rule.name"),
    ("ISEPolicySetName", "rule.ruleset"),
    ("IdentityGroup", "user.group.name"),
    ("ADDomain", "user.domain"),
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a segment into the event; False when it has no category."""
    head = _HEAD.match(message)
    if head is None:
        return False
    category, identity, _, _ = head.groups()
    event["event.provider"] = category
    event["almena.cisco.message"] = identity
    event["observer.vendor"], event["observer.product"] = "Cisco", "ISE"
    at = head.end()
    first = _FIRST.match(message, at)
    title = ""
    if first is not None:
        date, clock, zone, _, code, level, title = first.groups()
        event["@timestamp"] = format_time(instant(f"{date}T{clock}{zone}", context.zone))
        event["event.code"], event["log.level"] = code, _LEVELS.get(level, level.lower())
        event["event.action"] = title.partition(":")[0].strip().lower()
        at = first.end()
    values = _values(message[at:])
    _ends(values, event)
    _meaning(category, title, event)
    event["message"] = title or category
    return True


def _values(text: str) -> dict[str, str]:
    """The values by key; of equal keys the first counts, and what has no key belongs to the value before."""
    values: dict[str, str] = {}
    last = None
    for piece in text.rstrip(" ,").split(", ", _MOST):
        key = _KEY.match(piece)
        if key is not None:
            last = None if key[1] in values else key[1]
            if last is not None:
                values[last] = piece[key.end() :].strip()
        elif last is not None and len(values[last]) < 2_048:
            values[last] += ", " + piece
    return {key: value for key, value in values.items() if value}


def _ends(values: dict[str, str], event: Event) -> None:
    get = values.get
    put_user(event, get("UserName") or get("User-Name") or get("AdminName") or get("User"))
    for name in ("Framed-IP-Address", "IpAddress", "Remote-Address", "AdminIPAddress"):
        if address(get(name)) is not None:
            put_end(event, "source", get(name))
            break
    put_end(event, "destination", get("DestinationIPAddress"), get("DestinationPort"))
    put_end(event, "client", get("Device IP Address") or get("NAS-IP-Address"))
    put_port(event, "client.port", get("Device Port"))
    station = get("Calling-Station-ID") or get("EndPointMACAddress") or ""
    if _MAC.fullmatch(station):
        digits = re.sub(r"[^0-9A-Fa-f]", "", station).upper()
        event["source.mac"] = "-".join(digits[at : at + 2] for at in range(0, 12, 2))
    elif "source.ip" not in event and address(station) is not None:
        put_end(event, "source", station)
    if get("Protocol"):
        event["network.protocol"] = get("Protocol", "").lower()
    put_count(event, "source.bytes", get("Acct-Input-Octets"))
    put_count(event, "destination.bytes", get("Acct-Output-Octets"))
    put_total(event, "bytes")
    seconds = number(get("Acct-Session-Time"))
    if seconds is not None and 0 <= seconds < 1 << 32:
        event["event.duration"] = seconds * 1_000_000_000
    for key, name in _NAMES:
        value = get(key)
        if value is not None and name not in event:
            event[name] = value


def _meaning(category: str, title: str, event: Event) -> None:
    lower = title.lower()
    outcome = None
    event["event.category"], event["event.type"] = ["network"], ["info"]
    if category.startswith("Passed_Auth"):
        event["event.category"], event["event.type"] = ["authentication"], ["info", "allowed"]
        outcome = "success"
    elif category.startswith("Failed_Att"):
        event["event.category"], event["event.type"] = ["authentication"], ["info", "denied"]
        outcome = "failure"
    elif "Accounting" in category:
        event["event.category"] = ["session"]
        event["event.type"] = ["end" if "stop" in lower else "start" if "start" in lower else "info"]
    elif category.startswith("Administrative"):
        login = "login" in lower or "logged in" in lower or "authentication" in lower
        event["event.category"] = ["authentication"] if login else ["configuration"]
        event["event.type"] = ["start"] if login else ["change"]
        outcome = "failure" if "fail" in lower else "success"
    if outcome is not None and title:  # only the first segment counts as an attempt
        event["event.outcome"] = outcome


FORMAT = Format(name="cisco_ise", dataset="cisco_ise.log", read=read, words=False, begins=("CISE_", "CSCOacs_"))
