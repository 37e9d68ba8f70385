"""From bytes to events: one format per file, one line in `formats.FORMATS`."""

from __future__ import annotations

from collectors.base import Parser
from collectors.parsers import anyjson, app, auto, ecs, flow, syslog
from collectors.parsers.formats import FORMATS
from collectors.parsers.shipped import opened

PARSERS: dict[str, Parser] = {
    "app": opened(app.parse),
    "auto": auto.parse,
    "ecs": ecs.parse,
    "flow": flow.parse,
    "json": anyjson.parse,
    "syslog": opened(syslog.parse, syslog.bare),
    **{each.name: opened(each.parse) for each in FORMATS},
}
"""Every parser by the name that configuration and `--parser` give it."""
