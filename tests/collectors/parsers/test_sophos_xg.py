"""What the samples of Sophos Firewall cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000, zone="America/Mexico_City")
KIND = 'log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed"'


def parse(line: str) -> Event:
    return PARSERS["sophos_xg"](line.encode(), CONTEXT)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('date=2026-11-22 time=20:34:00 timezone="CET"', "2026-11-22T19:34:00.000000Z"),
        ('date=2026-07-22 time=20:34:00 timezone="CEST"', "2026-07-22T18:34:00.000000Z"),
        ('date=2026-11-22 time=13:34:00 timezone="zona"', "2026-11-22T19:34:00.000000Z"),
        ('timestamp="2026-11-22T13:34:00-0600"', "2026-11-22T19:34:00.000000Z"),
        ("date=2026-11-22 time=13:34:00 timestamp=1", "2026-11-22T19:34:00.000000Z"),
        ("date=2026-99-22 time=13:34:00", "2026-11-22T19:34:00.000000Z"),
    ],
    ids=["winter", "summer", "unknown zone", "offset", "another time", "no such day"],
)
def test_times_are_in_the_zone_that_the_device_names(written: str, expected: str) -> None:
    assert parse(f'device="SFW" {written} device_name="X" {KIND}')["@timestamp"] == expected


def test_processor_time_is_no_user() -> None:
    event = parse('device="SFW" log_id=127926618031 log_type="System Health" log_component="CPU" user=8.61% idle=86%')
    assert "user.name" not in event
    assert "event.outcome" not in event


@given(value=st.text(max_size=60))
@settings(max_examples=60)
def test_a_quoted_value_passes_for_no_other_field(value: str) -> None:
    quoted = value.replace("\\", "/").replace('"', "'").replace("\n", " ").replace("\r", " ").replace("\x00", " ")
    line = f'device="SFW" {KIND} user_agent="{quoted} src_ip=203.0.113.66 " src_ip=10.0.0.5 dst_ip=198.51.100.7'
    event = parse(line)
    assert (event["source.ip"], event["destination.ip"], event["event.action"]) == (
        "10.0.0.5",
        "198.51.100.7",
        "allowed",
    )


@pytest.mark.parametrize("head", ["", "<30>", "Nov 22 13:34:01 sfw1 ", "<30>1 2026-11-22T19:34:00Z sfw1 - - - - "])
def test_it_is_recognised_however_it_arrives(head: str) -> None:
    for begin in ('device="SFW"', 'device_name="SFW"', "date=2026-11-22 time=13:34:00"):
        event = PARSERS["auto"](f"{head}{begin} {KIND} src_ip=10.0.0.5".encode(), CONTEXT)
        assert (event["event.dataset"], event["source.ip"]) == ("sophos.xg", "10.0.0.5")
