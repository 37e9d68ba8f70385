"""Who had an address: DHCP leases seen go by name the host, and sign-ins seen go by name the user.

Remembered per process and in event time; a lease counts from its event until it ends, is released or is another's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from almena.clock import DAY, HOUR, SECOND, parse_time
from almena.event import Event

_DEFAULT = DAY
_SIGN_IN = 8 * HOUR
_PROTOCOLS = frozenset(("dhcp", "dhcpv6"))
# As the parsers of DHCP servers and clients call a lease that was given or ended.
_GIVEN = frozenset(
    [
        "dhcpack",
        "bound",
        "reply-na",
        "reply-ta",
        "dhcp4-lease-alloc",
        "dhcp4-lease-reuse",
        "dhcp4-init-reboot",
        "dhcp6-lease-alloc",
        "dhcp6-lease-renew",
        "dhcp6-lease-reuse",
        "dhcp-new",
        "dhcp-renew",
        "bootp-new",
        "dhcpv6-renew",
        "dhcpv6-request",
        "dhcpv6-confirm",
        "dhcpv6-rebind",
        "lease-assigned",
        "lease-renewed",
    ]
)
_ENDED = frozenset(
    [
        "dhcprelease",
        "dhcpdecline",
        "abandoned",
        "release-message",
        "decline-message",
        "dhcp4-release",
        "dhcp4-decline",
        "dhcp4-lease-expire",
        "dhcp6-release",
        "dhcp6-decline",
        "dhcp-release",
        "dhcp-expire",
        "dhcp-delete",
        "bootp-delete",
        "dhcpv6-release",
        "dhcpv6-decline",
        "dhcpv6-expired",
        "dhcpv6-client-deleted",
        "lease-released",
        "lease-expired",
    ]
)


class _Lease(NamedTuple):
    mac: str
    host: str
    since: int
    until: int


class Leases:
    """Sets `almena.lease.host`, `.mac` and `.user` of the source address."""

    def __init__(self, most: int) -> None:
        """At most so many addresses are remembered; the one seen longest ago is forgotten first."""
        self._most = most
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._users: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def __call__(self, event: Event) -> None:
        """Learn from leases and sign-ins, and say of other events whose their source address was."""
        address = event.get("source.ip") or event.get("client.ip")
        if not isinstance(address, str):
            return
        moment = parse_time(event["@timestamp"])
        if event.get("network.protocol") in _PROTOCOLS:
            self._lease(event, address, moment)
            return
        lease = self._leases.get(address)
        if lease is not None and lease.since <= moment < lease.until:
            if lease.host:
                event["almena.lease.host"] = lease.host
            if lease.mac:
                event["almena.lease.mac"] = lease.mac
        user = event.get("user.name")
        if _signs_in(event) and isinstance(user, str):
            self._remember(self._users, address, (user[:256], moment))
        elif user is None:
            known = self._users.get(address)
            if known is not None and known[1] <= moment < known[1] + _SIGN_IN and self._same(lease, known[1]):
                event["almena.lease.user"] = known[0]

    @staticmethod
    def _same(lease: _Lease | None, moment: int) -> bool:
        """Whether the address was still the same machine's when somebody signed in."""
        return lease is None or lease.since <= moment

    def _lease(self, event: Event, address: str, moment: int) -> None:
        action = str(event.get("event.action", "")).lower()
        if action in _GIVEN and event.get("event.outcome") != "failure":
            seconds = event.get("almena.dhcp.lease_seconds")
            length = seconds * SECOND if isinstance(seconds, int) and 0 < seconds < 10**7 else _DEFAULT
            mac, host = event.get("source.mac") or event.get("client.mac"), _host(event)
            before = self._leases.get(address)
            since = before.since if before is not None and before.mac == mac and moment < before.until else moment
            self._remember(self._leases, address, _Lease(_text(mac), host, since, moment + length))
        elif action in _ENDED:
            self._leases.pop(address, None)
            self._users.pop(address, None)

    def _remember(self, table: OrderedDict[str, Any], address: str, value: Any) -> None:
        table[address] = value
        table.move_to_end(address)
        if len(table) > self._most:
            table.popitem(last=False)


def _signs_in(event: Event) -> bool:
    category = event.get("event.category")
    return isinstance(category, list) and "authentication" in category and event.get("event.outcome") == "success"


def _host(event: Event) -> str:
    return _text(event.get("almena.dhcp.host_name") or event.get("source.domain") or event.get("client.domain"))


def _text(value: Any) -> str:
    return value[:256] if isinstance(value, str) else ""
