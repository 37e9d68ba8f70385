"""JSON records of mixed kinds: each goes to the parser whose shape it has, Windows, application or plain ECS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from almena.event import Event
from collectors.base import Context
from collectors.parsers import app, ecs, windows
from collectors.parsers.common import json_object


def parse(raw: bytes, context: Context) -> Event:
    """One event from one JSON object; raises ParseError as the parser that fits does."""
    document = json_object(raw)
    return _converter(document)(document, context)


def _converter(document: dict[str, Any]) -> Callable[[dict[str, Any], Context], Event]:
    if windows.fits(document):
        return windows.convert
    event = document.get("event")
    dataset = document.get("event.dataset", event.get("dataset") if isinstance(event, dict) else None)
    if isinstance(dataset, str) and dataset.startswith("app."):
        return app.convert
    return ecs.convert
