from __future__ import annotations

import lzma
import tarfile
from collections import Counter
from pathlib import Path

import evtx
import msgspec
import pytest
from corpora import corpus

from almena.event import event_time
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.sniff import sniff

CONTEXT = Context(received=1_795_376_040_000_000)


def test_every_recorded_attack_event_parses() -> None:
    seen: Counter[str] = Counter()
    with lzma.open(corpus("otrf/events.ndjson.xz")) as lines:
        for line in lines:
            event = PARSERS["json"](line, CONTEXT)
            seen[event["event.dataset"]] += 1
            assert event_time(event) > 0
            assert event["event.code"] == event["winlog.event_id"]
            assert event["host.name"]
    assert seen.total() == 48_498
    assert seen["windows.sysmon"] == 28_953
    assert seen["windows.security"] == 10_275
    assert seen["windows.powershell"] == 9_197


def test_recorded_events_carry_their_ecs_fields() -> None:
    wanted = {
        ("windows.sysmon", "1"): {
            "process.executable",
            "process.command_line",
            "process.parent.executable",
            "user.name",
        },
        ("windows.sysmon", "3"): {"source.ip", "destination.ip", "destination.port", "network.transport"},
        ("windows.sysmon", "7"): {"file.path", "file.hash.sha256"},
        ("windows.sysmon", "10"): {
            "process.executable",
            "winlog.event_data.TargetImage",
            "winlog.event_data.GrantedAccess",
        },
        ("windows.sysmon", "11"): {"file.path", "file.name"},
        ("windows.sysmon", "13"): {"registry.path", "registry.hive"},
        ("windows.sysmon", "22"): {"dns.question.name"},
        ("windows.security", "4624"): {"user.name", "winlog.logon.type", "event.outcome"},
        ("windows.security", "4625"): {"user.name", "winlog.logon.failure.status", "event.outcome"},
        ("windows.security", "4688"): {"process.executable", "process.pid", "user.name"},
        ("windows.security", "5156"): {"source.ip", "destination.ip", "network.direction", "process.executable"},
        ("windows.security", "5145"): {"file.path", "source.ip", "user.name"},
        ("windows.powershell", "4103"): {"process.command_line", "user.name"},
    }
    missing: Counter[tuple[str, str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    with lzma.open(corpus("otrf/events.ndjson.xz")) as lines:
        for line in lines:
            event = PARSERS["windows"](line, CONTEXT)
            key = event["event.dataset"], event["event.code"]
            seen[key] += 1
            for field in wanted.get(key, set()) - set(event):
                missing[(*key, field)] += 1
    for key, fields in wanted.items():
        assert seen[key], key
        for field in fields:
            # A few recorded events lack the datum itself.
            assert missing[(*key, field)] <= seen[key] * 0.1, (key, field, missing[(*key, field)], seen[key])


def test_records_of_the_evtx_package_parse(tmp_path: Path) -> None:
    with tarfile.open(corpus("evtx/evtx-samples.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    seen: Counter[str] = Counter()
    for path in sorted(tmp_path.rglob("*.evtx")):
        records = evtx.PyEvtxParser(str(path)).records_json()
        while True:
            try:
                record = next(records)
            except StopIteration:
                break
            except RuntimeError:
                continue  # the file is damaged here on purpose
            assert record is not None
            document = msgspec.json.decode(record["data"])
            if document["Event"]["System"].get("TimeCreated") is None:
                continue  # a record of a damaged chunk, empty
            seen[PARSERS["windows"](record["data"].encode(), CONTEXT)["event.dataset"]] += 1
    assert seen["windows.security"] > 2_000
    assert seen["windows.sysmon"] > 300


def test_regression_events_of_sigma_parse() -> None:
    with lzma.open(corpus("regression/events.ndjson.xz")) as lines:
        records = [msgspec.json.encode(event) for line in lines for event in msgspec.json.decode(line)["events"]]
    assert sniff(records) == "windows"
    for record in records:
        assert PARSERS["windows"](record, CONTEXT)["event.dataset"].startswith("windows.")


@pytest.mark.parametrize(
    ("record", "time"),
    [
        ({"EventTime": "2026-11-22 13:34:00"}, "2026-11-22T19:34:00.000000Z"),
        ({"EventTime": "2026-11-22 13:34:00", "@timestamp": "2026-11-22T19:34:02Z"}, "2026-11-22T19:34:02.000000Z"),
        (
            {"EventTime": "2026-11-22T10:00:00-06:00", "@timestamp": "2026-11-22T19:34:02Z"},
            "2026-11-22T16:00:00.000000Z",
        ),
        ({"TimeCreated": "2026-11-22T01:00:00Z", "EventTime": "x"}, "2026-11-22T01:00:00.000000Z"),
        ({"UtcTime": "2026-11-22 19:34:00.5", "EventTime": "2026-11-22 10:00:00"}, "2026-11-22T19:34:00.500000Z"),
        ({"UtcTime": "forged", "EventTime": "2026-11-22 13:34:00"}, "2026-11-22T19:34:00.000000Z"),
    ],
)
def test_the_events_own_time_comes_first(record: dict[str, str], time: str) -> None:
    raw = msgspec.json.encode({"EventID": 1, "SourceName": "Microsoft-Windows-Sysmon", **record})
    assert PARSERS["windows"](raw, CONTEXT)["@timestamp"] == time


def test_the_three_shapes_of_one_event_are_one_event() -> None:
    data = {"TargetUserName": "ana", "IpAddress": "10.0.0.9", "LogonType": "3", "Status": "-"}
    time = "2026-11-22T19:34:00.5Z"
    shapes = (
        {
            "Event": {
                "System": {"EventID": 4624, "Channel": "Security", "Computer": "PC", "TimeCreated": time},
                "EventData": data,
            }
        },
        {
            "@timestamp": time,
            "winlog": {"event_id": "4624", "channel": "Security", "computer_name": "PC", "event_data": data},
        },
        {"EventID": 4624, "Channel": "security", "Hostname": "PC", "TimeCreated": time, **data},
    )
    events = [PARSERS["windows"](msgspec.json.encode(shape), CONTEXT) for shape in shapes]
    for event in events:
        event.pop("log.level", None)
    assert events[0] == events[1] == events[2]
