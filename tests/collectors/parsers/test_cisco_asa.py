from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.cisco_asa import FORMAT, MESSAGES, duration

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0:00:30", 30), ("25:10:01", 90_601), ("1h:02m:03s", 3_723), ("1h2m3s", 3_723), ("x", None)],
)
def test_durations(written: str, seconds: int | None) -> None:
    assert duration(written) == (None if seconds is None else seconds * 1_000_000_000)


def test_who_opens_an_outbound_connection_is_its_source() -> None:
    event = parse(
        "%ASA-6-302013: Built outbound TCP connection 1 for o:203.0.113.9/443 (203.0.113.9/443)"
        " to i:10.0.0.5/99 (192.0.2.1/99)"
    )
    assert (event["source.ip"], event["source.port"], event["source.nat.ip"]) == ("10.0.0.5", 99, "192.0.2.1")
    assert (event["destination.ip"], event["observer.egress.interface.name"]) == ("203.0.113.9", "o")
    assert "destination.nat.ip" not in event


@given(TEXT)
def test_no_user_name_chooses_the_address(name: str) -> None:
    event = parse(
        "%ASA-6-113005: AAA user authentication Rejected : reason = x : server = 10.0.0.2"
        f" : user = {name} : user IP = 203.0.113.9"
    )
    assert event["source.ip"] == "203.0.113.9"
    assert event["event.outcome"] == "failure"


@given(TEXT)
def test_no_user_name_turns_a_refused_login_into_one(name: str) -> None:
    event = parse(f'%ASA-6-605004: Login denied from 203.0.113.9/4444 to outside:198.51.100.1/ssh for user "{name}"')
    assert (event["source.ip"], event["event.action"], event["event.outcome"]) == (
        "203.0.113.9",
        "logon-failed",
        "failure",
    )


@given(st.sampled_from(sorted(MESSAGES)), TEXT)
def test_any_text_of_a_known_message_is_an_event(number: str, text: str) -> None:
    event = parse(f"%ASA-6-{number}: {text}")
    assert event["event.code"] == number
    assert event["event.dataset"] == "cisco.asa"


def test_what_is_not_known_gives_what_is_common() -> None:
    event = parse("%ASA-4-999001: Something odd for user 'ana' from outside:203.0.113.9/77 to inside:10.0.0.5/80 again")
    assert (event["user.name"], event["source.ip"], event["destination.port"]) == ("ana", "203.0.113.9", 80)
    event = parse("%ASA-3-713123: Group = vpn, Username = luis, IP = 203.0.113.9, IKE lost contact with remote peer")
    assert (event["user.name"], event["source.ip"]) == ("luis", "203.0.113.9")
