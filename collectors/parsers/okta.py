"""Okta's System Log: sign-ins, changes of users, groups and policies, and what Okta thought of their risk.

{"uuid": "…", "published": "2026-11-22T19:34:00.000Z", "eventType": "user.session.start", "outcome": {"result":
 "FAILURE"}, "actor": {"alternateId": "ana@example.gob.mx"}, "client": {"ipAddress": "203.0.113.9"}, "target": [...]}
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

_OUTCOMES = {"SUCCESS": "success", "ALLOW": "success", "FAILURE": "failure", "DENY": "failure"}
_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARN": "warning", "ERROR": "error"}
_KINDS = (("create", "creation"), (".add", "creation"), ("delete", "deletion"), (".remove", "deletion"))
_MOST = 32

FIELDS = {
    "result": "outcome.result",
    "legacy_event_type": "legacyEventType",
    "is_proxy": "securityContext.isProxy",
    "request_uri": "debugContext.debugData.requestUri",
    "behaviors": "debugContext.debugData.behaviors",
    "risk": "debugContext.debugData.risk",
    "security_data": "debugContext.debugData.logOnlySecurityData",
    "device_fingerprint": "debugContext.debugData.deviceFingerprint",
    "factor": "debugContext.debugData.factor",
    "session": "authenticationContext.externalSessionId",
    "credential": "authenticationContext.credentialType",
    "transaction": "transaction.id",
}
"""Fields of their own under `almena.okta.`, and where they stand in the record."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of the System Log."""
    return "eventType" in document and "published" in document and "actor" in document


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError without a time."""
    written = text_at(document, "published")
    if written is None:
        raise ParseError("a record of Okta without a time")
    action = text_at(document, "eventType") or "unknown"
    event: Event = {
        "@timestamp": format_time(instant(written, "UTC")),
        "event.action": action,
        "event.outcome": _OUTCOMES.get((text_at(document, "outcome.result") or "").upper(), "unknown"),
        "event.provider": "Okta",
    }
    event["event.category"], event["event.type"] = _kind(action)
    put(event, "event.reason", text_at(document, "outcome.reason"))
    put(event, "event.code", text_at(document, "uuid"))
    put(event, "message", text_at(document, "displayMessage"))
    put(event, "log.level", _LEVELS.get(text_at(document, "severity") or ""))
    caller = text_at(document, "client.ipAddress") or text_at(document, "request.ipChain.0.ip")
    put_end(event, "source", caller)
    put(event, "client.ip", event.get("source.ip"))
    put(event, "user_agent.original", text_at(document, "client.userAgent.rawUserAgent"))
    _people(document, event)
    for name, path in FIELDS.items():
        put(event, f"almena.okta.{name}", text_at(document, path))
    return event


def _people(document: dict[str, Any], event: Event) -> None:
    login = text_at(document, "actor.alternateId")
    number = text_at(document, "actor.id")
    full_name = text_at(document, "actor.displayName")
    for who in ("user", "source.user", "client.user"):
        put_user(event, login, who)
        put(event, f"{who}.id", number)
        put(event, f"{who}.full_name", full_name)
    if login is not None and "@" in login:
        event["user.email"] = login
    targets = value_at(document, "target")
    names = []
    for target in targets[:_MOST] if isinstance(targets, list) else ():
        kind = (text_at(target, "type") or "").lower()
        name = text_at(target, "displayName")
        if name is not None:
            names.append(name)
        if "user" in kind and "user.target.id" not in event:
            put(event, "user.target.id", text_at(target, "id"))
            put(event, "user.target.full_name", name)
            put_user(event, text_at(target, "alternateId"), "user.target")
            put(event, "user.target.email", text_at(target, "login"))
        elif "group" in kind and "group.id" not in event:
            put(event, "group.id", text_at(target, "id"))
            put(event, "group.name", name)
    if names:
        event["almena.okta.targets"] = names


def _kind(action: str) -> tuple[list[str], list[str]]:
    if action.startswith(("user.session.", "user.authentication.", "policy.evaluate_sign_on", "user.mfa.attempt")):
        return ["authentication"], ["end" if action.endswith(".end") else "start"]
    kind = next((kind for word, kind in _KINDS if word in action), "change")
    if action.startswith(("user.", "group.", "application.user_membership")):
        return ["iam"], ["group" if action.startswith("group.") else "user", kind]
    if action.startswith(("policy.", "application.", "zone.", "system.")):
        return ["configuration"], [kind if not action.startswith("system.") else "info"]
    return ["iam"], ["info"]


FORMAT = Format(name="okta", dataset="okta.system", convert=convert, fits=fits, words=False)
