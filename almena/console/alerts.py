"""One alert: its words, its explanation, its evidence, its group, and what people decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from almena.console import triage
from almena.console.fields import plumbing
from almena.console.groups import GROUP
from almena.console.show import RESOLUTIONS
from almena.console.visit import Visit, local_path
from almena.event import strings
from almena.explanation import Step, asked, tell
from almena.store import ALERTS, Filter, Query, Versioned

MOST_SIBLINGS = 20
"""Alerts of the same group that are listed."""

MOST_FIELDS = 200
"""Fields of an event that are listed; the raw document has them all."""

LONGEST_RAW = 200_000
"""Characters of the raw document that a page shows; the API gives the whole."""

LAST = ("event.original", "message")
"""Long fields, at the end of the evidence."""

Fields = list[tuple[str, str, str]]
"""Field, first event, last event."""

_RELATED = {"related.ip": "IP", "related.user": "user", "related.hosts": "host", "related.hash": "hash"}


@dataclass(frozen=True)
class Shown:
    """What the panel and the page of one alert show."""

    item: Versioned
    words: Mapping[str, str]
    explanation: Step | None
    evidence: Fields
    """What the events say, what the rule asked about first."""
    plumbing: Fields
    """How the events came here."""
    related: list[tuple[str, str]]
    rule: str
    """The rule's title in the page's language."""
    siblings: list[Versioned]
    siblings_total: int
    waiting: int
    """Other alerts of the group that nobody acknowledged."""
    actions: list[str]
    sight: str
    history: list[dict[str, Any]]
    raw: str
    back: str
    """Where to go after a decision."""

    @property
    def alert(self) -> dict[str, Any]:
        """The alert's document."""
        return self.item.document

    @property
    def two(self) -> bool:
        """Whether the last event differs from the first."""
        return any(first != last for _, first, last in self.evidence + self.plumbing)

    @property
    def status(self) -> str:
        """The alert's state."""
        return triage.status_of(self.item.document)


def alert_page(visit: Visit) -> Response:
    """The page of one alert."""
    found = found_alert(visit, visit.request.path_params["alert_id"])
    if found is None:
        return _missing(visit)
    return visit.render("alert.html", panel=shown(visit, found, back=visit.here()))


def decide_page(visit: Visit) -> Response:
    """A decision about one alert, or its whole group, from its form."""
    form = visit.form
    back = local_path(form.get("volver", "/cola"))
    action, resolution = form.get("accion", ""), form.get("resolucion", "")
    if action not in triage.FROM or (action == "close" and resolution not in RESOLUTIONS):
        return visit.problem(
            422,
            visit.say("Falta decir cómo termina la alerta") if action == "close" else visit.say("Esa acción no existe"),
            visit.say("No se cambió nada. Vuelva a la alerta y elija una de las opciones."),
        )
    decision = triage.Decision(
        action=action,
        user=visit.person.name,
        time=visit.console.clock(),
        resolution=resolution if action == "close" else "",
        note=form.get("nota", "").strip()[: triage.LONGEST_NOTE],
    )
    try:
        result = triage.decide(
            visit.console.store,
            visit.request.path_params["alert_id"],
            decision,
            scope=visit.scope,
            seen=form.get("visto", ""),
            group=form.get("grupo") == "1",
        )
    except triage.Changed as conflict:
        return visit.render("conflict.html", 409, current=conflict.current, back=back)
    if result is None:
        return _missing(visit)
    return visit.go(back, f"{action}.{result.done}.{result.meant}")


def found_alert(visit: Visit, alert_id: str) -> Versioned | None:
    """The alert, when it is there and this person may see it."""
    return visit.console.store.get(ALERTS, alert_id, scope=visit.scope) if 0 < len(alert_id) <= 100 else None


def shown(visit: Visit, item: Versioned, *, back: str) -> Shown:
    """Everything a page says about an alert."""
    alert = item.document
    siblings, total, waiting = _siblings(visit, item)
    told, plumbing = evidence(alert)
    return Shown(
        item=item,
        words=visit.look.words(alert),
        explanation=tell(alert.get("almena.alert.explanation"), visit.language, _titles(visit)),
        evidence=told,
        plumbing=plumbing,
        related=related(alert),
        rule=_rule_title(visit, alert),
        siblings=siblings,
        siblings_total=total,
        waiting=waiting,
        actions=triage.possible(alert, visit.person.name),
        sight=triage.sight(alert),
        history=triage.history_of(alert)[::-1],
        raw=raw(alert),
        back=back,
    )


def evidence(alert: Mapping[str, Any]) -> tuple[Fields, Fields]:
    """The fields of the first and the last event side by side: what they say, and how they came here.

    What the rule asked about stands first; a Windows field that only repeats another one is left to the document.
    """
    kept = _mapping(alert.get("almena.alert.evidence"))
    first, last = _mapping(kept.get("first")), _mapping(kept.get("last"))
    wanted = asked(alert.get("almena.alert.explanation"))
    names = sorted({*first, *last}, key=lambda name: _rank(name, wanted))[:MOST_FIELDS]
    rows = [(name, _cell(first, name), _cell(last, name)) for name in names]
    told = [row for row in rows if row[0] in wanted or not plumbing(row[0])]
    known = {row[1:] for row in told if not row[0].startswith("winlog.")}
    told = [row for row in told if row[0] in wanted or not row[0].startswith("winlog.") or row[1:] not in known]
    return told, [row for row in rows if row[0] not in wanted and plumbing(row[0])]


def _rank(name: str, wanted: set[str]) -> tuple[bool, bool, bool, bool, str]:
    return (name != "@timestamp", name not in wanted, name in LAST, name.startswith("winlog."), name)


def related(alert: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The addresses, people, hosts and hashes of an alert, each with its kind."""
    return [(kind, value) for name, kind in _RELATED.items() for value in strings(alert.get(name))[:20]]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def raw(alert: Mapping[str, Any]) -> str:
    """The document as JSON for people."""
    text = msgspec.json.format(msgspec.json.encode(alert, order="sorted"), indent=2).decode()
    return text if len(text) <= LONGEST_RAW else text[:LONGEST_RAW] + "\n…"


def _cell(event: Mapping[str, Any], name: str) -> str:
    return ", ".join(strings(event.get(name))[:20])


def _rule_title(visit: Visit, alert: Mapping[str, Any]) -> str:
    known = next((rule for rule in visit.console.rules() if rule.id == alert.get("rule.id")), None)
    return known.said(visit.language) if known else str(alert.get("rule.name") or "—")


def _titles(visit: Visit) -> dict[str, str]:
    return {rule.id: rule.said(visit.language) for rule in visit.console.rules()}


def _siblings(visit: Visit, item: Versioned) -> tuple[list[Versioned], int, int]:
    group = item.document.get(GROUP)
    if not group:
        return [item], 1, 0
    same = Filter(GROUP, "in", (group,))
    query = Query(kind=ALERTS, scope=visit.scope, filters=(same,), sort="almena.alert.last_seen", limit=MOST_SIBLINGS)
    store = visit.console.store
    waiting = msgspec.structs.replace(query, filters=(same, Filter("almena.alert.status", "in", ("open",))))
    others = store.count(waiting) - (triage.status_of(item.document) == "open")
    return store.search(query).items, store.count(query), max(others, 0)


def _missing(visit: Visit) -> Response:
    return visit.problem(
        404,
        visit.say("No hay una alerta con ese número"),
        visit.say("Pudo cumplir su plazo de conservación, o es de una dependencia que usted no ve. Vuelva a la cola."),
    )
