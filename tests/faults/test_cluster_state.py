"""A large state on Kafka: whoever is killed at any moment, the next owner finds exactly what was committed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafkas import kafka_prefix

from almena.bus import ALERTS, EVENTS, Bus, Position, Record, Step, open_bus
from almena.bus.settings import KafkaSettings

SEED = int(os.environ.get("FAULTS_SEED", "1"))
RECORDS, STEP = 60_000, 250
KEYS = 30_000
"""Of so many keys, most of them are there at the end."""
COUNT = "count"
"""The key that says how many records made the state."""

WORKER = """
import sys
sys.path[:0] = {path}
from test_cluster_state import work
work({address!r}, {prefix!r})
"""


def changes(number: int) -> dict[str, bytes | None]:
    """What a record does to the state: it writes three keys and deletes one."""
    gone = {f"k{number * 104_729 % KEYS}": None}
    return gone | {f"k{(number * 7919 + step) % KEYS}": b"%d." % number * 40 for step in range(3)}


def state_after(count: int) -> dict[str, bytes]:
    """The state that so many records leave."""
    state = {COUNT: b"%d" % count} if count else {}
    for number in range(count):
        for key, value in changes(number).items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    return state


def opened(address: str, prefix: str) -> Bus:
    """The bus, with one partition."""
    return open_bus(f"kafka://{address}", partitions=1, kafka=KafkaSettings(prefix=prefix, replicas=1))


def work(address: str, prefix: str) -> None:
    """Restore, see that nothing of it is wrong, and go on until killed."""
    session = opened(address, prefix).session(EVENTS, group="g", member="m")
    count = 0
    while True:
        batch = session.poll(STEP, 1.0)
        for partition in batch.gained:
            state = session.restore(partition).state
            count = int(state.get(COUNT, b"0"))
            assert state == state_after(count), f"the state of {count} records is not what they leave"
        for partition, records in batch.records.items():
            numbers = [int(record.value) for record in records]
            assert numbers == list(range(count, count + len(numbers))), f"at {count} came {numbers[0]} to {numbers[-1]}"
            written: dict[str, bytes | None] = {}
            for number in numbers:
                written |= changes(number)
            count += len(numbers)
            outputs = {ALERTS: [Record("", record.value) for record in records]}
            session.commit({partition: Step(records[-1].offset + 1, outputs, written | {COUNT: b"%d" % count})})


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_large_state_is_restored_exactly_after_every_kill(tmp_path: Path, kafka: str) -> None:
    chance = random.Random(SEED)
    here = str(Path(__file__).parent)
    with kafka_prefix(kafka, "state") as prefix, closing(opened(kafka, prefix)) as bus:
        for start in range(0, RECORDS, 5_000):
            bus.append(EVENTS, [Record("", b"%d" % number) for number in range(start, start + 5_000)])
        command = [sys.executable, "-c", WORKER.format(path=[here, *sys.path], address=kafka, prefix=prefix)]
        kills = count = 0
        while count < RECORDS:
            with (tmp_path / "worker.log").open("ab") as log, subprocess.Popen(command, stderr=log) as worker:
                time.sleep(chance.uniform(1.0, 4.0))
                assert worker.poll() is None, (tmp_path / "worker.log").read_text()[-3000:]
                worker.kill()
            kills += 1
            state = bus.snapshot(EVENTS, "g", 0).state
            count = int(state.get(COUNT, b"0"))
            assert state == state_after(count)
        size = sum(map(len, state.values()))
        found = [record.value for record in bus.read(Position(ALERTS, 0, 0), 2 * RECORDS)]
    print(f"{kills} kills; {len(state)} keys, {size >> 20} MB of state")
    assert kills > 5
    assert size > 3 << 20
    assert found == [b"%d" % number for number in range(RECORDS)]
