"""A replay gives the same alerts in whatever order its files and lines come, and says where each begins."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena import spill
from almena.alert import Alert
from almena.clock import MINUTE, SECOND, format_time
from almena.replay import Totals, alerts, batches, files_of, summary, verdicts
from almena.spill import CHUNK
from collectors.reading import read
from detectors.first_seen_network import FirstSeenNetwork
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_texts
from detectors.web_session import WebSession

START = 1_790_000_000 * SECOND
RULES = """\
title: Failed
name: failed
id: 11111111-1111-4111-8111-111111111111
logsource: {product: app}
detection: {s: {event.outcome: failure}, condition: s}
level: informational
---
title: Entered
name: entered
id: 22222222-2222-4222-8222-222222222222
logsource: {product: app}
detection: {s: {event.outcome: success}, condition: s}
---
title: Many failed
name: many
id: 33333333-3333-4333-8333-333333333333
level: medium
correlation: {type: event_count, rules: [failed], group-by: [source.ip], timespan: 1m, condition: {gte: 3}}
---
title: Many accounts
id: 44444444-4444-4444-8444-444444444444
level: medium
correlation: {type: value_count, rules: [failed], group-by: [source.ip], timespan: 1m,
  condition: {gte: 3, field: user.name}}
es: {que_paso: "{source.ip} probó {user.name}"}
---
title: In after many
id: 55555555-5555-4555-8555-555555555555
level: high
correlation: {type: temporal_ordered, rules: [many, entered], group-by: [source.ip], timespan: 2m, generate: true}
"""
RULESET = load_texts([("rules.yml", RULES)], "ecs")
assert not RULESET.rejected

Step = tuple[float, str, str, str]
"""Second, outcome, account, address."""


def line(step: Step) -> bytes:
    second, outcome, user, address = step
    record = {
        "@timestamp": format_time(START + round(second * SECOND)),
        "event.dataset": "app.identity",
        "event.action": "login",
        "event.category": ["authentication"],
        "event.outcome": outcome,
        "user.name": user,
        "source.ip": address,
    }
    return msgspec.json.encode(record)


def written(folder: Path, files: Sequence[Sequence[Step]]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.ndjson" for number in range(len(files))]
    for path, steps in zip(paths, files, strict=True):
        path.write_bytes(b"".join(line(step) + b"\n" for step in steps))
    return paths


def replayed(paths: Sequence[Path], totals: Totals | None = None) -> list[Alert]:
    totals = totals or Totals()
    models = [FirstSeenNetwork(days=0, logins=3, max_p=0.5)]
    running: dict[str, Any] = {operator.name: operator for operator in operators(RULESET)}
    running |= {model.name: model for model in models}
    source = (
        batch for path in paths for _, items, reader in [read(path, "ecs")] for batch in batches(items, reader, totals)
    )
    return list(alerts(source, [SigmaDetector(RULESET), *models], running, totals))


def essence(found: Sequence[Alert]) -> list[str]:
    """All of each alert but where its events lie, which a shuffle of lines changes."""

    def without(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: without(item)
            for name, item in value.items()
            if name not in ("event.id", "log.file.path", "log.offset", "almena.alert.id")
        }

    return sorted(msgspec.json.encode(without(alert), order="sorted").decode() for alert in found)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from(["failure", "failure", "success"]),
        st.sampled_from(["ana", "luis", "eva", "beto"]),
        st.sampled_from(["192.0.2.7", "198.51.100.4", "203.0.113.9"]),
    ),
    max_size=60,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, count=st.integers(1, 3), chunk=st.sampled_from([1, 2, 7, 10_000]), rng=st.randoms())
def test_no_order_of_files_or_lines_changes_an_alert(
    steps: list[Step], count: int, chunk: int, rng: random.Random, tmp_path: Path
) -> None:
    """Of events at the very same moment the place decides who was first, so here every moment is one event's."""
    steps = list({step[0]: step for step in steps}.values())
    straight = replayed(written(tmp_path / "straight", [sorted(steps)]))
    shuffled = steps[:]
    rng.shuffle(shuffled)
    paths = written(tmp_path / "mixed", [shuffled[number::count] for number in range(count)])
    rng.shuffle(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "CHUNK", chunk)
        assert essence(replayed(paths)) == essence(straight)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, chunk=st.sampled_from([1, 3]), rng=st.randoms())
