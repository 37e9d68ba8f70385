"""ISC's dhcpd and dhclient: leases asked for, offered, given, refused and given back, for IPv4 and IPv6.

    <30>Nov 22 13:34:00 ns1 dhcpd[811]: DHCPACK on 10.0.0.55 to 00:00:5e:00:53:02 (pc1) via eth0
    <30>Nov 22 13:34:00 ns1 dhcpd[811]: Reply NA: address 2001:db8::55 to client with duid 00:01:... iaid = 1 valid ...

The client is the source, the server the destination; `event.action` is the message's name.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_port

MAC = r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}"
_IP4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_IP = r"[0-9A-Fa-f.:]{2,45}"
_MESSAGE = re.compile(
    rf"((?:DHCP|BOOT)[A-Z]{{3,16}}|BALANCED) (?:(?:on|for|of|to) ({_IP4}) )?(?:\(({_IP4})\) )?(?:\(({MAC})\) )?"
    rf"(?:(?:from|to) ({MAC}|{_IP4}|<no[^>]{{0,64}}>) )?(?:\(({MAC})\) )?(?:\(([^)]{{0,255}})\) )?"
    rf"via (\S{{1,64}}?)(?::|(?= )|$)(?: (.{{1,512}}))?$",
    re.ASCII,
)
_CLIENT = re.compile(
    rf"(DHCP[A-Z]{{3,16}})(?: of ({_IP4}))?(?: for ({_IP4}))?(?: on (\S{{1,64}}))?(?: to ({_IP4}))?"
    rf"(?: port (\d{{1,5}}))?(?: from ({_IP4}))?(?: interval \d{{1,9}})?(?: \(xid=0x[0-9a-f]{{1,8}}\))?$",
    re.ASCII,
)
_BOUND = re.compile(rf"bound to ({_IP4}) ", re.ASCII)
_SHORT = re.compile(
    rf"(DHCP[A-Z]{{3,16}}) (?:(?:on|for|of|from) ({_IP4}))?(?: ?(?:to|from) ({MAC}))?(?:: (.{{1,512}}))?$", re.ASCII
)
"""Without the network it came through: leases that end, and what is asked of them."""
_SIX = re.compile(
    rf"(?:Encapsulated )?([A-Z][a-z]{{3,16}}(?:-[a-z]{{3,16}})?) message from ({_IP}) port (\d{{1,5}})", re.ASCII
)
_SENT = re.compile(rf"Sending ([A-Z][a-z]{{3,16}}) to ({_IP}) port (\d{{1,5}})", re.ASCII)
_GIVEN = re.compile(
    rf"([A-Z][a-z]{{3,16}}) (NA|TA|PD): (?:address|prefix) ({_IP})(?:/\d{{1,3}})? to client"
    r" with duid ([0-9a-f:]{2,400})",
    re.ASCII,
)
_POOL = re.compile(
    rf"(?:dhcp6c )?(Picking pool address|Reusing lease|[a-z]{{3,8}} an address)(?: for:)? ({_IP})"
    r"(?:/\d{1,3})?(?=[ ,]|$)",
    re.ASCII,
)
_MAP = re.compile(rf"(Added|Removed|added|removed) (?:new )?forward map from (\S{{1,255}}) to ({_IP})$", re.ASCII)
_ABANDONED = re.compile(rf"[Aa]bandoning IP address ({_IP}): (.{{1,128}})", re.ASCII)
_REFUSED = ("DHCPNAK", "DHCPDECLINE")
_PROBLEMS = ("no free leases", "unavailable", "unknown lease", "wrong network", "not found", "not allowed",
             "not authoritative", "failed")  # fmt: skip


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False when it tells of no lease."""
    text = message[:2_048].rstrip()
    if not (_four(text, event) or _six(text, event)):
        return False
    event["event.category"] = ["network"]
    event["network.transport"] = "udp"
    event["message"] = message
    return True


def put_mac(event: Event, written: str) -> None:
    """Set `source.mac` from six numbers with colons, which may lack a zero."""
    event["source.mac"] = "-".join(part.zfill(2) for part in written.upper().split(":"))


def say(event: Event, action: str, outcome: str, protocol: str = "dhcp") -> bool:
    """Set what a message about a lease means; always True."""
    denied = outcome == "failure"
    event["event.action"], event["event.outcome"] = action, outcome
    event["event.type"] = ["connection", "denied"] if denied else ["connection", "protocol", "info"]
    event["network.protocol"] = protocol
    return True


def _four(text: str, event: Event) -> bool:
    found = _MESSAGE.match(text)
    if found is not None:
        action, where, server, mac, peer, mac_behind, name, via, rest = found.groups()
        mac = mac or mac_behind
        if peer is not None and ":" in peer:
            mac = peer
        elif peer is not None and where is None:
            where = peer
        put_end(event, "source", where)
        if mac is not None:
            put_mac(event, mac)
        if name:
            event["source.domain"] = name
        put_end(event, "destination", server)
        if address(via) is not None:
            event["almena.dhcp.relay"] = via
        else:
            event["observer.ingress.interface.name"] = via
        return say(event, action, _outcome(action, rest, event))
    short = _SHORT.match(text)
    if short is not None and (short[2] or short[3]):
        action, where, mac, rest = short.groups()
        put_end(event, "source", where)
        if mac is not None:
            put_mac(event, mac)
        return say(event, action, _outcome(action, rest, event))
    client = _CLIENT.match(text)
    if client is not None:
        action, given, wanted, interface, to, port, server = client.groups()
        put_end(event, "source", given or wanted)
        put_end(event, "destination", server or to)
        put_port(event, "destination.port", port)
        if interface:
            event["observer.ingress.interface.name"] = interface
        return say(event, action, "failure" if action in _REFUSED else "success")
    return _other(text, event)


def _outcome(action: str, rest: str | None, event: Event) -> str:
    if rest:
        event["event.reason"] = rest.strip(" ()")
    refused = action in _REFUSED or (rest is not None and any(word in rest for word in _PROBLEMS))
    return "failure" if refused else "success"


def _other(text: str, event: Event) -> bool:
    bound = _BOUND.match(text)
    if bound is not None:
        put_end(event, "source", bound[1])
        return say(event, "bound", "success")
    changed = _MAP.match(text)
    if changed is not None:
        put_end(event, "source", changed[3])
        event["source.domain"] = changed[2]
        return say(event, f"dns-{changed[1].lower()}", "success")
    abandoned = _ABANDONED.match(text)
    if abandoned is not None:
        put_end(event, "source", abandoned[1])
        event["event.reason"] = abandoned[2]
        return say(event, "abandoned", "failure")
    return False


def _six(text: str, event: Event) -> bool:
    for pattern, action in ((_SIX, "{}-message"), (_SENT, "sending-{}")):
        found = pattern.match(text)
        if found is not None:
            put_end(event, "source", found[2], found[3])
            return say(event, action.format(found[1].lower()), "success", "dhcpv6")
    pool = _POOL.match(text)
    if pool is not None:
        put_end(event, "source", pool[2])
        return say(event, pool[1].lower().replace(" ", "-"), "success", "dhcpv6")
    given = _GIVEN.match(text)
    if given is not None:
        put_end(event, "source", given[3])
        event["almena.dhcp.duid"] = given[4]
        return say(event, f"{given[1]}-{given[2]}".lower(), "success", "dhcpv6")
    return False


FORMAT = Format(
    name="dhcp",
    dataset="dhcp.log",
    read=read,
    words=False,
    programs=("dhcpd", "dhclient", "dhcp6c", "dhcpd6", "dhcpdv6"),
)
