from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.event import Event
from collectors.base import Context
from collectors.parsers.dhcp import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)


def parse(text: str) -> Event:
    return FORMAT.parse(text.encode(), CONTEXT)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_no_name_of_a_client_chooses_its_address(name: str) -> None:
    event = parse(f"<30>Nov 22 13:34:00 ns1 dhcpd[8]: DHCPACK on 10.0.0.55 to 00:00:5e:00:53:02 ({name}) via eth0")
    assert event.get("source.ip", "10.0.0.55") == "10.0.0.55"
    assert event.get("source.mac", "00-00-5E-00-53-02") == "00-00-5E-00-53-02"


def test_messages_with_and_without_names_and_relays() -> None:
    for name in ("", "(pc1) "):
        for via, field in (("eth0", "observer.ingress.interface.name"), ("10.0.20.1", "almena.dhcp.relay")):
            event = parse(f"DHCPACK on 10.0.0.55 to 00:00:5e:00:53:02 {name}via {via}")
            assert (event["source.ip"], event[field], event["event.action"]) == ("10.0.0.55", via, "DHCPACK")
