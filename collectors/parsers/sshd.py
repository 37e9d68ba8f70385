"""The lines of OpenSSH's server, and of Dropbear: who came in, who did not, from where and how.

Bare messages (`Failed password for root from 192.0.2.7 port 22 ssh2`) get the time of their receipt. What an attacker
chose as user name cannot pass for an address: names are read up to the *last* ` from `.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import dropbear, pam, sshd_more
from collectors.parsers.common import put_source
from collectors.parsers.format import Format
from collectors.parsers.network import put_end

_PEER = re.compile(r"(\S*[^\s:;,\]])[:;,\]]*(?: port (\d{1,5}))?", re.ASCII)
_METHOD = re.compile(r"(Accepted|Failed|Postponed|Partial) ([a-z0-9/-]{1,64}) for ", re.ASCII)
_CLOSED = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting|Connection from|Received disconnect from"
    r"|banner exchange: Connection from|Timeout before authentication for(?: connection from)?|Unable to negotiate with"
    r"|ssh_dispatch_run_fatal: Connection from|Protocol major versions differ for"
    r"|Did not receive identification string from|kex_exchange_identification: Connection closed by)(?: remote host)? ",
    re.ASCII,
)
_WHO = re.compile(r"(?:(authenticating|invalid) )?user ", re.ASCII)
_REASON = re.compile(r"(?<=\d): ?(?:\d{1,3}: ?)?([^:\[][^\[]{0,255}?)(?: \[preauth\])?$", re.ASCII)
_ON = re.compile(r" on (\S{1,64}) port (\d{1,5})", re.ASCII)
_REPEATED = re.compile(r"message repeated \d{1,9} times: \[ ?", re.ASCII)
_KEY = re.compile(r" ssh2: (\S.{0,1023})$", re.ASCII | re.DOTALL)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of sshd into the event; False when it is not known."""
    if event.get("process.name") == "dropbear":
        return dropbear.read(message, event) or pam.read(message, event, context)
    repeated = _REPEATED.match(message)
    if repeated is not None:
        message = message[repeated.end() :].removesuffix("]").rstrip()
    for prefix in ("error: ", "fatal: "):
        message = message.removeprefix(prefix)
    return (
        any(reader(message, event) for reader in _READERS)
        or sshd_more.read(message, event)
        or pam.read(message, event, context)
    )


def _from(rest: str, event: Event) -> str | None:
    """The user name before the last ` from `, with the peer behind it put into the event."""
    user, found, peer = rest.rpartition(" from ")
    if not found and rest.startswith("from "):
        user, found, peer = "", "from ", rest[5:]
    match = _PEER.match(peer) if found else None
    if match is None:
        return None
    if match[1] != "UNKNOWN":  # the connection was gone before it was asked
        put_source(event, match[1], match[2])
    return user


def _attempt(action: str, outcome: str) -> Event:
    """What all attempts to sign in have in common; new lists each time, since events are changed by whoever has one."""
    return {
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.action": action,
        "event.outcome": outcome,
    }


def _user(event: Event, name: str) -> None:
    if name:
        event["user.name"] = name


def _login(message: str, event: Event) -> bool:
    match = _METHOD.match(message)
    if match is None:
        return False
    rest = message[match.end() :]
    if match[1] == "Accepted":
        # Behind the peer stands the key, whose comment may hold anything: read up to the first ` from ` instead.
        user, found, peer = rest.partition(" from ")
        at = _PEER.match(peer) if found else None
        if at is None:
            return False
        put_source(event, at[1], at[2])
        key = _KEY.search(peer, at.end())
        if key is not None:
            event["system.auth.ssh.signature"] = key[1]
    else:
        name = _from(rest, event)
        if name is None:
            return False
        user = name
    invalid = user.startswith("invalid user ")
    outcome = {"Accepted": "success", "Failed": "failure"}.get(match[1], "unknown")
    event |= _attempt("ssh_login", outcome)
    event["system.auth.ssh.event"], event["system.auth.ssh.method"] = match[1], match[2]
    if invalid:
        event["event.reason"] = "invalid user"
    _user(event, user.removeprefix("invalid user ") if invalid else user)
    return True


