"""Google Cloud's audit logs: who called which method of which service, from where, and whether it was granted.

{"logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": "2026-11-22T19:34:00Z",
 "protoPayload": {"methodName": "...", "serviceName": "...", "authenticationInfo": {"principalEmail": "..."}}}
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_user

_INTERNAL = frozenset(("gce-internal-ip", "private"))
_KINDS = (
    (("delete", "remove"), "deletion"),
    (("create", "insert", "add"), "creation"),
    (("get", "list", "read", "search", "query"), "access"),
)
_MOST = 32

FIELDS = {
    "resource_name": "protoPayload.resourceName",
    "subject": "protoPayload.authenticationInfo.principalSubject",
    "resource_type": "resource.type",
    "status": "protoPayload.status.code",
    "location": "protoPayload.resourceLocation.currentLocations.0",
}
"""Fields of their own under `almena.gcp_audit.`, and where they stand in the record."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an entry of an audit log, bare or in the envelope of a sink."""
    inner = _entry(document)
    payload = inner.get("protoPayload")
    return isinstance(payload, dict) and ("methodName" in payload or "authenticationInfo" in payload)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one entry; raises ParseError without a time."""
    entry = _entry(document)
    written = text_at(entry, "timestamp") or text_at(entry, "receiveTimestamp")
    if written is None:
        raise ParseError("an entry of Google Cloud's audit log without a time")
    action = text_at(entry, "protoPayload.methodName") or "unknown"
    event: Event = {
        "@timestamp": format_time(instant(written, "UTC")),
        "event.action": action,
        "cloud.provider": "gcp",
    }
    put(event, "event.provider", (text_at(entry, "logName") or "").rpartition("%2F")[2])
    put(event, "log.logger", text_at(entry, "logName"))
    put(event, "log.level", text_at(entry, "severity"))
    put(event, "event.code", text_at(entry, "insertId"))
    put(event, "service.name", text_at(entry, "protoPayload.serviceName"))
    put(event, "event.reason", text_at(entry, "protoPayload.status.message"))
    put(event, "cloud.project.id", text_at(entry, "resource.labels.project_id"))
    put(event, "cloud.instance.id", text_at(entry, "resource.labels.instance_id"))
    put(event, "user_agent.original", text_at(entry, "protoPayload.requestMetadata.callerSuppliedUserAgent"))
    caller = text_at(entry, "protoPayload.requestMetadata.callerIp")
    put_end(event, "source", caller if caller not in _INTERNAL else None)
    email = text_at(entry, "protoPayload.authenticationInfo.principalEmail")
    put_user(event, email)
    put(event, "user.email", email)
    put(event, "client.user.email", email)
    put(event, "client.user.id", text_at(entry, "protoPayload.authenticationInfo.principalSubject"))
    _granted(entry, event, action)
    for name, path in FIELDS.items():
        put(event, f"almena.gcp_audit.{name}", text_at(entry, path))
    return event


def _entry(document: dict[str, Any]) -> dict[str, Any]:
    inner = document.get("data")
    return inner if isinstance(inner, dict) and "protoPayload" in inner else document


def _granted(entry: dict[str, Any], event: Event, action: str) -> None:
    """Whether it was granted: by the status, else by the one permission that was asked for."""
    asked = value_at(entry, "protoPayload.authorizationInfo")
    asked = [each for each in asked[:_MOST] if isinstance(each, dict)] if isinstance(asked, list) else []
    permissions = [name for each in asked if (name := text_at(each, "permission")) is not None]
    if permissions:
        event["almena.gcp_audit.permissions"] = permissions
        event["almena.gcp_audit.granted"] = "true" if all(each.get("granted") is True for each in asked) else "false"
    code = value_at(entry, "protoPayload.status.code")
    event["event.outcome"] = "unknown"
    if code is not None:
        event["event.outcome"] = "success" if code == 0 else "failure"
    elif len(asked) == 1:
        event["event.outcome"] = "success" if asked[0].get("granted") is True else "failure"
    verb = action.rpartition(".")[2].lower()
    kind = next((kind for words, kind in _KINDS if verb.startswith(words)), "change")
    event["event.category"] = ["network", "configuration"] if len(asked) == 1 else ["configuration"]
    event["event.type"] = [kind]
    if len(asked) == 1:
        event["event.type"].append("allowed" if asked[0].get("granted") is True else "denied")


FORMAT = Format(name="gcp_audit", dataset="gcp.audit", convert=convert, fits=fits, words=False)
