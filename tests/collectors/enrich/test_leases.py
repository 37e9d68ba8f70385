from __future__ import annotations

from almena.clock import HOUR, MINUTE, format_time
from almena.event import Event
from collectors.enrich.leases import Leases

START = 1_795_376_040_000_000


def lease(address: str, host: str, mac: str, at: int, action: str = "dhcpack") -> Event:
    return {
        "@timestamp": format_time(START + at),
        "event.dataset": "dhcp.lease",
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
