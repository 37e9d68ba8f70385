"""Sysmon for Linux: processes, connections and files, as XML in the message of a syslog line.

    <14>Nov 22 13:34:00 web1 sysmon: <Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-...}"/><EventID>1...

Its events are those of Sysmon for Windows and have the same fields.
"""

from __future__ import annotations

from almena.event import Event
from collectors.base import Context
from collectors.parsers import windows_xml
from collectors.parsers.format import Format

_MARK = "Linux-Sysmon"


def read(message: str, event: Event, context: Context) -> bool:
    """Read an event in XML into `event`; False for what is none of Sysmon for Linux."""
    return _MARK in message[:512] and windows_xml.read(message, event, context)


FORMAT = Format(
    name="sysmon_linux",
    dataset="sysmon_linux.log",
    read=read,
    programs=("sysmon",),
    begins=('<Event><System><Provider Name="Linux-Sysmon"',),
    words=False,
)
