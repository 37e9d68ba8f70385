"""HAProxy's lines: times of any fraction and zone, and clients that write what looks like the rest of the line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000, zone="America/Mexico_City")
READ = PARSERS["haproxy"]
REST = 'f b/s 0/0/0/1/{total} 200 5 - - ---- 1/1/0/0/0 0/0 "{request}"'


def line(when: str, request: str = "GET / HTTP/1.1", total: str = "1") -> bytes:
    return f"203.0.113.9:51022 [22/Nov/2026:{when}] {REST.format(request=request, total=total)}".encode()


def test_times_have_any_fraction_and_may_say_their_zone() -> None:
    for when, expected in (
        ("13:34:00", "19:34:00.000000Z"),
        ("13:34:00.123", "19:34:00.123000Z"),
        ("13:34:00.123456", "19:34:00.123456Z"),
        ("13:34:00 +0000", "13:34:00.000000Z"),
        ("13:34:00.5 -0500", "18:34:00.500000Z"),
    ):
        assert READ(line(when), CONTEXT)["@timestamp"] == f"2026-11-22T{expected}"


def test_a_connection_that_is_still_logged_early_has_a_total_with_a_plus() -> None:
    assert READ(line("13:34:00", total="+250"), CONTEXT)["event.duration"] == 250_000_000


def test_a_request_that_was_cut_is_an_event() -> None:
    event = READ(line("13:34:00", "GET /" + "x" * 900)[:-1], CONTEXT)
    assert event["http.request.method"] == "GET"
    assert event["url.path"].startswith("/xxx")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_a_request_moves_no_other_field(request: str) -> None:
    event = READ(line("13:34:00", request), CONTEXT)
    assert event["source.ip"] == "203.0.113.9"
    assert event["source.port"] == 51022
    assert event["http.response.status_code"] == 200
    assert event["almena.haproxy.backend"] == "b"
