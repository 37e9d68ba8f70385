"""The rules on screen: which are in use, what they say, how often they fired, and which were refused and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from almena.clock import DAY, format_time, parse_time
from almena.console.i18n import mark
from almena.console.show import LEVELS
from almena.status import HEARD, LIVE
from almena.store import ALERTS, ALL, LEDGER, Filter, Query, Scope, Store, Terms

if TYPE_CHECKING:
    from almena.console.visit import Visit

STATUSES = {
    "stable": mark("estable"),
    "test": mark("a prueba"),
    "experimental": mark("experimental"),
    "deprecated": mark("en retiro"),
    "unsupported": mark("sin soporte"),
}
"""Sigma's states of a rule in words."""

KINDS = {"sigma": mark("un evento"), "correlation": mark("correlación"), "model": mark("modelo")}
"""What a rule looks at: one event, several, or what is usual."""

WHYS = {
    "listed": mark("La configuración la tiene en sombra."),
    "rule": mark("La regla misma pide quedar en sombra."),
    "budget": mark("Costó más de lo permitido, por evento y del total: %(detail)s. Ve uno de cada dieciséis eventos."),
    "rests": mark("Se apoya en otra regla en sombra: %(detail)s."),
}
"""Why a rule is in shadow."""

MOST_RULES = 5_000
"""Rules whose alerts are counted."""

_RECENT = 30 * DAY


@dataclass(frozen=True, kw_only=True)
class RuleInfo:
    """A rule as people read about it."""

    id: str
    title: Mapping[str, str]
    """By language, `es` and `en`."""
    level: str
    status: str = "experimental"
    """Sigma's: stable, test, experimental, deprecated, unsupported."""
    kind: str = "sigma"
    """`sigma`, `correlation` or `model`."""
    tags: tuple[str, ...] = ()
    file: str = ""
    """The rule's file below the folder of rules."""
    logsource: str = ""
    """The log source in words, such as `process_creation, linux`."""
    tests: int = 0
    """Examples the rule carries, alerting and silent ones together."""
    description: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By language: what_happened, why_it_matters, what_to_do, false_positives, as templates."""
    references: tuple[str, ...] = ()
    source: str = ""
    """The rule itself, as it is written."""

    def said(self, language: str) -> str:
        """The title in a language, or in the other, or the id."""
        return self.title.get(language) or self.title.get("es") or self.title.get("en") or self.id

    def described(self, language: str) -> str:
        """The description in a language; a page in the other one does without."""
        return self.description.get(language, "")

    def texts(self, language: str) -> Mapping[str, str]:
        """The rule's words in a language, or in the other."""
        return self.words.get(language) or next(iter(self.words.values()), {})


def list_page(visit: Visit) -> Response:
    """All rules, the worst level first, those that were refused above them."""
    wanted = " ".join(visit.request.query_params.get("q", "")[:200].split())
    level = visit.request.query_params.get("nivel", "")
    everything = visit.console.rules()
    store, now = visit.console.store, visit.look.now
    order = {name: rank for rank, name in enumerate(LEVELS)}
    rules = sorted(
        (rule for rule in everything if _fits(rule, wanted, level)),
        key=lambda rule: (order.get(rule.level, len(order)), rule.said(visit.language).lower()),
    )
    return visit.render(
        "rules.html",
        kinds=KINDS,
        statuses=STATUSES,
        techniques=techniques,
        rules=rules,
        total=len(everything),
        matches=recent_alerts(store, visit.scope, now),
        shadowed=recent_alerts(store, visit.scope, now, shadow=True),
        rejected=rejected(store),
        shadow=shadow(visit),
        refused=refused(visit.console.store, visit.look.now),
        wanted=wanted,
        level=level if level in LEVELS else "",
    )


def one_page(visit: Visit) -> Response:
    """One rule with its words, its alerts and its text."""
    wanted = visit.request.path_params["rule_id"]
    rule = next((rule for rule in visit.console.rules() if rule.id == wanted), None)
    if rule is None:
        return visit.problem(
            404,
            visit.say("No hay una regla con ese nombre"),
            visit.say("Pudo cambiar de nombre o salir de la carpeta de reglas. Búsquela en la lista."),
        )
    correlated = rule.kind == "correlation"
    return visit.render(
        "rule.html",
        rule=rule,
        near=visit.console.nearest(rule.id, visit.scope, visit.language) if correlated else None,
        alerts=_latest(visit, rule.id),
        shadow=shadow(visit).get(rule.id),
        techniques=techniques,
        kinds=KINDS,
        statuses=STATUSES,
    )


