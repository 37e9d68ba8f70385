from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.dnsmasq import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(st.text(st.sampled_from("abc.-_()'/\\032\"#:@"), min_size=1, max_size=40))
def test_no_name_chooses_the_client(name: str) -> None:
    event = parse(f"Nov 22 13:34:00 dnsmasq[8]: query[A] {name} from 10.0.0.5")
    assert (event["source.ip"], event["dns.question.type"]) == ("10.0.0.5", "A")
    event = parse(f"Nov 22 13:34:00 dnsmasq[8]: 7 10.0.0.5/5353 gravity blocked {name} is 0.0.0.0")
    assert (event["source.ip"], event["event.action"]) == ("10.0.0.5", "blocked")


def test_answers_are_addresses_or_names() -> None:
    event = parse("Nov 22 13:34:00 dnsmasq[8]: reply www.example.org is 203.0.113.9")
    assert event["dns.resolved_ip"] == ["203.0.113.9"]
    event = parse("Nov 22 13:34:00 dnsmasq[8]: reply 203.0.113.9 is www.example.org")
    assert event["dns.answers.data"] == ["www.example.org"]
    assert "dns.resolved_ip" not in event
