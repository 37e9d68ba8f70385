from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from collectors.base import Context
from collectors.recognition import Recogniser

NOW = 1_795_376_040_000_000
SSH = b"<38>Nov 22 13:34:00 web1 sshd[811]: Failed password for root from 192.0.2.7 port 51022 ssh2"
WEB = b'203.0.113.9 - - [22/Nov/2026:13:33:59 -0600] "GET /pagos HTTP/1.1" 200 512 "-" "curl/8.5.0"'


def context(source: str = "edge") -> Context:
    return Context(received=NOW, source=source)


def test_a_source_is_told_once_by_what_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    recogniser = Recogniser()
    for number in range(300):
        event = recogniser(WEB if number % 10 else SSH, context())
        assert event["event.module"] == ("nginx" if number % 10 else "sshd")
    assert [record.message for record in caplog.records] == [
        "edge: 90 of 100 records are of the format nginx; 'parser = \"nginx\"' says so for good"
    ]


def test_sources_are_told_apart() -> None:
    recogniser = Recogniser()
    for _ in range(150):
        assert recogniser(WEB, context("web"))["event.module"] == "nginx"
        assert recogniser(SSH, context("linux"))["event.module"] == "sshd"


def test_what_is_unknown_is_kept_whole_under_its_template() -> None:
    recogniser = Recogniser()
    lines = [f"conveyor {number} moved to dock {number * 7}".encode() for number in range(5)]
    events = [recogniser(line, context()) for line in lines]
    assert [event["event.original"].encode() for event in events] == lines
    assert {event["event.dataset"] for event in events} == {"unknown"}
    assert events[-1]["almena.template"] == "conveyor <*> moved to dock <*>"


def test_templates_are_bounded() -> None:
    recogniser = Recogniser()
    for number in range(2_000):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        event = recogniser(f"{word} {word * 3} {'x ' * number}".encode(), context())
        assert len(event["almena.template"]) <= 1_024
    miner = recogniser._sources["edge"]._miner
    assert miner is not None
    assert len(miner.drain.clusters) <= 256


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_unless_they_are_no_text(raw: bytes) -> None:
    try:
        event = Recogniser()(raw, context())
    except ParseError as error:
        assert error.reason in ("empty line", "UTF-16 text; let the sender write UTF-8")  # noqa: PT017 - any other fails
    else:
        assert event["event.dataset"]