def recent_alerts(store: Store, scope: Scope, now: int, *, shadow: bool = False) -> dict[str, int]:
    """Alerts of the last thirty days by rule: those that count, or those in shadow."""
    since = Filter("@timestamp", "gte", (format_time(now - _RECENT),))
    chosen = Filter("almena.alert.status", "in", ("shadow",)) if shadow else LIVE
    query = Query(kind=ALERTS, scope=scope, filters=(since, chosen))
    return dict(store.aggregate(query, Terms("rule.id", limit=MOST_RULES)))


def rejected(store: Store) -> list[dict[str, str]]:
    """The rules that were refused, with the reason, as the running detectors say."""
    found = store.get(LEDGER, "rules", scope=ALL)
    listed = found.document.get("almena.rules.rejected") if found else None
    return [
        {"rule": str(item.get("rule", "")), "reason": str(item.get("reason", ""))}
        for item in (listed if isinstance(listed, list) else [])[:MOST_RULES]
        if isinstance(item, dict)
    ]


def refused(store: Store, now: int) -> list[dict[str, str]]:
    """Why changed rules were not taken into use, as the members that still run those before say."""
    found: dict[tuple[str, str, str], None] = {}
    query = Query(kind=LEDGER, scope=ALL, filters=(Filter("almena.rules.member", "exists", ()),), limit=500)
    for item in store.search(query).items:
        if now - parse_time(str(item.document["@timestamp"])) > HEARD:
            continue
        listed = item.document.get("almena.rules.refused")
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict):
                found[str(each.get("rule", "")), str(each.get("file", "")), str(each.get("reason", ""))] = None
    return [{"rule": rule, "file": file, "reason": reason} for rule, file, reason in list(found)[:MOST_RULES]]


@dataclass(frozen=True)
class Shadow:
    """A rule in shadow as people read about it."""

    title: str
    why: str
    """A sentence."""
    since: str
    """RFC 3339, or `` where the configuration or a rule decided."""


def shadow(visit: Visit) -> dict[str, Shadow]:
    """The rules in shadow by id, as the running detectors say."""
    found = visit.console.store.get(LEDGER, "rules", scope=ALL)
    listed = found.document.get("almena.rules.shadow") if found else None
    titles = {rule.id: rule.said(visit.language) for rule in visit.console.rules()}
    return {
        str(item.get("rule", "")): _shadow(visit, item, titles)
        for item in (listed if isinstance(listed, list) else [])[:MOST_RULES]
        if isinstance(item, dict)
    }


def _shadow(visit: Visit, item: Mapping[str, Any], titles: Mapping[str, str]) -> Shadow:
    rule, why, detail = (str(item.get(name) or "") for name in ("rule", "why", "detail"))
    said = visit.say(WHYS[why]) if why in WHYS else why
    if why == "rests":
        detail = titles.get(detail, detail)
    title = titles.get(rule) or str(item.get("title") or rule)
    return Shadow(title, said.replace("%(detail)s", detail), str(item.get("since") or ""))


def techniques(tags: tuple[str, ...]) -> list[str]:
    """The ATT&CK techniques among Sigma's tags."""
    return [tag[7:].upper() for tag in tags if re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag.lower())]


def _fits(rule: RuleInfo, wanted: str, level: str) -> bool:
    if level in LEVELS and rule.level != level:
        return False
    text = " ".join([rule.id, *rule.title.values(), rule.logsource, rule.file, *rule.tags]).lower()
    return all(word in text for word in wanted.lower().split())


def _latest(visit: Visit, rule_id: str) -> Any:
    of_rule = Filter("rule.id", "in", (rule_id,))
    present = Filter("almena.alert.status", "in", ("history",), negate=True)
    query = Query(kind=ALERTS, scope=visit.scope, filters=(of_rule, present), sort="almena.alert.last_seen", limit=10)
    return visit.console.store.search(query).items
