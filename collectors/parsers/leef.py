"""The Log Event Extended Format (LEEF 1.0 and 2.0), which products write for IBM's QRadar.

LEEF:1.0|Vendor|Product|1.0|100|src=203.0.113.9<tab>dst=198.51.100.2<tab>sev=5<tab>usrName=ana
LEEF:2.0|Vendor|Product|1.0|100|^|src=203.0.113.9^dst=198.51.100.2^sev=5^cat=denied
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.cef import moment_of
from collectors.parsers.common import MAX_FIELDS, address, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_HEADER = re.compile(r"LEEF: ?([12])\.\d\|" + r"((?:[^\\|]++|\\.){0,512})\|" * 4, re.ASCII | re.DOTALL)
_DELIMITER = re.compile(r"(?:0?x([0-9A-Fa-f]{2,4})|([^|A-Za-z0-9=]))?\|", re.ASCII)
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z][A-Za-z0-9_.-]{0,63})=", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DAY_FIRST = re.compile(r"(\d\d)[-/ ]([A-Z][a-z]{2})[-/ ](\d{4}) (\d\d:\d\d:\d\d)", re.ASCII)

_TEXTS = {
    "msg": "message",
    "message": "message",
    "reason": "event.reason",
    "policy": "rule.name",
    "rule": "rule.name",
    "ruleName": "rule.name",
    "signature": "rule.description",
    "realm": "user.domain",
    "domain": "user.domain",
    "identGrpName": "user.group.name",
    "role": "user.roles",
    "method": "http.request.method",
    "userAgent": "user_agent.original",
    "fileName": "file.name",
    "filePath": "file.path",
    "fileHash": "file.hash.sha256",
    "resource": "almena.leef.resource",
    "cat": "almena.leef.category",
}
_WELL = ("allow", "accept", "permit", "success", "pass", "ok", "true")
_BADLY = ("deny", "denied", "drop", "block", "reject", "fail", "prevent", "quarantine", "false")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record into the event; False for what has no header of LEEF."""
    found = _HEADER.match(message)
    if found is None:
        return False
    generation, *heading = found.groups()
    vendor, product, version, code = (_plain(part) for part in heading)
    event |= {"observer.vendor": vendor, "observer.product": product, "observer.version": version, "event.code": code}
    at, delimiter = found.end(), ""
    if generation == "2":
        chosen = _DELIMITER.match(message, at)
        if chosen is not None:
            at = chosen.end()
            delimiter = chr(int(chosen[1], 16)) if chosen[1] else chosen[2] or ""
    facts = _attributes(message[at:], delimiter or "\t")
    _time(facts, event, context)
    _ends(facts, event)
    for key, name in _TEXTS.items():
        put(event, name, facts.get(key))
    if "user.roles" in event:
        event["user.roles"] = [event["user.roles"]]
    put_url(event, facts.get("url") or facts.get("URL"))
    severity = number(facts.get("sev"))
    if severity is not None and 0 <= severity <= 10:
        event["event.severity"] = severity
    _judged(facts, event)
    return True


def _plain(value: str) -> str:
    return _ESCAPE.sub(r"\1", value).strip() if "\\" in value else value.strip()


def _attributes(text: str, delimiter: str) -> dict[str, str]:
    """The attributes; of equal keys the first counts. Without the delimiter, keys tell where values end."""
    found: dict[str, str] = {}
    if delimiter in text or text.count("=") < 2:
        parts = text.split(delimiter, MAX_FIELDS)
        if len(parts) > MAX_FIELDS:
            raise ParseError(f"more than {MAX_FIELDS} fields")
        for part in parts:
            key, equals, value = part.strip().partition("=")
            if equals and key:
                found.setdefault(key, value.strip())
        return found
    keys = list(_KEY.finditer(text))[:MAX_FIELDS]
    for at, match in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        found.setdefault(match[1], text[match.end() : end].strip())
    return found


def _time(facts: dict[str, str], event: Event, context: Context) -> None:
    written = facts.get("devTime", "")
    day_first = _DAY_FIRST.match(written)
    if day_first is not None:
        day, month, year, clock = day_first.groups()
        written = f"{month} {day} {year} {clock}"
    moment = moment_of(written, context) if written else None
    if moment is not None:
        event["@timestamp"] = format_time(moment)


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("src") or get("identSrc") or get("srcHost"), get("srcPort"))
    put_end(event, "destination", get("dst") or get("dstHost"), get("dstPort"))
    put_nat(event, "source", get("srcPostNAT"), get("srcPostNATPort"))
    put_nat(event, "destination", get("dstPostNAT"), get("dstPostNATPort"))
    for key, name in (("srcMAC", "source.mac"), ("dstMAC", "destination.mac")):
        mac = get(key, "").replace("-", ":")
        if len(mac) == 17:
            event[name] = mac.upper().replace(":", "-")
    who = get("usrName") or get("accountName") or get("user")
    put_user(event, who)
    put_transport(event, get("proto"))
    for key, name in (
        ("srcBytes", "source.bytes"),
        ("dstBytes", "destination.bytes"),
        ("srcPackets", "source.packets"),
        ("dstPackets", "destination.packets"),
        ("totalPackets", "network.packets"),
    ):
        put_count(event, name, get(key))
    put_total(event, "bytes")
    named = get("identHostName") or get("devName")
    if named and address(named) is None and "host.name" not in event:
        event["host.name"] = named


def _judged(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    action = get("action") or get("act") or get("eventAction") or ""
    event["event.action"] = (action or get("cat") or event["event.code"]).lower()
    told = [word.lower() for word in (get("outcome", ""), get("result", ""), get("status", ""), action) if word]
    outcome = next(("failure" for word in told if word.startswith(_BADLY)), "")
    outcome = outcome or next(("success" for word in told if word.startswith(_WELL)), "")
    if outcome:
        event["event.outcome"] = outcome
    if get("isLoginEvent", "").lower() == "true" or get("isLogoutEvent", "").lower() == "true":
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end" if get("isLogoutEvent", "").lower() == "true" else "start"]
    elif "source.ip" in event and "destination.ip" in event:
        denied = action.lower().startswith(_BADLY)
        event["event.category"] = ["network"]
        event["event.type"] = ["connection", *([] if not action else ["denied" if denied else "allowed"])]


FORMAT = Format(
    name="leef",
    dataset="leef.log",
    read=read,
    words=False,
    begins=("LEEF:1.0|", "LEEF:2.0|", "LEEF: 1.0|", "LEEF: 2.0|"),
)
