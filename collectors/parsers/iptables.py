"""Packets that Linux's netfilter logged: iptables and nftables, ufw, firewalld, Shorewall, CSF, UniFi and EdgeOS.

    Nov 22 13:34:00 gw kernel: [123.456] [UFW BLOCK] IN=eth0 OUT= MAC=... SRC=203.0.113.9 DST=10.0.0.5 LEN=60 PROTO=TCP
    Nov 22 13:34:00 gw kernel: [WAN_LOCAL-default-D]IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.1 PROTO=UDP SPT=53 DPT=99

What was done is told by the rule's prefix alone; a prefix that says nothing leaves the event without an action.
Other lines of the kernel stay lines of syslog.
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.event import Event
from collectors.base import Context
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_port, put_transport

_MOST = 64  # parts of a packet's line
_UPTIME = re.compile(r"\[ {0,10}\d{1,12}\.\d{1,9}\] ?", re.ASCII)
_START = re.compile(r"(?<![A-Za-z])((?:PHYS)?IN=|SRC=)", re.ASCII)
_UBIQUITI = re.compile(
    r"\[((?:ipv[46]-)?[^\]]{1,128}?)-(default|[A-Z]|\d{1,10})-(default|[A-Z]{1,8}|\d{1,10})\]", re.ASCII
)
_DESCRIPTION = re.compile(r'DESCR="([^"]{0,256})"', re.ASCII)
_NAMED = re.compile(r"iptables (\w{1,32})(?=[: ]|$)", re.ASCII)
"""How the name of a rule of iptables' own documentation stands before a packet: `iptables DROP_INPUT: `."""
_CUT = re.compile(
    r"([a-z]{1,8}\.[a-z]{1,8} kernel: ?)?\d{0,5} ?(?:T?T?L=)?\d{1,3} ID=\d{1,5} (?:DF )?(PROTO=\w{1,16} .{1,512})",
    re.ASCII,
)
"""A packet whose beginning is lost, as UniFi's gateways send some."""
_SHOREWALL = re.compile(r"[Ss]horewall6?:([\w.-]{1,64}):(\w{1,16}):", re.ASCII)
_WORD = re.compile(
    r"(?<![a-z])(drop(?:ped)?|reject(?:ed)?|den(?:y|ied)|block(?:ed)?|bloqu\w{1,6}|accept(?:ed)?|allow(?:ed)?"
    r"|permit(?:ted)?|pass(?:ed)?|limit|audit)(?![a-z])",
    re.ASCII | re.IGNORECASE,
)
_ACTIONS = {"drop": "drop", "reje": "reject", "deny": "deny", "deni": "deny", "bloc": "block", "bloq": "block"}
_ACTIONS |= {"acce": "accept", "allo": "allow", "perm": "allow", "pass": "allow", "audi": "audit", "limi": "limit"}
_LETTERS = {"D": "drop", "A": "accept", "R": "reject"}
_DENIED = frozenset(("drop", "reject", "deny", "block"))
_ALLOWED = frozenset(("accept", "allow"))
_FLAGS = frozenset(("CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a packet into the event; False when the line tells of none and is not the kernel's."""
    uptime = _UPTIME.match(message)
    at = 0 if uptime is None else uptime.end()
    start = _START.search(message, at, at + 1_024) if " DST=" in message else None
    if start is None:
        cut = _CUT.match(message.strip()) if " PROTO=" in message[:80] else None
        if cut is not None and (cut[1] or event.get("process.name") == "kernel"):
            return _rest(cut[2], message, event)
        if event.get("process.name") != "kernel" or "audit(" in message[:256]:
            return False
        event["event.dataset"], event["message"] = "system.syslog", message
        return True
    event["message"] = message
    begin = start.start(1)
    parts = _packet(message[begin : begin + 4_096], event)
    event["event.category"], event["event.type"] = ["network"], ["connection"]
    event["observer.type"] = "firewall"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    put_end(event, "source", parts.get("SRC"), parts.get("SPT"))
    put_end(event, "destination", parts.get("DST"), parts.get("DPT"))
    put_transport(event, _protocol(parts.get("PROTO", "")))
    if "source.ip" in event:
        event["network.type"] = "ipv6" if ":" in event["source.ip"] else "ipv4"
    put_count(event, "network.bytes", parts.get("LEN"))
    for key, name in (("IN", "ingress"), ("OUT", "egress")):
        interface = parts.get(key) or parts.get("PHYS" + key)
        if interface:
            event[f"observer.{name}.interface.name"] = interface
    _addresses(parts, event)
    if parts.get("UID"):
        event["user.id"] = parts["UID"]
    prefix = message[at:begin].strip()
    if not prefix and event.get("process.name", "kernel") not in ("kernel", "ulogd"):
        prefix = event.pop("process.name")  # what stands where a program does is the rule's prefix
        event.pop("log.syslog.appname", None)
    _prefix(prefix, event)
    return True


def _rest(text: str, message: str, event: Event) -> bool:
    """What is left of a packet: its protocol and ports; always True."""
    parts = _packet(text, event)
    put_transport(event, _protocol(parts.get("PROTO", "")))
    put_port(event, "source.port", parts.get("SPT"))
    put_port(event, "destination.port", parts.get("DPT"))
    event["event.category"], event["event.type"] = ["network"], ["connection"]
    event["observer.type"], event["message"] = "firewall", message
    return True


def _packet(text: str, event: Event) -> dict[str, str]:
    """The values by key up to the packet that an ICMP error quotes in brackets; of equal keys the first counts."""
    parts: dict[str, str] = {}
    flags = []
    for token in text.partition(" [")[0].split(" ", _MOST):
        key, equals, value = token.partition("=")
        if equals:
            parts.setdefault(key, value)
        elif key in _FLAGS:
            flags.append(key)
    if flags:
        event["almena.iptables.tcp_flags"] = flags
    return parts


def _protocol(name: str) -> str:
    return "ipv6-icmp" if name.upper() == "ICMPV6" else name


def _addresses(parts: dict[str, str], event: Event) -> None:
    """`MAC=` holds the destination's address, the source's and the kind of frame."""
    octets = parts.get("MAC", "").upper().split(":", 20)
    if len(octets) >= 12:
        event["destination.mac"], event["source.mac"] = "-".join(octets[:6]), "-".join(octets[6:12])
    for key, name in (("MACSRC", "source.mac"), ("MACDST", "destination.mac")):
        if parts.get(key):
            event[name] = parts[key].upper().replace(":", "-")


def _prefix(prefix: str, event: Event) -> None:
    if not prefix:
        return
    action, name, number, category = _meaning(prefix)
    named = _NAMED.match(prefix)
    if name:
        event["rule.name"] = name
    if number:
        event["rule.id"] = number
    if category:
        event["rule.description"] = category
    if action:
        event["event.action"] = action if named is None else named[1].lower()
    if action in _DENIED:
        event["event.type"].append("denied")
        event["event.outcome"] = "failure"
    elif action in _ALLOWED:
        event["event.type"].append("allowed")
        event["event.outcome"] = "success"


@lru_cache(maxsize=4_096)
def _meaning(prefix: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Action, name, number and description of the rule whose prefix it is."""
    described = _DESCRIPTION.search(prefix)
    description = described[1] if described is not None else None
    ubiquiti = _UBIQUITI.search(prefix)
    if ubiquiti is not None:
        name, one, other = ubiquiti.groups()
        letter, number = (one, other) if one in _LETTERS else (other, one)
        if letter in _LETTERS:
            return _LETTERS[letter], name, number, description
    shorewall = _SHOREWALL.search(prefix)
    if shorewall is not None:
        return action_of(shorewall[2]), shorewall[1], None, None
    return action_of(prefix), prefix.strip("[]:-* "), None, description


def action_of(text: str) -> str | None:
    """The action that a text names; the last one, since `LIMIT BLOCK` blocks and `INVALID_DROP` drops."""
    found = [_ACTIONS.get(each[:4].lower()) for each in _WORD.findall(text.replace("_", " "))]
    known = [each for each in found if each is not None]
    return known[-1] if known else None


FORMAT = Format(
    name="iptables",
    dataset="iptables.log",
    read=read,
    words=False,
    programs=("kernel", "ulogd"),
    begins=("IN=", "[UFW ", "[WAN_", "[LAN_", "[GUEST_"),
)
