"""Check Point's Log Exporter: connections, threats, sites, VPN and what administrators did, in its syslog forms.

<134>1 2026-11-22T19:34:00Z gw1 CheckPoint 1930 - [action:"Accept"; ifdir:"inbound"; src:"10.0.0.5"; dst:"..."; ...]
<85>1 2026-11-22T13:34:00-06:00 192.0.2.9 CP-GW - Log [Fields@1.3.6.1.4.1.2620 src="10.0.0.5" dst="192.0.2.1" ...]
time=1795376040|hostname=gw1|product=VPN-1 & FireWall-1|action=Accept|src=10.0.0.5|dst=192.0.2.1|...
{"action":"Accept","loguid":"{0x1,0x0,0x1,0x2}","origin":"192.0.2.9","product":"VPN-1 & FireWall-1","src":"10.0.0.5"}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MAX_FIELDS, address, as_text, epoch, instant, number
from collectors.parsers.format import Format
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

_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_]{0,63})(?::{1,2}|=)"((?:[^"\\]++|\\.)*+)"', re.ASCII | re.DOTALL)
_BEGIN = re.compile(r'\[?(?:Fields@1\.3\.6\.1\.4\.1\.2620 )?[A-Za-z_][A-Za-z0-9_]{0,63}[:=]{1,2}"', re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FIELDS = "log.syslog.structured_data.Fields@1.3.6.1.4.1.2620."
_PIPED = "time="
_RENAMED = {"svc": "service", "sport_svc": "s_port", "xlatedport_svc": "xlatedport", "xlatesport_svc": "xlatesport",
            "productname": "product", "sent_bytes": "sent_byte"}  # fmt: skip

_TEXTS = {
    "product": "observer.product",
    "inzone": "observer.ingress.zone",
    "outzone": "observer.egress.zone",
    "security_inzone": "observer.ingress.zone",
    "security_outzone": "observer.egress.zone",
    "client_inbound_interface": "observer.ingress.interface.name",
    "client_outbound_interface": "observer.egress.interface.name",
    "layer_name": "network.name",
    "rule_name": "rule.name",
    "malware_rule_name": "rule.name",
    "app_rule_name": "rule.name",
    "dlp_rule_name": "rule.name",
    "rule_uid": "rule.uuid",
    "malware_rule_id": "rule.id",
    "app_rule_id": "rule.id",
    "policy": "rule.ruleset",
    "matched_category": "rule.category",
    "categories": "rule.category",
    "protection_name": "rule.description",
    "attack": "rule.description",
    "service_id": "network.application",
    "app_name": "network.application",
    "appi_name": "network.application",
    "dns_type": "dns.question.type",
    "file_name": "file.name",
    "file_type": "file.type",
    "file_md5": "file.hash.md5",
    "file_sha1": "file.hash.sha1",
    "file_sha256": "file.hash.sha256",
    "method": "http.request.method",
    "referrer": "http.request.referrer",
    "user_agent": "user_agent.original",
    "process_name": "process.name",
    "parent_process_name": "process.parent.name",
    "os_name": "host.os.name",
    "os_version": "host.os.version",
    "industry_reference": "vulnerability.id",
    "email_subject": "email.subject",
    "src_machine_name": "source.domain",
    "dst_machine_name": "destination.domain",
    "destination_dns_hostname": "destination.domain",
    "loguid": "almena.checkpoint.log_id",
    "operation": "almena.checkpoint.operation",
    "objectname": "almena.checkpoint.object",
    "malware_action": "almena.checkpoint.malware_action",
}
"""Of several that go into one field the first that is given counts."""
_ALERTS = frozenset(("prevent", "detect", "quarantine", "block"))
_ALLOWED = frozenset(("accept", "allow", "bypass", "inspect", "https inspect", "decrypt", "encrypt", "key install"))
_REFUSED = frozenset(("drop", "reject", "block", "prevent", "deny"))
_THREATS = frozenset(("Anti Malware", "Anti-Virus", "Anti-Bot", "SmartDefense", "IPS", "Threat Emulation",
                      "Anti-Malware", "New Anti Virus", "Threat Extraction"))  # fmt: skip
_SIGN_INS = {"Log In": ("logged-in", "success"), "Failed Log In": ("logon-failed", "failure"),
             "Log Out": ("logged-out", "success")}  # fmt: skip
_SENTENCES = ("message", "reason", "subject", "description", "sys_message")
_WHY = "failed to log in: "
_JSON = ("origin", "product")
_LONG = re.compile(r"[^()]{1,256} \(([^()\s]{1,128})\)(?:\([+*-]\))?(?:;|$)", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message, or what the header's structured data said; False for what is none of Check Point's."""
    facts = _facts(message, event)
    if not facts:
        return False
    _fill(facts, event, context)
    return True


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is what Log Exporter writes as JSON."""
    return ("loguid" in document or "originsicname" in document) and all(key in document for key in _JSON)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object that Log Exporter wrote as JSON."""
    event: Event = {"event.original": as_text(document), "event.dataset": "checkpoint.firewall"}
    _fill({key.lower(): as_text(value) for key, value in document.items() if value not in (None, "")}, event, context)
    return event


