"""MikroTik's RouterOS: packets, logins, commands, leases, tunnels, stations, by the topics in front of each message.

    firewall,info DROP input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:00:5e:00:53:02,
        proto TCP (SYN), 203.0.113.9:4444->192.0.2.1:23, len 60
    Nov 22 13:34:00 gw system,error,critical login failure for user root from 203.0.113.9 via ssh

What was done with a packet is told by the rule's prefix alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, instant, number
from collectors.parsers.format import Format
from collectors.parsers.iptables import action_of
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_LONGEST = 4_096
_TOPICS = re.compile(
    r"(?:(?:([a-z]{3})/(\d\d)/(\d{4})|(\d{4}-\d\d-\d\d)) (\d\d:\d\d:\d\d) |\d\d:\d\d:\d\d )?"
    r"([a-z][a-z0-9-]{1,20}(?:,[a-z!][a-z0-9-]{0,20}){0,6}):? (?=\S)",
    re.ASCII,
)
_MONTHS = {name.lower(): at for name, at in MONTHS.items()}
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
_MAC_TEXT = r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
_LOGIN = re.compile(r"user (.{1,128}?) logged (in|out)(?: from (\S{1,64}))?(?: via (.{1,32}))?$", re.ASCII)
_FAILURE = re.compile(r"login failure for user (.{0,128}?)(?: from (\S{1,64}))?(?: via (\S{1,32}))?$", re.ASCII)
_CHANGE = re.compile(
    r"(.{1,128}?) (added|removed|changed|moved|enabled|disabled|modified) by (?:[^\s@]{1,64}:)?([^\s@:(]{1,128})"
    r"(?:@([0-9A-Fa-f.:]{2,45}))?(?: \((.{0,2048})\))?$",
    re.ASCII | re.DOTALL,
)
_LEASE = re.compile(
    rf"(\S{{1,64}}) (assigned|deassigned|offering lease) ([0-9A-Fa-f.:]{{2,45}}) (?:to|for|from) ({_MAC_TEXT})"
    r"(?: ([\w.-]{1,255}))?( without success)?$",
    re.ASCII,
)
_PPP = re.compile(
    r"(?:<[^>]{1,64}>: )?([^\s,<>]{1,128}) logged (in|out), ?((?=\S{0,44}[.:])[0-9A-Fa-f.:]{2,45}(?= |$))?"
    r"(?:(\d{1,12}) (\d{1,18}) (\d{1,18}) (\d{1,18}) (\d{1,18}))?(?: from (\S{1,64}))?",
    re.ASCII,
)
_PPP_FAILED = re.compile(r"(?:<[^>]{1,64}>: )?user '?(\S{1,128}?)'? authentication failed(?: - (.{1,128}))?", re.ASCII)
_FROM = re.compile(rf"(?:established|received) from ({_MAC_TEXT}|[0-9A-Fa-f.:]{{2,45}})", re.ASCII)
_PEERS = re.compile(r"([0-9A-Fa-f.:]{2,45})\[(\d{1,5})\](?:<=>|-)([0-9A-Fa-f.:]{2,45})\[(\d{1,5})\]", re.ASCII)
_STATION = re.compile(
    rf"({_MAC_TEXT})@(\S{{1,64}}?):? (connected|disconnected|reassociating)(?:, (.{{1,128}}))?", re.ASCII
)
_HOTSPOT = re.compile(
    r"(?:->: )?(\S{1,128}) \(([0-9A-Fa-f.:]{2,45})\): (logged in|logged out|login failed|trying to log in)"
    r"(?:: (.{1,128}))?",
    re.ASCII,
)
_LINK = re.compile(r"(\S{1,64}) link (up|down)", re.ASCII)
_QUERY = re.compile(r"query from ([0-9A-Fa-f.:]{2,45}): (?:#\d{1,12} )?(\S{1,255}?)\.? ([A-Z][A-Z0-9]{0,9})$", re.ASCII)
_PROXY = re.compile(r"([0-9A-Fa-f.:]{2,45}) ([A-Z]{3,16}) (\S{1,4096})(?: {1,2}action=(\w{1,16}))?", re.ASCII)

_LOGGED = {
    "in": ("logged-in", "success", ["authentication"], ["start"]),
    "out": ("logged-out", "success", ["session"], ["end"]),
    "failed": ("logon-failed", "failure", ["authentication"], ["start"]),
}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False when it has no topics and tells of no packet."""
    text = message[:_LONGEST]
    head = _TOPICS.match(text)
    topics = head[6].split(",") if head is not None else []
    if topics and (topics[0] not in _READERS or (len(topics) == 1 and topics != ["dns"])):
        topics = []
    if head is not None and topics:
        _time(head, event, context)
        text = text[head.end() :]
    elif "proto " not in text or "->" not in text:
        return False
    found = _READERS.get(topics[0], _packet)(text, event) if topics else _packet(text, event)
    if not found and not topics:
        return False
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
        date = f"{year}-{_MONTHS[month]:02}-{day}"
    if date is not None:
        event["@timestamp"] = format_time(instant(f"{date}T{clock}", context.zone))


