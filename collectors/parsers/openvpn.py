"""OpenVPN on a server of its own: who connects from where, with what certificate or name, and what address they get.

    Nov 22 13:34:00 vpn1 openvpn[811]: 203.0.113.9:5150 [ana] Peer Connection Initiated with [AF_INET]203.0.113.9:5150
    2026-11-22 13:34:00 ana/203.0.113.9:5150 MULTI: Learn: 10.8.0.6 -> ana/203.0.113.9:5150

Lines of a client name no peer in front; whom they connect to is the server.
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, instant
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_nat, put_user

_LONGEST = 4_096
_ADDRESS = r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}?)"
_TIME = re.compile(
    r"(?:(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)|[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4}))"
    r"(?: us=(\d{1,6}))? ",
    re.ASCII,
)
_PEER = re.compile(
    r"(?:([^\s/\[\]]{1,128})/)?(?:(?:tcp|udp)[46]?(?:-server)?:)?"
    rf"(?:(\[AF_INET6?\]\[?|AF_INET6?\]|\[)?({_ADDRESS})\]?:(\d{{1,5}})|([0-9A-Fa-f]{{0,4}}:[0-9A-Fa-f:]{{2,40}})) ",
    re.ASCII,
)
_OWN = re.compile(
    r"(?:OpenVPN \d|MULTI(?:_sva)?: |TLS(?: Error| Auth Error)?: |TLS_ERROR: |VERIFY |AUTH: |AUTH_|PUSH: "
    r"|SENT CONTROL \["
    r"|SIG[A-Z0-9]{3,5}\[|Initialization Sequence Completed|(?:UDP|TCP)(?:v[46])?(?:_(?:SERVER|CLIENT))? link "
    r"|TCP/UDP: "
    r"|TCP connection established with \[AF_|\[[^\]]{1,128}\] (?:Peer Connection|Inactivity)|Peer Connection Initiated "
    r"|(?:Control|Data|Outgoing Data|Incoming Data) Channel|peer info: |Authenticate/Decrypt |AEAD Decrypt |PLUGIN_"
    r"|Connection reset, restarting|Inactivity timeout|WARNING: |Timers: |Bad LZO |Delayed exit)",
    re.ASCII,
)
_INCOMING = re.compile(rf" (from|with|remote:) \[AF_INET6?\]\[?({_ADDRESS})\]?:(\d{{1,5}})(?=$|[ ,:])", re.ASCII)
_NAMED = re.compile(r"(?:\[([^\]]{0,128})\] )?Peer Connection Initiated with ", re.ASCII)
_POOL = re.compile(
    rf"MULTI(?:_sva)?: (?:pool returned IPv4=|Learn: |primary virtual IP for \S{{1,256}}: )({_ADDRESS})(?=$|[ ,/])",
    re.ASCII,
)
_NAME = re.compile(r"TLS: Username/Password authentication (succeeded|deferred) for username '(.{0,256})'", re.ASCII)
_VERIFIED = re.compile(
    r"VERIFY (OK|ERROR|KU OK|EKU OK|SCRIPT OK)(?:: depth=(\d{1,2}))?(?:, error=(.{1,128}?):)?", re.ASCII
)
_SUBJECT = re.compile(r"(?:^|[ ,/])CN=([^,/=]{1,128})(?=$|[,/])", re.ASCII)
_AGAIN = re.compile(r"MULTI: new (?:incoming )?connection by client '([^']{1,256})' will cause previous", re.ASCII)

_LOST = ("Inactivity timeout", "Connection reset", "client-instance exiting", "client-instance restarting", "SIGTERM[")
_BROKEN = (
    "TLS Error",
    "TLS_ERROR",
    "handshake failed",
    "Authenticate/Decrypt",
    "AEAD Decrypt error",
    "Bad encapsulated",
)
_REFUSED = ("Auth Error", "AUTH_FAILED", "verification failed for peer")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False for what the program did not sign and does not look like its own."""
    text = message[:_LONGEST]
    signed = "process.name" in event
    head = None if signed else _TIME.match(text)
    if not signed:
        if head is None:
            return False
        text = text[head.end() :]
        peer = _PEER.match(text)
        if _OWN.match(text, 0 if peer is None else peer.end()) is None:
            return False
        _when(head, event, context)
    elif text.startswith(("user '", "openvpn server '")):
        return False  # pfSense's own words
    else:
        head = _TIME.match(text)
        text = text[head.end() :] if head is not None else text
    if not say(text, event):
        event["message"] = text
    event["event.provider"] = "openvpn"
    return True


