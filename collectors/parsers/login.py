"""Logins at consoles and terminals as `login` writes them, and sessions as systemd's login manager does.

login[811]: FAILED LOGIN 1 FROM tty1 FOR ana, Authentication failure
systemd-logind[700]: New session 41 of user ana.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pam
from collectors.parsers.common import address, put_source
from collectors.parsers.format import Format

_FAILED = re.compile(
    r"FAILED LOGIN (?:SESSION )?(?:\(?\d{1,6}\)? )?(?:on '?(?P<tty>[^\s']{1,64})'? )?"
    r"(?:FROM '?(?P<peer>[^\s']{1,256})'? )?FOR '?(?P<user>[^',]{0,256})'?, (?P<reason>.{1,256})",
    re.ASCII | re.IGNORECASE,
)
_ENTERED = re.compile(
    r"(?P<root>ROOT )?LOGIN {1,2}ON '?(?P<tty>[^\s']{1,64})'?(?: BY (?P<user>\S{1,256}))?"
    r"(?: FROM '?(?P<peer>[^\s']{1,256}))?",
    re.ASCII | re.IGNORECASE,
)
_TOO_MANY = re.compile(
    r"TOO MANY LOGIN TRIES \(?\d{1,6}\)?(?: FROM (?P<peer>\S{1,256}))?(?: FOR (?P<user>.{1,256}))?", re.ASCII
)
_NEW = re.compile(r"New session '?(\S{1,64}?)'? of user '?([^\s']{1,256}?)'?(?: with class .*)?\.?$", re.ASCII)
_GONE = re.compile(r"(?:Removed session|Session) '?(\S{1,64}?)'?(?: logged out\..*|\.)$", re.ASCII)
_POWER = ("System is rebooting", "System is powering down", "System is halting", "System is suspending")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of login or systemd-logind into the event; False when it is not known."""
    if event.get("process.name") == "systemd-logind":
        return _session(message, event)
    for pattern, outcome in ((_FAILED, "failure"), (_TOO_MANY, "failure"), (_ENTERED, "success")):
        match = pattern.match(message)
        if match is not None:
            _login(match.groupdict(), event, outcome)
            return True
    return pam.read(message, event, context)


def _login(found: dict[str, str | None], event: Event, outcome: str) -> None:
    event |= {
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.action": "login",
        "event.outcome": outcome,
    }
    user = "root" if found.get("root") else found.get("user")
    if user and user not in ("(unknown)", "UNKNOWN"):
        event["user.name"] = user
    peer = found.get("peer")
    if peer is not None and (address(peer) is not None or not peer.startswith(("tty", "pts/", "/dev/", "("))):
        put_source(event, peer)
    if reason := found.get("reason"):
        event["event.reason"] = reason


def _session(message: str, event: Event) -> bool:
    new = _NEW.match(message)
    gone = _GONE.match(message) if new is None else None
    if new is not None or gone is not None:
        match = new or gone
        assert match is not None
        event |= {
            "event.category": ["session"],
            "event.type": ["start" if new is not None else "end"],
            "event.action": "started-session" if new is not None else "ended-session",
            "event.outcome": "success",
            "almena.linux.session": match[1],
        }
        if new is not None:
            event["user.name"] = new[2]
        return True
    if message.startswith(_POWER):
        event |= {"event.category": ["host"], "event.type": ["end"], "event.action": "shutdown-system"}
        return True
    return False


FORMAT = Format(
    name="login", dataset="system.auth", read=read, programs=("login", "systemd-logind", "remote", "rlogind", "telnetd")
)
