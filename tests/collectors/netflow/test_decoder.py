from __future__ import annotations

import struct
from typing import Any

import pytest
from exports import (
    START,
    Fields,
    a_set,
    ipfix,
    options,
    record,
    template,
    v5,
    v5_flow,
    v9,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from netflow_reading import ENDS, HOST, A, B, decode

from almena.clock import format_time
from almena.ecs import check
from almena.event import Event, encode
from collectors.base import Context
from collectors.netflow.decoder import Decoder
from collectors.parsers import PARSERS


def flow(fields: Fields, *values: Any, version: int = 10, decoder: Decoder | None = None, **more: Any) -> Event:
    """The event of one record."""
    wrap = v9 if version == 9 else ipfix
    data = wrap(template(300, fields, version=version), a_set(300, record(fields, values)), **more)
    (event,) = decode(decoder or Decoder(), data)
    assert "almena.misfit" not in check(event)
    assert PARSERS["flow"](encode(event), Context(received=1)) == event
    return event


def at(seconds: float) -> str:
    return format_time(START + round(seconds * 1_000_000))


def test_a_flow_of_netflow_5() -> None:
    (event,) = decode(Decoder(), v5([v5_flow()], START + 250_000))
    assert event == {
        "@timestamp": at(0.25),
        "event.kind": "event",
        "event.dataset": "network.flow",
        "event.category": ["network"],
        "event.type": ["connection"],
        "event.action": "netflow_flow",
        "event.start": at(-29.75),
        "event.end": at(-9.75),
        "event.duration": 20_000_000_000,
        "observer.ip": [HOST],
        "observer.ingress.interface.id": "3",
        "observer.egress.interface.id": "4",
        "source.ip": "10.1.0.5",
        "source.port": 40_000,
        "source.bytes": 1_000,
        "source.packets": 10,
        "source.as.number": 64_500,
        "destination.ip": "192.0.2.80",
        "destination.port": 443,
        "network.bytes": 1_000,
        "network.packets": 10,
        "network.type": "ipv4",
        "network.transport": "tcp",
        "network.iana_number": "6",
        "almena.netflow.version": 5,
        "almena.netflow.observation_domain_id": 0,
        "almena.netflow.ip_next_hop": "10.0.0.254",
        "almena.netflow.ip_class_of_service": 8,
        "almena.netflow.tcp_control_bits": 27,
        "almena.netflow.tcp_flags": ["FIN", "SYN", "PSH", "ACK"],
    }


def test_what_only_some_flows_of_a_datagram_know_is_left_out_of_the_others() -> None:
    one, other = decode(Decoder(), v5([v5_flow(), v5_flow(systems=(0, 65_001), protocol=17, flags=0)]))
    assert (one.get("source.as.number"), one.get("destination.as.number")) == (64_500, None)
    assert (other.get("source.as.number"), other.get("destination.as.number")) == (None, 65_001)
    assert "almena.netflow.tcp_flags" not in other


def test_counts_of_sampled_flows_are_multiplied_and_kept_as_they_were() -> None:
    (event,) = decode(Decoder(), v5([v5_flow()], rate=100))
    assert (event["network.bytes"], event["source.packets"], event["almena.netflow.sampling_rate"]) == (
        100_000,
        1_000,
        100,
    )
    assert event["almena.netflow.sampled.source_bytes"] == 1_000
    (event,) = decode(Decoder(scale=False), v5([v5_flow()], rate=100))
    assert (event["network.bytes"], event["almena.netflow.sampling_rate"]) == (1_000, 100)
    (event,) = decode(Decoder(rate=50), v5([v5_flow()]))
    assert (event["network.bytes"], event["almena.netflow.sampling_rate"]) == (50_000, 50)


SAMPLERS = [
    ((), ((34, 4), (35, 1)), (1_000, 1), None, 1_000),
    ((48, 1), ((49, 1), (50, 4)), (2, 200), 7, 200),
    ((302, 8), ((305, 4), (306, 4)), (1, 99), 7, 100),
    ((302, 4), ((309, 4), (310, 4)), (2, 512), 7, 256),
    ((302, 4), ((311, 8),), (struct.pack("!d", 0.02),), 7, 50),
]


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize(("own", "told", "values", "sampler", "rate"), SAMPLERS)
def test_rates_told_in_options_count(
    own: tuple[int, int], told: Fields, values: tuple[Any, ...], sampler: int | None, rate: int, version: int
) -> None:
    scope: Fields = ((1, 4),) if version == 9 else ((149, 4),)
    said: Fields = (*((own,) if own else ()), *told)
    numbers = () if sampler is None else (sampler,)
    about = options(400, scope, said, version=version)
    row = a_set(400, record((*scope, *said), (0, *numbers, *values)))
    decoder = Decoder()
    wrap = v9 if version == 9 else ipfix
    assert decode(decoder, wrap(about, row)) == []
    fields: Fields = (*ENDS, (1, 4), *((own,) if own else ()))
    event = flow(fields, A, B, 10, *numbers, version=version, decoder=decoder)
    assert (event["network.bytes"], event["almena.netflow.sampling_rate"]) == (10 * rate, rate)
    if own:
        unknown = flow(fields, A, B, 10, 99, version=version, decoder=decoder)
        assert (unknown["network.bytes"], "almena.netflow.sampling_rate" in unknown) == (10, False)
    elsewhere = flow(fields, A, B, 10, *numbers, version=version, decoder=decoder, domain=3)
    assert elsewhere["network.bytes"] == 10


def test_records_that_say_their_own_rates() -> None:
    fields: Fields = (*ENDS, (1, 4), (34, 4))
    rows = record(fields, (A, B, 10, 5)) + record(fields, (A, B, 10, 0))
    one, other = decode(Decoder(), ipfix(template(300, fields, version=10), a_set(300, rows)))
    assert (one["network.bytes"], other["network.bytes"]) == (50, 10)
    assert flow((*ENDS, (1, 4), (305, 4), (306, 4)), A, B, 10, 1, 9)["network.bytes"] == 100


def test_names_told_in_options_are_put_beside_their_numbers() -> None:
    decoder = Decoder()
    told: Fields = ((95, 4), (96, 24))
    web = bytes.fromhex("0d0001c5")
    decode(decoder, v9(options(400, ((1, 4),), told), a_set(400, record(((1, 4), *told), (0, web, b"SSL")))))
    names: Fields = ((82, 16),)
    decode(decoder, v9(options(401, ((2, 4),), names), a_set(401, record(((2, 4), *names), (9, b"Gi0/1")))))
    event = flow((*ENDS, (95, 4), (10, 2), (14, 2)), A, B, web, 9, 8, version=9, decoder=decoder)
    assert (event["network.application"], event["almena.netflow.application_id"]) == ("ssl", "13:453")
    assert event["observer.ingress.interface.name"] == "Gi0/1"
    assert "observer.egress.interface.name" not in event


TIMES: list[tuple[Fields, tuple[int, ...], float, float]] = [
    (((150, 4), (151, 4)), (1_795_376_000, 1_795_376_010), -40, -30),
    (((152, 8), (153, 8)), (1_795_376_000_250, 1_795_376_010_500), -39.75, -29.5),
    (
        ((154, 8), (155, 8)),
        ((1_795_376_000 + 2_208_988_800) << 32 | 1 << 31, (1_795_376_010 + 2_208_988_800) << 32),
        -39.5,
        -30,
    ),
    (
        ((156, 8), (157, 8)),
        ((1_795_376_000 + 2_208_988_800) << 32 | 1 << 30, (1_795_376_010 + 2_208_988_800) << 32),
        -39.75,
        -30,
    ),
    (((154, 8), (155, 8)), (1_795_376_000_000_000, 1_795_376_010_000_000), -40, -30),
    (((156, 8), (157, 8)), (1_795_376_000_000_000_000, 1_795_376_010_000_000_000), -40, -30),
    (((158, 4), (159, 4)), (40_000_000, 30_000_000), -40, -30),
    (((160, 8), (22, 4), (21, 4)), (1_795_375_000_000, 1_000_000, 1_010_000), -40, -30),
    (((152, 8), (161, 4)), (1_795_376_000_000, 10_000), -40, -30),
    (((153, 8), (162, 4)), (1_795_376_010_000, 10_000_000), -40, -30),
    (((152, 8), (323, 8)), (1_795_376_000_000, 1_795_376_010_000), -40, -30),
]


@pytest.mark.parametrize(("fields", "values", "start", "end"), TIMES)
def test_every_clock_an_exporter_may_use(fields: Fields, values: tuple[int, ...], start: float, end: float) -> None:
    event = flow((*ENDS, *fields), A, B, *values)
    assert (event["event.start"], event["event.end"]) == (at(start), at(end))
    assert event["event.duration"] == round((end - start) * 1e9)


def test_times_since_a_start_that_nobody_told_are_a_length_only() -> None:
    event = flow((*ENDS, (22, 4), (21, 4)), A, B, 1_000, 5_500)
    assert "event.start" not in event
    assert event["event.duration"] == 4_500_000_000


def test_the_start_told_in_options_counts() -> None:
    decoder = Decoder()
    decode(
        decoder,
        ipfix(
            options(400, ((149, 4),), ((160, 8),), version=10),
            a_set(400, record(((149, 4), (160, 8)), (0, 1_795_375_000_000))),
        ),
    )
    assert flow((*ENDS, (22, 4)), A, B, 1_000_000, decoder=decoder)["event.start"] == at(-40)


@pytest.mark.parametrize(
    ("uptime", "tick", "seconds"), [(1_000, 0xFFFFFFFF, -1.001), (0xFFFFFF00, 0x100, 0.512), (5_000, 5_200, 0.2)]
)
def test_the_counter_of_milliseconds_begins_again(uptime: int, tick: int, seconds: float) -> None:
    assert flow((*ENDS, (22, 4)), A, B, tick, version=9, uptime=uptime)["event.start"] == at(seconds)


@pytest.mark.parametrize("value", [0, 2**64 - 1, 2**63])
def test_a_time_that_cannot_be_is_left_out(value: int) -> None:
    event = flow((*ENDS, (152, 8), (153, 8)), A, B, value, 1_795_376_010_000)
    assert "event.start" not in event
    assert "event.duration" not in event


def test_both_ways_in_one_record() -> None:
    reverse = 29_305
    fields: Fields = (
        *ENDS,
        (1, 8),
        (2, 8),
        (1, 8, reverse),
        (2, 8, reverse),
        (6, 2),
        (6, 2, reverse),
        (136, 1),
        (239, 1),
    )
    event = flow(fields, A, B, 100, 1, 9_000, 7, 2, 18, 3, 1)
    assert (event["source.bytes"], event["destination.bytes"], event["network.bytes"]) == (100, 9_000, 9_100)
    assert (event["source.packets"], event["destination.packets"], event["network.packets"]) == (1, 7, 8)
    assert event["almena.netflow.reverse_tcp_control_bits"] == 18
    assert event["almena.netflow.flow_end_reason"] == "end_of_flow"
    swapped = flow(fields, A, B, 100, 1, 9_000, 7, 2, 18, 3, 2)
    assert (swapped["source.ip"], swapped["source.bytes"]) == (B, 9_000)
    assert (swapped["destination.ip"], swapped["destination.bytes"]) == (A, 100)


def test_what_a_firewall_did() -> None:
    fields: Fields = (*ENDS, (233, 1), (33_002, 2), (33_000, 12), (40_000, 20), (231, 4), (232, 4))
    event = flow(fields, A, B, 3, 1_001, bytes.fromhex("0f8e7ff3fc1a030f00000000"), b"ana", 10, 20, version=9)
    assert (event["event.action"], event["event.type"], event["event.outcome"]) == (
        "flow_denied",
        ["connection", "denied"],
        "failure",
    )
    assert (event["user.name"], event["almena.netflow.fw_ext_event"]) == ("ana", 1_001)
    assert event["almena.netflow.ingress_acl_id"] == "0f8e7ff3-fc1a030f-00000000"
    assert (event["source.bytes"], event["destination.bytes"]) == (10, 20)


def test_what_was_translated() -> None:
    fields: Fields = (*ENDS, (225, 4), (226, 4), (227, 2), (228, 2), (230, 1), (4, 1), (7, 2), (11, 2))
    event = flow(fields, A, B, "203.0.113.9", "0.0.0.0", 1_025, 0, 4, 17, 5_000, 53)
    assert (event["source.nat.ip"], event["source.nat.port"]) == ("203.0.113.9", 1_025)
    assert "destination.nat.ip" not in event
    assert "destination.nat.port" not in event
    assert (event["event.action"], event["event.type"]) == ("nat44_session_create", ["connection", "start"])
    six = flow(((27, 16), (281, 16), (230, 1)), "2001:db8::1", "2001:db8::9", 12)
    assert (six["source.nat.ip"], six["event.outcome"]) == ("2001:db8::9", "failure")


def test_networks_and_machines() -> None:
    fields: Fields = ((56, 6), (80, 6), (243, 2), (254, 2), (245, 2), (1, 3), (61, 1), (89, 4), (147, 33))
    mac, other = bytes.fromhex("00005e005323"), bytes.fromhex("ffffffffffff")
    event = flow(fields, mac, other, 12, 13, 0, 70_000, 1, 0x80, b"Test\0\0")
    assert (event["source.mac"], event["destination.mac"]) == ("00-00-5E-00-53-23", "FF-FF-FF-FF-FF-FF")
    assert (event["network.vlan.id"], event["observer.egress.vlan.id"]) == ("12", "13")
    assert "network.inner.vlan.id" not in event
    assert (event["network.bytes"], event["network.direction"], event["network.name"]) == (70_000, "outbound", "Test")
    assert event["almena.netflow.forwarding_status"] == "dropped"


def test_icmp_has_a_type_and_a_code_and_tcp_has_none() -> None:
    fields: Fields = (*ENDS, (4, 1), (32, 2))
    rows = record(fields, (A, B, 1, 0x0303)) + record(fields, (A, B, 6, 0))
    one, other = decode(Decoder(), ipfix(template(300, fields, version=10), a_set(300, rows)))
    assert (one["almena.netflow.icmp_type"], one["almena.netflow.icmp_code"]) == (3, 3)
    assert "almena.netflow.icmp_type" not in other


def test_records_of_both_families_are_of_the_one_that_is_not_zero() -> None:
    fields: Fields = (*ENDS, (27, 16), (28, 16))
    rows = record(fields, (A, B, "::", "::")) + record(fields, ("0.0.0.0", "0.0.0.0", "2001:db8::1", "::ffff:10.0.0.1"))
    one, other = decode(Decoder(), ipfix(template(300, fields, version=10), a_set(300, rows)))
    assert (one["source.ip"], one["network.type"]) == (A, "ipv4")
    assert (other["source.ip"], other["destination.ip"], other["network.type"]) == ("2001:db8::1", "10.0.0.1", "ipv6")


def test_texts_of_variable_length_and_of_enterprises() -> None:
    fields: Fields = (*ENDS, (460, 65_535), (1_000, 65_535, 4_242), (142, 65_535, 5_951), (371, 65_535), (1, 65_535))
    long = b"x" * 300
    event = flow(fields, A, B, b"Portal.Example", long, b"", b"an\xffa", 300)
    assert (event["url.domain"], event["user.name"], event["network.bytes"]) == ("portal.example", "an\\xffa", 300)
    assert flow(fields, A, B, long, b"", b"", b"", 1)["url.domain"] == "x" * 300


def test_numbers_that_another_vendor_uses_in_version_9() -> None:
    event = flow(
        (*ENDS, (57_591, 16), (57_659, 20), (56_702, 8)), A, B, b"TLS.Example", b"a.example", b"ana", version=9
    )
    assert (event["network.application"], event["url.domain"], event["user.name"]) == (
        "tls.example",
        "a.example",
        "ana",
    )


def test_a_better_element_goes_first_and_the_other_stands_apart() -> None:
    event = flow((*ENDS, (23, 4), (1, 4)), A, B, 7, 5)
    assert (event["source.bytes"], event["almena.netflow.post_octet_delta_count"]) == (5, 7)
    event = flow((*ENDS, (23, 4)), A, B, 7)
    assert (event["source.bytes"], "almena.netflow.post_octet_delta_count" in event) == (7, False)


def test_a_number_of_replies_without_one_of_requests_means_nothing() -> None:
    """One vendor counts something else under 232."""
    event = flow((*ENDS, (1, 4), (232, 2)), A, B, 100, 7, version=9)
    assert (event["network.bytes"], "destination.bytes" in event) == (100, False)


def test_what_is_too_large_for_an_event_is_cut() -> None:
    event = flow((*ENDS, (1, 8), (1, 8, 29_305)), A, B, 2**64 - 1, 2**64 - 1)
    assert event["network.bytes"] == 2**63 - 1
    assert encode(event)


def test_an_exporter_whose_clock_was_never_set() -> None:
    event = flow((*ENDS, (22, 4)), A, B, 4_000, version=9, moment=502_000_000, uptime=5_000)
    assert (event["@timestamp"], event["event.start"]) == (at(0), at(-1))


PLAIN_FIELDS: dict[int, tuple[str, list[int]]] = {
    1: ("source.bytes", [1, 2, 3, 4, 5, 6, 7, 8]),
    2: ("source.packets", [1, 2, 4, 8]),
    7: ("source.port", [2, 4]),
    11: ("destination.port", [1, 2]),
    3: ("almena.netflow.delta_flow_count", [1, 2, 3, 4, 8]),
    5: ("almena.netflow.ip_class_of_service", [1]),
    52: ("almena.netflow.minimum_ttl", [1]),
    234: ("almena.netflow.ingress_vrf_id", [2, 4]),
}


@given(st.data())
@settings(max_examples=80)
def test_any_template_and_its_records_come_back(data: st.DataObject) -> None:
    """Numbers of any width in any order, among fields that nobody knows, over both versions."""
    version = data.draw(st.sampled_from([9, 10]))
    chosen = data.draw(st.lists(st.sampled_from(sorted(PLAIN_FIELDS)), unique=True, min_size=1))
    fields: list[tuple[int, ...]] = [(8, 4), (12, 4)]
    fields += [(number, data.draw(st.sampled_from(PLAIN_FIELDS[number][1]))) for number in chosen]
    for _ in range(data.draw(st.integers(0, 4))):
        length = data.draw(st.sampled_from([1, 3, 8, 20] + [65_535] * (version == 10)))
        strange = (data.draw(st.integers(600, 30_000)), length)
        fields.append((*strange, data.draw(st.sampled_from([0, 4_242]))) if version == 10 else strange)
    fields = data.draw(st.permutations(fields))
    count = data.draw(st.integers(1, 5))
    rows, wanted = b"", []
    for _ in range(count):
        values: list[Any] = []
        seen: dict[str, Any] = {}
        for number, length, *_ in fields:
            if number in (8, 12):
                value: Any = data.draw(st.ip_addresses(v=4)).exploded
                seen["source.ip" if number == 8 else "destination.ip"] = value
            elif number in PLAIN_FIELDS:
                value = data.draw(st.integers(0, min(2 ** (8 * length), 2**63) - 1))  # the largest of a long
                seen[PLAIN_FIELDS[number][0]] = value
            else:
                value = data.draw(st.binary(max_size=300 if length == 65_535 else length))
            values.append(value)
        rows += record(fields, values)  # type: ignore[arg-type]
        wanted.append(seen)
    shape = template(300, fields, version=version)  # type: ignore[arg-type]
    wrap = v9 if version == 9 else ipfix
    events = decode(Decoder(), wrap(shape, a_set(300, rows)))
    assert [{name: event[name] for name in seen} for event, seen in zip(events, wanted, strict=True)] == wanted
