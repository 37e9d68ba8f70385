"""The rules for Prometheus: valid, tested, in two languages, over metrics that exist, in a real Prometheus."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

import pytest
from exported import EXPORTED, labels_in, names_in
from prometheus import RULES, program, run_prometheus
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from almena.clock import now
from almena.yamlfile import load_all

HERE = Path(__file__).parent


def rules() -> list[dict[str, Any]]:
    (recording,), (alerting,) = (load_all(path.read_text("utf-8")) for path in RULES)
    return [rule for document in (recording, alerting) for group in document["groups"] for rule in group["rules"]]


RECORDING = {rule["record"]: rule for rule in rules() if "record" in rule}
ALERTING = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def test_promtool_finds_them_valid() -> None:
    checked = subprocess.run([program("promtool"), "check", "rules", *RULES], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_promtool_sees_each_alert_fire_and_stay_silent() -> None:
    tests = HERE / "alerts_test.yml"
    tested = subprocess.run([program("promtool"), "test", "rules", tests], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    (document,) = load_all(tests.read_text("utf-8"))
    cases = [case for test in document["tests"] for case in test.get("alert_rule_test", ())]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert fired == set(ALERTING), "every alert has a case in which it fires"


@pytest.mark.parametrize("name", [*RECORDING, *ALERTING])
def test_every_metric_and_label_named_is_exported(name: str) -> None:
    expression = {**RECORDING, **ALERTING}[name]["expr"]
    named = names_in(expression)
    assert named, "it asks for no metric of ours"
    for metric in named:
        assert metric in EXPORTED or metric in RECORDING or metric == "up", f"{metric} is exported by nobody"
    known = set().union(*(EXPORTED.get(metric, set()) for metric in named), {"le", "job"})
    known |= {label for metric in named if metric in RECORDING for label in labels_of(metric)}
    assert labels_in(expression) <= known


def labels_of(record: str) -> set[str]:
    """The labels a recorded series keeps."""
    expression = RECORDING[record]["expr"]
    return labels_in(expression).union(*(labels_of(name) for name in names_in(expression) if name in RECORDING))


def test_recorded_series_are_named_level_metric_operations() -> None:
    for name in RECORDING:
        level, metric, operations = name.split(":")
        assert re.fullmatch(r"[a-z0-9_]+", operations)
        assert any(exported.startswith(metric) for exported in EXPORTED), name
        if level != "almena":
            assert all(label in labels_of(name) for label in level.split("_")), name


@pytest.mark.parametrize("name", ALERTING)
def test_alerts_speak_spanish_and_english(name: str) -> None:
    rule = ALERTING[name]
    assert name.startswith("Almena")
    assert rule["labels"]["severity"] in ("warning", "critical")
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "summary_en", "description_en"}
    for kind in ("summary", "description"):
        placeholders = [re.findall(r"{{.*?}}", said[key]) for key in (kind, f"{kind}_en")]
        assert sorted(placeholders[0]) == sorted(placeholders[1]), "both languages show the same values"
        assert said[kind] != said[f"{kind}_en"]
    for label in re.findall(r"\$labels\.(\w+)", "".join(said.values())):
        named = names_in(rule["expr"])
        given = set().union(*(labels_of(n) if n in RECORDING else EXPORTED.get(n, {"instance"}) for n in named))
        assert label in given


def test_commands_named_in_words_exist() -> None:
    helped = {
        "dead": ("list", "replay"),
        "rules": ("check", "shadow"),
        "state": ("show",),
        "status": ("",),
        "check": ("",),
    }
    for rule in ALERTING.values():
        for command, sub in re.findall(r"`almena (\w+) ?(\w*)`", "".join(rule["annotations"].values())):
            assert sub in helped[command]


@pytest.fixture
def endpoint() -> Iterator[int]:
    """A /metrics endpoint with an installation in trouble: no desk, rules refused, a lag, lost records."""
    registry = CollectorRegistry()
    heartbeat = Gauge("almena_heartbeat_timestamp_seconds", "", ["stage"], registry=registry)
    heartbeat.labels("detect").set_function(lambda: now() / 1e6)
    heartbeat.labels("correlate").set(now() / 1e6 - 300)
    Gauge("almena_rules_rejected", "", registry=registry).set(2)
    lag = Gauge("almena_bus_lag_records", "", ["topic", "group", "partition"], registry=registry)
    lag.labels("events", "detect", "0").set(40)
    lag.labels("events", "detect", "1").set(2)
    Counter("almena_bus_gap_records_total", "", ["topic"], registry=registry).labels("events").inc(7)
    server: WSGIServer
    thread: threading.Thread
    server, thread = start_http_server(0, "127.0.0.1", registry=registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_real_prometheus_scrapes_records_and_alerts(endpoint: int, tmp_path: Path) -> None:
    with run_prometheus(tmp_path, endpoint) as prometheus:
        wanted = {"AlmenaRolDetenido", "AlmenaRolAusente", "AlmenaReglasRechazadas", "AlmenaRegistrosRecortados"}
        prometheus.wait_for(lambda: wanted <= set(prometheus.alerts()), f"{wanted} to be raised")
        alerts = prometheus.alerts()
        assert set(alerts) == wanted
        assert alerts["AlmenaRolDetenido"]["labels"]["stage"] == "correlate"
        assert alerts["AlmenaRolAusente"]["labels"]["stage"] == "desk"
        assert alerts["AlmenaReglasRechazadas"]["annotations"]["summary"] == "2 reglas no se cargaron"
        assert alerts["AlmenaRegistrosRecortados"]["state"] == "firing"
        assert [value for _, value in prometheus.query("topic_group:almena_bus_lag_records:sum")] == [42.0]
        assert prometheus.query("up")[0][1] == 1.0
