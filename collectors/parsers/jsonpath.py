"""Values out of JSON documents by dotted paths, whatever shape a stranger gave the document."""

from __future__ import annotations

from typing import Any

from almena.event import Event
from collectors.parsers.common import as_text, given

_LONGEST = 8_192


def value_at(document: Any, path: str) -> Any:
    """The value at `a.b.c`, where a number stands for a place in a list; None when there is none."""
    if isinstance(document, dict):
        if path in document:
            return document[path]
        if "." not in path:
            return None
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def text_at(document: Any, path: str) -> str | None:
    """As `value_at`, as text; None for nothing, placeholders and what is longer than a keyword may be."""
    value = value_at(document, path)
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = given(value)
    return text if text is not None and len(text) <= _LONGEST else None


def put(event: Event, name: str, value: Any) -> None:
    """Set a field to a text, unless there is none."""
    if value is None:
        return
    text = given(value) if isinstance(value, str) else as_text(value)
    if text is not None and not text.isspace() and text:
        event[name] = text
