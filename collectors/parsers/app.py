"""The institution's own applications: JSON lines of schema `app`, version 1, checked and made flat.

    {"@timestamp": "2026-11-22T13:34:00-06:00", "event.dataset": "app.payments", "event.action": "line_paid",
     "event.outcome": "success", "almena.payment.line": "0042", "almena.payment.amount": "1250.00"}

Nested and dotted names are the same. Errors say which field is wrong and what it should be, without its value.
`session.id` becomes `almena.session.id`, the application's own `event.id` becomes `almena.app.event_id`, and fields
the schema does not have are kept under `almena.app.<name>` as text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from almena.clock import format_time
from almena.ecs import fields as ecs_fields
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import as_text, flat, instant, json_object, number
from collectors.parsers.ecs import OWN

ACTIONS: dict[str, frozenset[str]] = {
    dataset: frozenset(actions.split())
    for dataset, actions in {
        "app.payments": "line_created line_paid line_expired line_reversed refund_requested refund_approved "
        "refund_paid clabe_changed reconciliation_closed",
        "app.tramites": "account_created login login_failed password_reset mfa_changed search procedure_started "
        "document_uploaded appointment_taken procedure_resolved",
        "app.registry": "folio_viewed folio_changed annotation_added certificate_issued notary_login seal_used",
        "app.posts": "call_opened call_closed list_published list_changed score_changed candidate_viewed post_assigned",
        "app.api": "token_issued token_used token_revoked call",
        "app.identity": "login login_failed logout role_granted role_revoked certificate_registered certificate_used",
        "app.audit": "read export query",
    }.items()
}
"""The actions of every data set."""

_OUTCOMES = ("success", "failure", "unknown")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_AMOUNT = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_RENAMED = {"session.id": "almena.session.id", "event.id": "almena.app.event_id"}
_COMMON = frozenset(
    (
        "@timestamp",
        "event.dataset",
        "event.action",
        "event.outcome",
        "event.reason",
        "organization.id",
        "organization.name",
        "service.name",
        "host.name",
        "source.ip",
        "source.port",
        "user_agent.original",
        "user.id",
        "user.name",
        "user.roles",
        "trace.id",
        "message",
        "file.name",
        "file.size",
        "file.hash.sha256",
        "file.mime_type",
    )
)
_FAMILIES = ("http.", "url.", "user.target.")
_LOGINS = {"login": "start", "login_failed": "start", "notary_login": "start", "logout": "end"}


def parse(raw: bytes, context: Context) -> Event:
    """One event from one JSON line of schema `app`; raises ParseError that names the field."""
    return convert(json_object(raw), context)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of a record that was decoded already."""
    fields = flat(document)
    moment = _time(fields)
    _head(fields)
    event: Event = {"event.kind": "event"}
    for name, value in fields.items():
        event |= _field(name, value)
    event["@timestamp"] = format_time(moment)
    event.setdefault("event.outcome", "unknown")
    kind = _LOGINS.get(event["event.action"])
    if kind is not None:
        event |= {"event.category": ["authentication"], "event.type": [kind]}
    return event


def _time(fields: Event) -> int:
    value = fields.get("@timestamp")
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ParseError("@timestamp must be RFC 3339 with an offset, such as '2026-11-22T13:34:00-06:00'")
    return instant(value, "UTC")


def _head(fields: Event) -> None:
    dataset, action = fields.get("event.dataset"), fields.get("event.action")
    actions = ACTIONS.get(dataset) if isinstance(dataset, str) else None
    if actions is None:
        raise ParseError(f"event.dataset must be one of {', '.join(sorted(ACTIONS))}")
    if not isinstance(action, str) or action not in actions:
        raise ParseError(f"event.action of {dataset} must be one of {', '.join(sorted(actions))}")
    if fields.get("event.outcome", "unknown") not in _OUTCOMES:
        raise ParseError(f"event.outcome must be one of {', '.join(_OUTCOMES)}")


@lru_cache(maxsize=4_096)
def _place(name: str) -> tuple[str, str]:
    """Where a field goes and the type it has there; what the schema does not have goes under `almena.app.` as text."""
    known = ecs_fields().get(name)
    if name in _RENAMED:
        return _RENAMED[name], "keyword"
    if known is not None and not name.startswith(OWN) and name not in ("almena.alert", "almena.anomaly"):
        if name in _COMMON or name.startswith(_FAMILIES):
            return name, known.type
        if name.startswith("almena."):
            return name, f"almena {known.type}"
    return f"almena.app.{name.removeprefix('almena.').removeprefix('app.')}", "text"


def _field(name: str, value: Any) -> Event:
    target, kind = (_place if len(name) <= 256 else _place.__wrapped__)(name)
    if kind == "text":
        return {target: [as_text(item) for item in value] if isinstance(value, list) else as_text(value)}
    if kind in ("long", "almena long"):
        whole = number(value) if not isinstance(value, bool) else None
        if whole is None:
            raise ParseError(f"{name} must be a whole number")
        return {target: whole}
    if kind == "almena keyword" and not _texts(value):
        raise ParseError(f"{name} must be a string, for identifiers of the state are never numbers")
    if kind == "almena double":
        return {target: _decimal(name, value)}
    if kind == "almena boolean" and not isinstance(value, bool):
        raise ParseError(f"{name} must be true or false")
    if kind == "almena date":
        if not isinstance(value, str) or _TIME.fullmatch(value) is None:
            raise ParseError(f"{name} must be RFC 3339 with an offset, such as '2026-11-22T13:34:00-06:00'")
        return {target: format_time(instant(value, "UTC"))}
    if kind == "keyword" and isinstance(value, (int, float)):
        return {target: as_text(value)}
    return {target: value}


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _decimal(name: str, value: Any) -> Any:
    if isinstance(value, str) and _AMOUNT.fullmatch(value) is not None:
        return value
    if name != "almena.payment.amount" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ParseError(f"{name} must be a decimal string such as '1250.00'")
