"""Whom pfSense's and OPNsense's captive portals let in, and who changes their configuration."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.network import put_end, put_user

_ADDRESS = r"[0-9A-Fa-f.:]{2,45}"
_ZONE = re.compile(
    r"(?:Zone: (\S{1,64}) - )?([A-Z][A-Z ]{2,32}?)(?: - [^:,]{0,64})?: (.{0,128}), "
    rf"((?:[0-9A-Fa-f]{{2}}:){{5}}[0-9A-Fa-f]{{2}})?, ?({_ADDRESS})(?:, (.{{1,256}}))?$",
    re.ASCII,
)
_PORTAL = re.compile(rf"(AUTH|DENY|LOGOUT|ACCT|DISCONNECT) (.{{0,128}}) \(({_ADDRESS})\) zone (\S{{1,64}})", re.ASCII)
_CHANGE = re.compile(rf"(?:/[\w./-]{{1,128}}: )?Configuration Change: (.{{1,128}}?)@({_ADDRESS}) ", re.ASCII)
_CHANGED = re.compile(rf"user (.{{1,128}}?)@({_ADDRESS}) changed configuration to (\S{{1,256}})", re.ASCII)
_ACTION = re.compile(rf"action (allowed|denied) (\S{{1,256}}) for user (.{{1,128}})@({_ADDRESS})$", re.ASCII)

_ENDS = ("LOGOUT", "DISCONNECT", "TIMEOUT", "IDLE TIMEOUT", "SESSION TIMEOUT")
_FAILED = ("FAILURE", "ERROR", "DENY")


def portal(message: str, event: Event) -> bool:
    """Read a message of a captive portal into the event; False for what names no user and no address."""
    zone = _ZONE.match(message)
    if zone is not None:
        where, word, user, mac, client, reason = zone.groups()
    else:
        found = _PORTAL.match(message)
        if found is None:
            return False
        word, user, client, where = found.groups()
        mac = reason = None
    put_user(event, None if user == "unauthenticated" else user)
    put_end(event, "source", client)
    if mac:
        event["source.mac"] = mac.upper().replace(":", "-")
    if where:
        event["observer.ingress.zone"] = where
    if reason:
        event["event.reason"] = reason
    event["message"] = message
    if word in _ENDS:
        event["event.action"], event["event.outcome"] = "logged-out", "success"
        event["event.category"], event["event.type"] = ["session"], ["end"]
    elif word != "ACCT":
        failed = word in _FAILED
        event["event.action"] = "logon-failed" if failed else "logged-in"
        event["event.outcome"] = "failure" if failed else "success"
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
    return True


def change(message: str, event: Event) -> bool:
    """Read who changed the configuration, or was let to, into the event; False for other messages."""
    changed = _CHANGE.match(message) or _CHANGED.match(message)
    if changed is not None:
        put_user(event, changed[1])
        put_end(event, "source", changed[2])
        event["event.action"], event["event.outcome"] = "configuration-changed", "success"
        event["event.category"], event["event.type"] = ["configuration"], ["change"]
        event["message"] = message
        return True
    action = _ACTION.match(message)
    if action is None:
        return False
    put_user(event, action[3])
    put_end(event, "source", action[4])
    denied = action[1] == "denied"
    event["event.action"], event["event.outcome"] = f"action-{action[1]}", "failure" if denied else "success"
    event["event.category"], event["event.type"] = ["web"], ["access", action[1]]
    event["message"] = message
    return True
