"""What OpenVPN and strongSwan (charon) say of their users and peers."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.network import put_count, put_end, put_nat, put_user

_ADDRESS = r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}?)"
_PEER = re.compile(
    rf"(?:([^\s/\[\]]{{1,128}})/)?(?:(?:tcp|udp)[46]?(?:-server)?:)?(?:\[?AF_INET6?\])?\[?({_ADDRESS})\]?:(\d{{1,5}}) ",
    re.ASCII,
)
_INCOMING = re.compile(rf" from \[AF_INET6?\]\[?({_ADDRESS})\]?:(\d{{1,5}})(?=$|[ ,:])", re.ASCII)
_NAMED = re.compile(r"\[([^\]]{1,128})\] Peer Connection Initiated with ", re.ASCII)
_POOL = re.compile(rf"MULTI(?:_sva)?: (?:pool returned IPv4=|Learn: )({_ADDRESS})", re.ASCII)
_SERVER = re.compile(
    rf"openvpn server '([^']{{1,64}})' user '(.{{0,256}})' address '({_ADDRESS})'.{{0,64}}?"
    r" - (connected|connecting|disconnected)",
    re.ASCII,
)
_USER = re.compile(r"user '(.{0,256})' (authenticated|could not authenticate)", re.ASCII)
_NAME = re.compile(r"Username/Password authentication (succeeded|deferred) for username '(.{0,256})'", re.ASCII)

_CHARON = re.compile(r"(?:\d{1,3}\[([A-Z]{2,4})\] )?(?:<([^>]{1,128})> )?", re.ASCII)
_PACKET = re.compile(
    rf"(received|sending) packet: from ({_ADDRESS})\[(\d{{1,5}})\] to ({_ADDRESS})\[(\d{{1,5}})\]"
    r" \((\d{1,9}) bytes\)",
    re.ASCII,
)
_SA = re.compile(
    rf"(?:IKE_SA|deleting IKE_SA|CHILD_SA) .{{0,128}}?(established between|between) ({_ADDRESS})\[([^\]]{{0,256}})\]"
    rf"\.\.\.({_ADDRESS})\[([^\]]{{0,256}})\]",
    re.ASCII,
)
_AUTH = re.compile(
    r"(?:XAuth )?authentication of '(.{1,256}?)' (?:with .{1,64}? |\(myself\) )?(successful|failed)", re.ASCII
)
_EAP = re.compile(r"EAP method \S{1,64} (succeeded|failed)(?:, .{0,64}?)? for peer (\S{1,256})", re.ASCII)
_VIRTUAL = re.compile(rf"assigning virtual IP ({_ADDRESS}) to peer '(.{{1,256}})'", re.ASCII)
_INITIATING = re.compile(rf"({_ADDRESS}) is initiating an? ", re.ASCII)


def _say(event: Event, action: str, outcome: str | None, category: list[str], types: list[str], message: str) -> bool:
    event["event.action"], event["message"] = action, message
    if outcome is not None:
        event["event.outcome"] = outcome
    event["event.category"], event["event.type"] = category, types
    return True


def openvpn(message: str, event: Event) -> bool:
    """Read a message of OpenVPN into the event; False when it tells of no peer and no user."""
    event["network.protocol"] = "openvpn"
    server = _SERVER.match(message)
    if server is not None:
        put_user(event, server[2])
        put_end(event, "source", server[3])
        end = server[4] == "disconnected"
        return _say(event, f"vpn-{server[4]}", "success", ["network", "session"], ["end" if end else "start"], message)
    user = _USER.search(message) or _NAME.search(message)
    if user is not None:
        name, word = (user[1], user[2]) if user.re is _USER else (user[2], user[1])
        put_user(event, name)
        _peer(message, event)
        failed = word == "could not authenticate"
        return _auth(event, message, failed=failed)
    if not _peer(message, event):
        return False
    named = _NAMED.search(message)
    if named is not None:
        put_user(event, named[1])
        return _say(event, "vpn-connected", "success", ["network", "session"], ["connection", "start"], message)
    pool = _POOL.search(message)
    if pool is not None:
        put_nat(event, "source", pool[1])
        return _say(event, "address-assigned", "success", ["network"], ["connection", "start"], message)
    if "Auth Error" in message or "AUTH_FAILED" in message:
        return _auth(event, message, failed=True)
    if "TLS Error" in message or "handshake failed" in message:
        return _say(event, "tls-failed", "failure", ["network"], ["connection", "error"], message)
    if "SIGTERM" in message or "client-instance exiting" in message or "Inactivity timeout" in message:
        return _say(event, "vpn-disconnected", "success", ["network", "session"], ["connection", "end"], message)
    return _say(event, "vpn", None, ["network"], ["connection", "info"], message)


def _auth(event: Event, message: str, *, failed: bool) -> bool:
    action, outcome = ("logon-failed", "failure") if failed else ("logged-in", "success")
    return _say(event, action, outcome, ["authentication", "network"], ["start"], message)


def _peer(message: str, event: Event) -> bool:
    peer = _PEER.match(message)
    if peer is None:
        incoming = _INCOMING.search(message)
        if incoming is not None:
            put_end(event, "source", incoming[1], incoming[2])
        return incoming is not None
    if peer[1]:
        put_user(event, peer[1])
    put_end(event, "source", peer[2], peer[3])
    return True


def charon(message: str, event: Event) -> bool:
    """Read a message of strongSwan's daemon into the event; False when it tells of no peer and no user."""
    event["network.protocol"] = "ipsec"
    head = _CHARON.match(message)
    text = message[head.end() :] if head is not None else message
    packet = _PACKET.match(text)
    if packet is not None:
        put_end(event, "source", packet[2], packet[3])
        put_end(event, "destination", packet[4], packet[5])
        put_count(event, "network.bytes", packet[6])
        return _say(event, f"packet-{packet[1]}", None, ["network"], ["connection", "info"], message)
    sa = _SA.match(text)
    if sa is not None:
        put_end(event, "source", sa[4])
        put_end(event, "destination", sa[2])
        put_user(event, sa[5] if sa[5] != sa[4] else None)
        end = text.startswith("deleting")
        types = ["connection", "end" if end else "start"]
        return _say(event, "sa-deleted" if end else "sa-created", "success", ["network"], types, message)
    auth = _AUTH.match(text)
    eap = _EAP.match(text) if auth is None else None
    if auth is not None or eap is not None:
        name, word = (auth[1], auth[2]) if auth is not None else (eap[2], eap[1]) if eap is not None else ("", "")
        put_user(event, name)
        return _auth(event, message, failed=word == "failed")
    virtual = _VIRTUAL.match(text)
    if virtual is not None:
        put_nat(event, "source", virtual[1])
        put_user(event, virtual[2])
        return _say(event, "address-assigned", "success", ["network"], ["connection", "start"], message)
    initiating = _INITIATING.match(text)
    if initiating is not None:
        put_end(event, "source", initiating[1])
        return _say(event, "ike-started", None, ["network"], ["connection", "start"], message)
    return False
