"""Kea's DHCP servers: leases offered, given, renewed, released, declined and refused.

2026-11-22 13:34:00.123 INFO  [kea-dhcp4.leases/811.1] DHCP4_LEASE_ALLOC [hwtype=1 00:00:5e:00:53:02], cid=[...],
    tid=0x1a2b: lease 10.0.0.55 has been allocated for 3600 seconds
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, instant
from collectors.parsers.dhcp import MAC, put_mac, say
from collectors.parsers.format import Format
from collectors.parsers.network import put_end

_HEAD = re.compile(
    r"(?:(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) )?(?:(FATAL|ERROR|WARN|INFO|DEBUG) {1,2})?"
    r"(?:\[(kea-[\w.-]{1,64})/(\d{1,9})(?:\.[0-9a-fx]{1,20})?\] )?([A-Z][A-Z0-9]{2,16}(?:_[A-Z0-9]{1,24}){1,8}) ",
    re.ASCII,
)
_MACS = re.compile(rf"\[hwtype=\d{{1,3}} ({MAC})\]", re.ASCII)
_DUID = re.compile(r"(?:duid=|duid )\[([0-9a-f:]{2,400})\]", re.ASCII)
_LEASE = re.compile(
    r"(?:lease(?: for address)?|address|addr|IPv4 address|prefix) ([0-9A-Fa-f.:]{2,45}?)(?:/\d{1,3})?[ ,.](?!\d)",
    re.ASCII,
)
_RECEIVED = re.compile(
    r"(DHCP\w{3,16}|[A-Z]{3,16}) \(type \d{1,3}\) (?:received )?from ([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))?"
    r" to ([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))? on interface (\S{1,64})",
    re.ASCII,
)
_LEGAL = re.compile(
    rf"(?:Address|Prefix): ([0-9A-Fa-f.:]{{2,45}})(?:/\d{{1,3}})? has been (assigned|renewed|released)"
    rf".{{0,128}}?hardware address: hwtype=\d{{1,3}} ({MAC})(?:.{{0,512}}?relay at address: ([0-9A-Fa-f.:]{{2,45}}))?",
    re.ASCII,
)
_SECONDS = re.compile(r" for (\d{1,10}) seconds", re.ASCII)
_WHEN = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ", re.ASCII)
_LEVELS = {"FATAL": "critical", "ERROR": "error", "WARN": "warning", "INFO": "informational", "DEBUG": "debug"}
_FAILURES = ("FAIL", "NAK", "DECLINE", "ERROR", "DROP", "UNKNOWN")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of Kea into the event; False when it has no name of one."""
    text = message[:4_096]
    head = _HEAD.match(text)
    program = event.get("process.name", "")
    named = head is not None and (head[3] or head[5].startswith(("DHCP4_", "DHCP6_", "ALLOC_ENGINE_")))
    if head is None or not (named or program.startswith("kea")):
        return _legal(text, message, event, context)
    written, level, logger, pid, code = head.groups()
    if written is not None:
        event["@timestamp"] = format_time(instant(written.replace(" ", "T"), context.zone))
    if level is not None:
        event["log.level"] = _LEVELS[level]
    if logger is not None:
        event["process.name"], event["process.pid"] = logger.partition(".")[0], int(pid)
    event["event.code"] = code
    _body(text[head.end() :], code, event)
    event["event.category"] = ["network"]
    event["message"] = message
    return True


def _body(text: str, code: str, event: Event) -> None:
    mac, duid = _MACS.search(text), _DUID.search(text)
    if mac is not None:
        put_mac(event, mac[1])
    if duid is not None:
        event["almena.dhcp.duid"] = duid[1]
    moved = _RECEIVED.search(text)
    if moved is not None:
        if moved[2] not in ("0.0.0.0", "::"):  # noqa: S104 - a client without an address yet
            put_end(event, "source", moved[2], moved[3])
        put_end(event, "destination", moved[4], moved[5])
        event["observer.ingress.interface.name"] = moved[6]
    else:
        lease = _LEASE.search(f"{text} ")
        if lease is not None and address(lease[1]) is not None:
            put_end(event, "source", lease[1])
    length = _SECONDS.search(text)
    if length is not None:
        event["almena.dhcp.lease_seconds"] = int(length[1])
    failed = any(word in code for word in _FAILURES)
    protocol = "dhcpv6" if code[:5] == "DHCP6" else "dhcp"
    say(event, code.lower().replace("_", "-"), "failure" if failed else "success", protocol)


def _legal(text: str, message: str, event: Event, context: Context) -> bool:
    """A line of the log that Kea keeps for the law: who had which address from when."""
    found = _LEGAL.search(text)
    if found is None:
        return False
    written = _WHEN.match(text)
    if written is not None:
        event["@timestamp"] = format_time(instant(written[1].replace(" ", "T"), context.zone))
    put_end(event, "source", found[1])
    put_mac(event, found[3])
    if found[4] is not None:
        event["almena.dhcp.relay"] = found[4]
    event["event.category"], event["message"] = ["network"], message
    return say(event, f"lease-{found[2]}", "success")


FORMAT = Format(
    name="dhcp_kea",
    dataset="kea.log",
    read=read,
    words=False,
    programs=("kea-dhcp4", "kea-dhcp6", "kea-dhcp-ddns", "kea"),
)
