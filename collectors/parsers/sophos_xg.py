"""Sophos Firewall (XG, SFOS 16 to 20): traffic, sites, mail, viruses, intrusions, sign-ins and events.

device="SFW" date=2026-11-22 time=13:34:00 timezone="CST" device_name="XG230" device_id=1 log_id=010101600001
    log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" src_ip=10.0.0.5 dst_ip=203.0.113.7 ...
device_name="SFW" timestamp="2026-11-22T13:34:00-0600" device_model="XGS87" log_id="010101600001" log_type=...
"""

from __future__ import annotations

import re
from contextlib import suppress

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import given, instant, number
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

_ID = re.compile(r"\d{12}", re.ASCII)
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:([+-]\d\d):?(\d\d))?$", re.ASCII)
_ZONES = {
    "UTC": "+00:00", "GMT": "+00:00", "WET": "+00:00", "BST": "+01:00", "CET": "+01:00", "CEST": "+02:00",
    "EET": "+02:00", "EEST": "+03:00", "MSK": "+03:00", "IST": "+05:30", "EST": "-05:00", "EDT": "-04:00",
    "CST": "-06:00", "CDT": "-05:00", "MST": "-07:00", "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00",
    "BRT": "-03:00", "SAST": "+02:00", "JST": "+09:00", "AEST": "+10:00", "AEDT": "+11:00",
}  # fmt: skip
"""Names that Sophos writes; others are in the source's zone."""
_LEVELS = {"emergency": 0, "alert": 1, "critical": 2, "error": 3, "warning": 4, "notification": 5, "notice": 5,
           "information": 6, "debug": 7}  # fmt: skip
