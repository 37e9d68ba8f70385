from __future__ import annotations

from collectors.base import Context
from collectors.parsers.nginx import FORMAT

parse = FORMAT.parse


def test_error_times_are_in_the_zone_of_the_source() -> None:
    line = b'2026/11/22 13:34:00 [error] 8#8: *5 x, client: 203.0.113.9, server: _, request: "GET /a?b HTTP/1.1"'
    assert parse(line, Context(received=0))["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    event = parse(line, Context(received=0, zone="UTC"))
    assert event["@timestamp"] == "2026-11-22T13:34:00.000000Z"
    assert (event["source.ip"], event["url.path"], event["url.query"]) == ("203.0.113.9", "/a", "b")


def test_the_time_a_request_took_is_in_nanoseconds() -> None:
    line = b'1.1.1.1 - - [22/Nov/2026:13:34:00 -0600] "GET / HTTP/1.1" 200 1 "-" "-" 0.250'
    assert parse(line, Context(received=0))["event.duration"] == 250_000_000
