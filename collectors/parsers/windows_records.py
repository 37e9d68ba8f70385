"""The shapes in which Windows events come as JSON, to one.

Winlogbeat documents (nested or dotted `winlog.*`), EVTX as JSON (`{"Event": {"System": ...}}`, as the `evtx` package
and most converters write it), flat records (NXLog, WEF exporters, Sentinel, OTRF's data sets) and those that
`windows_shapes` brings to one of these.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from almena.errors import ParseError
from almena.event import Event
from collectors.parsers import windows_shapes
from collectors.parsers.common import MAX_FIELDS, NOTHING, as_text, flat, given, number
from collectors.parsers.ecs import disarm

_LEVELS = {0: "information", 1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose"}

_FLAT = {
    "Channel": "channel",
    "EventID": "event_id",
    "EventId": "event_id",
    "SourceName": "provider_name",
    "Provider_Name": "provider_name",
    "ProviderGuid": "provider_guid",
    "Provider_Guid": "provider_guid",
    "Hostname": "computer_name",
    "Computer": "computer_name",
    "ComputerName": "computer_name",
    "RecordNumber": "record_id",
    "EventRecordID": "record_id",
    "ExecutionProcessID": "process.pid",
    "ThreadID": "process.thread.id",
    "Task": "task",
    "Opcode": "opcode",
    "Version": "version",
    "Keywords": "keywords",
    "ActivityID": "activity_id",
    "UserID": "user.identifier",
    "AccountName": "user.name",
    "Domain": "user.domain",
    "AccountType": "user.type",
}
"""What collectors add to flat records beside the event's data, by the name under `winlog.` it gets."""

_ADDED = frozenset(
    (
        "EventTime",
        "EventReceivedTime",
        "TimeCreated",
        "TimeGenerated",
        "SourceModuleName",
        "SourceModuleType",
        "Severity",
        "SeverityValue",
        "OpcodeValue",
        "ERROR_EVT_UNRESOLVED",
        "EventTypeOrignal",
        "Category",
        "Level",
        "Message",
        "message",
        "port",
        "host",
        "tags",
        "product",
        "category",
        "service",
        "@timestamp",
        "@version",
        "Qualifiers",
        "Provider",
    )
)
"""What collectors add and nobody needs, or what is read elsewhere."""

_PLACES = dict.fromkeys(_ADDED, "") | _FLAT
"""The name under `winlog.` of each field that is no data of the event; empty for what is left out."""
_PLACES_WITH_TYPE = _PLACES | {"EventType": "event_type"}

_NAME = re.compile(r"[\s:]+", re.ASCII)

_FIELDS, _MOST_PLANS = 64, 1_024  # of records whose names are remembered
_SHORT = 128  # names that are remembered; attackers may make longer ones


class Record(NamedTuple):
    """One Windows event, whatever shape it came in."""

    system: Event
    """Facts about the event, by their name under `winlog.`."""
    data: dict[str, str]
    """The event's own data."""
    extra: Event
    """ECS fields that came with it."""
    message: str | None
    level: str | None
    category: str | None
    """The task's name, such as `Process Creation`."""
    times: tuple[Any, ...]
    """Where its time may stand, the best first."""


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON record has the shape of a Windows event."""
    if isinstance(document.get("Event"), dict) or "EventID" in document or "EventId" in document:
        return True
    system = document.get("System")
    if isinstance(system, dict) and "EventID" in system:
        return True
    winlog = document.get("winlog")
    if isinstance(winlog, dict):
        return "event_id" in winlog or _traced(document, winlog)
    return "winlog.event_id" in document or windows_shapes.fits(document)


def _traced(document: dict[str, Any], winlog: dict[str, Any]) -> bool:
    """Whether it is what Filebeat makes of an event that no log kept: its id stands beside."""
    event = document.get("event")
    return "provider_guid" in winlog and isinstance(event, dict) and "code" in event


def record_of(document: dict[str, Any]) -> Record:
    """The record in an object; raises ParseError when it has none of the shapes."""
    if isinstance(document.get("Event"), dict):
        return _evtx(document["Event"])
    if isinstance(document.get("winlog"), dict) or "winlog.event_id" in document:
        return _winlogbeat(document)
    if ("EventID" in document or "EventId" in document) and "StringInserts" not in document:
        return _nxlog(document)
    if isinstance(document.get("System"), dict):
        return _evtx(document)
    if (older := windows_shapes.nested(document)) is not None:
        return _winlogbeat(older)
    if (record := windows_shapes.flat(document)) is not None:
        return _nxlog(record)
    raise ParseError("no Windows event: it has neither 'Event', 'winlog' nor 'EventID'; parse it with 'json'")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _attributes(value: Any) -> dict[str, Any]:
    """An element's attributes, as converters of XML write them: under `#attributes`, with `@`, or bare."""
    if not isinstance(value, dict):
        return {}
    found = value.get("#attributes", value)
    if not isinstance(found, dict):
        return {}
    for name in found:
        if name[:1] == "@":
            return {name.lstrip("@"): item for name, item in found.items()}
    return found


