"""What needs more than a copy in events of Windows' channels: codes in words, directions, paths, contexts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from almena.event import Event
from collectors.parsers import windows_adfs
from collectors.parsers.common import address, given, number
from collectors.parsers.network import put_port, put_transport
from collectors.parsers.windows_sysmon import TYPES, put_answers
from collectors.parsers.windows_words import (
    LOGON_TYPES,
    TRUST_DIRECTIONS,
    TRUST_TYPES,
    coded,
    flags,
    phrase,
    referred,
)

_COMMON = re.compile(r"CN=((?:[^\\,]|\\.)+)", re.IGNORECASE)
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:.-]?){5}[0-9A-Fa-f]{2}", re.ASCII)


def security(event: Event, code: str, data: Mapping[str, str]) -> None:
    """Codes of the Security channel in words, and what only some of its events say."""
    kind = data.get("LogonType")
    if kind is not None and kind in LOGON_TYPES:
        event["winlog.logon.type"] = LOGON_TYPES[kind]
    for datum, explain in _EXPLAINED.items():
        value = data.get(datum)
        if value is not None and value != "-":
            explain(event, code, value)
    special = _SPECIAL.get(code)
    if special is not None:
        special(event, data)
    elif event.get("winlog.provider_name") == windows_adfs.PROVIDER:
        windows_adfs.audited(event, code, data)


def _words(event: Event, name: str, words: Any) -> None:
    if words:
        event[f"winlog.event_data.{name}"] = [*words] if isinstance(words, tuple) else words


def _status(event: Event, code: str, value: str) -> None:
    if code in ("4625", "4776", "4777"):
        words = coded(value, "status")
        event["winlog.logon.failure.status"] = words or value
        if event.get("event.outcome") == "failure":
            event.setdefault("event.reason", words or value)
    elif code in ("4768", "4769", "4770", "4771", "4772", "4773"):
        words = coded(value, "kerberos")
        _words(event, "StatusDescription", words)
        if words is not None and event.get("event.outcome") == "failure":
            event["event.reason"] = words


def _sub_status(event: Event, code: str, value: str) -> None:
    if code == "4625":
        event["winlog.logon.failure.sub_status"] = coded(value, "status") or value


def _failure(event: Event, code: str, value: str) -> None:
    if code == "4625":
        event["event.reason"] = event["winlog.logon.failure.reason"] = phrase(value)


def _mask(event: Event, code: str, value: str) -> None:
    if code in ("4661", "4662"):
        _words(event, "AccessMaskDescription", flags(value, "access"))


def _trust_type(event: Event, code: str, value: str) -> None:
    if value in TRUST_TYPES:
        event["winlog.trustType"] = TRUST_TYPES[value]


def _trust_direction(event: Event, code: str, value: str) -> None:
    if value in TRUST_DIRECTIONS:
        event["winlog.trustDirection"] = TRUST_DIRECTIONS[value]


def _service_type(event: Event, code: str, value: str) -> None:
    event["service.type"] = coded(value, "service") or value


_EXPLAINED = {
    "FailureReason": _failure,
    "Status": _status,
    "SubStatus": _sub_status,
    "TicketOptions": lambda event, _, value: _words(event, "TicketOptionsDescription", flags(value, "ticket")),
    "TicketEncryptionType": lambda event, _, value: _words(
        event, "TicketEncryptionTypeDescription", coded(value, "encryption")
    ),
    "NewUacValue": lambda event, _, value: _words(event, "NewUACList", flags(value, "account")),
    "AccessList": lambda event, _, value: _words(event, "AccessListDescription", referred(value)),
    "AccessMask": _mask,
    "AuditPolicyChanges": lambda event, _, value: _words(event, "AuditPolicyChangesDescription", referred(value)),
    "CategoryId": lambda event, _, value: _words(event, "Category", phrase(value)),
    "SubcategoryId": lambda event, _, value: _words(event, "SubCategory", phrase(value)),
    "ServiceType": _service_type,
    "ServiceStartType": lambda event, _, value: _words(event, "ServiceStartTypeDescription", coded(value, "start")),
    "TdoType": _trust_type,
    "TdoDirection": _trust_direction,
}
"""What explains a datum, whichever event it stands in."""


def _member(event: Event, data: Mapping[str, str]) -> None:
    name = given(data.get("MemberName"))
    if name is not None:
        event["user.target.name"] = _common_name(name) or name
    for part in ("id", "name", "domain"):
        if (value := event.get(f"group.{part}")) is not None:
            event[f"user.target.group.{part}"] = value


def _common_name(name: str) -> str | None:
    r"""The first part of `CN=Ruiz\, Ana,OU=DIF,DC=sfa`, without its escapes; None for other names."""
    found = _COMMON.match(name[:1_024])
    return re.sub(r"\\(.)", r"\1", found[1]) if found is not None else None


def _directory(event: Event, data: Mapping[str, str]) -> None:
    name, kind = _common_name(data.get("ObjectDN", "")), data.get("ObjectClass", "").lower()
    if name is not None and "user" in kind:
        event["user.target.name"] = name
    elif name is not None and "group" in kind:
        event["group.name"] = name


def _console(event: Event, data: Mapping[str, str]) -> None:
    """A session at the machine itself."""
    if data.get("ClientAddress") == "LOCAL":
        event["source.ip"] = "127.0.0.1"


def _share(event: Event, data: Mapping[str, str]) -> None:
    share = given(data.get("ShareName"))
    if share is not None:
        rest = given(data.get("RelativeTargetName"))
        event["file.path"] = share if rest in (None, "\\") else f"{share}\\{rest}"


def _object(event: Event, data: Mapping[str, str]) -> None:
    path = given(data.get("ObjectName"))
    if path is None:
        return
    kind = data.get("ObjectType", "Key")
    if kind == "Key":
        event["registry.path"] = path
        event["event.category"] = ["configuration", "registry"]
    elif kind == "Process":
        event["event.category"] = ["process"]
    elif kind == "File":
        event["file.path"] = path


def _registry(event: Event, data: Mapping[str, str]) -> None:
    path, value = given(data.get("ObjectName")), given(data.get("ObjectValueName"))
    if path is not None:
        event["registry.key"] = path
        event["registry.path"] = path if value is None else f"{path}\\{value}"
    if value is not None:
        event["registry.value"] = value
    if (new := given(data.get("NewValue"))) is not None:
        event["registry.data.strings"] = [new]
    if (kind := given(data.get("NewValueType"))) is not None:
        event["registry.data.type"] = phrase(kind)


_EPHEMERAL = 49_152


def _flow(event: Event, data: Mapping[str, str]) -> None:
    event["network.direction"] = {"%%14592": "ingress", "%%14593": "egress"}.get(data.get("Direction", ""), "unknown")
    put_transport(event, data.get("Protocol"))
    came, reached = event.get("source.port", _EPHEMERAL), event.get("destination.port", 0)
    if event["network.direction"] == "ingress" and came < _EPHEMERAL <= reached:
        # Older Windows writes its own side first; who comes in does so from a passing port.
        for part in ("ip", "port"):
            ours, theirs = event.pop(f"source.{part}", None), event.pop(f"destination.{part}", None)
            if theirs is not None:
                event[f"source.{part}"] = theirs
            if ours is not None:
                event[f"destination.{part}"] = ours


def _radius(event: Event, data: Mapping[str, str]) -> None:
    station = given(data.get("CallingStationID"))
    if station is not None and _MAC.fullmatch(station):
        digits = re.sub(r"[:.-]", "", station).upper()
        event["source.mac"] = "-".join(digits[at : at + 2] for at in range(0, 12, 2))


_SPECIAL = {
    **dict.fromkeys(("4656", "4658", "4659", "4660", "4663", "4670", "4907", "4911", "4913"), _object),
    **dict.fromkeys(("5140", "5142", "5143", "5144", "5145"), _share),
    **dict.fromkeys(("5152", "5153", "5154", "5155", "5156", "5157", "5158", "5159"), _flow),
    **dict.fromkeys(("4728", "4729", "4732", "4733", "4746", "4747", "4751", "4752"), _member),
    **dict.fromkeys(("4756", "4757", "4761", "4762", "4785", "4786", "4787", "4788"), _member),
    **dict.fromkeys(("6272", "6273", "6274", "6276", "6278", "6279", "6280"), _radius),
    **dict.fromkeys(("5136", "5137", "5138", "5139", "5141"), _directory),
    **dict.fromkeys(("4778", "4779"), _console),
    "4657": _registry,
}

_CONTEXT = {
    "HostApplication": "process.command_line",
    "Aplicaciónhost": "process.command_line",
    "HostName": "process.title",
    "Nombredehost": "process.title",
    "HostID": "process.entity_id",
    "HostId": "process.entity_id",
    "Id.dehost": "process.entity_id",
    "ScriptName": "file.path",
    "Nombredescript": "file.path",
    "User": "user.name",
    "UserId": "user.name",
    "Usuario": "user.name",
    "ConnectedUser": "source.user.name",
    "Usuarioconectado": "source.user.name",
}
"""What PowerShell's contexts call things, without spaces, in English and Spanish."""
_SEQUENCE = ("SequenceNumber", "Númerodesecuencia")


