"""ESET PROTECT and ESET Inspect: threats, firewall, HIPS, sites, files and what administrators did, as JSON in syslog.

{"event_type":"Threat_Event","ipv4":"10.0.0.7","hostname":"pc-7","occured":"22-Nov-2026 19:34:00","severity":"Warning",
 "threat_name":"EICAR","object_uri":"file:///C:/tmp/a.com","action_taken":"Deleted","username":"SFA\\\\ana",...}
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, as_text, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_transport, put_url, put_user

_TIME = re.compile(r"(\d\d)-([A-Z][a-z]{2})-(\d{4}) (\d\d:\d\d:\d\d)$", re.ASCII)
_KINDS = {
    "Threat_Event": (["malware"], ["info"]),
    "FirewallAggregated_Event": (["network", "intrusion_detection"], ["connection", "denied"]),
    "HipsAggregated_Event": (["process", "intrusion_detection"], ["info"]),
    "Audit_Event": (["configuration"], ["info"]),
    "FilteredWebsites_Event": (["web", "network"], ["access"]),
    "EnterpriseInspectorAlert_Event": (["intrusion_detection"], ["info"]),
    "EsetInspectAlert_Event": (["intrusion_detection"], ["info"]),
    "ESET Inspect Alert": (["intrusion_detection"], ["info"]),
    "EnterpriseInspectorIncident_Event": (["intrusion_detection"], ["info"]),
    "BlockedFiles_Event": (["file", "malware"], ["denied"]),
}
_TEXTS = {
    "hostname": "host.name",
    "source_uuid": "host.id",
    "os_name": "host.os.full",
    "group_name": "almena.eset.group",
    "threat_name": "rule.name",
    "threat_type": "rule.category",
    "rulename": "rule.name",
    "rule_id": "rule.name",
    "scanner_id": "almena.eset.scanner",
    "circumstances": "event.reason",
    "cause": "event.reason",
    "event": "message",
    "detail": "message",
    "command_line": "process.command_line",
    "eiconsolelink": "event.reference",
}
_SEVERITIES = {"information": 6, "notice": 5, "warning": 4, "error": 3, "high": 3, "critical": 2, "fatal": 1}
_BADLY = ("fail", "denied", "error", "unsuccess")


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is an event of ESET PROTECT."""
    return document.get("event_type") in _KINDS and "hostname" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; one without a readable time gets that of the receipt. Raises ParseError."""
    if not fits(document):
        raise ParseError("no event of ESET PROTECT: it lacks a known event_type or the hostname")
    facts = {name: as_text(value) for name, value in document.items() if value is not None and value != ""}
    kind = facts["event_type"]
    categories, types = _KINDS[kind]
    alert = kind not in ("Audit_Event", "FilteredWebsites_Event")
    event: Event = {
        "event.kind": "alert" if alert else "event",
        "event.category": list(categories),
        "event.type": list(types),
        "event.code": kind,
        "observer.vendor": "ESET",
        "observer.product": "ESET PROTECT",
        "event.original": as_text(document),
    }
    written = _TIME.match(facts.get("occured", ""))
    if written is not None and written[2] in MONTHS:
        moment = local(int(written[3]), MONTHS[written[2]], int(written[1]), written[4], zone_of("UTC"))
        event["@timestamp"] = format_time(moment)
    for key, name in _TEXTS.items():
        if name not in event:
            put(event, name, facts.get(key))
    addresses = [found for key in ("ipv4", "ipv6") if (found := address(facts.get(key))) is not None]
    if addresses:
        event["host.ip"] = addresses
    severity = facts.get("severity", "").lower()
    if severity:
        event["log.level"] = severity
    if severity in _SEVERITIES:
        event["event.severity"] = _SEVERITIES[severity]
    _who(facts, kind, event)
    _what(facts, kind, event)
    return event


def _who(facts: dict[str, str], kind: str, event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("source_address"), get("source_port"))
    put_end(event, "destination", get("target_address"), get("target_port"))
    put_transport(event, get("protocol"))
    if get("inbound") in ("true", "false"):
        event["network.direction"] = "inbound" if facts["inbound"] == "true" else "outbound"
    who = get("username") or get("account") or get("user")
    if kind == "Audit_Event" and not who and "login" in get("action", "").lower():
        who = get("target")
    put_user(event, who)
    path = get("processname") or get("process_name") or get("application")
    if path:
        event["process.executable"] = path
        event["process.name"] = re.split(r"[\\/]", path)[-1] or path


def _what(facts: dict[str, str], kind: str, event: Event) -> None:
    get = facts.get
    uri = get("object_uri", "")
    if uri.startswith("file:///"):
        event["file.path"] = uri.removeprefix("file:///")
        event["file.name"] = re.split(r"[\\/]", event["file.path"])[-1]
    elif "://" in uri[:16]:
        put_url(event, uri)
    digest = get("hash", "")
    if len(digest) == 40 and kind != "FilteredWebsites_Event":
        event["process.hash.sha1" if kind.endswith("Alert") else "file.hash.sha1"] = digest.lower()
    action = get("action_taken") or get("action") or get("operation") or get("event")
    put(event, "event.action", action.lower() if action else None)
    if kind == "HipsAggregated_Event":
        put(event, "message", get("operation"))
        put(event, "file.path", get("target"))
    if kind == "Audit_Event":
        put(event, "almena.eset.target", get("target"))
        if "login" in get("action", "").lower() or "authenticat" in get("detail", "").lower():
            event["event.category"], event["event.type"] = ["authentication"], ["start"]
    result = (get("result") or "").lower()
    if result:
        event["event.outcome"] = "failure" if result.startswith(_BADLY) else "success"
    elif "threat_handled" in facts or "handled" in facts:
        handled = facts.get("threat_handled") or facts.get("handled")
        event["event.outcome"] = "success" if handled == "true" else "failure"


FORMAT = Format(name="eset", dataset="eset_protect.event", convert=convert, fits=fits, relayed=True)
