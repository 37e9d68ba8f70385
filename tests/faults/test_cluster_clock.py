"""Clocks that are wrong by hours: when something came is told by the broker alone, and even its clock may be set."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from cluster import UNITS, clustered
from installation import Installation, Worker
from rough import calm, play
from servers import missing

from deploy.dev.broker import Broker

SEED = int(os.environ.get("FAULTS_SEED", "1"))
BATCHES = 160

SKEW = """
import time

_offset = {seconds}
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _offset
time.time_ns = lambda: _time_ns() + _offset * 1_000_000_000
"""
"""What Python reads before anything else, in a process whose clock is wrong."""


def skewed(folder: Path, hours: int) -> Mapping[str, str]:
    """The environment of a Python process whose clock is wrong by so many hours."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SKEW.format(seconds=hours * 3600))
    return {"PYTHONPATH": str(folder)}


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_collectors_and_workers_whose_clocks_are_hours_off(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    """The collector lives three hours ahead, one detector two ahead and one two behind, one correlator two behind."""
    start, expected = calm(tmp_path, BATCHES)
    wrong = {("collect", ""): 3, ("detect", "ahead"): 2, ("detect", "behind"): -2, ("correlate", "behind"): -2}
    right = [unit for unit in UNITS if unit in ("correlate", "desk", "console")]
    with clustered(tmp_path / "rough", kafka, elasticsearch, roles=right) as place, ExitStack() as workers:
        for (role, member), hours in wrong.items():
            worker = Worker(place, role, member, skewed(tmp_path / f"{role}-{member}", hours))
            workers.callback(worker.end)
        rough = play(place, BATCHES, start, lambda place, over: None, pause=0.1, seed=SEED)
    rough.agrees(expected)
    assert sum(source["late"] + source["future"] for source in rough.status["sources"]) == 0


def faketime() -> str:
    """The library that gives a process a clock of its own; the test skips where it is not there."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        missing("libfaketime is not installed: apt-get install faketime")
    return str(found[0])


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_broker_half_an_hour_ahead_that_is_set_right(
    tmp_path: Path, own_broker: Broker, elasticsearch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Append time stands still until the clock has caught up; nothing is late by more than its source allows."""
    library = faketime()
    start, expected = calm(tmp_path, BATCHES)
    own_broker.stop()
    with monkeypatch.context() as wrong:
        wrong.setenv("LD_PRELOAD", library)
        wrong.setenv("FAKETIME", "+30m")
        own_broker.start()

    def disturb(place: Installation, over: threading.Event) -> None:
        time.sleep(8)
        own_broker.stop()
        own_broker.start()

    with clustered(tmp_path / "rough", own_broker.address, elasticsearch) as place:
        rough = play(place, BATCHES, start, disturb, pause=0.15, patience=120, seed=SEED)
    rough.agrees(expected)
    assert sum(source["late"] + source["future"] for source in rough.status["sources"]) == 0
