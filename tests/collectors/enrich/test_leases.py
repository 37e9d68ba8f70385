from __future__ import annotations

import pytest

from almena.clock import HOUR, MINUTE, format_time, parse_time
from almena.event import Event
from collectors.base import Context
from collectors.enrich.leases import Leases
from collectors.parsers import PARSERS

START = 1_795_376_040_000_000


def lease(address: str, host: str, mac: str, at: int, action: str = "dhcpack") -> Event:
    return {
        "@timestamp": format_time(START + at),
        "event.dataset": "dhcp.log",
        "network.protocol": "dhcp",
        "event.action": action,
        "source.ip": address,
        "source.mac": mac,
        "source.domain": host,
    }


def seen(leases: Leases, address: str, at: int, **more: object) -> Event:
    event: Event = {"@timestamp": format_time(START + at), "event.dataset": "x", "source.ip": address} | more
    leases(event)
    return event


def sign_in(leases: Leases, address: str, user: str, at: int) -> None:
    more = {"event.category": ["authentication"], "event.outcome": "success", "user.name": user}
    seen(leases, address, at, **more)


def test_an_address_is_its_host_while_the_lease_lasts() -> None:
    leases = Leases(100)
    leases(lease("10.0.0.5", "pc-ana", "00-00-5E-00-53-01", 0))
    assert seen(leases, "10.0.0.5", MINUTE)["almena.lease.host"] == "pc-ana"
    assert "almena.lease.host" not in seen(leases, "10.0.0.5", -MINUTE)
    assert "almena.lease.host" not in seen(leases, "10.0.0.5", 25 * HOUR)
    leases(lease("10.0.0.5", "pc-eva", "00-00-5E-00-53-02", HOUR))
    assert seen(leases, "10.0.0.5", HOUR + MINUTE)["almena.lease.mac"] == "00-00-5E-00-53-02"
    leases(lease("10.0.0.5", "", "", 2 * HOUR, "dhcprelease"))
    assert "almena.lease.host" not in seen(leases, "10.0.0.5", 3 * HOUR)


def test_who_signed_in_last_is_the_user_until_the_address_is_anothers() -> None:
    leases = Leases(100)
    leases(lease("10.0.0.5", "pc-ana", "00-00-5E-00-53-01", 0))
    sign_in(leases, "10.0.0.5", "ana", MINUTE)
    assert seen(leases, "10.0.0.5", 2 * MINUTE)["almena.lease.user"] == "ana"
    assert "almena.lease.user" not in seen(leases, "10.0.0.5", 2 * MINUTE, **{"user.name": "eva"})
    assert "almena.lease.user" not in seen(leases, "10.0.0.5", 9 * HOUR)
    leases(lease("10.0.0.5", "pc-eva", "00-00-5E-00-53-02", HOUR))
    assert "almena.lease.user" not in seen(leases, "10.0.0.5", HOUR + MINUTE)


def test_addresses_are_bounded() -> None:
    leases = Leases(10)
    for number in range(50):
        leases(lease(f"10.0.0.{number}", f"pc{number}", "", number))
    assert "almena.lease.host" not in seen(leases, "10.0.0.5", MINUTE)
    assert seen(leases, "10.0.0.49", MINUTE)["almena.lease.host"] == "pc49"


ISC = "<30>Nov 22 13:34:00 ns1 dhcpd[811]: "
KEA = "2026-11-22 13:34:00.123 INFO  [kea-dhcp4.leases/811.1] "
GIVEN = {
    "dhcpd": (f"{ISC}DHCPACK on 10.0.0.55 to 00:00:5e:00:53:02 (pc1) via eth0", "pc1", 24 * HOUR),
    "kea": (
        (
            f"{KEA}DHCP4_LEASE_ALLOC [hwtype=1 00:00:5e:00:53:02], cid=[no info], tid=0x1: lease 10.0.0.55 has been "
            "allocated for 3600 seconds"
        ),
        "",
        HOUR,
    ),
    "windows": ("10,11/22/26,13:34:00,Assign,10.0.0.55,pc1.dif.example,00005E005302,", "pc1.dif.example", 24 * HOUR),
    "dnsmasq": (
        "<30>Nov 22 13:34:00 gw dnsmasq-dhcp[9]: DHCPACK(eth0) 10.0.0.55 00:00:5e:00:53:02 pc1",
        "pc1",
        24 * HOUR,
    ),
    "mikrotik": (
        "<30>Nov 22 13:34:00 gw dhcp,info dhcp1 assigned 10.0.0.55 to 00:00:5E:00:53:02",
        "",
        24 * HOUR,
    ),
    "zeek": (
        (
            '{"_path":"dhcp","ts":1795376040.0,"uids":["C1"],"client_addr":"10.0.0.55","server_addr":"10.0.0.1",'
            '"mac":"00:00:5e:00:53:02","host_name":"pc1","lease_time":7200.0,"msg_types":["REQUEST","ACK"]}'
        ),
        "pc1",
        2 * HOUR,
    ),
}
ENDED = {
    "dhcpd": f"{ISC}DHCPRELEASE of 10.0.0.55 from 00:00:5e:00:53:02 (pc1) via eth0 (found)",
    "kea": f"{KEA}DHCP4_RELEASE [hwtype=1 00:00:5e:00:53:02], cid=[], tid=1: address 10.0.0.55 was released.",
    "windows": "12,11/22/26,13:34:00,Release,10.0.0.55,pc1.dif.example,00005E005302,",
    "mikrotik": "<30>Nov 22 13:34:00 gw dhcp,info dhcp1 deassigned 10.0.0.55 from 00:00:5E:00:53:02",
}


def read(line: str) -> Event:
    return PARSERS["auto"](line.encode(), Context(received=START))


@pytest.mark.parametrize("server", GIVEN)
def test_what_each_server_says_is_understood(server: str) -> None:
    line, host, length = GIVEN[server]
    leases, event = Leases(100), read(line)
    leases(event)
    at = parse_time(event["@timestamp"]) - START
    found = seen(leases, "10.0.0.55", at + length - MINUTE)
    assert found["almena.lease.mac"] == "00-00-5E-00-53-02"
    assert found.get("almena.lease.host", "") == host
    assert "almena.lease.mac" not in seen(leases, "10.0.0.55", at + length)
    if server in ENDED:
        leases(read(ENDED[server]))
        assert "almena.lease.mac" not in seen(leases, "10.0.0.55", at + MINUTE)
