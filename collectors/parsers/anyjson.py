"""JSON records of mixed kinds: each goes to the format whose shape it has, or is taken as application or plain ECS."""

from __future__ import annotations

from typing import Any

from almena.event import Event
from collectors.base import Context
from collectors.parsers import app, ecs, formats
from collectors.parsers.common import json_object, text


def parse(raw: bytes, context: Context) -> Event:
    """One event from one JSON object; raises ParseError as the parser that fits does."""
    document = json_object(raw)
    known = formats.of_document(document)
    if known is not None:
        return known.document(document, {}, context, "" if known.whole else text(raw))
    return convert(document, context)


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of an object that has no known format; raises ParseError when it has no time."""
    event = document.get("event")
    dataset = document.get("event.dataset", event.get("dataset") if isinstance(event, dict) else None)
    ours = isinstance(dataset, str) and dataset.startswith("app.")
    return app.convert(document, context) if ours else ecs.convert(document, context)
