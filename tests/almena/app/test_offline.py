"""Replay and parse as a person calls them, on real files; and what all commands share."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from captures import ACK, FIN, PUSH, START, SYN, dns, ethernet, pcap, tcp, udp, write
from corpora import corpus

ROOT = Path(__file__).parents[3]
KNOWN_BAD = "fb6a3a75-4967-494e-936a-bc1e0bb76c80"
"""The rule on threat indicators."""


def almena(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "almena", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=cwd,
        check=False,
        env={**os.environ, "ALMENA_SECRET": "00" * 32, "PYTHONPATH": str(ROOT)},
    )


def alerts_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def sshd(minute: int, second: int, said: str, user: str = "root", ip: str = "203.0.113.9") -> str:
    moment = f"2026-11-22T10:{minute:02d}:{second:02d}.000Z"
    return f"<38>1 {moment} srv1 sshd 100 - - {said} for {user} from {ip} port 50000 ssh2"


@pytest.fixture
def auth_log(tmp_path: Path) -> Path:
    lines = [sshd(0, second, "Failed password", "ana") for second in range(12)]
    lines.append(sshd(0, 30, "Accepted password", "ana"))
    lines += [sshd(5, second, "Accepted password", f"user{second}", "10.0.0.5") for second in range(5)]
    path = tmp_path / "auth.log"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_window_alerts_whatever_the_order_of_lines_and_files(auth_log: Path, tmp_path: Path) -> None:
    straight = alerts_of(almena("replay", auth_log, cwd=tmp_path))
    assert "Entraron a un servidor después de probar contraseñas" in {
        alert["almena.alert.words"]["es"]["title"] for alert in straight
    }
    lines = auth_log.read_text("utf-8").splitlines()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.log").write_text("\n".join(lines[:7:-1]) + "\n")
    (other / "b.log").write_text("\n".join(lines[7::-1]) + "\n")
    mixed = alerts_of(almena("replay", other, cwd=tmp_path))

    def essence(alerts: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        return {(alert["rule.id"], alert["@timestamp"], alert["almena.alert.count"]) for alert in alerts}

    assert essence(mixed) == essence(straight)
    for alert in straight:
        assert alert["rule.id"]
        assert alert["event.id"].startswith(f"{auth_log}:")
        assert alert["log.file.path"] == str(auth_log)
        first = auth_log.read_bytes()[alert["log.offset"] :].partition(b"\n")[0].decode()
        assert alert["source.ip"] in first
        assert all("." in name or name in ("@timestamp", "message", "tags") for name in alert), "flat ECS keys"


def test_a_single_event_says_its_file_and_offset(tmp_path: Path) -> None:
    line = '203.0.113.7 - - [22/Nov/2026:10:00:00 -0600] "GET {} HTTP/1.1" 200 5 "-" "curl/8"\n'
    calm = line.format("/tramites")
    path = tmp_path / "access.log"
    path.write_text(calm + line.format("/tramites?id=1%27%20UNION%20SELECT%20password%20FROM%20users--") + calm)
    (found,) = alerts_of(almena("replay", "--format", "nginx", path, cwd=tmp_path))
    assert found["log.file.path"] == str(path)
    assert found["log.offset"] == len(calm)
    assert found["event.id"].endswith(":2")
    verdicts = almena("replay", "--verdicts", path, cwd=tmp_path).stdout
    assert f"2\t{found['rule.id']}" in verdicts.splitlines()
    assert verdicts.splitlines() == sorted(verdicts.splitlines(), key=lambda row: (int(row.split("\t")[0]), row))


def test_a_capture_alerts(tmp_path: Path) -> None:
    outside, inside, resolver = "203.0.113.10", "10.20.4.7", "10.1.0.1"
    packets = [
        tcp(outside, 40_001, inside, 3389, SYN),
        tcp(inside, 3389, outside, 40_001, SYN | ACK),
        tcp(outside, 40_001, inside, 3389, ACK | PUSH, b"mstshash=ana"),
        tcp(inside, 3389, outside, 40_001, ACK | PUSH, b"welcome" * 9),
        tcp(outside, 40_001, inside, 3389, FIN | ACK),
        udp(inside, 40_002, resolver, 53, dns("tunel.ngrok.io")),
        tcp(inside, 40_003, "192.0.2.80", 80, SYN),
        tcp(inside, 40_003, "192.0.2.80", 80, ACK | PUSH, b"GET /?curp=BOXW310820HNERXN09 HTTP/1.1\r\n\r\n"),
    ]
    timed = [(START + 100_000 * number, ethernet(packet)) for number, packet in enumerate(packets)]
    path = write(tmp_path / "border.pcap", pcap(timed))
    done = almena("replay", path, cwd=tmp_path)
    found = {alert["message"]: alert for alert in alerts_of(done)}
    assert set(found) == {"Management port reached from the internet", "Name of a tunnel service looked up"}
    reached = found["Management port reached from the internet"]
    assert reached["almena.alert.words"]["es"]["what_happened"] == f"{outside} intercambió datos con {inside}:3389."
    assert reached["log.file.path"] == str(path)
    assert "dead letter" not in done.stderr
    parsed = almena("parse", path, cwd=tmp_path).stdout
    assert '"url.query":"curp=curp-' in parsed
    assert "BOXW310820HNERXN09" not in parsed


def test_files_are_enriched_as_the_intake_does(auth_log: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("type,value,description\nip,203.0.113.9,botnet\n")
    (tmp_path / "almena.toml").write_text('[enrich]\nindicators = ["bad.csv"]\n')
    alerts = alerts_of(almena("replay", auth_log, "--config", "almena.toml", cwd=tmp_path))
    assert KNOWN_BAD in {alert["rule.id"] for alert in alerts}
    (event, *_) = alerts_of(almena("parse", auth_log, "--parser", "syslog", cwd=tmp_path))
    assert event["related.ip"] == ["203.0.113.9"]


def test_a_file_that_is_one_array_replays(tmp_path: Path) -> None:
    record = {"@timestamp": "2026-11-22T10:00:00Z", "event": {"dataset": "network.dns"}, "event.category": ["network"]}
    records = [record | {"dns.question.name": name} for name in ("portal.example", "tunel.ngrok.io")]
    path = write(tmp_path / "export.json", msgspec.json.format(msgspec.json.encode(records)))
    (found,) = alerts_of(almena("replay", path, cwd=tmp_path))
    assert found["dns.question.name"] == "tunel.ngrok.io"
    assert path.read_bytes()[found["log.offset"] :].startswith(b"{")
    assert found["event.id"] == f"{path}:2"


def test_native_records_and_rules_of_others(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "one.yml").write_text(
        "title: Whoami\nid: 11111111-1111-4111-8111-111111111111\n"
        "logsource: {category: process_creation, product: windows}\n"
        "detection: {s: {Image|endswith: '\\whoami.exe'}, condition: s}\nlevel: low\n"
    )
    record = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\Windows\\whoami.exe"}
    lines = [record | {"Image": "C:\\x.exe"}, record, record | {"UtcTime": "2026-11-22 10:00:00.000"}]
    path = tmp_path / "e.ndjson"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + b"{broken\n")
    done = almena("replay", "--format", "native", "--rules", rules, "--verdicts", path, cwd=tmp_path)
    assert done.stdout == "2\t11111111-1111-4111-8111-111111111111\n3\t11111111-1111-4111-8111-111111111111\n"
    assert "1 dead letter:" in done.stderr
    assert f"{path}:4:" in done.stderr


def test_event_logs_are_read_and_damage_is_said(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(corpus("evtx/evtx-samples.tar.xz")) as tar:
        tar.extractall(tmp_path, filter="data")
    good = almena("parse", tmp_path / "new-user-security.evtx", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    events = [msgspec.json.decode(line) for line in good.stdout.splitlines()]
    assert len(events) == 4
    assert {event["event.dataset"] for event in events} == {"windows.security"}
    done = almena("replay", *sorted(tmp_path.glob("*.evtx")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_real_attacks_replay_without_a_dead_letter(tmp_path: Path) -> None:
    sample = tmp_path / "otrf.ndjson"
    with lzma.open(corpus("otrf/events.ndjson.xz"), "rb") as file, sample.open("wb") as out:
        out.writelines(line for number, line in enumerate(file) if number % 25 == 0)
    rules = corpus("sigmahq/rules-994da16.tar.xz")
    done = almena("replay", "--rules", rules, sample, cwd=tmp_path)
    assert "dead letter" not in done.stderr
    assert len(alerts_of(done)) > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay", "nowhere.log"], "nowhere.log: no such file or folder"),
        (["replay", ".", "--format", "nginxx"], "no format 'nginxx'; there are auto, native"),
        (["replay", ".", "--rules", "nowhere"], "nowhere"),
        (["parse", "--parser", "x", "file"], "no such file"),
        (["rules", "test", "nowhere"], "nowhere: no such file or folder; `almena rules test DIR`"),
        (["rules", "check", "nowhere"], "nowhere: no such file or folder; `almena rules check DIR`"),
        (["replay", "hollow"], "hollow: there are no files in it"),
        (["parse", "empty.log", "--zone", "Mars/Olympus"], "zone 'Mars/Olympus' is not known here"),
        (["demo", "--port", "99999"], "65535"),
        (["demo", "--data", "empty.log"], "empty.log: File exists"),
        (["dead", "list", "--limit", "0"], "limit"),
        (["backup", "nowhere/a.tar.gz"], "nowhere"),
        (["restore", "none.tar.gz"], "none.tar.gz: no such file"),
        (["restore", "empty.log"], "empty.log: no readable archive of `almena backup`"),
        (["up"], "there is no almena.toml in this folder"),
        (["status", "--config", "none.toml"], "none.toml: no such file"),
        (["status"], "there is no installation; `--config FILE` names one"),
        (["dead", "list"], "there is no installation"),
    ],
)
def test_wrong_arguments_say_what_instead(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "hollow").mkdir()
    done = almena(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_parse_masks_and_says_what_it_did_not_understand(tmp_path: Path) -> None:
    path = tmp_path / "app.ndjson"
    good = {
        "@timestamp": "2026-11-22T10:00:00-06:00",
        "event": {"dataset": "app.tramites", "action": "search", "outcome": "success"},
        "almena": {"citizen": {"curp": "BOXW310820HNERXN09"}},
    }
    path.write_bytes(msgspec.json.encode(good) + b"\nnot json\n")
    done = almena("parse", "--parser", "app", path, cwd=tmp_path)
    assert done.returncode == 1
    assert "BOXW310820HNERXN09" not in done.stdout
    assert msgspec.json.decode(done.stdout)["almena.citizen.curp"].startswith("curp-")
    assert "1 of 2 records were not understood" in done.stderr
    assert f"{path}:2:" in done.stderr


@pytest.mark.parametrize(
    "command", ["", "demo", "replay", "rules", "rules check", "rules install", "dead", "dead show", "detect"]
)
def test_every_help_has_an_example(command: str) -> None:
    done = almena(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example: almena" in done.stdout