def _content(value: Any) -> Any:
    return value.get("#text") if isinstance(value, dict) else value


def _evtx(event: dict[str, Any]) -> Record:
    system = _mapping(event.get("System"))
    provider, execution = _attributes(system.get("Provider")), _attributes(system.get("Execution"))
    created = system.get("TimeCreated")
    facts: Event = {
        "channel": given(system.get("Channel")),
        "event_id": _content(system.get("EventID")),
        "provider_name": given(provider.get("Name")),
        "provider_guid": given(provider.get("Guid")),
        "computer_name": given(system.get("Computer")),
        "record_id": given(system.get("EventRecordID")),
        "process.pid": number(execution.get("ProcessID")),
        "process.thread.id": number(execution.get("ThreadID")),
        "task": given(system.get("Task")),
        "opcode": given(system.get("Opcode")),
        "keywords": given(system.get("Keywords")),
        "version": number(_content(system.get("Version"))),
    }
    if (correlation := system.get("Correlation")) is not None:
        facts["activity_id"] = given(_attributes(correlation).get("ActivityID"))
    if (security := system.get("Security")) is not None:
        facts["user.identifier"] = given(_attributes(security).get("UserID"))
    data = _event_data(event.get("EventData"))
    if "UserData" in event:
        for template in _mapping(event["UserData"]).values():
            data |= _event_data(template)
    level = _LEVELS.get(number(_content(system.get("Level"))) or 0)
    rendering = _mapping(event.get("RenderingInfo"))
    message, task = given(rendering.get("Message")), given(rendering.get("Task"))
    times = (_attributes(created).get("SystemTime"), created if isinstance(created, str) else None)
    return Record(facts, data, {}, message, level, task, times)


def _plain_name(name: str) -> str:
    return _short_name(name) if len(name) <= _SHORT else _NAME.sub("", name[:1_024])


@lru_cache(maxsize=8_192)
def _short_name(name: str) -> str:
    return _NAME.sub("", name)


def _event_data(value: Any) -> dict[str, str]:
    """Names and texts of `EventData`, `UserData` or `event_data`; unnamed values become `param1`, `param2`, ..."""
    found: dict[str, str] = {}
    for name, item in _mapping(value).items():
        if isinstance(item, str) and name != "Data":
            if name != "xmlns":
                found[_plain_name(name)] = item
        elif name == "#attributes" or item is None:
            continue
        elif name == "Data":
            found |= _data_elements(item)
        else:
            found[_plain_name(name)] = _text(_content(item) if isinstance(item, dict) and "#text" in item else item)
    return found


def _data_elements(item: Any) -> dict[str, str]:
    """`<Data>` elements: a list of `{"@Name": ..., "#text": ...}`, or unnamed texts, joined in `Data` too."""
    found: dict[str, str] = {}
    unnamed: list[str] = []
    bare = isinstance(item, dict) and "#text" in item and "Name" not in _attributes(item)
    content = item["#text"] if bare else item
    for element in content if isinstance(content, list) else [content]:
        attributes = _attributes(element)
        if "Name" in attributes:
            found[_plain_name(as_text(attributes["Name"]))] = _text(_content(element))
        elif element is not None:
            unnamed.append(_text(element))
    for index, text in enumerate(unnamed[:MAX_FIELDS], start=1):
        found[f"param{index}"] = text
    if unnamed:
        found["Data"] = "\n".join(unnamed)
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, list):
        return "\n".join(as_text(item) for item in value)
    return "" if value is None else as_text(value)