def _fill(facts: dict[str, str], event: Event, context: Context) -> None:
    if len(facts) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    for name, ours in _RENAMED.items():
        if name in facts:
            facts.setdefault(ours, facts[name])
    _time(facts.get("time", ""), event, context)
    event["observer.vendor"], event["observer.type"] = "Check Point", "firewall"
    put(event, "observer.name", facts.get("origin"))
    where = address(facts.get("origin") or facts.get("origin_ip"))
    if where is not None:
        event["observer.ip"] = [where]
    for key, name in _TEXTS.items():
        if key in facts and name not in event:
            put(event, name, facts[key])
    _ends(facts, event)
    _people(facts, event)
    _traffic(facts, event)
    _asked(facts, event)
    _judged(facts, event)


def _time(stamp: str, event: Event, context: Context) -> None:
    if stamp.isascii() and stamp.isdigit() and 9 < len(stamp) < 20:
        event["@timestamp"] = format_time(epoch(int(stamp)))
    elif stamp[4:5] == "-" and len(stamp) < 40:
        with suppress(ParseError):  # the time of the header, or of the receipt, stands
            event["@timestamp"] = format_time(instant(stamp, context.zone))


def _facts(message: str, event: Event) -> dict[str, str]:
    if _BEGIN.match(message) is not None:
        escaped = "\\" in message
        found: dict[str, str] = {}
        for key, value in _PAIR.findall(message):
            if value and not value.isspace():
                found.setdefault(key.lower(), _ESCAPE.sub(r"\1", value).strip() if escaped else value.strip())
        return found
    if message.startswith(_PIPED):
        parts = message.split("|", MAX_FIELDS)
        if len(parts) < 4 or not parts[1].startswith("hostname="):
            return {}
        found = {}
        for part in parts:
            key, _, value = part.partition("=")
            if value:
                found.setdefault(key.lower(), value)
        return found
    return {key[len(_FIELDS) :].lower(): value for key, value in event.items() if key.startswith(_FIELDS) and value}


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("src") or get("client_ip"), get("s_port"))
    put_end(event, "destination", get("dst"), get("service"))
    for side in ("source", "destination"):
        if f"{side}.domain" in event:
            event.setdefault(f"{side}.address", event[f"{side}.domain"])
    put_nat(event, "source", get("xlatesrc"), get("xlatesport"))
    put_nat(event, "destination", get("xlatedst"), get("xlatedport"))
    put_port(event, "source.nat.port", get("xlatesport"))
    put_port(event, "destination.nat.port", get("xlatedport"))
    for key, name in (("mac_source_address", "source.mac"), ("mac_destination_address", "destination.mac")):
        if len(get(key, "")) == 17:
            event[name] = facts[key].upper().replace(":", "-")
    machine = get("machine")
    if machine and machine != "localhost" and address(machine) is None:
        event.setdefault("source.domain", machine)
        event.setdefault("source.address", machine)


def _people(facts: dict[str, str], event: Event) -> None:
    """Names are lower case, as the directories that they come from do not tell cases apart."""
    get = facts.get
    source = get("administrator") or _short(get("src_user_name") or get("source_user_name") or get("user"))
    who = get("administrator") or _short(get("user")) or source
    put_user(event, who and who.lower())
    put_user(event, source and source.lower(), "source.user")
    target = _short(get("dst_user_name"))
    put_user(event, target and target.lower(), "destination.user")
    if who and "@" in who and "user.domain" in event:
        event["user.email"] = who.lower()
    put(event, "user.id", get("uid"))
    put(event, "source.user.group.name", get("src_user_group"))


