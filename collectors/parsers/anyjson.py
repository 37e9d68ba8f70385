"""JSON records of mixed kinds: each goes to the format whose shape it has, or is taken as application or plain ECS."""

from __future__ import annotations

from typing import Any

from almena.event import Event
from collectors.base import Context
from collectors.parsers import app, ecs, formats
from collectors.parsers.common import json_object


def parse(raw: bytes, context: Context) -> Event:
    """One event from one JSON object; raises ParseError as the parser that fits does."""
    document = json_object(raw)
    known = formats.of_document(document)
    if known is not None:
        return known.document(document, {}, context)
    return app.convert(document, context) if _is_ours(document) else ecs.convert(document, context)


def _is_ours(document: dict[str, Any]) -> bool:
    event = document.get("event")
    dataset = document.get("event.dataset", event.get("dataset") if isinstance(event, dict) else None)
    return isinstance(dataset, str) and dataset.startswith("app.")