def _when(head: re.Match[str], event: Event, context: Context) -> None:
    date, clock, month, day, later, year, micros = head.groups()
    if month is not None:
        date, clock = f"{year}-{MONTHS.get(month, 0):02}-{day:0>2}", later
    event["@timestamp"] = format_time(instant(f"{date}T{clock}", context.zone) + int(micros or 0))


def told(event: Event, action: str, outcome: str | None, category: list[str], types: list[str], message: str) -> bool:
    """Set what happened."""
    event["event.action"], event["message"] = action, message
    if outcome is not None:
        event["event.outcome"] = outcome
    event["event.category"], event["event.type"] = category, types
    return True


def signed_in(event: Event, message: str, *, failed: bool) -> bool:
    """Set that someone proved who they are, or could not."""
    action, outcome = ("logon-failed", "failure") if failed else ("logged-in", "success")
    return told(event, action, outcome, ["authentication", "network"], ["start"], message)


def say(message: str, event: Event) -> bool:
    """Read a message of OpenVPN into the event; False when it tells of no peer and no user.

    What happened is read from where OpenVPN itself writes: certificates and what peers tell of themselves are theirs.
    """
    event["network.protocol"] = "openvpn"
    peer, at = find_peer(message, event)
    text = message[at:]
    named = _NAMED.match(text)
    if named is not None:
        if at:
            put_user(event, named[1])
        return told(event, "vpn-connected", "success", ["network", "session"], ["connection", "start"], message)
    user = _NAME.match(text)
    if user is not None:
        put_user(event, user[2])
        return signed_in(event, message, failed=False)
    verified = _VERIFIED.match(text)
    if verified is not None:
        return _certificate(text, verified, message, event)
    if text.startswith("peer info: "):
        return told(event, "vpn", None, ["network"], ["connection", "info"], message)
    if any(words in text for words in _REFUSED):
        return signed_in(event, message, failed=True)
    if any(words in text for words in _BROKEN):
        return told(event, "tls-failed", "failure", ["network"], ["connection", "error"], message)
    again = _AGAIN.match(text)
    if again is not None:
        put_user(event, again[1])
        return told(event, "session-replaced", "success", ["network", "session"], ["connection", "end"], message)
    if peer:
        return _of_peer(text, message, event)
    if text.startswith("Initialization Sequence Completed"):
        return told(event, "vpn-started", "success", ["network"], ["start"], message)
    return False


def _of_peer(text: str, message: str, event: Event) -> bool:
    pool = _POOL.match(text)
    if pool is not None:
        put_nat(event, "source", pool[1])
        return told(event, "address-assigned", "success", ["network"], ["connection", "start"], message)
    if text.startswith(("TLS: Initial packet from", "TCP connection established")):
        return told(event, "connection-started", None, ["network"], ["connection", "start"], message)
    if any(words in text for words in _LOST):
        return told(event, "vpn-disconnected", "success", ["network", "session"], ["connection", "end"], message)
    return told(event, "vpn", None, ["network"], ["connection", "info"], message)


def _certificate(text: str, verified: re.Match[str], message: str, event: Event) -> bool:
    """A certificate of the chain was looked at; the last, of depth 0, is the peer's own."""
    failed = verified[1] == "ERROR"
    subject = _SUBJECT.search(text, verified.end())
    if subject is not None and verified[2] == "0":
        put_user(event, subject[1])
    if verified[3]:
        event["event.reason"] = verified[3]
    action, outcome = ("certificate-refused", "failure") if failed else ("certificate-verified", "success")
    return told(event, action, outcome, ["authentication", "network"], ["info"], message)


def find_peer(message: str, event: Event) -> tuple[bool, int]:
    """Set whose address the message has, in front or within; whether there is one, and where the words begin."""
    peer = _PEER.match(message)
    if peer is None:
        incoming = _INCOMING.search(message)
        if incoming is None:
            return False, 0
        out = incoming[1] == "remote:" or _NAMED.match(message) is not None
        put_end(event, "destination" if out else "source", incoming[2], incoming[3])
        return True, 0
    user, family, where, port, bare = peer.groups()
    if user:
        put_user(event, user)
    if bare is None and family is None and ":" in where:
        bare = f"{where}:{port}"  # no port is written behind an address of IPv6 that stands alone
    if bare is None:
        put_end(event, "source", where, port)
    elif address(bare) is None:
        return False, 0
    else:
        put_end(event, "source", bare)
    return True, peer.end()


FORMAT = Format(
    name="openvpn",
    dataset="openvpn.log",
    read=read,
    words=False,
    programs=("openvpn", "ovpn-server", "ovpn-client", "openvpn-server", "openvpn-client", "nm-openvpn"),
)
