"""Trend Vision One: alerts of its workbench, detections, observed techniques, activity of endpoints, and its audit log.

{"schemaVersion":"1.12","id":"WB-1-1","workbenchLink":"...","severity":"high","createdDateTime":"...","impactScope":{...}}
{"eventName":"WEB_POLICY_VIOLATION","eventTime":1795376040000,"productCode":"sig","act":["Block"],"src":["10.0.0.7"],...}
{"eventId":3,"eventSubId":204,"eventTime":"1795376040000","endpointHostName":"pc-7","src":"10.0.0.7","dpt":443,...}
{"loggedDateTime":"2026-11-22T19:34:00Z","loggedUser":"Ana","category":"Logon and Logoff","activity":"Log on",...}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, as_text, epoch, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_count, put_end, put_transport, put_url, put_user

_MOST = 50
_SEVERITIES = {"low": 21, "medium": 47, "high": 73, "critical": 99}
_TEXTS = {
    "uuid": "event.id",
    "eventId": "event.code",
    "pname": "observer.product",
    "pver": "observer.version",
    "dvchost": "observer.hostname",
    "endpointHostName": "host.name",
    "endpointGUID": "host.id",
    "endpointGuid": "host.id",
    "malName": "rule.name",
    "threatName": "rule.name",
    "ruleName": "rule.name",
    "policyName": "rule.ruleset",
    "ruleId": "rule.id",
    "fileName": "file.name",
    "objectFilePath": "file.path",
    "fullPath": "file.path",
    "filePathName": "file.path",
    "fileHash": "file.hash.sha1",
    "objectFileHashMd5": "file.hash.md5",
    "objectFileHashSha1": "file.hash.sha1",
    "objectFileHashSha256": "file.hash.sha256",
    "processFilePath": "process.executable",
    "processCmd": "process.command_line",
    "processFileHashSha1": "process.hash.sha1",
    "processFileHashSha256": "process.hash.sha256",
    "parentFilePath": "process.parent.executable",
    "parentCmd": "process.parent.command_line",
    "objectRegistryKeyHandle": "registry.key",
    "objectRegistryValue": "registry.value",
    "requestClientApplication": "user_agent.original",
    "userAgent": "user_agent.original",
    "httpReferer": "http.request.referrer",
    "requestMethod": "http.request.method",
    "mailMsgSubject": "email.subject",
    "actResult": "event.reason",
    "eventName": "almena.trend_micro.event",
}
_KINDS = {
    "1": (["process"], ["start"]),
    "2": (["file"], ["change"]),
    "3": (["network"], ["connection"]),
    "4": (["network"], ["info"]),
    "5": (["registry"], ["change"]),
    "6": (["iam"], ["user"]),
    "7": (["network"], ["info"]),
}
"""What the kinds of telemetry are, `eventId` of the sensor."""

_WHAT = {
    2: "process_create",
    3: "process_terminate",
    4: "process_load_image",
    101: "file_create",
    102: "file_open",
    103: "file_delete",
    105: "file_copy",
    106: "file_move",
    109: "file_modify",
    201: "connection_connect",
    202: "connection_listen",
    203: "connection_connect_inbound",
    204: "connection_connect_outbound",
    301: "dns_query",
    401: "registry_create",
    402: "registry_set",
    403: "registry_delete",
    404: "registry_rename",
    501: "account_add",
    502: "account_delete",
    503: "account_impersonate",
    504: "account_modify",
    505: "account_login",
    506: "account_logout",
    602: "internet_connect",
    603: "internet_download",
}
_DNS = 301
_SENDERS = ("productCode", "endpointHostName", "endpointGuid", "endpointGUID", "searchDL")
_AUDIT = (("logon", "authentication"), ("sign-on", "authentication"), ("account", "iam"))


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is a record of Trend Vision One."""
    return _is_alert(document) or _is_audit(document) or _is_observed(document) or _is_event(document)


def _is_alert(document: dict[str, Any]) -> bool:
    return "createdDateTime" in document and ("workbenchLink" in document or "impactScope" in document)


def _is_audit(document: dict[str, Any]) -> bool:
    return "loggedDateTime" in document and ("loggedUser" in document or "activity" in document)


