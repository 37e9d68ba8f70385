"""What goldens of SonicWall cannot say: ends in all their shapes, zones, and texts that a stranger chose."""

from __future__ import annotations

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")
HEAD = 'id=firewall sn=00 time="2026-11-22 13:34:00" fw=203.0.113.1 pri=6 m=98 msg="Connection Opened"'


def read(rest: str) -> dict[str, object]:
    return PARSERS["sonicwall"](f"{HEAD} {rest}".encode(), CONTEXT)


def test_ends() -> None:
    event = read("src=10.0.0.5 dst=192.0.2.1::X1:srv.example")
    assert (event["source.ip"], event["destination.ip"]) == ("10.0.0.5", "192.0.2.1")
    assert event["destination.domain"] == "srv.example"
    assert "destination.port" not in event
    event = read("src=:28503:WAN:PC src6=x srcV6=2001:db8::6 dst=::LAN:SRV dstV6=::1")
    assert (event["source.ip"], event["source.port"]) == ("2001:db8::6", 28503)
    assert event["destination.ip"] == "::1"


def test_without_a_zone_the_time_is_the_sources() -> None:
    assert read("n=1")["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    late = PARSERS["sonicwall"](HEAD.replace("13:34:00", "19:34:00 UTC").encode(), CONTEXT)
    assert late["@timestamp"] == "2026-11-22T19:34:00.000000Z"


def test_a_site_forges_no_end() -> None:
    event = read('dstname=evil.example arg="/?src=10.9.9.9 usr=root" src=10.0.0.5:1:X0 dst=192.0.2.1:80:X1 usr="ana"')
    assert (event["source.ip"], event["user.name"]) == ("10.0.0.5", "ana")
