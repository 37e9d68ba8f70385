"""What Dropbear says, the SSH server of Alpine's images, routers and appliances: who came in, who did not, from where.

Password auth succeeded for 'root' from 192.0.2.9:52000
Exit before auth from <192.0.2.9:52000>: (user 'root', 10 fails): Max auth tries reached - user 'root'
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.parsers.common import put_source

_PEER = r"<?\[?(?P<peer>[^\s<>\]]{1,256}?)\]?:(?P<port>\d{1,5})>?"
_AT = re.compile(rf" from {_PEER}(?=$|:|\s)", re.ASCII)
_ACCEPTED = re.compile(
    r"(?:PAM )?(Password|password|Pubkey|Auth)\b.{0,32}? succeeded\b.{0,32}? for '(.{0,256}?)'", re.ASCII
)
_REFUSED = re.compile(
    r"(Bad (?:PAM )?password attempt for|Login attempt for nonexistent user|Login attempt with wrong user"
    r"|[Pp]ubkey auth attempt with unknown algo for|Bad public key for|User account|User) ?'?([^'\s]{0,256}?)'?"
    r"(?= from |,| is | has |$)",
    re.ASCII,
)
_EXIT = re.compile(
    rf"[Ee]xit(?: (before auth))?(?: \((?P<user>[^)]{{1,256}})\))?(?: from {_PEER})?: (?P<rest>.{{0,512}})$",
    re.ASCII | re.DOTALL,
)
_FAILED = re.compile(r"\(user '(.{0,256}?)', (\d{1,6}) fails\):? ?", re.ASCII)
_OLD_EXIT = re.compile(
    r"[Ee]xit before auth \(user '(.{0,256}?)', (\d{1,6}) fails\): (.{0,512})$", re.ASCII | re.DOTALL
)


def read(message: str, event: Event) -> bool:
    """Read a message of Dropbear into the event; False when it is not known."""
    if message[:4] in ("Exit", "exit"):
        return _exit(message, event)
    if message.startswith("Child connection from "):
        event |= {"event.category": ["network", "session"], "event.type": ["start"], "event.action": "ssh_connect"}
        return _from(message, event)
    for pattern, outcome in ((_ACCEPTED, "success"), (_REFUSED, "failure")):
        match = pattern.match(message)
        if match is not None:
            event |= {"event.category": ["authentication"], "event.type": ["start"], "event.action": "ssh_login"}
            event["event.outcome"] = outcome
            if match[2]:
                event["user.name"] = match[2]
            if outcome == "success":
                event["system.auth.ssh.event"], event["system.auth.ssh.method"] = "Accepted", match[1].lower()
            elif "nonexistent" in match[1]:
                event["event.reason"] = "invalid user"
            _from(message, event)
            return True
    return False


def _from(message: str, event: Event) -> bool:
    """Put the peer, which stands last, into the event; a name before it may hold what looks like one."""
    at = message.rfind(" from ", 0, 2_048)
    match = _AT.match(message, at) if at >= 0 else None
    if match is None:
        return False
    put_source(event, match["peer"], match["port"])
    return True


def _exit(message: str, event: Event) -> bool:
    old = _OLD_EXIT.match(message)
    match = _EXIT.match(message) if old is None else None
    if old is None and match is None:
        return False
    event |= {"event.category": ["network", "session"], "event.type": ["end"], "event.action": "ssh_disconnect"}
    before, fails, reason = old is not None, 0, ""
    if old is not None:
        event["user.name"], fails, reason = old[1], int(old[2]), old[3]
    elif match is not None:
        before, reason = match[1] is not None, match["rest"]
        failed = _FAILED.match(reason)
        if failed is not None:
            event["user.name"], fails, reason = failed[1], int(failed[2]), reason[failed.end() :]
        if match["user"] is not None:
            event["user.name"] = match["user"]
        if match["peer"] is not None:
            put_source(event, match["peer"], match["port"])
    if before and fails:
        event["event.outcome"] = "failure"
    if reason:
        event["event.reason"] = reason
    return True
