from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.juniper_srx import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)
NEW = "<14>1 2026-11-22T13:34:00.123-06:00 srx1"


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


def test_both_ways_of_writing_say_the_same() -> None:
    structured = parse(
        f'{NEW} RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.129 source-address="203.0.113.9" source-port="4444"'
        ' destination-address="10.0.0.5" destination-port="23" service-name="junos-telnet" protocol-id="6"'
        ' policy-name="p" source-zone-name="untrust" destination-zone-name="trust"]'
    )
    sentence = parse(
        "<14>2026-11-22T13:34:00.123-06:00 srx1 RT_FLOW: RT_FLOW_SESSION_DENY: session denied "
        "203.0.113.9/4444->10.0.0.5/23 junos-telnet 6(0) p untrust trust"
    )
    apart = ("message", "event.original", "log.syslog.msgid", "log.syslog.version")
    for name in apart:
        structured.pop(name, None)
        sentence.pop(name, None)
    assert structured == sentence


@given(TEXT)
def test_no_url_chooses_the_ends(url: str) -> None:
    url = url.replace('"', "").replace("\\", "").replace("]", "")
    event = parse(
        f'{NEW} RT_UTM - WEBFILTER_URL_BLOCKED [junos@2636.1 source-address="10.0.0.5"'
        f' destination-address="203.0.113.9" url="a.example/{url}"]'
    )
    assert (event["source.ip"], event["destination.ip"]) == ("10.0.0.5", "203.0.113.9")


@given(st.sampled_from(["RT_FLOW_SESSION_CLOSE", "RT_SCREEN_TCP", "IDP_ATTACK_LOG_EVENT", "UI_COMMIT", "KMD_X"]), TEXT)
def test_any_sentence_is_an_event(tag: str, text: str) -> None:
    event = parse(f"{tag}: x{text}")
    assert event["event.code"] == tag


def test_fields_of_the_header_are_not_kept_twice() -> None:
    event = parse(f'{NEW} RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.129 source-address="203.0.113.9"]')
    assert not any(name.startswith("log.syslog.structured_data") for name in event)
