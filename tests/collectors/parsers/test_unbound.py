from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.unbound import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(st.text(st.sampled_from("abc.-_()'/\\032\"#:@"), min_size=1, max_size=40))
def test_no_name_chooses_the_client(name: str) -> None:
    event = parse(f"[1795376040] unbound[811:0] info: 10.0.0.5 {name}. A IN NOERROR 0.1 0 50")
    assert (event["source.ip"], event["dns.question.type"], event["dns.response_code"]) == ("10.0.0.5", "A", "NOERROR")


def test_replies_may_tell_transport_and_server() -> None:
    event = parse("[1795376040] unbound[811:0] info: 10.0.0.5 a. A IN NOERROR 0.1 0 50 tcp 192.0.2.53")
    assert (event["network.transport"], event["destination.ip"]) == ("tcp", "192.0.2.53")
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"
