"""What must still come beside one event for a correlation to alert, and what must not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from almena.explanation import listed
from almena.labels import called, length, number, quantity
from almena.phrases import either, phrase
from almena.words import safe
from detectors.sigma.condition import SCALE, scaled
from detectors.sigma.pattern import Way
from detectors.sigma.rules import Correlation, RuleSet

_OF_WAYS = ("rules", "before", "after", "absent", "absent_before", "absent_after")
MOST_WAYS = 5
"""Ways in which a condition may still come true that are told."""

_SAID = {
    "event": (
        "Falta otro evento del mismo grupo en {timespan}.",
        "One more event of the same group within {timespan}.",
    ),
    "events": (
        "Faltan otros {count} eventos del mismo grupo en {timespan}.",
        "Another {count} events of the same group within {timespan} are needed.",
    ),
    "value": (
        "Falta otro valor distinto de {counted} en el mismo grupo; este trae {value}.",
        "One other value of {counted} in the same group is needed; this one has {value}.",
    ),
    "values": (
        "Faltan otros {count} valores distintos de {counted} en el mismo grupo; este trae {value}.",
        "Another {count} different values of {counted} in the same group are needed; this one has {value}.",
    ),
    "sum": (
        "Faltan otros {count} de {counted} en el mismo grupo en {timespan}; este trae {value}.",
        "Another {count} of {counted} in the same group within {timespan} is needed; this one has {value}.",
    ),
    "over": (
        "Faltan más de {count} de {counted} en el mismo grupo en {timespan}; este trae {value}.",
        "More than another {count} of {counted} in the same group within {timespan} is needed; this one has {value}.",
    ),
    "any": (
        "Falta algo más de {counted} en el mismo grupo en {timespan}; este trae {value}.",
        "Anything more of {counted} in the same group within {timespan} is needed; this one has {value}.",
    ),
    "measured": (
        "Depende de todos los eventos del grupo en {timespan}; este trae {value} de {counted}.",
        "It depends on all events of the group within {timespan}; this one has {value} of {counted}.",
    ),
    "through": ("Antes debe cumplirse: {rules}.", "First this has to hold: {rules}."),
    "rules": ("Faltan en el mismo grupo: {rules}.", "Needed in the same group: {rules}."),
    "one": ("Falta en el mismo grupo uno de estos: {rules}.", "Needed in the same group, one of: {rules}."),
    "some": ("Faltan en el mismo grupo {count} de estos: {rules}.", "Needed in the same group, {count} of: {rules}."),
    "before": ("Antes, en el mismo grupo: {rules}.", "Before it, in the same group: {rules}."),
    "after": ("Después, en el mismo grupo: {rules}.", "After it, in the same group: {rules}."),
    "absent": (
        "No debe venir en el mismo grupo, ni antes ni después: {rules}.",
        "Must not come in the same group, before or after: {rules}.",
    ),
    "absent_before": (
        "No debe haber venido antes en el mismo grupo: {rules}.",
        "Must not have come before it in the same group: {rules}.",
    ),
    "absent_after": (
        "No debe venir después en el mismo grupo: {rules}.",
        "Must not come after it in the same group: {rules}.",
    ),
    "ways": ("Hay {count} maneras:", "There are {count} ways:"),
}


def needs(item: Correlation, ruleset: RuleSet, counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What must still come beside an event that counts; `counts` are the rules it feeds, as `feeding` gives them.

    `alone` (whether it alerts if nothing else comes) and, where they apply: `through` (correlations it counts
    through), `hinders` (whether it is what must not occur), `events`,
    `values`, `sum` or `over` (how many or how much more), `measured`, and which rules by id: `rules`, `some` (how many
    of these), or `ways`, each with `rules` and what must be `absent`, or in an order `before`, `after`,
    `absent_before` and `absent_after`.
    """
    leaves = {feed["id"] for feed in counts}
    fed = {rule for rule in item.rules if any(_rests(rule, leaf, ruleset) for leaf in leaves)}
    found = _asked(item, fed, next(iter(counts[0]["counted"].values()), None))
    found["counted"] = dict(counts[0]["counted"])
    through = [rule for rule in item.rules if rule in fed and rule not in leaves]
    if through and not fed & leaves:
        found |= {"through": through, "alone": False}
    return found


def _rests(read: str, leaf: str, ruleset: RuleSet) -> bool:
    """Whether the rule or correlation `read` is or rests on the rule `leaf`."""
    item = ruleset.by_id[read]
    return read == leaf or (isinstance(item, Correlation) and leaf in item.leaves)


