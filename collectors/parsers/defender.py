"""Microsoft Defender: alerts and incidents of every one of its interfaces, and the tables of advanced hunting.

{"id": "da63", "title": "...", "severity": "High", "category": "Malware", "alertCreationTime": "...", "evidence": [...]}
{"id": "da63", "createdDateTime": "...", "alertWebUrl": "...", "evidence": [{"userAccount": {"accountName": "ana"}}]}
{"time": "...", "tenantId": "...", "category": "AdvancedHunting-DeviceLogonEvents", "properties": {"ActionType": ...}}
{"Timestamp": "...", "DeviceId": "...", "ActionType": "LogonFailed", "ReportId": 7, ...}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event, decode
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
    "tenantId": "cloud.account.id",
    "threatFamilyName": "rule.name",
    "relatedUser.domainName": "user.domain",
    "incidentId": "almena.defender.incident",
    "status": "almena.defender.status",
    "id": "almena.defender.alert",
    "alertId": "almena.defender.alert",
    "alertWebUrl": "event.reference",
}
_EVIDENCE = {
    "fileName": "file.name",
    "filePath": "file.path",
    "sha1": "file.hash.sha1",
    "sha256": "file.hash.sha256",
    "fileDetails.fileName": "file.name",
    "fileDetails.filePath": "file.path",
    "fileDetails.sha1": "file.hash.sha1",
    "fileDetails.sha256": "file.hash.sha256",
    "imageFile.fileName": "process.name",
    "imageFile.sha1": "process.hash.sha1",
    "imageFile.sha256": "process.hash.sha256",
    "processCommandLine": "process.command_line",
    "registryKey": "registry.key",
    "deviceDnsName": "host.name",
    "mdeDeviceId": "host.id",
    "userSid": "user.id",
    "userAccount.userSid": "user.id",
    "subject": "email.subject",
    "internetMessageId": "email.message_id",
    "networkMessageId": "email.local_id",
}
_USERS = (
    ("accountName", "domainName"),
    ("userAccount.accountName", "userAccount.domainName"),
    ("userAccount.userPrincipalName", ""),
    ("userPrincipalName", ""),
    ("primaryAddress", ""),
)
_TIMES = (
    ("@timestamp", ("alertUpdateTime", "lastUpdateTime", "lastUpdateDateTime", "lastUpdatedTime")),
    ("event.created", ("alertCreationTime", "createdDateTime", "createdTime", "creationTime")),
    ("event.start", ("firstEventTime", "firstActivityDateTime", "firstActivity")),
    ("event.end", ("lastEventTime", "lastActivityDateTime", "lastActivity")),
)
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
_TABLES = (
    ("Logon", "DeviceLogonEvents"),
    ("Connection", "DeviceNetworkEvents"),
    ("NetworkSignature", "DeviceNetworkEvents"),
    ("InboundConnection", "DeviceNetworkEvents"),
    ("ListeningConnection", "DeviceNetworkEvents"),
    ("ProcessCreated", "DeviceProcessEvents"),
    ("File", "DeviceFileEvents"),
    ("Registry", "DeviceRegistryEvents"),
    ("ImageLoaded", "DeviceImageLoadEvents"),
)
"""How the actions of a table begin, for rows that do not name theirs."""

_ROW = ("ReportId", "DeviceId", "AccountObjectId", "NetworkMessageId", "AlertId")
_MOST = 50
_DIRECTION = re.compile(r'"direction"\s*:\s*"(In|Out)"', re.ASCII)
_BADLY = ("fail", "block", "denied", "audit fail", "drop")


def fits(document: dict[str, Any]) -> bool:
    """Whether the object is an alert or an incident of Defender, or a row of advanced hunting."""
    category = document.get("category")
    if isinstance(category, str) and category.startswith(_HUNTING):
        return isinstance(document.get("properties"), dict)
    return _is_alert(document) or _is_row(document)


def _is_alert(document: dict[str, Any]) -> bool:
    if "severity" not in document:
        return False
    return (
        "alertCreationTime" in document
        or ("createdDateTime" in document and ("alertWebUrl" in document or "incidentWebUrl" in document))
        or ("incidentId" in document and "alerts" in document)
    )


def _is_row(document: dict[str, Any]) -> bool:
    """Whether it is a row as the API, an export or a workspace of Sentinel gives it, without its envelope."""
    if "ActionType" not in document and "AlertId" not in document and "NetworkMessageId" not in document:
        return False
    return ("Timestamp" in document or "TimeGenerated" in document) and any(name in document for name in _ROW)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object; raises ParseError for what is neither."""
    if not fits(document):
        raise ParseError("neither an alert of Defender nor a row of advanced hunting")
    event: Event = {"observer.vendor": "Microsoft", "event.original": as_text(document)}
    if _is_alert(document):
        _alert(document, event)
    elif isinstance(document.get("properties"), dict):
        _row(document, document["properties"], as_text(document["category"]).removeprefix(_HUNTING), event)
    else:
        _row(document, document, _table(document), event)
    return event


