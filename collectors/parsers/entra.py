"""Microsoft Entra ID: sign-ins, the directory, risks, provisioning, calls of Microsoft Graph; Azure's activity log.

    {"time": "2026-11-22T19:34:00Z", "category": "SignInLogs", "resultType": "50126",
     "callerIpAddress": "203.0.113.9", "properties": {"userPrincipalName": "ana@example.gob.mx", ...}}

Understood are the records of diagnostic settings (with `properties`) and those of Microsoft Graph (without).
"""

from __future__ import annotations

import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event, decode
from collectors.base import Context
from collectors.parsers.common import address, given, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put, text_at, value_at
from collectors.parsers.network import put_count, put_end, put_url, put_user

_SIGN_INS = ("signinlogs", "noninteractiveusersigninlogs", "serviceprincipalsigninlogs", "managedidentitysigninlogs")
_SETS = {
    **dict.fromkeys(_SIGN_INS, "azure.signinlogs"),
    "adfssigninlogs": "azure.signinlogs",
    "auditlogs": "azure.auditlogs",
    "riskyusers": "azure.identity_protection",
    "userriskevents": "azure.identity_protection",
    "riskyserviceprincipals": "azure.identity_protection",
    "serviceprincipalriskevents": "azure.identity_protection",
    "provisioninglogs": "azure.provisioning",
    "microsoftgraphactivitylogs": "azure.graphactivitylogs",
}
_TIMES = ("time", "activityDateTime", "detectedDateTime", "timeGenerated", "eventTimestamp", "createdDateTime")
_AMERICAN = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d):(\d\d)(\.\d{1,7})?(?: ([AP])M)?(?: ?([+-]\d\d:\d\d|Z))?", re.ASCII
)
_NAME_CLAIMS = (
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
)
_NOWHERE = ("0.0.0.0", "::", "<null>")  # noqa: S104 - what stands for no address
_PERSON = "http://schemas.microsoft.com/identity/claims/objectidentifier"

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
    category = document.get("category")
    if isinstance(category, str) and "time" in document and category.lower() in _SETS:
        return True
    return "userPrincipalName" in document and ("appDisplayName" in document or "riskEventType" in document)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one record; raises ParseError when it has no time that can be read."""
    facts = _within(document.get("properties")) or document
    category = (text_at(document, "category") or "").lower()
    category = category if category in _SETS else _guess(facts, category)
    event: Event = {
        "@timestamp": format_time(_time(document, facts, category)),
        "event.dataset": _SETS.get(category, "azure.activitylogs"),
        "event.provider": "Microsoft Entra ID" if category in _SETS else "Azure",
        "cloud.provider": "azure",
    }
    _put_source(event, text_at(document, "callerIpAddress") or text_at(facts, "ipAddress"))
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
            _risk(document, facts, event)
        case "azure.provisioning":
            _provisioning(document, facts, event)
        case "azure.graphactivitylogs":
            _graph(document, facts, event)
        case _:
            _activity(document, facts, event)
    return event


def _within(value: Any) -> dict[str, Any] | None:
    """An object, or the one that a text holds: some exports write it so."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            return decode(value.encode("utf-8", "replace"))
        except ParseError:
            return None
    return value if isinstance(value, dict) else None


def _put_source(event: Event, where: str | None) -> None:
    """The caller, as `192.0.2.1`, `192.0.2.1:41000`, `2001:db8::7` or `[2001:db8::7]:41000`."""
    if where is None:
        return
    if address(where) is not None:
        put_end(event, "source", where)
        return
    host, _, port = where.rpartition(":")
    if port.isdigit() and address(host.strip("[]")) is not None:
        put_end(event, "source", host.strip("[]"), port)
    else:
        put_end(event, "source", where.strip("[]"))
        if ":" in event.get("source.domain", ""):
            del event["source.domain"]  # no host is called so; it is no address either


def _guess(facts: dict[str, Any], category: str) -> str:
    if "riskEventType" in facts:
        return "userriskevents"
    if "activityDisplayName" in facts:
        return "auditlogs"
    if "userPrincipalName" in facts and "appDisplayName" in facts:
        return "signinlogs"
    return category


def _time(document: dict[str, Any], facts: dict[str, Any], category: str) -> int:
    """When it happened: of a sign-in when it began, since its record's own time is when it was written."""
    names = ("createdDateTime", *_TIMES) if _SETS.get(category) == "azure.signinlogs" else _TIMES
    for name in names:
        for place in (document, facts):
            written = place.get(name)
            if isinstance(written, str) and (moment := _moment(written)) is not None:
                return moment
    raise ParseError("a record of Entra ID without a time")


def _moment(written: str) -> int | None:
    """ISO 8601, or as the United States write it: `11/22/2026 7:34:00 PM`; UTC unless it says otherwise."""
    if american := _AMERICAN.fullmatch(written):
        month, day, year, hour, minute, second, part, half, zone = american.groups()
        hours = int(hour) % 12 + (12 if half == "P" else 0) if half else int(hour)
        written = f"{year}-{month:0>2}-{day:0>2}T{hours:02}:{minute}:{second}{part or ''}{zone or 'Z'}"
    if not written[:4].isdigit():
        return None
    try:
        return instant(written, "UTC")
    except ParseError:
        return None


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
    action = text_at(document, "operationName") or text_at(facts, "activityDisplayName") or "unknown"
    result = (text_at(facts, "result") or text_at(document, "resultType") or "").lower()
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
        "event.outcome": {"success": "success", "failure": "failure"}.get(result, "unknown"),
    }
    put(event, "event.reason", text_at(facts, "resultReason") or text_at(document, "resultDescription"))
    put(event, "almena.entra.audit_category", text_at(facts, "category"))
    put(event, "almena.entra.logged_by", text_at(facts, "loggedByService"))
    by = value_at(facts, "initiatedBy.user")
    if isinstance(by, dict):
        put_user(event, given(by.get("userPrincipalName")) or given(by.get("displayName")))
        put(event, "user.id", text_at(by, "id"))
        if "source.address" not in event and by.get("ipAddress") not in _NOWHERE:
            _put_source(event, text_at(by, "ipAddress"))
    else:
        put(event, "user.name", text_at(facts, "initiatedBy.app.displayName"))
    target = value_at(facts, "targetResources.0")
    if isinstance(target, dict):
        put_user(event, text_at(target, "userPrincipalName"), "user.target")
        put(event, "user.target.id", text_at(target, "id"))
        put(event, "almena.entra.target", text_at(target, "displayName"))


