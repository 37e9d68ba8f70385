"""How far a group has come, in words: `3 de 5 valores distintos de usuario`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from almena.labels import called, number
from almena.phrases import THRESHOLDS, either
from almena.progress import Progress
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation

_COUNTED = {
    "event_count": ("eventos", "events"),
    "value_count": ("valores distintos de {counted}", "different values of {counted}"),
    "temporal": ("hechos distintos", "different facts"),
    "temporal_ordered": ("pasos en orden", "steps in order"),
    "": ("hechos", "hits"),
}
"""What is counted towards a number, by the correlation's type; the last stands for what is not known."""

_MEASURED = {
    "value_sum": ("suma de {counted}", "sum of {counted}"),
    "value_avg": ("promedio de {counted}", "mean of {counted}"),
    "value_median": ("mediana de {counted}", "median of {counted}"),
    "value_percentile": ("percentil de {counted}", "percentile of {counted}"),
}
"""What is measured."""

_OF = ("{value} de {wanted} {noun}", "{value} of {wanted} {noun}")
_ASKS = ("{noun}: {value}; se pide {conditions}", "{noun}: {value}; wanted: {conditions}")
_AND = (" y ", " and ")


def reached(progress: Progress, item: Correlation | None, language: str) -> str:
    """What was reached of what is wanted."""
    kind = item.type if item is not None else ""
    counted = ", ".join(called(name, language) for name in item.counted) if item is not None else ""
    measured = kind in _MEASURED
    noun = either(_MEASURED[kind] if measured else _COUNTED.get(kind, _COUNTED[""]), language)
    noun = noun.format(counted=counted)
    value = _number(progress.value, language)
    conditions = _conditions(progress.wanted)
    if [name for name, _ in conditions] == ["gte"] and not measured:
        return either(_OF, language).format(value=value, wanted=_number(conditions[0][1], language), noun=noun)
    said = either(_AND, language).join(
        either(THRESHOLDS[name], language).format(count=_number(count, language)) for name, count in conditions
    )
    return either(_ASKS, language).format(noun=noun, value=value, conditions=said or safe(progress.wanted))


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
