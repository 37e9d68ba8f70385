"""ECS fields of Windows events: copies that the table of meanings asks for, and what needs more than a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from almena.event import Event
from collectors.parsers.common import address, given, number
from collectors.parsers.windows_meanings import DEFENDER, MEANINGS, Meaning

_NOTHING = frozenset(("", "-", "%%1793", "S-1-0-0", "NULL SID", "(null)", "LOCAL"))
_LOGON_TYPES = {
    "2": "Interactive",
    "3": "Network",
    "4": "Batch",
    "5": "Service",
    "7": "Unlock",
    "8": "NetworkCleartext",
    "9": "NewCredentials",
    "10": "RemoteInteractive",
    "11": "CachedInteractive",
    "12": "CachedRemoteInteractive",
    "13": "CachedUnlock",
}
_HASHES = {"MD5": "hash.md5", "SHA1": "hash.sha1", "SHA256": "hash.sha256", "IMPHASH": "pe.imphash"}
_TRANSPORTS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp"}
_STATUS_IDS = frozenset(("4768", "4769", "4776"))
_DNS_CODES = {"0": "NOERROR", "9003": "NXDOMAIN", "9002": "SERVFAIL", "9005": "REFUSED", "9501": "NOERROR"}


def enrich(event: Event, dataset: str, code: str, data: Mapping[str, str], category: str | None) -> None:
    """Add the ECS fields that the event's id and data give; what is `-` in the data is missing in ECS."""
    meaning = MEANINGS.get(dataset, {}).get(code)
    if meaning is None:
        if category is not None:
            event.setdefault("event.action", category)
    else:
        event["event.action"] = meaning.action
        event["event.category"] = list(meaning.category)
        event["event.type"] = list(meaning.type)
        for field, datum in meaning.copies:
            _copy(event, field, data.get(datum))
    outcome = _outcome(event, code, data, meaning)
    if outcome is not None:
        event["event.outcome"] = outcome
    more = _MORE.get(dataset)
    if more is not None:
        more(event, code, data)
    _names(event)


def _copy(event: Event, field: str, value: str | None) -> None:
    if value is None or value in _NOTHING:
        return
    found: Any = value
    if field.endswith(".ip"):
        found = address(value)
    elif field.endswith((".pid", ".port")):
        found = number(value)
        if found is not None and found <= 0:
            found = None
    elif field.endswith(".entity_id"):
        found = value.strip("{}")
    if found is not None:
        event[field] = found


def _outcome(event: Event, code: str, data: Mapping[str, str], meaning: Meaning | None) -> str | None:
    if meaning is not None and meaning.outcome is not None:
        return meaning.outcome
    if code in _STATUS_IDS and "Status" in data:
        return "success" if number(data["Status"]) == 0 else "failure"
    audit = event.get("winlog.event_type") or event.get("winlog.keywords")
    if isinstance(audit, list):
        audit = audit[0] if audit else None
    if audit in ("AUDIT_SUCCESS", "Audit Success"):
        return "success"
    if audit in ("AUDIT_FAILURE", "Audit Failure"):
        return "failure"
    bits = number(audit)
    if bits is not None and bits & 0x0030000000000000:
        return "failure" if bits & 0x0010000000000000 else "success"
    return None


def _security(event: Event, code: str, data: Mapping[str, str]) -> None:
    kind = data.get("LogonType")
    if kind in _LOGON_TYPES:
        event["winlog.logon.type"] = _LOGON_TYPES[kind]
    if code == "4625":
        for part, datum in (("status", "Status"), ("sub_status", "SubStatus"), ("reason", "FailureReason")):
            _copy(event, f"winlog.logon.failure.{part}", data.get(datum))
    elif code in ("4768", "4769", "4770") and "user.name" in event:
        event["user.name"] = str(event["user.name"]).partition("@")[0]
    elif "MemberName" in data and "group.name" in event:
        _copy(event, "user.target.name", _common_name(data["MemberName"]))
    elif code in ("5140", "5145") and (share := given(data.get("ShareName"))) is not None:
        rest = given(data.get("RelativeTargetName"))
        event["file.path"] = share if rest in (None, "\\") else f"{share}\\{rest}"
    elif code in ("4656", "4663", "4657") and (path := given(data.get("ObjectName"))) is not None:
        field = {"File": "file.path", "Key": "registry.path"}.get(data.get("ObjectType", "Key"))
        if field is not None:
            event[field] = path
    elif code in ("5156", "5157", "5158"):
        _flow(event, data)


