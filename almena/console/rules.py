"""The rules on screen: which are in use, what they say, how often they fired, and which were refused and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from almena.clock import DAY, format_time
from almena.console.i18n import mark
from almena.console.show import LEVELS
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
    matches = recent_alerts(visit.console.store, visit.scope, visit.look.now)
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
        matches=matches,
        rejected=rejected(visit.console.store),
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
    return visit.render(
        "rule.html",
        rule=rule,
        alerts=_latest(visit, rule.id),
        techniques=techniques,
        kinds=KINDS,
        statuses=STATUSES,
    )


def recent_alerts(store: Store, scope: Scope, now: int) -> dict[str, int]:
    """Alerts of the last thirty days by rule."""
    since = Filter("@timestamp", "gte", (format_time(now - _RECENT),))
    query = Query(kind=ALERTS, scope=scope, filters=(since,))
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
    query = Query(kind=ALERTS, scope=visit.scope, filters=(of_rule,), sort="almena.alert.last_seen", limit=10)
    return visit.console.store.search(query).items
