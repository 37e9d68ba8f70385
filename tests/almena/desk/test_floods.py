"""A flood on the ledger becomes one alert in two languages, which grows until the flood is over."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.bus import ALERTS, LEDGER, Position, Stored, open_bus
from almena.clock import MINUTE, SECOND, format_time
from almena.desk.desk import Desk
from almena.desk.floods import flood_alert
from almena.desk.ledger import Ledger
from almena.desk.notify import Log
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.state import Partition
from almena.store import ALERTS as ALERTS_KIND
from almena.store import ALL, OUTBOX, Query
from almena.store.memory import MemoryStore
from collectors.base import Source
from collectors.intake import Intake

BEGAN = 1_780_000_000 * SECOND


def entry(stage: str, lost: int, after: int, sender: str = "192.0.2.9") -> dict[str, Any]:
    return {
        "kind": "flood",
        "source": "edge",
        "agency": "fin",
        "stage": stage,
        "since": format_time(BEGAN),
        "time": format_time(BEGAN + after),
        "sender": sender,
        "lost": lost,
    }


STAGES = [entry("near", 0, 0), entry("full", 7, SECOND), entry("over", 90, MINUTE)]


def record(value: Any, offset: int) -> Stored:
    return Stored(LEDGER, 0, offset, BEGAN + offset, "key", msgspec.json.encode(value), {})


def alerts(ledger: Ledger, *entries: Any) -> list[Stored]:
    found = ledger.step([record(value, offset) for offset, value in enumerate(entries)]).get(ALERTS, [])
    return [Stored(ALERTS, 0, offset, BEGAN, each.key, each.value, {}) for offset, each in enumerate(found)]


def desk(store: MemoryStore) -> Desk:
    return Desk(store, DeskSettings(), Suppressions(None, zone="UTC"), {"log": Log()})


def test_a_flood_is_one_alert_that_grows_and_ends() -> None:
    store = MemoryStore()
    ledger = Ledger(0, Partition(), store)
    said = []
    for stage in STAGES:
        desk(store).alerts(alerts(ledger, stage))
        (found,) = store.search(Query(kind=ALERTS_KIND, scope=ALL)).items
        words = found.document["almena.alert.words"]
        said.append((found.document["almena.alert.level"], words["es"]["what_happened"]))
        assert set(words["es"]) == set(words["en"])
    assert [level for level, _ in said] == ["medium", "high", "high"]
    assert said[0][1].startswith("Llega de edge más de lo que se alcanza a guardar: lo que espera ocupa nueve décimas")
    assert "hasta ahora se perdieron 7 registros. Quien más manda: 192.0.2.9." in said[1][1]
    assert said[2][1].startswith("Terminó a las 2026-05-28 20:27:40 UTC la inundación de edge que comenzó a las 2026-")
    assert "se perdieron 90 registros" in said[2][1]
    assert found.document["organization.id"] == "fin"
    assert found.document["almena.alert.entity"] == "almena.source.name=edge"
    assert found.document["source.address"] == "192.0.2.9"
    assert found.document["event.action"] == "source-flood-over"
    told = store.search(Query(kind=OUTBOX, scope=ALL)).items
    assert sorted(item.document["almena.alert.level"] for item in told) == ["high"]


@given(st.permutations(range(3)), st.lists(st.integers(0, 2), max_size=3))
def test_whatever_the_order_and_the_repeats_the_end_wins(order: list[int], again: list[int]) -> None:
    store = MemoryStore()
    ledger = Ledger(0, Partition(), store)
    for number in [*order, *again]:
        desk(store).alerts(alerts(ledger, STAGES[number]))
    (found,) = store.search(Query(kind=ALERTS_KIND, scope=ALL)).items
    assert found.document["event.action"] == "source-flood-over"


def test_two_floods_are_two_alerts() -> None:
    one, other = flood_alert(STAGES[0], BEGAN), flood_alert({**STAGES[0], "since": format_time(BEGAN + 1)}, BEGAN)
    assert one["almena.alert.id"] != other["almena.alert.id"]
    assert one["almena.alert.id"] == flood_alert(STAGES[2], BEGAN)["almena.alert.id"]
    assert flood_alert({**STAGES[0], "agency": "salud"}, BEGAN)["almena.alert.id"] != one["almena.alert.id"]


def test_a_sender_that_is_not_known_is_not_made_up() -> None:
    alert = flood_alert({**STAGES[0], "sender": ""}, BEGAN)
    assert "source.address" not in alert
    assert alert["almena.alert.words"]["en"]["what_happened"].endswith("Who sends most: —.")


DAMAGED = [
    {**STAGES[0], "stage": "soon"},
    {**STAGES[0], "since": "yesterday"},
    {**STAGES[0], "lost": "many"},
    {name: value for name, value in STAGES[0].items() if name != "source"},
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_entry_stops_nothing(damaged: Any) -> None:
    assert len(alerts(Ledger(0, Partition(), MemoryStore()), damaged, STAGES[0])) == 1


def test_from_a_collector_to_the_desk() -> None:
    """What an intake is told of a flood stands at the desk as an alert."""
    bus = open_bus("memory:", partitions=1)
    source = Source(name="edge", agency="fin", parser="none")

    async def run() -> None:
        async with Intake(bus, parsers={}, mask=lambda event: event, seal=lambda data: "", tick=0.05) as sink:
            sink.filled(source, 1.0, lost=5, sender="192.0.2.7")

    asyncio.run(run())
    store = MemoryStore()
    ledger = Ledger(0, Partition(), store)
    found = ledger.step(bus.read(Position(LEDGER, 0, 0), 100)).get(ALERTS, [])
    desk(store).alerts([Stored(ALERTS, 0, n, BEGAN, each.key, each.value, {}) for n, each in enumerate(found)])
    bus.close()
    (item,) = store.search(Query(kind=ALERTS_KIND, scope=ALL)).items
    assert item.document["almena.alert.words"]["en"]["what_happened"].startswith("The flood of edge that began at ")
    assert "5 records were lost" in item.document["almena.alert.words"]["en"]["what_happened"]
