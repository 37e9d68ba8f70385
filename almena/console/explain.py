"""The explanation of an alert in plain words: each condition, what it asked, what was seen, whether it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from almena.console.i18n import Speak, mark, speaker
from almena.console.show import Look, values

MOST_NODES = 400
"""Conditions that are shown; the raw document has them all."""

DEEPEST = 20

MOST_VALUES = 7
"""Values of one condition that are shown."""

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
    "gt": mark("más de {count}"),
    "gte": mark("al menos {count}"),
    "lt": mark("menos de {count}"),
    "lte": mark("a lo más {count}"),
    "eq": mark("exactamente {count}"),
    "neq": mark("no exactamente {count}"),
}
"""How many a correlation asks for, in words."""

CORRELATIONS = {
    "event_count": mark("{many} eventos en {timespan}"),
    "value_count": mark("{many} valores distintos de {counted} en {timespan}"),
    "temporal": mark("{many} hechos distintos en {timespan}"),
    "temporal_ordered": mark("{many} hechos en este orden, en {timespan}"),
    "value_sum": mark("una suma de {counted} en {timespan}: {many}"),
    "value_avg": mark("un promedio de {counted} en {timespan}: {many}"),
    "value_median": mark("una mediana de {counted} en {timespan}: {many}"),
    "value_percentile": mark("un percentil de {counted} en {timespan}: {many}"),
}
"""What Sigma's correlations look for, in words."""


@dataclass
class Step:
    """One line of the explanation with the lines below it."""

    text: str
    held: bool | None = None
    """Whether the condition held; None for lines that ask nothing."""
    lead: str = ""
    """What stands before `seen`."""
    seen: str = ""
    name: str = ""
    """The name of the selection in the rule."""
    asked: str = ""
    """The field that was asked about, in words."""
    raw: str = ""
    """The same field as the event has it."""
    below: list[Step] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """For models: feature, observed, expected."""


def explain(explanation: object, look: Look, titles: Mapping[str, str] | None = None) -> Step | None:
    """The tree of an alert's explanation, or None when it has none that can be read.

    `titles` are rules by id, for correlations that name what they put together.
    """
    if not isinstance(explanation, Mapping):
        return None
    root = explanation.get("root", explanation)
    teller = _Teller(look, speaker(look.language), titles or {}, iter(range(MOST_NODES)))
    return teller.step(root, 0) if isinstance(root, Mapping) and root.get("kind") else None


def asked(explanation: object) -> set[str]:
    """The fields that an explanation speaks of, as the event has them."""
    found: set[str] = set()
    waiting = [(explanation.get("root", explanation), 0)] if isinstance(explanation, Mapping) else []
    for _ in range(MOST_NODES):
        if not waiting:
            break
        node, depth = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        group = node.get("group")
        found |= {str(name) for name in (node.get("field"), *_list(node.get("counted"))) if name}
        found |= {str(name) for name in group} if isinstance(group, Mapping) else set()
        if depth < DEEPEST:
            waiting += [(child, depth + 1) for child in _list(node.get("children"))]
    return found