def _winlogbeat(document: dict[str, Any]) -> Record:
    fields = flat(document)
    system: Event = {}
    data: dict[str, str] = {}
    extra: Event = {}
    for name, value in fields.items():
        if name.startswith("winlog.event_data."):
            data[_plain_name(name[18:])] = _text(value)
        elif name.startswith("winlog.user_data."):
            data.setdefault(_plain_name(name[17:]), _text(value))
        elif name.startswith("winlog."):
            system[name[7:]] = value
        elif name != "@timestamp" and not name.startswith("@metadata."):
            extra[name] = value
    extra = disarm(extra)
    if "event_id" not in system:
        system["event_id"] = extra.get("event.code")
        system.setdefault("provider_name", extra.get("event.provider"))
    system["record_id"] = given(system.get("record_id"))
    for name in ("channel", "provider_name", "computer_name"):
        system[name] = given(system.get(name))
    level = given(extra.get("log.level"))
    message = given(extra.pop("message", None))
    category = given(system.get("task"))
    # A reader of stored logs sets @timestamp to when it read them.
    times = (system.pop("time_created", None), fields.get("@timestamp"))
    return Record(system, data, extra, message, level, category, times)


_Names = tuple[tuple[str, str], ...]


_NUMBERS = ("version", "process.pid", "process.thread.id")
_PLANS: dict[tuple[str | bool, ...], tuple[_Names, _Names]] = {}


def _plan(key: tuple[str | bool, ...], own_type: bool) -> tuple[_Names, _Names]:
    """What each field of records with these names is: facts about the event, and the event's own data.

    It is remembered where the names are few and short, as those of real records are.
    """
    names = [name for name in key if isinstance(name, str)]
    places = _PLACES if own_type else _PLACES_WITH_TYPE
    facts = tuple((name, fact) for name in names if (fact := places.get(name)))
    found = facts, tuple((name, _plain_name(name)) for name in names if name not in places)
    if len(names) <= _FIELDS and sum(map(len, names)) <= _FIELDS * 32:
        if len(_PLANS) >= _MOST_PLANS:
            _PLANS.clear()
        _PLANS[key] = found
    return found


def _nxlog(document: dict[str, Any]) -> Record:
    nested = not _NESTED.isdisjoint(map(type, document.values()))
    fields = flat(document) if nested or len(document) > MAX_FIELDS else document
    system: Event = {}
    data: dict[str, str] = {}
    # NXLog overwrites an event's own EventType with the log's and keeps the other under this (misspelt) name.
    own_type = "EventTypeOrignal" in fields or given(fields.get("EventType")) not in _NXLOG_TYPES
    key: tuple[str | bool, ...] = (*fields, own_type)
    facts, names = _PLANS.get(key) or _plan(key, own_type)
    for name, fact in facts:
        value = fields[name]
        if type(value) is str:
            if value not in NOTHING:
                system[fact] = value
        elif value is not None:
            system[fact] = value if type(value) is int and fact in _NUMBERS else as_text(value)
    for name, short in names:
        value = fields[name]
        if type(value) is str:
            data[short] = value
        elif value is not None:
            data[short] = _text(value)
    if own_type:
        system["event_type"] = given(fields.get("EventTypeOrignal"))
    for name in _NUMBERS:
        if (written := system.get(name)) is not None and type(written) is not int:
            system[name] = number(written)
    level_number = number(fields.get("Level"))
    level = _LEVELS.get(level_number) if level_number is not None else _severity(fields.get("Severity"))
    message = given(fields.get("Message") or fields.get("message"))
    times = (
        fields.get("TimeCreated"),
        _zoned(fields.get("EventTime")),
        fields.get("TimeGenerated"),
        fields.get("@timestamp"),
        fields.get("EventTime"),
    )
    return Record(system, data, {}, message, level, given(fields.get("Category")), times)


_NESTED = frozenset((dict, list))
_NXLOG_TYPES = frozenset((None, "INFO", "WARNING", "ERROR", "CRITICAL", "VERBOSE", "AUDIT_SUCCESS", "AUDIT_FAILURE"))


def _severity(value: Any) -> str | None:
    text = given(value)
    return {"INFO": "information", "DEBUG": "verbose"}.get(text, text.lower()) if text is not None else None


def _zoned(value: Any) -> Any:
    """A time that says its offset, which one of a machine's local clock does not."""
    return value if isinstance(value, str) and (value[-1:] == "Z" or value[-6:-5] in ("+", "-")) else None
