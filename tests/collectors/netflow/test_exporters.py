"""Datagrams as they come: templates before, behind and anew, numbers that are missing, and damage."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain

import pytest
from exports import (
    PLAIN,
    START,
    UPTIME,
    Fields,
    a_set,
    ipfix,
    options,
    plain,
    record,
    template,
    v5,
    v5_flow,
    v9,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from netflow_reading import ENDS, HOST, A, B, decode

from almena.clock import MINUTE, format_time
from almena.errors import ParseError
from almena.event import Event, encode
from collectors.base import Context
from collectors.netflow.decoder import TOGETHER, Datagram, Decoder
from collectors.netflow.memory import Limits
from collectors.parsers import PARSERS


def at(seconds: float) -> str:
    return format_time(START + round(seconds * 1_000_000))


class TestTemplates:
    def test_data_wait_for_their_template(self) -> None:
        decoder = Decoder()
        for number in range(3):
            assert decode(decoder, v9(a_set(256, plain(number)), sequence=number)) == []
        assert decoder.memory.waiting > 0
        events = decode(decoder, v9(template(256, PLAIN), a_set(256, plain(3)), sequence=3))
        assert [event["source.port"] for event in events] == [1_024, 1_025, 1_026, 1_027]
        assert decoder.memory.waiting == 0

    def test_a_template_behind_its_data_in_one_datagram(self) -> None:
        assert len(decode(Decoder(), v9(a_set(256, plain()), template(256, PLAIN)))) == 1

    def test_each_domain_and_each_exporter_has_templates_of_its_own(self) -> None:
        decoder = Decoder()
        decode(decoder, v9(template(256, PLAIN), domain=1))
        assert decode(decoder, v9(a_set(256, plain()), domain=2)) == []
        assert decode(decoder, v9(a_set(256, plain()), domain=1), host="192.0.2.2") == []
        assert len(decode(decoder, v9(a_set(256, plain()), domain=1), port=9)) == 1, "a port may change"

    def test_a_template_that_is_sent_again_changes_nothing(self) -> None:
        decoder = Decoder()
        for number in range(5):
            assert len(decode(decoder, v9(template(256, PLAIN), a_set(256, plain()), sequence=number))) == 1
        assert decoder.memory.templates == 1

    def test_a_template_that_is_sent_anew_counts_from_then_on(self) -> None:
        decoder = Decoder()
        decode(decoder, ipfix(template(256, ENDS, version=10)))
        turned: Fields = ((12, 4), (8, 4))
        row = a_set(256, record(ENDS, (A, B)))
        assert decode(decoder, ipfix(row))[0]["source.ip"] == A
        (event,) = decode(decoder, ipfix(template(256, turned, version=10), row))
        assert event["source.ip"] == B
        assert decoder.memory.templates == 1

    def test_templates_are_withdrawn(self) -> None:
        decoder = Decoder()
        row = a_set(256, record(ENDS, (A, B)))
        decode(decoder, ipfix(template(256, ENDS, version=10), template(257, ENDS, version=10)))
        decode(decoder, ipfix(options(258, ((149, 4),), ((34, 4),), version=10)))
        decode(decoder, ipfix(a_set(2, struct.pack("!HH", 256, 0))))
        assert decoder.memory.templates == 2
        assert decode(decoder, ipfix(row)) == []
        decode(decoder, ipfix(a_set(2, struct.pack("!HH", 2, 0))))
        assert decoder.memory.templates == 1
        decode(decoder, ipfix(a_set(3, struct.pack("!HH", 3, 0))))
        assert decoder.memory.templates == 0

    def test_an_exporter_that_starts_again_has_no_templates(self) -> None:
        decoder = Decoder()
        decode(decoder, v9(template(256, PLAIN), sequence=5_000))
        decode(decoder, v9(a_set(256, plain()), sequence=4_990, uptime=UPTIME - 100))  # overtaken
        assert decoder.memory.templates == 1
        assert decode(decoder, v9(a_set(256, plain()), sequence=0, uptime=10_000)) == []
        assert decoder.memory.templates == 0
        assert len(decode(decoder, v9(template(256, PLAIN), sequence=1, uptime=11_000))) == 1

    def test_what_nobody_uses_is_forgotten(self) -> None:
        decoder = Decoder(Limits(lifetime=100, patience=10))
        decode(decoder, v9(template(256, PLAIN), a_set(256, plain()), a_set(999, b"12345678")), moment=0)
        decoder.memory.expire(9)
        assert decoder.memory.waiting > 0
        decoder.memory.expire(11)
        assert (decoder.memory.waiting, decoder.memory.lost["template"]) == (0, 1)
        decode(decoder, v9(a_set(256, plain())), moment=90)
        decoder.memory.expire(150)
        assert decoder.memory.templates == 1
        decoder.memory.expire(200)
        assert (decoder.memory.templates, len(decoder.memory)) == (0, 0)

    def test_a_template_without_anything_of_a_flow_is_counted(self) -> None:
        decoder = Decoder()
        assert decode(decoder, ipfix(template(256, ((40, 8), (41, 8)), version=10), a_set(256, bytes(32)))) == []
        assert decoder.memory.lost["no flow"] == 2

    def test_records_of_one_byte_cannot_become_thousands_of_events(self) -> None:
        decoder = Decoder()
        assert decode(decoder, ipfix(template(256, ((1, 1),), version=10), a_set(256, bytes(60_000)))) == []
        assert decoder.memory.lost["no flow"] == 60_000


class TestSequences:
    def numbers(self, decoder: Decoder, datagrams: Iterable[bytes]) -> dict[str, int]:
        for data in datagrams:
            decode(decoder, data)
        return {unit: count for unit, count in decoder.missing.items() if count}

    def test_flows_of_version_5(self) -> None:
        flows = [v5_flow()] * 3
        assert self.numbers(Decoder(), (v5(flows, sequence=number) for number in (0, 3, 6, 20, 23))) == {"flows": 11}

    def test_datagrams_of_version_9(self) -> None:
        decoder = Decoder()
        datagrams = (v9(a_set(256, b"12345678"), sequence=number, domain=4) for number in (7, 8, 12))
        assert self.numbers(decoder, datagrams) == {"datagrams": 3}
        (gap,) = decoder.gaps()
        assert (gap.host, gap.domain, gap.unit, gap.missing) == (HOST, 4, "datagrams", 3)

    def test_records_of_ipfix(self) -> None:
        decoder = Decoder()
        row = record(ENDS, (A, B))
        decode(decoder, ipfix(template(256, ENDS, version=10), sequence=10))
        datagrams = (ipfix(a_set(256, row * count), sequence=number) for number, count in ((10, 4), (14, 2), (18, 1)))
        assert self.numbers(decoder, datagrams) == {"records": 2}

    def test_nothing_is_missing_where_nobody_can_know(self) -> None:
        """Data without template are some records; then the number begins anew."""
        decoder = Decoder()
        assert self.numbers(decoder, (ipfix(a_set(999, bytes(40)), sequence=number) for number in (0, 9, 30))) == {}

    def test_wrap_overtaking_and_new_starts_are_no_gaps(self) -> None:
        flows = [v5_flow()]
        for numbers in ((2**32 - 1, 0, 1), (10, 12, 11, 13), (5_000_000, 0, 1), (0, 2**30, 2**30 + 1)):
            missing = self.numbers(Decoder(), (v5(flows, sequence=number) for number in numbers))
            assert sum(missing.values()) <= 1, numbers

    def test_ports_and_domains_have_numbers_of_their_own(self) -> None:
        decoder = Decoder()
        for number in range(10):
            decode(decoder, v5([v5_flow()], sequence=number))
            decode(decoder, v5([v5_flow()], sequence=500 + number, engine=1))
            decode(decoder, v5([v5_flow()], sequence=90 + number), port=7)
        assert not any(decoder.missing.values())


class TestDamage:
    def test_messages_behind_one_another_and_sets_that_mean_nothing(self) -> None:
        row = a_set(256, record(ENDS, (A, B)))
        data = ipfix(template(256, ENDS, version=10), a_set(100, b"anything"), a_set(1, b"\1\2"), row)
        decoder = Decoder()
        assert len(decode(decoder, data + ipfix(row, row, sequence=1) + b"\0\0\0")) == 3
        assert decoder.missing["records"] == 0
        assert len(decode(decoder, v9(a_set(2, b"\1\0\0\1"), template(300, PLAIN), a_set(300, plain())))) == 1

    def test_what_comes_before_the_damage_counts(self) -> None:
        decoder = Decoder()
        data = v9(template(256, PLAIN), a_set(256, plain()), struct.pack("!HH", 256, 9_999))
        events: list[Event] = []
        with pytest.raises(ParseError, match="a set whose length cannot be"):
            events.extend(chain.from_iterable(decoder.decode(Datagram(data, HOST, 1, START, 1.0))))
        assert len(events) == 1

    def test_a_length_that_leads_beyond_the_record(self) -> None:
        fields: Fields = (*ENDS, (371, 65_535))
        good = record(fields, (A, B, b"ana"))
        data = ipfix(template(256, fields, version=10), a_set(256, good + good[:8] + b"\xc8ana"))
        events: list[Event] = []
        with pytest.raises(ParseError, match="a record that ends in its fields"):
            events.extend(chain.from_iterable(Decoder().decode(Datagram(data, HOST, 1, START, 1.0))))
        assert [event["user.name"] for event in events] == ["ana"]

    def test_zeros_at_the_end_are_padding(self) -> None:
        fields: Fields = (*ENDS, (371, 65_535))
        row = record(fields, (A, B, b"ana"))
        for padding in range(4):
            data = ipfix(template(256, fields, version=10), a_set(256, row, padding=padding))
            assert len(decode(Decoder(), data)) == 1

    @given(st.binary(max_size=300))
    def test_any_bytes(self, data: bytes) -> None:
        for head in (b"", b"\0\x05", b"\0\x09", b"\0\x0a"):
            with_decoder(head + data)

    @given(st.data())
    @settings(max_examples=60)
    def test_damaged_and_cut_datagrams(self, data: st.DataObject) -> None:
        fields: Fields = (*ENDS, (371, 65_535), (1, 8), (152, 8), (95, 4), (305, 4), (306, 4))
        row = record(fields, (A, B, b"ana", 1, 1, b"\x0d\0\0\x01", 1, 9))
        whole = data.draw(
            st.sampled_from(
                [
                    ipfix(template(256, fields, version=10), a_set(256, row * 3)),
                    v9(
                        template(256, PLAIN),
                        a_set(256, plain() * 3),
                        options(257, ((2, 4),), ((82, 8),)),
                        a_set(257, bytes(12)),
                    ),
                    v5([v5_flow()] * 3),
                ]
            )
        )
        damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
        for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=6)):
            if damaged:
                damaged[place] = data.draw(st.sampled_from([0, 1, 4, 8, 127, 128, 255]))
        with_decoder(bytes(damaged), whole, bytes(damaged))


def with_decoder(*datagrams: bytes) -> None:
    """No datagram does harm, and every event is one."""
    decoder = Decoder()
    for data in datagrams:
        try:
            events = decode(decoder, data)
        except ParseError:
            with pytest.raises(ParseError):
                PARSERS["flow"](data, Context(received=1))
            continue
        for event in events:
            assert PARSERS["flow"](encode(event), Context(received=1)) == event
    memory = decoder.memory
    assert memory.waiting == sum(exporter.size for exporter in memory.everybody())
    assert memory.templates == sum(len(exporter.templates) for exporter in memory.everybody())


@given(st.data())
@settings(max_examples=40)
def test_templates_and_data_in_any_order_give_all_flows(data: st.DataObject) -> None:
    """What comes before its template waits for it, whatever else comes between."""
    datagrams = [v9(template(number, PLAIN)) for number in (256, 257)]
    datagrams += [v9(a_set(256 + number % 2, plain(number))) for number in range(8)]
    decoder = Decoder()
    events = [event for each in data.draw(st.permutations(datagrams)) for event in decode(decoder, each)]
    assert sorted(event["source.port"] for event in events) == [1_024 + number for number in range(8)]
    assert decoder.memory.waiting == 0


def test_many_flows_come_in_parts() -> None:
    fields: Fields = (*ENDS,)
    rows = record(fields, (A, B)) * 8_000
    chunks = list(
        Decoder().decode(Datagram(ipfix(template(256, fields, version=10), a_set(256, rows)), HOST, 1, START, 1.0))
    )
    assert [len(chunk) for chunk in chunks] == [TOGETHER] * 8


def test_late_templates_keep_the_times_of_their_data() -> None:
    decoder = Decoder()
    decode(decoder, v9(a_set(256, plain()), moment=START - MINUTE))
    (event,) = decode(decoder, v9(template(256, PLAIN)))
    assert event["@timestamp"] == at(-60)
