"""Datagrams of many vendors: against a second reader, and against values read from the bytes by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from corpora import corpus
from netflow_naive import Naive, expected

from almena.clock import parse_time
from almena.ecs import check
from almena.errors import ParseError
from almena.event import Event, encode
from collectors.base import Context
from collectors.netflow.decoder import Datagram, Decoder
from collectors.parsers import PARSERS

FLOWS = {
    "ipfix.dat": 12,
    "netflow5.dat": 2,
    "netflow9_cisco_asr1001x_tpl259.dat": 25,
    "netflow9_test_cisco_1941K9.dat": 29,
    "netflow9_test_cisco_asa_1_tpl.dat netflow9_test_cisco_asa_1_data.dat": 14,
    "netflow9_test_cisco_wlc_tpl.dat netflow9_test_cisco_wlc_data261.dat": 19,
    "netflow9_test_cisco_wlc_data261.dat netflow9_test_cisco_wlc_tpl.dat": 19,
    "netflow9_test_huawei_netstream_tpl.dat netflow9_test_huawei_netstream_data.dat": 1,
    "netflow9_test_invalid01.dat": 2,
    "netflow9_test_nprobe_dpi.dat": 1,
    "netflow9_test_paloalto_panos_tpl.dat netflow9_test_paloalto_panos_data.dat": 8,
    "netflow9_test_streamcore_tpl_data260.dat": 2,
    "ipfix_test_mikrotik_tpl.dat ipfix_test_mikrotik_data259.dat": 18,
}
"""Files in the order they came, and how many flows they hold."""

INVALID = ["netflow5_test_invalid01.dat", "netflow5_test_invalid02.dat"]


def folder() -> Path:
    return corpus("netflow")


def datagram(data: bytes) -> Datagram:
    return Datagram(data, "192.0.2.1", 2055, 1_795_376_040_000_000, 1.0)


def read(names: str, decoder: Decoder | None = None) -> list[Event]:
    decoder = decoder or Decoder(scale=False)
    return [
        event
        for name in names.split()
        for events in decoder.decode(datagram((folder() / name).read_bytes()))
        for event in events
    ]


@pytest.mark.parametrize("names", FLOWS)
def test_every_flow_says_what_a_second_reader_says(names: str) -> None:
    naive = Naive()
    for name in sorted(names.split(), key=lambda name: "tpl" not in name):
        list(naive.read((folder() / name).read_bytes()))
    told = [expected(*flow) for name in names.split() for flow in naive.read((folder() / name).read_bytes())]
    events = read(names)
    assert len(events) == len(told) == FLOWS[names]
    for event, values in zip(events, told, strict=True):
        seen: dict[str, Any] = {name: event.get(name) for name in values}
        for name in ("event.start", "event.end"):
            if name in values:
                seen[name] = parse_time(event[name])
        assert seen == values


@pytest.mark.parametrize("name", INVALID)
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(ParseError, match="another number of flows than it says"):
        read(name)


def test_no_file_harms_and_every_event_fits_the_schema_and_the_parser() -> None:
    decoder = Decoder()
    count = 0
    for path in sorted(folder().glob("*.dat")):
        if path.name not in INVALID:
            for event in read(path.name, decoder):
                assert "almena.misfit" not in check(event)
                assert PARSERS["flow"](encode(event), Context(received=1)) == event
                count += 1
    assert count > 100
    assert decoder.memory.waiting > 0, "some files have no template here"


def test_netflow_5_by_hand() -> None:
    """Header 00 05 00 02, uptime 0d35 = 3381 ms, 1430591888 s and 280328000 ns; first 02, last 0a08."""
    first, second = read("netflow5.dat")
    assert first["@timestamp"] == "2015-05-02T18:38:08.280328Z"
    assert (first["source.ip"], first["source.port"]) == ("10.0.2.2", 54_435)
    assert (first["destination.ip"], first["destination.port"]) == ("10.0.2.15", 22)
    assert (first["network.transport"], first["network.bytes"], first["network.packets"]) == ("tcp", 230, 5)
    assert first["almena.netflow.tcp_flags"] == ["ACK"]
    assert first["event.end"] == "2015-05-02T18:38:07.476328Z"
    assert (second["source.ip"], second["source.port"]) == ("10.0.2.15", 22)
    assert "source.as.number" not in first, "0 is no autonomous system"


def test_a_firewall_of_cisco_by_hand() -> None:
    """NSEL: connection 8500, ICMP from 192.168.14.1, torn down (event 2, extended 2025)."""
    event = read("netflow9_test_cisco_asa_1_tpl.dat netflow9_test_cisco_asa_1_data.dat")[0]
    assert event["almena.netflow.flow_id"] == "8500"
    assert (event["event.action"], event["event.type"]) == ("flow_deleted", ["connection", "end"])
    assert event["almena.netflow.fw_ext_event"] == 2025
    assert event["almena.netflow.ingress_acl_id"] == "0f8e7ff3-fc1a030f-00000000"
    assert "almena.netflow.egress_acl_id" not in event
    assert (event["network.transport"], event["almena.netflow.icmp_type"]) == ("icmp", 0)
    assert event["event.duration"] == 2_030_000_000
    assert "user.name" not in event, "twenty zeros are no name"


def test_an_access_point_by_hand() -> None:
    event = read("netflow9_test_cisco_wlc_tpl.dat netflow9_test_cisco_wlc_data261.dat")[0]
    assert (event["source.mac"], event["source.ip"]) == ("34-02-86-75-C0-51", "192.168.20.121")
    assert event["destination.mac"] == "00-F6-63-CC-80-60"
    assert "destination.ip" not in event
    assert (event["network.name"], event["network.direction"]) == ("Test-env", "inbound")
    assert event["almena.netflow.application_id"] == "13:479"


def test_sampling_told_in_options_is_applied() -> None:
    """Its options say that one packet of a hundred was looked at; the first flow has one packet of 96 bytes."""
    event = read("netflow9_test_invalid01.dat", Decoder())[0]
    assert (event["source.bytes"], event["source.packets"]) == (9_600, 100)
    assert event["almena.netflow.sampling_rate"] == 100
    assert (event["almena.netflow.sampled.source_bytes"], event["almena.netflow.sampled.source_packets"]) == (96, 1)


def test_a_clock_that_was_never_set_is_not_believed() -> None:
    """An exporter in 1970, 91 seconds after its start; the flow began at second 101 of it."""
    (event,) = read("netflow9_test_nprobe_dpi.dat")
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    assert event["almena.netflow.l7_proto"] == 82


def test_applications_of_a_next_generation_firewall() -> None:
    events = read("netflow9_test_paloalto_panos_tpl.dat netflow9_test_paloalto_panos_data.dat")
    assert events[0]["network.application"] == "incomplete"
    assert {event["event.action"] for event in events} <= {
        "flow_created",
        "flow_deleted",
        "flow_denied",
        "flow_updated",
    }


def test_zeros_behind_the_last_set_are_passed_over() -> None:
    """A firewall that writes its source id the other way round since a newer version, and fills its datagrams up."""
    name = "netflow9_test_paloalto_81_data257_1flowset_in_large_zerofilled_packet.dat"
    templates = bytearray((folder() / "netflow9_test_paloalto_panos_tpl.dat").read_bytes())
    templates[16:20] = (folder() / name).read_bytes()[16:20]
    decoder = Decoder()
    assert list(decoder.decode(datagram(bytes(templates)))) == []
    (event,) = read(name, decoder)
    assert event["almena.netflow.observation_domain_id"] == 16_777_216
    assert event["source.ip"].count(".") == 3
