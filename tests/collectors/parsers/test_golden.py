"""Raw samples beside the events they must give; `ALMENA_GOLDEN=write` rewrites the events for review."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from almena.ecs import check
from almena.errors import ParseError
from almena.event import encode, event_time
from collectors.base import Context
from collectors.parsers import PARSERS

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CONTEXT = Context(received=1_795_376_040_000_000, source="golden")  # 2026-11-22T19:34:00Z
WRITE = os.environ.get("ALMENA_GOLDEN") == "write"
SAMPLES = sorted(
    path for kind in ("log", "json") for path in GOLDEN.glob(f"*/*.{kind}") if ".expected" not in path.name
)
BAD = sorted(GOLDEN.glob("*/*.bad"))


def records(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_samples_give_the_expected_events(path: Path) -> None:
    events = [PARSERS[path.parent.name](raw, CONTEXT) for raw in records(path)]
    expected = path.with_suffix(".expected.json")
    lines = [msgspec.json.encode(dict(sorted(event.items()))) for event in events]
    if WRITE:
        expected.write_bytes(b"\n".join(lines) + b"\n")
    assert [msgspec.json.decode(line) for line in lines] == [msgspec.json.decode(line) for line in records(expected)]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_ecs_field_of_a_sample_has_the_type_of_the_schema(path: Path) -> None:
    own = ("winlog.", "auditd.log.", "log.syslog.structured_data.", "almena.app.", "system.auth.", "apache.error.")
    for raw in records(path):
        event = PARSERS[path.parent.name](raw, CONTEXT)
        misfits = {name for name in check(event).get("almena.misfit", {}) if not name.startswith(own)}
        assert not misfits or path.parent.name in ("ecs", "json")
        assert event_time(event) > 0
        assert event["event.dataset"]


@pytest.mark.parametrize("path", BAD, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_malformed_records_are_refused_with_their_reason(path: Path) -> None:
    found = []
    for line in records(path):
        reason, separator, raw = line.partition(b" >>> ")
        assert separator, "a line of a .bad file is `reason >>> record`"
        with pytest.raises(ParseError) as caught:
            PARSERS[path.parent.name](raw, CONTEXT)
        found.append((str(caught.value), raw))
        if not WRITE:
            assert str(caught.value) == reason.decode()
    if WRITE:
        path.write_bytes(b"".join(reason.encode() + b" >>> " + raw + b"\n" for reason, raw in found))


def test_every_parser_has_samples_and_negatives() -> None:
    for name in PARSERS:
        assert sum(len(records(path)) for path in SAMPLES if path.parent.name == name) >= 5, name
        assert any(path.parent.name == name for path in BAD), name


def test_expected_events_survive_the_bus() -> None:
    for path in SAMPLES:
        for raw in records(path):
            event = PARSERS[path.parent.name](raw, CONTEXT)
            assert msgspec.json.decode(encode(event)) == event