def _flow(event: Event, data: Mapping[str, str]) -> None:
    event["network.direction"] = {"%%14592": "ingress", "%%14593": "egress"}.get(data.get("Direction", ""), "unknown")
    transport = _TRANSPORTS.get(data.get("Protocol", ""))
    if transport is not None:
        event["network.transport"] = transport
    if data.get("Direction") == "%%14592":
        # Windows writes its own side first; of what comes in, the source is the other.
        for part in ("ip", "port"):
            ours, theirs = event.pop(f"source.{part}", None), event.pop(f"destination.{part}", None)
            if theirs is not None:
                event[f"source.{part}"] = theirs
            if ours is not None:
                event[f"destination.{part}"] = ours


def _common_name(name: str) -> str | None:
    """`ana` of `CN=ana,OU=Finanzas,DC=...`; a name of another form as it is."""
    return name[3:].partition(",")[0] if name[:3].upper() == "CN=" else name


def _sysmon(event: Event, code: str, data: Mapping[str, str]) -> None:
    user = given(data.get("User") or data.get("SourceUser"))
    if user is not None:
        domain, found, name = user.rpartition("\\")
        event["user.name"] = name
        if found:
            event["user.domain"] = domain
    hashes = data.get("Hashes") or data.get("Hash")
    if hashes:
        where = "process" if code in ("1", "23", "26") else "file"
        for part in hashes[:1_024].split(",", 8):
            kind, _, value = part.partition("=")
            if kind in _HASHES and value.strip("0"):
                event[f"{where}.{_HASHES[kind]}"] = value.lower()
    if code == "3":
        outward = data.get("Initiated", "").lower() == "true"
        event["network.direction"] = "egress" if outward else "ingress"
        event["network.type"] = "ipv6" if data.get("DestinationIsIpv6", "").lower() == "true" else "ipv4"
    elif code in ("12", "13", "14"):
        _registry(event, data)
    elif code == "22":
        _dns(event, data)


def _registry(event: Event, data: Mapping[str, str]) -> None:
    path = str(event.get("registry.path", ""))
    hive, _, rest = path.partition("\\")
    if hive in ("HKLM", "HKU", "HKCR", "HKCU", "HKCC"):
        event["registry.hive"], event["registry.key"] = hive, rest
    if data.get("EventType") in ("SetValue", "DeleteValue"):
        event["registry.value"] = path.rpartition("\\")[2]
    if (details := given(data.get("Details"))) is not None:
        event["registry.data.strings"] = [details]


def _dns(event: Event, data: Mapping[str, str]) -> None:
    event["network.protocol"] = "dns"
    status = _DNS_CODES.get(data.get("QueryStatus", ""))
    if status is not None:
        event["dns.response_code"] = status
    parts = data.get("QueryResults", "")[:8_192].split(";", 256)
    resolved = [found for part in parts if (found := address(part.strip())) is not None]
    if resolved:
        event["dns.resolved_ip"] = resolved


def _powershell(event: Event, code: str, data: Mapping[str, str]) -> None:
    """The host's command line and the user, which PowerShell writes as lines of text in the event's context."""
    context = data.get("ContextInfo") or data.get("Data") or ""
    if not context and code in ("400", "403", "600", "800"):
        context = str(event.get("message", ""))
    for line in context[:65_536].split("\n"):
        name, found, value = line.partition("=")
        key, value = name.strip().replace(" ", ""), value.strip()
        if not found or not value:
            continue
        if key == "HostApplication":
            event["process.command_line"] = value
        elif key in ("User", "UserId"):
            domain, found, user = value.rpartition("\\")
            event["user.name"] = user
            if found:
                event["user.domain"] = domain


def _defender(event: Event, code: str, data: Mapping[str, str]) -> None:
    """The first file of `containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe`, which is how Defender says where."""
    for part in data.get("Path", "")[:8_192].split(";", 16):
        kind, found, path = part.strip().partition(":_")
        if found and kind == "file" and path:
            event["file.path"] = path
            return


_MORE: dict[str, Callable[[Event, str, Mapping[str, str]], None]] = {
    "security": _security,
    "sysmon": _sysmon,
    "powershell": _powershell,
    DEFENDER: _defender,
}


@lru_cache(maxsize=4_096)
def _base(path: str) -> tuple[str, str]:
    """A path's last part and its extension."""
    name = path.replace("/", "\\").rpartition("\\")[2]
    stem, found, extension = name.rpartition(".")
    return name, extension.lower() if found and stem else ""


def _names(event: Event) -> None:
    for prefix in ("process", "process.parent"):
        path = event.get(f"{prefix}.executable")
        if isinstance(path, str) and len(path) <= 1_024 and (name := _base(path)[0]):
            event[f"{prefix}.name"] = name
    file = event.get("file.path")
    if isinstance(file, str) and len(file) <= 1_024:
        name, extension = _base(file)
        if name:
            event["file.name"] = name
        if extension:
            event["file.extension"] = extension
