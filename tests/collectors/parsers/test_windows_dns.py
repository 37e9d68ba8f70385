from __future__ import annotations

import pytest

from almena.clock import parse_time
from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers import PARSERS

PACKET = " 0F30 PACKET  000000D0C9C5F2A0 UDP Rcv 192.0.2.7       0002   Q [0001   D   NOERROR] A      (3)www(0)"


def time(date: str, received: str = "2026-11-22T19:34:00.000000Z", zone: str = "America/Mexico_City") -> str:
    context = Context(received=parse_time(received), zone=zone)
    return str(PARSERS["windows_dns"]((date + PACKET).encode(), context)["@timestamp"])


@pytest.mark.parametrize(
    "date",
    [
        "11/22/2026 1:34:00 PM",
        "22/11/2026 1:34:00 PM",
        "22/11/2026 01:34:00 p. m.",
        "22/11/2026 01:34:00 p.\u00a0m.",
        "22/11/2026 01:34:00 p.m.",
        "22/11/2026 13:34:00",
        "22.11.2026 13:34:00",
        "22-11-2026 13:34:00",
        "2026-11-22 13:34:00",
        "20261122 13:34:00",
        "22/11/26 13:34:00",
    ],
)
def test_dates_of_every_language(date: str) -> None:
    assert time(date) == "2026-11-22T19:34:00.000000Z"


@pytest.mark.parametrize(
    ("date", "received", "expected"),
    [
        # Both are days: the one nearer to the receipt.
        ("03/02/2026 13:34:00", "2026-02-03T20:00:00.000000Z", "2026-02-03T19:34:00.000000Z"),
        ("03/02/2026 13:34:00", "2026-03-02T20:00:00.000000Z", "2026-03-02T19:34:00.000000Z"),
        # An old file: the half day's language tells.
        ("03/02/2026 1:34:00 PM", "2026-11-22T19:34:00.000000Z", "2026-03-02T19:34:00.000000Z"),
        ("03/02/2026 01:34:00 p. m.", "2026-11-22T19:34:00.000000Z", "2026-02-03T19:34:00.000000Z"),
        ("03/02/2026 12:34:00 a. m.", "2026-11-22T19:34:00.000000Z", "2026-02-03T06:34:00.000000Z"),
        ("03/02/2026 12:34:00 p. m.", "2026-11-22T19:34:00.000000Z", "2026-02-03T18:34:00.000000Z"),
    ],
)
def test_dates_that_can_be_read_in_two_ways(date: str, received: str, expected: str) -> None:
    assert time(date, received) == expected


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ParseError, match="time zone"):
        time("11/22/2026 1:34:00 PM", zone="nowhere")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("(3)www(7)example(3)org(0)", "www.example.org"),
        ("(10)a(3)b.c(0)(3)org(0)", "a(3)b.c(0).org"),
        ("(9)www(7)example(3)org(0)", "www.example.org"),
        ("(0)", "."),
        (".", "."),
        ("example.org.", "example.org"),
    ],
)
def test_a_label_says_where_it_ends(written: str, name: str) -> None:
    line = "11/22/2026 1:34:00 PM" + PACKET.replace("(3)www(0)", written)
    event = PARSERS["windows_dns"](line.encode(), Context(received=1_795_376_040_000_000))
    assert event["dns.question.name"] == name
