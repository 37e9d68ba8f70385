"""The Common Event Format (CEF), which firewalls, Trend Micro, antivirus consoles and many others write.

CEF:0|Vendor|Product|1.0|100|Connection denied|7|src=203.0.113.9 spt=40000 dst=198.51.100.2 dpt=23 act=blocked msg=a b
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import DAY, MINUTE, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, epoch, fraction, instant, local, number, zone_of
from collectors.parsers.format import Format
from collectors.parsers.header import year_of
from collectors.parsers.jsonpath import put
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_port,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_HEADER = re.compile(r"CEF: ?(\d{1,3})" + r"\|((?:[^\\|]++|\\.){0,2048})" * 6 + r"\|", re.ASCII | re.DOTALL)
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_][A-Za-z0-9_.\[\]-]{0,127})=", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.ASCII | re.DOTALL)
_WRITTEN = re.compile(
    r"([A-Z][a-z]{2}) (\d{1,2}),? (?:(\d{4}) )?(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?: ([A-Z]{2,5})?(?:([+-]\d\d):?(\d\d))?)?$",
    re.ASCII,
)
_MOST = 1_024
_WORDS = {"unknown": 21, "low": 21, "medium": 47, "high": 73, "very-high": 99}
_DENIED = (
    "deny",
    "denied",
    "block",
    "blocked",
    "drop",
    "dropped",
    "reject",
    "rejected",
    "quarantine",
    "prevent",
    "prevented",
)
_FAILED = ("fail", "failed", "failure", "false", "0")

_TEXTS = {
    "reason": "event.reason",
    "msg": "message",
    "request": "url.original",
    "requestMethod": "http.request.method",
    "requestClientApplication": "user_agent.original",
    "requestContext": "http.request.referrer",
    "app": "network.protocol",
    "fname": "file.name",
    "filePath": "file.path",
    "fileType": "file.type",
    "sproc": "process.name",
    "sntdom": "source.user.domain",
    "suid": "source.user.id",
    "duid": "destination.user.id",
    "deviceInboundInterface": "observer.ingress.interface.name",
    "deviceOutboundInterface": "observer.egress.interface.name",
    "deviceFacility": "log.syslog.facility.name",
    "dvchost": "observer.name",
    "dvcmac": "observer.mac",
    "deviceProcessName": "process.name",
    "oldFileName": "almena.cef.old_file",
    "deviceExternalId": "almena.cef.device_id",
    "externalId": "almena.cef.external_id",
    "cat": "almena.cef.category",
    "sourceServiceName": "almena.cef.service",
    "destinationServiceName": "almena.cef.service",
    "deviceCustomString1": "almena.cef.text1",
}
"""Keys of the dictionary whose text goes as it is into a field."""

_LONG = {
    "sourceAddress": "src",
    "sourcePort": "spt",
    "sourceHostName": "shost",
    "sourceUserName": "suser",
    "destinationAddress": "dst",
    "destinationPort": "dpt",
    "destinationHostName": "dhost",
    "destinationUserName": "duser",
    "deviceReceiptTime": "rt",
    "deviceAction": "act",
    "eventOutcome": "outcome",
    "message": "msg",
    "requestUrl": "request",
    "method": "requestMethod",
    "transportProtocol": "proto",
    "applicationProtocol": "app",
    "bytesIn": "in",
    "bytesOut": "out",
}
"""Full names that some write in place of the short ones."""

_DIGESTS = ("fileHash", "TrendMicroDsFileMD5", "TrendMicroDsFileSHA1", "TrendMicroDsFileSHA256")
_HASHES = {32: "file.hash.md5", 40: "file.hash.sha1", 64: "file.hash.sha256", 128: "file.hash.sha512"}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record into the event."""
    found = _HEADER.match(message)
    if found is None:
        return False
    _, vendor, product, version, code, name, severity = map(_plain, found.groups())
    event |= {"observer.vendor": vendor, "observer.product": product, "observer.version": version, "event.code": code}
    put(event, "rule.name", name)
    put(event, "almena.cef.name", name)
    put(event, "almena.cef.severity", severity)
    level = number(severity)
    if level is not None and 0 <= level <= 10:
        event["event.severity"] = 21 if level < 4 else 47 if level < 7 else 73 if level < 9 else 99
    elif severity.lower() in _WORDS:
        event["event.severity"] = _WORDS[severity.lower()]
    facts = extension(message[found.end() :])
    for long in _LONG.keys() & facts.keys():
        facts.setdefault(_LONG[long], facts[long])
    _times(facts, event, context)
    _ends(facts, event)
    _rest(facts, event)
    _judged(facts, name, event)
    if vendor == "Check Point":
        put(event, "dns.question.name", facts.get("sntdom"))  # which its exporter writes there
        if facts.get("flexString2Label", "").lower() == "attack information":
            put(event, "event.action", facts.get("flexString2"))
    return True


def _plain(value: str) -> str:
    return _ESCAPE.sub(r"\1", value).strip() if "\\" in value else value.strip()


def extension(text: str) -> dict[str, str]:
    """`key=value key=value`: a value reaches up to the next key, whatever spaces it holds."""
    keys = list(_KEY.finditer(text))[:_MOST]
    found: dict[str, str] = {}
    for at, key in enumerate(keys):
        if key.start() and text[key.start() - 1] == "\\":
            continue
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        value = text[key.end() : end].strip()
        if "\\" in value:
            value = _ESCAPE.sub(lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), value)
        found.setdefault(key[1], value)
    return found


@lru_cache(maxsize=4_096)
def _written(month: str, day: str, year: int, clock: str, zone: str) -> int:
    if month not in MONTHS:
        raise ParseError("a month that does not exist")
    return local(year, MONTHS[month], int(day), clock, zone_of(zone))


