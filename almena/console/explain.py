"""The explanation of an alert in plain words: each condition, what it asked, what was seen, whether it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from almena.console.i18n import Speak, mark
from almena.console.show import values

MOST_NODES = 400
"""Conditions that are shown; the raw document has them all."""

DEEPEST = 20

OPERATORS = {
    "equals": mark("es"),
    "contains": mark("contiene"),
    "startswith": mark("empieza con"),
    "endswith": mark("termina en"),
    "re": mark("coincide con el patrón"),
    "cidr": mark("está en la red"),
    "gt": mark("es mayor que"),
    "gte": mark("es al menos"),
    "lt": mark("es menor que"),
    "lte": mark("es a lo más"),
    "exists": mark("existe"),
    "neq": mark("no es"),
    "fieldref": mark("es igual al campo"),
}
"""Sigma's modifiers in words."""

PARTS = {
    "minute": mark("el minuto"),
    "hour": mark("la hora"),
    "day": mark("el día"),
    "week": mark("la semana"),
    "month": mark("el mes"),
    "year": mark("el año"),
}
"""The parts of a time that a rule may ask about."""

_SAME = {"": "equals", "eq": "equals", "is": "equals", "equal": "equals", "==": "equals", "regex": "re", "in": "equals"}

THRESHOLDS = {
    "gt": mark("más de"),
    "gte": mark("al menos"),
    "lt": mark("menos de"),
    "lte": mark("a lo más"),
    "eq": mark("exactamente"),
    "neq": mark("no exactamente"),
}
"""How many a correlation asks for, in words."""

CORRELATIONS = {
    "event_count": mark("número de eventos"),
    "value_count": mark("número de valores distintos"),
    "temporal": mark("eventos que coinciden en el tiempo"),
    "temporal_ordered": mark("eventos en este orden"),
    "value_sum": mark("suma de los valores"),
    "value_avg": mark("promedio de los valores"),
    "value_median": mark("mediana de los valores"),
    "value_percentile": mark("percentil de los valores"),
}
"""Sigma's correlations in words."""


@dataclass
class Step:
    """One line of the explanation with the lines below it."""

    text: str
    held: bool | None = None
    """Whether the condition held; None for lines that ask nothing."""
    seen: str = ""
    name: str = ""
    """The name of the selection in the rule."""
    asked: str = ""
    """The field that was asked about."""
    below: list[Step] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """For models: feature, observed, expected."""


def explain(explanation: object, say: Speak) -> Step | None:
    """The tree of an alert's explanation, or None when it has none that can be read."""
    if not isinstance(explanation, Mapping):
        return None
    root = explanation.get("root", explanation)
    budget = iter(range(MOST_NODES))
    return _step(root, say, budget, 0) if isinstance(root, Mapping) and root.get("kind") else None


def _step(node: Mapping[str, Any], say: Speak, budget: Iterator[int], depth: int) -> Step | None:
    if next(budget, None) is None:
        return None
    kind = node.get("kind")
    if kind == "model":
        return _model(node, say)
    if kind == "correlation":
        return _correlation(node, say, budget, depth)
    held = node.get("pass")
    step = Step(_words(node, say), held if isinstance(held, bool) else None)
    step.name = values(node.get("selection") or "")
    step.asked = values(node.get("field") or "")
    if kind in ("field", "keyword"):
        seen = node.get("seen")
        step.seen = say("sin valor") if seen in (None, "", []) else values(seen)
    step.below = _below(node, say, budget, depth)
    return step


def _below(node: Mapping[str, Any], say: Speak, budget: Iterator[int], depth: int) -> list[Step]:
    children = node.get("children")
    if depth >= DEEPEST or not isinstance(children, list):
        return []
    steps = (_step(child, say, budget, depth + 1) for child in children if isinstance(child, Mapping))
    return [step for step in steps if step is not None]


def _words(node: Mapping[str, Any], say: Speak) -> str:
    match node.get("kind"):
        case "and":
            return say("Se cumplen todas")
        case "or":
            return say("Se cumple al menos una")
        case "not":
            return say("No debe cumplirse")
        case "keyword":
            return say("El evento contiene") + " " + _expected(node, say)
        case "field":
            operator, every = _operator(node, say)
            return f"{operator} {every}{_expected(node, say)}".rstrip()
        case other:
            return values(other)


def _operator(node: Mapping[str, Any], say: Speak) -> tuple[str, str]:
    """The operator in words, and `every of` when the rule asks for all values."""
    modifiers = [part for part in str(node.get("op") or "").lower().split("|") if part]
    every = say("todo esto:") + " " if "all" in modifiers else ""
    names = [name for part in modifiers if part != "all" and (name := _SAME.get(part, part)) != "equals"]
    if names == ["exists"] and _list(node.get("expected"))[:1] in ([False], ["false"]):
        return say("no existe"), every
    parts = [say(PARTS[name]) for name in names if name in PARTS]
    asked = [name for name in names if name not in PARTS and (name != "fieldref" or len(names) == 1)]
    words = [say(OPERATORS[name]) if name in OPERATORS else values(name) for name in asked or ["equals"]]
    field = [say("el campo")] if "fieldref" in names and "fieldref" not in asked else []
    return " ".join(parts + words + field), every


def _expected(node: Mapping[str, Any], say: Speak) -> str:
    expected = _list(node.get("expected"))
    if "exists" in str(node.get("op")):
        return ""
    shown = [f"«{values(value, 120)}»" if value not in (None, "") else say("vacío") for value in expected[:6]]
    more = [say("y {count} más").format(count=len(expected) - 6)] if len(expected) > 6 else []
    either = say("o")
    return f" {either} ".join(shown) + "".join(f" {text}" for text in more)


def _model(node: Mapping[str, Any], say: Speak) -> Step:
    step = Step(say("Un modelo halló que esto se aparta de lo acostumbrado"), True)
    for part in _list(node.get("contributions"))[:30]:
        if isinstance(part, Mapping):
            row = (part.get("feature"), part.get("observed"), part.get("expected"))
            step.rows.append(tuple("—" if cell is None else values(cell) for cell in row))  # type: ignore[arg-type]
    return step


def _correlation(node: Mapping[str, Any], say: Speak, budget: Iterator[int], depth: int) -> Step:
    type_ = str(node.get("type") or "")
    what = say(CORRELATIONS[type_]) if type_ in CORRELATIONS else values(type_)
    operator, _, bound = str(node.get("threshold") or "").partition(" ")
    asked = f"{say(THRESHOLDS[operator])} {values(bound)}" if operator in THRESHOLDS else values(f"{operator} {bound}")
    text = say("{what} en {timespan}: {asked}").format(
        what=what[:1].upper() + what[1:], timespan=values(node.get("timespan") or "—"), asked=asked.strip() or "—"
    )
    step = Step(text, node["pass"] if isinstance(node.get("pass"), bool) else True)
    if node.get("value") is not None:
        step.seen = values(node["value"])
    group = node.get("group")
    for name, value in list(group.items())[:10] if isinstance(group, Mapping) else ():
        step.below.append(Step(say("con el mismo") + " " + values(name), None, values(value)))
    step.below += _below(node, say, budget, depth)
    return step


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
