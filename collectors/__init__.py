"""The ways in: one collector per file, one line in a list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collectors.evtx import Evtx
from collectors.file import File
from collectors.http import Http
from collectors.journald import Journald
from collectors.netflow.collector import Netflow
from collectors.packets import Packets
from collectors.relp import Relp
from collectors.syslog import Syslog
from collectors.topic import Topic

COLLECTORS: dict[str, type] = {
    "evtx": Evtx,
    "file": File,
    "http": Http,
    "journald": Journald,
    "kafka": Topic,
    "netflow": Netflow,
    "packets": Packets,
    "relp": Relp,
    "syslog": Syslog,
}
"""Every collector by the `type` that configuration gives it."""


def remember(collectors: Mapping[str, Any], data: Path) -> None:
    """Give every collector that keeps its place, and was not told where, a file of its own under `data`."""
    for name, collector in collectors.items():
        if getattr(collector, "checkpoint", None) == "":
            collector.checkpoint = str(data / "checkpoints" / f"{name}.json")
