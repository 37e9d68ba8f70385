"""FreeRADIUS: who signed in to which access point, switch or VPN, and who could not.

Sun Nov 22 13:34:00 2026 : Auth: (12) Login OK: [ana] (from client ap1 port 0 cli 00-00-5E-00-53-02)
<36>Nov 22 13:34:00 rad1 radiusd[811]: (12) Login incorrect (mschap: wrong password): [luis] (from client ap1 port 0)
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import MONTHS, address, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_user

_HEAD = re.compile(
    r"(?:(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4}) : )?"
    r"(?:(Auth|Info|Error|Warning|ERROR|WARNING|Proxy|Acct|Debug): )?(?:(?:rad_recv|Auth): )?(?:\(\d{1,12}\) {1,4})?",
    re.ASCII,
)
_LOGIN = re.compile(
    r"(Login OK|Login incorrect|Invalid user|Multiple logins|Account has expired|Rejected in post-auth)"
    r"(?: ?\((.{0,512}?)\))? ?: \[(.{0,1024})\] \(from client (\S{1,255}) port (\d{1,10})"
    r"(?: cli (.{1,253}?))?( via (?:TLS tunnel|proxy .{1,64}))?\)",
    re.ASCII,
)
_UNKNOWN = re.compile(
    r"(?:Ignoring request to (?:\S{1,32} )?(?:address|proto) .{1,128}? from unknown client"
    r"|Dropping packet without response because of error: .{1,256}? from client)"
    r" ([0-9A-Fa-f.:]{2,45})(?: port (\d{1,5}))?",
    re.ASCII,
)
_VIA = re.compile(r"/<(?:via Auth-Type = [^>]{1,64}|no User-Password attribute|CHAP-Password)>$", re.ASCII)
_MAC = re.compile(
    r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{12}", re.ASCII
)
_LEVELS = {"Auth": "notice", "Info": "informational", "Error": "error", "ERROR": "error", "Warning": "warning"}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False when it tells of no login."""
    text = message[:4_096]
    head = _HEAD.match(text)
    assert head is not None  # every part of it may be missing
    month, day, clock, year, level = head.groups()
    login = _LOGIN.match(text, head.end())
    if login is None and not _unknown(text[head.end() :], event):
        return False
    if month is not None and month in MONTHS:
        event["@timestamp"] = format_time(_moment(year, month, day, clock, context.zone))
    if level is not None:
        event["log.level"] = _LEVELS.get(level, level.lower())
    if login is not None:
        _login(login, event)
    event["message"] = message
    return True


def _login(login: re.Match[str], event: Event) -> None:
    verdict, reason, who, client, port, station, _ = login.groups()
    accepted = verdict == "Login OK"
    event["event.action"] = "logged-in" if accepted else "logon-failed"
    event["event.outcome"] = "success" if accepted else "failure"
    event["event.category"], event["event.type"] = ["authentication", "network"], ["start"]
    event["event.reason"] = reason or verdict
    put_user(event, _name(who))
    event["almena.radius.client"], event["almena.radius.port"] = client, port
    if station is not None:
        _station(station.strip(), event)


def _name(written: str) -> str:
    """The user of `user`, `user/password` and `user/<via Auth-Type = eap>`; computers are called `host/name`."""
    via = _VIA.search(written)
    if via is not None:
        return written[: via.start()]
    if written.startswith("host/"):
        return written
    return written.partition("/")[0]


def _station(station: str, event: Event) -> None:
    """Where the user signed in from: a MAC address, or an address of a VPN's client."""
    if _MAC.fullmatch(station):
        digits = re.sub(r"[^0-9A-Fa-f]", "", station).upper()
        event["source.mac"] = "-".join(digits[at : at + 2] for at in range(0, 12, 2))
    elif address(station) is not None:
        put_end(event, "source", station)
    else:
        event["source.address"] = station


def _unknown(text: str, event: Event) -> bool:
    found = _UNKNOWN.match(text)
    if found is None:
        return False
    put_end(event, "source", found[1], found[2])
    event["event.action"], event["event.outcome"] = "unknown-client", "failure"
    event["event.category"], event["event.type"] = ["network"], ["connection", "denied"]
    return True


@lru_cache(maxsize=4_096)
def _moment(year: str, month: str, day: str, clock: str, zone: str) -> int:
    return local(int(year), MONTHS[month], int(day), clock, zone_of(zone))


FORMAT = Format(name="freeradius", dataset="freeradius.log", read=read, words=False, programs=("radiusd", "freeradius"))
