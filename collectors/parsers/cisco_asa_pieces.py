"""What the messages of Cisco's ASA and FTD are made of: what they may mean, and the pieces of their texts.

A text is a regular expression with pieces in braces, such as `Deny {dir} UDP from {src} to {dst} on interface {in}`.
"""
# ruff: noqa: E501 - a message is a line

from __future__ import annotations

import re
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a message says of an event."""

    action: str | None
    outcome: str | None
    category: tuple[str, ...]
    type: tuple[str, ...]


class Message(NamedTuple):
    """What a number means, and the texts it may have; without texts what is common to many is looked for."""

    meaning: Meaning
    texts: tuple[re.Pattern[str], ...] = ()


_ADDRESS = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w-])|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}(?<![:.])|[\w.-]{1,255}?"


def _end(side: str) -> str:
    """`inside:10.0.0.5/443 (203.0.113.9/443)(DIF\\ana, 12:sgt)`: groups for interface, address, port, NAT, user."""
    return (
        rf"(?:(?P<{side}i>NP Identity Ifc|[^\s:/()]{{1,64}}):)?(?P<{side}a>[^\s/(),;]{{1,255}})"
        rf"(?:/(?P<{side}p>[\w-]{{1,32}}))?(?: ?\((?P<{side}na>[^\s/()]{{1,255}})/(?P<{side}np>\d{{1,5}})\))?"
        rf"(?: ?\(\(?(?!type )(?P<{side}u>[^()]{{1,256}})\)?\))?"
    )


def _slashed(side: str) -> str:
    """`inside/10.0.0.5(443)`, as access lists write it."""
    return (
        rf"(?P<{side}i>[^\s/()]{{1,64}})/(?P<{side}a>[^\s/(),;]{{1,255}})(?: ?\((?P<{side}p>\d{{1,5}})\)| (?P<{side}q>\d{{1,5}})(?= |$))?"
        rf"(?: ?\((?P<{side}u>[^()]{{1,256}})\))?"
    )


_PIECES = {
    "src": _end("s"),
    "dst": _end("d"),
    "ssrc": _slashed("s"),
    "sdst": _slashed("d"),
    "sip": rf"(?P<sa>{_ADDRESS})",
    "dip": rf"(?P<da>{_ADDRESS})",
    "smac": r"(?P<mac>[0-9A-Fa-f.:-]{12,23})",
    "proto": r"(?:protocol )?(?P<proto>[\w.-]{1,32})",
    "dir": r"(?P<dir>[A-Za-z]{1,16})",
    "in": r"(?P<in>[^\s.,]{1,64})",
    "acl": r'(?P<rule>"[^"]{1,256}"|[^\s"]{1,256})',
    "user": r"'?\"?(?P<user>[^'\"\n]{0,256}?)'?\"?",
    "word": r"(?P<user>[^\s,]{1,256})",
    "target": r"(?P<target>[^\s,]{1,256})",
    "cmd": r"'?(?P<cmd>.{0,1024}?)'?",
    "group": r"<?(?P<group>[^<>\n]{0,128}?)>?",
    "dur": r"(?P<dur>[\d:hmsd]{1,16})",
    "bytes": r"(?P<bytes>\d{1,18})",
    "reason": r"(?P<reason>.{0,512}?)",
    "url": r"(?P<url>\S{1,8192})",
    "file": r"(?P<file>.{1,1024}?)",
    "svc": r"(?P<svc>[\w-]{1,32})",
    "agent": r"(?P<agent>.{1,512}?)",
    "any": r".{0,200}?",
    "vpn": r"(?:TunnelGroup <?.{0,128}?>? )?(?:GroupPolicy|Group) <?(?P<group>[^<>\n]{0,128}?)>? User(?: <?(?P<user>[^<>\n]{0,256}?)>?)? "
    r"IP <?(?P<sa>[0-9A-Fa-f.:]{2,45})>?",
    "ike": r"(?:Group = (?P<group>[^,\n]{0,128}), )?(?:Username = (?P<user>[^,\n]{0,256}), )?(?:IP = (?P<sa>[^,\s]{1,64}),? ?)?",
    "ike2": r"Local: ?\[?(?P<da>[0-9A-Fa-f.:]{2,45}?|[\w.-]{1,255}?)\]?: ?(?P<dp>\d{1,5}) Remote: ?\[?(?P<sa>[0-9A-Fa-f.:]{2,45}?|[\w.-]{1,255}?)\]?: ?(?P<sp>\d{1,5}) "
    r"Username: ?(?P<user>.{0,256}?) (?:IKEv[12] )?",
}
_PIECE = re.compile(r"\{([a-z]\w*)\}")


def compiled(*texts: str) -> tuple[re.Pattern[str], ...]:
    """The texts with their pieces put in."""
    return tuple(re.compile(_PIECE.sub(lambda piece: _PIECES[piece[1]], text), re.ASCII) for text in texts)


NETWORK, AUTHENTICATION, CONFIGURATION, SESSION = (
    ("network",),
    ("authentication", "network"),
    ("configuration",),
    ("network", "session"),
)

DENIED = Meaning("firewall-rule", "failure", NETWORK, ("connection", "denied"))
ALLOWED = Meaning("firewall-rule", "success", NETWORK, ("connection", "allowed"))
PASSED = Meaning("firewall-rule", "success", NETWORK, ("connection", "info"))
INFO = Meaning(None, None, NETWORK, ("info",))
BUILT = Meaning("flow-creation", "success", NETWORK, ("connection", "start"))
TORN = Meaning("flow-expiration", "success", NETWORK, ("connection", "end"))
ENDED = Meaning("flow-termination", None, NETWORK, ("connection", "end"))
LIMIT = Meaning("connection-limit", "failure", NETWORK, ("connection", "denied"))
NAT = Meaning("nat-slot", "success", ("network", "configuration"), ("creation",))
UNNAT = Meaning("nat-slot", "success", ("network", "configuration"), ("deletion",))
NONAT = Meaning("nat-slot", "failure", NETWORK, ("connection", "denied"))
IN = Meaning("logged-in", "success", AUTHENTICATION, ("allowed", "info"))
REFUSED = Meaning("logon-failed", "failure", AUTHENTICATION, ("denied", "info"))
OUT = Meaning("logged-out", "success", AUTHENTICATION, ("info",))
CHALLENGE = Meaning("authentication", "unknown", AUTHENTICATION, ("info",))
LOCKED = Meaning("user-locked", "success", ("iam", "authentication"), ("user", "change"))
UNLOCKED = Meaning("user-unlocked", "success", ("iam",), ("user", "change"))
CHANGE = Meaning("configuration", "success", CONFIGURATION, ("change",))
COMMAND = Meaning("configuration", "success", CONFIGURATION, ("info",))
UP = Meaning("client-vpn-connected", "success", SESSION, ("connection", "start"))
DOWN = Meaning("client-vpn-disconnected", "success", SESSION, ("connection", "end"))
VPN = Meaning("client-vpn-error", "failure", NETWORK, ("connection", "denied"))
URL = Meaning("url-access", "success", NETWORK, ("access", "allowed"))
NOURL = Meaning("url-access", "failure", NETWORK, ("access", "denied"))
FILTER = Meaning("dynamic-filter", None, NETWORK, ("connection", "info"))
FILTERED = Meaning("dynamic-filter", "failure", NETWORK, ("connection", "denied"))
SPOOF = Meaning("firewall-rule", "failure", ("network", "intrusion_detection"), ("connection", "denied"))
ATTACK = Meaning("threat-detected", None, ("network", "intrusion_detection"), ("info",))
SHUN = Meaning("host-shunned", "success", ("network", "intrusion_detection"), ("denied",))
ASSIGNED = Meaning("address-assigned", "success", NETWORK, ("connection", "info"))
NOADDRESS = Meaning("address-assigned", "failure", NETWORK, ("connection", "error"))
FREED = Meaning("address-freed", "success", NETWORK, ("info",))
MAPPED = Meaning("user-mapped", "success", ("iam", "network"), ("user", "creation"))
UNMAPPED = Meaning("user-unmapped", "success", ("iam", "network"), ("user", "deletion"))
TLS = Meaning("tls-handshake", "success", NETWORK, ("connection", "start"))
TLSDONE = Meaning("tls-handshake", "success", NETWORK, ("connection", "info"))
NOTLS = Meaning("tls-handshake", "failure", NETWORK, ("connection", "error"))
TLSEND = Meaning("tls-session-ended", None, NETWORK, ("connection", "end"))
SA = Meaning("sa-created", "success", NETWORK, ("connection", "start"))
SAGONE = Meaning("sa-deleted", "success", NETWORK, ("connection", "end"))
NEWUSER = Meaning("user-added", "success", ("iam",), ("user", "creation"))
NOUSER = Meaning("user-deleted", "success", ("iam",), ("user", "deletion"))
LINKUP = Meaning("interface-up", "success", NETWORK, ("info",))
LINKDOWN = Meaning("interface-down", "failure", NETWORK, ("info",))


def messages(*rows: tuple[str, Meaning, *tuple[str, ...]]) -> dict[str, Message]:
    """The messages by number of rows of numbers, a meaning and texts."""
    return {
        number: Message(meaning, compiled(*texts)) for numbers, meaning, *texts in rows for number in numbers.split(" ")
    }
