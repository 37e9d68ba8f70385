"""Microsoft 365's unified audit log (Office 365 Management Activity): mailboxes, files, directory, Teams, alerts.

{"CreationTime": "2026-11-22T19:34:00", "Operation": "UserLoggedIn", "Workload": "AzureActiveDirectory",
 "RecordType": 15, "UserId": "ana@example.gob.mx", "ClientIP": "203.0.113.9:4711", "ResultStatus": "Succeeded"}
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event, decode
from collectors.base import Context
from collectors.parsers.common import address, as_text, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_url, put_user

_SUCCESS = frozenset(("succeeded", "success", "partiallysucceeded", "true"))
_FAILURE = frozenset(("failed", "false", "failure"))
_ENDS = re.compile(r"\[([^\] ]{1,255})\](?::(\d{1,5}))?$|([^: ]{1,255}):(\d{1,5})$", re.ASCII)
_NAMED = re.compile(r"\[?([^\s()\[\]]{1,255}) \(([^)]{1,64})\)", re.ASCII)
"""A host as Exchange writes it, `EX1 (10.0.0.30)`, in brackets or without."""

_WITHIN = re.compile(r" \([^()]{1,256}\)$", re.ASCII)
"""The service in whose name somebody acted, behind the name."""

_NO_ADDRESS = frozenset(("<null>", "null", "unknown", "none"))
_SEVERITIES = {"informational": 1, "low": 2, "medium": 3, "high": 4}
_DLP = frozenset(("11", "13", "33", "63", "99", "100", "107"))
_MAILS = frozenset(("28", "41", "47"))
_TYPES = {
    "ExchangeAdmin": "1",
    "ExchangeItem": "2",
    "SharePoint": "4",
    "SharePointFileOperation": "6",
    "AzureActiveDirectory": "8",
    "AzureActiveDirectoryAccountLogon": "9",
    "ComplianceDLPSharePoint": "11",
    "ComplianceDLPExchange": "13",
    "SharePointSharingOperation": "14",
    "AzureActiveDirectoryStsLogon": "15",
    "Yammer": "22",
    "MicrosoftTeams": "25",
    "ThreatIntelligence": "28",
    "SecurityComplianceAlerts": "40",
    "ThreatIntelligenceUrl": "41",
}
"""The numbers of the record types that are written as names, as exports and Sentinel write them."""

_ACTIONS = {
    ("8", "Add user."): "added-user-account",
    ("8", "Update user."): "modified-user-account",
    ("8", "Delete user."): "deleted-user-account",
    ("25", "TeamCreated"): "added-group-account-to",
    ("25", "MemberAdded"): "added-users-to-group",
    ("25", "Delete user."): "deleted-user-account",
}
"""Record types and operations that have a name in common with other directories."""

_FILES = frozenset(("6", "14"))
_ALERTS = frozenset(("11", "13", "40"))
_SIGN_INS = frozenset(("9", "15"))
_KINDS = (
    (("Accessed", "Downloaded", "Viewed", "Previewed"), "access"),
    (("Deleted", "Delete", "Remove"), "deletion"),
    (("Uploaded", "Created", "Copied", "Add", "New-"), "creation"),
    (("Modified", "Moved", "Renamed", "Restored", "Update", "Set-", "Changed"), "change"),
)

_MOST = 100

FIELDS = {
    "workload": "Workload",
    "record_type": "RecordType",
    "object": "ObjectId",
    "result": "ResultStatus",
    "user_type": "UserType",
    "application": "ApplicationId",
    "logon_error": "LogonError",
    "mailbox": "MailboxOwnerUPN",
    "parameters": "Parameters",
    "properties": "ExtendedProperties",
    "changes": "ModifiedProperties",
    "site": "SiteUrl",
    "client": "ClientInfoString",
}
"""Fields of their own under `almena.o365.`, and where they stand in the record."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of the unified audit log, alone, in an export or in a workspace of Sentinel."""
    if "CreationTime" in document:
        return "RecordType" in document or ("Operation" in document and "Workload" in document)
    return ("OfficeWorkload" in document and "Operation" in document) or (
        isinstance(document.get("AuditData"), str) and document["AuditData"].startswith("{")
    )


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError without a time."""
    if "AuditData" in document and "CreationTime" not in document:
        with suppress(ParseError):
            document = decode(as_text(document["AuditData"]).encode())
    written = text_at(document, "CreationTime") or text_at(document, "TimeGenerated")
    if written is None:
        raise ParseError("a record of Microsoft 365 without a time")
    operation = text_at(document, "Operation")
    kind = text_at(document, "RecordType") or ""
    kind = _TYPES.get(kind, kind)
    result = (text_at(document, "ResultStatus") or "").lower()
    event: Event = {
        "@timestamp": format_time(instant(written, "UTC")),
        "event.outcome": "failure" if result in _FAILURE or operation == "UserLoginFailed" else "success",
        "event.kind": "alert" if kind in _ALERTS else "event",
    }
    if operation is not None:
        event["event.action"] = _ACTIONS.get((kind, operation), operation)
    _classify(event, operation or "", kind)
    put(event, "event.id", text_at(document, "Id"))
    put(event, "event.provider", text_at(document, "Workload") or text_at(document, "OfficeWorkload"))
    put(event, "event.code", kind or None)
    put(event, "event.reason", text_at(document, "LogonError"))
    put(event, "organization.id", (text_at(document, "OrganizationId") or "").lower())
    put(event, "organization.name", text_at(document, "OrganizationName"))
    put(
        event,
        "user_agent.original",
        text_at(document, "UserAgent") or _named(document, "ExtendedProperties", "UserAgent"),
    )
    _client(document, event)
    _user(document, event)
    if kind in _FILES:
        put(event, "url.original", text_at(document, "ObjectId") or text_at(document, "OfficeObjectId"))
        put(event, "file.directory", text_at(document, "SourceRelativeUrl"))
        put(event, "file.name", text_at(document, "SourceFileName"))
        put(event, "file.extension", text_at(document, "SourceFileExtension"))
    if kind in _ALERTS:
        put(event, "rule.name", text_at(document, "Name") or text_at(document, "PolicyDetails.0.PolicyName"))
        put(event, "rule.id", text_at(document, "PolicyId") or text_at(document, "PolicyDetails.0.PolicyId"))
        put(event, "message", text_at(document, "Comments"))
        severity = (text_at(document, "Severity") or "").lower()
        if severity in _SEVERITIES:
            event["event.severity"] = _SEVERITIES[severity]
    if kind in _DLP:
        _leak(document, operation or "", event)
    elif kind in _MAILS:
        _mail(document, event)
    put(event, "group.name", text_at(document, "TeamName") or text_at(document, "GroupName"))
    for name, path in FIELDS.items():
        put(event, f"almena.o365.{name}", text_at(document, path))
    return event


def _classify(event: Event, operation: str, kind: str) -> None:
    found = next((name for words, name in _KINDS if any(word in operation for word in words)), "info")
    event["event.category"], event["event.type"] = ["web"], [found]
    if kind in _SIGN_INS:
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
    elif event.get("event.action", operation) != operation:
        event["event.category"] = ["iam"]
        event["event.type"] = ["group" if "group" in event["event.action"] else "user", found]
    elif operation.startswith(("File", "Folder")):
        event["event.category"] = ["file"]
    elif kind in ("1", "8", "18"):
        event["event.category"] = ["iam" if kind == "8" else "configuration"]


def _named(document: dict[str, Any], name: str, wanted: str) -> str | None:
    """The value of one of a list's pairs of `Name` and `Value`."""
    pairs = document.get(name)
    for pair in pairs[:64] if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and pair.get("Name") == wanted and pair.get("Value") is not None:
            return as_text(pair["Value"])
    return None


