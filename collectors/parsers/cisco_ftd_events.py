"""Security events of Cisco's FTD (Firepower): connections, intrusions, files and malware as `Key: value` pairs.

    <113>2026-11-22T19:34:00Z fw1  %FTD-1-430003: EventPriority: Low, FirstPacketSecond: 2026-11-22T19:33:50Z,
        AccessControlRuleAction: Allow, SrcIP: 10.0.0.5, DstIP: 203.0.113.9, SrcPort: 5150, DstPort: 443, Protocol: tcp

The first of several equal keys counts: what a client chose (URL, agent, query) stands behind the ends it cannot choose.
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import instant, number
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_KEY = re.compile(
    r"([A-Z][A-Za-z]{2,40}(?:_[A-Za-z]{1,20}){0,3}|[a-z]{1,20}[A-Z][A-Za-z]{1,40}|[A-Z]{2,10}"
    r"|Prefilter Policy|Tunnel or Prefilter Rule|Endpoint Profile|Security Group): ?",
    re.ASCII,
)
_MOST = 256
_NONE = frozenset(("", "N/A", "Unknown", "::", "0.0.0.0"))  # noqa: S104 - what is written for no address
_KINDS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "430001": ("intrusion-detected", "alert", ("intrusion_detection",), ("info",)),
    "430002": ("connection-started", "event", ("network",), ("connection", "start")),
    "430003": ("connection-finished", "event", ("network",), ("connection", "end")),
    "430004": ("file-detected", "event", ("file",), ("info",)),
    "430005": ("malware-detected", "event", ("malware", "file"), ("info",)),
}
_VERDICTS = {
    "allow": ("success", "allowed"),
    "trust": ("success", "allowed"),
    "fastpath": ("success", "allowed"),
    "pass": ("success", "allowed"),
    "monitor": ("success", None),
    "block": ("success", "denied"),
    "block with reset": ("success", "denied"),
    "interactive block": ("success", "denied"),
    "interactive block with reset": ("success", "denied"),
    "domain not found": ("success", "denied"),
    "sinkhole": ("success", "denied"),
    "dropped": ("failure", "denied"),
    "blocked": ("failure", "denied"),
    "rejected": ("failure", "denied"),
}
_TYPES = {
    "a host address": "A",
    "ip6 address": "AAAA",
    "text strings": "TXT",
    "a domain name pointer": "PTR",
    "an authoritative name server": "NS",
    "the canonical name for an alias": "CNAME",
    "marks the start of a zone of authority": "SOA",
    "mail exchange": "MX",
    "server selection": "SRV",
    "specifies http service binding": "HTTPS",
    "general purpose service binding": "SVCB",
}
_CODES = {
    "no error": "NOERROR",
    "format error": "FORMERR",
    "server failure": "SERVFAIL",
    "non-existent domain": "NXDOMAIN",
    "not implemented": "NOTIMP",
    "query refused": "REFUSED",
}
_TEXTS = {
    "AccessControlRuleName": "rule.name",
    "AccessControlRuleReason": "event.reason",
    "ACPolicy": "rule.ruleset",
    "IntrusionPolicy": "rule.ruleset",
    "FilePolicy": "rule.ruleset",
    "Classification": "rule.category",
    "Message": "message",
    "IngressInterface": "observer.ingress.interface.name",
    "EgressInterface": "observer.egress.interface.name",
    "IngressZone": "observer.ingress.zone",
    "EgressZone": "observer.egress.zone",
    "VLAN_ID": "network.vlan.id",
    "DNSQuery": "dns.question.name",
    "HTTPReferer": "http.request.referrer",
    "UserAgent": "user_agent.original",
    "HTTP_Hostname": "url.domain",
    "ReferencedHost": "url.domain",
    "SSLServerName": "tls.client.server_name",
    "SSSLCipherSuite": "tls.cipher",
    "SSLCipherSuite": "tls.cipher",
    "FileName": "file.name",
    "FileSHA256": "file.hash.sha256",
    "ThreatName": "almena.cisco.threat",
    "DeviceUUID": "observer.serial_number",
    "ConnectionID": "almena.cisco.connection_id",
    "SHA_Disposition": "almena.cisco.disposition",
    "URLCategory": "almena.cisco.url_category",
}
_LOWER = {"ApplicationProtocol": "network.protocol", "WebApplication": "network.application", "FileType": "file.type"}
_COUNTS = {
    "InitiatorBytes": "source.bytes",
    "ResponderBytes": "destination.bytes",
    "InitiatorPackets": "source.packets",
    "ResponderPackets": "destination.packets",
    "HTTPResponse": "http.response.status_code",
    "FileSize": "file.size",
}


def pairs(text: str) -> dict[str, str]:
    """The values by key, without those that are empty; a comma inside of a value stays where no key follows it."""
    found: dict[str, str] = {}
    last = None
    for piece in text.split(", ", _MOST):
        head = _KEY.match(piece)
        if head is not None:
            last = None if head[1] in found else head[1]
            if last is not None:
                found[last] = piece[head.end() :].strip(" ,")
        elif last is not None:
            found[last] += ", " + piece
    return {key: value.strip('"') for key, value in found.items() if value not in _NONE}


def put(code: str, text: str, event: Event, context: Context) -> bool:
    """Put the pairs of a security event into the event; False when there are none."""
    values = pairs(text)
    if not values:
        return False
    code = code if code in _KINDS else _kind(values)
    action, kind, category, types = _KINDS[code]
    event |= {"event.action": action, "event.kind": kind, "event.code": code}
    event["event.category"], event["event.type"] = list(category), list(types)
    for key, value in values.items():
        name = _TEXTS.get(key)
        if name is not None:
            event.setdefault(name, value)
        elif (name := _LOWER.get(key)) is not None:
            event[name] = value.lower()
        elif (name := _COUNTS.get(key)) is not None:
            put_count(event, name, value)
    if "network.application" not in event and "Client" in values:
        event["network.application"] = values["Client"].lower()
    _ends(event, values)
    _details(event, values)
    _verdict(event, values, code)
    _times(event, values, context)
    if values.get("SHA_Disposition") in ("Malware", "Custom Detection"):
        event["event.kind"] = "alert"
    return True


def _kind(values: dict[str, str]) -> str:
    """The number of an event that has none, by what only its kind has."""
    if "SID" in values or "IntrusionPolicy" in values:
        return "430001"
    if "FileSHA256" in values or "FileName" in values:
        return "430005" if "ThreatName" in values or "SHA_Disposition" in values else "430004"
    return "430003" if "ConnectionDuration" in values or "ResponderBytes" in values else "430002"


def _ends(event: Event, values: dict[str, str]) -> None:
    get = values.get
    put_end(event, "source", get("SrcIP"), get("SrcPort"))
    put_end(event, "destination", get("DstIP"), get("DstPort"))
    put_nat(event, "source", get("NAT_InitiatorIP"), get("NAT_InitiatorPort"))
    put_nat(event, "destination", get("NAT_ResponderIP"), get("NAT_ResponderPort"))
    put_transport(event, get("Protocol"))
    put_total(event, "bytes")
    put_total(event, "packets")
    original = get("originalClientSrcIP") or get("OriginalClientIP")
    if original is not None:
        put_end(event, "client", original)
    user = get("User", "")
    if user not in ("No Authentication Required", "Not Found", "Special Identities\\No Authentication Required"):
        put_user(event, user)


def _details(event: Event, values: dict[str, str]) -> None:
    get = values.get
    host = event.get("url.domain")
    put_url(event, get("URL") or get("URI") or get("HTTP_URI"))
    if host is not None:
        event["url.domain"] = host
    kind = get("DNSRecordType")
    if kind is not None:
        event["dns.question.type"] = _TYPES.get(kind.lower(), kind)
    response = get("DNSResponseType")
    if response is not None:
        event["dns.response_code"] = _CODES.get(response.lower(), response)
    if get("SID") is not None:
        event["rule.id"] = f"{get('GID', '1')}:{get('SID')}"
        event.setdefault("rule.name", get("Message", event["rule.id"]))
    version = get("SSLVersion", "")
    if version[:4] in ("TLSv", "SSLv"):
        event["tls.version"], event["tls.version_protocol"] = version[4:], version[:3].lower()


def _verdict(event: Event, values: dict[str, str], code: str) -> None:
    word = values.get("InlineResult" if code == "430001" else "AccessControlRuleAction") or values.get("FileAction", "")
    outcome, kind = _VERDICTS.get(word.lower(), (None, None))
    if outcome is not None:
        event["event.outcome"] = outcome
    if kind is not None:
        event["event.type"].append(kind)


def _times(event: Event, values: dict[str, str], context: Context) -> None:
    seconds = number(values.get("ConnectionDuration"))
    if seconds is not None and 0 <= seconds < 1 << 32:
        event["event.duration"] = seconds * 1_000_000_000
    first = values.get("FirstPacketSecond")
    if first is None:
        return
    try:
        start = instant(first, "UTC")
    except ParseError:
        return
    event["event.start"] = format_time(start)
    if seconds is not None and 0 <= seconds < 1 << 32:
        event["event.end"] = format_time(start + seconds * 1_000_000)
