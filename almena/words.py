"""The words of an alert: a rule's own texts in Spanish and English, with the event's values put in safely."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

MISSING = "—"
"""What stands where the event has no value."""

LONGEST_VALUE = 200
"""Characters of one value that a sentence shows; the alert's evidence has the whole."""

KEYS = {
    "es": {
        "titulo": "title",
        "que_paso": "what_happened",
        "por_que_importa": "why_it_matters",
        "que_hacer": "what_to_do",
        "falsos_positivos": "false_positives",
    },
    "en": {
        "title": "title",
        "what_happened": "what_happened",
        "why_it_matters": "why_it_matters",
        "what_to_do": "what_to_do",
        "false_positives": "false_positives",
    },
}
"""The keys of a rule's `es:` and `en:` blocks, and what they are called in an alert."""

CONDITIONS = {"es": "condiciones", "en": "conditions"}
"""The optional key of the same blocks that says what each selection of the condition means, for explanations:
`condiciones: {shell: El programa es una consola}`. A selection without words goes by its name."""

MOST_CONDITIONS = 100
"""Selections of one rule whose words are used."""

LONGEST_CONDITION = 300
"""Characters of the words for one selection."""

_EXACT = 2.0**53
_FIELD = re.compile(r"\{([@A-Za-z_][\w.@-]{0,120})\}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def safe(value: object, longest: int = LONGEST_VALUE) -> str:
    """`value` as text for people: control and direction characters escaped, cut at `longest` characters."""
    text = ", ".join(map(_plain, value[:20])) if isinstance(value, list) else _plain(value)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _plain(value: object) -> str:
    """A whole number as people write it: 94, not 94.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value)


def fields_of(template: str) -> list[str]:
    """The fields a template names, in order.

    >>> fields_of("{user.name} entró desde {source.ip}")
    ['user.name', 'source.ip']
    """
    return _FIELD.findall(template)


def render(template: str, event: Mapping[str, Any]) -> str:
    """The template with the event's values; a field the event lacks becomes `MISSING`. Never raises."""

    def value(name: str) -> str:
        found = event.get(name)
        return MISSING if found in (None, "", []) else safe(found)

    return fill(template, value)


def fill(template: str, value: Callable[[str], str]) -> str:
    """The template with `value(field)` for each field it names.

    >>> fill("{user.name} entró", str.upper)
    'USER.NAME entró'
    """
    return _FIELD.sub(lambda match: value(match[1]), template)


def words_of(rule: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The rule's `es:` and `en:` blocks rendered for `event`, under the names of `KEYS`.

    A rule without English words speaks with its Sigma title and description; one without Spanish words too.
    """
    title = str(rule.get("title") or rule.get("name") or "")
    texts: dict[str, dict[str, str]] = {}
    for language, keys in KEYS.items():
        block = rule.get(language)
        block = block if isinstance(block, Mapping) else {}
        said = {name: render(_text(block[key]), event) for key, name in keys.items() if block.get(key)}
        said.setdefault("title", safe(title))
        if "what_happened" not in said:
            said["what_happened"] = safe(rule.get("description") or title, 1_000)
        texts[language] = said
    return texts


def conditions_of(rule: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the rule's `condiciones` and `conditions` say of its selections, by language, rendered for `event`.

    A language without any is left out; what is no text is, too. Never raises.
    """
    found: dict[str, dict[str, str]] = {}
    for language, key in CONDITIONS.items():
        block = rule.get(language)
        said = block.get(key) if isinstance(block, Mapping) else None
        if isinstance(said, Mapping):
            texts = [(name, text) for name, text in said.items() if isinstance(text, str) and text.strip()]
            found[language] = {
                str(name): safe(render(text, event), LONGEST_CONDITION) for name, text in texts[:MOST_CONDITIONS]
            }
    return {language: texts for language, texts in found.items() if texts}


def condition_faults(rule: Mapping[str, Any], selections: Collection[str]) -> list[str]:
    """What is wrong with the rule's words for its conditions; `selections` are those its condition uses."""
    faults = []
    for language, key in CONDITIONS.items():
        block = rule.get(language)
        said = block.get(key) if isinstance(block, Mapping) else None
        if said is None:
            continue
        if not isinstance(said, Mapping):
            faults.append(f"'{key}' under '{language}' is a mapping of selections to texts")
            continue
        for name, text in said.items():
            if name not in selections:
                faults.append(f"'{key}' under '{language}' names {name!r}, which is no selection of the condition")
            elif not isinstance(text, str) or not text.strip():
                faults.append(f"'{key}' under '{language}' has no text for {name!r}")
    return faults


def _text(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return str(value)
