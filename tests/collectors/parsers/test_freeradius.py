from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.freeradius import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
BEFORE = "Sun Nov 22 13:34:00 2026 : Auth: (1) "
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(NAMES | st.just("x] (from client a port 0) Login OK: [y"))
def test_no_user_name_turns_a_refusal_into_a_login(name: str) -> None:
    event = parse(f"{BEFORE}Login incorrect (x): [{name}] (from client ap1 port 0 cli 00-00-5E-00-53-02)")
    assert (event["event.outcome"], event["almena.radius.client"]) == ("failure", "ap1")
    assert event["source.mac"] == "00-00-5E-00-53-02"


@pytest.mark.parametrize(
    ("written", "user"),
    [
        ("ana", "ana"),
        ("ana/secreta", "ana"),
        ("ana/<via Auth-Type = eap>", "ana"),
        ("a/b/<CHAP-Password>", "a/b"),
        ("host/pc1.example", "host/pc1.example"),
    ],
)
def test_passwords_and_ways_are_no_part_of_a_name(written: str, user: str) -> None:
    assert parse(f"{BEFORE}Login OK: [{written}] (from client ap1 port 0)")["user.name"] == user
