"""dnsmasq and Pi-hole's FTL: queries, where they were forwarded, replies, blocks; DHCP leases.

Nov 22 13:34:00 dnsmasq[811]: query[A] www.example.org from 10.0.0.5
Nov 22 13:34:00 dnsmasq[811]: 17 10.0.0.5/5353 reply www.example.org is 203.0.113.9
Nov 22 13:34:00 dnsmasq-dhcp[811]: DHCPACK(eth0) 10.0.0.55 00:00:5e:00:53:02 pc1
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.bind import put_question
from collectors.parsers.common import address
from collectors.parsers.format import Format
from collectors.parsers.network import put_end

_SERIAL = re.compile(r"(?:(\d{1,12}) )?(?:([0-9A-Fa-f.:]{2,45})/(\d{1,5}) )?", re.ASCII)
_QUERY = re.compile(
    r"(query|auth|dnssec-query)\[([^\]]{1,32})\] (\S{1,1024}) (?:from|to) ([0-9A-Fa-f.:]{2,45})(?:#(\d{1,5}))?",
    re.ASCII,
)
_FORWARDED = re.compile(r"forwarded (\S{1,1024}) to ([0-9A-Fa-f.:]{2,45})(?:#(\d{1,5}))?", re.ASCII)
_ANSWER = re.compile(
    r"(?:(?:Rate-limiting|special domain|Apple iCloud Private Relay domain|Mozilla canary domain) )?"
    r"(reply|cached|cached-stale|validation|config|gravity blocked|exactly denied|regex denied|exactly blacklisted"
    r"|regex blacklisted|blacklisted|denied|blocked during CNAME inspection|/\S{1,256}) (\S{1,1024}) is (\S.{0,1023})$",
    re.ASCII,
)
_BLOCKS = ("gravity blocked", "exactly denied", "regex denied", "denied", "exactly blacklisted", "regex blacklisted")
_TYPES = {"64": "SVCB", "65": "HTTPS", "257": "CAA"}
_CODES = {
    "NXDOMAIN": "NXDOMAIN",
    "SERVFAIL": "SERVFAIL",
    "REFUSED": "REFUSED",
    "NODATA": "NOERROR",
    "NODATA-IPv4": "NOERROR",
    "NODATA-IPv6": "NOERROR",
    "NXDOMAIN-IPv4": "NXDOMAIN",
    "NXDOMAIN-IPv6": "NXDOMAIN",
}
_MAC = r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
_DHCP = re.compile(
    r"(?:\d{1,12} )?(DHCP[A-Z]{3,16})\(([^)]{1,64})\) (?:([0-9A-Fa-f.:]{2,45}) )?"
    rf"({_MAC}|(?:[0-9a-f]{{2}}:){{1,63}}[0-9a-f]{{2}})?(?: (.{{1,255}}))?$",
    re.ASCII,
)
_LIMIT = re.compile(
    r"(Maximum number of concurrent DNS queries reached|possible DNS-rebind attack detected)(?:: (\S{1,1024}))?",
    re.ASCII,
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of dnsmasq into the event; False when it tells of no query and no lease."""
    text = message[:4_096]
    if "process.name" not in event and not text.startswith(("query[", "forwarded ", "DHCP")):
        return False  # without a program's name a sentence such as `config this is that` may be anybody's
    if event.get("process.name") == "dnsmasq-dhcp" or text.startswith("DHCP"):
        found = _lease(text, event)
    else:
        serial = _SERIAL.match(text)
        assert serial is not None  # both parts of it may be missing
        found = _body(text[serial.end() :], event)
        if found and serial[2] is not None and "source.ip" not in event:
            put_end(event, "source", serial[2], serial[3])
        if found and serial[3] is not None:
            event["source.port"] = int(serial[3]) & 0xFFFF
        if found and serial[1] is not None:
            event["event.sequence"] = int(serial[1])
    if not found:
        return False
    event.setdefault("event.category", ["network"])
    event["message"] = message
    return True


def _say(event: Event, action: str, outcome: str | None, types: list[str]) -> bool:
    event["event.action"], event["event.type"] = action, types
    event["network.protocol"] = "dns"
    if outcome is not None:
        event["event.outcome"] = outcome
    return True


def _body(text: str, event: Event) -> bool:
    query = _QUERY.match(text)
    if query is not None:
        kind = query[2].removeprefix("type=").strip()
        put_question(event, query[3], _TYPES.get(kind, f"TYPE{kind}" if kind.isdigit() else kind))
        if query[1] == "dnssec-query":
            put_end(event, "destination", query[4], query[5])
        else:
            put_end(event, "source", query[4], query[5])
        event["dns.type"] = "query"
        return _say(event, "query", None, ["protocol", "connection"])
    forwarded = _FORWARDED.match(text)
    if forwarded is not None:
        put_question(event, forwarded[1])
        put_end(event, "destination", forwarded[2], forwarded[3])
        return _say(event, "forwarded", None, ["protocol", "connection"])
    answer = _ANSWER.match(text)
    if answer is not None:
        return _answer(answer[1], answer[2], answer[3], event)
    limit = _LIMIT.match(text)
    if limit is not None:
        if limit[2]:
            put_question(event, limit[2])
        event["event.reason"] = limit[1]
        return _say(event, "rebind-attack" if limit[1][0] == "p" else "limit", "failure", ["protocol", "denied"])
    return False


def _answer(kind: str, name: str, value: str, event: Event) -> bool:
    put_question(event, name)
    event["dns.type"] = "answer"
    found = address(value)
    code = _CODES.get(value)
    if found is not None:
        event["dns.answers.data"] = [found]
        event["dns.resolved_ip"] = [found]
        code = "NOERROR"
    elif code is None and value[0] != "<":
        event["dns.answers.data"] = [value]
    if code is not None:
        event["dns.response_code"] = code
    if kind in _BLOCKS or kind.startswith("blocked"):
        event["event.reason"] = kind
        return _say(event, "blocked", "success", ["protocol", "denied"])
    if kind[0] == "/":
        event["event.reason"] = kind
        blocked = value in ("0.0.0.0", "::", "NXDOMAIN")  # noqa: S104 - what lists give for blocked names
        types = ["protocol", "denied" if blocked else "allowed"]
        return _say(event, "blocked" if blocked else "hosts", "success", types)
    failed = code not in (None, "NOERROR")
    return _say(event, kind, "failure" if failed else "success", ["protocol", "connection"])


def _lease(text: str, event: Event) -> bool:
    found = _DHCP.match(text)
    if found is None:
        return False
    action, interface, where, mac, rest = found.groups()
    event["event.action"], event["network.protocol"] = action, "dhcp"
    event["observer.ingress.interface.name"] = interface
    if where is not None and address(where) is not None:
        put_end(event, "source", where)
    if mac is not None and len(mac) == 17:
        event["source.mac"] = mac.upper().replace(":", "-")
    refused = action in ("DHCPNAK", "DHCPDECLINE")
    if rest and refused:
        event["event.reason"] = rest
    elif rest and " " not in rest:
        event["source.domain"] = rest
    event["event.outcome"] = "failure" if refused or (rest or "").startswith("no address") else "success"
    event["event.type"] = ["connection", "denied" if refused else "protocol"]
    return True


FORMAT = Format(
    name="dnsmasq",
    dataset="dnsmasq.log",
    read=read,
    words=False,
    programs=("dnsmasq", "dnsmasq-dhcp", "pihole-FTL"),
)
