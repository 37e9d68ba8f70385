"""The benchmark of correlations on tiny sizes: its parts run, and what it says is right is what the engine says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from almena.clock import MINUTE, SECOND  # noqa: E402
from bench import correlation_report, engine_report, peer  # noqa: E402
from bench.correlation import LATE, LATER  # noqa: E402
from bench.correlation_events import (  # noqa: E402
    ASKED,
    START,
    Happened,
    happenings,
    line,
    rules,
    shuffled,
    truth,
)
from bench.correlation_peer import ours, theirs  # noqa: E402
from bench.correlation_report import Figures, Operator, Raced, Verdict, Windowed  # noqa: E402
from bench.correlation_run import Filled, Restored, Speed, fill, operator, restore, window  # noqa: E402
from bench.engine_report import Series  # noqa: E402

NAMES = [asked.name for asked in ASKED]


@pytest.mark.parametrize("whole", [False, True])
def test_hits_over_groups(whole: bool) -> None:
    found = operator(groups=5, hits=60, rounds=2, busy=False, whole=whole)
    assert (found.hits, len(found.work), len(found.changes)) == (60, 2, 2)
    assert min(found.work) > 0
    assert 0 < found.live <= 5
    busy = operator(groups=2, hits=60, rounds=2, busy=True, whole=whole)
    assert busy.out >= 4, "both groups go on alerting, and revisions are told"


def test_windows_hold_what_they_should() -> None:
    asked = "{field: user.name, gte: 50}"
    assert window("value_count", asked, inside=200, distinct=10, hits=40, rounds=1).out == 0
    assert window("value_count", asked, inside=200, distinct=100, hits=400, rounds=1).out > 0
    asked = "{field: http.response.body.bytes, gte: 2000, percentile: 95}"
    assert window("value_percentile", asked, inside=100, distinct=1, hits=40, rounds=1).out == 0
    assert window("value_percentile", asked, inside=100, distinct=1, hits=400, rounds=1, high=2_000).out > 0


def test_state_goes_to_the_bus_and_comes_back(tmp_path: Path) -> None:
    filled = fill(str(tmp_path), groups=30, hits=10, rounds=2)
    assert filled.entries >= 10
    assert len(filled.commit) == 2
    back = restore(str(tmp_path), groups=30)
    assert back.groups == 30
    assert back.read > 0


@pytest.mark.parametrize("faults", [False, True])
def test_what_is_said_to_alert_does(tmp_path: Path, faults: bool) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yml").write_text(rules(NAMES), "utf-8")
    events = happenings(1_500, 12, faults=faults, seed=7)
    path = tmp_path / "events.ndjson"
    expected = truth(events, NAMES)
    assert {name for name, _ in expected} == {*NAMES}
    for late in (1, LATE, LATER):
        path.write_bytes(b"".join(map(line, shuffled(events, late))))
        found = ours(tmp_path / "rules", path, late)
        assert set(found.pairs) == expected
        assert found.events == len(events)


def test_the_truth_of_a_few_events() -> None:
    def lock(*seconds: int) -> list[Happened]:
        return [Happened(START + second * SECOND, 1, "locked", 0, 0) for second in seconds]

    assert truth(lock(0, 1, 2), NAMES) == {("event_count, eq 3", "s1")}
    assert truth(lock(0, 300), NAMES) == {("event_count, lte 2", "s1")}
    assert truth(lock(0, 1, 2, 300), NAMES) == set()
    assert truth(lock(0, 1, 2, 301), NAMES) == {("event_count, eq 3", "s1"), ("event_count, lte 2", "s1")}
    changed, raised = (Happened(START + at * MINUTE, 1, kind, 0, 0) for at, kind in ((5, "changed"), (0, "raised")))
    assert truth([changed, raised], NAMES) == {("temporal, gte 2", "s1"), ("temporal, no condition", "s1")}


def test_alerts_of_the_peer_are_read(tmp_path: Path) -> None:
    program = tmp_path / "rsigma"
    found = '{"rule_id":"00000000-0000-4000-8000-000000000007","group_key":[["source","s1"]]}'
    nobody, match = found.replace('["source","s1"]', ""), '{"rule_id":"00000000-0000-4000-8000-000000000001"}'
    program.write_text(f"#!/bin/sh\necho '{found}'\necho '{nobody}'\necho '{match}'\n", "utf-8")
    program.chmod(0o755)
    name = ASKED[0].name
    assert theirs(peer.Peer(program), tmp_path, tmp_path, ()) == {(name, "s1"), (name, "")}
    program.write_text("#!/bin/sh\nexit 3\n", "utf-8")
    with pytest.raises(peer.PeerError, match="3"):
        theirs(peer.Peer(program), tmp_path, tmp_path, ())


def test_figures_become_tables(tmp_path: Path) -> None:
    speed, slow = Speed(10, [1.0], [1.0]), Speed(10, [3.0], [0.0])
    figures = Figures(1, operators=[Operator(1_000, False, speed, slow)])
    figures.windows = [Windowed("sum", "10", speed), Windowed("sum", "1,000", slow)]
    figures.filled = Filled(10, 1_000, 2_000, [0.001], [0.001], [0.001], 2, 3, 5_000)
    figures.restored = [Restored(10, 0.1, 0.2, 0.3, 100)]
    pair = {(ASKED[0].name, "s1")}
    figures.verdicts = [Verdict(ASKED[0].name, "in order", pair, pair, {(ASKED[0].name, "")}, pair)]
    series = Series([1.0], [1.0], 5)
    figures.raced = [Raced("in order", "all", 10, series, [0.5], [1.0], series, Series([2.0], [2.0], 5))]
    text = figures.markdown()
    assert "| sum | 1,000 | 300,000.0 (300,000.0–300,000.0) | **3.00** |" in text
    assert "| event_count, gte 10 | 1 | same | −1 +1∅ | same |" in text
    assert "| in order | all | 10 | 10 (10–10) | 50% | 5 (5–5) | 10 (10–10) | 5 (5–5) | 1.00 (1.00–1.00) |" in text
    page = tmp_path / "page.md"
    page.write_text(f"a\n{correlation_report.BEGIN}\nold\n{engine_report.END}\nz\n", "utf-8")
    engine_report.write(page, text, correlation_report.BEGIN)
    assert page.read_text("utf-8") == f"a\n{correlation_report.BEGIN}\n\n{text}\n{engine_report.END}\nz\n"


def test_the_page_has_a_place_for_them() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert text.index(engine_report.BEGIN) < text.index(correlation_report.BEGIN) < text.rindex(engine_report.END)
