"""MikroTik's RouterOS: packets, logins, commands, leases, tunnels, stations, by the topics in front of each message.

    firewall,info DROP input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:00:5e:00:53:02,
        proto TCP (SYN), 203.0.113.9:4444->192.0.2.1:23, len 60
    Nov 22 13:34:00 gw system,error,critical login failure for user root from 203.0.113.9 via ssh

What was done with a packet is told by the rule's prefix alone.
"""

from __future__ import annotations

import re

from almena.clock import DAY, format_time, to_datetime
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, instant
from collectors.parsers.format import Format
from collectors.parsers.iptables import action_of
from collectors.parsers.mikrotik_messages import READERS, system
from collectors.parsers.network import put_count, put_end, put_nat, put_transport

_LONGEST = 4_096
_TOPICS = re.compile(
    r"(?:(?:([a-z]{3})/(\d\d)(?:/(\d{4}))?|((?:\d{4}-)?\d\d-\d\d)) (\d\d:\d\d:\d\d) |\d\d:\d\d:\d\d )?"
    r"([a-z][a-z0-9-]{1,20}(?:,[a-z!][a-z0-9-]{0,20}){0,6}):? (?=\S)",
    re.ASCII,
)
_MONTHS = {name.lower(): at for name, at in MONTHS.items()}
_HALF_A_YEAR = 183 * DAY
_FAILED = "login failure for user "
_LEVELS = ("critical", "error", "warning", "info", "debug")
_ADDRESS = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Fa-f.]{7,15}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{1,40}?)"
_END = _ADDRESS + r"(?::\d{1,5})?"
_PACKET = re.compile(
    r"(?:^|(.{0,64}?) ?)\b([\w.-]{1,64}): in:(\(unknown \d+\)|\S{1,64})"
    r" out:(\(unknown \d+\)|[^\s,]{1,64}),? (.{0,512}?)proto ([A-Za-z0-9-]{1,16})(?: \(([^)]{0,64})\))?,"
    rf" ({_END})->({_END})(.*)$",
    re.ASCII | re.DOTALL,
)
_MAC = re.compile(r"src-mac ([0-9A-Fa-f:]{17})", re.ASCII)
_SOURCE_NAT = re.compile(rf" NAT \(({_END})->({_END})\)->", re.ASCII)
_TARGET_NAT = re.compile(rf"->\(({_END})->({_END})\)", re.ASCII)
_LENGTH = re.compile(r" len (\d{1,9})", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False when it has no topics and tells of no packet."""
    text = message[:_LONGEST]
    head = _TOPICS.match(text)
    topics = head[6].split(",") if head is not None else []
    if topics and (topics[0] not in _TOPIC_NAMES or (len(topics) == 1 and topics != ["dns"])):
        topics = []
    if head is not None and topics:
        _time(head, event, context)
        text = text[head.end() :]
    elif text.startswith(_FAILED):
        return _finish(message, event, []) if system(text, event) else False
    elif "proto " not in text or "->" not in text:
        return False
    reader = READERS.get(topics[0], system) if topics else None
    found = (reader is not None and reader(text, event)) or _packet(text, event)
    if not found and not topics:
        return False
    return _finish(message, event, topics)


def _finish(message: str, event: Event, topics: list[str]) -> bool:
    event["observer.vendor"], event["observer.product"], event["observer.type"] = "MikroTik", "RouterOS", "firewall"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    if topics:
        event["almena.mikrotik.topics"] = topics
        level = next((each for each in _LEVELS if each in topics), None)
        if level is not None:
            event["log.level"] = level
    if "event.category" not in event:
        event["event.category"], event["event.type"] = ["network"], ["info"]
    event["message"] = message
    return True


def _time(head: re.Match[str], event: Event, context: Context) -> None:
    """The time that lines of a file have in front of their topics."""
    month, day, year, date, clock, _ = head.groups()
    if month is not None and month in _MONTHS:
        date = f"{year}-{_MONTHS[month]:02}-{day}" if year else f"{_MONTHS[month]:02}-{day}"
    if date is None:
        return
    if len(date) == 5:  # of the current year, which is not written
        date = f"{_year(date, clock, context)}-{date}"
    event["@timestamp"] = format_time(instant(f"{date}T{clock}", context.zone))


def _year(date: str, clock: str, context: Context) -> int:
    """The year in which the day is nearest to the receipt."""
    year = to_datetime(context.received).year
    away = instant(f"{year}-{date}T{clock}", context.zone) - context.received
    return year - 1 if away > _HALF_A_YEAR else year + 1 if away < -_HALF_A_YEAR else year


def _split(end: str) -> tuple[str, str | None]:
    """`10.0.0.5:80` and `[2001:db8::5]:80` as address and port."""
    if end[0] == "[":
        where, _, port = end[1:].partition("]")
        return where, port[1:] or None
    if end.count(":") > 1:
        return end, None
    where, _, port = end.partition(":")
    return where, port or None


def _packet(text: str, event: Event) -> bool:
    found = _PACKET.search(text)
    if found is None:
        return False
    prefix, chain, ingress, egress, details, protocol, _, source, target, rest = found.groups()
    put_transport(event, "ipv6-icmp" if protocol.upper() == "ICMPV6" else protocol)
    put_end(event, "source", *_split(source))
    put_end(event, "destination", *_split(target))
    for name, interface in (("ingress", ingress), ("egress", egress)):
        if interface[0] != "(":
            event[f"observer.{name}.interface.name"] = interface.rstrip(",")
    mac = _MAC.search(details)
    if mac is not None:
        event["source.mac"] = mac[1].upper().replace(":", "-")
    translated = _SOURCE_NAT.search(rest)
    if translated is not None:
        put_nat(event, "source", *_split(translated[2]))
    translated = _TARGET_NAT.search(rest)
    if translated is not None:
        put_nat(event, "destination", *_split(translated[2]))
    length = _LENGTH.search(rest)
    put_count(event, "network.bytes", length[1] if length is not None else None)
    event["rule.ruleset"] = chain
    prefix = (prefix or "").strip(" :")
    if prefix:
        event["rule.name"] = prefix
    action = action_of(prefix)
    denied = action in ("drop", "reject", "deny", "block")
    event["event.category"], event["event.type"] = ["network"], ["connection"]
    if action is not None:
        event["event.action"] = action
        event["event.type"].append("denied" if denied else "allowed")
        event["event.outcome"] = "failure" if denied else "success"
    return True


_OTHERS = (
    "account", "ssh", "script", "radius", "route", "bgp", "ospf", "e-mail", "ntp", "upnp", "certificate", "backup",
    "container", "wireguard", "vrrp", "bridge", "snmp", "manager", "watchdog", "lte", "poe-out", "telephony", "tftp",
    "smb", "health", "ups", "netwatch", "fetch", "queue", "iot", "dude",
)  # fmt: skip
_TOPIC_NAMES = frozenset(("firewall", *READERS, *_OTHERS))
_CHAINS = ("input", "forward", "output", "srcnat", "dstnat", "prerouting", "postrouting")

FORMAT = Format(
    name="mikrotik",
    dataset="mikrotik.routeros",
    read=read,
    words=False,
    begins=(
        *(f"{topic}," for topic in sorted(_TOPIC_NAMES)),
        *(f"{chain}: in:" for chain in _CHAINS),
        "dns query from ",
        _FAILED,
    ),
)
