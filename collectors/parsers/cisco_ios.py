"""Messages of Cisco's routers, switches and wireless controllers: IOS, IOS-XE, IOS-XR, NX-OS, AireOS.

    <189>123: *Nov 22 13:34:00.123: %SEC-6-IPACCESSLOGP: list 101 denied tcp 203.0.113.9(4444) -> 10.0.0.5(23), 1 packet
    <189>124: Nov 22 13:34:00 CST: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: ana] [Source: 203.0.113.9] ...

`event.code` is the mnemonic, `event.provider` the facility. What is not known by its mnemonic is an event with what its
text has in common with others: a user, an address, a MAC address, an interface.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import sshd
from collectors.parsers.cisco_asa import put_parts
from collectors.parsers.cisco_asa_pieces import Meaning
from collectors.parsers.cisco_header import LEVELS, SEVERITIES
from collectors.parsers.cisco_ios_messages import COMMON, DENY, ENDED, INFO, MESSAGES, PERMIT, Text
from collectors.parsers.common import address
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_port

_HEAD = re.compile(
    r"(?:%\$[^\s%]{1,64}%\$ )?%([A-Za-z][A-Za-z0-9_/-]{0,63})-([0-7ACEWNID])-([A-Za-z0-9_]{1,64}) ?:? *", re.ASCII
)
_SLOT = re.compile(
    r"(?:(?:Switch|Chassis) \d{1,2} )?[A-Z]{1,3}\d{1,2}(?:/\d{1,2})?: {0,4}(?:[\w.-]{0,32}: {0,4}){0,2}", re.ASCII
)
_INNER = 128  # characters in which the mark of a card's own message begins
_MASK = 1_024  # characters in which what is common to many messages is looked for
_ACCOUNTING = re.compile(
    r"(start|stop|update):(?:([0-9A-Fa-f.:]{2,45})@)?([^\s:]{1,64}):([^\s:]{1,64}):(.{0,4096}?)"
    r"(?: \((SUCCESS|FAILURE|REDIRECT)\))?$",
    re.ASCII | re.DOTALL,
)
_TAIL = re.compile(r" - (\w{1,32})(?:\[(\d{1,9})\])?$", re.ASCII)
_SPOKEN = frozenset(("dns", "ftp", "h323", "http", "https", "imap", "ldap", "ntp", "pop3", "rtsp", "sip", "skinny",
                     "smtp", "snmp", "ssh", "sunrpc", "telnet", "tftp"))  # fmt: skip
"""Protocols of applications, where others have the one that carries them."""
_OTHER = {"sj": "si", "ifb": "in", "word": "user"}  # second groups of texts with two ways of saying it


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of a router or switch into the event; False when it does not begin with a mark."""
    head = _HEAD.match(message)
    if head is None:
        return False
    text = message[head.end() :].rstrip()
    slot = _SLOT.match(text)
    if slot is not None:
        text = text[slot.end() :]
    inner = _HEAD.match(text, max(text.find("%", 0, _INNER), 0))
    if inner is not None:
        head, text = inner, text[inner.end() :]
    facility, severity, mnemonic = head.groups()
    event["event.dataset"] = "cisco.ios"
    event["event.provider"], event["event.code"] = facility, mnemonic
    event["almena.cisco.facility"] = facility
    level = SEVERITIES[severity]
    event["event.severity"], event["log.level"] = level, LEVELS[level]
    event["observer.vendor"], event["observer.product"] = "Cisco", "IOS"
    event["observer.type"] = "firewall" if facility == "FW" else "switch"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    event["message"] = message
    if mnemonic == "SYSTEM_MSG" and _sshd(text, event, context):
        return True
    if mnemonic == "AAA_ACCOUNTING_MESSAGE":
        meaning = _accounting(text, event)
    else:
        meaning = _text(facility, mnemonic, text, event)
    action, outcome, category, types = meaning
    event["event.category"], event["event.type"] = list(category), list(types)
    if action is not None:
        event["event.action"] = action
    if outcome is not None:
        event["event.outcome"] = outcome
    if "user.name" in event and ("authentication" in category or "session" in category):
        event["source.user.name"] = event["user.name"]
    return True


def _sshd(text: str, event: Event, context: Context) -> bool:
    """What NX-OS hands on of its SSH server: `Failed password for ana from 10.0.0.9 port 22 ssh2 - sshd[811]`."""
    tail = _TAIL.search(text[-64:])
    if tail is None or not tail[1].startswith(("sshd", "dcos_sshd")):
        return False
    event["process.name"] = tail[1]
    return sshd.read(text[: -len(tail[0])], event, context)


def _text(facility: str, mnemonic: str, text: str, event: Event) -> Meaning:
    known: tuple[Text, ...] = MESSAGES.get(f"{facility}-{mnemonic}") or MESSAGES.get(mnemonic) or ()
    meaning = known[0].meaning if known else INFO
    for each in known:
        found = each.pattern.match(text)
        if found is not None:
            return _put(found, event, each.meaning)
    text = text[:_MASK]
    for pattern in COMMON:
        found = pattern.search(text)
        if found is not None:
            _put(found, event, INFO)
    return meaning


def _put(found: re.Match[str], event: Event, meaning: Meaning) -> Meaning:
    """Put what a text says into the event, and return its meaning."""
    parts = found.groupdict()
    for name, other in _OTHER.items():
        if parts.get(name) is not None:
            parts[other] = parts.pop(name)
    verdict = (parts.pop("verdict", None) or "").lower()
    packets = parts.pop("packets", None)
    if packets is not None and put_count(event, "source.packets", packets) is not None:
        event["network.packets"] = event["source.packets"]
    if parts.get("user") and address(parts["user"]) is not None:
        del parts["user"]  # the peer of a tunnel
    protocol = (parts.get("proto") or "").lower()
    if protocol in _SPOKEN:
        event["network.protocol"] = protocol
        del parts["proto"]
    put_parts(parts, event, "", meaning)
    if parts.get("dp") and not parts.get("da"):
        put_port(event, "destination.port", parts["dp"])
    if meaning.action == "intrusion-detected":
        event["event.kind"] = "alert"
    if not verdict:
        return meaning
    if meaning is PERMIT:
        return DENY if verdict.startswith(("den", "drop")) else PERMIT
    if verdict in ("down", "fail", "failed", "failure", "un-successful", "admin down"):
        types = meaning.type
        if "network" in meaning.category:
            types = tuple("end" if each == "start" else each for each in types)
        action = None if meaning.action is None else ENDED.get(meaning.action, meaning.action)
        return meaning._replace(action=action, outcome="failure", type=types)
    return meaning


def _accounting(text: str, event: Event) -> Meaning:
    """`update:10.0.0.9@pts/0:ana:configure terminal ; no feature x (SUCCESS)`, as NX-OS accounts for commands."""
    found = _ACCOUNTING.match(text)
    if found is None:
        return INFO
    kind, address, _, user, command, result = found.groups()
    put_parts({"sa": address, "user": user, "cmd": command if kind == "update" else None}, event, "", INFO)
    outcome = "failure" if result == "FAILURE" else "success"
    if kind == "update":
        return Meaning("command-executed", outcome, ("configuration",), ("change",))
    if kind == "start":
        return Meaning("session-started", outcome, ("session",), ("start",))
    return Meaning("logged-out", outcome, ("session",), ("end",))


FORMAT = Format(name="cisco_ios", dataset="cisco.ios", read=read, begins=("%",), words=False)
