"""From bytes to events: one format per file, one line in a list."""

from __future__ import annotations

from collectors.base import Parser
from collectors.parsers import anyjson, apache, app, ecs, nginx, sshd, sudo, syslog, windows

PARSERS: dict[str, Parser] = {
    "apache": apache.parse,
    "app": app.parse,
    "ecs": ecs.parse,
    "json": anyjson.parse,
    "nginx": nginx.parse,
    "sshd": sshd.parse,
    "sudo": sudo.parse,
    "syslog": syslog.parse,
    "windows": windows.parse,
}
"""Every parser by the name that configuration and `--parser` give it."""