def _table(document: dict[str, Any]) -> str:
    """The table of a row without an envelope: what it says, or where such an action belongs."""
    named = text_at(document, "Type") or text_at(document, "$table") or text_at(document, "Table")
    if named is not None and named.endswith(("Events", "Info", "Evidence")):
        return named
    if "AlertId" in document:
        return "AlertEvidence"
    if "NetworkMessageId" in document:
        return "UrlClickEvents" if "Url" in document else "EmailEvents"
    action = text_at(document, "ActionType") or ""
    if "DeviceId" not in document:
        return "IdentityLogonEvents" if action.startswith("Logon") else "CloudAppEvents"
    return next((table for begin, table in _TABLES if action.startswith(begin)), "DeviceEvents")


def _time(event: Event, name: str, written: str | None) -> None:
    if written is not None:
        with suppress(ParseError):
            event[name] = format_time(instant(written[:40], "UTC"))


def _listed(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or the one that stands in its place."""
    return [each for each in (value[:_MOST] if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _alert(document: dict[str, Any], event: Event) -> None:
    """An alert; an incident says what its alerts say, and is as severe and as new as itself."""
    endpoint = "alertCreationTime" in document
    event |= {
        "event.dataset": "microsoft_defender_endpoint.log" if endpoint else "m365_defender.alert",
        "event.kind": "alert",
        "event.provider": "defender_endpoint",
        "observer.product": "Defender for Endpoint" if endpoint else "Defender XDR",
    }
    alerts = _listed(document.get("alerts"))
    if "alerts" in document or "redirectIncidentId" in document:
        event["event.dataset"] = "m365_defender.incident"
        put(event, "almena.defender.incident", text_at(document, "incidentId") or text_at(document, "id"))
        put(event, "almena.defender.status", text_at(document, "status"))
        put(event, "message", text_at(document, "displayName"))
        put(event, "event.reference", text_at(document, "incidentWebUrl"))
    said = [document, *alerts]
    for name, keys in _TIMES:
        _time(event, name, next((found for each in said for key in keys if (found := text_at(each, key))), None))
    if "@timestamp" not in event and "event.created" in event:
        event["@timestamp"] = event["event.created"]
    for alert in alerts or [document]:
        _facts(alert, event)
    severity = (text_at(document, "severity") or "").lower()
    if severity in _SEVERITIES:
        event["event.severity"] = _SEVERITIES[severity]
    malware = str(event.get("rule.category", "")).lower() == "malware"
    event["event.category"] = ["host", *(["malware"] if malware else [])]
    event["event.type"] = ["end"] if (text_at(document, "status") or "").lower() == "resolved" else ["start"]


def _facts(alert: dict[str, Any], event: Event) -> None:
    """What one alert says beside its times; of several the first counts."""
    for key, name in _ALERT.items():
        if name not in event:
            put(event, name, text_at(alert, key))
    provider = text_at(alert, "serviceSource")
    if provider is not None and event["event.provider"] == "defender_endpoint":
        event["event.provider"] = provider
    category = text_at(alert, "category")
    if category is not None and "rule.category" not in event:
        event["rule.category"] = category
    if "user.name" not in event:
        put_user(event, text_at(alert, "relatedUser.userName"))
    found = [each for key in ("evidence", "entities", "devices") for each in _listed(alert.get(key))]
    for evidence in found:
        _evidence(evidence, event)
    action = next((said for each in found if (said := text_at(each, "detectionStatus"))), None)
    if "event.action" not in event:
        put(event, "event.action", (action or category) if "createdDateTime" in alert else category)


def _evidence(evidence: dict[str, Any], event: Event) -> None:
    """What one thing that was found says; of several that say the same the first counts."""
    for key, name in _EVIDENCE.items():
        if name not in event:
            put(event, name, text_at(evidence, key))
    pid = number(text_at(evidence, "processId"))
    if pid is not None and pid >= 0 and "process.pid" not in event:
        event["process.pid"] = pid
    for who, domain in _USERS:
        if "user.name" not in event:
            put_user(event, text_at(evidence, who))
            if "user.name" in event and domain:
                put(event, "user.domain", text_at(evidence, domain))
    if "source.ip" not in event:
        put_end(event, "source", address(text_at(evidence, "ipAddress") or text_at(evidence, "senderIp")))
    if "url.original" not in event:
        put_url(event, text_at(evidence, "url"))


def _row(document: dict[str, Any], facts: dict[str, Any], table: str, event: Event) -> None:
    event |= {"event.dataset": "m365_defender.event", "event.kind": "event", "observer.product": "Defender XDR"}
    event["event.provider"] = table
    for key in ("Timestamp", "TimeGenerated"):
        if "@timestamp" not in event:
            _time(event, "@timestamp", text_at(facts, key))
    if "@timestamp" not in event:
        _time(event, "@timestamp", text_at(document, "time"))
    for key, name in _TABLE.items():
        put(event, name, text_at(facts, key))
    _processes(facts, table, event)
    action = text_at(facts, "ActionType")
    said = (action or table).lower().replace(" ", "-")
    event["event.action"] = "load" if said == "imageloaded" else said
    categories, types = next((kind for word, kind in _KINDS.items() if word in table), (["host"], ["info"]))
    event["event.category"], event["event.type"] = list(categories), list(types)
    severity = (text_at(facts, "Severity") or "").lower()
    if severity in _SEVERITIES:
        event["event.severity"], event["event.kind"] = _SEVERITIES[severity], "alert"
    put(event, "destination.domain", text_at(facts, "DestinationDeviceName"))
    _ends(facts, table, action or "", event)
    _people(facts, table, event)
    _outcome(facts, table, action or "", event)


def _people(facts: dict[str, Any], table: str, event: Event) -> None:
    """Who did it; what only the process that acted knows counts last."""
    for name, domain in (("RequestAccountName", "RequestAccountDomain"), ("AccountName", "AccountDomain")):
        if "user.name" not in event:
            put_user(event, text_at(facts, name))
            if "user.name" in event:
                put(event, "user.domain", text_at(facts, domain))
    raw = facts.get("RawEventData")
    if isinstance(raw, str) and "user.name" not in event and '"UserId"' in raw:
        with suppress(ParseError):
            raw = decode(raw.encode())
    others = (text_at(facts, "AccountUpn"), text_at(raw, "UserId"), text_at(facts, "AccountDisplayName"))
    for who in (*others, text_at(facts, "InitiatingProcessAccountName")):
        if "user.name" not in event:
            put_user(event, who)
    put_user(event, text_at(facts, "TargetAccountUpn") or text_at(facts, "TargetAccountDisplayName"), "user.target")
    if table.startswith("IdentityQuery") and (text_at(facts, "Protocol") or "").lower() == "dns":
        put(event, "dns.question.name", text_at(facts, "QueryTarget"))
        put(event, "dns.question.type", text_at(facts, "QueryType"))


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
    coming = "Logon" in table or "Alert" in table or action.startswith("Inbound") or _direction(facts) == "in"
    put_end(event, "source", *(remote if coming else near))
    put_end(event, "destination", *(near if coming else remote))
    put_url(event, text_at(facts, "RemoteUrl"))
    put(event, "source.domain" if coming else "destination.domain", text_at(facts, "RemoteDeviceName"))
    if "source.ip" not in event:
        for ip, port in (("IPAddress", "Port"), ("SenderIPv4", ""), ("SenderIPv6", ""), ("RequestSourceIP", "")):
            found = address(text_at(facts, ip))
            if found is not None:
                put_end(event, "source", found, text_at(facts, port or "RequestSourcePort"))
                break
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
    elif protocol:
        event["network.protocol"] = protocol.lower()
    if "url.original" not in event:
        put_url(event, text_at(facts, "Url") or text_at(facts, "FileOriginUrl"))
    for key, name in (("SenderFromAddress", "email.from.address"), ("RecipientEmailAddress", "email.to.address")):
        found = value_at(facts, key)
        if isinstance(found, str) and "@" in found:
            event[name] = [found]


def _direction(facts: dict[str, Any]) -> str:
    """Which way a connection went, where the additional fields say so."""
    more = facts.get("AdditionalFields")
    if isinstance(more, str):
        found = _DIRECTION.search(more[:4_096])
        return found[1].lower() if found else ""
    return (text_at(more, "direction") or "").lower()


def _outcome(facts: dict[str, Any], table: str, action: str, event: Event) -> None:
    said = action.lower() or (text_at(facts, "DeliveryAction") or "").lower()
    if "Logon" in table and text_at(facts, "FailureReason"):
        event["event.outcome"] = "failure"
    elif "succe" in said or "allowed" in said or "accepted" in said or said == "delivered":
        event["event.outcome"] = "success"
    elif any(word in said for word in _BADLY):
        event["event.outcome"] = "failure"


FORMAT = Format(name="defender", dataset="m365_defender.event", convert=convert, fits=fits)
