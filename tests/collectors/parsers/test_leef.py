"""What the samples of LEEF cannot say: times, delimiters, and values that look like attributes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_100_000_000, zone="America/Mexico_City")
NOW = "2026-11-22T19:34:00.000000Z"


def parse(line: str) -> Event:
    return PARSERS["leef"](line.encode(), CONTEXT)


@pytest.mark.parametrize(
    ("written", "order", "expected"),
    [
        ("1795376040", "", NOW),
        ("1795376040000", "", NOW),
        ("Nov 22 2026 13:34:00", "", NOW),
        ("Nov 22 13:34:00", "MMM dd HH:mm:ss", NOW),
        ("Nov 22 2026 13:34:00.250", "MMM dd yyyy HH:mm:ss.SSS", "2026-11-22T19:34:00.250000Z"),
        ("Nov 22 2026 19:34:00 GMT", "MMM dd yyyy HH:mm:ss z", NOW),
        ("Nov 22 2026 22:34:00 GMT+03:00", "MMM dd yyyy HH:mm:ss z", NOW),
        ("2026-11-22 13:34:00", "yyyy-MM-dd HH:mm:ss", NOW),
        ("2026/11/22 13:34:00", "", NOW),
        ("2026-11-22T13:34:00.000-0600", "", NOW),
        ("22/11/2026 13:34:00", "", NOW),
        ("11/12/2026 13:34:00", "dd/MM/yyyy HH:mm:ss", "2026-12-11T19:34:00.000000Z"),
        ("11/12/2026 01:34:00 PM", "MM/dd/yyyy hh:mm:ss a", "2026-11-12T19:34:00.000000Z"),
        ("22-Nov-2026 13:34:00", "", NOW),
        ("Sun Nov 22 19:34:00 UTC 2026", "EEE MMM dd HH:mm:ss zzz yyyy", NOW),
        ("ayer", "", "2026-11-22T19:35:00.000000Z"),
        ("99/99/2026 13:34:00", "", "2026-11-22T19:35:00.000000Z"),
    ],
    ids=range(17),
)
def test_times_are_read_as_products_write_them(written: str, order: str, expected: str) -> None:
    event = parse(f"LEEF:1.0|V|P|1|1|devTime={written}\tdevTimeFormat={order}\tsrc=10.0.0.5")
    assert event["@timestamp"] == expected


@pytest.mark.parametrize(
    ("header", "between"),
    [
        ("LEEF:1.0|V|P|1|7|", "\t"),
        ("LEEF:1.0|V|P|1|7|", "#011"),
        ("LEEF:1.0|V|P|1|7|", "<009>"),
        ("LEEF:1.0|V|P|1|7|", "\\t"),
        ("LEEF:1.0|V|P|1|7|", "   "),
        ("LEEF:1.0|V|P|1|7|", "|"),
        ("LEEF:2.0|V|P|1|7|", "\t"),
        ("LEEF:2.0|V|P|1|7||", "\t"),
        ("LEEF:2.0|V|P|1|7|^|", "^"),
        ("LEEF:2.0|V|P|1|7|x5E|", "^"),
        ("LEEF:2.0|V|P|1|7|0x7c|", "|"),
        ("LEEF:2.0|V|P|1|7|\\x09|", "\t"),
        ("LEEF:2.0|V|P|1|7|\\t|", "\t"),
        ("LEEF:2.0|V|P|1|7|;|", ";"),
    ],
    ids=range(14),
)
def test_attributes_are_told_apart_by_any_delimiter(header: str, between: str) -> None:
    pairs = between.join(("src=10.0.0.5", "dst=198.51.100.7", "usrName=SFA\\ana", "msg=con espacios", "dstPort=443"))
    for name in ("leef", "auto"):
        event = PARSERS[name](f"{header}{pairs}".encode(), CONTEXT)
        assert (event["source.ip"], event["destination.ip"], event["destination.port"]) == (
            "10.0.0.5",
            "198.51.100.7",
            443,
        )
        assert (event["user.name"], event["user.domain"]) == ("ana", "SFA")
        assert event["message"] == "con espacios"


@given(value=st.text(st.characters(exclude_characters="\t\r\n\x00", exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=80)
def test_a_value_passes_for_no_other_attribute(value: str) -> None:
    event = parse(f"LEEF:1.0|V|P|1|1|msg={value} src=203.0.113.66^dst=203.0.113.66\tsrc=10.0.0.5\tdst=198.51.100.7")
    assert (event["source.ip"], event["destination.ip"]) == ("10.0.0.5", "198.51.100.7")


def test_what_a_firewall_refused_was_done_and_what_a_person_was_refused_was_not() -> None:
    event = parse("LEEF:2.0|V|P|1|Drop|src=10.0.0.5\tdst=198.51.100.7")
    assert (event["event.action"], event["event.outcome"], event["event.type"]) == (
        "drop",
        "success",
        ["connection", "denied"],
    )
    event = parse("LEEF:2.0|V|P|1|Login|cat=Failed\tusrName=ana")
    assert (event["event.outcome"], event["event.category"]) == ("failure", ["authentication"])
