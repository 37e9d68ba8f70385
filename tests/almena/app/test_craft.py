"""The commands of rule authors as a person calls them, on real rules, archives and events."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from corpora import corpus

ROOT = Path(__file__).parents[3]

RULE = """\
title: {title}
id: {id}
status: {status}
description: Somebody did it.
logsource: {{product: windows, category: process_creation}}
detection:
  selection: {{Image|endswith: '\\{title}.exe'}}
  condition: selection
level: {level}
tags: [attack.execution, attack.t1059.001]
"""


def almena(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "almena", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=cwd,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def rule(number: int, *, title: str = "", status: str = "test", level: str = "high") -> str:
    identity = f"00000000-0000-4000-8000-{number:012}"
    return RULE.format(title=title or f"tool{number}", id=identity, status=status, level=level)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "rules"
    path.mkdir()
    (path / "one.yml").write_text(rule(1), "utf-8")
    return path


def test_our_own_rules_check_and_pass() -> None:
    done = almena("rules", "check", "--strict")
    assert done.returncode == 0, done.stdout
    done = almena("rules", "test")
    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout


def test_many_warnings_are_counted_by_kind(tmp_path: Path) -> None:
    text = (
        "title: Rule {0}\nlogsource: {{product: app, service: api}}\ndetection: {{a: {{Field{0}: 1}}, condition: a}}\n"
    )
    (tmp_path / "many.yml").write_text("---\n".join(text.format(number) for number in range(30)), "utf-8")
    done = almena("rules", "check", tmp_path)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert f"! 30 × it has no tests; first in {tmp_path / 'many.yml'}: Rule 0" in lines
    (fields,) = (line for line in lines if "no feed fills" in line)
    assert fields.startswith("! 30 × it reads the field …, which no feed fills: Field0 1, Field1 1,")
    assert fields.endswith("many.yml: Rule 0")
    assert "and 22 other fields; first in " in fields
    assert lines[-2:] == ["`--all` shows each one", "30 rules loaded, 0 rejected, 210 warnings"]
    every = almena("rules", "check", "--all", tmp_path).stdout.splitlines()
    assert len(every) == 211
    assert f"! {tmp_path / 'many.yml'}: Rule 7: it reads the field Field7, which no feed fills" in every


def test_warnings_fail_only_when_asked_to(folder: Path) -> None:
    assert almena("rules", "check", folder).returncode == 0
    assert almena("rules", "check", "--strict", folder).returncode == 1


def test_check_says_all_to_machines(folder: Path) -> None:
    (folder / "two.yml").write_text(rule(1, title="again"), "utf-8")
    done = almena("rules", "check", "--json", folder)
    assert done.returncode == 1
    report = msgspec.json.decode(done.stdout)
    assert report["loaded"] == 1
    ((rejected),) = report["rejected"]
    assert rejected["file"] == str(folder / "two.yml")
    assert "is taken by 'tool1'" in rejected["reason"]
    assert {warning["kind"] for warning in report["warnings"]} == {"tests", "words"}
    assert {warning["id"] for warning in report["warnings"]} == {"00000000-0000-4000-8000-000000000001"}


def test_many_rejected_rules_and_failed_examples_are_cut(tmp_path: Path) -> None:
    broken = "title: Rule {0}\nlogsource: {{product: x}}\ndetection: {{a: {{b|nope: 1}}, condition: a}}\n"
    (tmp_path / "many.yml").write_text("---\n".join(broken.format(number) for number in range(30)), "utf-8")
    for command, last in (
        ("check", "0 rules loaded, 30 rejected, 0 warnings"),
        ("test", "0 examples passed, 30 failed"),
    ):
        done = almena("rules", command, tmp_path)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        assert lines[-3:] == ["✗ and 10 more", "`--all` shows each one", last]
        assert len(almena("rules", command, "--all", tmp_path).stdout.splitlines()) == 31


def test_a_rule_that_fails_its_own_example_says_so(tmp_path: Path) -> None:
    text = (ROOT / "rules" / "linux" / "sudo_root_shell.yml").read_text("utf-8")
    (tmp_path / "rule.yml").write_text(text.replace("condition:", "condition: not ", 1))
    done = almena("rules", "test", tmp_path)
    assert done.returncode == 1
    assert "rule.yml" in done.stdout
    assert "condition: not" in done.stdout


def test_what_strangers_write_does_not_reach_the_terminal_as_commands(folder: Path, tmp_path: Path) -> None:
    hostile = rule(7).replace("title: tool7", 'title: "\\e]0;x\\a\\e[31mred [bold]b\\u202e"')
    (folder / "evil.yml").write_text(hostile + "tests: {alerts: {x: {Image: y}}}\n", "utf-8")
    path = tmp_path / "e.ndjson"
    path.write_bytes(b'{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "x"}\n')
    for command in (
        ["check"],
        ["check", "--all"],
        ["test"],
        ["coverage"],
        ["bench", path, "--format", "native", "--rules"],
    ):
        done = almena("rules", *command, folder)
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
        if command[0] != "coverage":
            assert "\\u001b[31mred [bold]b" in done.stdout


def test_coverage_shows_tactics_gaps_and_log_sources(folder: Path, tmp_path: Path) -> None:
    (folder / "odd.yml").write_text(rule(2).replace("windows", "beos"), "utf-8")
    path = tmp_path / "layer.json"
    done = almena("rules", "coverage", folder, "--layer", path)
    assert done.returncode == 0, done.stderr
    words = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "Execution 1 of 64 2 0" in words
    assert "Stealth 0 of 148 0 0" in words
    assert "T1003.001 OS Credential Dumping: LSASS Memory" in words
    assert not any(line.startswith("T1059.001") for line in words)
    assert "windows/process_creation/* 1 0 yes" in words
    assert "beos/process_creation/* 1 0 by no event" in words
    assert "2 rules name 1 technique" in words
    layer = msgspec.json.decode(path.read_bytes())
    assert layer["versions"]["layer"] == "4.5"
    (scored,) = (entry for entry in layer["techniques"] if "score" in entry)
    assert (scored["techniqueID"], scored["score"]) == ("T1059.001", 2)


def test_bench_says_what_each_rule_costs(folder: Path, tmp_path: Path) -> None:
    (folder / "two.yml").write_text(rule(2), "utf-8")
    (folder / "dns.yml").write_text(rule(3).replace("process_creation", "dns_query"), "utf-8")
    record = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational"}
    images = ["C:\\tool1.exe", "C:\\tool1.exe", "C:\\tool2.exe", "C:\\other.exe"]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(msgspec.json.encode(record | {"Image": image}) + b"\n" for image in images))
    done = almena("rules", "bench", path, "--rules", folder, "--format", "native", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["title"]: row for row in msgspec.json.decode(done.stdout)}
    assert [(rows[name]["events"], rows[name]["matches"]) for name in ("tool1", "tool2", "tool3")] == [
        (4, 2),
        (4, 1),
        (0, 0),
    ]
    assert rows["tool1"]["candidates"] == 2
    assert rows["tool1"]["ns_per_event"] > 0
    assert rows["tool3"]["ns"] == 0
    table = almena("rules", "bench", path, "--rules", folder, "--format", "native", "--top", "1").stdout
    assert "3 rules on 4 records, each alone:" in table
    assert "1 rules saw no event" in table
    assert "windows/process_creation/* 100%" in table
    fewer = almena("rules", "bench", path, "--rules", folder, "--format", "native", "--events", "2", "--json").stdout
    assert {row["title"]: row["events"] for row in msgspec.json.decode(fewer)}["tool1"] == 2


def test_bench_on_real_events_and_rules(tmp_path: Path) -> None:
    sample = tmp_path / "otrf.ndjson"
    with lzma.open(corpus("otrf/events.ndjson.xz"), "rb") as file, sample.open("wb") as out:
        out.writelines(line for number, line in enumerate(file) if number % 60 == 0)
    rules = corpus("sigmahq/rules-994da16.tar.xz")
    done = almena("rules", "bench", sample, "--rules", rules, "--format", "native", "--json")
    rows: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    assert len(rows) == 3_132
    assert rows == sorted(rows, key=lambda row: -row["ns"])
    assert all(row["matches"] <= row["candidates"] <= row["events"] for row in rows)
    verdicts = almena("replay", "--verdicts", "--format", "native", "--rules", rules, sample).stdout.splitlines()
    assert sum(row["matches"] for row in rows) == len(verdicts) > 5


def test_installed_rules_are_put_into_use_by_the_line_that_is_said(tmp_path: Path) -> None:
    archive = corpus("sigmahq/rules-994da16.tar.xz")
    done = almena(
        "rules", "install", archive, "--to", "sigma hq", "--level", "critical", "--status", "all", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "- 25 × its level is informational; first rules/application/github/audit/github_new_org_member.yml" in lines
    assert lines[-3].startswith("sigma hq: 70 files of rules in use: 71 new, 0 updated, 0 unchanged; 0 removed, ")
    assert lines[-3].endswith(" 0 left as they are, 3,062 left out")
    assert "LICENSE.DRL-1.1.md was added" in lines[-2]
    said = lines[-1].removeprefix("to use them, write into almena.toml: ")
    (tmp_path / "almena.toml").write_text(said + "\n", "utf-8")
    again = almena(
        "rules", "install", archive, "--to", "sigma hq", "--level", "critical", "--status", "all", cwd=tmp_path
    )
    assert again.stdout.splitlines()[-1] == "almena.toml names this folder already"
    assert "0 new, 0 updated, 71 unchanged" in again.stdout
    event = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\a\\mimikatz.exe"}
    (tmp_path / "e.ndjson").write_bytes(msgspec.json.encode(event) + b"\n")
    replayed = almena("replay", "--format", "native", "--verdicts", "e.ndjson", cwd=tmp_path)
    assert "rule" not in replayed.stderr, replayed.stderr
    assert almena("rules", "check", "sigma hq", cwd=tmp_path).stdout.splitlines()[-1].startswith("70 rules loaded, 0 ")


def test_what_is_in_the_way_is_said(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    assert almena("rules", "install", folder, "--to", to, "--dry-run").returncode == 0
    assert not to.exists()
    assert almena("rules", "install", folder, "--to", to).returncode == 0
    (to / "one.yml").write_text("title: mine\n", "utf-8")
    done = almena("rules", "install", folder, "--to", to)
    assert done.returncode == 1
    assert "! one.yml: is not as it was installed; `--overwrite` puts it right" in done.stdout
    assert (to / "one.yml").read_text("utf-8") == "title: mine\n"
    assert almena("rules", "install", folder, "--to", to, "--overwrite").returncode == 0
    assert (to / "one.yml").read_text("utf-8") == rule(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test", "nowhere"], "nowhere: no such file or folder; `almena rules test DIR`"),
        (["check", "nowhere"], "nowhere: no such file or folder; `almena rules check DIR`"),
        (["coverage", "nowhere"], "nowhere: no such file or folder; `almena rules coverage DIR`"),
        (["coverage", "hollow"], "hollow: no rule in it could be loaded"),
        (["coverage", "--layer", "no/where.json"], "no/where.json: No such file"),
        (["bench", "nowhere"], "nowhere: no such file or folder"),
        (["bench", "empty.log", "--rules", "nowhere"], "`almena rules bench DIR`"),
        (["bench", "empty.log", "--format", "nginxx"], "no format 'nginxx'"),
        (["bench", "empty.log"], "empty.log: none of its 0 records reaches a rule"),
        (["install", "nowhere"], "nowhere: no such file or folder; name an archive or folder of Sigma rules"),
        (["install", "empty.log"], "empty.log: no readable archive"),
        (["install", "hollow", "--level", "hihg"], "--level: hihg is unknown; there are informational, low"),
        (["install", "hollow", "--status", ","], "--status: nothing is named; there are stable"),
        (["install", "hollow", "--to", "empty.log"], "empty.log: is no folder"),
        (["install", "hollow", "--to", "hollow/in"], "hollow/in: lies in hollow"),
        (["install", "hollow", "--to", "full"], "full: holds files, but no manifest.json"),
    ],
)
def test_wrong_arguments_say_what_instead(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "hollow").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    done = almena("rules", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr
