"""Windows records as JSON to the flat records that Sigma's rules are written for, with their own field names."""

from __future__ import annotations

from typing import Any

from almena.errors import ParseError
from almena.event import Event

DEEPEST = 20
"""Objects within objects; deeper ones are refused."""


def native_windows(record: dict[str, Any]) -> Event:
    """`{"Event": {"System": ..., "EventData": ...}}` flat: names without spaces, attributes as `Provider_Name`.

    Records that are flat already keep their names; objects within them get dotted ones. Raises ParseError beyond
    `DEEPEST` levels.
    """
    event = record.get("Event")
    if not isinstance(event, dict):
        return flat(record)
    found: Event = {}
    system = event.get("System")
    if isinstance(system, dict):
        for name, value in system.items():
            _element(found, _name(name), value)
    templates = event.get("UserData")
    for data in (event.get("EventData"), *(templates.values() if isinstance(templates, dict) else ())):
        if isinstance(data, dict):
            for name, value in data.items():
                _element(found, _name(name), value)
    return found


def _name(name: str) -> str:
    return name.replace(" ", "")


def _element(found: Event, name: str, value: Any) -> None:
    if isinstance(value, dict):
        attributes = value.get("#attributes")
        for attribute, text in attributes.items() if isinstance(attributes, dict) else ():
            found[f"{name}_{attribute}"] = text
        if "#text" in value:
            found[name] = value["#text"]
        elif not attributes:
            found |= flat({name: value})
    elif name != "#attributes":
        found[name] = value


def flat(record: dict[str, Any]) -> Event:
    """Dotted names; lists of objects become lists of their values. Raises ParseError beyond `DEEPEST` levels."""
    found: Event = {}
    stack: list[tuple[str, Any, int]] = [("", record, 0)]
    while stack:
        prefix, node, depth = stack.pop()
        if depth > DEEPEST:
            raise ParseError(f"objects nested deeper than {DEEPEST}")
        for key, value in node.items():
            name = prefix + str(key)
            if isinstance(value, dict) and value:
                stack.append((name + ".", value, depth + 1))
                continue
            plain = [item for item in value if not isinstance(item, dict)] if isinstance(value, list) else value
            if isinstance(value, list):
                stack.extend((name + ".", item, depth + 1) for item in value if isinstance(item, dict))
            if isinstance(value, list) and len(plain) < len(value) and not plain:
                continue
            found[name] = _joined(found[name], plain) if name in found else plain
    return found


def _joined(old: Any, new: Any) -> list[Any]:
    return (old if isinstance(old, list) else [old]) + (new if isinstance(new, list) else [new])
