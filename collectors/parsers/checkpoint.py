"""Check Point's Log Exporter: connections, threats, sites, VPN and what administrators did, in its syslog forms.

<134>1 2026-11-22T19:34:00Z gw1 CheckPoint 1930 - [action:"Accept"; ifdir:"inbound"; src:"10.0.0.5"; dst:"..."; ...]
<85>1 2026-11-22T13:34:00-06:00 192.0.2.9 CP-GW - Log [Fields@1.3.6.1.4.1.2620 src="10.0.0.5" dst="192.0.2.1" ...]
time=1795376040|hostname=gw1|product=VPN-1 & FireWall-1|action=Accept|src=10.0.0.5|dst=192.0.2.1|...
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MAX_FIELDS, address, epoch, number
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

_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_]{0,63}):"((?:[^"\\]++|\\.)*+)"', re.ASCII | re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FIELDS = "log.syslog.structured_data.Fields@1.3.6.1.4.1.2620."
_PIPED = "time="
_RENAMED = {"svc": "service", "sport_svc": "s_port", "xlatedport_svc": "xlatedport", "xlatesport_svc": "xlatesport",
            "ProductName": "product", "sent_bytes": "sent_byte"}  # fmt: skip

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
_ALERTS = frozenset(("Prevent", "Detect", "Quarantine", "Block"))
_ALLOWED = frozenset(("Accept", "Allow", "Bypass", "Inspect", "HTTPS Inspect", "Decrypt", "Encrypt", "Key Install"))
_REFUSED = frozenset(("Drop", "Reject", "Block", "Prevent", "Deny"))
_THREATS = frozenset(("Anti Malware", "Anti-Virus", "Anti-Bot", "SmartDefense", "IPS", "Threat Emulation",
                      "Anti-Malware", "New Anti Virus", "Threat Extraction"))  # fmt: skip
_SIGN_INS = {"Log In": ("logged-in", "success"), "Failed Log In": ("logon-failed", "failure"),
             "Log Out": ("logged-out", "success")}  # fmt: skip


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message, or what the header's structured data said; False for what is none of Check Point's."""
    facts = _facts(message, event)
    if not facts:
        return False
    if len(facts) > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    for name, ours in _RENAMED.items():
        if name in facts:
            facts.setdefault(ours, facts[name])
    stamp = facts.get("time", "")
    if stamp.isascii() and stamp.isdigit() and 9 < len(stamp) < 20:
        event["@timestamp"] = format_time(epoch(int(stamp)))
    event["observer.vendor"], event["observer.type"] = "Check Point", "firewall"
    put(event, "observer.name", facts.get("origin"))
    where = address(facts.get("origin") or facts.get("origin_ip"))
    if where is not None:
        event["observer.ip"] = [where]
    for key, name in _TEXTS.items():
        if name not in event:
            put(event, name, facts.get(key))
    _ends(facts, event)
    _traffic(facts, event)
    _judged(facts, event)
    return True


def _facts(message: str, event: Event) -> dict[str, str]:
    if message[:1] == "[":
        pairs = _PAIR.findall(message)
        found = {key: value for key, value in reversed(pairs) if value}
        if "\\" in message:
            found = {key: _ESCAPE.sub(r"\1", value) for key, value in found.items()}
        return found
    if message.startswith(_PIPED):
        parts = message.split("|", MAX_FIELDS)
        if len(parts) < 4 or not parts[1].startswith("hostname="):
            return {}
        found = {}
        for part in parts:
            key, _, value = part.partition("=")
            if value:
                found.setdefault(key, value)
        return found
    return {key[len(_FIELDS) :]: value for key, value in event.items() if key.startswith(_FIELDS) and value}


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
    who = get("administrator") or get("src_user_name") or get("source_user_name") or get("user")
    if who and who.endswith(")") and get("administrator") is None:
        name, _, short = who[:-1].rpartition(" (")  # "Ana Ruiz (aruiz)"
        who = short if name and " " not in short else who
    put_user(event, who)
    put_user(event, who, "source.user")
    put_user(event, get("dst_user_name"), "destination.user")
    for key, name in (("mac_source_address", "source.mac"), ("mac_destination_address", "destination.mac")):
        if len(get(key, "")) == 17:
            event[name] = facts[key].upper().replace(":", "-")


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
        ("network.packets", ("packets",)),
        ("file.size", ("file_size",)),
        ("event.sequence", ("sequencenum",)),
        ("event.severity", ("severity",)),
    ):
        put_count(event, name, next((facts[key] for key in keys if key in facts), None))
    for what in ("bytes", "packets"):
        if f"network.{what}" not in event:
            put_total(event, what)
    put_url(event, get("url") or get("resource"))
    host = get("http_host")
    if host and "url.domain" not in event:
        event["url.domain"] = host
    question = get("domain_name")
    if question and ("dns_type" in facts or "dns_query" in facts):
        event["dns.question.name"] = question
    put(event, "dns.question.name", get("dns_query"))
    for key, name in (("from", "email.from.address"), ("to", "email.to.address")):
        if "@" in get(key, ""):
            event[name] = [facts[key]]
    seconds = number(get("elapsed") or get("duration"))
    if seconds is not None and 0 < seconds < 10**8:
        event["event.duration"] = seconds * 1_000_000_000


def _judged(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    action = get("action", "")
    verdict = get("rule_action") or action
    put(event, "event.action", action or get("rule_action") or get("operation"))
    put(event, "message", get("message") or get("reason") or get("subject") or get("description"))
    sign_in = _SIGN_INS.get(action) or _SIGN_INS.get(get("operation", ""))
    categories, types = ["network"], ["connection"] if "src" in facts else ["info"]
    if sign_in is not None:
        name, outcome = sign_in
        if action in _SIGN_INS:
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
    begins=('[action:"', '[flags:"', '[alert:"', "[Fields@1.3.6.1.4.1.2620 ", "time="),
    marks=(f"{_FIELDS}src", f"{_FIELDS}ProductName"),
)