def _client(document: dict[str, Any], event: Event) -> None:
    """The client's address, bare, in brackets, with a port, or behind the name of a host; and the server's."""
    for name in ("ClientIPAddress", "ClientIP", "ActorIpAddress", "Client_IPAddress", "UserIp", "SenderIp"):
        written = text_at(document, name)
        if written is None or written.lower() in _NO_ADDRESS:
            continue
        ends = _ENDS.match(written) if address(written) is None else None
        named = _NAMED.match(written) if ends is None else None
        host, port = (ends[1] or ends[3], ends[2] or ends[4]) if ends else (written, None)
        if named is not None:
            event["source.domain"], host = named[1], named[2]
        put_end(event, "source", address(host) or host, port)
        break
    server = _NAMED.match((text_at(document, "OriginatingServer") or "").strip())
    found = address(server[2]) if server is not None and event.get("event.code") in ("1", "2") else None
    if server is not None and found is not None:
        put_end(event, "destination", found)
        event["destination.domain"] = server[1]


def _leak(document: dict[str, Any], operation: str, event: Event) -> None:
    """What a policy against the loss of data found, in whose mail or file, and whether it stopped that."""
    put(event, "url.original", text_at(document, "SharePointMetaData.FilePathUrl"))
    put(event, "file.name", text_at(document, "SharePointMetaData.FileName"))
    put(event, "file.owner", text_at(document, "SharePointMetaData.FileOwner"))
    if "@" not in event.get("user.id", ""):
        put(event, "user.id", text_at(document, "SharePointMetaData.From"))
        put_user(event, text_at(document, "SharePointMetaData.From"))
    put(event, "source.user.email", text_at(document, "ExchangeMetaData.From"))
    put_user(event, text_at(document, "ExchangeMetaData.From"), "source.user")
    put(event, "email.subject", text_at(document, "ExchangeMetaData.Subject"))
    _recipients(value_at(document, "ExchangeMetaData.To"), event)
    policies = document.get("PolicyDetails")
    blocked, worst = False, 0
    for policy in policies[:_MOST] if isinstance(policies, list) else ():
        rules = policy.get("Rules") if isinstance(policy, dict) else None
        for rule in rules[:_MOST] if isinstance(rules, list) else ():
            actions = rule.get("Actions") if isinstance(rule, dict) else None
            blocked = blocked or (isinstance(actions, list) and "BlockAccess" in actions)
            worst = max(worst, _SEVERITIES.get((text_at(rule, "Severity") or "").lower(), 0))
    if worst:
        event["event.severity"] = worst
    undone = operation == "DlpRuleUndo" or (operation != "DlpInfo" and bool(document.get("ExceptionInfo")))
    if blocked and not undone:
        event["event.outcome"] = "failure"


