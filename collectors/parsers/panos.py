"""Palo Alto Networks' PAN-OS 8 to 11: every type of log that it sends by syslog, as comma-separated columns.

1,2026/11/22 13:34:00,0011,TRAFFIC,end,2561,2026/11/22 13:34:00,10.0.0.5,203.0.113.7,198.51.100.1,203.0.113.7,Salida,...

Columns were only ever added at the end, so one order of names reads all versions.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MAX_FIELDS, address, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_nat, put_transport, put_url, put_user

Facts = dict[str, str]

_TIME = re.compile(r"\d{4}[/-]\d\d[/-]\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?$", re.ASCII)
_ENDS = "src dst natsrc natdst rule srcuser dstuser app vsys from to inbound outbound logset"
_PORTS = "session repeat sport dport natsport natdport flags proto action"
_GROUPS = "dg1 dg2 dg3 dg4 vsys_name device_name"
_COLUMNS = {
    "TRAFFIC": f"{_ENDS} _ {_PORTS} bytes sent received packets start elapsed category _ seqno _ srcloc dstloc _"
    f" packets_sent packets_received reason {_GROUPS} _ _ _ _ _ _ _ _ _ _ _ _ rule_uuid",
    "THREAT": f"{_ENDS} _ {_PORTS} misc threat category severity direction seqno _ srcloc dstloc _ content_type _"
    f" filehash _ _ user_agent filetype xff referrer sender subject recipient _ {_GROUPS} _ _ _ method"
    " _ _ _ _ _ threat_category _ _ _ _ _ _ rule_uuid",
    "DECRYPTION": f"{_ENDS} _ {_PORTS} _ _ _ _ _ rule_uuid _ _ tls _ cipher _ _ curve error_kind _ _ _ serial"
    " fingerprint not_before not_after _ _ _ _ _ _ _ subject issuer _ sni error",
    "GTP": f"{_ENDS} _ {_PORTS}",
    "SCTP": f"{_ENDS} _ {_PORTS}",
    "START": f"{_ENDS} _ {_PORTS} severity seqno _ srcloc dstloc {_GROUPS}",
    "SYSTEM": f"vsys eventid object _ _ module severity opaque seqno _ {_GROUPS}",
    "CONFIG": f"host vsys cmd admin client result path before after seqno _ {_GROUPS}",
    "GLOBALPROTECT": "vsys eventid stage method tunnel srcuser srcloc machine public public6 private private6 hostid"
    " serial client_version os os_version repeat reason error opaque status location duration connect code portal"
    f" seqno _ _ _ _ _ _ _ {_GROUPS}",
    "USERID": f"vsys ip user source eventid repeat timeout begin_port end_port module kind seqno _ {_GROUPS}",
    "HIPMATCH": f"srcuser vsys machine os src match repeat kind _ _ seqno _ {_GROUPS}",
    "AUTHENTICATION": "vsys ip user normal object rule repeat id vendor logset profile opaque client eventid factor"
    f" seqno _ {_GROUPS}",
    "IPTAG": f"vsys ip tag eventid repeat timeout source kind module seqno _ {_GROUPS}",
    "CORRELATION": "src srcuser vsys category severity dg1 dg2 dg3 dg4 vsys_name device_name _ object object_id opaque",
}
_COLUMNS |= {"END": _COLUMNS["START"], "HIP-MATCH": _COLUMNS["HIPMATCH"]}
_NAMES = {kind: names.split() for kind, names in _COLUMNS.items()}

_FLOWS = {"start": "flow_started", "end": "flow_terminated", "drop": "flow_dropped", "deny": "flow_denied"}
_THREATS = {
    "data": "data_match",
    "dlp": "data_match",
    "file": "file_match",
    "flood": "flood_detected",
    "packet": "packet_attack",
    "scan": "scan_detected",
    "spyware": "spyware_detected",
    "url": "url_filtering",
    "virus": "virus_detected",
    "ml-virus": "virus_detected",
    "vulnerability": "exploit_detected",
    "wildfire": "wildfire_verdict",
    "wildfire-virus": "wildfire_virus_detected",
}
_PASSED = frozenset(("alert", "allow", "continue"))
_STOPPED = frozenset(
    ("deny", "drop", "drop icmp", "drop-icmp", "reset-client", "reset-server", "reset-both", "reset both", "block",
     "reset client", "reset server", "block-url", "block-ip", "random-drop", "sinkhole", "block-continue",
     "block-override", "syncookie-sent")
)  # fmt: skip
_SEVERITIES = {"critical": 1, "high": 2, "medium": 3, "low": 4, "informational": 5}
_THREAT = re.compile(r"(.{0,1024}?)\(\s*(\d{1,12})\s*\)$", re.ASCII)
_WHO = re.compile(r"[Uu]ser(?: name)?:? ?'?([^\s',:]{1,128})", re.ASCII)
_FROM = re.compile(
    r"\b(?:[Ff]rom|Client address|client IP|Source IP|IP)(?: address)?:? "
    r"((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{1,40})",
    re.ASCII,
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False for what is none of PAN-OS."""
    columns = _split(message)
    if len(columns) == 8 and columns[2] == "audit" and _TIME.match(columns[1]) is not None:
        return _audit(columns, event, context)
    if len(columns) < 9 or _TIME.match(columns[1]) is None:
        return False
    kind, subtype = columns[3], columns[4].lower()
    names = _NAMES.get(kind)
    if names is None:
        return False
    facts: Facts = {name: column for name, column in zip(names, columns[7:], strict=False) if name != "_"}
    written = columns[6] if _TIME.match(columns[6]) is not None else columns[1]
    event["@timestamp"] = _stamp(written, context.zone)
    event |= {"observer.vendor": "Palo Alto Networks", "observer.product": "PAN-OS", "observer.type": "firewall"}
    event["almena.panos.type"], event["almena.panos.subtype"] = kind, subtype
    put(event, "observer.serial_number", columns[2])
    put(event, "observer.name", facts.get("device_name"))
    put_count(event, "event.sequence", facts.get("seqno"))
    severity = facts.get("severity", "").lower()
    if severity in _SEVERITIES:
        event["event.severity"], event["log.level"] = _SEVERITIES[severity], severity
    _READERS[kind](facts, subtype, event, context)
    return True


