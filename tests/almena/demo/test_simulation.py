from __future__ import annotations

from collections import Counter
from itertools import islice

import msgspec
import pytest

from almena.clock import MINUTE, SECOND, parse_time
from almena.demo.play import past
from almena.demo.scenes import SCENES
from almena.demo.settings import SOURCES
from almena.demo.simulation import Simulation, Timed

START = parse_time("2026-11-22T19:00:00Z")


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = (list(Simulation(seed=3, start=START, seconds=40)) for _ in range(2))
    assert first == again
    assert first != list(Simulation(seed=4, start=START, seconds=40))


def test_one_simulation_can_be_told_twice() -> None:
    simulation = Simulation(seed=3, start=START, seconds=20)
    first = list(simulation)
    played = list(simulation.played)
    assert list(simulation) == first
    assert simulation.played == played


def test_everything_comes_in_time_order_between_start_and_end() -> None:
    times = [record.time for record in Simulation(seed=3, start=START, seconds=60)]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < START + MINUTE


@pytest.mark.parametrize("rate", [20.0, 60.0, 150.0])
def test_ordinary_traffic_keeps_its_rate_from_the_first_seconds(rate: float) -> None:
    records = list(Simulation(seed=5, start=START, seconds=60, rate=rate, scenes=(), garbage=0))
    assert len(records) == pytest.approx(60 * rate, rel=0.25)
    early = sum(record.time < START + 10 * SECOND for record in records)
    assert early == pytest.approx(10 * rate, rel=0.4)


def test_every_source_speaks_in_a_few_minutes_of_ordinary_traffic() -> None:
    records = Simulation(seed=5, start=START, seconds=300, rate=20, scenes=())
    assert {record.source for record in records} == set(SOURCES)


def test_the_first_scenes_begin_within_five_seconds_and_all_come_round_again() -> None:
    simulation = Simulation(seed=5, start=START, seconds=len(SCENES) * 12.0 + 100, rate=10)
    for _ in simulation:
        pass
    begun = [played.start - START for played in simulation.played]
    assert sum(at <= 5 * SECOND for at in begun) >= 4
    names = [played.scene.name for played in simulation.played]
    assert set(names) == {scene.name for scene in SCENES}
    assert names[0] == names[len(SCENES)]
    again = [simulation.played[0].entity, simulation.played[len(SCENES)].entity]
    assert again[0] != again[1]


def test_the_past_holds_every_scene_once_and_whole() -> None:
    simulation = past(seed=9, minutes=10, rate=5, end=START)
    records = list(simulation)
    assert [played.scene.name for played in simulation.played] == [scene.name for scene in SCENES]
    told = Counter(record.scene for record in records)
    assert told["refund_ring"] == 6
    assert told["curp_enumeration"] == 36
    assert records[0].time >= START - 10 * MINUTE
    assert records[-1].time < START


def test_ids_are_unique_and_inside_the_records() -> None:
    records = [record for record in Simulation(seed=5, start=START, seconds=60) if record.id]
    assert len({record.id for record in records}) == len(records) > 500
    for record in records:
        document = msgspec.json.decode(record.data)
        own = document["event.id"] if "event.id" in document else str(document["winlog"]["record_id"])
        assert own == record.id


def test_a_few_records_cannot_be_read_and_are_marked() -> None:
    records = list(Simulation(seed=5, start=START, seconds=100, garbage=10, scenes=()))
    broken = [record for record in records if record.broken]
    assert len(broken) == 10
    assert not any(record.broken for record in Simulation(seed=5, start=START, seconds=100, garbage=0))


def test_no_record_holds_a_line_break() -> None:
    def lines(record: Timed) -> int:
        return record.data.count(b"\n") + record.data.count(b"\r")

    assert sum(map(lines, islice(Simulation(seed=6, start=START), 5_000))) == 0
