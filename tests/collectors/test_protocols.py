from __future__ import annotations

from pathlib import Path

from captures import ACK, PUSH, START, client_hello, dns, ethernet, pcap, tcp, udp, write
from hypothesis import given
from hypothesis import strategies as st

from collectors import protocols
from collectors.packets import Capture
from collectors.pcap import Packet, Segment, segment
from collectors.protocols import Questions


def cut(packet: bytes) -> Segment:
    found = segment(Packet(START, 101, packet))
    assert found is not None
    return found


def part(payload: bytes, port: int = 4_000) -> Segment:
    return cut(tcp("10.0.0.1", port, "10.0.0.2", 443, ACK | PUSH, payload))


def test_a_greeting_in_one_packet_is_asked_about_at_once() -> None:
    hello = client_hello("a.example")
    question = Questions().of(part(hello), START, 7)
    assert question is not None
    assert (question.kind, question.payload, question.number) == (b"T", hello, 7)


def test_a_greeting_in_several_packets_is_put_together_under_the_number_of_the_last() -> None:
    hello, questions = client_hello("a.example"), Questions()
    assert questions.of(part(hello[:50]), START, 1) is None
    assert questions.of(part(hello[:60], port=4_001), START, 2) is None, "another connection"
    assert questions.of(cut(udp("10.0.0.1", 5, "10.0.0.2", 53, dns("b.example"))), START, 3) is not None
    assert questions.of(part(hello[50:100]), START, 4) is None
    assert questions.of(cut(tcp("10.0.0.1", 4_000, "10.0.0.2", 443, ACK)), START, 5) is None
    question = questions.of(part(hello[100:]), START + 9, 6)
    assert question is not None
    assert (question.payload, question.number, question.moment) == (hello, 6, START)
    assert [(left.payload, left.number) for left in questions.rest(7)] == [(hello[:60], 7)]


def test_greetings_that_never_end_are_bounded() -> None:
    questions, begun = Questions(), client_hello(None)[:50]
    asked = [questions.of(part(begun, port=2_000 + number), START, number) for number in range(1, 1_101)]
    assert [question.number for question in asked if question] == list(range(1_001, 1_101))
    assert len(questions.rest(2_000)) == 1_000


def test_the_name_is_found_wherever_the_greeting_was_cut(tmp_path: Path) -> None:
    hello = client_hello("portal.example")
    for place in (12, 60, 130, len(hello) - 1):
        packets = [tcp("10.0.0.1", 4_000, "10.0.0.2", 443, ACK | PUSH, each) for each in (hello[:place], hello[place:])]
        timed = [(START + number, ethernet(packet)) for number, packet in enumerate(packets)]
        found = list(Capture(write(tmp_path / "a.pcap", pcap(timed))).events())
        (name,) = [each.event for each in found if each.kind == "p"]
        assert name["tls.client.server_name"] == "portal.example"


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 3), st.booleans()), max_size=30))
def test_whatever_passes_numbers_only_grow(pieces: list[tuple[bytes, int, bool]]) -> None:
    questions = Questions()
    numbers = []
    for number, (payload, port, greets) in enumerate(pieces):
        head = b"\x16\x03\x01\x00\x60\x01" if greets else b""
        question = questions.of(part(head + payload, port=port), START, number)
        numbers += [question.number] if question else []
    numbers += [question.number for question in questions.rest(len(pieces))]
    assert numbers == sorted(set(numbers))
    assert not questions._hellos
    assert protocols.kind_of(part(b"")) == b""
