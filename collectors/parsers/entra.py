"""Microsoft Entra ID: sign-ins, changes of the directory, risk detections and provisioning, and Azure's activity log.

    {"time": "2026-11-22T19:34:00Z", "category": "SignInLogs", "resultType": "50126",
     "callerIpAddress": "203.0.113.9", "properties": {"userPrincipalName": "ana@example.gob.mx", ...}}

Understood are the records of diagnostic settings (with `properties`) and those of Microsoft Graph (without).
"""

from __future__ import annotations

from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, given, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_end, put_user

_SIGN_INS = ("signinlogs", "noninteractiveusersigninlogs", "serviceprincipalsigninlogs", "managedidentitysigninlogs")
_SETS = {
    **dict.fromkeys(_SIGN_INS, "azure.signinlogs"),
    "adfssigninlogs": "azure.signinlogs",
    "auditlogs": "azure.auditlogs",
    "riskyusers": "azure.identity_protection",
    "userriskevents": "azure.identity_protection",
    "provisioninglogs": "azure.provisioning",
}
_TIMES = ("createdDateTime", "activityDateTime", "detectedDateTime", "time", "eventTimestamp")

SIGN_IN_FIELDS = {
    "app": "appDisplayName",
    "app_id": "appId",
    "client_app": "clientAppUsed",
    "conditional_access": "conditionalAccessStatus",
    "requirement": "authenticationRequirement",
    "resource": "resourceDisplayName",
    "risk_level": "riskLevelDuringSignIn",
    "risk_state": "riskState",
    "correlation_id": "correlationId",
    "device_id": "deviceDetail.deviceId",
    "device_compliant": "deviceDetail.isCompliant",
    "device_trust": "deviceDetail.trustType",
    "tenant_id": "resourceTenantId",
    "user_type": "userType",
    "token_issuer": "tokenIssuerType",
    "risk_event": "riskEventType",
    "service_principal": "servicePrincipalName",
}
"""Fields of their own under `almena.entra.`, and where they stand in the properties."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is a record of Entra ID or of Azure's activity log."""
    if "operationName" in document and ("category" in document or "tenantId" in document or "resourceId" in document):
        return "protoPayload" not in document
    return "userPrincipalName" in document and ("appDisplayName" in document or "riskEventType" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError when it has no time that can be read."""
    inner = document.get("properties")
    facts: dict[str, Any] = inner if isinstance(inner, dict) else document
    category = (text_at(document, "category") or "").lower()
    category = category if category in _SETS else _guess(facts, category)
    event: Event = {
        "@timestamp": format_time(_time(document, facts, context)),
        "event.dataset": _SETS.get(category, "azure.activitylogs"),
        "event.provider": "Microsoft Entra ID" if category in _SETS else "Azure",
        "cloud.provider": "azure",
    }
    where = text_at(facts, "ipAddress") or text_at(document, "callerIpAddress") or ""
    host, colon, port = where.rpartition(":")
    with_port = colon and port.isdigit() and (address(host.strip("[]")) is not None) and address(where) is None
    put_end(event, "source", *((host.strip("[]"), port) if with_port else (where,)))
    put(event, "almena.entra.correlation_id", document.get("correlationId"))
    put(event, "almena.entra.tenant_id", document.get("tenantId"))
    for name, path in SIGN_IN_FIELDS.items():
        put(event, f"almena.entra.{name}", text_at(facts, path))
    match event["event.dataset"]:
        case "azure.signinlogs":
            _sign_in(document, facts, event)
        case "azure.auditlogs":
            _audit(document, facts, event)
        case "azure.identity_protection":
            _risk(facts, event)
        case _:
            _activity(document, facts, event)
    return event


def _guess(facts: dict[str, Any], category: str) -> str:
    if "riskEventType" in facts:
        return "userriskevents"
    if "activityDisplayName" in facts:
        return "auditlogs"
    if "userPrincipalName" in facts and "appDisplayName" in facts:
        return "signinlogs"
    return category


def _time(document: dict[str, Any], facts: dict[str, Any], context: Context) -> int:
    for name in _TIMES:
        for place in (facts, document):
            written = place.get(name)
            if isinstance(written, str) and written[:4].isdigit():
                return instant(written, "UTC")
    raise ParseError("a record of Entra ID without a time")


def _sign_in(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    code = text_at(facts, "status.errorCode") or text_at(document, "resultType") or "0"
    failed = code not in ("0", "success", "Success")
    event |= {
        "event.action": "Sign-in activity",
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.outcome": "failure" if failed else "success",
        "event.code": code,
    }
    if failed:
        put(event, "event.reason", text_at(facts, "status.failureReason") or text_at(document, "resultDescription"))
    name = text_at(facts, "userPrincipalName") or text_at(document, "identity")
    put_user(event, name)
    if name is not None and "@" in name:
        event["user.email"] = name
    if "user.name" not in event:
        put(event, "user.name", text_at(facts, "servicePrincipalName"))
    put(event, "user.id", text_at(facts, "userId") or text_at(facts, "servicePrincipalId"))
    put(event, "user.full_name", text_at(facts, "userDisplayName"))
    put(event, "user_agent.original", text_at(facts, "userAgent"))
    put(event, "host.name", text_at(facts, "deviceDetail.displayName"))
    put(event, "host.os.name", text_at(facts, "deviceDetail.operatingSystem"))
    _place(facts, event)


def _place(facts: dict[str, Any], event: Event) -> None:
    put(event, "source.geo.city_name", text_at(facts, "location.city"))
    put(event, "source.geo.region_name", text_at(facts, "location.state"))
    country = text_at(facts, "location.countryOrRegion")
    if country is not None and len(country) == 2:
        event["source.geo.country_iso_code"] = country


def _audit(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    action = text_at(facts, "activityDisplayName") or text_at(document, "operationName") or "unknown"
    result = (text_at(facts, "result") or text_at(document, "resultSignature") or "").lower()
    verb = (text_at(facts, "operationType") or action).lower()
    kinds = (("add", "creation"), ("create", "creation"), ("delete", "deletion"), ("remove", "deletion"))
    kind = next((kind for word, kind in kinds if word in verb), "change")
    area = (text_at(facts, "category") or "").lower()
    event |= {
        "event.action": action,
        "event.category": ["iam"]
        if area in ("usermanagement", "groupmanagement", "rolemanagement")
        else ["configuration"],
        "event.type": [{"usermanagement": "user", "groupmanagement": "group"}.get(area, "admin"), kind]
        if area in ("usermanagement", "groupmanagement", "rolemanagement")
        else [kind],
        "event.outcome": {"success": "success", "failure": "failure", "none": "success"}.get(result, "unknown"),
    }
    put(event, "event.reason", text_at(facts, "resultReason"))
    put(event, "almena.entra.audit_category", text_at(facts, "category"))
    put(event, "almena.entra.logged_by", text_at(facts, "loggedByService"))
    by = value_at(facts, "initiatedBy.user")
    if isinstance(by, dict):
        put_user(event, given(by.get("userPrincipalName")) or given(by.get("displayName")))
        put(event, "user.id", text_at(by, "id"))
        if "source.ip" not in event:
            put_end(event, "source", text_at(by, "ipAddress"))
    else:
        put(event, "user.name", text_at(facts, "initiatedBy.app.displayName"))
    target = value_at(facts, "targetResources.0")
    if isinstance(target, dict):
        put_user(event, text_at(target, "userPrincipalName"), "user.target")
        put(event, "user.target.id", text_at(target, "id"))
        put(event, "almena.entra.target", text_at(target, "displayName"))


def _risk(facts: dict[str, Any], event: Event) -> None:
    event |= {
        "event.kind": "alert",
        "event.action": text_at(facts, "riskEventType") or text_at(facts, "riskDetail") or "risk",
        "event.category": ["iam"],
        "event.type": ["info"],
        "event.outcome": "unknown",
    }
    put_user(event, text_at(facts, "userPrincipalName"))
    put(event, "user.id", text_at(facts, "userId") or text_at(facts, "id"))
    put(event, "user.full_name", text_at(facts, "userDisplayName"))
    put(event, "almena.entra.risk_level", text_at(facts, "riskLevel"))
    _place(facts, event)


def _activity(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    action = text_at(document, "operationName.value") or text_at(document, "operationName") or "unknown"
    result = (text_at(document, "resultType") or text_at(document, "status.value") or "").lower()
    outcome = "success" if result.startswith("succ") else "failure" if result.startswith("fail") else "unknown"
    verb = action.rpartition("/")[2].lower()
    kind = {"delete": "deletion", "write": "change", "action": "change", "read": "access"}.get(verb, "info")
    event |= {
        "event.action": action,
        "event.category": ["configuration"],
        "event.type": [kind],
        "event.outcome": outcome,
    }
    claims = value_at(document, "identity.claims")
    who = text_at(document, "caller")
    if isinstance(claims, dict):
        who = who or next((given(value) for name, value in claims.items() if name.endswith(("/upn", "/name"))), None)
        put(event, "user.full_name", text_at(claims, "name"))
    put_user(event, who)
    put(event, "almena.entra.resource", text_at(document, "resourceId"))


FORMAT = Format(name="entra", dataset="azure.activitylogs", convert=convert, fits=fits)