def powershell(event: Event, code: str, data: Mapping[str, str]) -> None:
    """The host's command line and the user, which PowerShell writes as lines of text in the event's context."""
    if "ContextInfo" in data:
        context = data["ContextInfo"]
    else:
        context = "\n".join(data[name] for name in ("Data", "param2", "param3") if name in data)
    if not context and code in ("400", "403", "600", "800"):
        context = str(event.get("message", ""))
    for line in context[:65_536].split("\n"):
        name, found, value = line.partition("=")
        key, value = name.strip().replace(" ", ""), value.strip()
        if not found or not value:
            continue
        if key in _CONTEXT:
            event[_CONTEXT[key]] = value
        elif key in _SEQUENCE and (digits := number(value)) is not None:
            event["event.sequence"] = digits
    connected = event.get("source.user.name")
    if connected is None and (identifier := event.get("winlog.user.identifier")) is not None:
        event["user.id"] = identifier
    elif connected is not None:
        # A remote session: who is connected acts, in the name of the other.
        domain, _, name = connected.rpartition("\\")
        acting, _, other = event.pop("user.name", "").rpartition("\\")
        for side, field, text in (
            ("destination.user", "name", other),
            ("destination.user", "domain", acting or event.pop("user.domain", "")),
            ("source.user", "name", name),
            ("source.user", "domain", domain),
            ("user", "name", name),
            ("user", "domain", domain),
        ):
            if text:
                event[f"{side}.{field}"] = text


