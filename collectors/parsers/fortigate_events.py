"""What FortiOS tells of itself: who signs in to it, its tunnels, and what is changed."""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.common import address
from collectors.parsers.network import put_end, put_port, put_user

_VPN_IN = frozenset(("tunnel-up", "ssl-new-con", "ssl-login", "phase2-up"))
_VPN_OUT = frozenset(("tunnel-down", "ssl-exit", "ssl-logout", "phase2-down"))
_FAILED = frozenset(("failure", "failed", "fail", "error", "negotiate_error"))
_DONE = frozenset(("success", "succ", "ok", "up", "start", "down", "stop", "logon", "logout", "succeeded"))
_CHANGES = {"add": "creation", "delete": "deletion", "edit": "change", "set": "change", "move": "change"}
# Login from ssh: Failed for ana from 192.0.2.7 port 38654
_SSH = re.compile(r"Login from ssh: (\w{1,32}) for (\S{1,256}) from (\S{1,64}) port (\d{1,5})", re.ASCII)
# WebMail: Login for 'ana@mail.example' from 192.0.2.7 failed; WebMail: User ana from 192.0.2.7 logged in.
_WEBMAIL = re.compile(r"WebMail: (?:Login for|User) '?([^\s']{1,256})'? from ([0-9A-Fa-f.:]{2,64})", re.ASCII)
_FROM = re.compile(r"[\w-]{1,32}\(([0-9A-Fa-f.:]{2,64})\)", re.ASCII)
"""How an administrator's interface and address are written: `https(192.0.2.7)`, `JSON(192.0.2.7)`."""


def read(found: dict[str, str], part: str, action: str, event: Event) -> None:
    """Read a record of the type `event`; names and addresses that have fields of their own were read before."""
    said = found.get("msg", "").lower()
    text = f"{found.get('logdesc') or found.get('desc', '')} {said}".lower()
    lower = action.lower()
    _judged(found, lower, event)
    if "source.address" not in event:
        _from(found, event)
    if "login" in said or "logged in" in said:
        event["event.action"] = "login"
        _login(found, text, event)
    else:
        event["event.action"] = found.get("eventtype") or lower or part or "event"
    if part == "vpn" or lower.startswith(("ssl-", "tunnel-")):
        _tunnel(lower, event)
    elif any(word in lower for word in ("login", "logout", "logon", "logoff", "authentication")) or (
        part == "user" or event["event.action"] == "login"
    ):
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end"] if "logout" in lower or "logoff" in lower else ["start"]
        event.setdefault("event.outcome", "failure" if "fail" in text or "denied" in text else "success")
    elif found.get("cfgpath") or lower in _CHANGES or part == "config":
        event["event.category"] = ["configuration"]
        event["event.type"] = [_CHANGES.get(lower, "change")]
        event.setdefault("event.outcome", "success")
    else:
        event["event.category"], event["event.type"] = ["host"], ["info"]


def _judged(found: dict[str, str], action: str, event: Event) -> None:
    words = (found.get("status", "").lower(), found.get("result", "").lower())
    if "fail" in action or not _FAILED.isdisjoint(words):
        event["event.outcome"] = "failure"
    elif not _DONE.isdisjoint(words) or action.startswith("fsso-log"):
        event["event.outcome"] = "success"


def _from(found: dict[str, str], event: Event) -> None:
    """The address that an administrator came from, where only the interface says it."""
    for key in ("userfrom", "ui"):
        place = _FROM.match(found.get(key, ""))
        if place is not None and address(place[1]) is not None:
            put_end(event, "source", place[1])
            return


def _login(found: dict[str, str], text: str, event: Event) -> None:
    by_ssh = _SSH.match(found.get("msg", ""))
    if by_ssh is not None:
        outcome, user, place, port = by_ssh.groups()
        event["event.outcome"] = "failure" if outcome.lower().startswith("fail") else "success"
        put_user(event, user)
        put_end(event, "source", place)
        put_port(event, "source.port", port)
        return
    by_web = _WEBMAIL.match(found.get("msg", ""))
    if by_web is not None:
        put_user(event, by_web[1])
        event["source.user.name"] = event["user.name"]
        put_end(event, "source", by_web[2].rstrip("."))
    if "event.outcome" not in event:
        failed = "fail" in text or "denied" in text or "invalid" in text
        event["event.outcome"] = "failure" if failed else "success"


def _tunnel(action: str, event: Event) -> None:
    event["event.category"] = ["network", "session"]
    event["event.type"] = ["end"] if action in _VPN_OUT else ["start"] if action in _VPN_IN else ["info"]
    if "login" in action:
        event["event.category"] = ["authentication", "network"]
        event["event.outcome"] = "failure" if "fail" in action else "success"
        event["event.type"] = ["start"]
    elif action in _VPN_IN | _VPN_OUT:
        event["event.outcome"] = "success"


def mail(found: dict[str, str], kind: str, event: Event) -> None:
    """Read what FortiMail tells of a message: who sent it, and what became of it."""
    get = found.get
    event["event.category"], event["event.type"] = ["email"], ["info"]
    event["event.action"] = get("disposition", "").lower() or get("subtype") or kind
    resolved = get("resolved", "").lower()
    event["event.outcome"] = {"ok": "success", "fail": "failure"}.get(resolved, "unknown")
    if name := get("client_name"):
        event["source.domain"] = name
        event.setdefault("source.address", name)
    if (way := {"in": "inbound", "out": "outbound"}.get(get("direction", ""))) is not None:
        event["email.direction"] = way
    if kind in ("virus", "spam"):
        event["event.kind"] = "alert"
