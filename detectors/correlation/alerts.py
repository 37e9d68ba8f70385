"""The alert of a correlation: what it counted, for whom, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from almena.alert import Alert, alert_id, build, entity_of
from almena.clock import Span, parse_time
from almena.words import words_of
from detectors.correlation.episode import Episode
from detectors.correlation.signals import Mark, event_of
from detectors.sigma.rules import Correlation

_OF_FIRST = ("@", "event.", "log.", "almena.alert.", "organization.")  # said of the first event, as its id is


def about(rule: Correlation, inner: Mapping[str, Correlation]) -> dict[str, Any]:
    """The node of an explanation; `inner` are the correlations it rests on, by id."""
    node: dict[str, Any] = {"kind": "correlation", "rule": rule.id, "type": rule.type}
    if rule.condition is not None:
        node["threshold"] = rule.condition.text()
    if rule.expression:
        node["condition"] = rule.expression
        node["names"] = dict(rule.named)
    node |= {"timespan": str(Span(rule.timespan)), "pass": True}
    if rule.counted:
        node["counted"] = list(rule.counted)
    if rule.type == "value_percentile":
        node["percentile"] = rule.percentile
    if rule.type in ("temporal", "temporal_ordered"):
        node["rules"] = list(rule.rules)
    if rule.absent:
        node["absent"] = list(rule.absent)
    if rule.closes:
        node["closes"] = True
    children = [about(inner[read], inner) for read in rule.rules if read in inner]
    return node | ({"children": children} if children else {})


def identity(rule: Correlation, key: str, first: Mark, fields: Mapping[str, Any]) -> str:
    """The id of the alert that begins with `first`; `fields` are those of the hit that made it one."""
    appended = fields.get("event.ingested")
    return alert_id(
        first.time, rule.id, key, first.id, appended=first.time if appended is None else parse_time(str(appended))
    )


def beginning(rule: Correlation, first: Mark, last: Mapping[str, Any], leaf: str) -> dict[str, Any]:
    """What is said of the first hit; what is not remembered of it, of the group, comes from a later one."""
    names = ["organization.id", *(rule.field(name, leaf) for name in rule.group_by)]
    return {name: last[name] for name in names if name in last} | first.evidence()


def alert_of(rule: Correlation, node: Mapping[str, Any], episode: Episode, moment: int) -> Alert:
    """The alert as the episode stands at event time `moment`."""
    first, last = episode.first, episode.fields
    leaf = episode.last.rpartition("/")[2]
    group = {name: last.get(name, "") for name in (rule.field(name, leaf) for name in rule.group_by)}
    value = value_of(rule, episode)
    words = words_of(rule.document, {**first, **last, "almena.alert.count": episode.count, "almena.alert.value": value})
    root = dict(node) | {"group": group, "value": value}
    if episode.occurred:
        root["occurred"] = episode.occurred
    error = episode.values.error if episode.values is not None else episode.error
    if error:
        root["error"] = round(error, 4)
    document = build(
        identity=episode.alert,
        rule=rule.about,
        level=rule.level,
        reason=words["es"]["what_happened"],
        words=words,
        first=first,
        last=last,
        count=episode.count,
        explanation={"condition": _condition(node), "root": root},
        entity=_entity(group),
        revision=(moment, episode.count),
        extra={"almena.alert.shadow": True} if episode.shadow else None,
    )
    return _common(document, first, last, set(group))


def value_of(rule: Correlation, episode: Episode) -> int | float:
    """What the alert shows as the value reached."""
    if episode.values is not None:
        return len(episode.values)
    if episode.total is not None:
        return _shown(episode.total)
    return episode.count if episode.value is None else episode.value


def same_event(one: str, other: str) -> bool:
    """Whether two hits are of one event, which has matched several rules."""
    return event_of(one) == event_of(other) != ""


def _shown(total: int) -> int | float:
    whole, rest = divmod(total, 1_000_000)
    return whole if rest == 0 else total / 1_000_000


def _condition(root: Mapping[str, Any]) -> str:
    return f"{root['type']} {root.get('threshold') or root.get('condition')} / {root['timespan']}"


def _entity(group: dict[str, Any]) -> str | None:
    if not group:
        return None
    return entity_of(group) or next((f"{name}={value}" for name, value in group.items() if value), None)


def _common(document: Alert, first: Mapping[str, Any], last: Mapping[str, Any], group: set[str]) -> Alert:
    """The alert without the fields of its first event that its last one contradicts."""
    for name in first:
        differs = first[name] != last.get(name, first[name])
        if differs and name not in group and not name.startswith(_OF_FIRST):
            document.pop(name, None)
    return document
