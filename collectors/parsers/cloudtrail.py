"""Records of AWS CloudTrail: who called which operation of which service, from where, and whether it was allowed.

{"eventVersion": "1.08", "userIdentity": {...}, "eventTime": "2026-11-22T19:34:00Z", "eventSource": "s3.amazonaws.com",
 "eventName": "GetObject", "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", ...}
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, given, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end

_READS = ("Get", "List", "Describe", "Lookup", "Head", "Search", "Scan", "Query", "BatchGet", "Select")
_CREATES = (
    "Create",
    "Run",
    "Put",
    "Add",
    "Attach",
    "Register",
    "Allocate",
    "Import",
    "Copy",
    "Restore",
    "Start",
    "Enable",
)
_DELETES = ("Delete", "Remove", "Detach", "Terminate", "Deregister", "Release", "Stop", "Disable", "Revoke", "Purge")
_SIGN_INS = frozenset(
    (
        *("ConsoleLogin", "SwitchRole", "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "CheckMfa"),
        *("GetSessionToken", "GetFederationToken", "GetSigninToken", "ExternalIdPDirectoryLogin", "Federate"),
        *("UserAuthentication", "Authenticate"),
    )
)

FIELDS = {
    "event_type": "eventType",
    "category": "eventCategory",
    "error_code": "errorCode",
    "error_message": "errorMessage",
    "recipient_account": "recipientAccountId",
    "request_id": "requestID",
    "identity_type": "userIdentity.type",
    "identity_arn": "userIdentity.arn",
    "access_key": "userIdentity.accessKeyId",
    "invoked_by": "userIdentity.invokedBy",
    "issuer_type": "userIdentity.sessionContext.sessionIssuer.type",
    "issuer_arn": "userIdentity.sessionContext.sessionIssuer.arn",
    "mfa": "userIdentity.sessionContext.attributes.mfaAuthenticated",
    "mfa_used": "additionalEventData.MFAUsed",
}
"""Fields of their own under `almena.cloudtrail.`, and where they stand in the record."""

_LONG = {
    "request": "requestParameters",
    "response": "responseElements",
    "additional": "additionalEventData",
    "service_details": "serviceEventDetails",
}


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object has the keys that every record has."""
    if "awsRegion" in document:
        return ("eventName" in document and "eventSource" in document) or "insightDetails" in document
    return "digestEndTime" in document and "digestS3Object" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError when its time cannot be read."""
    if "digestEndTime" in document:
        return _digest(document)
    action = text_at(document, "eventName") or text_at(document, "insightDetails.eventName") or "unknown"
    service = text_at(document, "eventSource") or text_at(document, "insightDetails.eventSource") or "unknown"
    written = given(document.get("eventTime"))
    category, kind = _kind(service, action, document.get("readOnly"))
    event: Event = {
        "@timestamp": format_time(instant(written, "UTC") if written else context.received),
        "event.action": action,
        "event.provider": service,
        "event.category": category,
        "event.type": kind,
        "event.outcome": _outcome(document),
        "cloud.provider": "aws",
    }
    put(event, "cloud.region", document.get("awsRegion"))
    put(event, "cloud.account.id", text_at(document, "userIdentity.accountId") or document.get("recipientAccountId"))
    put(event, "user_agent.original", document.get("userAgent"))
    put(event, "event.code", document.get("eventID"))
    put(event, "event.reason", document.get("errorMessage") or document.get("errorCode"))
    put_end(event, "source", given(document.get("sourceIPAddress")))
    if " " in str(event.get("source.domain", "")):
        del event["source.domain"]  # `AWS Internal` is no name of a host
    put(event, "tls.version", (text_at(document, "tlsDetails.tlsVersion") or "").removeprefix("TLSv"))
    put(event, "tls.cipher", text_at(document, "tlsDetails.cipherSuite"))
    put(event, "tls.client.server_name", text_at(document, "tlsDetails.clientProvidedHostHeader"))
    _user(document, event)
    for name, path in FIELDS.items():
        put(event, f"almena.cloudtrail.{name}", text_at(document, path))
    for name, path in _LONG.items():
        if document.get(path):
            event[f"almena.cloudtrail.{name}"] = as_text(document[path])[:8_000]
    return event


def _digest(document: dict[str, Any]) -> Event:
    """The digest that CloudTrail writes each hour, by which one proves that no record was changed or taken away."""
    event: Event = {
        "@timestamp": format_time(instant(as_text(document["digestEndTime"]), "UTC")),
        "event.category": ["file"],
        "event.type": ["info"],
        "event.outcome": "success",
        "cloud.provider": "aws",
    }
    put(event, "cloud.account.id", document.get("awsAccountId"))
    put(event, "file.path", document.get("digestS3Object"))
    return event


def _user(document: dict[str, Any], event: Event) -> None:
    """The user, or the role's name when somebody acts under one; a role's session is often called after a person."""
    put(event, "user.id", text_at(document, "userIdentity.principalId"))
    name = text_at(document, "userIdentity.sessionContext.sessionIssuer.userName")
    arn = text_at(document, "userIdentity.arn") or ""
    if name is None:
        name = text_at(document, "userIdentity.userName")
    if name is None and text_at(document, "userIdentity.type") == "Root":
        name = "root"
    if name is None and "/" in arn:
        name = arn.rpartition("/")[2]
    put(event, "user.name", name)
    if ":assumed-role/" in arn:
        session = arn.rpartition("/")[2]
        put(event, "almena.cloudtrail.session", session)
        if "@" in session:
            event["user.email"] = session
    request = value_at(document, "requestParameters")
    if isinstance(request, dict):
        put(event, "user.target.name", given(request.get("userName")))
        put(event, "user.changes.name", given(request.get("newUserName")))
        put(event, "group.name", given(request.get("groupName")))
    put(event, "user.target.id", text_at(document, "responseElements.user.userId"))
    put(event, "group.id", text_at(document, "responseElements.group.groupId"))


def _outcome(document: dict[str, Any]) -> str:
    if document.get("errorCode") or document.get("errorMessage"):
        return "failure"
    response = document.get("responseElements")
    if isinstance(response, dict):
        for name in ("ConsoleLogin", "CheckMfa", "SwitchRole"):
            if response.get(name) == "Failure":
                return "failure"
    return "success"


def _kind(service: str, action: str, reads: Any) -> tuple[list[str], list[str]]:
    if action in _SIGN_INS:
        return ["authentication"], ["start"]
    area = {"iam.amazonaws.com": "iam", "sts.amazonaws.com": "iam", "s3.amazonaws.com": "file"}.get(service)
    area = area or (
        "network" if any(word in action for word in ("SecurityGroup", "Vpc", "NetworkAcl")) else "configuration"
    )
    if reads is True or reads == "true" or action.startswith(_READS):
        return [area], ["access"]
    if action.startswith(_DELETES):
        return [area], ["deletion"]
    if action.startswith(_CREATES):
        return [area], ["creation"]
    return [area], ["change"]


FORMAT = Format(name="cloudtrail", dataset="aws.cloudtrail", convert=convert, fits=fits)
