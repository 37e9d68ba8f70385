"""From one file's text to the YAML documents of rules, Sigma's collections carried out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from almena.errors import RuleError
from almena.yamlfile import load_all

NAMESPACE = UUID("6f6a7a3e-8f0b-5e0c-9d0a-6f9b1c3c2a11")
"""Ids of rules that state none are made under it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One rule, correlation or filter as YAML says it."""

    file: str
    content: dict[str, Any]

    @property
    def label(self) -> str:
        """What to call it in a message: its id, its title, or its file."""
        return str(self.content.get("id") or self.content.get("title") or self.file)[:200]


@dataclass(frozen=True, slots=True)
class Broken:
    """A file or document that could not be read."""

    file: str
    label: str
    reason: str


def documents(file: str, text: str) -> Iterator[Document | Broken]:
    """The documents of one file, with `action: global`, `reset` and `repeat` carried out."""
    try:
        contents = load_all(text)
    except RuleError as error:
        yield Broken(file, file, str(error))
        return
    common: dict[str, Any] = {}
    previous: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for content in contents:
        if content is None:
            continue
        if not isinstance(content, dict):
            yield Broken(file, file, "a rule is a mapping of keys to values")
            continue
        action = content.pop("action", None)
        if action == "global":
            common = previous = _merged(common, content)
        elif action == "reset":
            common = previous = {}
        elif action == "repeat":
            previous = _merged(previous, content)
            yield Document(file, _own_id(previous, content, seen))
        elif action is not None:
            yield Broken(file, file, f"unknown action {str(action)[:60]!r}; known are global, reset and repeat")
        elif "correlation" in content or "filter" in content:
            yield Document(file, content)
        else:
            own = {key: content[key] for key in ("id", "name", "title") if key in content}
            previous = _merged(content, common) | own
            yield Document(file, _own_id(previous, content, seen))


def _merged(into: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else copy.deepcopy(value)
    return merged


def _own_id(merged: dict[str, Any], stated: dict[str, Any], seen: dict[str, int]) -> dict[str, Any]:
    """Rules of a collection that share an id by inheritance get one each, the first keeps it."""
    inherited = merged.get("id")
    if inherited is None or stated.get("id") == inherited:
        return merged
    times = seen[str(inherited)] = seen.get(str(inherited), 0) + 1
    return merged if times == 1 else merged | {"id": str(uuid5(NAMESPACE, f"{inherited}/{times}"))}
