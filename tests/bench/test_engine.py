"""The pure parts of the Sigma engine's benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from almena.event import decode, encode  # noqa: E402
from bench import engine_lanes, engine_report, peer  # noqa: E402
from bench.engine_pairs import OUR_NAMES, Judge, denied, same_names, unreached  # noqa: E402
from bench.engine_run import matcher, verdicts  # noqa: E402
from detectors.sigma.detector import SigmaDetector  # noqa: E402
from detectors.sigma.loader import load_texts  # noqa: E402
from detectors.sigma.logsource import Route  # noqa: E402
from detectors.sigma.rules import LogSource  # noqa: E402

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.dictionaries(st.sampled_from(["Image", "User", "EventID", "product", "Hashes", "x y"]), VALUES, max_size=5)

RULE = """
title: {title}
id: {id}
logsource: {{product: windows, category: {category}}}
detection:
  selection: {{{field}|endswith: {value}}}
  condition: selection
"""
SHELL = "11111111-1111-4111-8111-111111111111"
THREAD = "22222222-2222-4222-8222-222222222222"
RULES = [
    ("a", RULE.format(title="Shell", id=SHELL, category="process_creation", field="Image", value="sh.exe")),
    ("b", RULE.format(title="Thread", id=THREAD, category="create_remote_thread", field="SourceImage", value="x.exe")),
]
SYSMON: dict[str, Any] = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "product": "windows",
    "UtcTime": "2026-01-15 10:58:38.756",
}


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value)


@given(EVENTS, st.integers(0, 10**7), st.integers(0, 10**7))
def test_texts_made_unique_are_in_no_other_event_and_keep_their_shape(event: Any, one: int, two: int) -> None:
    first, second = engine_lanes.made_unique(event, one), engine_lanes.made_unique(event, two)
    assert shape(first) == shape(event)
    for name in ("EventID", "product"):
        assert first.get(name) == event.get(name)
    changed = {name: value for name, value in first.items() if name not in ("EventID", "product")}
    others = {name: value for name, value in second.items() if name not in ("EventID", "product")}
    assert one == two or not set(texts(changed)) & set(texts(others))
    for before, after in zip(texts({**event, "EventID": 0, "product": 0}), texts({**changed, "x": 0}), strict=True):
        assert after.startswith(before[: len(before) // 2])
        assert after.endswith(before[len(before) // 2 :])
        assert len(after) > len(before)


@given(EVENTS.filter(bool), st.integers(0, 10**7))
def test_a_numbered_line_is_the_event_and_its_number(event: Any, number: int) -> None:
    assert decode(engine_lanes.numbered(encode(event), number)) == event | {"bench": number}


def test_new_texts_are_counted() -> None:
    line = encode({"Image": "a", "tags": ["b"], "EventID": "1", "port": 3, "none": None})
    assert engine_lanes.new_texts(line) == 2


def test_a_lane_is_two_halves_and_the_whole(tmp_path: Path) -> None:
    lines = [b'{"x":%d}' % number for number in range(5)]
    lane = engine_lanes.make(tmp_path, lines)
    assert (lane.half, lane.events) == (2, 3)
    assert lane.first.read_bytes().splitlines() + lane.second.read_bytes().splitlines() == lines
    assert [decode(line)["bench"] for line in lane.whole.read_bytes().splitlines()] == [0, 1, 2, 3, 4]
    assert engine_lanes.repeated(lane, 3).read_bytes() == lane.second.read_bytes() * 3


def test_more_rules_hold_those_of_fewer(tmp_path: Path) -> None:
    rules = tmp_path / "rules" / "windows"
    rules.mkdir(parents=True)
    for number in range(20):
        (rules / f"{number}.yml").write_text("title: x", "utf-8")
    few, more = (
        {file.relative_to(folder) for file in folder.rglob("*.yml")}
        for folder in (engine_lanes.some_rules(rules.parent, count, tmp_path / str(count)) for count in (5, 12))
    )
    assert (len(few), len(more)) == (5, 12)
    assert few < more


def test_ecs_keeps_the_verdicts_and_what_routes() -> None:
    events = [
        SYSMON | {"EventID": 1, "Image": r"C:\bin\sh.exe", "category": "process_creation"},
        SYSMON | {"EventID": 8, "SourceImage": r"C:\bin\x.exe"},
        SYSMON | {"EventID": 10, "SourceImage": r"C:\bin\x.exe"},
        {"message": "<189>Jan 18 sh.exe", "product": "cisco", "service": "aaa"},
    ]
    native = SigmaDetector(load_texts(RULES, "native"))
    mapped = SigmaDetector(load_texts(RULES, "ecs"))
    converted = [engine_lanes.ecs(event) for event in events]
    assert [mapped.match_ids(event) for event in converted] == [native.match_ids(event) for event in events]
    assert native.match_ids(events[0]) == [SHELL]
    assert converted[0]["process.executable"] == r"C:\bin\sh.exe"
    assert [event.get("category") for event in converted] == ["process_creation", None, None, None]
    assert converted[3] == events[3]


def test_labels_say_the_log_source_in_sigmas_words() -> None:
    found = engine_lanes.labelled(SYSMON | {"EventID": 13})
    assert (found["category"], found["service"], found["product"]) == ("registry_set", "sysmon", "windows")
    kept = {"product": "cisco", "service": "aaa"}
    assert engine_lanes.labelled(kept) == kept


def test_verdicts_number_events_from_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    events = [SYSMON | {"EventID": 1, "Image": name} for name in ("a", "SH.EXE", "sh.exe")]
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events * 700))
    match = matcher(load_texts(RULES))
    count, found = verdicts(match, path)
    assert (count, len(found)) == (2_100, 1_400)
    assert found[:3] == [(1, SHELL), (2, SHELL), (4, SHELL)]
    assert found[-1] == (2_099, SHELL)
    path.write_bytes(b"")
    assert verdicts(match, path) == (0, [])


def test_the_peers_output_becomes_pairs() -> None:
    line = {"rule_title": "t", "rule_id": "r", "level": "low", "event": {"bench": 7, "Image": "x"}, "tags": []}
    assert list(peer.parse([msgspec.json.encode(line) + b"\n", b"\n"])) == [(7, "r")]
    with pytest.raises(msgspec.ValidationError):
        list(peer.parse([b'{"rule_id": "r"}\n']))


def test_a_peer_that_says_another_version_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "bin" / peer.NAME
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho rsigma 9.9.9\n", "utf-8")
    program.chmod(0o755)
    with pytest.raises(peer.PeerError, match=r"rsigma 9\.9\.9"):
        peer.install(tmp_path)


def test_without_cargo_there_is_no_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(peer.PeerError, match="cargo"):
        peer.install(tmp_path)


def test_what_a_run_of_the_peer_costs_is_read(tmp_path: Path) -> None:
    program = tmp_path / "rsigma"
    program.write_text("#!/bin/sh\necho 'Processed 12 events, 3 matches.' >&2\n", "utf-8")
    program.chmod(0o755)
    outcome = peer.Peer(program).run(tmp_path, tmp_path / "events")
    assert (outcome.events, outcome.matches) == (12, 3)
    assert outcome.wall > 0
    program.write_text("#!/bin/sh\necho broken >&2; exit 3\n", "utf-8")
    with pytest.raises(peer.PeerError, match="broken"):
        peer.Peer(program).run(tmp_path, tmp_path / "events")


def test_reasons(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    events = [SYSMON | {"EventID": 10}, SYSMON | {"EventID": 1}, SYSMON | {"EventID": 1, "category": "file_event"}]
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    judge = Judge(load_texts(RULES).by_id, path)

    def reasons(ours: set[Any], theirs: set[Any], same: set[Any] | None) -> list[tuple[str, str, str, int]]:
        found = judge.differences("routed", ours, theirs, same)
        return [(item.whose, item.reason, item.detail, item.count) for item in found]

    assert reasons({(1, SHELL)}, {(1, SHELL)}, None) == []
    assert reasons(set(), {(0, SHELL), (0, THREAD)}, None) == [("the peer's", "log source", "category", 1)] * 2
    assert reasons(set(), {(1, SHELL)}, None) == [("the peer's", "unexplained", "", 1)]
    assert reasons({(1, SHELL)}, set(), None) == [("ours", "unexplained", "", 1)]
    assert reasons({(2, SHELL)}, set(), None) == [("ours", "log source", "category", 1)]
    assert reasons({(1, SHELL)}, set(), {(1, SHELL)}) == [("ours", "field names", "", 1)]
    assert reasons({(1, SHELL)}, set(), set()) == [("ours", "unexplained", "", 1)]
    assert reasons(set(), {(1, SHELL)}, set()) == [("the peer's", "field names", "", 1)]
    assert reasons(set(), {(1, SHELL)}, {(1, SHELL)}) == [("the peer's", "unexplained", "", 1)]
    assert reasons(set(), {(1, "no such rule")}, None) == [("the peer's", "unexplained", "", 1)]


def test_log_sources_that_events_are_not_of() -> None:
    route = Route(frozenset({"windows"}), frozenset({"process_creation"}), frozenset({"sysmon"}))
    assert unreached(route, LogSource("windows", "process_creation")) == ""
    assert unreached(route, LogSource("linux", "process_creation", "auditd")) == "product and service"
    assert denied(("windows", None, None), LogSource("windows", "file_event")) == ""
    assert denied(("windows", "registry_set", None), LogSource("windows", "registry_event")) == "category"


def test_the_same_names_for_the_peer_are_ours() -> None:
    pipeline = msgspec.json.decode(same_names(load_texts(RULES, "native"), load_texts(RULES, "ecs")))
    mapped = {item["id"]: item["mapping"] for item in pipeline["transformations"]}
    assert mapped == {
        "windows/create_remote_thread/*": {"SourceImage": "process.executable"},
        "windows/process_creation/*": {"Image": "process.executable"},
    }
    assert {item["type"] for item in pipeline["transformations"]} == {"field_name_mapping"}
    assert OUR_NAMES.startswith("routed")


def test_a_ratio_is_that_of_medians_with_the_spread_of_rounds() -> None:
    found = engine_report.ratio([1.0, 2.0, 4.0], [6.0, 4.0, 8.0])
    assert (found.of_medians, found.lowest, found.highest) == (3.0, 2.0, 6.0)
    assert str(found) == "3.00 (2.00–6.00)"
    assert engine_report.rate(100, [1.0, 2.0, 4.0]) == "50 (25–100)"


def test_figures_stand_between_their_marks(tmp_path: Path) -> None:
    series = engine_report.Series([1.0], [1.0], 5)
    slow = engine_report.Series([2.0], [2.0], 5)
    figures = engine_report.Figures(1)
    figures.lanes.append(engine_report.LaneFigures("otrf", 3.0, 10, series, {"default": slow, "routed": slow}))
    figures.lanes.append(engine_report.LaneFigures("raw", None, 10, series, {}))
    figures.growth = [engine_report.Growth(500, series, slow), engine_report.Growth(3_132, slow, None)]
    figures.memory = [(0, 100), (1_000, 120)]
    text = figures.markdown()
    assert "| ≥ 3, **missed** |" in text
    assert "| 3,132 | 2,000 (2,000–2,000) | 2.00 (2.00–2.00) | – | – |" in text
    page = tmp_path / "page.md"
    page.write_text(f"a\n{engine_report.BEGIN}\nold\n{engine_report.END}\nz\n", "utf-8")
    engine_report.write(page, text)
    written = page.read_text("utf-8")
    assert written == f"a\n{engine_report.BEGIN}\n\n{text}\n{engine_report.END}\nz\n"
    page.write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match="no place"):
        engine_report.write(page, text)


def test_the_page_has_a_place_for_figures() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert text.index(engine_report.BEGIN) < text.index(engine_report.END)


def test_where_our_pipelines_map_values_the_peer_is_lent_those_too() -> None:
    rule = """\
title: Someone calls out
id: 99999999-9999-4999-8999-999999999999
logsource: {product: windows, category: network_connection}
detection: {s: {Initiated: 'true'}, condition: s}
"""
    texts = [("rule.yml", rule)]
    pipeline = msgspec.json.decode(same_names(load_texts(texts, "native"), load_texts(texts, "ecs")))
    values, names = pipeline["transformations"]
    assert (values["type"], values["mapping"]) == ("map_string", {"true": "egress"})
    assert values["field_name_conditions"] == [{"type": "include_fields", "fields": ["Initiated"]}]
    assert names["mapping"] == {"Initiated": "network.direction"}
