"""Pairs of unknown programs: keys by any spelling, times of any kind, nothing taken for pairs that is not."""

from __future__ import annotations

import pytest

from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_041_000_000, zone="America/Mexico_City")


def read(line: str, parser: str = "keyvalue") -> Event:
    return PARSERS[parser](line.encode(), CONTEXT)


@pytest.mark.parametrize("key", ["src", "SRC", "src_ip", "SrcIP", "source.ip", "source-address", "client_ip"])
def test_a_key_has_many_spellings(key: str) -> None:
    event = read(f"level=info {key}=192.0.2.7 action=view")
    assert (event["source.ip"], event["source.address"]) == ("192.0.2.7", "192.0.2.7")


@pytest.mark.parametrize(
    "written",
    [
        "time=2026-11-22T19:34:00Z",
        'time="2026-11-22 13:34:00"',
        "ts=1795376040",
        "ts=1795376040000",
        "date=2026-11-22 time=13:34:00",
        "@timestamp=2026-11-22T13:34:00-06:00",
    ],
    ids=["utc", "local", "s", "ms", "two", "offset"],
)
def test_times(written: str) -> None:
    assert read(f"{written} a=1 b=2 c=3")["@timestamp"] == "2026-11-22T19:34:00.000000Z"


def test_a_time_that_is_none_is_not_an_error() -> None:
    assert read("time=soon a=1 b=2")["@timestamp"] == "2026-11-22T19:34:01.000000Z"


def test_a_quoted_value_forges_nothing() -> None:
    event = read('user=ana msg="x src=203.0.113.66 action=deny" src=192.0.2.7 action=allow src=198.51.100.9')
    assert (event["source.ip"], event["event.action"]) == ("192.0.2.7", "allow")


def test_inside_syslog_it_is_recognised_where_nobody_signs_for_it() -> None:
    line = "<134>Nov 22 13:34:00 gw9 portal[7]: usr=ana cip=192.0.2.7 act=login res=denied"
    for parser in ("syslog", "auto", "keyvalue"):
        event = read(line, parser)
        assert event["event.dataset"] == "keyvalue.log"
        assert (event["user.name"], event["event.outcome"], event["process.name"]) == ("ana", "failure", "portal")
    other = read("<134>Nov 22 13:34:00 gw9 portal[7]: a=1 b=2 and words c=3", "syslog")
    assert other["event.dataset"] == "system.syslog"
    with pytest.raises(ParseError):
        read("a=1 b=2 and words c=3")