def moment_of(written: str, context: Context) -> int | None:
    """A time as CEF and its kin write it, in microseconds; None for what is none."""
    if written.isascii() and written.isdigit() and 9 < len(written) < 20:
        return epoch(int(written))
    found = _WRITTEN.match(written[:64])
    try:
        if found is None:
            return instant(written[:64], context.zone) if written[:4].isdigit() else None
        month, day, year, clock, part, zone, hours, minutes = found.groups()
        where = "UTC" if zone in ("UTC", "GMT", "Z") or hours else context.zone
        away = (int(hours) * 60 + int(f"{hours[0]}{minutes}")) * MINUTE if hours else 0
        return (
            _written(month, day, int(year or 0) or year_of(month, day, where, context.received // DAY), clock, where)
            + fraction(part)
            - away
        )
    except ParseError:
        return None


def _times(facts: dict[str, str], event: Event, context: Context) -> None:
    for key in ("rt", "end", "start", "deviceReceiptTime"):
        moment = moment_of(facts[key], context) if key in facts else None
        if moment is not None:
            event["@timestamp"] = format_time(moment)
            break
    for key, name in (("start", "event.start"), ("end", "event.end")):
        moment = moment_of(facts[key], context) if key in facts else None
        if moment is not None:
            event[name] = format_time(moment)


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    for side, ip, host, port, mac, user, nat, nat_port in (
        ("source", "src", "shost", "spt", "smac", "suser", "sourceTranslatedAddress", "sourceTranslatedPort"),
        (
            "destination",
            "dst",
            "dhost",
            "dpt",
            "dmac",
            "duser",
            "destinationTranslatedAddress",
            "destinationTranslatedPort",
        ),
    ):
        put_end(event, side, get(ip) or get(f"c6a{2 if side == 'source' else 3}"), get(port))
        name = get(host)
        if name and name != get(ip):
            event[f"{side}.domain"] = name
            event.setdefault(f"{side}.address", name)
        if get(mac):
            event[f"{side}.mac"] = facts[mac].upper().replace(":", "-")
        put_nat(event, side, get(nat), get(nat_port))
        if get(user):
            put_user(event, facts[user], f"{side}.user")
    whom = "suser" if get("suser") else "duser"
    put_user(event, get(whom))
    if get("suser") and get("duser"):
        put_user(event, get("duser"), "user.target")
    if get("proto"):
        put_transport(event, facts["proto"])
    put_count(event, "source.bytes", get("out") if get("deviceDirection") != "0" else get("in"))
    put_count(event, "destination.bytes", get("in") if get("deviceDirection") != "0" else get("out"))
    put_total(event, "bytes")
    if get("deviceDirection") in ("0", "1"):
        event["network.direction"] = "inbound" if facts["deviceDirection"] == "0" else "outbound"
    found = address(get("dvc"))
    if found is not None:
        event["observer.ip"] = [found]


_CUSTOM = {f"cs{number_of}": (f"cs{number_of}Label", f"almena.cef.cs{number_of}") for number_of in range(1, 7)}


def _rest(facts: dict[str, str], event: Event) -> None:
    for key, value in facts.items():
        name = _TEXTS.get(key)
        if name is not None and value:
            event[name] = value.lower() if name == "network.protocol" else value
    if "url.original" in event:
        put_url(event, event["url.original"])
    put_port(event, "process.pid", facts.get("spid"))
    for key in _DIGESTS:
        if (hashed := facts.get(key)) and len(hashed) in _HASHES:
            event[_HASHES[len(hashed)]] = hashed.lower()
    put_count(event, "file.size", facts.get("fsize"))
    for key, (named, name) in _CUSTOM.items():
        if text := facts.get(key):
            event[name] = text
            lower = facts.get(named, "").lower()
            if lower in (
                "rule name",
                "rule",
                "rulename",
                "policy",
                "policy name",
                "ips rule",
                "access control rule name",
            ):
                event["rule.name"] = text
            elif lower in ("source zone", "sourcezone", "src zone"):
                event["observer.ingress.zone"] = text
            elif lower in ("destination zone", "destinationzone", "dst zone"):
                event["observer.egress.zone"] = text


def _judged(facts: dict[str, str], name: str, event: Event) -> None:
    action = (facts.get("act") or facts.get("deviceAction") or "").strip()
    event["event.action"] = action or name.lower() or event["event.code"]
    outcome = (facts.get("outcome") or facts.get("categoryOutcome") or "").lower().strip("/")
    if outcome:
        event["event.outcome"] = "failure" if outcome.startswith(_FAILED) else "success"
    denied = action.lower().startswith(_DENIED)
    said = f"{name} {facts.get('cat', '')}".lower()
    if any(word in said for word in ("login", "logon", "logged", "authentication", "sign-in", "logout")):
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end"] if "logout" in said or "logoff" in said else ["start"]
        event.setdefault("event.outcome", "failure" if "fail" in said or "denied" in said else "success")
    elif "source.ip" in event or "destination.ip" in event:
        event["event.category"] = ["network"]
        event["event.type"] = (
            ["connection", "denied"] if denied else ["connection", "allowed"] if action else ["connection"]
        )
    elif "file.name" in event or "file.path" in event:
        event["event.category"], event["event.type"] = ["file"], ["denied"] if denied else ["info"]
    else:
        event["event.category"], event["event.type"] = ["host"], ["info"]
    if "TrendMicroDsMalwareTarget" in facts or any(
        word in said for word in ("virus", "malware", "intrusion", "exploit", "attack", "threat", "trojan")
    ):
        event["event.kind"] = "alert"


FORMAT = Format(name="cef", dataset="cef.log", read=read, begins=("CEF:0|", "CEF: 0|", "CEF:1|"), words=False)
