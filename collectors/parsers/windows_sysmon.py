"""What the events of Sysmon (for Windows and for Linux) say: a table, and what needs more than a copy."""

from __future__ import annotations

import re
from collections.abc import Mapping

from almena.event import Event
from collectors.parsers.common import address, given
from collectors.parsers.windows_table import Copies, Meaning, table

_PE = (
    ("original_file_name", "OriginalFileName"),
    ("company", "Company"),
    ("description", "Description"),
    ("product", "Product"),
    ("file_version", "FileVersion"),
)
_SETS: dict[str, Copies] = {
    "image": (
        ("process.executable", "Image"),
        ("process.pid", "ProcessId"),
        ("process.entity_id", "ProcessGuid"),
        ("process.command_line", "CommandLine"),
        ("process.parent.executable", "ParentImage"),
        ("process.parent.command_line", "ParentCommandLine"),
        ("rule.name", "RuleName"),
    ),
    "started": (
        ("process.working_directory", "CurrentDirectory"),
        ("process.parent.pid", "ParentProcessId"),
        ("process.parent.entity_id", "ParentProcessGuid"),
        *((f"process.pe.{field}", datum) for field, datum in _PE),
    ),
    "source": (
        ("process.executable", "SourceImage"),
        ("process.pid", "SourceProcessId"),
        ("process.entity_id", "SourceProcessGUID"),
        ("process.entity_id", "SourceProcessGuid"),
        ("process.thread.id", "SourceThreadId"),
        ("rule.name", "RuleName"),
    ),
    "network": (
        ("source.ip", "SourceIp"),
        ("source.port", "SourcePort"),
        ("source.domain", "SourceHostname"),
        ("destination.ip", "DestinationIp"),
        ("destination.port", "DestinationPort"),
        ("destination.domain", "DestinationHostname"),
        ("network.transport", "Protocol"),
        ("network.protocol", "SourcePortName"),
        ("network.protocol", "DestinationPortName"),
    ),
    "library": (
        ("file.path", "ImageLoaded"),
        *((f"file.pe.{field}", datum) for field, datum in _PE),
        ("file.code_signature.subject_name", "Signature"),
        ("file.code_signature.status", "SignatureStatus"),
    ),
    "file": (("file.path", "TargetFilename"),),
    "device": (("file.path", "Device"),),
    "registry": (("registry.path", "TargetObject"),),
    "pipe": (("file.name", "PipeName"),),
    "consumer": (("process.executable", "Destination"),),
    "dns": (("dns.question.name", "QueryName"),),
    "configuration": (("file.path", "Configuration"),),
    "error": (("error.code", "ID"), ("error.message", "Description")),
}

SYSMON: dict[str, Meaning] = table(
    """
    1 | Process creation | process | start | image started |
    2 | A process changed a file creation time | file | change | image file |
    3 | Network connection | network | connection start protocol | image network |
    4 | Sysmon service state changed | process | change | image |
    5 | Process terminated | process | end | image |
    6 | Driver loaded | driver | start | image library |
    7 | Image loaded | process library | change start | image library |
    8 | CreateRemoteThread | process | change | source |
    9 | RawAccessRead | process | access | image device |
    10 | ProcessAccess | process | access | source |
    11 | FileCreate | file | creation | image file |
    12 | RegistryEvent (Object create and delete) | configuration registry | change | image registry |
    13 | RegistryEvent (Value Set) | configuration registry | change | image registry |
    14 | RegistryEvent (Key and Value Rename) | configuration registry | change | image registry |
    15 | FileCreateStreamHash | file | access | image file |
    16 | ServiceConfigurationChange | configuration | change | image configuration |
    17 | PipeEvent (Pipe Created) | file | creation | image pipe |
    18 | PipeEvent (Pipe Connected) | file | access | image pipe |
    19 | WmiEvent (WmiEventFilter activity detected) | process | creation | image |
    20 | WmiEvent (WmiEventConsumer activity detected) | process | creation | image consumer |
    21 | WmiEvent (WmiEventConsumerToFilter activity detected) | process | access | image |
    22 | DNSEvent (DNS query) | network | connection protocol info | image dns |
    23 | FileDelete (File Delete archived) | file | deletion | image file |
    24 | ClipboardChange (New content in the clipboard) | process | change | image |
    25 | ProcessTampering (Process image change) | process | change | image |
    26 | FileDeleteDetected (File Delete logged) | file | deletion | image file |
    27 | FileBlockExecutable | file | creation denied | image file | failure
    28 | FileBlockShredding | file | deletion denied | image file | failure
    29 | FileExecutableDetected | file | creation | image file |
    255 | Error | process | error | error | failure
    """,
    _SETS,
)
"""Meanings by event id; actions are named as Winlogbeat names them."""

