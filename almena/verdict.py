"""What there is to say of one rule and one event: whether it matches, why, and what comes nearest where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from almena.explanation import LONGEST_VALUE, lines, listed, sentence, tell
from almena.labels import number
from almena.phrases import either
from almena.words import safe

MOST_CHANGES = 50
"""Conditions that are told."""

_SAID = {
    "matches": ("La regla coincide con el evento.", "The rule matches the event."),
    "misses": ("La regla no coincide con el evento.", "The rule does not match the event."),
    "condition": ("Condición: {condition}", "Condition: {condition}"),
    "unseen": (
        "La regla no mira este evento: pide {asked}; el evento es {event}.",
        "The rule does not look at this event: it asks for {asked}; the event is {event}.",
    ),
    "unknown": (
        "La regla no mira este evento: pide {asked}; el evento no dice de dónde viene (event.dataset).",
        "The rule does not look at this event: it asks for {asked}; the event names no source (event.dataset).",
    ),
    "dataset": (
        "La regla no mira este evento: pide {asked}; nadie conoce el origen {dataset} del evento.",
        "The rule does not look at this event: it asks for {asked}; the event's dataset {dataset} is not known.",
    ),
    "only_source": (
        "Sus condiciones sí se cumplen; solo el origen no corresponde.",
        "Its conditions do hold; only the log source differs.",
    ),
    "one": ("Lo más cercano: tendría que cambiar una condición.", "The nearest miss: one condition would change."),
    "many": (
        "Lo más cercano: tendrían que cambiar {count} condiciones.",
        "The nearest miss: {count} conditions would change.",
    ),
    "left_out": ("y {count} más", "and {count} more"),
}

_NEAR = {
    "absent": ("el evento no trae el campo {field}", "the event has no field {field}"),
    "renamed": (
        "el evento lo trae con otro nombre, {name}: «{value}»",
        "the event has it under another name, {name}: «{value}»",
    ),
    "renamed_holds": (
        "el evento lo trae con otro nombre, {name}: «{value}»; ahí se cumpliría",
        "the event has it under another name, {name}: «{value}»; there it would hold",
    ),
    "empty": ("el campo está vacío", "the field is empty"),
    "case": ("solo difieren las mayúsculas y minúsculas", "only upper and lower case differ"),
    "elsewhere": ("el valor lo contiene, pero trae algo más", "the value contains it, but has more"),
    "elsewhere_startswith": (
        "el valor lo contiene, pero no al principio",
        "the value contains it, but not at the beginning",
    ),
    "elsewhere_endswith": ("el valor lo contiene, pero no al final", "the value contains it, but not at the end"),
    "similar": ("está a {edits} caracteres de «{first}»", "it is {edits} characters from «{first}»"),
    "similar_one": ("está a un carácter de «{first}»", "it is one character from «{first}»"),
    "number": ("la diferencia es de {difference}", "the difference is {difference}"),
    "time": ("en el evento es {value}", "in the event it is {value}"),
    "no_number": ("el valor no es un número", "the value is no number"),
    "no_time": ("el valor no es una hora", "the value is no time"),
    "no_address": ("el valor no es una dirección IP", "the value is no IP address"),
    "reference": ("el campo {name} dice «{value}»", "the field {name} says «{value}»"),
    "reference_absent": ("el evento no trae el campo {name}", "the event has no field {name}"),
    "nowhere": ("no está en ningún valor del evento", "it is in no value of the event"),
    "present": ("el campo está, y no debería", "the field is there, and should not be"),
    "holds": ("se cumple, y no debería", "it holds, and should not"),
}
"""How near a condition is, in words; a value that is simply another one says nothing more."""


def verdict_lines(verdict: Mapping[str, Any], language: str = "es") -> list[str]:
    """What `verdict` says, line by line, safe to show.

    `verdict` has `matches`, `explanation`, `logsource` (None or `asked`, `event`, `dataset`) and `nearest` (`changes`
    and how many were `left_out`), as `almena rules explain --json` prints them.
    """
    return list(_Sayer(language).lines(verdict))


class _Sayer:
    def __init__(self, language: str) -> None:
        self._language = language

    def lines(self, verdict: Mapping[str, Any]) -> Iterator[str]:
        matches, gap = verdict.get("matches") is True, verdict.get("logsource")
        explanation = verdict.get("explanation")
        yield self._say("matches" if matches else "misses")
        if isinstance(gap, Mapping):
            yield self._gap(gap)
        if isinstance(explanation, Mapping):
            if explanation.get("condition"):
                yield self._say("condition", condition=safe(explanation["condition"], 1_000))
            yield from lines(explanation, self._language)
        yield from self._changes(verdict)

    def _say(self, key: str, **values: object) -> str:
        return either(_SAID[key], self._language).format(**values)

    def _gap(self, gap: Mapping[str, Any]) -> str:
        asked, event = _parts(gap.get("asked")), _parts(gap.get("event"))
        if event:
            return self._say("unseen", asked=asked, event=event)
        dataset = gap.get("dataset")
        return self._say("dataset" if dataset else "unknown", asked=asked, dataset=f"«{safe(dataset)}»")

    def _changes(self, verdict: Mapping[str, Any]) -> Iterator[str]:
        nearest, explanation = verdict.get("nearest"), verdict.get("explanation")
        if not isinstance(nearest, Mapping):
            return
        changes = [change for change in listed(nearest.get("changes")) if isinstance(change, Mapping)]
        if not changes:
            if verdict.get("matches") is not True:
                yield self._say("only_source")
            return
        missing = nearest.get("left_out")
        unsaid = missing if isinstance(missing, int) and missing > 0 else 0
        count = len(changes) + unsaid
        yield self._say("one") if count == 1 else self._say("many", count=number(count, self._language))
        words = explanation.get("words") if isinstance(explanation, Mapping) else None
        for at, change in enumerate(changes[:MOST_CHANGES], 1):
            yield from self._change(f"  {at}. ", change, words)
        unsaid += len(changes[MOST_CHANGES:])
        if unsaid:
            yield "  " + self._say("left_out", count=number(unsaid, self._language))

    def _change(self, head: str, change: Mapping[str, Any], words: object) -> Iterator[str]:
        leaf = {name: value for name, value in change.items() if name in _OF_LEAF}
        root = leaf if change.get("wanted") is True else {"kind": "not", "children": [leaf]}
        step = tell({"root": root, "words": words}, self._language)
        if step is None:
            return
        step.said = ""
        yield f"{head}{f'{step.name}: ' if step.name else ''}{sentence(step)}"
        hint = self._near(change)
        if hint:
            yield " " * len(head) + hint

    def _near(self, change: Mapping[str, Any]) -> str:
        near = change.get("near")
        if not isinstance(near, Mapping):
            return ""
        kind = str(near.get("kind"))
        match kind:
            case "renamed" if near.get("holds") is True:
                kind = "renamed_holds"
            case "elsewhere":
                last = str(change.get("op")).split("|")[0]
                kind = f"elsewhere_{last}" if f"elsewhere_{last}" in _NEAR else kind
            case "similar" if near.get("edits") == 1:
                kind = "similar_one"
            case "reference" if near.get("value") is None:
                kind = "reference_absent"
        if kind not in _NEAR:
            return ""
        first = listed(change.get("expected"))[:1]
        return either(_NEAR[kind], self._language).format(
            field=safe(change.get("field", "")),
            name=safe(near.get("name", "")),
            value=safe(near.get("value", ""), LONGEST_VALUE),
            edits=safe(near.get("edits", "")),
            first=safe(first[0], LONGEST_VALUE).strip("*") if first else "",
            difference=number(_plain(near.get("difference")), self._language),
        )


_OF_LEAF = frozenset({"kind", "selection", "field", "op", "expected", "more", "seen"})


def _plain(value: object) -> object:
    return abs(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _parts(said: object) -> str:
    """`product windows, service sysmon` of a mapping of names to one or several values; nothing of none."""
    if not isinstance(said, Mapping):
        return ""
    parts = [(safe(name), ", ".join(safe(value) for value in listed(values)[:10])) for name, values in said.items()]
    return "; ".join(f"{name} {values}" for name, values in parts[:10] if values)