def _asked(item: Correlation, fed: Collection[str], value: object) -> dict[str, Any]:
    condition = item.condition
    if item.ways or condition is None:
        return _ways(item, fed)
    if item.numeric:
        exact = scaled(value) or 0
        found: dict[str, Any] = {"alone": condition.holds(exact)}
        if item.closes or found["alone"]:
            return found
        return found | (_sum(item, exact) if item.type == "value_sum" else {"measured": True})
    alone = condition.counts(len(fed) if item.type == "temporal" else 1)
    if item.closes or alone:
        return {"alone": alone}
    more = condition.smallest - 1
    match item.type:
        case "event_count":
            return {"alone": False, "events": more}
        case "value_count":
            return {"alone": False, "values": more}
    rest = [rule for rule in dict.fromkeys(item.rules) if rule not in fed]
    wanted = condition.smallest - len(fed)
    return {"alone": False, "rules": rest} | ({"some": wanted} if wanted < len(rest) else {})


def _sum(item: Correlation, exact: int) -> dict[str, Any]:
    """How much more a sum needs than one event gives."""
    bounds = item.condition.bounds if item.condition is not None else ()
    missing = [(scaled(bound) or 0, name) for name, bound in bounds]
    most, name = max(missing)
    left = most - exact
    return {"over" if name == "gt" else "sum": left // SCALE if left % SCALE == 0 else left / SCALE}


def _ways(item: Correlation, fed: Collection[str]) -> dict[str, Any]:
    ordered = item.type == "temporal_ordered"
    ways = [way for way in item.ways if any(on and rule in fed for rule, on in way)]
    free = [way for way in ways if not any(rule in fed for rule, on in way if not on)]
    if not free:
        return {"alone": False, "hinders": True}
    open_ways = [_way(way, fed, ordered=ordered) for way in free]
    alone = any(not (way.get("rules") or way.get("before") or way.get("after")) for way in open_ways)
    return {"alone": alone, "ways": open_ways}


def _way(way: Way, fed: Collection[str], *, ordered: bool) -> dict[str, list[str]]:
    if not ordered:
        return {
            "rules": [rule for rule, on in way if on and rule not in fed],
            "absent": [rule for rule, on in way if not on],
        }
    at = next(place for place, (rule, on) in enumerate(way) if on and rule in fed)
    return {
        "before": [rule for rule, on in way[:at] if on],
        "after": [rule for rule, on in way[at + 1 :] if on],
        "absent_before": [rule for rule, on in way[:at] if not on],
        "absent_after": [rule for rule, on in way[at + 1 :] if not on],
    }


def needed(
    found: Mapping[str, Any], root: Mapping[str, Any], language: str, titles: Mapping[str, str]
) -> Iterator[str]:
    """What `needs` found, line by line; `root` is the correlation's explanation, `titles` are rules by id."""

    def say(key: str, **values: str) -> str:
        return either(_SAID[key], language).format(timespan=length(root["timespan"], language), **values)

    def title(rules: Sequence[str]) -> str:
        return "; ".join(safe(titles.get(rule, rule)) for rule in rules)

    if found.get("through"):
        yield say("through", rules=title(found["through"]))
    counted = f" {phrase('and', language)} ".join(called(str(name), language) for name in listed(root.get("counted")))
    value = ", ".join(map(str, found["counted"].values())) if found.get("counted") else ""
    for key, single in (("events", "event"), ("values", "value")):
        if found.get(key):
            count = number(found[key], language)
            yield say(single if found[key] == 1 else key, count=count, counted=counted, value=value)
    for key in ("sum", "over", "measured"):
        if key in found:
            count = quantity(found[key], language)
            yield say(key if found[key] else "any", count=count, counted=counted, value=quantity(value, language))
    if found.get("rules"):
        key = {1: "one"}.get(found["some"], "some") if "some" in found else "rules"
        yield say(key, count=str(found.get("some", "")), rules=title(found["rules"]))
    yield from _told_ways(found.get("ways") or [], say, title, language)


def _told_ways(
    ways: Sequence[Mapping[str, Sequence[str]]],
    say: Callable[..., str],
    title: Callable[[Sequence[str]], str],
    language: str,
) -> Iterator[str]:
    several = len(ways) > 1
    if several:
        yield say("ways", count=number(len(ways), language))
    for at, way in enumerate(ways[:MOST_WAYS], 1):
        lines = [say(key, rules=title(way[key])) for key in _OF_WAYS if way.get(key)]
        yield from ([f"  {at}. {' '.join(lines)}"] if several and lines else lines)
    if len(ways) > MOST_WAYS:
        yield f"  {phrase('and_more', language).format(count=len(ways) - MOST_WAYS)}"
