"""The dashboards: generated, importable, over metrics that exist, in words people read."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from exported import EXPORTED, labels_in, names_in
from prometheus import RULES, program

from almena.paths import dashboards_dir
from almena.yamlfile import load_all

FILES = sorted((dashboards_dir() / "grafana").glob("*.json"))
BOARDS = {path.name: msgspec.json.decode(path.read_bytes()) for path in FILES}
RECORDED = {
    rule["record"]: rule["expr"]
    for path in RULES
    for document in load_all(path.read_text("utf-8"))
    for group in document["groups"]
    for rule in group["rules"]
    if "record" in rule
}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


TARGETS = [
    pytest.param(panel, target, id=f"{name}: {panel['title']} {target['refId']}")
    for name, board in BOARDS.items()
    for panel in panels(board)
    for target in panel["targets"]
]


def test_the_files_are_what_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("dashboards_build", dashboards_dir() / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    assert {path.name: path.read_text("utf-8") for path in FILES} == build.texts(), "run `python dashboards/build.py`"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_can_be_imported(name: str) -> None:
    board = BOARDS[name]
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    assert board["title"].startswith("Almena — ")
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${prometheus}"
        for target in panel["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= variables


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_within_the_grid_and_on_nobody(name: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_every_metric_and_label_named_is_exported(panel: dict[str, Any], target: dict[str, Any]) -> None:
    named = names_in(target["expr"])
    assert named
    known = {"le"}
    for metric in named:
        assert metric in EXPORTED or metric in RECORDED, f"{metric} is exported by nobody"
        known |= EXPORTED.get(metric, set()) | labels_in(RECORDED.get(metric, ""))
    assert labels_in(target["expr"]) <= known
    shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert shown <= known
    grouped = labels_in(target["expr"]) | set().union(*(labels_in(RECORDED.get(metric, "")) for metric in named))
    assert shown <= grouped, "the legend shows a label that was summed away"


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    expressions = [
        re.sub(r"\$\w+", ".*", target["expr"].replace("$__rate_interval", "5m"))
        for board in BOARDS.values()
        for panel in panels(board)
        for target in panel["targets"]
    ]
    made = [{"record": f"test:expression:{number}", "expr": text} for number, text in enumerate(expressions)]
    path = tmp_path / "rules.yml"
    path.write_bytes(msgspec.json.encode({"groups": [{"name": "dashboards", "rules": made}]}))
    checked = subprocess.run([program("promtool"), "check", "rules", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(expressions)} rules found" in checked.stdout


def test_what_a_room_watches_is_on_the_first_dashboard() -> None:
    asked = set().union(
        *(names_in(target["expr"]) for panel in panels(BOARDS["operacion.json"]) for target in panel["targets"])
    )
    asked |= set().union(*(names_in(RECORDED[name]) for name in asked if name in RECORDED))
    wanted = (
        "events_received_total events_dropped_total event_delay_seconds_bucket bus_lag_records alerts_total "
        "dead_letters_total rules_loaded rules_rejected watermark_delay_seconds outbox_depth "
        "heartbeat_timestamp_seconds store_write_failures_total source_last_event_timestamp_seconds"
    )
    assert {f"almena_{name}" for name in wanted.split()} <= asked
