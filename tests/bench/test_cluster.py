"""The pure parts of the cluster's benchmark."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from almena.bus import partition_of  # noqa: E402
from bench import cluster, cluster_bare, cluster_bus, cluster_flow, cluster_peer, cluster_recovery  # noqa: E402
from bench import cluster_place as place  # noqa: E402
from bench import cluster_report as report  # noqa: E402
from bench.cluster_flow import PEER, Run  # noqa: E402
from bench.cluster_report import Section, Table, Took, Versus  # noqa: E402

METRICS = """\
# HELP rsigma_events_processed_total Events.
rsigma_events_processed_total 12
rsigma_events_processed_total_more 7
rsigma_matches{rule="a b",level="high"} 3
rsigma_matches{rule="c",level="low"} 4
"""


@given(st.lists(st.binary(min_size=1, max_size=400_000).filter(lambda line: b"\n" not in line), max_size=8))
def test_requests_hold_every_line_once_in_order_and_are_as_small_as_the_peer_wants(lines: list[bytes]) -> None:
    found = cluster_peer.posts(lines)
    assert [line for each in found for line in each.body.split(b"\n")] == lines
    assert [each.number for each in found] == list(range(len(found)))
    assert all(each.events == each.body.count(b"\n") + 1 and len(each.body) < 1_000_000 for each in found)


def test_requests_are_of_500_events_at_most() -> None:
    assert [each.events for each in cluster_peer.posts([b"{}"] * 1_201)] == [500, 500, 201]


def test_a_line_too_long_for_others_goes_alone() -> None:
    assert [each.events for each in cluster_peer.posts([b"a", b"b" * 2_000_000, b"c"])] == [1, 1, 1]


def test_counters_are_read_from_metrics() -> None:
    assert cluster_peer.counter(METRICS, "rsigma_events_processed_total") == 12
    assert cluster_peer.counter(METRICS, "rsigma_matches") == 7
    assert cluster_peer.counter(METRICS, "rsigma") == 0


def test_ours_and_theirs_are_compared_round_by_round() -> None:
    found = Versus(
        "x", 100, [Took(1.0, 0.5), Took(2.0, 0.5), Took(4.0, 1.0)], [Took(1.0, 1.0), Took(1.0, 0.5), Took(1.0, 0.5)]
    )
    assert found.ratios == [1.0, 0.5, 0.25]
    assert found.cpu_ratios == [2.0, 1.0, 0.5]
    row = found.row(0.8)
    assert row == [
        *("x", "50 (25–100)", "100 (100–100)", "0.50 (0.25–1.00)", "1.00 (0.50–2.00)", "5,000.0 (5,000.0–10,000.0)"),
        "≥ 0.8, **missed**",
    ]
    assert len(row) == len(report.VERSUS) + 1
    assert found.row(0.5)[-1] == "≥ 0.5, met"
    assert found.row()[-1] == "–"


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_a_value_that_few_exceed(values: list[float], share: float) -> None:
    found = report.quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert report.quantile(values, 0.0) == min(values)
    assert report.quantile(values, 1.0) == max(values)


def test_parts_are_kept_until_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "there" / "cluster.json"
    assert report.kept(path) == {}
    sections = {"mix": Section("Mix", [Table(["a"], [["1"]], ["Note."])], 3, 1.25)}
    report.keep(path, sections)
    assert report.kept(path) == sections
    path.write_text('{"mix": 3}')
    assert report.kept(path) == {}


def test_a_page_has_the_parts_in_their_order() -> None:
    one = Section("One", [Table(["a", "b"], [["1", "2"]]), Table([], [], ["No table."])], 3, 2.04)
    text = report.page({"otrf": Section("Two", [], 4), "bulk": one, "unknown": one}, list(cluster.PARTS))
    assert text.index("### One") < text.index("### Two")
    assert text.count("### One") == 1
    assert "3 rounds; load average of the machine 2.0." in text
    assert "| 1 | 2 |\n\nNo table." in text


def test_the_docs_have_a_place_for_it() -> None:
    before, found, after = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").partition(report.BEGIN)
    assert found
    assert "<!-- to here -->" in after
    assert "On Kafka and Elasticsearch" in before


def test_parts_are_named_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster.arguments([]).parts == list(cluster.PARTS)
    asked = cluster.arguments(["recovery", "produce", "--rounds", "5", "--scale", "0.1"])
    assert (asked.parts, asked.rounds, asked.scale) == (["produce", "recovery"], 5, 0.1)
    with pytest.raises(SystemExit):
        cluster.arguments(["otrf", "nothing"])
    assert "no part 'nothing'" in capsys.readouterr().err


def test_records_are_made_of_both_kinds_and_lie_where_the_bus_puts_them() -> None:
    lines = [b'{"n":%d}' % number for number in range(1_000)]
    found = cluster_bus.corpora(lines, 30, 100)
    assert [len(records) for records in found.values()] == [30, 100]
    plain, real = found.values()
    assert {len(each.value) for each in plain} == {700}
    assert [each.value for each in real] == lines[::10]
    for each, (partition, key, value, headers) in zip(real, cluster_bare.ready(real, 4), strict=True):
        assert (partition, key, value) == (partition_of(each.key, 4), each.key.encode(), each.value)
        assert {name: bytes(data or b"").decode() for name, data in headers if isinstance(data, bytes)} == each.headers
    assert list(cluster_bus.corpora([], 30, 100)) == ["700 B"]


def test_what_processes_spend_is_read() -> None:
    pids = {"me": os.getpid(), "nobody": 2**30}
    before = place.spent(pids)

    def work() -> None:
        began = time.process_time()
        while time.process_time() < began + 0.1:
            pass

    cost = place.took(work)
    after = place.spent(pids)
    assert cost.cpu >= 0.1
    assert 0.05 <= after["me"] - before["me"] <= cost.cpu + 5
    assert after["nobody"] == 0.0


def test_whoever_listens_on_a_port_is_found() -> None:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert place.listener(port) is None
        server.listen()
        assert place.listener(port) == os.getpid()


def test_flows_become_tables() -> None:
    ours = [Run(1_000, 2.0, {"collect": 0.1, "detect": 0.3}, 7), Run(1_000, 4.0, {"collect": 0.1, "detect": 0.1}, 8)]
    theirs = [Run(1_000, 1.0, {"the peer": 0.05}, 90)] * 2
    table = cluster_flow.speeds({"end to end": ours, PEER: theirs})
    assert table.rows[0][1:] == ["1,000", "375 (250–500)", "7–8", "300 (200–400)", "0.38 (0.25–0.50)"]
    assert table.rows[1][1:] == ["1,000", "1,000 (1,000–1,000)", "90", "50 (50–50)", "–"]
    assert len(table.header) == 6
    assert len(cluster_flow.speeds({"end to end": ours}).header) == 5
    processes = cluster_flow.spending({"end to end": ours, PEER: theirs})
    assert processes.header == ["µs of the processor an event", "collect", "detect"]
    assert processes.rows == [["end to end", "100", "200"]]


def test_a_recovery_is_the_sum_of_its_parts() -> None:
    back = cluster_recovery.Back([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], 10, 11, 8_000_000, 3.0, 50_000_000)
    assert back.whole == 63.0
    table = cluster_recovery.table([back], 5.0)
    rows = dict(table.rows)
    assert rows["reading, MB/s"] == "2.0 (2.0–2.0)"
    assert rows["**from the start to the first committed step, s**"] == "63.0 (63.0–63.0)"
    assert len(rows) == len(cluster_recovery.PARTS) + 7
