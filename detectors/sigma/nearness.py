"""How near a value is to what a condition asks of it: another name, another case, another place, a few characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from almena.words import safe
from detectors.sigma.expression import Predicate
from detectors.sigma.matching import test_of
from detectors.sigma.values import MISFIT, View, address, present, time_part

LONGEST_COMPARED = 300
"""Characters of a value seen that are compared by edits."""

SHORTEST, LONGEST = 4, 60
"""Characters that what is asked for must have to be called alike."""

MOST_COMPARED = 2
"""Values of a list that are compared by edits."""

_TEXT = ("equals", "startswith", "endswith", "contains")
_ORDERED = ("lt", "lte", "gt", "gte", "number")
_DISTANCE = {
    "case": 0.1,
    "elsewhere": 0.2,
    "similar": 0.3,
    "renamed": 0.35,
    "number": 0.4,
    "time": 0.4,
    "holds": 0.5,
    "present": 0.5,
    "different": 0.6,
    "reference": 0.6,
    "nowhere": 0.65,
    "no_number": 0.7,
    "no_time": 0.7,
    "no_address": 0.7,
    "empty": 0.75,
    "absent": 0.8,
}


@dataclass(frozen=True)
class Near:
    """How near one condition is to answering otherwise."""

    kind: str
    """`absent`: the event lacks the field. `renamed`: it has it under another `name`, where it would hold or not
    (`holds`). `empty`. `case`: only upper and lower case differ. `elsewhere`: the value holds the text, but not where
    it is asked for. `similar`: `edits` characters from it. `number`: `difference` from it. `time`: the part of the
    time is `value`. `no_number`, `no_time`, `no_address`: the value is none. `reference`: the other field's `value`.
    `nowhere`: no value has it. `different`. `present`: the field is there and should not be. `holds`: it holds and
    should not."""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def distance(self) -> float:
        """From 0, the same, to 1."""
        edits: int = self.detail.get("edits", 0)
        return _DISTANCE[self.kind] + 0.001 * min(edits, 9)

    def said(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, **self.detail}


def near(predicate: Predicate, view: View, names: Sequence[str] = (), *, wanted: bool = True) -> Near:
    """How near `predicate` is to being `wanted`, which it is not; `names` are other names of its field."""
    if not wanted:
        return Near("absent" if predicate.op in ("null", "exists") and not _there(predicate, view) else "holds")
    if predicate.field is None:
        return Near("case") if _in_another_case(predicate, view) else Near("nowhere")
    if predicate.op == "null" or (predicate.op == "exists" and predicate.value is False):
        return Near("present")
    texts = view.texts(predicate.field)
    if not texts:
        return _renamed(predicate, view, names)
    if _in_another_case(predicate, view):
        return Near("case")
    if predicate.op in _TEXT:
        return _text(predicate, texts)
    if predicate.part:
        return _time(predicate, texts)
    if predicate.op in _ORDERED:
        return _number(predicate, view)
    if predicate.op == "cidr" and not any(address(text) for text in texts):
        return Near("no_address")
    if predicate.op.startswith("fieldref_"):
        other = view.value(str(predicate.value))
        return Near("reference", {"name": str(predicate.value), "value": safe(other) if present(other) else None})
    return Near("empty" if not any(texts) else "different")


def _there(predicate: Predicate, view: View) -> bool:
    return predicate.field is not None and present(view.value(predicate.field))


def _renamed(predicate: Predicate, view: View, names: Sequence[str]) -> Near:
    own = str(predicate.field)
    misfit = view.event.get(MISFIT)
    known = [*view.event, *(misfit if isinstance(misfit, dict) else ())]
    alike = [name for name in known if name != own and name.lower() == own.lower()]
    for name in [*names, *alike]:
        value = view.value(name)
        if present(value):
            holds = test_of(predicate)(View({**view.event, own: value}))
            return Near("renamed", {"name": safe(name), "value": safe(value), "holds": holds})
    return Near("absent")


def _in_another_case(predicate: Predicate, view: View) -> bool:
    """Whether it would hold if upper and lower case were the same."""
    if not predicate.cased or predicate.op == "wildcard":
        return False
    if predicate.op == "re":
        return test_of(replace(predicate, value=f"(?i){predicate.value}"))(view)
    folded = predicate.value.lower() if isinstance(predicate.value, str) and predicate.op in _TEXT else predicate.value
    return test_of(replace(predicate, value=folded, cased=False))(view)


def _text(predicate: Predicate, texts: Sequence[str]) -> Near:
    asked = str(predicate.value)
    seen = [text if predicate.cased else text.lower() for text in texts]
    if not any(seen):
        return Near("empty")
    if asked and any(asked in text for text in seen):
        return Near("elsewhere")
    if SHORTEST <= len(asked) <= LONGEST:
        most = max(len(asked) // 5, 1)
        near_by = [_relevant(text, predicate.op, len(asked) + most) for text in seen[:MOST_COMPARED]]
        found = min(edits(asked, text, predicate.op) for text in near_by)
        if found <= most:
            return Near("similar", {"edits": found})
    return Near("different")


def _relevant(text: str, op: str, longest: int) -> str:
    """The part of a long value in which what is asked for could stand."""
    if op == "endswith":
        return text[-longest:]
    return text[: LONGEST_COMPARED if op == "contains" else longest + 1]


def edits(asked: str, text: str, op: str = "equals") -> int:
    """The fewest characters to insert, remove or replace so that `op` of `asked` holds for `text`.

    >>> edits("powershell", "powershel1"), edits("/nginx", "/usr/sbin/ngin", "endswith")
    (1, 1)
    """
    free_start, free_end = op in ("contains", "endswith"), op in ("contains", "startswith")
    row = [0 if free_start else at for at in range(len(text) + 1)]
    for at, char in enumerate(asked, 1):
        before, row = row, [at]
        for place, other in enumerate(text, 1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (char != other)))
    return min(row) if free_end else row[-1]


def _number(predicate: Predicate, view: View) -> Near:
    numbers = view.numbers(str(predicate.field))
    if not numbers or not isinstance(predicate.value, (int, float)):
        return Near("no_number")
    difference = min((predicate.value - number for number in numbers), key=abs)
    return Near("number", {"difference": difference})


def _time(predicate: Predicate, texts: Sequence[str]) -> Near:
    found = [part for text in texts if (part := time_part(text, predicate.part, predicate.zone)) is not None]
    return Near("time", {"value": found[0]}) if found else Near("no_time")
