"""Times, ends and sign-ins of FortiOS: what stands in one field in one record and in another in the next."""

from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.pairs import scan

RECEIVED = 1_795_376_040_000_000
BEGIN = 'devid="FG100" logid="0000000013" type="traffic" action="close" '


def read(text: str, zone: str = "UTC") -> dict[str, object]:
    return PARSERS["fortigate"](text.encode(), Context(received=RECEIVED, zone=zone))


@pytest.mark.parametrize(
    ("written", "zone", "time"),
    [
        ('date=2026-11-22 time=13:34:00 tz="-0600"', "UTC", "2026-11-22T19:34:00.000000Z"),
        ('date=2026-11-22 time=13:34:00 tz="UTC-6:00"', "UTC", "2026-11-22T19:34:00.000000Z"),
        ('date=2026-11-22 time=13:34:00 tz="GMT+5:30"', "UTC", "2026-11-22T08:04:00.000000Z"),
        ("date=2026-11-22 time=13:34:00", "America/Mexico_City", "2026-11-22T19:34:00.000000Z"),
        ("date=2026-11-22 time=13:34:00 eventtime=1795376039", "UTC", "2026-11-22T19:33:59.000000Z"),
        ('date=2026-11-22 time=13:34:00 tz="-0600" eventtime=1795376039', "UTC", "2026-11-22T19:34:00.000000Z"),
        ("timestamp=1795376039", "UTC", "2026-11-22T19:33:59.000000Z"),
        ("level=notice", "UTC", "2026-11-22T19:34:00.000000Z"),
    ],
    ids=["offset", "UTC", "GMT", "source's zone", "instant", "both", "timestamp", "none"],
)
def test_the_time_of_a_record(written: str, zone: str, time: str) -> None:
    assert read(f"devname=FG1 {written} {BEGIN}", zone)["@timestamp"] == time


def test_the_beginning_stands_beside_the_time() -> None:
    event = read(f'date=2026-11-22 time=13:34:00 tz="-0600" eventtime=1795376039123456789 {BEGIN}')
    assert event["event.start"] == "2026-11-22T19:33:59.123457Z"


def test_a_tunnels_peer_is_no_destination() -> None:
    event = read(
        'date=2026-11-22 devid="F" type="event" subtype="vpn" action="tunnel-up" remip=203.0.113.9 remport=500'
    )
    assert (event["source.ip"], event["source.port"]) == ("203.0.113.9", 500)
    assert "destination.ip" not in event
    assert "destination.port" not in event


def test_many_keys_are_read_as_few_are() -> None:
    many = " ".join(f"x{number}=1" for number in range(100))
    assert read(f"date=2026-11-22 {BEGIN} srcip=10.20.0.5 user=ana {many}")["user.name"] == "ana"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('a=1 b="x y" c=', {"a": "1", "b": "x y", "c": ""}),
        ('a="" b="k=v" a=2', {"a": "", "b": "k=v"}),
        ('a="x \\"y\\" z" b=2', {"a": 'x "y" z', "b": "2"}),
        ('a="open', {"a": "open"}),
    ],
    ids=["plain", "nested", "escaped", "open"],
)
def test_pairs(line: str, found: dict[str, str]) -> None:
    assert scan(line) == found