def _audit(columns: list[str], event: Event, context: Context) -> bool:
    """What an administrator did: serial number, time, `audit`, version, where, who, what, result."""
    event["@timestamp"] = _stamp(columns[1], context.zone)
    event |= {"observer.vendor": "Palo Alto Networks", "observer.product": "PAN-OS", "observer.type": "firewall"}
    event["almena.panos.type"], event["almena.panos.subtype"] = "AUDIT", columns[4]
    put(event, "observer.serial_number", columns[0])
    put_user(event, columns[5])
    put(event, "process.command_line", columns[6])
    event["event.category"], event["event.type"] = ["configuration"], ["info"]
    event["event.action"] = columns[4].lower()
    event["event.outcome"] = columns[7] if columns[7] in ("success", "failure") else "unknown"
    return True


def _split(message: str) -> list[str]:
    if message.count(",") > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    if '"' not in message:
        return message.split(",")
    try:
        return next(csv.reader([message.replace("\n", " ").replace("\r", " ")]), [])
    except csv.Error:
        return message.split(",")


@lru_cache(maxsize=4_096)
def _stamp(written: str, zone: str) -> str:
    return format_time(instant(written.replace("/", "-").replace(" ", "T"), zone))


def _ends(facts: Facts, event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("src"), get("sport"))
    put_end(event, "destination", get("dst"), get("dport"))
    put_nat(event, "source", get("natsrc"), get("natsport"))
    put_nat(event, "destination", get("natdst"), get("natdport"))
    put_user(event, get("srcuser"))
    put_user(event, get("srcuser"), "source.user")
    put_user(event, get("dstuser"), "destination.user")
    for key, name in (
        ("rule", "rule.name"),
        ("rule_uuid", "rule.uuid"),
        ("from", "observer.ingress.zone"),
        ("to", "observer.egress.zone"),
        ("inbound", "observer.ingress.interface.name"),
        ("outbound", "observer.egress.interface.name"),
        ("session", "almena.panos.session"),
    ):
        if value := get(key):
            event[name] = value
    if value := get("app"):
        event["network.application"] = value.lower()
    put_transport(event, get("proto"))


def _verdict(facts: Facts, event: Event, types: list[str]) -> None:
    action = facts.get("action", "").lower()
    event["event.outcome"] = "success" if action in _PASSED else "failure"
    verdict = ["allowed"] if action in _PASSED else ["denied"] if action in _STOPPED else []
    event["event.type"] = [*verdict, *types]
    put(event, "almena.panos.action", action)


