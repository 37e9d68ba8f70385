"""Counts of processes that have ended stay, and their files do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


RULES = """
import os, sys
from almena import metrics
counters = metrics.register_rules({"a": "high", "b": "low"}, {"b", "chain"})
counters["a"].inc(2)
metrics.RULE_SECONDS.labels("b").inc(0.5)
if "reload" in sys.argv:
    metrics.register_rules({"a": "high", "c": "low"})
    metrics.forget_rules({"b": "low", "chain": "low"})
if "back" in sys.argv:
    metrics.register_rules({"b": "low"})["b"].inc(3)
print(metrics.render(os.environ.get("PROMETHEUS_MULTIPROC_DIR")).decode())
"""


def rules(folder: Path | None, *words: str) -> dict[str, float]:
    """What a process that loads rules, and perhaps others later, shows of them."""
    environment = {**os.environ, **({"PROMETHEUS_MULTIPROC_DIR": str(folder)} if folder else {})}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", RULES, *words],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return rules_in(parsed(ran.stdout))


def rules_in(found: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("rule_"): value for name, value in found.items() if name.startswith("rule_")}


def values(folder: Path) -> dict[str, float]:
    return parsed(metrics.render(str(folder)).decode())


def parsed(text: str) -> dict[str, float]:
    lines = text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
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


@pytest.mark.parametrize("shared", [False, True])
def test_every_rule_is_exported_from_zero(tmp_path: Path, shared: bool) -> None:
    found = {name: value for name, value in rules(tmp_path if shared else None).items() if "_created" not in name}
    assert found == {
        'matches_total{level="high",rule_id="a"}': 2,
        'matches_total{level="low",rule_id="b"}': 0,
        'candidates_total{rule_id="a"}': 0,
        'candidates_total{rule_id="b"}': 0,
        'seconds_total{rule_id="a"}': 0,
        'seconds_total{rule_id="b"}': 0.5,
        'shadow{rule_id="a"}': 0,
        'shadow{rule_id="b"}': 1,
        'shadow{rule_id="chain"}': 1,
    }


@pytest.mark.parametrize("shared", [False, True])
def test_a_rule_that_left_is_exported_no_more(tmp_path: Path, shared: bool) -> None:
    names = {name for name in rules(tmp_path if shared else None, "reload") if "_created" not in name}
    assert {name for name in names if 'rule_id="b"' in name or "chain" in name} == set()
    assert sum('rule_id="a"' in name for name in names) == 4
    assert sum('rule_id="c"' in name for name in names) == 4


@pytest.mark.parametrize("shared", [False, True])
def test_a_rule_that_comes_back_is_exported_again(tmp_path: Path, shared: bool) -> None:
    found = rules(tmp_path if shared else None, "reload", "back")
    assert found['matches_total{level="low",rule_id="b"}'] == 3
    assert found['shadow{rule_id="b"}'] == 0


def test_while_nobody_runs_rules_the_last_counts_are_shown(tmp_path: Path) -> None:
    rules(tmp_path)
    metrics.bury_dead(tmp_path)
    found = rules_in(values(tmp_path))
    assert found['matches_total{level="high",rule_id="a"}'] == 2
    assert not any(name.startswith("shadow") for name in found)