@dataclass(frozen=True)
class _Teller:
    look: Look
    say: Speak
    titles: Mapping[str, str]
    budget: Iterator[int]

    def step(self, node: Mapping[str, Any], depth: int) -> Step | None:
        if next(self.budget, None) is None:
            return None
        match node.get("kind"):
            case "model":
                return self._model(node)
            case "correlation":
                return self._correlation(node, depth)
            case "field" | "keyword":
                step = self._leaf(node)
            case "not" if (only := _only_leaf(node)) is not None:
                step = self._leaf(only)
                step.text = self.say("no {condition}").format(condition=step.text)
            case other:
                step = Step(self.say(_HEADS[other]) if isinstance(other, str) and other in _HEADS else values(other))
                step.below = self._below(node, depth)
        step.held = node["pass"] if isinstance(node.get("pass"), bool) else None
        step.name = step.name or values(node.get("selection") or "")
        return step

    def _below(self, node: Mapping[str, Any], depth: int) -> list[Step]:
        if depth >= DEEPEST:
            return []
        steps = (self.step(child, depth + 1) for child in _list(node.get("children")) if isinstance(child, Mapping))
        return [step for step in steps if step is not None]

    def _leaf(self, node: Mapping[str, Any]) -> Step:
        name, seen = str(node.get("field") or ""), node.get("seen")
        step = Step("", name=values(node.get("selection") or ""), asked=self.look.field(name) if name else "")
        step.raw = values(name)
        operator, every = self._operator(node)
        begin = self.say("el evento contiene") if node.get("kind") == "keyword" else operator
        step.text = f"{begin} {every}{self._expected(node, operator)}".rstrip()
        if seen in (None, "", []):
            step.lead = self.say("el evento no lo trae")
        else:
            step.lead, step.seen = self.say("se vio"), values(seen)
        return step

    def _operator(self, node: Mapping[str, Any]) -> tuple[str, str]:
        """The operator in words, and `every of` when the rule asks for all values."""
        say = self.say
        modifiers = [part for part in str(node.get("op") or "").lower().split("|") if part]
        every = say("todo esto:") + " " if "all" in modifiers else ""
        names = [name for part in modifiers if part != "all" and (name := _SAME.get(part, part)) != "equals"]
        if names == ["exists"] and _list(node.get("expected"))[:1] in ([False], ["false"]):
            return say("no existe"), every
        parts = [say(PARTS[name]) for name in names if name in PARTS]
        others = [name for name in names if name not in PARTS and (name != "fieldref" or len(names) == 1)]
        words = [say(OPERATORS[name]) if name in OPERATORS else values(name) for name in others or ["equals"]]
        reference = [say("el campo")] if "fieldref" in names and "fieldref" not in others else []
        return " ".join(parts + words + reference), every

    def _expected(self, node: Mapping[str, Any], operator: str) -> str:
        operators, expected = str(node.get("op") or ""), _list(node.get("expected"))[:1_000]
        if "exists" in operators:
            return ""
        refers = "fieldref" in operators
        texts = [self.look.field(str(value)) if refers else _bare(values(value, 120), operators) for value in expected]
        shown = [f"«{text}»" if text not in ("", "None") else self.say("vacío") for text in texts]
        every = "all" in operators.split("|")
        if len(shown) > MOST_VALUES:
            more = self.say("y otros {count} valores") if every else self.say("u otros {count} valores")
            return f"{', '.join(shown[: MOST_VALUES - 1])} {more.format(count=len(shown) - MOST_VALUES + 1)}"
        joint = self.say("y") if every else self.say("o")
        return f" {joint} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

    def _model(self, node: Mapping[str, Any]) -> Step:
        step = Step(self.say("Esto se aparta de lo acostumbrado"), True)
        for part in _list(node.get("contributions"))[:30]:
            if isinstance(part, Mapping):
                feature = self.look.heading(str(part.get("feature"))) or _cell(part.get("feature"))
                step.rows.append((feature, self._number(part.get("observed")), self._number(part.get("expected"))))
        return step

    def _number(self, value: object) -> str:
        known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
        return self.look.number(value) if known else _cell(value)

    def _correlation(self, node: Mapping[str, Any], depth: int) -> Step:
        kind, say = str(node.get("type") or ""), self.say
        operator, _, bound = str(node.get("threshold") or "").partition(" ")
        many = say(THRESHOLDS[operator]).format(count=values(bound)) if operator in THRESHOLDS else ""
        counted = ", ".join(self.look.field(str(name)) for name in _list(node.get("counted"))[:5])
        if kind == "temporal_ordered":
            many = values(bound)  # all of them, so "at least" says nothing
        text = say(CORRELATIONS[kind] if kind in CORRELATIONS else mark("correlación en {timespan}: {many}")).format(
            many=many or values(node.get("threshold") or "—"),
            counted=counted or say("un campo"),
            timespan=self.look.length(node.get("timespan") or "—"),
        )
        step = Step(text[:1].upper() + text[1:], node["pass"] if isinstance(node.get("pass"), bool) else True)
        if node.get("value") is not None and not kind.startswith("temporal"):
            step.lead, step.seen = say("hubo"), self._number(node["value"])
        group = node.get("group")
        for name, value in list(group.items())[:10] if isinstance(group, Mapping) else ():
            same = say("todos con {field}").format(field=self.look.field(str(name)))
            step.below.append(Step(same, seen=values(value)))
        step.below += self._facts(node, depth)
        return step

    def _facts(self, node: Mapping[str, Any], depth: int) -> list[Step]:
        """What a correlation puts together: the rules by their titles, and the correlations inside it."""
        inner = {
            str(child.get("rule") or at): step
            for at, child in enumerate(_list(node.get("children")))
            if depth < DEEPEST and isinstance(child, Mapping) and (step := self.step(child, depth + 1)) is not None
        }
        facts = []
        for rule in map(str, _list(node.get("rules"))[:20]):
            step = inner.pop(rule, None)
            title = values(self.titles.get(rule, ""))
            if step is not None:
                step.text = f"{title}: {step.text[:1].lower()}{step.text[1:]}" if title else step.text
            elif title:
                step = Step(title, True if node.get("type") == "temporal_ordered" else None)
            if step is not None:
                facts.append(step)
        return facts + list(inner.values())


_HEADS = {
    "and": mark("Se cumple todo esto"),
    "or": mark("Se cumple al menos una de estas"),
    "not": mark("No debe cumplirse"),
}


def _only_leaf(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    children = _list(node.get("children"))
    only = children[0] if len(children) == 1 else None
    return only if isinstance(only, Mapping) and only.get("kind") in ("field", "keyword") else None


def _bare(text: str, operators: str) -> str:
    """A pattern without the wildcards that its operator already says."""
    if ("endswith" in operators or "contains" in operators) and text.startswith("*"):
        text = text[1:]
    if ("startswith" in operators or "contains" in operators) and text.endswith("*") and not text.endswith("\\*"):
        text = text[:-1]
    return text


def _cell(value: object) -> str:
    return "—" if value is None else values(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