def _traffic(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    _ends(facts, event)
    event["event.category"] = ["network"]
    event["event.action"] = _FLOWS.get(subtype, subtype)
    types = ["start", "connection"] if subtype == "start" else ["end", "connection"] if subtype == "end" else []
    _verdict(facts, event, types or ["connection"])
    if subtype in ("drop", "deny"):
        event["event.type"] = ["denied", "connection"]
    for key, name in (
        ("bytes", "network.bytes"),
        ("sent", "source.bytes"),
        ("received", "destination.bytes"),
        ("packets", "network.packets"),
        ("packets_sent", "source.packets"),
        ("packets_received", "destination.packets"),
    ):
        put_count(event, name, facts.get(key))
    put(event, "event.reason", facts.get("reason"))
    put(event, "rule.category", facts.get("category"))
    begun, elapsed = facts.get("start", ""), number(facts.get("elapsed"))
    if _TIME.match(begun) is not None:
        event["event.start"] = _stamp(begun, context.zone)
    if elapsed is not None and 0 <= elapsed < 10**8:
        event["event.duration"] = elapsed * 1_000_000_000


def _threat(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    _ends(facts, event)
    event["event.kind"] = "event" if subtype in ("url", "file") and facts.get("action") in _PASSED else "alert"
    malware = ["malware"] if "virus" in subtype or subtype in ("spyware", "wildfire") else []
    event["event.category"] = ["intrusion_detection", "threat", "network", *malware]
    event["event.action"] = _THREATS.get(subtype, subtype)
    _verdict(facts, event, ["connection"])
    named = _THREAT.match(facts.get("threat", ""))
    if named is not None:
        put(event, "rule.description", "URL-filtering" if named[2] == "9999" else named[1])
        event["almena.panos.threat_id"] = named[2]
    put(event, "rule.category", facts.get("category") or facts.get("threat_category"))
    _subject(facts, subtype, event)
    for key, name in (
        ("method", "http.request.method"),
        ("referrer", "http.request.referrer"),
        ("user_agent", "user_agent.original"),
        ("filetype", "file.type"),
        ("subject", "email.subject"),
    ):
        put(event, name, facts.get(key))
    for key, name in (("sender", "email.from.address"), ("recipient", "email.to.address")):
        if "@" in facts.get(key, ""):
            event[name] = [facts[key]]
    forwarded = address(facts.get("xff"))
    if forwarded is not None:
        event["network.forwarded_ip"] = forwarded
    if facts.get("direction") in ("client-to-server", "0", "server-to-client", "1"):
        event["network.direction"] = "inbound" if facts["direction"] in ("client-to-server", "0") else "outbound"
    digest = facts.get("filehash", "")
    if len(digest) == 64:
        event["file.hash.sha256"] = digest.lower()


def _subject(facts: Facts, subtype: str, event: Event) -> None:
    """What the threat was found in: a site, a file or a question."""
    subject = facts.get("misc", "")
    if not subject:
        return
    if subtype == "url" or (subtype in ("virus", "vulnerability", "spyware") and "/" in subject):
        host = subject.partition("/")[0]
        put_url(event, subject if subtype == "url" or "." in host else f"/{subject}")
        event["url.original"] = subject
        if "url.domain" in event and address(event["url.domain"]) is None:
            event["destination.domain"] = event["url.domain"]
    elif event.get("network.application") in ("dns", "dns-base") and subtype == "spyware":
        event["dns.question.name"] = subject.removeprefix("Suspicious DNS Query (").rstrip(")")
    elif "/" in subject or "\\" in subject:
        event["file.path"] = subject
        event["file.name"] = re.split(r"[\\/]", subject)[-1] or subject
    else:
        event["file.name"] = subject


def _tunnel(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    _ends(facts, event)
    event["event.category"] = ["network"]
    event["event.action"] = _FLOWS.get(subtype, subtype)
    _verdict(facts, event, ["connection"])


def _decryption(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    _tunnel(facts, subtype, event, context)
    error = facts.get("error", "")
    event["event.action"] = "decryption"
    event["event.outcome"] = "failure" if error else "success"
    put(event, "error.message", error)
    protocol = facts.get("tls", "")
    if protocol.startswith("TLS") and protocol[3:6].strip():
        event["tls.version_protocol"], event["tls.version"] = "tls", protocol[3:].strip(" v")
    for key, name in (
        ("cipher", "tls.cipher"),
        ("curve", "tls.curve"),
        ("sni", "tls.client.server_name"),
        ("sni", "destination.domain"),
        ("subject", "tls.server.subject"),
        ("issuer", "tls.server.issuer"),
    ):
        put(event, name, facts.get(key))


def _system(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    said, code = facts.get("opaque", ""), facts.get("eventid", "")
    put(event, "message", said)
    put(event, "event.code", code)
    event["event.action"] = code or subtype
    text = said[:1_024]
    lower = text.lower()
    signs = code.startswith("auth") or any(
        word in lower for word in ("logged in", "logged out", "login", "authentication for user", "authenticated")
    )
    event["event.category"], event["event.type"] = (["authentication"], ["start"]) if signs else (["host"], ["info"])
    if not signs:
        return
    if "logged out" in lower or "logout" in lower:
        event["event.type"] = ["end"]
    failed = any(word in lower for word in ("fail", "invalid", "denied", "not authenticated"))
    event["event.outcome"] = "failure" if failed else "success"
    who, where = _WHO.search(text), _FROM.search(text)
    if who is not None:
        put_user(event, who[1].rstrip("."))
    if where is not None:
        put_end(event, "source", where[1].rstrip("."))


def _config(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    put_end(event, "source", facts.get("host"))
    put_user(event, facts.get("admin"))
    put_user(event, facts.get("admin"), "source.user")
    event["event.category"], event["event.type"] = ["configuration"], ["change"]
    event["event.action"] = f"cmd-{facts.get('cmd', '').lower()}"
    result = facts.get("result", "").lower()
    event["event.outcome"] = {"succeeded": "success", "failed": "failure"}.get(result, "unknown")
    for key, name in (("path", "almena.panos.path"), ("client", "almena.panos.client")):
        put(event, name, facts.get(key))


def _remote(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    get = facts.get
    private, public = (
        next((found for key in keys if (found := address(get(key))) not in (None, "0.0.0.0", "::")), None)  # noqa: S104
        for keys in (("private", "private6"), ("public", "public6"))
    )
    put_end(event, "source", private or public)
    if private is not None:
        put_nat(event, "source", public)
    put_user(event, get("srcuser"))
    put_user(event, get("srcuser"), "source.user")
    for key, name in (
        ("machine", "host.name"),
        ("hostid", "host.id"),
        ("os", "host.os.family"),
        ("os_version", "host.os.full"),
        ("reason", "event.reason"),
        ("error", "error.message"),
        ("opaque", "message"),
        ("eventid", "event.code"),
        ("stage", "almena.panos.stage"),
        ("portal", "almena.panos.portal"),
    ):
        put(event, name, get(key))
    event["event.action"] = get("eventid") or subtype
    if get("status") in ("success", "failure"):
        event["event.outcome"] = facts["status"]
    elif "fail" in get("eventid", ""):
        event["event.outcome"] = "failure"
    event["event.category"] = ["network", "authentication"]
    event["event.type"] = ["end" if "logout" in get("eventid", "") else "start", "connection"]


def _mapped(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    put_end(event, "source", facts.get("ip"))
    put_user(event, facts.get("normal") or facts.get("user"))
    put_user(event, facts.get("normal") or facts.get("user"), "source.user")
    put(event, "message", facts.get("opaque"))
    put(event, "rule.name", facts.get("rule"))
    event["event.action"] = (facts.get("eventid") or subtype).lower()
    if event["event.action"].isdigit():
        event["event.action"] = subtype
    event["event.category"], event["event.type"] = ["authentication"], ["end" if subtype == "logout" else "start"]
    told = f"{facts.get('eventid', '')} {facts.get('opaque', '')}".lower()
    if "fail" in told or "denied" in told or "invalid" in told:
        event["event.outcome"] = "failure"
    elif subtype in ("login", "logout") or "succe" in told or "authenticated" in told:
        event["event.outcome"] = "success"


def _matched(facts: Facts, subtype: str, event: Event, context: Context) -> None:
    put_end(event, "source", facts.get("src"))
    put_user(event, facts.get("srcuser"))
    put_user(event, facts.get("srcuser"), "source.user")
    put(event, "host.name", facts.get("machine"))
    put(event, "host.os.family", facts.get("os"))
    put(event, "rule.name", facts.get("match") or facts.get("object"))
    put(event, "message", facts.get("opaque"))
    event["event.action"] = "hip_match" if "match" in facts else "correlated_event"
    event["event.category"], event["event.type"] = ["host"], ["info"]
    if "object" in facts:
        event["event.kind"], event["event.category"] = "alert", ["intrusion_detection"]


_READERS: dict[str, Callable[[Facts, str, Event, Context], None]] = {
    "TRAFFIC": _traffic,
    "THREAT": _threat,
    "DECRYPTION": _decryption,
    **dict.fromkeys(("GTP", "SCTP", "START", "END"), _tunnel),
    "SYSTEM": _system,
    "CONFIG": _config,
    "GLOBALPROTECT": _remote,
    **dict.fromkeys(("USERID", "AUTHENTICATION", "IPTAG"), _mapped),
    **dict.fromkeys(("HIPMATCH", "HIP-MATCH", "CORRELATION"), _matched),
}

FORMAT = Format(name="panos", dataset="panw.panos", read=read, words=False, begins=("1,20", "0,20"))
