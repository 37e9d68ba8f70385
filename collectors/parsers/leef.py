"""The Log Event Extended Format (LEEF 1.0 and 2.0), which products write for IBM's QRadar.

LEEF:1.0|Vendor|Product|1.0|100|src=203.0.113.9<tab>dst=198.51.100.2<tab>sev=5<tab>usrName=ana
LEEF:2.0|Vendor|Product|1.0|100|^|src=203.0.113.9^dst=198.51.100.2^sev=5^cat=denied

Tabs do not survive every relay, so what relays and products make of them is read too, down to spaces.
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MAX_FIELDS, address, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.leef_time import moment_of
from collectors.parsers.network import (
    PROTOCOLS,
    put_count,
    put_end,
    put_nat,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_HEADER = re.compile(r"LEEF: ?([12])(?:\.\d)?\|" + r"((?:[^\\|]++|\\.){0,512})\|" * 4, re.ASCII | re.DOTALL)
_DELIMITER = re.compile(r"(?:\\?0?x([0-9A-Fa-f]{1,4})|(\\t)|([^|A-Za-z0-9=]))?\|", re.ASCII)
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z][A-Za-z0-9_.-]{0,63}) ?=", re.ASCII)
_FIRST = re.compile(r"\s*[A-Za-z][A-Za-z0-9_. -]{0,63}=", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_IN_VALUE = re.compile(r"\\([=|])", re.ASCII)
_TABS = ("\t", "#011", "<009>", "\\0x09", "\\x09", "\\t", "^", "|")
"""The delimiter of LEEF 1.0, what is made of it on the way, and what products write in its place."""
_TRANSPORTS = frozenset(PROTOCOLS.values()) | {"icmpv6", "icmp6"}
_HASHES = {32: "file.hash.md5", 40: "file.hash.sha1", 64: "file.hash.sha256"}

_TEXTS = {
    "msg": "message",
    "message": "message",
    "desc": "message",
    "reason": "event.reason",
    "policy": "rule.name",
    "rule": "rule.name",
    "rulename": "rule.name",
    "ruleid": "rule.id",
    "signature": "rule.description",
    "realm": "user.domain",
    "domain": "user.domain",
    "identgrpname": "user.group.name",
    "method": "http.request.method",
    "requestmethod": "http.request.method",
    "useragent": "user_agent.original",
    "requestclientapplication": "user_agent.original",
    "filename": "file.name",
    "fname": "file.name",
    "filepath": "file.path",
    "malname": "threat.indicator.name",
    "virus": "threat.indicator.name",
    "virusname": "threat.indicator.name",
    "mailmsgsubject": "email.subject",
    "emailsubject": "email.subject",
    "messageid": "email.message_id",
    "dvchost": "observer.name",
    "srczone": "observer.ingress.zone",
    "dstzone": "observer.egress.zone",
    "resource": "almena.leef.resource",
    "cat": "almena.leef.category",
}
"""Attributes in lower case; of several that go into one field the first that is given counts."""
_WELL = ("allow", "accept", "permit", "success", "pass", "ok", "true")
_BADLY = ("deny", "denied", "drop", "block", "reject", "fail", "prevent", "quarantine", "false")
_SIGNS = ("login", "logon", "log in", "signin", "sign-in", "authentication", "logout", "logoff")


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
            delimiter = chr(int(chosen[1], 16)) if chosen[1] else "\t" if chosen[2] else chosen[3] or ""
    facts = _attributes(message[at:], delimiter)
    _time(facts, event, context)
    _ends(facts, event)
    _people(facts, event)
    for key, name in _TEXTS.items():
        if key in facts and name not in event:
            put(event, name, facts[key])
    _rest(facts, event)
    _judged(facts, event)
    return True


def _plain(value: str) -> str:
    return _ESCAPE.sub(r"\1", value).strip() if "\\" in value else value.strip()


def _attributes(text: str, delimiter: str) -> dict[str, str]:
    """The attributes by their names in lower case; of equal names the first counts."""
    if not delimiter or delimiter not in text:
        delimiter = next((each for each in _TABS if each in text and _parts(text, each)), "")
    found: dict[str, str] = {}
    if delimiter or text.count("=") < 2:
        parts = text.split(delimiter, MAX_FIELDS) if delimiter else [text]
        if len(parts) > MAX_FIELDS:
            raise ParseError(f"more than {MAX_FIELDS} fields")
        for part in parts:
            key, equals, value = part.partition("=")
            if equals and (key := key.strip()):
                found.setdefault(key.lower(), _value(value))
        return found
    keys = list(_KEY.finditer(text))[:MAX_FIELDS]
    for at, match in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        found.setdefault(match[1].lower(), _value(text[match.end() : end]))
    return found


def _parts(text: str, delimiter: str) -> bool:
    """Whether an attribute begins behind the delimiter's first place; a `^` or `|` may stand in a value."""
    if delimiter == "\t":
        return True
    return _FIRST.match(text, text.index(delimiter) + len(delimiter)) is not None


def _value(written: str) -> str:
    return _IN_VALUE.sub(r"\1", written).strip() if "\\" in written else written.strip()