_TEXTS = {
    "message": "message",
    "reason": "event.reason",
    "device_id": "observer.serial_number",
    "device_serial_id": "observer.serial_number",
    "in_interface": "observer.ingress.interface.name",
    "out_interface": "observer.egress.interface.name",
    "srczonetype": "observer.ingress.zone",
    "src_zone_type": "observer.ingress.zone",
    "srczone": "observer.ingress.zone",
    "src_zone": "observer.ingress.zone",
    "dstzonetype": "observer.egress.zone",
    "dst_zone_type": "observer.egress.zone",
    "dstzone": "observer.egress.zone",
    "dst_zone": "observer.egress.zone",
    "fw_rule_id": "rule.id",
    "fw_rule_name": "rule.name",
    "policy_type": "rule.ruleset",
    "category": "rule.category",
    "http_category": "rule.category",
    "site_category": "rule.category",
    "classification": "rule.category",
    "signature_msg": "rule.name",
    "signature_id": "rule.id",
    "sid": "rule.id",
    "threatname": "threat.indicator.name",
    "virus": "threat.indicator.name",
    "application": "network.application",
    "app_name": "network.application",
    "httpmethod": "http.request.method",
    "method": "http.request.method",
    "referer": "http.request.referrer",
    "user_agent": "user_agent.original",
    "useragent": "user_agent.original",
    "http_user_agent": "user_agent.original",
    "http_referer": "http.request.referrer",
    "http_method": "http.request.method",
    "contenttype": "http.response.mime_type",
    "content_type": "http.response.mime_type",
    "filetype": "file.mime_type",
    "filename": "file.name",
    "file_name": "file.name",
    "filepath": "file.path",
    "file_path": "file.path",
    "usergroupname": "user.group.name",
    "user_gp": "user.group.name",
    "user_group": "user.group.name",
    "email_subject": "email.subject",
    "subject": "email.subject",
    "mailid": "email.message_id",
    "log_type": "almena.sophos_xg.type",
    "log_component": "almena.sophos_xg.component",
    "log_subtype": "almena.sophos_xg.subtype",
    "con_id": "almena.sophos_xg.connection",
    "connid": "almena.sophos_xg.connection",
}
"""Of several that go into one field the last that is given counts."""
_HASHES = {32: "file.hash.md5", 40: "file.hash.sha1", 64: "file.hash.sha256"}
_AS_WRITTEN = frozenset(("Anti-Virus", "Anti-Spam", "Sandbox"))
"""Kinds whose actions keep their capitals, as the field's other pipelines have them."""
_OUTCOMES = {"successful": "success", "success": "success", "failed": "failure", "failure": "failure"}
_NO_TRAFFIC = frozenset(("Event", "System Health", "Heartbeat", "Wireless Protection"))
_REFUSED = frozenset(("denied", "deny", "drop", "dropped", "blocked", "block", "reject", "virus", "spam", "local acl"))
_ALERTS = frozenset(("IDP", "ATP", "Sandbox"))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False for what has no log id of Sophos Firewall."""
    if "log_id=" not in message:
        return False
    facts = {key: value.strip() for key, value in pairs.scan(message).items()}
    if _ID.fullmatch(facts.get("log_id", "")) is None or "log_type" not in facts:
        return False
    event |= {"observer.vendor": "Sophos", "observer.product": "XG", "observer.type": "firewall"}
    _time(facts, event, context)
    event["event.code"] = facts["log_id"][-5:]  # the message; what is in front says kind, part and priority
    put(event, "observer.name", facts.get("device_name"))
    for key, name in _TEXTS.items():
        if value := facts.get(key):
            put(event, name, value)
    level = _LEVELS.get((facts.get("priority") or facts.get("severity", "")).lower())
    if level is not None:
        event["event.severity"] = level
        event["log.level"] = (facts.get("priority") or facts["severity"]).lower()
    _ends(facts, event)
    _traffic(facts, event)
    _web(facts, event)
    _judged(facts, event)
    return True


def _time(facts: dict[str, str], event: Event, context: Context) -> None:
    written, zone = facts.get("timestamp", ""), ""
    if "-" not in written:
        written = f"{facts.get('date', '')}T{facts.get('time', '')}"
        zone = _ZONES.get(facts.get("timezone", "").upper(), "")
    found = _STAMP.match(written)
    if found is not None:
        offset = f"{found[2]}:{found[3]}" if found[2] else zone
        with suppress(ParseError):  # the time of the header, or of the receipt, stands
            event["@timestamp"] = format_time(instant(f"{found[1].replace(' ', 'T')}{offset}", context.zone))


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    here = get("src_ip") or get("sourceip") or get("remoteinterfaceip") or get("remote_ip")
    if here is None and get("log_component") == "DHCP Server":
        here = get("ip_address") or get("reported_ip")
    put_end(event, "source", here, get("src_port"))
    there = get("dst_ip") or get("destinationip") or get("localip") or get("localinterfaceip") or get("local_ip")
    put_end(event, "destination", there, get("dst_port"))
    put_nat(event, "source", get("tran_src_ip") or get("src_trans_ip"), get("tran_src_port") or get("src_trans_port"))
    put_nat(event, "destination", get("tran_dst_ip") or get("dst_trans_ip"), get("tran_dst_port"))
    for key, name in (("src_mac", "source.mac"), ("dst_mac", "destination.mac")):
        if len(get(key, "")) == 17 and facts[key].strip("0:"):
            event[name] = facts[key].upper().replace(":", "-")
    if facts["log_type"] != "System Health":  # whose user is the time that a processor works for programs
        who = get("user_name") or get("user") or get("name") or get("login_user")
        put_user(event, who)
        put_user(event, who, "source.user")
        if who and "@" in who and "user.domain" in event:
            event["user.email"] = who
    for key, name in (("from_email_address", "email.from.address"), ("to_email_address", "email.to.address")):
        if "@" in get(key, ""):
            event[name] = [facts[key]]
    for key, side in (("src_domainname", "source"), ("dst_domainname", "destination"), ("dstdomain", "destination")):
        if get(key):
            event[f"{side}.domain"] = facts[key]
            event.setdefault(f"{side}.address", facts[key])


def _traffic(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_transport(event, get("protocol"))
    for name, keys in (
        ("source.bytes", ("sent_bytes", "bytes_sent", "bytesrcv")),
        ("destination.bytes", ("recv_bytes", "bytes_received", "bytessent")),
        ("source.packets", ("sent_pkts", "packets_sent")),
        ("destination.packets", ("recv_pkts", "packets_received")),
        ("file.size", ("file_size", "filesize")),
    ):
        put_count(event, name, next((facts[key] for key in keys if key in facts), None))
    put_total(event, "bytes")
    put_total(event, "packets")
    seconds, micros = number(get("duration") or get("dur")), number(get("responsetime"))
    if seconds is not None and 0 <= seconds < 10**8 and facts["log_type"] == "Firewall":
        event["event.duration"] = seconds * 1_000_000_000
    elif micros is not None and 0 <= micros < 10**12:
        event["event.duration"] = micros * 1_000
    for key in ("sha1sum", "sha256", "sha256sum"):  # newer versions write the longer sum under the older name
        if (field := _HASHES.get(len(get(key, "")))) is not None:
            event[field] = facts[key].lower()


def _web(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_url(event, get("url") or get("ftp_url") or get("FTP_url"))
    if "://" in get("url", "")[:16]:
        event["url.full"] = facts["url"]
    host, _, port = (get("server") or "").partition(":")
    domain = get("domain") or get("domainname") or get("website") or given(host) or ""
    if facts["log_type"] == "Sandbox" and get("log_component") == "Web":
        domain = domain or get("source", "")
        if domain:
            put_end(event, "destination", domain)
    if domain:
        event["url.domain"] = domain
    if given(host):
        put_port(event, "url.port", port)
    put(event, "url.query", (get("querystring") or get("query_string", "")).removeprefix("?"))
    protocol = get("ws_protocol", "")
    if protocol.startswith("HTTP/"):
        event["http.version"] = protocol[5:]
    status = number(get("status_code") or get("httpstatus") or get("http_status"))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status


def _judged(facts: dict[str, str], event: Event) -> None:
    kind, subtype, status = facts["log_type"], facts.get("log_subtype", ""), facts.get("status", "")
    event["event.action"] = subtype if kind in _AS_WRITTEN and subtype else (subtype or kind).lower()
    refused = subtype.lower() in _REFUSED or status.lower() in ("deny", "denied")
    if kind == "WAF":
        refused = given(facts.get("reason")) is not None
        event["event.action"] = "denied" if refused else "allowed"
    if kind not in _NO_TRAFFIC or kind == "Wireless Protection":
        event["event.outcome"] = "success"  # what the firewall decided was done
    elif outcome := _OUTCOMES.get(status.lower()):
        event["event.outcome"] = outcome
    if kind == "Event":
        _event(facts, subtype, event)
    elif kind in _NO_TRAFFIC:
        event["event.category"], event["event.type"] = ["host"], ["info"]
    else:
        ending = (facts.get("connevent") or facts.get("con_event") or "").lower()
        begun = ["end"] if ending == "stop" else ["start"] if ending in ("start", "interim") else []
        event["event.category"] = ["network"]
        event["event.type"] = [*begun, "denied" if refused else "allowed", "connection"]
    if kind in _ALERTS or (kind == "Anti-Virus" and facts.get("virus")) or (kind == "WAF" and refused):
        event["event.kind"] = "alert"
        virus = kind in ("Anti-Virus", "Sandbox") or facts.get("reason") == "Antivirus"
        event["event.category"] = ["malware" if virus else "intrusion_detection", "network"]


def _event(facts: dict[str, str], subtype: str, event: Event) -> None:
    text = facts.get("message", "").lower()
    if subtype == "Authentication" or (subtype == "Admin" and ("login" in text or "logged" in text)):
        left = any(word in text for word in ("logged out", "logout", "logged off"))
        event["event.category"], event["event.type"] = ["authentication"], ["end" if left else "start"]
    elif subtype == "Admin":
        event["event.category"], event["event.type"] = ["configuration"], ["change"]
    else:
        event["event.category"], event["event.type"] = ["host"], ["info"]


FORMAT = Format(
    name="sophos_xg",
    dataset="sophos.xg",
    read=read,
    words=False,
    begins=('device="', 'device_name="', "date="),
)
