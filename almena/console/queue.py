"""The queue: groups of alerts, the worst and the newest first, with a panel for the one that is being read."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from almena.console import filters, groups
from almena.console.alerts import found_alert, shown
from almena.console.filters import ORDERS, RANGES, STATES
from almena.console.visit import Visit
from almena.errors import UsageError
from almena.store import ALERTS, Query, Terms

PAGE = 50
"""Groups of one page."""

_BATCH = 200


def queue_page(visit: Visit) -> Response:
    """The queue for the filters in the address; the script asks for its table alone."""
    choice = filters.read(visit.request.query_params)
    try:
        place = groups.read_place(visit.request.query_params.get("despues", ""))
    except UsageError:
        return visit.problem(
            400,
            visit.say("Esa página de la cola no existe"),
            visit.say("La dirección está incompleta o cambió. Empiece por la primera página de la cola."),
        )
    store, now, zone = visit.console.store, visit.look.now, visit.look.zone
    query = filters.query_of(choice, scope=visit.scope, now=now, zone=zone, limit=_BATCH)
    without_level = filters.query_of(choice.with_(nivel=""), scope=visit.scope, now=now, zone=zone, limit=1)
    counts = dict(store.aggregate(without_level, Terms(groups.LEVEL, limit=20)))
    of_these = {choice.nivel: counts.get(choice.nivel, 0)} if choice.nivel else counts
    rows, behind = groups.page(store, query, counts=of_these, by_level=choice.orden != "recent", place=place, size=PAGE)
    anything = bool(rows) or bool(store.count(Query(kind=ALERTS, scope=visit.scope, limit=1)))
    values: dict[str, Any] = {
        "anything": anything,
        "choice": choice,
        "counts": counts,
        "rows": rows,
        "next_page": visit.here(despues=behind.text(), alerta=None) if behind else "",
        "first_page": visit.here(despues=None, alerta=None) if place else "",
    }
    if visit.fragment:
        return visit.render("queue_table.html", selected="", **values)
    return _whole(visit, **values)


def _whole(visit: Visit, **values: Any) -> Response:
    wanted = visit.request.query_params.get("alerta", "")
    alert = found_alert(visit, wanted) if wanted else None
    return visit.render(
        "queue.html",
        selected=alert.id if alert else "",
        panel=shown(visit, alert, back=visit.here(alerta=None)) if alert else None,
        missing=bool(wanted) and alert is None,
        ranges={name: words for name, (_, words) in RANGES.items()},
        states={name: words for name, (_, words) in STATES.items()},
        orders=ORDERS,
        rules=sorted((rule.said(visit.language), rule.id) for rule in visit.console.rules()),
        **values,
    )
