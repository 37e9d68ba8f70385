from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.mikrotik import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(TEXT)
def test_no_user_name_chooses_the_address_of_a_failed_login(name: str) -> None:
    event = parse(f"system,error,critical login failure for user {name} from 203.0.113.9 via ssh")
    if "source.ip" in event:
        assert event["source.ip"] == "203.0.113.9"
    assert event.get("event.outcome") != "success"


@given(st.sampled_from(["firewall", "system", "dhcp", "ppp", "ipsec", "wireless", "hotspot", "dns", "script"]), TEXT)
def test_any_text_behind_topics_is_an_event(topic: str, text: str) -> None:
    assert parse(f"{topic},info x{text}")["almena.mikrotik.topics"] == [topic, "info"]


def test_a_prefix_tells_what_was_done() -> None:
    ends = "in:ether1 out:(unknown 0), proto TCP (SYN), 203.0.113.9:4444->192.0.2.1:23, len 60"
    assert "event.action" not in parse(f"firewall,info input: {ends}")
    for prefix, action in (("[DROP]", "drop"), ("ACCEPT web", "accept"), ("fw: reject", "reject"), ("x", None)):
        event = parse(f"firewall,info {prefix} input: {ends}")
        assert event.get("event.action") == action
        assert (event["source.port"], event["destination.port"], event["rule.ruleset"]) == (4444, 23, "input")


def test_lines_with_a_header_are_recognised() -> None:
    for line in (
        "<30>Nov 22 13:34:00 gw system,info,account user ana logged in from 10.0.0.9 via winbox",
        "Nov 22 13:34:00 system,info,account user ana logged in from 10.0.0.9 via winbox",
        "<30>system,info,account user ana logged in from 10.0.0.9 via winbox",
        "<30>Nov 22 13:34:00 gw system,info,account: user ana logged in from 10.0.0.9 via winbox",
    ):
        event = PARSERS["syslog"](line.encode(), CONTEXT)
        assert (event["event.dataset"], event["user.name"]) == ("mikrotik.routeros", "ana")