def _mail(document: dict[str, Any], event: Event) -> None:
    """A mail that Defender for Office judged, or a link in one that somebody followed."""
    for key, name in (
        ("Subject", "email.subject"),
        ("InternetMessageId", "email.message_id"),
        ("NetworkMessageId", "email.local_id"),
        ("P1Sender", "email.sender.address"),
        ("Verdict", "rule.category"),
        ("Policy", "rule.name"),
        ("EventDeepLink", "event.reference"),
    ):
        put(event, name, text_at(document, key))
    sender = text_at(document, "P2Sender") or text_at(document, "P1Sender")
    if sender is not None:
        event["email.from.address"] = [sender]
    _recipients(document.get("Recipients"), event)
    put_url(event, text_at(document, "Url"))
    if "Subject" in document:
        event["event.category"] = ["email"]


def _recipients(value: Any, event: Event) -> None:
    found = [each for each in (value[:_MOST] if isinstance(value, list) else [value]) if isinstance(each, str) and each]
    if found:
        event["email.to.address"] = found


def _user(document: dict[str, Any], event: Event) -> None:
    name = text_at(document, "UserId") or text_at(document, "ActorUserId")
    put(event, "user.id", name)
    put_user(event, _WITHIN.sub("", name[-1_024:]) if name is not None else None)
    if name is not None and "@" in name:
        event["user.email"] = name
    put(event, "user.full_name", text_at(document, "LogonUserDisplayName"))
    target = text_at(document, "ObjectId") if event.get("event.code") == "8" else None
    put(event, "user.target.id", target)
    put_user(event, target if target is not None and "@" in target else None, "user.target")


FORMAT = Format(name="o365", dataset="o365.audit", convert=convert, fits=fits, words=False)
