"""What OpenVPN and strongSwan (charon) say of their users and peers."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.network import put_count, put_end, put_nat, put_user
from collectors.parsers.openvpn import find_peer, say, signed_in, told

_ADDRESS = r"(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,42}?)"
_SERVER = re.compile(
    rf"openvpn server '([^']{{1,64}})' user '(.{{0,256}})' address '({_ADDRESS})'.{{0,64}}?"
    r" - (connected|connecting|disconnected)",
    re.ASCII,
)
_USER = re.compile(r"(?:[^\s']{1,200} )?user '(.{0,256})' (authenticated|could not authenticate)", re.ASCII)

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


def openvpn(message: str, event: Event) -> bool:
    """Read a message of OpenVPN or of pfSense about it into the event; False when it tells of no peer and no user."""
    event["network.protocol"] = "openvpn"
    server = _SERVER.match(message)
    if server is not None:
        put_user(event, server[2])
        put_end(event, "source", server[3])
        end = server[4] == "disconnected"
        return told(event, f"vpn-{server[4]}", "success", ["network", "session"], ["end" if end else "start"], message)
    user = _USER.match(message)
    if user is not None:
        find_peer(message, event)
        put_user(event, user[1])
        return signed_in(event, message, failed=user[2] == "could not authenticate")
    return say(message, event)


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
        return told(event, f"packet-{packet[1]}", None, ["network"], ["connection", "info"], message)
    sa = _SA.match(text)
    if sa is not None:
        put_end(event, "source", sa[4])
        put_end(event, "destination", sa[2])
        put_user(event, sa[5] if sa[5] != sa[4] else None)
        end = text.startswith("deleting")
        types = ["connection", "end" if end else "start"]
        return told(event, "sa-deleted" if end else "sa-created", "success", ["network"], types, message)
    auth = _AUTH.match(text)
    eap = _EAP.match(text) if auth is None else None
    if auth is not None or eap is not None:
        name, word = (auth[1], auth[2]) if auth is not None else (eap[2], eap[1]) if eap is not None else ("", "")
        put_user(event, name)
        return signed_in(event, message, failed=word == "failed")
    virtual = _VIRTUAL.match(text)
    if virtual is not None:
        put_nat(event, "source", virtual[1])
        put_user(event, virtual[2])
        return told(event, "address-assigned", "success", ["network"], ["connection", "start"], message)
    initiating = _INITIATING.match(text)
    if initiating is not None:
        put_end(event, "source", initiating[1])
        return told(event, "ike-started", None, ["network"], ["connection", "start"], message)
    return False
