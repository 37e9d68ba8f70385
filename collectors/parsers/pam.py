"""The lines of Linux's login modules (PAM), which sshd, sudo, su and others write in their own name."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import given, number, put_source

# pam_unix(sshd:session): session opened for user ana(uid=1000) by ana(uid=0)
_MODULE = re.compile(r"pam_[a-z0-9_]{1,32}\(([^():]{1,64}):([a-z]{1,16})\): ", re.ASCII)
_SESSION = re.compile(
    r"session (opened|closed) for user ([^\s(]+)(?:\(uid=(\d{1,10})\))?(?: by (\S*)\(uid=(\d{1,10})\))?",
    re.ASCII,
)
_PAIR = re.compile(r"\b(logname|uid|euid|tty|ruser|rhost|user)=(\S*)", re.ASCII)
_MORE = re.compile(r"PAM \d{1,9} more authentication failures?; ", re.ASCII)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of PAM into the event; False when it is none."""
    module = _MODULE.match(message) or _MORE.match(message)
    if module is None:
        return False
    rest = message[module.end() :]
    session = _SESSION.match(rest)
    if session is not None:
        _session(session, event)
        return True
    event["event.category"] = ["authentication"]
    if "authentication failure" in message[: module.end() + 32] or rest.startswith("logname="):
        event |= {"event.action": "pam_authentication", "event.type": ["start"], "event.outcome": "failure"}
        _pairs(rest, event)
    elif rest.startswith("authentication success"):
        event |= {"event.action": "pam_authentication", "event.type": ["start"], "event.outcome": "success"}
        _pairs(rest, event)
    elif rest.startswith(("check pass", "auth could not identify", "conversation failed")):
        event |= {"event.action": "pam_authentication", "event.type": ["info"], "event.outcome": "failure"}
    else:
        event["event.type"] = ["info"]
    return True


def _session(session: re.Match[str], event: Event) -> None:
    what, user, uid, by, by_uid = session.groups()
    event |= {
        "event.category": ["session"],
        "event.type": ["start" if what == "opened" else "end"],
        "event.action": f"session_{what}",
        "event.outcome": "success",
    }
    by = given(by)
    if by is not None and by != user:
        event |= {"user.name": by, "user.id": by_uid, "user.effective.name": user}
        if uid:
            event["user.effective.id"] = uid
    else:
        event["user.name"] = user
        if uid:
            event["user.id"] = uid


def _pairs(rest: str, event: Event) -> None:
    found = {name: value for name, value in _PAIR.findall(rest) if value}
    if "user" in found:
        event["user.name"] = found["user"]
    if number(found.get("uid")) is not None and "user" not in found and "ruser" in found:
        event["user.name"] = found["ruser"]
    if "rhost" in found:
        put_source(event, found["rhost"])
