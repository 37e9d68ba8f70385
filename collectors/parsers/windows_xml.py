"""Windows events as XML, as Windows itself renders and forwards them, alone or behind a syslog header.

    <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-...

No document type, entity or processing instruction is accepted, and depth and count of elements are bounded. Of a
record that a relay cut, what was complete is read.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from almena.event import Event
from collectors.base import Context
from collectors.parsers import windows
from collectors.parsers.common import MAX_FIELDS
from collectors.parsers.format import Format

BEGINS = ("<Event xmlns", "<Event>", "<Events>", "<?xml version")
_DEPTH = 16
_TEXT = "#text"


class _Refused(Exception):
    """What no event needs and attackers use."""


class _Builder:
    """Elements to the shape that converters of event logs give: attributes under `#attributes`, text under `#text`."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._stack: list[dict[str, Any]] = [self.root]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_FIELDS or len(self._stack) > _DEPTH:
            raise _Refused
        element: dict[str, Any] = {"#attributes": attributes} if attributes else {}
        parent = self._stack[-1]
        tag = name.rpartition(":")[2]
        known = parent.get(tag)
        if known is None:
            parent[tag] = element
        elif isinstance(known, list):
            known.append(element)
        else:
            parent[tag] = [known, element]
        self._stack.append(element)

    def end(self, name: str) -> None:
        self._stack.pop()

    def text(self, text: str) -> None:
        element = self._stack[-1]
        element[_TEXT] = element.get(_TEXT, "") + text

    def refuse(self, *_: object) -> None:
        raise _Refused


def document(text: str) -> dict[str, Any] | None:
    """The event that XML holds, shaped as EVTX in JSON; None when its beginning is none or it holds what is refused."""
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    parser.ProcessingInstructionHandler = builder.refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except _Refused:
        return None
    except expat.ExpatError:
        pass  # cut or damaged: what stood before that is whole
    except ValueError:
        return None
    event = builder.root.get("Events", builder.root).get("Event")
    if isinstance(event, list):
        event = event[0]
    return _plain(event) if isinstance(event, dict) and "System" in event else None


def _plain(element: dict[str, Any]) -> dict[str, Any]:
    """Elements that hold nothing but text become that text."""
    found: dict[str, Any] = {}
    for name, value in element.items():
        if isinstance(value, dict) and name != "#attributes":
            found[name] = _leaf(value)
        elif isinstance(value, list):
            found[name] = [_leaf(item) for item in value]
        elif name != _TEXT or value.strip():
            found[name] = value
    return found


def _leaf(value: dict[str, Any]) -> Any:
    if not value:
        return None
    return value[_TEXT] if len(value) == 1 and _TEXT in value else _plain(value)


def read(message: str, event: Event, context: Context) -> bool:
    """Read an event in XML into `event`; False for any other XML."""
    found = document(message)
    if found is None:
        return False
    windows.merge(event, windows.convert({"Event": found}, context))
    return True


FORMAT = Format(name="windows_xml", dataset="windows.unknown", read=read, begins=BEGINS, words=False)
