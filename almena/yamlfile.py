"""YAML from strangers: plain values only, aliases and repeated keys refused, bounded in size and depth."""

from __future__ import annotations

import re
from typing import Any

import yaml

from almena.errors import RuleError

LONGEST = 4 * 1024 * 1024
"""Bytes of one YAML text; larger ones are refused."""

DEEPEST = 100
"""Levels of nesting; deeper ones are refused."""


_INDENTATION = re.compile(r"^[ ?:-]*", re.MULTILINE)


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is written twice: YAML's own loader would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1 if key.start_mark is not None else 0
                    raise RuleError(f"line {line}: the key {key.value!r} is written twice")
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def load_all(text: str) -> list[Any]:
    """Every document of `text`; raises RuleError with line and reason."""
    if len(text) > LONGEST:
        raise RuleError(f"longer than {LONGEST} characters")
    try:
        _check_events(text)
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RuleError(f"{where}no valid YAML: {problem}") from None
    except (ValueError, RecursionError) as error:
        raise RuleError(f"no valid YAML: {error}") from None


def _check_events(text: str) -> None:
    """Refuse aliases and depth before anything is built: libyaml's own recursion would end the process."""
    if "*" not in text and "&" not in text and _deepest(text) < DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise RuleError(f"line {_line(event)}: aliases (*{event.anchor}) are refused; write the value out")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > DEEPEST:
                raise RuleError(f"line {_line(event)}: nested deeper than {DEEPEST}")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _deepest(text: str) -> int:
    """No fewer levels than the text can have, at a glance: a level takes a bracket, or half a column of indentation."""
    return text.count("[") + text.count("{") + 2 * max(map(len, _INDENTATION.findall(text))) + 2


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0
