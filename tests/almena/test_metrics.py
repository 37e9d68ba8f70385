"""Counts of processes that have ended stay, and their files do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from almena import metrics

WORK = """
import os, sys
from almena import metrics
metrics.EVENTS_DROPPED.labels("s", "full").inc(int(sys.argv[1]))
metrics.EVENT_DELAY.observe(0.2)
metrics.HEARTBEAT.labels("detect").set(1000 + int(sys.argv[1]))
metrics.RULES_LOADED.set(int(sys.argv[1]))
metrics.STATE_ENTRIES.set(int(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


def work(folder: Path, number: int) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    assert subprocess.run([sys.executable, "-c", WORK, str(number)], env=environment, check=False).returncode == -9


def values(folder: Path) -> dict[str, float]:
    lines = metrics.render(str(folder)).decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("almena_"): float(value) for name, value in found.items()}


def test_what_ended_processes_counted_is_kept_in_a_few_files(tmp_path: Path) -> None:
    for number in (3, 5, 4):
        work(tmp_path, number)
        metrics.bury_dead(tmp_path)
    found = values(tmp_path)
    assert found['events_dropped_total{reason="full",source="s"}'] == 12
    assert found["event_delay_seconds_count"] == 3
    assert found['event_delay_seconds_bucket{le="0.3"}'] == 3
    assert found['event_delay_seconds_bucket{le="0.1"}'] == 0
    assert found['heartbeat_timestamp_seconds{stage="detect"}'] == 1005
    assert found["rules_loaded"] == 4
    assert found.get("correlation_state_entries", 0) == 0, "nobody lives who keeps any"
    assert sorted(path.name for path in tmp_path.glob("*.db")) == [
        "counter_0.db",
        "gauge_max_0.db",
        "gauge_mostrecent_0.db",
        "histogram_0.db",
    ]


def test_burying_again_and_while_others_live_changes_nothing(tmp_path: Path) -> None:
    work(tmp_path, 3)
    (tmp_path / f"counter_{os.getpid()}.db").touch()
    metrics.bury_dead(tmp_path)
    metrics.bury_dead(tmp_path)
    (tmp_path / f"counter_{os.getpid()}.db").unlink()
    assert values(tmp_path)['events_dropped_total{reason="full",source="s"}'] == 3


def test_a_file_that_was_torn_costs_only_what_it_held(tmp_path: Path) -> None:
    work(tmp_path, 3)
    metrics.bury_dead(tmp_path)
    for torn in (
        b"",
        b"\x00",
        b"\xff\xff\x00\x00" + bytes(60),
        b"\x40\x00\x00\x00\x00\x00\x00\x00\x30\x00\x00\x00" + b"\xff" * 80,
    ):
        (tmp_path / "counter_999999999.db").write_bytes(torn)
        metrics.bury_dead(tmp_path)
    assert values(tmp_path)['events_dropped_total{reason="full",source="s"}'] == 3