def _say(event: Event, action: str, outcome: str | None, category: list[str], types: list[str]) -> bool:
    event["event.action"] = action
    if outcome is not None:
        event["event.outcome"] = outcome
    event["event.category"], event["event.type"] = list(category), list(types)
    return True


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


def _from(event: Event, where: str | None) -> None:
    if where is None or where == "local":
        return
    if re.fullmatch(_MAC_TEXT, where):
        event["source.mac"] = where.upper().replace(":", "-")
    else:
        put_end(event, "source", where)


def _system(text: str, event: Event) -> bool:
    login = _LOGIN.match(text)
    if login is not None:
        put_user(event, login[1])
        _from(event, login[3])
        if login[4]:
            event["network.application"] = login[4]
        return _say(event, *_LOGGED[login[2]])
    failure = _FAILURE.match(text)
    if failure is not None:
        put_user(event, failure[1])
        _from(event, failure[2])
        if failure[3]:
            event["network.application"] = failure[3]
        return _say(event, *_LOGGED["failed"])
    change = _CHANGE.match(text)
    if change is not None:
        what, done, user, where, command = change.groups()
        put_user(event, user)
        _from(event, where)
        if command:
            event["process.command_line"] = command.partition(" = ")[2] or command
        event["almena.mikrotik.item"] = what
        return _say(event, f"configuration-{done}", "success", ["configuration"], ["change"])
    return False


def _dhcp(text: str, event: Event) -> bool:
    lease = _LEASE.match(text)
    if lease is None:
        return False
    server, done, where, mac, name, failed = lease.groups()
    put_end(event, "source", where)
    event["source.mac"] = mac.upper().replace(":", "-")
    if name:
        event["source.domain"] = name
    event["almena.mikrotik.item"], event["network.protocol"] = server, "dhcp"
    action = {"assigned": "lease-assigned", "deassigned": "lease-released"}.get(done, "lease-offered")
    types = ["connection", "end" if action == "lease-released" else "start"]
    return _say(event, action, "failure" if failed else "success", ["network"], types)


def _ppp(text: str, event: Event) -> bool:
    logged = _PPP.match(text)
    if logged is not None:
        user, way, given, seconds, received, sent, packets_in, packets_out, where = logged.groups()
        put_user(event, user)
        if where is not None:
            put_end(event, "source", where)
            put_nat(event, "source", given)
        elif given is not None:
            put_end(event, "source", given)
        duration = number(seconds)
        if duration is not None:
            event["event.duration"] = duration * 1_000_000_000
        put_count(event, "source.bytes", received)
        put_count(event, "destination.bytes", sent)
        put_count(event, "source.packets", packets_in)
        put_count(event, "destination.packets", packets_out)
        put_total(event, "bytes")
        action, outcome, _, types = _LOGGED[way]
        category = ["authentication", "network"] if way == "in" else ["session", "network"]
        return _say(event, action, outcome, category, types)
    failed = _PPP_FAILED.match(text)
    if failed is not None:
        put_user(event, failed[1])
        if failed[2]:
            event["event.reason"] = failed[2]
        return _say(event, "logon-failed", "failure", ["authentication", "network"], ["start"])
    came = _FROM.search(text)
    if came is not None:
        _from(event, came[1])
        return _say(event, "connection-started", "success", ["network"], ["connection", "start"])
    return False