def test_the_order_of_files_changes_nothing_at_all(
    steps: list[Step], chunk: int, rng: random.Random, tmp_path: Path
) -> None:
    """Also with many events at one moment: identities, places and evidence are the same."""
    steps = [(second // 40, *rest) for second, *rest in steps]  # type: ignore[misc]
    paths = written(tmp_path / "files", [steps[number::3] for number in range(3)])
    expected = sorted(map(msgspec.json.encode, replayed(paths)))
    rng.shuffle(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "CHUNK", chunk)
        assert sorted(map(msgspec.json.encode, replayed(paths))) == expected


def test_more_hits_than_a_chunk_give_the_same_alerts_in_any_order(tmp_path: Path) -> None:
    steps: list[Step] = [
        (number / 10, "failure", f"u{number % 7}", f"10.0.{number % 50}.1") for number in range(CHUNK + 2_500)
    ]
    straight = replayed(written(tmp_path / "straight", [steps]))
    paths = written(tmp_path / "mixed", [steps[:6_000][::-1], steps[6_000:][::-1]])
    totals = Totals()
    assert essence(replayed(paths[::-1], totals)) == essence(straight)
    assert totals.records == CHUNK + 2_500
    assert totals.alerts == len(straight) == 100


def place_of(alert: Alert) -> dict[str, Any]:
    """The record that the alert points at."""
    data = Path(alert["log.file.path"]).read_bytes()[alert["log.offset"] :].partition(b"\n")[0]
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def test_every_alert_says_where_its_first_event_stands(tmp_path: Path) -> None:
    steps: list[Step] = [(second, "failure", f"u{second}", "203.0.113.9") for second in range(6)]
    steps += [(10 + second, "success", "ana", "192.0.2.7") for second in range(4)]
    steps += [(30, "success", "ana", "203.0.113.9")]
    (path,) = written(tmp_path, [steps])
    found = replayed([path])
    assert {alert["rule.name"] for alert in found} == {
        "Entered",
        "Many failed",
        "Many accounts",
        "In after many",
        "Sign-in from a network new to the account",
    }
    for alert in found:
        assert alert["log.file.path"] == str(path)
        first = place_of(alert)
        assert first["@timestamp"] == alert["@timestamp"] == alert["almena.alert.first_seen"]
        assert alert["rule.name"] == "Entered" or first["source.ip"] == "203.0.113.9"
        number = int(alert["event.id"].removeprefix(f"{path}:"))
        assert path.read_bytes().splitlines()[number - 1] == line(steps[number - 1])
        assert alert["almena.alert.evidence"]["last"]["log.offset"] >= alert["log.offset"]


def test_a_model_s_alert_says_where_its_first_event_stands(tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = [
        (minute * 60 + rng.randrange(60), f"198.51.100.{visitor}", f"/{rng.randrange(9)}", 200)
        for minute in range(12)
        for visitor in range(15)
        for _ in range(rng.randint(1, 6))
    ]
    rows += [(11 * 60 + second % 60, "203.0.113.9", f"/x{second}", 404) for second in range(300)]
    path = tmp_path / "web.ndjson"
    with path.open("wb") as file:
        for second, client, page, status in rows:
            record = {
                "@timestamp": format_time(START // MINUTE * MINUTE + second * SECOND),
                "event.dataset": "nginx.access",
                "source.ip": client,
                "url.path": page,
                "url.original": page,
                "http.response.status_code": status,
            }
            file.write(msgspec.json.encode(record) + b"\n")
    totals, model = Totals(), WebSession(minimum=80, sample=256)
    _, items, reader = read(path, "ecs")
    (alert,) = alerts(batches(items, reader, totals), [model], {model.name: model}, totals)
    first = place_of(alert)
    assert first["source.ip"] == alert["source.ip"] == "203.0.113.9"
    assert first["@timestamp"] == alert["@timestamp"]
    assert alert["rule.id"] == "almena.web_session"
    assert alert["event.id"].startswith(f"{path}:")


def test_verdicts_are_lines_and_rules_sorted(tmp_path: Path) -> None:
    (path,) = written(tmp_path, [[(9, "failure", "a", "10.0.0.1"), (1, "success", "a", "10.0.0.1")] * 2])
    totals = Totals()
    _, items, reader = read(path, "ecs")
    found = list(verdicts(batches(items, reader, totals), SigmaDetector(RULESET).ids, totals))
    assert [(number, rule[:1]) for number, rule in found] == [(1, "1"), (2, "2"), (3, "1"), (4, "2")]
    assert totals.alerts == 4


def test_bad_records_are_counted_by_reason_and_told_a_hundred_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(b'{"a":\n' * 500 + b"[]\n\n")
    totals = Totals()
    _, items, reader = read(path, "native")
    assert list(batches(items, reader, totals)) == []
    assert totals.records == 501
    assert totals.dead == {"malformed JSON": 500, "JSON, but no object": 1}
    assert len(caplog.records) == 101
    assert caplog.records[0].getMessage() == f"{path}:1: malformed JSON"
    said = summary(totals, 0.0, 2.0)
    assert said == (
        "501 records in 2.0 s (250/s), 0 alerts, 501 dead letters: 500 × malformed JSON; 1 × JSON, but no object"
    )


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    paths = written(tmp_path / "d", [[], []])
    assert files_of([paths[1], tmp_path / "d", paths[1]]) == [paths[1], paths[0]]
