"""Microsoft Defender: alerts of Defender for Endpoint, and the tables of advanced hunting that Defender XDR streams.

{"id": "da63", "title": "...", "severity": "High", "category": "Malware", "alertCreationTime": "...", "evidence": [...]}
{"time": "...", "tenantId": "...", "category": "AdvancedHunting-DeviceLogonEvents", "properties": {"ActionType": ...}}
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, as_text, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_transport, put_url, put_user

_HUNTING = "AdvancedHunting-"
_SEVERITIES = {"unspecified": 0, "informational": 1, "low": 2, "medium": 3, "high": 4}
_ALERT = {
    "title": "message",
    "description": "rule.description",
    "computerDnsName": "host.name",
    "machineId": "host.id",
    "detectionSource": "observer.name",
    "aadTenantId": "cloud.account.id",
    "threatFamilyName": "rule.name",
    "relatedUser.domainName": "user.domain",
    "incidentId": "almena.defender.incident",
    "status": "almena.defender.status",
    "id": "almena.defender.alert",
}
_EVIDENCE = {
    "fileName": "file.name",
    "filePath": "file.path",
    "sha1": "file.hash.sha1",
    "sha256": "file.hash.sha256",
    "processCommandLine": "process.command_line",
    "userSid": "user.id",
}
_TABLE = {
    "DeviceName": "host.name",
    "DeviceId": "host.id",
    "AccountSid": "user.id",
    "AccountDomain": "user.domain",
    "LogonType": "winlog.logon.type",
    "FileName": "file.name",
    "FolderPath": "file.path",
    "SHA1": "file.hash.sha1",
    "SHA256": "file.hash.sha256",
    "MD5": "file.hash.md5",
    "ProcessCommandLine": "process.command_line",
    "RegistryKey": "registry.key",
    "RegistryValueName": "registry.value",
    "InitiatingProcessFileName": "process.parent.name",
    "InitiatingProcessFolderPath": "process.parent.executable",
    "InitiatingProcessCommandLine": "process.parent.command_line",
    "Title": "message",
    "AlertId": "almena.defender.alert",
    "ReportId": "almena.defender.report",
    "Application": "network.application",
    "UserAgent": "user_agent.original",
    "Subject": "email.subject",
    "InternetMessageId": "email.message_id",
    "NetworkMessageId": "email.local_id",
    "FailureReason": "event.reason",
}
_KINDS = {
    "Process": (["process"], ["start"]),
    "Network": (["network"], ["connection"]),
    "Logon": (["authentication"], ["start"]),
    "File": (["file"], ["change"]),
    "Registry": (["registry"], ["change"]),
    "ImageLoad": (["library"], ["start"]),
    "Email": (["email"], ["info"]),
    "UrlClick": (["web"], ["access"]),
    "Alert": (["intrusion_detection"], ["info"]),
    "Identity": (["iam"], ["info"]),
    "CloudApp": (["web"], ["info"]),
}
_INBOUND = ("inbound", "listening")
_BADLY = ("fail", "block", "denied", "audit fail", "drop")


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is an alert of Defender or a row of advanced hunting."""
    category = document.get("category")
    if isinstance(category, str) and category.startswith(_HUNTING):
        return isinstance(document.get("properties"), dict)
    return "alertCreationTime" in document and "severity" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; raises ParseError for what is neither."""
    if not fits(document):
        raise ParseError("neither an alert of Defender nor a row of advanced hunting")
    event: Event = {"observer.vendor": "Microsoft", "event.original": as_text(document)}
    if "properties" in document and "alertCreationTime" not in document:
        _row(document, event)
    else:
        _alert(document, event)
    return event


def _time(event: Event, name: str, written: str | None) -> None:
    if written is not None:
        with suppress(ParseError):
            event[name] = format_time(instant(written[:40], "UTC"))


def _alert(document: dict[str, Any], event: Event) -> None:
    event |= {
        "event.dataset": "microsoft_defender_endpoint.log",
        "event.kind": "alert",
        "event.provider": "defender_endpoint",
        "observer.product": "Defender for Endpoint",
    }
    for name, keys in (
        ("@timestamp", ("alertUpdateTime", "lastUpdateTime", "alertCreationTime")),
        ("event.created", ("alertCreationTime",)),
        ("event.start", ("firstEventTime",)),
        ("event.end", ("lastEventTime",)),
    ):
        for key in keys:
            if name not in event:
                _time(event, name, text_at(document, key))
    for key, name in _ALERT.items():
        put(event, name, text_at(document, key))
    category = text_at(document, "category")
    put(event, "event.action", category)
    put(event, "rule.category", category)
    put_user(event, text_at(document, "relatedUser.userName"))
    severity = (text_at(document, "severity") or "").lower()
    if severity in _SEVERITIES:
        event["event.severity"] = _SEVERITIES[severity]
    event["event.category"] = ["host", *(["malware"] if category == "Malware" else [])]
    event["event.type"] = ["end"] if text_at(document, "status") == "Resolved" else ["start"]
    found = document.get("evidence")
    for evidence in found[:50] if isinstance(found, list) else [found]:
        if isinstance(evidence, dict):
            _evidence(evidence, event)


def _evidence(evidence: dict[str, Any], event: Event) -> None:
    """What one thing that was found says; of several that say the same the first counts."""
    for key, name in _EVIDENCE.items():
        if name not in event:
            put(event, name, text_at(evidence, key))
    pid = number(text_at(evidence, "processId"))
    if pid is not None and pid >= 0 and "process.pid" not in event:
        event["process.pid"] = pid
    if "user.name" not in event:
        put_user(event, text_at(evidence, "accountName"))
    if "source.ip" not in event:
        put_end(event, "source", address(text_at(evidence, "ipAddress")))
    if "url.original" not in event:
        put_url(event, text_at(evidence, "url"))


def _row(document: dict[str, Any], event: Event) -> None:
    table = as_text(document["category"]).removeprefix(_HUNTING)
    facts = document["properties"]
    event |= {"event.dataset": "m365_defender.event", "event.kind": "event", "observer.product": "Defender XDR"}
    event["event.provider"] = table
    _time(event, "@timestamp", text_at(facts, "Timestamp") or text_at(document, "time"))
    for key, name in _TABLE.items():
        put(event, name, text_at(facts, key))
    _processes(facts, table, event)
    action = text_at(facts, "ActionType")
    put(event, "event.action", (action or table).lower())
    categories, types = next((kind for word, kind in _KINDS.items() if word in table), (["host"], ["info"]))
    event["event.category"], event["event.type"] = list(categories), list(types)
    severity = (text_at(facts, "Severity") or "").lower()
    if severity in _SEVERITIES:
        event["event.severity"], event["event.kind"] = _SEVERITIES[severity], "alert"
    if "DestinationDeviceName" in facts:
        put(event, "destination.domain", text_at(facts, "DestinationDeviceName"))
    _ends(facts, table, action or "", event)
    who = text_at(facts, "AccountName") or text_at(facts, "AccountUpn") or text_at(facts, "AccountDisplayName")
    put_user(event, who or text_at(facts, "InitiatingProcessAccountName"))
    _outcome(action or "", text_at(facts, "DeliveryAction") or "", event)


def _processes(facts: dict[str, Any], table: str, event: Event) -> None:
    """The process that a row is about: the new one where one is made, the one that acted everywhere else."""
    made = "Process" in table
    pids = {"ProcessId": "process.pid", "InitiatingProcessId": "process.parent.pid" if made else "process.pid"}
    for key, name in pids.items():
        pid = number(text_at(facts, key))
        if pid is not None and 0 <= pid < 1 << 32:
            event[name] = pid
    if made:
        for ours, theirs in (("process.name", "file.name"), ("process.executable", "file.path")):
            if theirs in event:
                event[ours] = event[theirs]
        return
    for name in ("name", "executable", "command_line"):
        if f"process.parent.{name}" in event:
            event[f"process.{name}"] = event.pop(f"process.parent.{name}")


def _ends(facts: dict[str, Any], table: str, action: str, event: Event) -> None:
    remote = text_at(facts, "RemoteIP"), text_at(facts, "RemotePort")
    near = text_at(facts, "LocalIP"), text_at(facts, "LocalPort")
    if "Network" in table and not action.lower().startswith(_INBOUND):
        put_end(event, "source", *near)
        put_end(event, "destination", *remote)
        put_url(event, text_at(facts, "RemoteUrl"))
    else:
        put_end(event, "source", *remote)
        put_end(event, "destination", *near)
        put(event, "source.domain", text_at(facts, "RemoteDeviceName"))
    if "source.ip" not in event:
        put_end(event, "source", address(text_at(facts, "IPAddress") or text_at(facts, "SenderIPv4")))
    if "destination.ip" not in event:
        put_end(
            event, "destination", address(text_at(facts, "DestinationIPAddress")), text_at(facts, "DestinationPort")
        )
    for side in ("source", "destination"):
        if f"{side}.domain" in event:
            event.setdefault(f"{side}.address", event[f"{side}.domain"])
    protocol = text_at(facts, "Protocol")
    if protocol and protocol.lower() in ("tcp", "udp", "icmp"):
        put_transport(event, protocol)
    if "url.original" not in event:
        put_url(event, text_at(facts, "Url") or text_at(facts, "FileOriginUrl"))
    for key, name in (("SenderFromAddress", "email.from.address"), ("RecipientEmailAddress", "email.to.address")):
        found = value_at(facts, key)
        if isinstance(found, str) and "@" in found:
            event[name] = [found]


def _outcome(action: str, delivered: str, event: Event) -> None:
    said = action.lower() or delivered.lower()
    if "logonsuccess" in said or "succe" in said or "allowed" in said:
        event["event.outcome"] = "success"
    elif any(word in said for word in _BADLY):
        event["event.outcome"] = "failure"


FORMAT = Format(name="defender", dataset="m365_defender.event", convert=convert, fits=fits)