def _time(facts: dict[str, str], event: Event, context: Context) -> None:
    for key in ("devtime", "eventtime", "starttime", "end"):
        written = facts.get(key)
        moment = moment_of(written, facts.get(f"{key}format", ""), context) if written else None
        if moment is not None:
            event["@timestamp"] = format_time(moment)
            return


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    for side, keys, host, port, mac in (
        ("source", ("src", "identsrc", "srcip"), ("srchost", "shost", "srcname"), ("srcport", "spt"), "srcmac"),
        ("destination", ("dst", "dstip"), ("dsthost", "dhost", "dstname"), ("dstport", "dpt"), "dstmac"),
    ):
        where = next((facts[key] for key in keys if get(key) and facts[key] not in ("0.0.0.0", "::")), None)  # noqa: S104
        named = next((facts[key] for key in host if get(key)), None)
        put_end(event, side, where or named, next((facts[key] for key in port if get(key)), None))
        if named and where and named != where and address(named) is None:
            event[f"{side}.domain"] = named
        digits = get(mac, "").replace("-", ":").replace(" ", "")
        if len(digits) == 17:
            event[f"{side}.mac"] = digits.upper().replace(":", "-")
    put_nat(event, "source", get("srcpostnat"), get("srcpostnatport"))
    put_nat(event, "destination", get("dstpostnat"), get("dstpostnatport"))
    device = address(get("dvc") or get("devip") or get("deviceip"))
    if device is not None:
        event["observer.ip"] = [device]
    name = get("identhostname") or get("devname")
    if name and address(name) is None and "host.name" not in event:
        event["host.name"] = name


def _people(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    who = get("usrname") or get("accountname") or get("user") or get("username") or get("suser") or get("identusername")
    put_user(event, who)
    if who and "@" in who and "user.domain" in event:
        event["user.email"] = who
    put_user(event, get("duser"), "destination.user")
    if role := get("role"):
        event["user.roles"] = [role]
    for key, name in (("sendermail", "email.from.address"), ("rcptmail", "email.to.address")):
        if "@" in get(key, ""):
            event[name] = [each for each in facts[key].split(";")[:64] if each]


def _rest(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    protocol = (get("proto") or "").lower()
    if protocol in _TRANSPORTS or protocol.isdigit():
        put_transport(event, protocol)
    elif protocol:
        put(event, "network.protocol", protocol)
    put(event, "network.application", get("app") or get("application"))
    for key, name in (
        ("srcbytes", "source.bytes"),
        ("bytesin", "destination.bytes"),
        ("bytesout", "source.bytes"),
        ("dstbytes", "destination.bytes"),
        ("srcpackets", "source.packets"),
        ("dstpackets", "destination.packets"),
        ("totalpackets", "network.packets"),
        ("totalbytes", "network.bytes"),
        ("fsize", "file.size"),
        ("filesize", "file.size"),
    ):
        put_count(event, name, get(key))
    put_total(event, "bytes")
    put_url(event, get("url") or get("request") or get("resourceurl"))
    hashed = get("filehash", "")
    if (name := _HASHES.get(len(hashed), "")) and hashed.isalnum():
        event[name] = hashed.lower()
    severity = number(get("sev") or get("severity"))
    if severity is not None and 0 <= severity <= 10:
        event["event.severity"] = severity


def _judged(facts: dict[str, str], event: Event) -> None:
    get, code = facts.get, event["event.code"]
    action, category = get("action") or get("act") or get("eventaction") or "", get("cat") or ""
    worded = code if any(letter.isalpha() for letter in code) else category or code
    event["event.action"] = (action or worded).lower()
    decided = (action or code).lower()
    said = f"{code} {category}".lower()
    leaves = get("islogoutevent", "").lower() == "true"
    signs = leaves or get("isloginevent", "").lower() == "true" or any(word in said for word in _SIGNS)
    told = [get(key, "").lower() for key in ("outcome", "result", "status")]
    outcome = _outcome([*told, action.lower(), category.lower(), code.lower()] if signs else told)
    if outcome is None and not signs and decided.startswith(_WELL + _BADLY):
        outcome = "success"  # what was decided was done
    if outcome is not None:
        event["event.outcome"] = outcome
    if signs:
        leaves = leaves or "logout" in said or "logoff" in said
        event["event.category"], event["event.type"] = ["authentication"], ["end" if leaves else "start"]
    elif "source.ip" in event and "destination.ip" in event:
        event["event.category"] = ["network"]
        judged = ["denied"] if decided.startswith(_BADLY) else ["allowed"] if decided.startswith(_WELL) else []
        event["event.type"] = ["connection", *judged]


def _outcome(words: list[str]) -> str | None:
    """What the first words say that speak of success or failure; failure where they say both."""
    if any(word.startswith(_BADLY) or "fail" in word for word in words):
        return "failure"
    return "success" if any(word.startswith(_WELL) for word in words) else None


FORMAT = Format(
    name="leef",
    dataset="leef.log",
    read=read,
    words=False,
    begins=("LEEF:1.0|", "LEEF:2.0|", "LEEF: 1.0|", "LEEF: 2.0|", "LEEF:1|", "LEEF:2|"),
)
