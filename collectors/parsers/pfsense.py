"""pfSense and OPNsense: packets of the filter log, logins to the web pages, VPN users, alerts of Snort and Suricata.

<134>Nov 22 13:34:00 filterlog[811]: 5,,,1000000103,em0,match,block,in,4,0x0,,52,1,0,DF,6,tcp,60,203.0.113.9,...
<37>Nov 22 13:34:00 fw1 php-fpm[811]: /index.php: Successful login for user 'ana' from: 10.0.0.9 (Local Database)
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pfsense_users, pfsense_vpn, snort
from collectors.parsers.common import address
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_end, put_transport, put_user

_FILTER = re.compile(
    r"\d{1,9},\d{0,9},[^,]{0,128},[\w-]{0,64},[\w.-]{1,64},[\w-]{1,32},(?:pass|block|reject|rdr|nat|binat|scrub|log|unkn)[,(]",
    re.ASCII,
)
_MOST = 40  # columns of a packet
_DENIED = ("block", "reject")
_PAGE = re.compile(r"/[\w./-]{1,128}: ", re.ASCII)
_USER = r"'(.{0,256})'"  # up to the last quote: whoever tries to sign in chooses the name
_FROM = r"from:? ([0-9A-Fa-f.:]{2,45})(?: \([^()]{0,64}\))?$"
_LOGINS = tuple(
    (re.compile(pattern, re.ASCII), kind)
    for pattern, kind in (
        (rf"(?:Successful login|User .{{0,64}}?login) for user {_USER} {_FROM}", "in"),
        (rf"(?:webConfigurator|Web GUI|WebGui) authentication error for (?:user )?{_USER} {_FROM}", "failed"),
        (rf"(?:User logged out|Session timed out) for user {_USER} {_FROM}", "out"),
        (r"user (.{1,256}) authenticated successfully for (\S{1,64}) \[using .{0,512}$", "in"),
        (r"user (.{1,256}) could not authenticate for (\S{1,64})\.? ?(?:\[using .{0,512})?$", "failed"),
    )
)
_MEANINGS = {
    "in": ("logged-in", "success", "authentication", "start"),
    "failed": ("logon-failed", "failure", "authentication", "start"),
    "out": ("logged-out", "success", "session", "end"),
}
_CHANGES = ("/", "user ", "action ", "Configuration Change: ")
_PORTALS = ("logportalauth", "captiveportal")
_GUARD = re.compile(r"(Blocking|Attack from) \"([0-9A-Fa-f.:]{2,45})(?:/\d{1,3})?\"", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False when it is none of these."""
    program = event.get("process.name", "")
    found = (
        _filter(message, event)
        or (program.startswith(("openvpn", "ovpn")) and pfsense_vpn.openvpn(message[:4_096], event))
        or (program.startswith(("charon", "ipsec")) and pfsense_vpn.charon(message[:4_096], event))
        or snort.alert(message, event, context)
        or (message.startswith(("/", "user ")) and _login(message[:1_024], event))
        or (message.startswith(_CHANGES) and pfsense_users.change(message[:1_024], event))
        or (program in _PORTALS and pfsense_users.portal(message[:1_024], event))
        or (program == "sshguard" and _guard(message, event))
    )
    if not found:
        return False
    event["observer.type"] = "firewall"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    if program:
        event["event.provider"] = program
    return True


def _filter(message: str, event: Event) -> bool:
    """A packet as comma-separated values, whose meaning depends on the version of IP and on the protocol."""
    if _FILTER.match(message) is None:
        return False
    columns = message.split(",", _MOST)
    tracker, interface, reason, action, way, version = columns[3:9] if len(columns) > 12 else [""] * 6
    at = {"4": 18, "6": 15}.get(version, 0)
    if not at or len(columns) < at + 2 or address(columns[at]) is None:
        return False
    number, name, length = columns[at - 3 : at] if version == "4" else (columns[13], columns[12], columns[14])
    put_transport(event, number)
    if "network.transport" not in event:
        put_transport(event, name)
    event["network.type"] = f"ipv{version}"
    put_count(event, "network.bytes", length)
    ports = columns[at + 2 : at + 4] if name.lower() in ("tcp", "udp", "sctp") else ()
    put_end(event, "source", columns[at], ports[0] if len(ports) == 2 else None)
    put_end(event, "destination", columns[at + 1], ports[1] if len(ports) == 2 else None)
    denied = action in _DENIED
    event["event.action"], event["event.reason"], event["rule.id"] = action, reason, tracker or columns[0]
    event["event.category"], event["event.type"] = ["network"], ["connection", "denied" if denied else "allowed"]
    event["event.outcome"] = "failure" if denied else "success"
    event["observer.ingress.interface.name"] = interface
    if way in ("in", "out"):
        event["network.direction"] = f"{way}bound"
    vlan = interface.rpartition(".")[2]
    if "." in interface and vlan.isdigit():
        event["network.vlan.id"] = vlan
    return True


def _login(message: str, event: Event) -> bool:
    page = _PAGE.match(message)
    at = 0 if page is None else page.end()
    for pattern, kind in _LOGINS:
        found = pattern.match(message, at)
        if found is None:
            continue
        put_user(event, found[1])
        if address(found[2]) is not None:
            put_end(event, "source", found[2])
        action, outcome, category, types = _MEANINGS[kind]
        event |= {"event.action": action, "event.outcome": outcome}
        event["event.category"], event["event.type"] = [category], [types]
        event["message"] = message
        return True
    return False


def _guard(message: str, event: Event) -> bool:
    found = _GUARD.match(message)
    if found is None:
        return False
    put_end(event, "source", found[2])
    event["event.action"] = "blocked" if found[1] == "Blocking" else "attack"
    event["event.category"] = ["intrusion_detection"]
    event["event.type"] = ["denied" if found[1] == "Blocking" else "info"]
    event["message"] = message
    return True


_PROGRAMS = (
    "filterlog", "php-fpm", "opnsense", "audit", "openvpn", "openvpn_server", "ovpn-server", "charon",
    "charon-systemd", "snort", "suricata", "sshguard", *_PORTALS, *(f"openvpn_server{at}" for at in range(1, 17)),
)  # fmt: skip

FORMAT = Format(
    name="pfsense",
    dataset="pfsense.log",
    read=read,
    words=False,
    programs=_PROGRAMS,
)
