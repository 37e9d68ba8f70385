"""Nothing that strangers send grows without bound, and floods cost those who speak properly nothing."""

from __future__ import annotations

import tracemalloc

from exports import PLAIN, START, Fields, a_set, ipfix, options, plain, record, template, v9
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.event import Event
from collectors.netflow.decoder import Datagram, Decoder
from collectors.netflow.elements import elements
from collectors.netflow.memory import MOST_NOTES, MOST_NOTES_OF_ONE, Limits, Memory

GOOD = "192.0.2.1"


def decode(decoder: Decoder, data: bytes, host: str = GOOD, moment: float = 1.0) -> list[Event]:
    return [event for chunk in decoder.decode(Datagram(data, host, 2055, START, moment)) for event in chunk]


def stranger(number: int) -> str:
    return f"198.51.{number // 256 % 256}.{number % 256}"


def consistent(memory: Memory) -> None:
    everybody = memory.everybody()
    assert memory.templates == sum(len(one.templates) for one in everybody) <= memory.limits.templates
    assert memory.waiting == sum(one.size for one in everybody) <= memory.limits.waiting
    assert len(memory) == len(everybody) <= memory.limits.exporters
    for one in everybody:
        assert len(one.templates) <= memory.limits.templates_of_one
        assert one.size <= memory.limits.waiting // 4
        assert (one.size == 0) == (not one.waiting)


def test_a_flood_of_templates_of_one_exporter_costs_it_its_oldest_only() -> None:
    decoder = Decoder(Limits(templates=100, templates_of_one=20))
    decode(decoder, v9(template(256, PLAIN), a_set(256, plain())))
    for number in range(500):
        decode(decoder, ipfix(template(256 + number, ((8, 4), (1, 4)), version=10)), stranger(1))
        consistent(decoder.memory)
    assert len(decode(decoder, v9(a_set(256, plain())))) == 1


def test_templates_in_use_stay_when_others_of_the_exporter_flood() -> None:
    decoder = Decoder(Limits(templates_of_one=20))
    decode(decoder, v9(template(256, PLAIN)))
    for number in range(300):
        decode(decoder, v9(template(257 + number, PLAIN), sequence=number))
        assert len(decode(decoder, v9(a_set(256, plain()), sequence=number))) == 1


def test_a_flood_of_exporters_shuts_out_no_one_who_is_known() -> None:
    decoder = Decoder(Limits(exporters=50, templates=200))
    decode(decoder, v9(template(256, PLAIN), a_set(256, plain())))
    for number in range(2_000):
        decode(decoder, v9(template(256, PLAIN)), stranger(number))
    consistent(decoder.memory)
    assert len(decode(decoder, v9(a_set(256, plain())))) == 1


def test_when_all_that_are_known_speak_a_further_one_is_counted() -> None:
    decoder = Decoder(Limits(exporters=5, lifetime=100))
    for number in range(5):
        decode(decoder, v9(template(256, PLAIN), a_set(256, plain())), stranger(number))
    assert decode(decoder, v9(template(256, PLAIN), a_set(256, plain())), moment=50.0) == []
    assert decoder.memory.lost["exporters"] == 1
    assert len(decode(decoder, v9(template(256, PLAIN), a_set(256, plain())), moment=150.0)) == 1
    consistent(decoder.memory)


def test_when_all_templates_are_taken_the_one_who_has_most_gives() -> None:
    decoder = Decoder(Limits(templates=30, templates_of_one=28))
    decode(decoder, v9(template(256, PLAIN)))
    for number in range(28):
        decode(decoder, v9(template(256 + number, PLAIN), sequence=number), stranger(1))
    for number in range(5):
        decode(decoder, v9(template(256, PLAIN)), stranger(2 + number))
    consistent(decoder.memory)
    assert len(decode(decoder, v9(a_set(256, plain())))) == 1


def test_data_without_template_are_bounded_and_counted() -> None:
    decoder = Decoder(Limits(waiting=100_000))
    for number in range(200):
        decode(decoder, v9(a_set(300 + number % 7, bytes([1]) * 1_000), sequence=number), stranger(number % 9))
        consistent(decoder.memory)
    kept = sum(len(found) for one in decoder.memory.everybody() for found in one.waiting.values())
    assert 0 < kept < 200
    assert decoder.memory.lost["template"] == 200 - kept
    decoder.memory.expire(10_000.0)
    assert decoder.memory.lost["template"] == 200


def test_names_and_rates_are_bounded() -> None:
    memory = Memory(Limits())
    for host in range(MOST_NOTES // MOST_NOTES_OF_ONE + 3):
        exporter = memory.exporter(stranger(host), 1.0)
        assert exporter is not None
        for number in range(MOST_NOTES_OF_ONE + 100):
            memory.note(exporter, 0, "interface", number, "eth")
        assert len(exporter.notes) <= MOST_NOTES_OF_ONE
    assert sum(len(one.notes) for one in memory.everybody()) <= MOST_NOTES


def test_a_name_told_later_counts() -> None:
    decoder = Decoder()
    names: Fields = ((82, 16),)
    fields: Fields = ((8, 4), (12, 4), (10, 2))
    for name in (b"eth0", b"wan0"):
        decode(decoder, v9(options(401, ((2, 4),), names), a_set(401, record(((2, 4), *names), (9, name)))))
        (event,) = decode(decoder, v9(template(300, fields), a_set(300, record(fields, ("10.0.0.1", "192.0.2.2", 9)))))
        assert event["observer.ingress.interface.name"] == name.decode()


@given(st.data())
@settings(max_examples=40)
def test_whatever_comes_in_whatever_order_the_bounds_hold(data: st.DataObject) -> None:
    limits = Limits(exporters=3, templates=8, templates_of_one=4, waiting=8_000, lifetime=20, patience=5)
    decoder = Decoder(limits)
    moment = 0.0
    kinds = st.tuples(st.integers(0, 5), st.integers(256, 262), st.sampled_from(["template", "data", "long", "expire"]))
    for host, number, kind in data.draw(st.lists(kinds, max_size=60)):
        moment += data.draw(st.integers(0, 4))
        if kind == "expire":
            decoder.memory.expire(moment)
        else:
            body = (
                template(number, PLAIN)
                if kind == "template"
                else a_set(number, plain() * (1 if kind == "data" else 20))
            )
            decode(decoder, v9(body), stranger(host), moment)
        consistent(decoder.memory)


def test_the_worst_templates_fit_into_memory() -> None:
    """Every template names every element there is, and each is read once, which compiles it."""
    known = [key for key, element in elements().items() if element.field and key[1] < 32_768]
    fields = [(number, 4, enterprise) for enterprise, number in known]
    decoder = Decoder(Limits(templates=200))
    tracemalloc.start()
    for number in range(300):
        shape = fields[number % 90 :] + fields[: number % 90]
        row = bytes(4 * len(shape))
        data = ipfix(template(256 + number, shape, version=10), a_set(256 + number, row))
        decode(decoder, data, stranger(number // 50))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoder.memory.templates == 200
    assert held / 200 < 64 << 10, "bytes of a template, so that 8,192 of them are half a gigabyte at worst"
