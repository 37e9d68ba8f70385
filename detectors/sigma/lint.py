"""What a rule's author should look at: each doubt with its kind, found without any event and without the network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from almena.words import condition_faults
from detectors.sigma.attack import fault_of
from detectors.sigma.expression import Expression, Named, Predicate
from detectors.sigma.logic import fate, too_broad, without
from detectors.sigma.rules import LEVEL, Correlation, Rule
from detectors.sigma.sources import SYSMON

Doubt = tuple[str, str]
"""Its kind, one of `KINDS`, and what it says."""

KINDS = {
    "loading": "what loading said: log sources that no event reaches, filters that reach no rule",
    "tests": "no tests, or only one kind of example",
    "words": "no Spanish words, or words that name fields which no feed fills",
    "field": "a field that no feed fills",
    "identity": "no id; a title or a detection that another rule has too",
    "statement": "no level, status or description, or one that says the rule should not be in use",
    "key": "a key that is nearly one of Sigma's, or a log source's key that is none",
    "tag": "a tag that ATT&CK, D3FEND or its own namespace does not know, or one written twice",
    "logic": "a detection that always holds or never does",
    "broad": "a detection that nearly every event of its log source satisfies",
    "selection": "a selection that the condition does not use",
    "modifier": "a modifier without effect",
    "value": "a value written twice, with control characters, or with wildcards in place of a modifier",
    "logsource": "an event id of Sysmon in place of its category",
    "level": "a level above low on a rule that only feeds correlations",
}
"""Kinds of doubts, and what they are about."""

STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")

_KEYS = frozenset(
    {"title", "id", "related", "name", "taxonomy", "status", "description", "license", "author", "references", "date"}
    | {"modified", "logsource", "detection", "fields", "falsepositives", "level", "tags", "scope", "action"}
    | {"correlation", "filter", "es", "en", "tests"}
)
_LOGSOURCE = frozenset({"product", "category", "service", "definition"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_SELECTIONS = frozenset({"condition", "timeframe"})


def doubts(item: Rule | Correlation) -> Iterator[Doubt]:
    """What is doubtful about one rule by itself."""
    yield from _statements(item.document)
    yield from _keys(item.document)
    yield from _tags(item.document.get("tags"))
    if isinstance(item, Rule):
        yield from _logic(item.expression)
        yield from _selections(item)
        yield from (("words", fault) for fault in condition_faults(item.document, set(_named(item.expression))))
        yield from _logsource(item)
        for name, selection in item.document["detection"].items():
            if name not in _NOT_SELECTIONS:
                yield from _items(selection)


def among(items: Iterable[Rule | Correlation]) -> Iterator[tuple[Rule | Correlation, Doubt]]:
    """What is doubtful about rules beside each other: titles and detections that others have too."""
    titles: dict[str, Rule | Correlation] = {}
    detections: dict[str, Rule] = {}
    for item in items:
        first = titles.setdefault(" ".join(item.title.lower().split()), item)
        if first is not item:
            yield item, ("identity", f"its title is that of {first.id} in {first.file}")
        if isinstance(item, Rule):
            same = detections.setdefault(item.version, item)
            if same is not item:
                yield item, ("identity", f"it detects the same as {same.title!r} in {same.file}")


def _statements(document: Mapping[str, Any]) -> Iterator[Doubt]:
    if not document.get("id"):
        yield "identity", "it has no id; one is made from its name or title, and changes with it"
    if not document.get("level"):
        yield "statement", f"it states no level; it counts as {LEVEL}"
    status = document.get("status")
    if not status:
        yield "statement", "it states no status"
    elif str(status).lower() not in STATUSES:
        yield "statement", f"its status is {status!r}; known are {', '.join(STATUSES)}"
    elif str(status).lower() in ("deprecated", "unsupported"):
        yield "statement", f"its status is {status}, and it is in use"
    if not document.get("description"):
        yield "statement", "it has no description"


def _keys(document: Mapping[str, Any]) -> Iterator[Doubt]:
    for key in document:
        if key not in _KEYS and (near := difflib.get_close_matches(str(key), _KEYS, 1, 0.85)):
            yield "key", f"its key {key!r} is not Sigma's; is {near[0]!r} meant?"
    logsource = document.get("logsource")
    for key in logsource if isinstance(logsource, Mapping) else ():
        if key not in _LOGSOURCE:
            yield "key", f"its log source has the key {key!r}; only product, category and service choose events"
    references = document.get("references")
    for twice in _twice(references if isinstance(references, list) else ()):
        yield "value", f"the reference {twice} is written twice"


def _tags(tags: Any) -> Iterator[Doubt]:
    if not isinstance(tags, list):
        return
    for tag in tags:
        if fault := fault_of(str(tag)):
            yield "tag", fault
    for twice in _twice(tags):
        yield "tag", f"the tag {twice!r} is written twice"


def _twice(values: Iterable[Any]) -> Iterator[str]:
    seen: set[str] = set()
    for value in map(str, values):
        if value.lower() in seen:
            yield value
        seen.add(value.lower())


def _logic(expression: Expression) -> Iterator[Doubt]:
    certain = fate(expression)
    if certain is not None:
        yield "logic", "its detection is always true" if certain else "its detection is never true: it excludes itself"
    elif without(expression):
        yield "broad", "it matches every event of its log source that has none of the fields it asks for"
    elif found := too_broad(expression):
        asked = " and ".join(_asked(predicate) for predicate in found[:3])
        yield "broad", f"it matches by {asked} alone, which nearly every event satisfies"


def _asked(predicate: Predicate) -> str:
    name = predicate.field or "any value"
    return f"{name} {predicate.op}" if predicate.op == "exists" else f"{name} {predicate.op} {predicate.shown!r}"


def _selections(rule: Rule) -> Iterator[Doubt]:
    used = set(_named(rule.expression))
    for name in rule.document["detection"]:
        if name not in used and name not in _NOT_SELECTIONS:
            yield "selection", f"its selection {name!r} is in no condition"


def _named(expression: Expression) -> Iterator[str]:
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Named):
            yield node.name
        if isinstance(node, Predicate):
            continue
        stack.extend(node.children if hasattr(node, "children") else [node.child])


def _logsource(rule: Rule) -> Iterator[Doubt]:
    source = rule.logsource
    if source.service != "sysmon" or source.category is not None:
        return
    for name, value in _fields(rule.document["detection"]):
        if name == "EventID":
            for code in value if isinstance(value, list) else [value]:
                if str(code) in SYSMON:
                    generic = " or ".join(SYSMON[str(code)])
                    yield (
                        "logsource",
                        f"it asks for EventID {code} of Sysmon; its category {generic} says it for any source",
                    )


def _fields(selection: Any) -> Iterator[tuple[str, Any]]:
    """Every (field with its modifiers, value) of a selection, however deep."""
    stack = [selection]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            for name, value in node.items():
                if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(i, dict) for i in value)):
                    stack.append(value)
                else:
                    yield str(name), value


def _items(selection: Any) -> Iterator[Doubt]:
    for name, stated in _fields(selection):
        field, *modifiers = name.split("|")
        values = stated if isinstance(stated, list) else [stated]
        yield from _modifiers(name, modifiers, values)
        for twice in _twice(values) if "cased" not in modifiers and "re" not in modifiers else ():
            yield "value", f"it asks the field {field or '(any)'} for {twice!r} twice"
        for value in values:
            if isinstance(value, str):
                yield from _value(field, modifiers, value)


def _modifiers(name: str, modifiers: list[str], values: list[Any]) -> Iterator[Doubt]:
    if "all" in modifiers and len(values) < 2 and name.partition("|")[0]:
        yield "modifier", f"in the field {name}, 'all' changes nothing with one value"
    if "base64offset" in modifiers and "contains" not in modifiers:
        yield (
            "modifier",
            f"in the field {name}, 'base64offset' needs 'contains' behind it, or it matches whole values only",
        )
    for twice in _twice(modifiers):
        yield "modifier", f"in the field {name}, the modifier {twice!r} is written twice"


def _value(field: str, modifiers: list[str], value: str) -> Iterator[Doubt]:
    asked = f"it asks the field {field or '(any)'} for {value!r}"
    if _CONTROL.search(value):
        yield "value", f"{asked}, which has control characters"
    if "re" in modifiers or not field:
        return
    if "**" in value:
        yield "value", f"{asked}; two wildcards in a row are one"
    inner = value.strip("*")
    if modifiers or not inner or any(char in inner for char in "*?") or value.endswith("\\*"):
        return
    better = {(True, True): "contains", (True, False): "endswith", (False, True): "startswith"}
    if modifier := better.get((value.startswith("*"), value.endswith("*"))):
        yield "value", f"{asked}; the modifier {modifier!r} says it plainly"