_HASHES = {"MD5": "hash.md5", "SHA1": "hash.sha1", "SHA256": "hash.sha256", "IMPHASH": "pe.imphash"}
_OF_PROCESS = frozenset(("1", "23", "24", "25", "26"))
_CODES = {
    "0": "NOERROR",
    "9001": "FORMERR",
    "9002": "SERVFAIL",
    "9003": "NXDOMAIN",
    "9004": "NOTIMP",
    "9005": "REFUSED",
    "9501": "NOERROR",
}
"""Windows' own numbers for what a DNS server answered; 9501 is an answer without records."""

TYPES = {
    "1": "A",
    "2": "NS",
    "5": "CNAME",
    "6": "SOA",
    "12": "PTR",
    "13": "HINFO",
    "15": "MX",
    "16": "TXT",
    "24": "SIG",
    "25": "KEY",
    "28": "AAAA",
    "33": "SRV",
    "35": "NAPTR",
    "39": "DNAME",
    "41": "OPT",
    "43": "DS",
    "46": "RRSIG",
    "47": "NSEC",
    "48": "DNSKEY",
    "49": "DHCID",
    "50": "NSEC3",
    "52": "TLSA",
    "64": "SVCB",
    "65": "HTTPS",
    "99": "SPF",
    "249": "TKEY",
    "250": "TSIG",
    "251": "IXFR",
    "252": "AXFR",
    "255": "ANY",
    "257": "CAA",
    "65281": "WINS",
    "65282": "WINSR",
}
"""Types of DNS records by number."""

_CLIPBOARD = re.compile(r"user: (.{0,256}?) ip: (\S{0,64}) hostname: (\S{0,256})", re.ASCII)


def more(event: Event, code: str, data: Mapping[str, str]) -> None:
    """Add what needs more than a copy: the user, hashes, directions, registry and DNS."""
    user = given(data.get("User") or data.get("SourceUser"))
    if user is not None:
        domain, found, name = user.rpartition("\\")
        event["user.name"] = name
        if found:
            event["user.domain"] = domain
    hashes = data.get("Hashes") or data.get("Hash")
    if hashes:
        put_hashes(event, "process" if code in _OF_PROCESS else "file", hashes)
    special = _SPECIAL.get(code)
    if special is not None:
        special(event, data)


def put_hashes(event: Event, where: str, hashes: str) -> None:
    """Set the hashes of `SHA1=...,MD5=...`; those of zeros only say that there is none."""
    for part in hashes[:1_024].split(",", 8):
        kind, _, value = part.partition("=")
        if kind in _HASHES and value.strip("0"):
            event[f"{where}.{_HASHES[kind]}"] = value.lower()


def _connection(event: Event, data: Mapping[str, str]) -> None:
    outward = data.get("Initiated", "").lower() == "true"
    event["network.direction"] = "egress" if outward else "ingress"
    event["network.type"] = "ipv6" if data.get("DestinationIsIpv6", "").lower() == "true" else "ipv4"


def _library(event: Event, data: Mapping[str, str]) -> None:
    signed = data.get("Signed", "").lower()
    if signed in ("true", "false"):
        event["file.code_signature.exists"] = signed == "true"
        event["file.code_signature.valid"] = signed == "true" and data.get("SignatureStatus") == "Valid"


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
    status = _CODES.get(data.get("QueryStatus", ""))
    if status is not None:
        event["dns.response_code"] = status
    put_answers(event, data.get("QueryResults", ""))


def put_answers(event: Event, results: str) -> None:
    """Set the answers of `type:  5 www.example.org;::ffff:192.0.2.7;`."""
    kinds, values, resolved = [], [], []
    for part in results[:8_192].split(";", 256):
        if part.startswith("type:"):
            kind, _, value = part[5:].strip().partition(" ")
            kinds.append(TYPES.get(kind, kind))
            values.append(value.strip())
        elif (found := address(part.strip())) is not None:
            resolved.append(found)
            kinds.append("AAAA" if ":" in found else "A")
            values.append(found)
    if values:
        event["dns.answers.type"], event["dns.answers.data"] = kinds, values
    if resolved:
        event["dns.resolved_ip"] = resolved


def _clipboard(event: Event, data: Mapping[str, str]) -> None:
    match = _CLIPBOARD.match(data.get("ClientInfo", "")[:1_024])
    if match is not None:
        if (found := address(match[2])) is not None:
            event["source.ip"] = found
        if given(match[3]) is not None:
            event["source.domain"] = match[3]


def _tampering(event: Event, data: Mapping[str, str]) -> None:
    if (kind := given(data.get("Type"))) is not None:
        event["event.reason"] = kind


_SPECIAL = {
    "3": _connection,
    "6": _library,
    "7": _library,
    "12": _registry,
    "13": _registry,
    "14": _registry,
    "22": _dns,
    "24": _clipboard,
    "25": _tampering,
}