def _short(name: str | None) -> str | None:
    """`aruiz` of "Ana Ruiz (aruiz)(+); Eva Ruiz (eruiz)", else the name."""
    found = _LONG.match(name) if name is not None else None
    return found[1] if found is not None else name


def _traffic(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_transport(event, get("proto"))
    if get("ifdir") in ("inbound", "outbound"):
        event["network.direction"] = facts["ifdir"]
        side = "ingress" if facts["ifdir"] == "inbound" else "egress"
        if f"observer.{side}.interface.name" not in event:
            put(event, f"observer.{side}.interface.name", get("ifname"))
    for name, keys in (
        ("source.bytes", ("client_outbound_bytes", "sent_byte")),
        ("destination.bytes", ("server_outbound_bytes", "received_bytes")),
        ("source.packets", ("client_outbound_packets",)),
        ("destination.packets", ("server_outbound_packets",)),
        ("network.bytes", ("bytes",)),
        ("network.packets", ("packets", "packet_amount")),
        ("file.size", ("file_size",)),
        ("event.sequence", ("sequencenum",)),
        ("event.severity", ("severity",)),
    ):
        put_count(event, name, next((facts[key] for key in keys if facts.get(key, "").isdigit()), None))
    for what in ("bytes", "packets"):
        if f"network.{what}" not in event:
            put_total(event, what)
    seconds = number(get("elapsed") or get("duration"))
    if seconds is not None and 0 < seconds < 10**8:
        event["event.duration"] = seconds * 1_000_000_000


def _asked(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_url(event, get("url") or get("resource"))
    host = get("http_host")
    if host:
        event["url.domain"] = host
    domain = get("domain_name", "").strip("'")
    if "operation" in facts or "auth_status" in facts or get("action") in _SIGN_INS:
        if domain and "user.name" in event:  # the management's domain, or that of the directory
            event.setdefault("user.domain", domain.lower())
    else:
        put(event, "dns.question.name", domain)
    put(event, "dns.question.name", get("dns_query"))
    for key, name in (("from", "email.from.address"), ("to", "email.to.address")):
        if "@" in get(key, ""):
            event[name] = [facts[key]]


def _judged(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    action = get("action", "")
    verdict = (get("rule_action") or action).lower()
    put(event, "event.action", action or get("rule_action") or get("operation"))
    put(event, "message", next((facts[key] for key in _SENTENCES if key in facts), None))
    sign_in = _SIGN_INS.get(action) or _SIGN_INS.get(get("operation", ""))
    categories, types = ["network"], ["connection"] if "src" in facts else ["info"]
    if sign_in is not None:
        name, outcome = sign_in
        if get("audit_status") == "Failure" and name == "logged-in":
            name = "logon-failed"
        event["event.action"] = name
        categories, types = ["authentication"], ["end"] if name == "logged-out" else ["start"]
        event["event.outcome"] = outcome
    elif "operation" in facts:
        categories, types = ["configuration"], ["change"]
        event["event.outcome"] = "success"
    elif verdict in _ALLOWED:
        types, event["event.outcome"] = [*types, "allowed"], "success"
    elif verdict in _REFUSED:
        types, event["event.outcome"] = [*types, "denied"], "success"
    put(event, "event.code", get("operation_number"))
    put(event, "event.reason", get("additional_info", "").partition(_WHY)[2] or get("drop_reason"))
    if get("audit_status") == "Failure":
        event["event.outcome"] = "failure"
    threat = "malware_action" in facts or get("product", "") in _THREATS
    if threat and "src" in facts:
        categories = [*categories, "malware" if "malware_action" in facts else "intrusion_detection"]
    if threat and verdict in _ALERTS:
        event["event.kind"] = "alert"
    event["event.category"], event["event.type"] = categories, types


FORMAT = Format(
    name="checkpoint",
    dataset="checkpoint.firewall",
    read=read,
    words=False,
    programs=("CheckPoint", "CP-GW"),
    begins=(
        '[action:"',
        '[Action="',
        '[action="',
        '[flags:"',
        '[alert:"',
        '[ifdir:"',
        '[conn_direction:"',
        '[contextnum:"',
        'action:"',
        "[Fields@1.3.6.1.4.1.2620 ",
        "time=",
    ),
    marks=(f"{_FIELDS}src", f"{_FIELDS}ProductName"),
    convert=convert,
    fits=fits,
)