def _risk(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    event |= {
        "event.kind": "alert",
        "event.action": text_at(document, "operationName") or text_at(facts, "riskEventType") or "risk",
        "event.category": ["iam"],
        "event.type": ["info"],
        "event.outcome": "unknown",
    }
    put(event, "event.reason", text_at(facts, "riskEventType") or text_at(facts, "riskDetail"))
    name = text_at(facts, "userPrincipalName")
    put_user(event, name)
    if name is not None and "@" in name:
        event["user.email"] = name
    put(event, "user.id", text_at(facts, "userId") or text_at(facts, "id"))
    put(event, "user.full_name", text_at(facts, "userDisplayName"))
    put(event, "almena.entra.risk_level", text_at(facts, "riskLevel"))
    _place(facts, event)


def _provisioning(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    """An account that is carried over to another system, or taken away there."""
    verb = (text_at(facts, "provisioningAction") or text_at(facts, "action") or "").lower()
    kind = {"create": "creation", "delete": "deletion", "disable": "change", "update": "change"}.get(verb, "info")
    event |= {
        "event.action": text_at(document, "operationName") or "Provisioning activity",
        "event.category": ["iam"],
        "event.type": ["user", kind],
        "event.outcome": _outcome(text_at(document, "resultType") or text_at(facts, "provisioningStatusInfo.Status")),
    }
    put(event, "event.reason", text_at(document, "resultDescription"))
    put_user(event, text_at(facts, "initiatedBy.Name") or text_at(facts, "initiatedBy.displayName"))
    put(event, "user.id", text_at(facts, "initiatedBy.Id") or text_at(facts, "initiatedBy.id"))
    target = text_at(facts, "sourceIdentity.details.UserPrincipalName") or text_at(facts, "sourceIdentity.Name")
    put_user(event, target, "user.target")
    put(event, "user.target.id", text_at(facts, "sourceIdentity.Id") or text_at(facts, "sourceIdentity.id"))
    put(event, "almena.entra.target", text_at(facts, "targetSystem.Name") or text_at(facts, "targetSystem.displayName"))


def _graph(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    """A call of Microsoft Graph."""
    status = number(text_at(facts, "responseStatusCode") or text_at(document, "resultSignature"))
    method = text_at(facts, "requestMethod")
    event |= {
        "event.action": text_at(document, "operationName") or "Microsoft Graph Activity",
        "event.category": ["api"],
        "event.type": ["access"] if method in (None, "GET", "HEAD") else ["change"],
        "event.outcome": "unknown" if status is None else "success" if status < 400 else "failure",
    }
    if status is not None:
        event["http.response.status_code"] = status
    put(event, "http.request.method", method)
    put(event, "http.request.id", text_at(facts, "requestId"))
    put_count(event, "http.response.bytes", facts.get("responseSizeBytes"))
    put_url(event, text_at(facts, "requestUri"))
    put(event, "user.id", text_at(facts, "userId") or text_at(facts, "servicePrincipalId"))
    put(event, "user_agent.original", text_at(facts, "userAgent"))


def _outcome(result: str | None) -> str:
    word = (result or "").lower()
    return "success" if word.startswith("succ") else "failure" if word.startswith("fail") else "unknown"


def _activity(document: dict[str, Any], facts: dict[str, Any], event: Event) -> None:
    action = text_at(document, "operationName.value") or text_at(document, "operationName") or "unknown"
    outcome = _outcome(text_at(document, "resultType") or text_at(document, "status.value"))
    verb = action.rpartition("/")[2].lower()
    kind = {"delete": "deletion", "write": "change", "action": "change", "read": "access"}.get(verb, "info")
    event |= {
        "event.action": action,
        "event.category": ["configuration"],
        "event.type": [kind],
        "event.outcome": outcome if outcome != "unknown" else _outcome(text_at(facts, "result")),
    }
    put(event, "event.reason", text_at(facts, "statusMessage") or text_at(document, "resultDescription"))
    identity = _within(document.get("identity")) or {}
    claims = _within(identity.get("claims")) or _within(document.get("claims"))
    who = text_at(document, "caller")
    if claims is not None:
        who = who or next((found for name in _NAME_CLAIMS if (found := given(claims.get(name))) is not None), None)
        put(event, "user.full_name", given(claims.get("name")))
        put(event, "user.id", given(claims.get(_PERSON)))
        if "source.address" not in event:
            _put_source(event, given(claims.get("ipaddr")))
    put_user(event, who)
    if who is not None and "@" in who:
        event["user.email"] = who
    put(event, "almena.entra.resource", text_at(document, "resourceId"))


FORMAT = Format(name="entra", dataset="azure.activitylogs", convert=convert, fits=fits)
