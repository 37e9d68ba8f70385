"""What one event means to a correlation: which of its rules it feeds, in which group, and what is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from almena.event import Event
from almena.explanation import Step, listed, tell, told
from almena.labels import called, length, number
from almena.phrases import either
from almena.verdict import verdict_lines
from almena.words import safe
from detectors.sigma.detector import operator_of
from detectors.sigma.nearest import verdict
from detectors.sigma.rules import Correlation, Rule, RuleSet
from detectors.sigma.values import View, present

_SAID = {
    "feeds": (
        "El evento cuenta para la correlación; por sí solo no la dispara.",
        "The event counts for the correlation; alone it does not set it off.",
    ),
    "not": ("El evento no cuenta para la correlación.", "The event does not count for the correlation."),
    "counts": ("cuenta", "counts"),
    "group": ("cuenta en el grupo {group}", "counts in the group {group}"),
    "no_group": ("coincide, pero no cuenta: no trae {fields}", "matches, but does not count: it lacks {fields}"),
    "misses": ("no coincide", "does not match"),
    "more": (
        "Faltan otros {count} eventos del mismo grupo en {timespan}.",
        "Another {count} events of the same group within {timespan} are needed.",
    ),
    "values": (
        "Faltan otros {count} valores distintos de {counted} en el mismo grupo; este trae {value}.",
        "Another {count} different values of {counted} in the same group are needed; this one has {value}.",
    ),
    "others": ("Faltan en el mismo grupo: {rules}.", "Needed in the same group: {rules}."),
    "before": ("Antes, en el mismo grupo: {rules}.", "Before it, in the same group: {rules}."),
    "after": ("Después, en el mismo grupo: {rules}.", "After it, in the same group: {rules}."),
    "nearest": ("La regla más cercana: {rule}", "The nearest rule: {rule}"),
}


def feeding(item: Correlation, event: Event, ruleset: RuleSet) -> dict[str, Any]:
    """Everything there is to say of one correlation and one event, as plain values.

    `matches` (whether the event counts), `explanation` (the correlation as an alert tells it), `feeds` (each rule it
    rests on: `id`, `title`, `matches`, `group` by field, and those fields that are `missing`), `needs` (what would
    still have to come), and `nearest`, the verdict on the rule that comes nearest, when none matches.
    """
    operator = operator_of(item, ruleset)
    view = View(event)
    feeds, verdicts = [], []
    for leaf in item.leaves:
        rule = ruleset.by_id[leaf]
        if not isinstance(rule, Rule):
            continue
        found = verdict(rule, event, ruleset)
        verdicts.append((rule, found))
        names = [item.field(name, leaf) for name in item.group_by]
        counted = [item.field(name, leaf) for name in item.counted]
        feeds.append(
            {
                "id": rule.id,
                "title": rule.title,
                "matches": found["matches"],
                "group": {name: safe(view.value(name)) for name in names if _has(view, name)},
                "counted": {name: safe(view.value(name)) for name in counted if _has(view, name)},
                "missing": [name for name in [*names, *counted] if not _has(view, name)],
            }
        )
    counts = [feed for feed in feeds if feed["matches"] and not feed["missing"]]
    result: dict[str, Any] = {
        "matches": bool(counts),
        "explanation": {"root": operator.about()},
        "feeds": feeds,
        "needs": _needs(item, ruleset, counts) if counts else {},
    }
    if verdicts and not any(feed["matches"] for feed in feeds):
        rule, found = min(verdicts, key=lambda pair: _distance(pair[1]))
        result["nearest"] = {"id": rule.id, "title": rule.title, "verdict": found}
    return result


def _has(view: View, name: str) -> bool:
    value = view.value(name)
    return present(value) and value != ""


def _distance(found: Mapping[str, Any]) -> tuple[bool, int]:
    nearest = found["nearest"]
    return found["logsource"] is not None, len(nearest["changes"]) + nearest["left_out"]


def _needs(item: Correlation, ruleset: RuleSet, counts: list[dict[str, Any]]) -> dict[str, Any]:
    """What must still come beside an event that counts: how many, or which rules and correlations, by id."""
    wanted = item.condition.smallest if item.condition is not None else 1
    fed = [any(_rests(rule, feed["id"], ruleset) for feed in counts) for rule in item.rules]
    match item.type:
        case "event_count":
            return {"events": max(wanted - 1, 0)}
        case "value_count":
            return {
                "values": max((item.condition.smallest if item.condition else 1) - 1, 0),
                "counted": counts[0]["counted"],
            }
        case "temporal":
            return {"rules": [rule for rule, feeds in zip(item.rules, fed, strict=True) if not feeds]}
        case "temporal_ordered":
            at = fed.index(True)
            return {"before": list(item.rules[:at]), "after": list(item.rules[at + 1 :])}
    return {}


def _rests(read: str, leaf: str, ruleset: RuleSet) -> bool:
    """Whether the rule or correlation `read` is or rests on the rule `leaf`."""
    item = ruleset.by_id[read]
    return read == leaf or (isinstance(item, Correlation) and any(_rests(rule, leaf, ruleset) for rule in item.rules))


def feeding_lines(found: Mapping[str, Any], language: str, titles: Mapping[str, str]) -> list[str]:
    """What `feeding` found, line by line; `titles` are rules by id."""
    return list(_lines(found, language, titles))


def _lines(found: Mapping[str, Any], language: str, titles: Mapping[str, str]) -> Iterator[str]:
    def say(key: str, **values: object) -> str:
        return either(_SAID[key], language).format(**values)

    yield say("feeds" if found["matches"] else "not")
    step = tell(found["explanation"], language, titles)
    if step is not None:
        _undecided(step)
        yield from told(step, language)
    for feed in found["feeds"]:
        title = safe(titles.get(feed["id"]) or feed["title"])
        group = ", ".join(f"{called(name, language)} {value}" for name, value in feed["group"].items())
        if not feed["matches"]:
            yield f"✗ {title}: {say('misses')}"
        elif feed["missing"]:
            missing = ", ".join(called(name, language) for name in feed["missing"])
            yield f"✗ {title}: {say('no_group', fields=missing)}"
        else:
            yield f"✓ {title}: {say('group', group=group) if group else say('counts')}"
    yield from _needed(found, language, titles)
    nearest = found.get("nearest")
    if nearest:
        yield say("nearest", rule=safe(titles.get(nearest["id"]) or nearest["title"]))
        yield from (f"  {line}" for line in verdict_lines(nearest["verdict"], language))


def _undecided(step: Step) -> None:
    """One event alone holds or breaks nothing of a correlation."""
    step.held = None
    for below in step.below:
        _undecided(below)


def _needed(found: Mapping[str, Any], language: str, titles: Mapping[str, str]) -> Iterator[str]:
    def say(key: str, **values: object) -> str:
        return either(_SAID[key], language).format(**values)

    needs, root = found["needs"], found["explanation"]["root"]
    if needs.get("events"):
        yield say("more", count=number(needs["events"], language), timespan=length(root["timespan"], language))
    if needs.get("values"):
        counted = ", ".join(called(str(name), language) for name in listed(root.get("counted")))
        value = ", ".join(needs["counted"].values())
        yield say("values", count=number(needs["values"], language), counted=counted, value=value)
    for key, name in (("rules", "others"), ("before", "before"), ("after", "after")):
        if needs.get(key):
            yield say(name, rules="; ".join(safe(titles.get(rule, rule)) for rule in needs[key]))
