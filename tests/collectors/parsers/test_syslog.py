from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import DAY, format_time, parse_time, to_datetime
from almena.errors import ParseError
from almena.event import event_time
from collectors.base import Context
from collectors.parsers.header import FACILITIES, SEVERITIES
from collectors.parsers.syslog import parse

NOW = parse_time("2026-11-22T19:34:00Z")


def at(received: str, zone: str = "UTC") -> Context:
    return Context(received=parse_time(received), zone=zone)


@pytest.mark.parametrize(
    ("written", "received", "found"),
    [
        ("Dec 31 23:59:59", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59.000000Z"),
        ("Jan  1 00:00:01", "2026-12-31T23:59:59Z", "2027-01-01T00:00:01.000000Z"),
        ("Nov 22 19:34:00", "2026-11-22T19:34:00Z", "2026-11-22T19:34:00.000000Z"),
        ("Feb 29 10:00:00", "2028-03-01T00:00:00Z", "2028-02-29T10:00:00.000000Z"),
        ("Feb 29 10:00:00", "2027-03-01T00:00:00Z", "2024-02-29T10:00:00.000000Z"),
        ("Feb  9 10:00:00", "2026-11-22T19:34:00Z", "2026-02-09T10:00:00.000000Z"),
        ("Dec 13 10:00:00", "2026-11-22T19:34:00Z", "2025-12-13T10:00:00.000000Z"),
    ],
)
def test_a_time_without_year_gets_the_last_that_has_been(written: str, received: str, found: str) -> None:
    assert parse(f"<13>{written} h app: x".encode(), at(received))["@timestamp"] == found


@given(st.integers(0, 40_000), st.integers(-357, 6))
def test_whatever_the_day_a_time_of_the_year_before_keeps_its_year(day: int, away: int) -> None:
    received = day * DAY + DAY // 2
    moment = to_datetime(received + away * DAY)
    if received + away * DAY < 0:
        return
    event = parse(
        f"{moment:%b} {moment.day:2} {moment:%H:%M:%S} h app: x".encode(), Context(received=received, zone="UTC")
    )
    assert event["@timestamp"] == format_time(received + away * DAY)


def test_zones_change_with_the_seasons_where_they_do() -> None:
    tijuana = "America/Tijuana"
    assert parse(b"Jul  1 12:00:00 h a: x", at("2026-07-01T19:00:00Z", tijuana))["@timestamp"][11:13] == "19"
    assert parse(b"Dec  1 12:00:00 h a: x", at("2026-12-01T20:00:00Z", tijuana))["@timestamp"][11:13] == "20"


@given(st.integers(0, 191))
def test_every_priority_is_facility_and_severity(priority: int) -> None:
    event = parse(f"<{priority}>Nov 22 13:34:00 h app: x".encode(), Context(received=NOW))
    assert event["log.syslog.facility.name"] == FACILITIES[priority // 8]
    assert event["log.syslog.severity.name"] == event["log.level"] == SEVERITIES[priority % 8]
    assert event["log.syslog.priority"] == priority


def escape(value: str) -> str:
    """As RFC 5424 writes a value."""
    return re.sub(r'(["\\\]])', r"\\\1", value)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=' "]=[\\'), min_size=1, max_size=12)
VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(TEXT, st.dictionaries(TEXT, VALUE, max_size=4), VALUE)
def test_structured_data_comes_back_as_it_was_written(name: str, params: dict[str, str], message: str) -> None:
    written = "".join(f' {key}="{escape(value)}"' for key, value in params.items())
    line = f"<13>1 2026-11-22T19:34:00Z h app - - [{name}{written}] {message}."
    event = parse(line.encode(), Context(received=NOW))
    prefix = f"log.syslog.structured_data.{name}."
    assert {key[len(prefix) :]: value for key, value in event.items() if key.startswith(prefix)} == params
    assert event["message"] == f"{message}.".removeprefix("\ufeff")


@pytest.mark.parametrize("program", ["sshd", "sshd-session", "sudo", "su"])
def test_programs_of_authentication_are_a_data_set_of_their_own(program: str) -> None:
    event = parse(f"Nov 22 13:34:00 h {program}[1]: anything".encode(), Context(received=NOW))
    assert event["event.dataset"] == "system.auth"
    assert event["process.name"] == ("sshd" if program.startswith("sshd") else program)


def test_a_line_with_neither_priority_nor_time_is_refused() -> None:
    with pytest.raises(ParseError, match="neither a priority nor a time"):
        parse(b"hello", Context(received=NOW))


def test_a_priority_alone_takes_the_time_of_the_receipt() -> None:
    assert event_time(parse(b"<13>hello", Context(received=NOW))) == NOW


def test_an_empty_part_of_the_header_says_nothing() -> None:
    event = parse(b"<0>1 2026-11-22T10:00:00Z     -  hello", at("2026-11-22T10:00:01Z"))
    assert event["event.dataset"] == "system.syslog"
    assert not {"host.name", "process.name", "process.pid", "log.syslog.msgid"} & event.keys()
