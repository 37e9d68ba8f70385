"""ESET PROTECT and ESET Inspect: threats, firewall, HIPS, sites, files and what administrators did, as JSON in syslog.

So too the detections and tasks of its interface, {"category":"DETECTION_CATEGORY_ANTIVIRUS","occurTime":...}, and the
sentence of a notification, "Detection type: Trojan Detection name: EICAR Computer name: pc-7 Logged user: ...".

{"event_type":"Threat_Event","ipv4":"10.0.0.7","hostname":"pc-7","occured":"22-Nov-2026 19:34:00","severity":"Warning",
 "threat_name":"EICAR","object_uri":"file:///C:/tmp/a.com","action_taken":"Deleted","username":"SFA\\\\ana",...}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, as_text, instant, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
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
_OTHER = (["host"], ["info"])
_DETECTED = "DETECTION_CATEGORY_"
_OF_DETECTIONS = {
    "typeName": "rule.name",
    "displayName": "message",
    "context.circumstances": "message",
    "context.deviceUuid": "host.id",
    "uuid": "event.id",
}
_OF_TASKS = {
    "action.name": "event.action",
    "displayName": "message",
    "targets.devicesUuids.0": "host.id",
    "uuid": "event.id",
}
_SENTENCE = re.compile(
    r"Detection type: (.{1,64}?) Detection name: (\S{1,256}) Computer name: (\S{1,255}) Logged user: (.{0,256}?) "
    r"Time of occurrence: (\d{1,2})/(\d{1,2})/(\d{2,4}), (\d{1,2})(:\d\d:\d\d)\s(AM|PM) UTC([+-]?\d{1,2})\S{0,3} "
    r"Scanner: (.{0,128}?) Action performed: (.{1,128})$",
    re.ASCII,
)
_SEVERITIES = {"information": 6, "notice": 5, "warning": 4, "error": 3, "high": 3, "critical": 2, "fatal": 1}
_BADLY = ("fail", "denied", "error", "unsuccess")


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is an event of ESET PROTECT, or a detection or a task of its interface."""
    kind = document.get("event_type")
    if isinstance(kind, str):
        return (kind in _KINDS or (kind.endswith("_Event") and "occured" in document)) and "hostname" in document
    return _is_detection(document) or _is_task(document)


def _is_detection(document: dict[str, Any]) -> bool:
    return "occurTime" in document and str(document.get("category", "")).startswith(_DETECTED)


def _is_task(document: dict[str, Any]) -> bool:
    action = document.get("action")
    return isinstance(action, dict) and "name" in action and "targets" in document and "triggers" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; one without a readable time gets that of the receipt. Raises ParseError."""
    if not fits(document):
        raise ParseError("no event of ESET PROTECT: it lacks a known event_type or the hostname")
    event: Event = {
        "observer.vendor": "ESET",
        "observer.product": "ESET PROTECT",
        "event.original": as_text(document),
    }
    if "event_type" not in document:
        (_task if _is_task(document) else _detection)(document, event)
        return event
    facts = {name: as_text(value) for name, value in document.items() if value is not None and value != ""}
    kind = facts["event_type"]
    categories, types = _KINDS.get(kind, _OTHER)
    alert = kind not in ("Audit_Event", "FilteredWebsites_Event")
    event |= {
        "event.kind": "alert" if alert else "event",
        "event.category": list(categories),
        "event.type": list(types),
        "event.code": kind,
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


def _detection(document: dict[str, Any], event: Event) -> None:
    """A detection of the interface; the local end of its connection is the source, whichever way it went."""
    category = as_text(document["category"])
    event |= {"event.kind": "alert", "event.type": ["info"], "event.action": "detected", "rule.category": category}
    event["event.category"] = (
        ["malware"] if category.endswith(("ANTIVIRUS", "BLOCKED_FILE")) else ["intrusion_detection"]
    )
    with suppress(ParseError):
        event["@timestamp"] = format_time(instant((text_at(document, "occurTime") or "")[:40], "UTC"))
    for key, name in _OF_DETECTIONS.items():
        put(event, name, text_at(document, key))
    put_user(event, text_at(document, "context.userName"))
    way = (text_at(document, "networkCommunication.direction") or "").rpartition("_")[2].lower()
    if way in ("inbound", "outbound"):
        event["network.direction"] = way
    for side, end in (("source", "local"), ("destination", "remote")):
        where = address(text_at(document, f"networkCommunication.{end}IpAddress"))
        put_end(event, side, where, text_at(document, f"networkCommunication.{end}Port"))
    _process(text_at(document, "context.process.path"), event)
    _object(text_at(document, "objectUrl") or "", event)
    digest = text_at(document, "objectHashSha1") or ""
    if len(digest) == 40:
        event["file.hash.sha1"] = digest.lower()


def _task(document: dict[str, Any], event: Event) -> None:
    event |= {"event.kind": "event", "event.category": ["configuration"], "event.type": ["info"]}
    for key, name in _OF_TASKS.items():
        put(event, name, text_at(document, key))


def read(message: str, event: Event, context: Context) -> bool:
    """Read the sentence of a notification; False for every other text."""
    found = _SENTENCE.match(message)
    if found is None:
        return False
    kind, name, host, user, month, day, year, hour, rest, half, zone, scanner, action = found.groups()
    event |= {"observer.vendor": "ESET", "observer.product": "ESET PROTECT", "event.kind": "alert"}
    event |= {"event.category": ["malware"], "event.type": ["info"], "host.name": host, "rule.name": name}
    event["rule.category"], event["event.action"] = kind, "-".join(action.lower().split())
    put(event, "almena.eset.scanner", scanner)
    put_user(event, user)
    clock = f"{int(hour) % 12 + (12 if half == 'PM' else 0):02}{rest}"
    moment = local(int(year) % 100 + 2000, int(month), int(day), clock, zone_of("UTC"))
    event["@timestamp"] = format_time(moment - int(zone) * 3_600 * SECOND)
    return True


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
    _process(get("processname") or get("process_name") or get("application"), event)


def _process(path: str | None, event: Event) -> None:
    if path:
        event["process.executable"] = path
        event["process.name"] = re.split(r"[\\/]", path)[-1] or path


def _object(uri: str, event: Event) -> None:
    if uri.startswith("file:///"):
        event["file.path"] = uri.removeprefix("file:///")
        event["file.name"] = re.split(r"[\\/]", event["file.path"])[-1]
    elif "://" in uri[:16]:
        put_url(event, uri)


def _what(facts: dict[str, str], kind: str, event: Event) -> None:
    get = facts.get
    _object(get("object_uri", ""), event)
    digest = get("hash", "")
    if len(digest) == 40 and kind != "FilteredWebsites_Event":
        event["process.hash.sha1" if kind.endswith("Alert") else "file.hash.sha1"] = digest.lower()
    action = get("action") or get("action_taken") or get("operation") or get("event")
    if action:
        event["event.action"] = "-".join(action.lower().split())
    elif "Inspect" in kind:
        event["event.action"] = "detected"
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


FORMAT = Format(
    name="eset",
    dataset="eset_protect.event",
    read=read,
    begins=("Detection type: ",),
    convert=convert,
    fits=fits,
    relayed=True,
)
