from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from collectors.parsers.accesslog import convert


def nginx_escape(value: str) -> str:
    """As nginx writes a variable: quotes, backslashes, controls and bytes beyond ASCII as `\\xNN`."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}" for byte in value.encode("utf-8")
    )


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(ANY, ANY, ANY, st.integers(100, 599), st.integers(0, 10**12))
def test_no_client_can_forge_a_field(user: str, query: str, agent: str, status: int, size: int) -> None:
    line = (
        f"203.0.113.9 - {nginx_escape(user) or '-'} [22/Nov/2026:13:34:00 -0600] "
        f'"GET /x?{nginx_escape(query)} HTTP/1.1" {status} {size} "-" "{nginx_escape(agent)}"'
    )
    event = convert(line, "nginx.access", durations=True)
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    assert event["source.ip"] == "203.0.113.9"
    assert event["http.response.status_code"] == status
    assert event["http.response.body.bytes"] == size
    assert event["url.query"] == query
    assert event.get("user_agent.original", "") == ("" if agent == "-" else agent)
    assert event.get("user.name", "") == ("" if user == "-" else user)
    assert event["event.outcome"] == ("failure" if status >= 400 else "success")


@given(st.binary(min_size=1, max_size=60))
def test_garbage_requests_are_events(request_bytes: bytes) -> None:
    written = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}" for byte in request_bytes
    )
    event = convert(
        f'203.0.113.9 - - [22/Nov/2026:13:34:00 -0600] "{written}" 400 0 "-" "-"', "nginx.access", durations=True
    )
    assert event["http.response.status_code"] == 400


def test_zones_east_and_west() -> None:
    for zone, hour in (("+0530", "08"), ("-0600", "19"), ("+0000", "13")):
        line = f'1.1.1.1 - - [22/Nov/2026:13:34:00 {zone}] "GET / HTTP/1.1" 200 1'
        assert convert(line, "apache.access", durations=False)["@timestamp"][11:13] == hour


def test_a_date_that_does_not_exist_is_a_parse_error() -> None:
    with pytest.raises(ParseError):
        convert('1.1.1.1 - - [30/Feb/2026:13:34:00 +0000] "GET / HTTP/1.1" 200 1', "apache.access", durations=False)
