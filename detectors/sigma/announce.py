"""The alert that says a rule went over its budget and pages nobody from now on."""

from __future__ import annotations

from almena.alert import SEVERITY, Alert, alert_id, build
from almena.clock import Span, parse_time
from almena.words import safe
from detectors.sigma.rules import Stated
from detectors.sigma.shadow import SAMPLE, Over

RULE = "almena.rules.budget"
"""The id of the alerts about rules over budget."""

LEAST = "medium"
"""The level at least: a rule that keeps quiet is somebody's business."""


def over_budget(item: Stated, over: Over, *, share: float, each: int) -> Alert:
    """The alert about one rule; `share` and `each` (microseconds) are what it may cost. Belongs to no agency."""
    moment = parse_time(over.since)
    words = _words(item, over)
    return build(
        identity=alert_id(moment, RULE, item.id, item.version, over.since, appended=moment),
        rule={"id": RULE, "name": "A rule is over its budget", "version": item.version},
        level=max(item.level, LEAST, key=lambda level: SEVERITY[level]),
        reason=words["es"]["what_happened"],
        words=words,
        first={"@timestamp": over.since, "event.id": f"{RULE}/{item.id}"},
        explanation=_explanation(over, share, each),
        entity=f"rule.id={safe(item.id)}",
        revision=(moment, 1),
    )


def _explanation(over: Over, share: float, each: int) -> dict[str, object]:
    contributions = [
        {"feature": "time_per_event", "observed": f"{over.excess.microseconds:,.0f} µs", "expected": f"≤ {Span(each)}"},
        {"feature": "share_of_time", "observed": f"{over.excess.share:.0%}", "expected": f"≤ {share:.0%}"},
    ]
    return {"condition": "budget", "root": {"kind": "model", "pass": True, "contributions": contributions}}


def _words(item: Stated, over: Over) -> dict[str, dict[str, str]]:
    spanish = item.document.get("es")
    title = safe(str(spanish.get("titulo") or item.title) if isinstance(spanish, dict) else item.title)
    cost, share = f"{over.excess.microseconds:,.0f} µs", f"{over.excess.share:.0%}"
    back = f"`almena rules shadow --lift {safe(item.id)}`"
    return {
        "es": {
            "title": "Una regla dejó de avisar por su costo",
            "what_happened": f"La regla «{title}» tardó en promedio {cost} por evento, {share} del tiempo de "
            f"detección, y pasó a modo sombra: ve uno de cada {SAMPLE} eventos y nadie se entera de lo que encuentra.",
            "why_it_matters": "Lo que esa regla busca puede pasar sin que nadie lo note. Quizá alguien envía a "
            "propósito registros hechos para que la regla tarde.",
            "what_to_do": "Vea qué la hace lenta con `almena rules bench` y corríjala: una regla que cambia vuelve a "
            f"avisar. Para que vuelva tal como está: {back}.",
            "false_positives": "Una máquina sobrecargada hace lentas a todas las reglas; revise si otras tardan igual.",
        },
        "en": {
            "title": "A rule stopped alerting for what it costs",
            "what_happened": f"The rule “{safe(item.title)}” took {cost} per event on average, {share} of the time of "
            f"detection, and moved to shadow: it sees one event in {SAMPLE}, and nobody is told what it finds.",
            "why_it_matters": "What this rule looks for may happen unnoticed. Somebody may be sending records made to "
            "slow the rule down.",
            "what_to_do": "See what makes it slow with `almena rules bench` and mend it: a rule that changes alerts "
            f"again. To take it back as it is: {back}.",
            "false_positives": "An overloaded machine slows all rules down; check whether others are as slow.",
        },
    }
