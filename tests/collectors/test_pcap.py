from __future__ import annotations

import io

import pytest
from captures import START, SYN, Timed, ethernet, ip, pcap, pcapng, tcp, udp, visit
from hypothesis import example, given
from hypothesis import strategies as st

from almena.errors import ParseError
from collectors.pcap import Packet, Segment, packets, segment

ONE = udp("10.0.0.1", 1000, "10.0.0.2", 2000, b"payload")


def read(data: bytes) -> list[Packet]:
    return list(packets(io.BytesIO(data)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap_of_either_order_and_unit(order: str, nano: bool) -> None:
    timed: list[Timed] = [(START + 1, b"a" * 60), (START + 2_000_000, b"b")]
    found = read(pcap(timed, order=order, nano=nano))
    assert [(packet.time, packet.data, packet.link) for packet in found] == [(*item, 1) for item in timed]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("resolution", [None, 3, 6, 9])
def test_pcapng_of_either_order_and_resolution(order: str, resolution: int | None) -> None:
    timed: list[Timed] = [(START, b"abc"), (START + 5_000, b"defg")]
    assert [(p.time, p.data) for p in read(pcapng(timed, order=order, resolution=resolution))] == timed


def test_a_last_packet_that_is_cut_off_is_left_out() -> None:
    for whole in (pcap(visit()), pcapng(visit())):
        assert len(read(whole[:-1])) == len(visit()) - 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither pcap nor pcapng"),
        (b"GIF89a" * 100, "neither pcap nor pcapng"),
        (pcap([])[:20], "ends in its header"),
        (pcap([]) + b"\xff" * 16, "a packet of 4294967295 bytes"),
        (pcapng([]) + b"\x06\0\0\0\xff\xff\xff\xff", "a block of 4294967295 bytes"),
        (pcapng([]) + b"\x06\0\0\0\x04\0\0\0", "a block of 4 bytes"),
        (pcapng([]) + b"\x06\0\0\0\x24\0\0\0" + b"\xff" * 28, "not there"),
    ],
)
def test_damage_is_told_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        read(data)
    assert caught.value.at is not None


@given(
    st.binary(max_size=400), st.sampled_from([b"", pcap([]), pcap([], order=">"), pcapng([]), pcapng([], order=">")])
)
def test_any_bytes_are_packets_or_a_parse_error(data: bytes, head: bytes) -> None:
    try:
        found = read(head + data)
    except ParseError:
        return
    assert sum(len(packet.data) for packet in found) <= len(data)


@given(st.binary(max_size=200), st.sampled_from([0, 1, 12, 101, 108, 113, 276, 147]))
@example(ethernet(ONE)[:20], 1)
def test_any_packet_has_headers_or_none(data: bytes, link: int) -> None:
    cut = segment(Packet(START, link, data))
    assert cut is None or len(cut.source) in (4, 16)


@given(st.integers(0, 54), st.integers(0, 255))
def test_any_damage_to_a_header_is_survived(place: int, value: int) -> None:
    for whole in (ethernet(tcp("10.0.0.1", 1, "10.0.0.2", 2, SYN, b"x")), ethernet(ip("::1", "::2", 6, b"x" * 30))):
        damaged = bytearray(whole)
        damaged[place % len(damaged)] = value
        for frame in (bytes(damaged), bytes(damaged[:place])):
            cut = segment(Packet(START, 1, frame))
            assert cut is None or (len(cut.source) in (4, 16) and len(cut.payload) <= len(frame))


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (1, ethernet(ONE)),
        (1, ethernet(ONE, vlan=[5])),
        (1, ethernet(ONE, vlan=[5, 6])),
        (101, ONE),
        (12, ONE),
        (0, b"\x02\0\0\0" + ONE),
        (113, b"\0" * 14 + b"\x08\0" + ONE),
        (276, b"\x08\0" + b"\0" * 18 + ONE),
        (1, ethernet(ONE) + b"\0" * 20),
    ],
)
def test_every_link_type_leads_to_the_same_segment(link: int, frame: bytes) -> None:
    cut = segment(Packet(START, link, frame))
    assert cut == Segment(b"\x0a\0\0\x01", b"\x0a\0\0\x02", 17, 1000, 2000, 0, 35, b"payload")


def test_ipv6_with_extension_headers() -> None:
    options = b"\x3c\0" + b"\0" * 6 + b"\x11\0" + b"\0" * 6
    frame = ethernet(ip("2001:db8::1", "2001:db8::2", 0, options + ONE[20:]))
    cut = segment(Packet(START, 1, frame))
    assert cut is not None
    assert (cut.protocol, cut.source_port, cut.destination_port, cut.payload) == (17, 1000, 2000, b"payload")
    assert cut.size == 40 + len(options) + len(ONE) - 20


def test_later_fragments_have_no_ports() -> None:
    cut = segment(Packet(START, 1, ethernet(ip("10.0.0.1", "10.0.0.2", 17, b"\xff" * 20, fragment=100))))
    assert cut is not None
    assert (cut.source_port, cut.destination_port, cut.payload) == (0, 0, b"")


@pytest.mark.parametrize("frame", [b"", b"\xff" * 12 + b"\x08\x06" + b"\0" * 28, b"\0" * 13, ethernet(ONE)[:30]])
def test_what_is_no_ip_is_passed_over(frame: bytes) -> None:
    assert segment(Packet(START, 1, frame)) is None
