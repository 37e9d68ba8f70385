"""Microsoft 365's unified audit log (Office 365 Management Activity): mailboxes, files, directory, Teams, alerts.

{"CreationTime": "2026-11-22T19:34:00", "Operation": "UserLoggedIn", "Workload": "AzureActiveDirectory",
 "RecordType": 15, "UserId": "ana@example.gob.mx", "ClientIP": "203.0.113.9:4711", "ResultStatus": "Succeeded"}
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, as_text, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at
from collectors.parsers.network import put_end, put_user

_SUCCESS = frozenset(("succeeded", "success", "partiallysucceeded", "true"))
_FAILURE = frozenset(("failed", "false", "failure"))
_ENDS = re.compile(r"\[([^\]]{1,64})\](?::(\d{1,5}))?$|([^:]{1,255}):(\d{1,5})$", re.ASCII)
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
    """Whether a JSON object is a record of the unified audit log."""
    return (
        "CreationTime" in document and "Operation" in document and ("Workload" in document or "RecordType" in document)
    )


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError without a time."""
    written = text_at(document, "CreationTime")
    if written is None:
        raise ParseError("a record of Microsoft 365 without a time")
    operation = text_at(document, "Operation") or "unknown"
    kind = text_at(document, "RecordType") or ""
    result = (text_at(document, "ResultStatus") or "").lower()
    event: Event = {
        "@timestamp": format_time(instant(written, "UTC")),
        "event.action": _ACTIONS.get((kind, operation), operation),
        "event.outcome": "failure" if result in _FAILURE or operation == "UserLoginFailed" else "success",
        "event.kind": "alert" if kind in _ALERTS else "event",
    }
    _classify(event, operation, kind)
    put(event, "event.provider", text_at(document, "Workload"))
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
        put(event, "url.original", text_at(document, "ObjectId"))
        put(event, "file.directory", text_at(document, "SourceRelativeUrl"))
        put(event, "file.name", text_at(document, "SourceFileName"))
        put(event, "file.extension", text_at(document, "SourceFileExtension"))
    if kind in _ALERTS:
        put(event, "rule.name", text_at(document, "Name") or text_at(document, "PolicyDetails.0.PolicyName"))
        put(event, "rule.id", text_at(document, "PolicyId") or text_at(document, "PolicyDetails.0.PolicyId"))
        put(event, "message", text_at(document, "Comments"))
    for name, path in FIELDS.items():
        put(event, f"almena.o365.{name}", text_at(document, path))
    return event


def _classify(event: Event, operation: str, kind: str) -> None:
    found = next((name for words, name in _KINDS if any(word in operation for word in words)), "info")
    event["event.category"], event["event.type"] = ["web"], [found]
    if kind in _SIGN_INS:
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
    elif event["event.action"] != operation:
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
    """The client's address, bare, in brackets, with a port, or the name of a host."""
    for name in ("ClientIPAddress", "ClientIP", "ActorIpAddress"):
        written = text_at(document, name)
        if written is None:
            continue
        ends = _ENDS.match(written) if address(written) is None else None
        host, port = (ends[1] or ends[3], ends[2] or ends[4]) if ends else (written, None)
        put_end(event, "source", address(host) or host, port)
        return


def _user(document: dict[str, Any], event: Event) -> None:
    name = text_at(document, "UserId")
    put(event, "user.id", name)
    put_user(event, name)
    if name is not None and "@" in name:
        event["user.email"] = name
    put(event, "user.full_name", text_at(document, "LogonUserDisplayName"))
    target = text_at(document, "ObjectId") if event.get("event.code") == "8" else None
    put(event, "user.target.id", target)
    put_user(event, target if target is not None and "@" in target else None, "user.target")


FORMAT = Format(name="o365", dataset="o365.audit", convert=convert, fits=fits, words=False)
