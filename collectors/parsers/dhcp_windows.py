"""The audit log of Windows' DHCP server: comma-separated values with a number for what happened.

11,11/22/26,13:34:00,Renew,10.0.0.55,pc1.dif.example,00005E005302,,123456,0,,,,0x4D53,MSFT,,,,0
11002,11/22/26,13:34:00,DHCPV6 Request,2001:db8::55,pc1.dif.example,,14,0001000100005E005302,,,,
"""

from __future__ import annotations

import re
from functools import lru_cache

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, local, zone_of
from collectors.parsers.format import Format
from collectors.parsers.network import put_user

_LINE = re.compile(r"(\d{2,5}),(\d\d)/(\d\d)/(\d{2}|\d{4}),(\d\d:\d\d:\d\d),([^,]{1,128}),", re.ASCII)
_OF_SERVER = frozenset(("start", "end", "change", "info"))
_COLUMNS = 24
_ALLOWED, _DENIED, _NEUTRAL = ("allowed", "connection"), ("connection", "denied"), ("connection",)
_ASKED, _UPDATED = ("connection", "protocol"), ("connection", "end")
_START, _END, _CHANGE, _INFO = ("start",), ("end",), ("change",), ("info",)

_Meaning = tuple[str, str, tuple[str, ...]]
_MEANINGS: dict[str, _Meaning] = {
    "00": ("log-start", "success", _START),
    "01": ("log-end", "success", _END),
    "02": ("log-pause", "failure", _CHANGE),
    "10": ("dhcp-new", "success", _ALLOWED),
    "11": ("dhcp-renew", "success", _ALLOWED),
    "12": ("dhcp-release", "success", _ALLOWED),
    "13": ("dhcp-conflict", "success", _NEUTRAL),
    "14": ("dhcp-exhausted", "failure", _DENIED),
    "15": ("dhcp-deny", "failure", _DENIED),
    "16": ("dhcp-delete", "success", _NEUTRAL),
    "17": ("dhcp-expire", "success", _NEUTRAL),
    "18": ("dhcp-expire", "success", _NEUTRAL),
    "20": ("bootp-new", "success", _ALLOWED),
    "21": ("bootp-new", "success", _ALLOWED),
    "22": ("bootp-exhausted", "failure", _DENIED),
    "23": ("bootp-delete", "failure", _DENIED),
    "24": ("ip-cleanup-start", "success", _START),
    "25": ("ip-cleanup-end", "success", _START),
    "30": ("dhcp-dns-update", "success", _NEUTRAL),
    "31": ("dhcp-dns-update", "failure", _NEUTRAL),
    "32": ("dhcp-dns-update", "success", _NEUTRAL),
    "33": ("packet-dropped", "failure", _NEUTRAL),
    "34": ("dhcp-dns-update", "failure", _NEUTRAL),
    "35": ("dhcp-dns-update", "failure", _DENIED),
    "36": ("packet-dropped", "failure", _DENIED),
    "11000": ("dhcpv6-solicit", "success", _ASKED),
    "11001": ("dhcpv6-advertise", "success", _ASKED),
    "11002": ("dhcpv6-request", "success", _ASKED),
    "11003": ("dhcpv6-confirm", "success", _ASKED),
    "11004": ("dhcpv6-renew", "success", _ASKED),
    "11005": ("dhcpv6-rebind", "success", _ASKED),
    "11006": ("dhcpv6-decline", "failure", _ASKED),
    "11007": ("dhcpv6-release", "success", _NEUTRAL),
    "11008": ("dhcpv6-info-request", "success", _NEUTRAL),
    "11009": ("dhcpv6-scope-full", "failure", _DENIED),
    "11010": ("log-start", "success", _START),
    "11011": ("log-stop", "success", _END),
    "11012": ("log-pause", "failure", _CHANGE),
    "11013": ("log-file", "success", _INFO),
    "11014": ("dhcpv6-bad-address", "failure", _NEUTRAL),
    "11015": ("dhcpv6-address-in-use", "success", _NEUTRAL),
    "11016": ("dhcpv6-client-deleted", "success", _NEUTRAL),
    "11017": ("ipv6-dns-record-not-deleted", "failure", _NEUTRAL),
    "11018": ("dhcpv6-expired", "success", _NEUTRAL),
    "11019": ("dhcpv6-lease-expired-deleted", "success", _NEUTRAL),
    "11020": ("dhcpv6-cleanup-start", "success", _START),
    "11021": ("dhcpv6-cleanup-end", "success", _END),
    "11022": ("ipv6-dns-update-request", "success", ("connection", "start")),
    "11023": ("ipv6-dns-update-failed", "failure", _UPDATED),
    "11024": ("ipv6-dns-update-successful", "success", _UPDATED),
    "11028": ("ipv6-dns-update-request-queue-exceeded", "failure", _UPDATED),
    "11029": ("ipv6-dns-update-request-failed", "failure", _UPDATED),
    "11030": ("dhcpv6-stateless-clients-pruged", "success", _CHANGE),
    "11031": ("dhcpv6-stateless-clients-expired", "success", _CHANGE),
    "11032": ("dhcpv6-stateless-client-info-request", "success", _NEUTRAL),
}
_ROGUE_FAILED = frozenset(("50", "54", "56", "58", "59"))
_ROGUE_ALLOWED = frozenset(("51", "53", "55"))


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False for others, such as those that explain the numbers where a log begins."""
    line = _LINE.match(message)
    if line is None:
        return False
    code, month, day, year, clock, what = line.groups()
    event["@timestamp"] = format_time(_moment(year, month, day, clock, context.zone))
    columns = message.rstrip().split(",", _COLUMNS)[4:]
    columns += [""] * (5 - len(columns))
    action, outcome, types = _meaning(code)
    event["event.code"], event["event.action"], event["event.outcome"] = code, action, outcome
    event["event.category"] = ["process"] if types[0] in _OF_SERVER else ["network"]
    if action == "rogue-server-detection":
        event["event.category"] = ["authentication", "network"]
    event["event.type"], event["event.reason"] = list(types), what
    where, host = address(columns[0]), columns[1].strip().rstrip(".").lower()
    if where is not None:
        event["source.ip"] = event["source.address"] = where
    if host:
        event["source.domain"] = event["source.address"] = host
    six = len(code) == 5
    identity = columns[4] if six else columns[2]
    if not six and len(identity) == 12:
        event["source.mac"] = "-".join(identity.upper()[at : at + 2] for at in range(0, 12, 2))
    elif identity:
        event["almena.dhcp.duid"] = identity
    user = columns[5] if six and len(columns) > 5 else columns[3] if not six else ""
    put_user(event, user)
    event["network.protocol"] = "dhcpv6" if six else "dhcp"
    return True


def _meaning(code: str) -> _Meaning:
    known = _MEANINGS.get(code)
    if known is not None:
        return known
    if len(code) == 2 and "50" <= code <= "64":
        types = _ALLOWED if code in _ROGUE_ALLOWED else _DENIED if code in ("54", "56") else _NEUTRAL
        return "rogue-server-detection", "failure" if code in _ROGUE_FAILED else "success", types
    return "dhcp", "success", _NEUTRAL


@lru_cache(maxsize=4_096)
def _moment(year: str, month: str, day: str, clock: str, zone: str) -> int:
    whole = int(year) + 2_000 if len(year) == 2 else int(year)
    return local(whole, int(month), int(day), clock, zone_of(zone))


FORMAT = Format(name="dhcp_windows", dataset="microsoft_dhcp.log", read=read, words=False)
