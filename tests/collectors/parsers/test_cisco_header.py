from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import cisco_header, header

CONTEXT = Context(received=1_795_376_040_000_000)  # 2026-11-22T19:34:00Z
NOON = "2026-11-22T19:34:00.000000Z"
UTC = "2026-11-22T13:34:00.000000Z"


def read(line: str) -> tuple[Event, str]:
    event: Event = {}
    at = header.read(line, event, CONTEXT, lambda line, at: False)
    return event, line[at:]


@pytest.mark.parametrize(
    ("before", "time", "host", "sequence"),
    [
        ("<166>", NOON, None, None),
        ("<166>: ", NOON, None, None),
        ("<166>:Nov 22 13:34:00 UTC: ", UTC, None, None),
        ("<166>Nov 22 2026 13:34:00: ", NOON, None, None),
        ("<166>Nov 22 2026 13:34:00 fw1 : ", NOON, "fw1", None),
        ("<166>Nov 22 2026 13:34:00 CST fw1 : ", NOON, "fw1", None),
        ("<166>Nov 22 2026 13:34:00 UTC fw1/uno : ", UTC, "fw1/uno", None),
        ("<166>Nov 22 13:33:59 192.0.2.1 Nov 22 2026 13:34:00: ", NOON, "192.0.2.1", None),
        ("<166>Nov 22 13:33:59 192.0.2.1 Nov 22 2026 13:34:00 fw1 : ", NOON, "fw1", None),
        ("<166>Nov 22 13:34:00 CORE: ", NOON, "CORE", None),
        ("<166>2026-11-22T19:34:00Z fw1 : ", NOON, "fw1", None),
        ("<113>2026-11-22T19:34:00Z fw1  ", NOON, "fw1", None),
        ("<166>Sun Nov 22 13:34:00 2026: ", NOON, None, None),
        ("2026-11-22T13:34:00.000-06:00 fw1 ", NOON, "fw1", None),
        ("<189>123: ", NOON, None, 123),
        ("<189>123: *Nov 22 13:34:00: ", NOON, None, 123),
        ("<189>123: 000045: sw1: .Nov 22 13:34:00.000 CST: ", NOON, "sw1", 45),
        ("<189>123: sw1: 000045: Nov 22 2026 13:34:00 EST: ", "2026-11-22T18:34:00.000000Z", "sw1", 45),
        ("<189>Nov 22 13:33:58 192.0.2.9 123: Nov 22 19:34:00.000 UTC: ", NOON, "192.0.2.9", 123),
        ("<189>123: *Nov 22 13:34:00.000 XYZ: ", NOON, None, 123),
        ("<189>123: Nov 22 13:34:00.000 UTC-6: ", NOON, None, 123),
        ("<189>123: 1d02h: ", NOON, None, 123),
        ("00:01:23: ", NOON, None, None),
        ("000123: Nov 22 13:34:00: ", NOON, None, 123),
        ("<189>: 2026 Nov 22 13:34:00.000 CST: ", NOON, None, None),
        ("<189>Nov 22 13:34:00 n9k : 2026 Nov 22 13:34:00 UTC: %$VDC-1%$ ", UTC, "n9k", None),
        ("<188>WLC1: *spamApTask0: Nov 22 13:34:00.000: ", NOON, "WLC1", None),
        ("<187>123: xr1 RP/0/RSP0/CPU0:Nov 22 13:34:00.000 : config[657]: ", NOON, "xr1", 123),
        ("<187>2001:db8::1 Nov 22 13:34:00: ", NOON, "2001:db8::1", None),
    ],
)
def test_what_stands_before_the_mark(before: str, time: str, host: str | None, sequence: int | None) -> None:
    event, message = read(before + "%SYS-5-CONFIG_I: Configured")
    assert message == "%SYS-5-CONFIG_I: Configured"
    assert event["event.code"] == "SYS-5-CONFIG_I"
    assert (event["@timestamp"], event.get("host.name"), event.get("event.sequence")) == (time, host, sequence)
    assert header.begins(before + "%SYS-5-CONFIG_I: Configured")


@pytest.mark.parametrize(
    "line",
    [
        "<38>Nov 22 13:34:00 web1 sshd[811]: Invalid user %ASA-6-605005: Login from 192.0.2.7",
        "<38>Nov 22 13:34:00 web1 app: they said %ASA-6-605005: Login",
        "<38>Nov 22 13:34:00 web1 app: 100%ASA-6-605005: Login",
    ],
)
def test_a_mark_inside_of_a_message_is_none(line: str) -> None:
    event, message = read(line)
    assert "event.code" not in event
    assert event["host.name"] == "web1"
    assert not message.startswith("%")


def test_no_line_of_another_format_is_taken_for_one_with_a_header() -> None:
    line = '192.0.2.7 - - [22/Nov/2026:13:34:00 -0600] "GET /?a=%ASA-6-1: HTTP/1.1" 200 1'
    assert not header.begins(line)
    assert cisco_header.find("x" * 400 + "%ASA-6-1: x") is None


@pytest.mark.parametrize("line", ["<189>Nov 31 13:34:00: %A-5-B: x", "<189>Xyz 22 13:34:00: %A-5-B: x"])
def test_a_time_that_does_not_exist_is_refused(line: str) -> None:
    with pytest.raises(ParseError):
        read(line)


@given(st.text(max_size=80))
def test_any_text_before_a_mark_is_read_or_left(before: str) -> None:
    event: Event = {}
    try:
        at = cisco_header.read(before + " %SYS-5-CONFIG_I: x", 0, event, CONTEXT, lambda *_: 0)
    except ParseError:
        return
    assert at == -1 or "%SYS" in (before + " %SYS-5-CONFIG_I: x")[at:]
    assert at >= 0 or not event
