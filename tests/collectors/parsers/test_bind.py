from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.bind import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
BEFORE = "22-Nov-2026 13:34:00.123 "


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@pytest.mark.parametrize(
    "before", ["", BEFORE, "queries: info: ", BEFORE + "queries: ", BEFORE + "info: ", "2026-11-22T13:34:00.123-06:00 "]
)
@pytest.mark.parametrize("client", ["client @0x7f1c2c00 10.0.0.5#5353 (a.example)", "client 10.0.0.5#5353"])
@pytest.mark.parametrize("view", ["", "view interna: "])
def test_queries_of_every_version_and_option(before: str, client: str, view: str) -> None:
    event = parse(f"{before}{client}: {view}query: a.example IN A + (192.0.2.53)")
    assert (event["source.ip"], event["source.port"], event["destination.ip"]) == ("10.0.0.5", 5353, "192.0.2.53")
    assert (event["dns.question.name"], event["dns.question.type"]) == ("a.example", "A")


NAMES = st.text(st.sampled_from("abc.-_()'/\\032\"#:"), min_size=1, max_size=40)


@given(NAMES)
def test_no_name_chooses_the_client(name: str) -> None:
    event = parse(f"{BEFORE}queries: info: client @0x1 10.0.0.5#5353 ({name}): query: {name} IN A + (192.0.2.53)")
    assert (event["source.ip"], event["source.port"]) == ("10.0.0.5", 5353)


def test_flags_tell_the_transport() -> None:
    for flags, transport in (("+", "udp"), ("+T", "tcp"), ("-E(0)T", "tcp"), ("+E(0)K", "udp"), ("+SE(0)TDC", "tcp")):
        event = parse(f"client 10.0.0.5#5353 (a): query: a IN A {flags} (192.0.2.53)")
        assert event["network.transport"] == transport