def _invalid(message: str, event: Event) -> bool:
    if not message.startswith(("Invalid user ", "Illegal user ")):
        return False
    user = _from(message[12:], event)
    if user is None:
        return False
    # The attempts themselves are logged besides; whoever counts those leaves out what has this reason.
    event |= _attempt("ssh_login", "failure") | {"event.reason": "no such user"}
    event["system.auth.ssh.event"] = "Invalid"
    _user(event, user.strip(" "))
    return True


def _refused(message: str, event: Event) -> bool:
    if message.startswith("ROOT LOGIN REFUSED FROM "):
        user, peer, reason = "root", message[24:], "root login refused"
    elif message.startswith("User ") and " not allowed because " in message:
        before, _, reason = message[5:].rpartition(" not allowed because ")
        user, _, peer = before.rpartition(" from ")
        if not user:
            user, peer = peer, ""  # of locked and expired accounts no address is told
    else:
        return False
    match = _PEER.match(peer)
    if match is not None:
        put_source(event, match[1], match[2])
    event |= _attempt("ssh_refused", "failure") | {"event.reason": reason}
    _user(event, user)
    return True


def _too_many(message: str, event: Event) -> bool:
    start = "maximum authentication attempts exceeded for "
    if not message.startswith(start):
        return False
    user = _from(message[len(start) :], event)
    if user is None:
        return False
    # Not `ssh_login`: each attempt was logged before, and counting this one too would count it twice.
    event |= _attempt("ssh_too_many_attempts", "failure")
    _user(event, user.removeprefix("invalid user "))
    return True


def _closed(message: str, event: Event) -> bool:
    match = _CLOSED.match(message)
    if match is None:
        return False
    rest = message[match.end() :]
    if rest.startswith("remote host"):
        return False
    who = _WHO.match(rest)
    if who is not None:
        # `user NAME ADDRESS port N`: the name may hold spaces, the address may not.
        before, _, behind = rest[who.end() :].rpartition(" port ")
        user, _, host = before.rpartition(" ")
        _user(event, user)
        rest = f"{host} port {behind}"
    peer = _PEER.match(rest)
    if peer is None:
        return False
    put_source(event, peer[1], peer[2])
    event |= {"event.category": ["network", "session"], "event.type": ["end"], "event.action": "ssh_disconnect"}
    if match[0].startswith("Connection from"):
        event |= {"event.type": ["start"], "event.action": "ssh_connect"}
        if (on := _ON.match(rest, peer.end())) is not None:
            put_end(event, "destination", on[1], on[2])
    elif message.endswith("[preauth]") or match[0].startswith(("Did", "banner", "Unable", "Timeout", "kex")):
        event["event.reason"] = "before authentication"
    elif (reason := _REASON.search(rest[:640], peer.end(1))) is not None:
        event["event.reason"] = reason[1].strip()
    return True


def _odd(message: str, event: Event) -> bool:
    if message.startswith("Bad protocol version identification "):
        if _from(message, event) is None:
            return False
        event |= {"event.category": ["network"], "event.type": ["protocol", "denied"]}
        event |= {"event.action": "ssh_bad_protocol", "event.outcome": "failure"}
        return True
    if message.startswith("Server listening on "):
        event |= {"event.category": ["process"], "event.type": ["start"], "event.action": "ssh_listening"}
        return True
    return False


_READERS = (_login, _invalid, _refused, _too_many, _closed, _odd)

FORMAT = Format(
    name="sshd",
    dataset="system.auth",
    read=read,
    programs=("sshd", "sshd-session", "sshd-auth", "dropbear"),
    program="sshd",
)
