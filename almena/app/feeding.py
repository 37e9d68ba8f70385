"""What one event means to a correlation: which of its rules it feeds, in which group, and what is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from almena.app.needing import needed, needs
from almena.event import Event
from almena.explanation import Step, tell, told
from almena.labels import called
from almena.phrases import either
from almena.verdict import verdict_lines
from almena.words import safe
from detectors.sigma.condition import scaled
from detectors.sigma.detector import operator_of
from detectors.sigma.nearest import verdict
from detectors.sigma.rules import Correlation, Rule, RuleSet
from detectors.sigma.values import View, present

_SAID = {
    "feeds": (
        "El evento cuenta para la correlación; por sí solo no la dispara.",
        "The event counts for the correlation; alone it does not set it off.",
    ),
    "alone": (
        "El evento cuenta para la correlación y por sí solo la dispara.",
        "The event counts for the correlation and sets it off alone.",
    ),
    "waits": (
        "El evento cuenta para la correlación; si no viene nada más, la dispara.",
        "The event counts for the correlation; if nothing else comes, that sets it off.",
    ),
    "through": (
        "El evento cuenta para la correlación a través de otra.",
        "The event counts for the correlation through another one.",
    ),
    "hinders": (
        "El evento es lo que no debe ocurrir: donde llega a tiempo, la correlación no avisa.",
        "The event is what must not occur: where it comes in time, the correlation does not alert.",
    ),
    "not": ("El evento no cuenta para la correlación.", "The event does not count for the correlation."),
    "counts": ("cuenta", "counts"),
    "group": ("cuenta en el grupo {group}", "counts in the group {group}"),
    "no_group": ("coincide, pero no cuenta: no trae {fields}", "matches, but does not count: it lacks {fields}"),
    "misses": ("no coincide", "does not match"),
    "no_number": (
        "coincide, pero no cuenta: {fields} no es un número",
        "matches, but does not count: {fields} is no number",
    ),
    "nearest": ("La regla más cercana: {rule}", "The nearest rule: {rule}"),
}


def feeding(item: Correlation, event: Event, ruleset: RuleSet) -> dict[str, Any]:
    """Everything there is to say of one correlation and one event, as plain values.

    `matches` (whether the event counts), `explanation` (the correlation as an alert tells it), `feeds` (each rule it
    rests on: `id`, `title`, `matches`, `group` and `counted` by field, those fields that are `missing`, and those with
    `no_number` where one is summed or ranked), `needs` (as the function of that name), and `nearest`, the verdict on
    the rule that comes nearest, when none matches.
    """
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
                "no_number": [
                    name for name in counted if item.numeric and _has(view, name) and scaled(view.value(name)) is None
                ],
            }
        )
    counts = [feed for feed in feeds if feed["matches"] and not feed["missing"] and not feed["no_number"]]
    result: dict[str, Any] = {
        "matches": bool(counts),
        "explanation": {"root": {**operator_of(item, ruleset).about(), "names": _names(item, ruleset)}},
        "feeds": feeds,
        "needs": needs(item, ruleset, counts) if counts else {},
    }
    if verdicts and not any(feed["matches"] for feed in feeds):
        rule, found = min(verdicts, key=lambda pair: _distance(pair[1]))
        result["nearest"] = {"id": rule.id, "title": rule.title, "verdict": found}
    return result


def _names(item: Correlation, ruleset: RuleSet) -> dict[str, str]:
    """The ids behind the names that its condition gives its rules."""
    return {ruleset.by_id[rule].name: rule for rule in item.rules if ruleset.by_id[rule].name}


def _has(view: View, name: str) -> bool:
    value = view.value(name)
    return present(value) and value != ""


def _distance(found: Mapping[str, Any]) -> tuple[bool, int]:
    nearest = found["nearest"]
    return found["logsource"] is not None, len(nearest["changes"]) + nearest["left_out"]


def feeding_lines(found: Mapping[str, Any], language: str, titles: Mapping[str, str]) -> list[str]:
    """What `feeding` found, line by line; `titles` are rules by id."""
    return list(_lines(found, language, titles))


def _lines(found: Mapping[str, Any], language: str, titles: Mapping[str, str]) -> Iterator[str]:
    def say(key: str, **values: object) -> str:
        return either(_SAID[key], language).format(**values)

    yield say(_verdict(found))
    step = tell(found["explanation"], language, titles)
    if step is not None:
        _undecided(step)
        yield from told(step, language)
    for feed in found["feeds"]:
        title = safe(titles.get(feed["id"]) or feed["title"])
        group = ", ".join(f"{called(name, language)} {value}" for name, value in feed["group"].items())
        if not feed["matches"]:
            yield f"✗ {title}: {say('misses')}"
        elif feed["no_number"]:
            names = ", ".join(called(name, language) for name in feed["no_number"])
            yield f"✗ {title}: {say('no_number', fields=names)}"
        elif feed["missing"]:
            missing = ", ".join(called(name, language) for name in feed["missing"])
            yield f"✗ {title}: {say('no_group', fields=missing)}"
        else:
            yield f"✓ {title}: {say('group', group=group) if group else say('counts')}"
    if found["needs"]:
        yield from needed(found["needs"], found["explanation"]["root"], language, titles)
    nearest = found.get("nearest")
    if nearest:
        yield say("nearest", rule=safe(titles.get(nearest["id"]) or nearest["title"]))
        yield from (f"  {line}" for line in verdict_lines(nearest["verdict"], language))


def _verdict(found: Mapping[str, Any]) -> str:
    needs = found["needs"]
    if not found["matches"]:
        return "not"
    for key in ("hinders", "through"):
        if needs.get(key):
            return key
    if not needs["alone"]:
        return "feeds"
    return "waits" if found["explanation"]["root"].get("closes") else "alone"


def _undecided(step: Step) -> None:
    """One event alone holds or breaks nothing of a correlation."""
    step.held = None
    for below in step.below:
        _undecided(below)
