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
_SHARED = re.compile(
    r"Authentication: (FAILED|SUCCEEDED) :: User Name: (.{0,256}?) :: Viewer Address: (\S{1,64})", re.ASCII
)
"""Apple's screen sharing."""
_FTP = re.compile(r"(?:\[pid \d{1,10}\] )?\[([^\]\s]{1,256})\] (OK|FAIL) LOGIN: Client \"([^\"\s]{1,64})\"", re.ASCII)
_PROFTPD = re.compile(
    r"\S{1,256} \((?:\S{1,256}\[)?([0-9A-Fa-f:.]{2,45})\]?\)(?: -|:) "
    r"USER (\S{1,256}?)(?: \(Login failed\))?: (.{1,256})",
    re.ASCII,
)
_PURE = re.compile(
    r"\(\S{0,256}@([^\s)]{1,256})\) \[\w{1,16}\] (?:(\S{1,256}) is now logged in"
    r"|Authentication failed for user \[([^\]]{0,256})\])",
    re.ASCII,
)
_CONNECTED = re.compile(r"connection from (\S{1,256})(?: \(|$| at )", re.ASCII)
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
    return _elsewhere(message, event) or pam.read(message, event, context)


def _elsewhere(message: str, event: Event) -> bool:
    """Screen sharing and the servers of FTP."""
    shared, ftp, proftpd, pure = (each.match(message) for each in (_SHARED, _FTP, _PROFTPD, _PURE))
    if shared is not None:
        outcome, user, peer = ("success" if shared[1] == "SUCCEEDED" else "failure"), shared[2], shared[3]
    elif ftp is not None:
        outcome, user, peer = ("success" if ftp[2] == "OK" else "failure"), ftp[1], ftp[3]
    elif proftpd is not None and ("ogin" in proftpd[0] or "no such user" in proftpd[3]):
        outcome, user, peer = ("success" if "successful" in proftpd[3] else "failure"), proftpd[2], proftpd[1]
    elif pure is not None:
        outcome, user, peer = ("success" if pure[2] else "failure"), pure[2] or pure[3], pure[1]
    elif (connected := _CONNECTED.match(message)) is not None:
        event |= {"event.category": ["network", "session"], "event.type": ["start"], "event.action": "connected"}
        put_source(event, connected[1])
        return True
    else:
        return False
    _login({"user": user, "peer": peer.removeprefix("::ffff:")}, event, outcome)
    return True


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
    name="login",
    dataset="system.auth",
    read=read,
    programs=(
        *("login", "systemd-logind", "remote", "rlogind", "telnetd", "screensharingd"),
        *("ftpd", "vsftpd", "proftpd", "pure-ftpd"),
    ),
)
