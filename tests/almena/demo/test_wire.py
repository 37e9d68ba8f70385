"""What goes over the wire is what the real parsers read back, at the moment it happened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import SECOND, parse_time
from almena.demo.wire import Body, Line, Request, Windows, render
from almena.event import Event, event_time
from collectors.base import Context
from collectors.parsers import PARSERS

MOMENTS = st.integers(parse_time("2026-01-01T00:00:00Z"), parse_time("2027-12-31T00:00:00Z"))


def read(body: Body, source: str, parser: str, time: int) -> Event:
    data, _ = render(body, source, time, 7)
    return PARSERS[parser](data, Context(received=time, source=source))


@given(MOMENTS)
def test_an_application_tells_the_microsecond_in_its_own_zone(time: int) -> None:
    event = read({"event.action": "line_paid", "almena.payment.line": "L1"}, "payments", "app", time)
    assert event_time(event) == time
    assert event["event.dataset"] == "app.payments"
    assert event["event.outcome"] == "success"
    assert render({"event.action": "line_paid"}, "payments", time, 7)[0].count(b"-06:00") == 1


@given(MOMENTS)
def test_windows_tells_the_millisecond_as_winlogbeat_does(time: int) -> None:
    event = read(Windows(4625, {"TargetUserName": "ana", "IpAddress": "10.20.8.4"}, "DC"), "windows", "windows", time)
    assert 0 <= time - event_time(event) < SECOND // 1000
    assert (event["event.dataset"], event["event.code"], event["source.ip"]) == (
        "windows.security",
        "4625",
        "10.20.8.4",
    )
    assert event["winlog.event_data.TargetUserName"] == "ana"


@given(MOMENTS, st.sampled_from(["/", "/tramites/buscar?folio=1%27", "/uploads/a.php?c=id"]))
def test_the_access_log_tells_the_second(time: int, target: str) -> None:
    event = read(Request("203.0.113.9", target, 404, 12, "curl/8.5.0"), "portal-nginx", "nginx", time)
    assert 0 <= time - event_time(event) < SECOND
    assert (event["url.original"], event["http.response.status_code"]) == (target, 404)
    assert (event["source.ip"], event["user_agent.original"]) == ("203.0.113.9", "curl/8.5.0")


@pytest.mark.parametrize(("source", "precision"), [("servers-udp", SECOND), ("servers-tcp", 1)])
@given(time=MOMENTS)
def test_syslog_comes_in_the_old_and_the_new_form(source: str, precision: int, time: int) -> None:
    line = Line("portal-web-01", "sshd", "Failed password for root from 203.0.113.9 port 22 ssh2", 811)
    event = read(line, source, "syslog", time)
    assert 0 <= time - event_time(event) < precision
    assert (event["process.name"], event["host.name"], event["user.name"]) == ("sshd", "portal-web-01", "root")
    assert (event["event.outcome"], event["source.ip"]) == ("failure", "203.0.113.9")


def test_bytes_stay_as_they_are_and_have_no_id() -> None:
    assert render(b"\xff broken", "payments", 0, 7) == (b"\xff broken", "")
