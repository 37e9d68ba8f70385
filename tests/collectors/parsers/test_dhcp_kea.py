from __future__ import annotations

from collectors.base import Context
from collectors.parsers.dhcp_kea import FORMAT

CONTEXT = Context(received=1_795_376_040_000_000)


def test_what_a_client_has_no_address_for_yet_has_no_source() -> None:
    line = (
        "2026-11-22 13:34:00.123 DEBUG [kea-dhcp4.packets/811] DHCP4_PACKET_RECEIVED [hwtype=1 00:00:5e:00:53:02],"
        " cid=[no info], tid=0x1: DHCPDISCOVER (type 1) received from 0.0.0.0 to 255.255.255.255 on interface eth0"
    )
    event = FORMAT.parse(line.encode(), CONTEXT)
    assert "source.ip" not in event
    assert event["destination.ip"] == "255.255.255.255"
    assert event["@timestamp"] == "2026-11-22T19:34:00.123000Z"


def test_the_log_for_the_law_has_its_own_time() -> None:
    line = (
        "2026-11-21 13:34:00 CST Address: 10.0.0.55 has been released from a device with hardware address:"
        " hwtype=1 00:00:5e:00:53:02, client-id: 01"
    )
    event = FORMAT.parse(line.encode(), CONTEXT)
    assert (event["event.action"], event["source.ip"]) == ("lease-released", "10.0.0.55")
    assert event["@timestamp"] == "2026-11-21T19:34:00.000000Z"
