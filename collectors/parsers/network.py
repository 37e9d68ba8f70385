"""What lines about traffic share: the two ends, their translated addresses, the protocol, and what was let through."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from almena.event import Event
from collectors.parsers.common import address, given, number

PROTOCOLS = {
    0: "hopopt",
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    8: "egp",
    9: "igp",
    17: "udp",
    27: "rdp",
    33: "dccp",
    41: "ipv6",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    88: "eigrp",
    89: "ospf",
    94: "ipip",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
}
"""Protocol numbers of the Internet as IANA names them, lower case."""

NO_ADDRESS = ("0.0.0.0", "::")  # noqa: S104
"""What loggers write for no address."""
_NUMBERS = {name: code for code, name in PROTOCOLS.items()} | {"icmpv6": 58, "icmp6": 58, "ipsec-esp": 50}


def _names(side: str) -> tuple[str, str, str, str]:
    return f"{side}.address", f"{side}.ip", f"{side}.domain", f"{side}.port"


_ENDS = {side: _names(side) for side in ("source", "destination", "client", "server")}


def put_end(event: Event, side: str, value: Any, port: Any = None) -> None:
    """Set `<side>.address`, `.ip` or `.domain`, and `.port`; `side` is such as `source` or `destination`.

    Nothing is set for what loggers write when there is none.
    """
    at, ip, domain, port_name = _ENDS.get(side) or _names(side)
    if (text := given(value)) is not None:
        event[at] = text
        found = address(text)
        event[domain if found is None else ip] = found or text
    if port is not None:
        put_port(event, port_name, port)


def put_nat(event: Event, side: str, value: Any, port: Any = None) -> None:
    """Set `<side>.nat.ip` and `.nat.port`; an address of zeros says that nothing was translated."""
    found = address(value)
    if found is not None and found not in NO_ADDRESS:
        event[f"{side}.nat.ip"] = found
        put_port(event, f"{side}.nat.port", port)


def put_port(event: Event, name: str, value: Any) -> None:
    """Set a port when it is one; 0 stands for none."""
    digits = number(value)
    if digits is not None and 0 < digits < 65_536:
        event[name] = digits


def put_count(event: Event, name: str, value: Any) -> int | None:
    """Set and return a count such as bytes or packets when it is a whole number."""
    digits = number(value)
    if digits is None or digits < 0:
        return None
    event[name] = digits
    return digits


def put_transport(event: Event, value: Any) -> None:
    """Set `network.transport` and `network.iana_number` from a protocol's number or name."""
    text = given(value)
    if text is None:
        return
    name, code = _transport(text) if len(text) < 32 else (text.lower(), None)
    if name is not None:
        event["network.transport"] = name
    if code is not None:
        event["network.iana_number"] = code


@lru_cache(maxsize=512)
def _transport(text: str) -> tuple[str | None, str | None]:
    name: str | None = text.lower()
    code = number(text)
    if code is None:
        code = _NUMBERS.get(text.lower())
    else:
        name = PROTOCOLS.get(code)
    return name, str(code) if code is not None and 0 <= code < 256 else None


def put_total(event: Event, what: str) -> None:
    """Set `network.bytes` or `.packets` to the sum of both ends' when both are known."""
    source, destination, total = _TOTALS[what]
    sent, received = event.get(source), event.get(destination)
    if sent is not None and received is not None:
        event[total] = sent + received


_TOTALS = {what: (f"source.{what}", f"destination.{what}", f"network.{what}") for what in ("bytes", "packets")}


_NOBODY = frozenset(("", "-", "n/a", "none", "(none)", "unknown", "<unknown>", "(null)", "null", "not found"))


def put_user(event: Event, value: str | None, name: str = "user") -> None:
    """Set `<name>.name` and `.domain` from `DOMAIN\\user`, `user@domain` or `user`; `name` is such as `source.user`.

    Nothing is set for what loggers write when there is none, or for what they mask.
    """
    if value is None or value.lower() in _NOBODY or value.strip("*") == "":
        return
    domain, _, user = value.rpartition("\\")
    if not domain and "@" in value:
        user, _, domain = value.rpartition("@")
    if not user:
        user, domain = value, ""
    event[f"{name}.name"] = user
    if domain:
        event[f"{name}.domain"] = domain.rstrip("\\")


_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]{0,31}):)?(?://(?:([^/?#@\s]{0,256})@)?(\[[^\]/?#\s]{1,64}\]|[^/?#:\s]{0,255})(?::(\d{0,5}))?)?"
    r"([^?#]*)(?:\?([^#]*))?(?:#(.*))?",
    re.ASCII | re.DOTALL,
)


def put_url(event: Event, value: str | None) -> None:
    """Set `url.original` and its parts; what has no `//` and does not begin with `/` is read as `host/path`."""
    text = given(value)
    if text is None:
        return
    event["url.original"] = text
    rooted = text if "//" in text[:64] or text[0] in "/?*" else f"//{text}"
    found = _URL.match(rooted)
    if found is None:
        return
    scheme, _, host, port, path, query, fragment = found.groups()
    for name, part in (
        ("url.scheme", scheme),
        ("url.domain", host.strip("[]") if host else host),
        ("url.path", path),
        ("url.query", query),
        ("url.fragment", fragment),
    ):
        if part:
            event[name] = part
    put_port(event, "url.port", port)
