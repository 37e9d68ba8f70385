"""What people decide about alerts: acknowledge, close, reopen; each change once, by compare-and-set, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from almena.clock import format_time
from almena.console import audit
from almena.console.groups import GROUP
from almena.errors import Conflict
from almena.store import ALERTS, Document, Filter, Query, Scope, Store, Versioned

FROM = {
    "acknowledge": ("open", "acknowledged"),
    "close": ("open", "acknowledged", "suppressed"),
    "reopen": ("acknowledged", "closed", "suppressed"),
}
"""The states each decision is possible in."""

TO = {"acknowledge": "acknowledged", "close": "closed", "reopen": "open"}
"""The state each decision leads to."""

MOST = 500
"""Alerts of a group that one decision reaches; more are said to be left, never forgotten."""

LONGEST_NOTE = 2_000
LONGEST_HISTORY = 200
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What somebody decided."""

    action: str
    """One of `FROM`."""
    user: str
    time: int
    resolution: str = ""
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What came of it: how many alerts changed, of how many that it was meant for."""

    done: int
    meant: int


class Changed(Conflict):
    """Somebody else decided first; `current` is the alert as it is now, and nothing was changed."""

    def __init__(self, current: Versioned) -> None:
        """Keep what the other decided."""
        super().__init__(f"{current.id}: changed since it was read")
        self.current = current


def sight(alert: Document) -> str:
    """What a form says that its reader saw: the state and how often people changed it.

    New events of a growing alert change neither, so they stand in nobody's way.
    """
    return f"{status_of(alert)}.{len(history_of(alert))}"


def status_of(alert: Document) -> str:
    """The alert's state; one that nobody gave a state waits for somebody."""
    return str(alert.get("almena.alert.status") or "open")


def history_of(alert: Document) -> list[dict[str, Any]]:
    """What people decided about the alert, oldest first."""
    history = alert.get("almena.alert.history")
    return [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []


def possible(alert: Document, user: str) -> list[str]:
    """The decisions that make sense for this alert and this person."""
    status = status_of(alert)
    actions = [action for action, states in FROM.items() if status in states]
    if status == "acknowledged" and alert.get("almena.alert.assignee") == user:
        actions.remove("acknowledge")
    return actions


def decide(store: Store, alert_id: str, decision: Decision, *, scope: Scope, seen: str, group: bool) -> Result | None:
    """Apply a decision to one alert, and to the rest of its group when asked; None when there is no such alert.

    Raises Changed, and changes nothing, when the alert is no longer what `seen` (from `sight`) says.
    """
    found = store.get(ALERTS, alert_id, scope=scope)
    if found is None:
        return None
    done = _first(store, found, decision, scope=scope, seen=seen)
    others = _others(store, done, decision, scope=scope) if group else []
    changed = [done.id] + [other.id for other in others if _apply(store, other, decision)]
    _record(store, decision, done.document, changed)
    return Result(len(changed), 1 + len(others))


def _first(store: Store, found: Versioned, decision: Decision, *, scope: Scope, seen: str) -> Versioned:
    current: Versioned | None = found
    for _ in range(_TRIES):
        if current is None:
            break
        if sight(current.document) != seen or status_of(current.document) not in FROM[decision.action]:
            raise Changed(current)
        try:
            document = changed(current.document, decision)
            return Versioned(current.id, store.replace(ALERTS, current.id, document, current.version), document)
        except Conflict:
            current = store.get(ALERTS, found.id, scope=scope)
    raise Changed(current or found)


def _others(store: Store, first: Versioned, decision: Decision, *, scope: Scope) -> Sequence[Versioned]:
    group = first.document.get(GROUP)
    states = ("open",) if decision.action == "acknowledge" else FROM[decision.action]
    if not group:
        return []
    query = Query(
        kind=ALERTS,
        scope=scope,
        filters=(Filter(GROUP, "in", (group,)), Filter("almena.alert.status", "in", states)),
        limit=MOST,
    )
    return [item for item in store.search(query).items if item.id != first.id]


def _apply(store: Store, item: Versioned, decision: Decision) -> bool:
    try:
        store.replace(ALERTS, item.id, changed(item.document, decision), item.version)
    except Conflict:
        return False
    return True


def changed(alert: Document, decision: Decision) -> Document:
    """The alert after a decision, with the decision in its history."""
    time = format_time(decision.time)
    entry = {
        "time": time,
        "user": decision.user,
        "action": decision.action,
        "from": status_of(alert),
        "to": TO[decision.action],
        **({"resolution": decision.resolution} if decision.resolution else {}),
        **({"note": decision.note[:LONGEST_NOTE]} if decision.note else {}),
    }
    after = dict(alert)
    after["almena.alert.status"] = TO[decision.action]
    after["almena.alert.history"] = [*history_of(alert), entry][-LONGEST_HISTORY:]
    if decision.action == "acknowledge":
        after["almena.alert.assignee"] = decision.user
        after.setdefault("almena.alert.acknowledged", time)
    elif decision.action == "close":
        after |= {"almena.alert.closed": time, "almena.alert.resolution": decision.resolution}
    else:
        for name in ("assignee", "acknowledged", "closed", "resolution"):
            after.pop(f"almena.alert.{name}", None)
    return after


def _record(store: Store, decision: Decision, alert: Document, changed_ids: Sequence[str]) -> None:
    audit.record(
        store,
        time=decision.time,
        action=f"alert-{decision.action}",
        user=decision.user,
        agency=str(alert.get("organization.id") or ""),
        facts={
            "almena.audit.subject": list(changed_ids),
            "almena.audit.rows": len(changed_ids),
            **({"almena.audit.resolution": decision.resolution} if decision.resolution else {}),
            **({"almena.audit.reason": decision.note[:LONGEST_NOTE]} if decision.note else {}),
        },
    )
