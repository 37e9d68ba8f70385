"""What the samples of Check Point's Log Exporter cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)
HEAD = "<134>1 2026-11-22T19:34:02Z gw1 CheckPoint 1930 - "


def parse(body: str) -> Event:
    return PARSERS["checkpoint"](f"{HEAD}{body}".encode(), CONTEXT)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1795376040", "2026-11-22T19:34:00.000000Z"),
        ("1795376040123", "2026-11-22T19:34:00.123000Z"),
        ("2026-11-22T13:34:00-06:00", "2026-11-22T19:34:00.000000Z"),
        ("ayer", "2026-11-22T19:34:02.000000Z"),
        ("2026-13-40T99:00:00Z", "2026-11-22T19:34:02.000000Z"),
    ],
    ids=["seconds", "milliseconds", "offset", "words", "no such time"],
)
def test_its_own_time_is_better_than_the_headers(written: str, expected: str) -> None:
    assert parse(f'[action:"Accept"; time:"{written}"; src:"10.0.0.5"]')["@timestamp"] == expected


def test_what_a_value_says_is_no_field() -> None:
    event = parse(r'[action:"Drop"; resource:"/a\"; src:\"203.0.113.66\"; x"; src:"10.0.0.5"; user:"ana"]')
    assert event["source.ip"] == "10.0.0.5"
    assert event["event.action"] == "Drop"


@given(value=st.text(max_size=60))
@settings(max_examples=60)
def test_an_escaped_value_passes_for_nothing_else(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
    event = parse(f'[action:"Drop"; user_agent:"{quoted}"; src:"10.0.0.5"; dst:"198.51.100.7"]')
    assert (event["source.ip"], event["destination.ip"], event["event.action"]) == ("10.0.0.5", "198.51.100.7", "Drop")


def test_the_domain_of_the_management_is_no_question() -> None:
    event = parse('[administrator:"ana"; client_ip:"10.0.0.5"; domain_name:"\'SMC\'"; operation:"Publish"]')
    assert "dns.question.name" not in event
    assert event["user.domain"] == "smc"


def test_every_form_is_recognised_without_a_parser_named() -> None:
    for body in (
        f'{HEAD}[action:"Drop"; src:"10.0.0.5"]',
        f'{HEAD}[Action="Drop"; src="10.0.0.5"]',
        f'{HEAD}{{"action":"Drop","loguid":"{{0x1}}","origin":"192.0.2.9","product":"x","src":"10.0.0.5"}}',
        '[action:"Drop"; src:"10.0.0.5"]',
        '<134>Nov 22 19:34:02 gw1 CheckPoint: [action:"Drop"; src:"10.0.0.5"]',
        "time=1795376040|hostname=gw1|product=x|action=Drop|src=10.0.0.5",
    ):
        event = PARSERS["auto"](body.encode(), CONTEXT)
        assert (event["event.dataset"], event["event.action"]) == ("checkpoint.firewall", "Drop"), body
        assert event["source.ip"] == "10.0.0.5"