def _ipsec(text: str, event: Event) -> bool:
    peers = _PEERS.search(text)
    if peers is None:
        first = text.partition(" ")[0]
        if address(first) is not None:
            put_end(event, "source", first)
    else:
        put_end(event, "source", peers[3], peers[4])
        put_end(event, "destination", peers[1], peers[2])
    if "fail" in text or "not found" in text or "no suitable" in text:
        event["event.reason"] = text
        return _say(event, "ike-failed", "failure", ["network"], ["connection", "error"])
    if "established" in text or "new ike2 SA" in text or "peer authorized" in text:
        return _say(event, "sa-created", "success", ["network"], ["connection", "start"])
    if "killing" in text or "expired" in text or "deleted" in text:
        return _say(event, "sa-deleted", "success", ["network"], ["connection", "end"])
    if peers is None:
        return False
    return _say(event, "ike-started", None, ["network"], ["connection", "start"])


def _wireless(text: str, event: Event) -> bool:
    station = _STATION.match(text)
    if station is None:
        return False
    event["source.mac"] = station[1].upper().replace(":", "-")
    event["observer.ingress.interface.name"] = station[2].rstrip(":")
    if station[4]:
        event["event.reason"] = station[4]
    end = station[3] == "disconnected"
    return _say(event, f"station-{station[3]}", "success", ["network"], ["connection", "end" if end else "start"])


def _hotspot(text: str, event: Event) -> bool:
    found = _HOTSPOT.match(text)
    if found is None:
        return False
    put_user(event, found[1])
    put_end(event, "source", found[2])
    if found[4]:
        event["event.reason"] = found[4]
    if found[3] == "trying to log in":
        return _say(event, "authentication", "unknown", ["authentication"], ["info"])
    return _say(event, *_LOGGED[{"logged in": "in", "logged out": "out"}.get(found[3], "failed")])


def _interface(text: str, event: Event) -> bool:
    found = _LINK.match(text)
    if found is None:
        return False
    event["observer.ingress.interface.name"] = found[1]
    return _say(event, f"interface-{found[2]}", "success" if found[2] == "up" else "failure", ["network"], ["info"])


def _dns(text: str, event: Event) -> bool:
    query = _QUERY.match(text)
    if query is None:
        return False
    put_end(event, "source", query[1])
    event["dns.question.name"], event["dns.question.type"] = query[2].lower(), query[3]
    event["network.protocol"] = "dns"
    return _say(event, "dns-query", None, ["network"], ["protocol"])


def _proxy(text: str, event: Event) -> bool:
    found = _PROXY.match(text)
    if found is None:
        return False
    put_end(event, "source", found[1])
    event["http.request.method"] = found[2]
    put_url(event, found[3])
    denied = found[4] in ("deny", "drop")
    types = ["access", "denied" if denied else "allowed"]
    return _say(event, found[4] or "request", "failure" if denied else "success", ["web"], types)


def _other(text: str, event: Event) -> bool:
    return _system(text, event) or _packet(text, event)


_READERS: dict[str, Callable[[str, Event], bool]] = {
    "firewall": _packet, "system": _system, "dhcp": _dhcp, "l2tp": _ppp, "pptp": _ppp, "sstp": _ppp, "ovpn": _ppp,
    "ppp": _ppp, "pppoe": _ppp, "ipsec": _ipsec, "wireless": _wireless, "caps": _wireless, "hotspot": _hotspot,
    "interface": _interface, "dns": _dns, "web-proxy": _proxy,
}  # fmt: skip
for _topic in (
    "account", "ssh", "script", "radius", "route", "bgp", "ospf", "e-mail", "ntp", "upnp", "certificate", "backup",
    "container", "wireguard", "vrrp", "bridge", "snmp", "manager", "watchdog", "lte", "poe-out", "telephony", "tftp",
    "smb", "health", "ups", "netwatch", "fetch", "queue", "iot", "dude",
):  # fmt: skip
    _READERS[_topic] = _other

_CHAINS = ("input", "forward", "output", "srcnat", "dstnat", "prerouting", "postrouting")

FORMAT = Format(
    name="mikrotik",
    dataset="mikrotik.routeros",
    read=read,
    words=False,
    begins=(*(f"{topic}," for topic in _READERS), *(f"{chain}: in:" for chain in _CHAINS), "dns query from "),
)
