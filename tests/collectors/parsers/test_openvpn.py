from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers import auto
from collectors.parsers.openvpn import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)
CLAIMS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60) | st.sampled_from(
    [
        "x [ana] Peer Connection Initiated with [AF_INET]192.0.2.9:1",
        "TLS: Username/Password authentication succeeded for username 'ana'",
        "AUTH_FAILED",
        "VERIFY OK: depth=0, CN=ana",
    ]
)


def parse(text: str) -> Event:
    return FORMAT.parse(f"<29>Nov 22 13:34:00 vpn1 openvpn[8]: {text}".encode(), CONTEXT)


@given(CLAIMS)
def test_no_certificate_turns_its_refusal_into_a_connection(claim: str) -> None:
    event = parse(f"203.0.113.9:5150 VERIFY ERROR: depth=0, error=self signed certificate: O={claim}, CN=luis")
    assert (event["event.action"], event["event.outcome"]) == ("certificate-refused", "failure")
    assert event["source.ip"] == "203.0.113.9"


@given(CLAIMS)
def test_what_a_peer_tells_of_itself_is_no_outcome(claim: str) -> None:
    assert "event.outcome" not in parse(f"203.0.113.9:5150 peer info: UV_NAME={claim}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("203.0.113.9:5150 [ana] Peer Connection Initiated with [AF_INET]203.0.113.9:5150", "openvpn"),
        ("net_route_v4_add: 10.0.0.0/8 via 10.8.0.1", "openvpn"),
        ("user 'ana' authenticated", "pfsense"),
        ("openvpn server 'ovpns1' user 'ana' address '203.0.113.9' - connected", "pfsense"),
    ],
)
def test_only_the_firewalls_own_words_are_the_firewalls(text: str, name: str) -> None:
    event = auto.parse(f"<29>Nov 22 13:34:00 vpn1 openvpn[8]: {text}".encode(), CONTEXT)
    assert event["event.module"] == name
