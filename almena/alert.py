"""An alert: the ECS document that says what a rule or a model found, for whom, why and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from almena.clock import DAY, format_time, to_datetime
from almena.ecs import check
from almena.event import Event

Alert: TypeAlias = dict[str, Any]
"""One flat ECS document with `event.kind: alert`; its identity stands in `almena.alert.id`."""

SEVERITY = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""Sigma's levels as `event.severity`; `informational` is stored and never paged."""

LEVELS = {number: name for name, number in SEVERITY.items()}

QUIET = ("history", "shadow")
"""States of alerts that are kept apart: tagged, there for who asks for them, told to nobody, in groups of their own,
not to be decided about, and not counted among the others."""

BACKFILL = "almena.alert.backfill"
"""The run of `almena backfill` that found an alert in history."""

ENTITY_FIELDS = (
    "user.name",
    "source.ip",
    "host.name",
    "almena.citizen.curp",
    "almena.account.clabe",
    "almena.folio.id",
    "almena.api.client",
    "service.name",
    "organization.id",
)
"""Whom an alert is about when its rule does not say: the first of these that the event has."""

_OF_EVENT = ("event.dataset", "event.category", "event.type", "event.action", "event.outcome", "event.code")
"""What an alert takes from its first event's `event.*`."""

_NOT_OF_EVENT = ("event.", "almena.alert.")
"""How the names begin that an alert does not take: no event says that its alert is to be kept apart."""

_RELATED = {
    "related.ip": ("source.ip", "destination.ip", "client.ip", "server.ip", "host.ip"),
    "related.user": ("user.name", "user.target.name", "user.effective.name"),
    "related.hosts": ("host.name", "destination.domain", "url.domain", "dns.question.name"),
    "related.hash": ("file.hash.sha256", "process.hash.sha256", "process.hash.md5"),
}


def alert_id(start: int, *parts: str, appended: int, retention: int = 400 * DAY) -> str:
    """The id of an alert: `YYYYMM-` of its immutable start, then a hash of what makes it this alert.

    `start` and `appended` are microseconds; the month is clamped to [appended - retention, appended + 1 day]
    so that an event with an absurd time cannot open an index of its own.
    """
    moment = to_datetime(min(max(start, appended - retention), appended + DAY))
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{moment:%Y%m}-{digest.hexdigest()}"


def quiet_state(alert: Mapping[str, Any]) -> str:
    """Which of `QUIET` an alert begins in, or `` when it is for people; what is found in history is history, also
    when its rule is in shadow (both tags stay)."""
    if alert.get(BACKFILL):
        return "history"
    return "shadow" if alert.get("almena.alert.shadow") is True else ""


def entity_of(event: Event, fields: Sequence[str] = ENTITY_FIELDS) -> str:
    """`field=value` of the first field the event has, or `` when it has none."""
    for field in fields:
        value = event.get(field)
        if isinstance(value, list):
            value = value[0] if value else None
        if value not in (None, ""):
            return f"{field}={value}"
    return ""


def build(
    *,
    identity: str,
    rule: Mapping[str, Any],
    level: str,
    reason: str,
    words: Mapping[str, Mapping[str, str]],
    first: Event,
    last: Event | None = None,
    count: int = 1,
    explanation: Mapping[str, Any] | None = None,
    entity: str | None = None,
    revision: tuple[int, int] = (0, 1),
    extra: Mapping[str, Any] | None = None,
) -> Alert:
    """One alert document.

    `rule` has `id`, `name`, `version`, and may have `reference`, `tags` (Sigma's), `description`, `license` and
    `author`; `words` maps `es` and `en` to the rendered texts (`title`, `what_happened`, `what_to_do`, ...); `first`
    and `last` are the events (or the hit's fields) it rests on; `revision` is (watermark, count): the highest wins.
    """
    last = first if last is None else last
    return check(
        {name: value for name, value in first.items() if not name.startswith(_NOT_OF_EVENT) or name in _OF_EVENT}
        | dict(extra or {})
        | _event(first, last, level, reason)
        | _rule(rule)
        | {
            "@timestamp": first["@timestamp"],
            "message": str(rule["name"]),
            "almena.alert.id": identity,
            "almena.alert.level": level,
            "almena.alert.count": count,
            "almena.alert.entity": entity_of(first) if entity is None else entity,
            "almena.alert.first_seen": first["@timestamp"],
            "almena.alert.last_seen": last["@timestamp"],
            "almena.alert.revision": list(revision),
            "almena.alert.words": {language: dict(texts) for language, texts in words.items()},
            "almena.alert.explanation": dict(explanation or {}),
            "almena.alert.evidence": {"first": dict(first), "last": dict(last)},
        }
        | _related(first, last)
    )


def _event(first: Event, last: Event, level: str, reason: str) -> Alert:
    return {
        "event.kind": "alert",
        "event.module": "almena",
        "event.id": str(first.get("event.id", "")),
        "event.severity": SEVERITY[level],
        "event.risk_score": float(SEVERITY[level]),
        "event.reason": reason,
        "event.start": first["@timestamp"],
        "event.end": last["@timestamp"],
    }


def _rule(rule: Mapping[str, Any]) -> Alert:
    found: Alert = {"rule.id": str(rule["id"]), "rule.name": str(rule["name"])}
    found["rule.version"] = str(rule.get("version", ""))
    for name in ("reference", "description", "license"):
        if rule.get(name):
            found[f"rule.{name}"] = str(rule[name])
    if isinstance(author := rule.get("author"), str):
        found["rule.author"] = [name for part in author.split(",") if (name := part.strip())]
    return found | threat(rule.get("tags") or ())


def _related(first: Event, last: Event) -> Alert:
    found = {}
    for related, names in _RELATED.items():
        values = {str(event[name]) for event in (first, last) for name in names if event.get(name)}
        if values:
            found[related] = sorted(values)
    return found


def threat(tags: Sequence[str]) -> dict[str, Any]:
    """ECS `threat.*` from Sigma's `attack.*` tags."""
    tactics: list[str] = []
    techniques: list[str] = []
    sub: list[str] = []
    for tag in tags:
        kind, _, name = str(tag).lower().partition(".")
        if kind != "attack" or not name:
            continue
        if name[0] in "t" and name[1:5].isdigit():
            (sub if "." in name else techniques).append(name.upper())
            if "." in name:
                techniques.append(name.split(".")[0].upper())
        elif not name[1:].isdigit():
            tactics.append(name)
    found: dict[str, Any] = {}
    if tactics:
        found["threat.tactic.name"] = sorted(set(tactics))
    if techniques:
        found["threat.technique.id"] = sorted(set(techniques))
    if sub:
        found["threat.technique.subtechnique.id"] = sorted(set(sub))
    if found:
        found["threat.framework"] = "MITRE ATT&CK"
    return found


def stamp(alert: Alert, ingested: int) -> Alert:
    """The alert with the time it was put on the bus."""
    alert["event.ingested"] = format_time(ingested)
    return alert
