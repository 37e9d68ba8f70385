"""Which Windows events a log source means, straight from the taxonomy's tables; apart from the product's routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sigma.pipelines.common import windows_logsource_mapping

from detectors.sigma.rules import LogSource

SYSMON, POWERSHELL = "Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-PowerShell/Operational"
CLASSIC = "Windows PowerShell"

CATEGORIES: dict[str, list[tuple[str, int]]] = {
    "process_creation": [(SYSMON, 1), ("Security", 4688)],
    "file_change": [(SYSMON, 2)],
    "network_connection": [(SYSMON, 3)],
    "sysmon_status": [(SYSMON, 4), (SYSMON, 16)],
    "process_termination": [(SYSMON, 5), ("Security", 4689)],
    "driver_load": [(SYSMON, 6)],
    "image_load": [(SYSMON, 7)],
    "create_remote_thread": [(SYSMON, 8)],
    "raw_access_thread": [(SYSMON, 9)],
    "process_access": [(SYSMON, 10)],
    "file_event": [(SYSMON, 11)],
    "registry_event": [(SYSMON, 12), (SYSMON, 13), (SYSMON, 14)],
    "registry_add": [(SYSMON, 12)],
    "registry_delete": [(SYSMON, 12)],
    "registry_set": [(SYSMON, 13)],
    "registry_rename": [(SYSMON, 14)],
    "create_stream_hash": [(SYSMON, 15)],
    "pipe_created": [(SYSMON, 17), (SYSMON, 18)],
    "wmi_event": [(SYSMON, 19), (SYSMON, 20), (SYSMON, 21)],
    "dns_query": [(SYSMON, 22)],
    "file_delete": [(SYSMON, 23), (SYSMON, 26)],
    "clipboard_capture": [(SYSMON, 24)],
    "process_tampering": [(SYSMON, 25)],
    "file_delete_detected": [(SYSMON, 26)],
    "file_block_executable": [(SYSMON, 27)],
    "file_block_shredding": [(SYSMON, 28)],
    "file_executable_detected": [(SYSMON, 29)],
    "sysmon_error": [(SYSMON, 255)],
    "ps_classic_start": [(CLASSIC, 400)],
    "ps_classic_provider_start": [(CLASSIC, 600)],
    "ps_classic_script": [(CLASSIC, 800)],
    "ps_module": [(POWERSHELL, 4103), ("PowerShellCore/Operational", 4103)],
    "ps_script": [(POWERSHELL, 4104), ("PowerShellCore/Operational", 4104)],
}
"""Taxonomy appendix 2.1, "Windows Folder, Category"; 4688, 4689 and 26 as SigmaHQ's log source guides have them."""

REGISTRY = {"CreateKey": "registry_add", "DeleteKey": "registry_delete", "DeleteValue": "registry_delete"}
"""What Sysmon 12 says of itself narrows it to one of the two categories it stands for."""


class Kind(NamedTuple):
    """What the tables look at in an event with native names."""

    channel: str
    code: int
    event_type: str


def kind(event: Mapping[str, Any]) -> Kind:
    return Kind(event["Channel"].lower(), event["EventID"], event.get("EventType", ""))


def sees(kind: Kind, logsource: LogSource) -> bool:
    """True when a rule of `logsource` is about Windows events of this kind."""
    if logsource.product not in (None, "windows"):
        return False
    if logsource.service is not None:
        names = windows_logsource_mapping.get(logsource.service, [])
        if kind.channel not in [name.lower() for name in ([names] if isinstance(names, str) else names)]:
            return False
    if logsource.category is None:
        return True
    places = CATEGORIES.get(logsource.category, [])
    if (kind.channel, kind.code) not in [(where.lower(), number) for where, number in places]:
        return False
    own = REGISTRY.get(kind.event_type) if kind.code == 12 else None
    return own is None or logsource.category in ("registry_event", own)
