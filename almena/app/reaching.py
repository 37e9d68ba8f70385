"""How far a group has come, in words: `3 de 5 valores distintos de usuario`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from almena.labels import called, number
from almena.phrases import NOUNS, THRESHOLDS, either
from almena.progress import Progress
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation

_COUNTED = {
    "event_count": "events",
    "value_count": "values",
    "temporal": "different",
}
"""What is counted towards a number, by the correlation's type, as a name of `NOUNS`."""

_STEPS = ("pasos en orden", "steps in order")

_MEASURED = {
    "value_sum": ("suma de {counted}", "sum of {counted}"),
    "value_avg": ("promedio de {counted}", "average of {counted}"),
    "value_median": ("mediana de {counted}", "median of {counted}"),
    "value_percentile": ("percentil {rank} de {counted}", "percentile {rank} of {counted}"),
}
"""What is measured."""

_OF = ("{value} de {wanted} {noun}", "{value} of {wanted} {noun}")
_ASKS = ("{noun}: {value}; se pide {conditions}", "{noun}: {value}; wanted: {conditions}")
_HAS = ("{noun}: {value}", "{noun}: {value}")
_AND = (" y ", " and ")


def reached(progress: Progress, item: Correlation | None, language: str) -> str:
    """What was reached of what is wanted."""
    measured = item is not None and item.type in _MEASURED
    noun = _noun(item, language)
    value = _number(progress.value, language)
    conditions = _conditions(progress.wanted)
    if [name for name, _ in conditions] == ["gte"] and not measured:
        return either(_OF, language).format(value=value, wanted=_number(conditions[0][1], language), noun=noun)
    said = either(_AND, language).join(
        either(THRESHOLDS[name], language).format(count=_number(count, language)) for name, count in conditions
    )
    wanted = said or safe(progress.wanted)
    return either(_ASKS if wanted else _HAS, language).format(noun=noun, value=value, conditions=wanted)


def _noun(item: Correlation | None, language: str) -> str:
    """What is counted or measured."""
    if item is None:
        return _plural(NOUNS["findings"], language)
    counted = ", ".join(called(name, language) for name in item.counted)
    if item.type in _MEASURED:
        return either(_MEASURED[item.type], language).format(counted=counted, rank=item.percentile)
    if item.type == "temporal_ordered":
        return either(_STEPS, language)
    name = "combinations" if len(item.counted) > 1 else _COUNTED.get(item.type, "findings")
    return _plural(NOUNS[name], language).format(counted=counted)


def _plural(noun: tuple[tuple[str, str], tuple[str, str]], language: str) -> str:
    return noun[1 if language == "en" else 0][1]


def missing(progress: Progress, title: Callable[[str], str]) -> list[str]:
    """The titles of the rules that have not been seen yet."""
    return [f"«{title(rule)}»" for rule in progress.missing]


def _conditions(wanted: str) -> list[tuple[str, float]]:
    """`gte 2, lt 9` as operators with their numbers; nothing for what is an expression."""
    found: list[tuple[str, float]] = []
    for part in wanted.split(","):
        name, _, count = part.strip().partition(" ")
        try:
            found.append((name, float(count)))
        except ValueError:
            return []
        if name not in THRESHOLDS:
            return []
    return found


def _number(value: float | str, language: str) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return number(int(value) if whole else value, language)