_ALERTS = frozenset(("1006", "1007", "1015", "1116", "1117", "1121", "1123", "1126", "1127"))


def defender(event: Event, code: str, data: Mapping[str, str]) -> None:
    """What Defender found, where, and whether acting on it succeeded."""
    if code in _ALERTS:
        event["event.kind"] = "alert"
    if code in ("1007", "1117") and data.get("ActionName") in ("Quarantine", "Cuarentena"):
        event["event.action"] = "malware-quarantined"
    error = number(data.get("ErrorCode"))
    if error is not None and "event.outcome" not in event:
        event["event.outcome"] = "failure" if error else "success"
    severity = number(data.get("SeverityID"))
    if severity is not None and 0 <= severity <= 10:
        event["event.severity"] = severity
    if event.get("process.executable") in ("Unknown", "Desconocido"):
        del event["process.executable"]
    # `containerfile:_C:\\a.zip; file:_C:\\a.zip->b.exe`: the first file of it.
    for part in data.get("Path", "")[:8_192].split(";", 16):
        kind, found, path = part.strip().partition(":_")
        if found and kind == "file" and path:
            event["file.path"] = path
            return


def dns_client(event: Event, code: str, data: Mapping[str, str]) -> None:
    """A look-up of the machine itself."""
    event["network.protocol"] = "dns"
    kind = data.get("QueryType", "")
    if kind in TYPES:
        event["dns.question.type"] = TYPES[kind]
    event["dns.type"] = "answer" if code in ("3008", "3020") else "query"
    put_answers(event, data.get("QueryResults", ""))


_RCODES = (
    *("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"),
    *("YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"),
)
"""What a DNS server answered, by number."""
_ANY = frozenset(("0.0.0.0", "::"))  # noqa: S104 - what it writes for no address
_ANSWERS = frozenset(("257", "258", "261", "264", "267", "268", "271", "272", "278"))


def dns_server(event: Event, code: str, data: Mapping[str, str]) -> None:
    """A query or an answer that the DNS server saw: who asked whom, what, and with which result."""
    event["network.protocol"] = "dns"
    event["dns.type"] = "answer" if code in _ANSWERS else "query"
    event["network.transport"] = "tcp" if data.get("TCP") == "1" else "udp"
    dns_audit(event, code, data)
    result = number(data.get("RCODE"))
    if result is not None and 0 <= result < len(_RCODES):
        event["dns.response_code"] = _RCODES[result]
        event["event.outcome"] = "failure" if result else "success"
    flagged = [flag for flag in ("AA", "AD", "RD", "TC") if data.get(flag) == "1"]
    if flagged:
        event["dns.header_flags"] = flagged
    outward = "destination.ip" in event
    event["network.direction"] = "egress" if outward else "ingress"
    ours, theirs = ("source", "destination") if outward else ("destination", "source")
    put_port(event, f"{theirs}.port", data.get("Port"))
    own = address(data.get("InterfaceIP"))
    if own is not None and own not in _ANY:
        event[f"{ours}.ip"] = own


def dns_audit(event: Event, code: str, data: Mapping[str, str]) -> None:
    """What was asked or changed, and whose task it was where that is said."""
    name = event.get("dns.question.name")
    if isinstance(name, str) and len(name) > 1:
        event["dns.question.name"] = name.removesuffix(".")
    kind = data.get("QTYPE") or data.get("Type", "")
    if kind in TYPES:
        event["dns.question.type"] = TYPES[kind]
    task = event.get("winlog.task")
    if isinstance(task, str) and not task.isdigit() and len(task) <= 64:
        event["event.action"] = task


_ENDPOINT = re.compile(r"\[?([0-9A-Fa-f:.]{2,45}?)\]?:(\d{1,5})", re.ASCII)


def other(event: Event, code: str, data: Mapping[str, str]) -> None:
    """What small channels write in a way of their own."""
    for datum in ("ClientIP", "Address", "param3", "Param3"):
        value = data.get(datum)
        if value is None or "source.ip" in event:
            continue
        match = _ENDPOINT.fullmatch(value)
        text = match[1] if match is not None else value.strip(" []").removeprefix("CLIENT: ")
        if (found := address(text)) is not None:
            event["source.ip"] = found
            put_port(event, "source.port", match[2] if match is not None else None)
    executable = event.get("process.executable")
    if isinstance(executable, str) and code == "1074":
        event["process.executable"] = executable.partition(" (")[0]
    elif isinstance(executable, str) and "\\" not in executable and not executable.lower().endswith(".exe"):
        del event["process.executable"]
