"""Which group an alert belongs to, and how a grown alert joins what people have decided about it."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from almena.alert import BACKFILL, LEVELS, SEVERITY, Alert, quiet_state
from almena.clock import parse_time
from almena.event import strings
from almena.hit import group_key
from almena.store import Document

ALERT = "almena.alert."

WRITTEN = frozenset(
    ALERT + name
    for name in (
        "id",
        "level",
        "count",
        "entity",
        "first_seen",
        "last_seen",
        "revision",
        "words",
        "explanation",
        "evidence",
        "shadow",
        "backfill",
    )
)
"""What detectors say of an alert; everything else under `almena.alert.` belongs to the desk and to people."""

_PASSING = frozenset({"event.ingested"})
"""Differs when the same alert is found again, and means nothing."""

Verdict = Literal["newer", "older", "same", "different"]
"""How an incoming alert stands to the stored one; `different` content under one revision is an error."""


def group_of(alert: Alert, window: int) -> str:
    """The group: a hash of rule, agency, entity and the stretch of `window` microseconds the alert began in.

    Alerts that are kept apart have groups of their own, those of history for each backfill: nobody decides about one
    and means the other.
    """
    start = parse_time(alert["@timestamp"])
    key = group_key(
        alert.get("rule.id", ""),
        alert.get("organization.id", ""),
        alert.get(ALERT + "entity", ""),
        start - start % window,
        *filter(None, (quiet_state(alert), alert.get(BACKFILL))),
    )
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def level_of(alert: Alert) -> str:
    """The alert's level, by name."""
    level, severity = alert.get(ALERT + "level"), alert.get("event.severity")
    if isinstance(level, str) and level in SEVERITY:
        return level
    return LEVELS.get(severity, "medium") if isinstance(severity, int) else "medium"


def agency_of(alert: Alert) -> str:
    """The agency the alert belongs to, or ``."""
    return "".join(strings(alert.get("organization.id"))[:1])


def incoming(alert: Alert) -> Alert:
    """The alert without what only the desk and people may say, whoever put it there."""
    return {name: value for name, value in alert.items() if not name.startswith(ALERT) or name in WRITTEN}


def revision_of(alert: Document) -> tuple[int, int]:
    """(watermark, count) of the alert; the highest wins."""
    found = alert.get(ALERT + "revision")
    if isinstance(found, list) and len(found) == 2 and all(isinstance(number, int) for number in found):
        return (int(found[0]), int(found[1]))
    return (0, 0)


def compare(stored: Document, alert: Alert) -> Verdict:
    """How `alert` stands to what is stored under its id.

    Of history the last that was put wins: its rules may have changed since, and each run gives final revisions only.
    """
    if alert.get(BACKFILL):
        return "same" if _content(stored) == _content(alert) else "newer"
    ours, theirs = revision_of(stored), revision_of(alert)
    if theirs != ours:
        return "newer" if theirs > ours else "older"
    return "same" if _content(stored) == _content(alert) else "different"


def merge(stored: Document, alert: Alert) -> Document:
    """The newer alert with the group, the state and the triage of the stored one."""
    kept = {name: value for name, value in stored.items() if name.startswith(ALERT) and name not in WRITTEN}
    return {**alert, **kept}


def _content(alert: Document) -> dict[str, Any]:
    return {name: value for name, value in incoming(alert).items() if name not in _PASSING and value is not None}


def entity_text(alert: Document) -> str:
    """Whom the alert is about, as `field=value`."""
    return "".join(strings(alert.get(ALERT + "entity"))[:1])
