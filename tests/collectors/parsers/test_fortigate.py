"""Times, ends and sign-ins of FortiOS: what stands in one field in one record and in another in the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers import PARSERS, fortigate_traffic
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
    assert event["event.start"] == "2026-11-22T19:33:59.123456Z"


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


SESSION = (
    'date={date} time={clock} devname="FG1" devid="FG100" eventtime={stamp} tz="{zone}" logid="0000000013"'
    ' type="traffic" subtype="forward" level="notice" vd="root" srcip={source} srcport={port} dstip={source}'
    ' dstport={port} sessionid=9 proto=6 action="{word}" policyid=4 service="{word}" transip={source} transport={port}'
    ' duration={count} sentbyte={count} rcvdbyte={count} sentpkt={count} app="{word}"{more}'
)
USUAL = {
    "date": "2026-11-22", "clock": "13:34:00", "stamp": "1795376039123456789", "zone": "-0600", "source": "10.20.0.5",
    "port": "443", "count": "70", "word": "close", "more": ' srcname="pc-1"',
}  # fmt: skip
WORDS = st.sampled_from(("close", "deny", "N/A", "", "a b", 'a\\"b', "ñ", "none", "x" * 300)) | st.text(max_size=8)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "date": st.sampled_from(("2026-11-22", "2026-13-40", "x")),
        "clock": st.sampled_from(("13:34:00", "25:00:00", "")),
        "stamp": st.sampled_from(("1795376039", "1795376039123", "1795376039123456", "9" * 19, "9" * 20, "x")),
        "zone": st.sampled_from(("", "+0530", "UTC-6:00")),
        "source": st.sampled_from(("0.0.0.0", "::1", "2001:db8::1", "1.2.3", "N/A", "", "::ffff:10.0.0.1")),
        "port": st.sampled_from(("0", "70000", "99999999", "", "N/A")),
        "count": st.sampled_from(("0", "9" * 15, "9" * 17, "-1", "")),
        "word": WORDS,
        "more": st.sampled_from(("", " srcname=pc-2", " remip=203.0.113.9", ' srcname="a', ' user="ana" srcname=x')),
    },
)


def learned() -> None:
    for _ in range(40):
        read(SESSION.format_map(USUAL))


@given(ODD)
def test_what_is_read_by_its_shape_is_what_its_pairs_say(odd: dict[str, str]) -> None:
    learned()
    line = SESSION.format_map(USUAL | odd)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fortigate_traffic, "read", lambda *_: False)
        patch.setattr(fortigate_traffic, "learn", lambda *_: None)
        expected = outcome(line)
    assert outcome(line) == expected
    assert outcome(line) == expected, "what was remembered says the same"


def outcome(line: str) -> dict[str, object] | str:
    try:
        return read(line)
    except ParseError as error:
        return str(error)


def test_a_session_like_those_before_is_read_by_its_shape() -> None:
    learned()
    event = fortigate_traffic.read(SESSION.format_map(USUAL), {}, Context(received=RECEIVED), lambda *_: None)
    assert event, "no shape was learned"


def test_an_event_that_is_changed_changes_none_of_the_same_shape() -> None:
    learned()
    line = SESSION.format_map(USUAL)
    expected = read(line)
    for value in read(line).values():
        if isinstance(value, list):
            value.append("changed")
    assert read(line) == expected