def _is_observed(document: dict[str, Any]) -> bool:
    return "detectedDateTime" in document and "filters" in document and isinstance(document.get("detail"), dict)


def _is_event(document: dict[str, Any]) -> bool:
    if "eventTime" not in document or ("eventId" not in document and "eventName" not in document):
        return False
    return any(name in document for name in _SENDERS)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; one without a readable time gets that of the receipt. Raises ParseError."""
    event: Event = {"observer.vendor": "Trend Micro", "event.original": as_text(document)}
    if _is_alert(document):
        _alert(document, event)
    elif _is_audit(document):
        _audit(document, event)
    elif _is_observed(document):
        _event(document["detail"], event)
        event |= {"event.kind": "alert", "event.dataset": "trend_micro_vision_one.detection"}
        put(event, "rule.name", text_at(document, "filters.0.name"))
        _time(event, "@timestamp", text_at(document, "detectedDateTime"))
    elif _is_event(document):
        _event(document, event)
    else:
        raise ParseError("no record of Trend Vision One: no alert, event or entry of its audit log")
    event.setdefault("observer.product", "Vision One")
    return event


def _time(event: Event, name: str, written: str | None) -> None:
    """Set a time that is written as ISO 8601, or as seconds or milliseconds."""
    if written is None:
        return
    with suppress(ParseError):
        ticks = number(written)
        event[name] = format_time(instant(written[:40], "UTC") if ticks is None else epoch(ticks))


def _first(document: dict[str, Any], *names: str) -> str | None:
    """The text of the first name that has one; of a list its first."""
    for name in names:
        value = document.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        found = text_at({"": value}, "")
        if found is not None and not found.isspace():
            return found
    return None


def _alert(document: dict[str, Any], event: Event) -> None:
    event |= {"event.kind": "alert", "event.dataset": "trend_micro_vision_one.alert"}
    about = (text_at(document, "description") or "").lower()
    event["event.category"] = ["authentication" if "logon" in about else "email" if "email" in about else "malware"]
    event["event.type"] = ["info"]
    _time(event, "@timestamp", text_at(document, "updatedDateTime") or text_at(document, "createdDateTime"))
    _time(event, "event.created", text_at(document, "createdDateTime"))
    for key, name in (
        ("id", "event.id"),
        ("model", "rule.name"),
        ("description", "message"),
        ("workbenchLink", "event.reference"),
        ("alertProvider", "event.provider"),
        ("investigationStatus", "almena.trend_micro.status"),
    ):
        put(event, name, text_at(document, key))
    put_url(event, text_at(document, "workbenchLink"))
    severity = (text_at(document, "severity") or "").lower()
    put(event, "log.level", severity or None)
    if severity in _SEVERITIES:
        event["event.severity"] = _SEVERITIES[severity]
    score = number(text_at(document, "score"))
    if score is not None:
        event["event.risk_score"] = float(score)
    scope = document.get("impactScope")
    entities = scope.get("entities") if isinstance(scope, dict) else None
    for entity in entities[:_MOST] if isinstance(entities, list) else ():
        if isinstance(entity, dict):
            _entity(entity, event)


def _entity(entity: dict[str, Any], event: Event) -> None:
    """One thing an alert is about; of several of a kind the first counts."""
    kind, value = text_at(entity, "entityType"), entity.get("entityValue")
    if kind == "host" and "host.name" not in event:
        put(event, "host.name", text_at(value, "name") if isinstance(value, dict) else text_at(entity, "entityValue"))
        put(event, "host.id", text_at(entity, "entityId"))
        ips = value.get("ips") if isinstance(value, dict) else None
        found = [where for each in (ips[:_MOST] if isinstance(ips, list) else ()) if (where := address(each))]
        if found:
            event["host.ip"] = found
    elif kind in ("account", "emailAddress") and "user.name" not in event:
        put_user(event, text_at(entity, "entityValue"))


def _audit(document: dict[str, Any], event: Event) -> None:
    event |= {"event.kind": "event", "event.dataset": "trend_micro_vision_one.audit", "event.type": ["info"]}
    _time(event, "@timestamp", text_at(document, "loggedDateTime"))
    category = text_at(document, "category") or ""
    found = next((name for word, name in _AUDIT if word in category.lower()), "configuration")
    event["event.category"] = [found]
    activity = text_at(document, "activity")
    put(event, "event.action", "-".join(activity.lower().split()) if activity else None)
    put(event, "almena.trend_micro.event", category)
    put(event, "event.provider", text_at(document, "accessType"))
    for name in ("user", "source.user"):
        put_user(event, text_at(document, "loggedUser"), name)
    result = (text_at(document, "result") or "").lower()
    if result:
        event["event.outcome"] = "success" if result.startswith("succ") else "failure"


def _event(facts: dict[str, Any], event: Event) -> None:
    """A detection of one of its products, or what a sensor saw."""
    sub, kind = number(text_at(facts, "eventSubId")), text_at(facts, "eventId") or ""
    seen = "eventSubId" in facts or text_at(facts, "searchDL") == "EDR"
    event |= {"event.kind": "event", "event.category": ["intrusion_detection"], "event.type": ["info"]}
    event["event.dataset"] = f"trend_micro_vision_one.{'telemetry' if seen else 'detection'}"
    if seen and kind in _KINDS:
        event["event.category"], event["event.type"] = (list(each) for each in _KINDS[kind])
    for key in ("rt_utc", "rt", "eventTimeDT", "eventTime") if not seen else ("eventTime", "eventTimeDT"):
        _time(event, "@timestamp", text_at(facts, key))
    for key, name in _TEXTS.items():
        put(event, name, _first(facts, key))
    act = _first(facts, "act")
    if act is not None and number(act) is None:
        event["event.action"] = act.lower()
    elif sub in _WHAT:
        event["event.action"] = _WHAT[sub]
    severity = number(text_at(facts, "severity"))
    if severity is not None:
        event["event.severity"] = severity
    put_count(event, "file.size", text_at(facts, "fileSize"))
    found = facts.get("endpointIp")
    where = [each for value in (found[:_MOST] if isinstance(found, list) else [found]) if (each := address(value))]
    if where:
        event["host.ip"] = where
    _ends(facts, sub, event)
    _who(facts, event)


def _ends(facts: dict[str, Any], sub: int | None, event: Event) -> None:
    put_end(event, "source", _first(facts, "src"), text_at(facts, "spt"))
    put_end(event, "destination", _first(facts, "dst"), text_at(facts, "dpt"))
    put_end(event, "client", _first(facts, "clientIp"))
    put(event, "source.domain", _first(facts, "shost"))
    if "destination.ip" not in event:
        put_end(event, "destination", address(_first(facts, "objectIp")), text_at(facts, "objectPort"))
    put_url(event, _first(facts, "request", "requests"))
    way = (_first(facts, "deviceDirection") or "").lower()
    if way in ("inbound", "outbound", "internal", "external"):
        event["network.direction"] = way
    protocol = (_first(facts, "app") or "").lower()
    if protocol in ("tcp", "udp", "icmp"):
        put_transport(event, protocol)
    elif protocol:
        event["network.protocol"] = protocol
    if sub == _DNS:
        put(event, "dns.question.name", _first(facts, "hostName", "objectHostName"))


def _who(facts: dict[str, Any], event: Event) -> None:
    """The people: who asked, or who was signed in, or in whose name the process ran."""
    for name, domain in (
        ("suid", "userDomain"),
        ("duser", ""),
        ("logonUser", ""),
        ("principalName", ""),
        ("processUser", "processUserDomain"),
    ):
        if "user.name" not in event:
            put_user(event, _first(facts, name))
            if "user.name" in event and domain:
                put(event, "user.domain", _first(facts, domain))
    put(event, "user.email", _first(facts, "principalName"))
    put_user(event, _first(facts, "objectUser"), "user.target")
    put(event, "user.target.domain", _first(facts, "objectUserDomain"))
    for name in ("process", "process.parent"):
        path = event.get(f"{name}.executable")
        if path:
            event[f"{name}.name"] = re.split(r"[\\/]", path)[-1] or path
    for key, name in (("processPid", "process.pid"), ("parentPid", "process.parent.pid")):
        pid = number(text_at(facts, key))
        if pid is not None and 0 <= pid < 1 << 32:
            event[name] = pid


FORMAT = Format(
    name="trend_micro", dataset="trend_micro_vision_one.detection", convert=convert, fits=fits, relayed=True
)
