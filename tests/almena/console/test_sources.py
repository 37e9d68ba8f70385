from __future__ import annotations

import re
from collections.abc import Callable

import console_seed as seed
from console_client import Clock, TestClient

from almena.clock import HOUR, MINUTE, format_time
from almena.console.sources import sources
from almena.store import LEDGER, Store


def test_a_source_is_the_sum_of_its_partitions(store: Store, clock: Clock) -> None:
    seed.ledger(store, clock.time)
    found = {source.name: source for source in sources(store, None)}
    portal, mail = found["portal"], found["correo"]
    assert (portal.events, portal.repeats, portal.late, portal.dead, portal.dropped) == (1_284_112, 6, 24, 3, 0)
    assert portal.last_ingested == format_time(clock.time - 2_000_000), "the latest of all partitions"
    assert (mail.dropped, mail.drops, mail.dead) == (5_210, {"queue full": 5_210}, 0)


def test_only_the_agencies_of_the_asker_count(store: Store, clock: Clock) -> None:
    seed.ledger(store, clock.time)
    assert {source.name for source in sources(store, frozenset({"registro"}))} == {"rpp-folios"}
    assert sources(store, frozenset()) == []


def test_two_agencies_may_have_a_source_of_one_name(store: Store) -> None:
    for agency in ("finanzas", "registro"):
        document = {
            "@timestamp": format_time(1),
            "organization.id": agency,
            "almena.source.name": "portal",
            "almena.source.partition": 0,
            "almena.source.events": 5,
        }
        store.create_many(LEDGER, {f"source/portal/{agency}": document})
    assert {(source.agency, source.events) for source in sources(store, None)} == {("finanzas", 5), ("registro", 5)}


def test_the_silent_ones_come_first_with_shape_and_word(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    seed.ledger(store, clock.time)
    page = sign_in().get("/fuentes").text
    names = re.findall(r'<th scope="row" class="mono">([^<]+)</th>', page)
    assert names == ["rpp-folios", "correo", "pagos", "portal"]
    first = page.split("<tbody>")[1].split("</tr>")[0]
    assert "▲</span> Callada" in first
    assert "hace 3 horas" in first
    assert "Hay que atender" in page
    assert "La fuente rpp-folios calla desde <time" in page
    assert "1,284,112" in page
    assert "5,210" in page


def test_a_source_without_expectation_is_only_quiet(
    sign_in: Callable[..., TestClient], store: Store, clock: Clock
) -> None:
    seed.ledger(store, clock.time - HOUR)
    page = sign_in().get("/fuentes").text
    assert page.count("En reposo</span>") == 3
    assert page.count("Callada</span>") == 1


def test_no_sources_says_how_to_have_one(sign_in: Callable[..., TestClient]) -> None:
    page = sign_in().get("/fuentes").text
    assert "Aquí aparece cada fuente" in page
    assert "<code>[collectors.portal]</code>" in page


def test_the_fragment_is_the_table_alone(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    seed.ledger(store, clock.time)
    page = sign_in().get("/fuentes?fragmento=1").text
    assert "<html" not in page
    assert "portal" in page


def test_every_page_announces_the_problems(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    seed.ledger(store, clock.time)
    page = sign_in().get("/cola").text
    assert '▲</span>3<span class="hidden"> por atender</span>' in page


def test_a_clock_that_is_wrong_is_said(sign_in: Callable[..., TestClient], store: Store, clock: Clock) -> None:
    for name, delay in (("ahead", -3 * HOUR - 5), ("behind", 40 * MINUTE), ("right", 200_000)):
        document = {
            "@timestamp": format_time(clock.time),
            "organization.id": "finanzas",
            "almena.source.name": name,
            "almena.source.partition": 0,
            "almena.source.delay": delay,
            "almena.source.last_event": format_time(clock.time),
            "almena.source.last_ingested": format_time(clock.time),
        }
        store.create_many(LEDGER, {f"source/{name}/0": document})
    rows = sign_in().get("/fuentes").text.split("<tbody>")[1].split("</tr>")
    said = {re.findall(r'class="mono">([^<]+)<', row)[0]: row for row in rows if 'class="mono"' in row}
    assert "reloj adelantado 3h" in said["ahead"]
    assert re.search(r"llega 40.{0,8}después", said["behind"])
    assert "reloj" not in said["right"]
    assert "después" not in said["right"]
