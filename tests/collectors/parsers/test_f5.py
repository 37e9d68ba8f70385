from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.f5 import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(TEXT)
def test_no_request_chooses_the_ends(query: str) -> None:
    query = query.replace("\\", "\\\\").replace('"', '\\"')
    event = parse(
        f'ASM:request_status="blocked",ip_client="203.0.113.9",query_string="{query}",src_port="4444",dest_ip="192.0.2.1"'
    )
    assert (event["source.ip"], event["source.port"], event["destination.ip"]) == ("203.0.113.9", 4444, "192.0.2.1")
    assert (event["event.action"], event["event.outcome"]) == ("blocked", "failure")


@given(TEXT)
def test_no_user_name_turns_a_failed_login_into_one(name: str) -> None:
    event = parse(f"err httpd[811]: [error] [client 203.0.113.9] AUTHCACHE PAM: user '{name}' - not authenticated: no")
    assert (event["source.ip"], event["event.outcome"]) == ("203.0.113.9", "failure")


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-11-22 13:34:00", "2026-11-22T19:34:00.000000Z"),
        ("Nov 22 2026 13:34:00", "2026-11-22T19:34:00.000000Z"),
        ("yesterday", "2026-11-22T19:34:00.000000Z"),
        ("2026-02-31 13:34:00", "2026-11-22T19:34:00.000000Z"),
    ],
)
def test_times_of_records(written: str, time: str) -> None:
    event = parse(f'ASM:request_status="passed",ip_client="203.0.113.9",date_time="{written}"')
    assert event["@timestamp"] == time
