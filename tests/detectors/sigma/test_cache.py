"""The rules remembered: the same as from YAML, under every damage, and never in the way."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from corpora import corpus
from hypothesis import given
from hypothesis import strategies as st
from rule_facts import facts, same

from almena.locking import alone
from detectors.sigma import cache, inputs
from detectors.sigma.cache import load, load_rules
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.explain import explain
from detectors.sigma.inputs import gather
from detectors.sigma.loader import parse
from detectors.sigma.native import native_windows
from detectors.sigma.rules import LogSource, RuleSet
from detectors.sigma.values import View

RULES = """
title: One
name: one
date: 2024-02-03
logsource: {product: windows, category: process_creation}
detection: {s: {Image|endswith: ['/sh', '/bash']}, condition: s}
---
title: Many
correlation: {type: event_count, rules: [one], group-by: [User], timespan: 5m, condition: {gte: 3}}
---
title: Broken
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "one.yml").write_text(RULES, "utf-8")
    return folder


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The key of every set that is made from YAML."""
    found: list[str] = []

    def watched(read: inputs.Inputs) -> RuleSet:
        found.append(read.key)
        return parse(read)

    monkeypatch.setattr(cache, "_parse", watched)
    return found


def remembered(folder: Path) -> list[Path]:
    return sorted(folder.glob("rules-*.bin"))


def test_the_second_time_no_yaml_is_read(rules: Path, tmp_path: Path, parsed: list[str]) -> None:
    folder = tmp_path / "data" / "cache"
    first, second = (load_rules([rules], cache=folder) for _ in range(2))
    assert len(parsed) == 1
    assert same(first, second)
    assert second.rejected
    assert second.muted
    (file,) = remembered(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(folder.glob("*.tmp"))


def test_without_a_folder_nothing_is_written(rules: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert same(load_rules([rules]), parse(gather([rules])))
    assert sorted(tmp_path.rglob("*")) == before


def test_whatever_changes_is_loaded_anew(rules: Path, tmp_path: Path, parsed: list[str]) -> None:
    folder = tmp_path / "cache"
    load_rules([rules], cache=folder)
    (rules / "one.yml").write_text(RULES.replace("'/sh'", "'/zsh'"), "utf-8")
    changed = load_rules([rules], cache=folder)
    assert facts(changed) == facts(parse(gather([rules])))
    load_rules([rules], "native", cache=folder)
    load_rules([rules], zone="UTC", cache=folder)
    (rules / "pipelines").mkdir()
    load_rules([rules], cache=folder)
    assert len(parsed) == 5
    (rules / "one.yml").write_text(RULES, "utf-8")
    shutil.rmtree(rules / "pipelines")
    load_rules([rules], cache=folder)
    assert len(parsed) == 5, "as it was at first"


def test_other_code_reads_nothing_of_before(
    rules: Path, tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_rules([rules], cache=tmp_path)
    makers = cache._makers()
    monkeypatch.setattr(cache, "_makers", lambda: makers + "x")
    load_rules([rules], cache=tmp_path)
    assert len(parsed) == 2


def test_the_makers_are_our_code_and_the_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = Path(cache.__file__).parent
    (tmp_path / "sigma").mkdir()
    for file in source.glob("*.py"):
        shutil.copy(file, tmp_path / "sigma" / file.name)
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "sigma" / "cache.py"))
    make = cache._makers.__wrapped__
    seen = {make()}
    assert make() in seen
    with (tmp_path / "sigma" / "modifiers.py").open("a") as handle:
        handle.write("\n")
    seen.add(make())
    monkeypatch.setattr(cache, "version", lambda name: "0")
    seen.add(make())
    assert len(seen) == 3


def test_fields_are_mapped_by_the_pipelines_as_they_were_read(rules: Path, tmp_path: Path) -> None:
    process = LogSource(product="windows", category="process_creation")
    expected = load_rules([rules], cache=tmp_path).field("CommandLine", process)
    assert expected == "process.command_line"
    (rules / "pipelines").mkdir()
    own = rules / "pipelines" / "own.yml"
    own.write_text(
        "name: own\npriority: 1\ntransformations: [{id: a, type: field_name_mapping, mapping: {CommandLine: mine}}]\n",
        "utf-8",
    )
    for _ in range(2):
        ruleset = load_rules([rules], cache=tmp_path)
    own.write_text("broken", "utf-8")
    assert ruleset.field("CommandLine", process) == "mine"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, inputs.Inputs, bytes, RuleSet]:
    folder = tmp_path_factory.mktemp("written")
    (folder / "one.yml").write_text(RULES, "utf-8")
    read = gather([folder])
    ruleset = load(read, folder / "cache")
    (file,) = remembered(folder / "cache")
    return file, read, file.read_bytes(), ruleset


@contextmanager
def quiet() -> Iterator[None]:
    """Hundreds of warnings help nobody."""
    logger = logging.getLogger("almena.rules")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@given(st.data())
def test_no_damage_raises_or_changes_anything(
    written: tuple[Path, inputs.Inputs, bytes, RuleSet], data: st.DataObject
) -> None:
    file, read, good, ruleset = written
    bad = bytearray(good)
    match data.draw(st.sampled_from(["flip", "cut", "grow", "swap", "other"])):
        case "flip":
            place = data.draw(st.integers(0, len(good) - 1))
            bad[place] ^= data.draw(st.integers(1, 255))
        case "cut":
            del bad[data.draw(st.integers(0, len(good) - 1)) :]
        case "grow":
            bad += data.draw(st.binary(min_size=1, max_size=9))
        case "swap":
            place = data.draw(st.integers(0, len(good)))
            bad = bad[place:] + bad[:place]
        case "other":
            bad = bytearray(data.draw(st.binary(max_size=300)))
    file.write_bytes(bad)
    with quiet():
        assert same(load(read, file.parent), ruleset)
    assert file.read_bytes() == good, "written anew"


@given(st.data())
def test_a_right_checksum_over_other_data_runs_no_code_and_raises_nothing(
    written: tuple[Path, inputs.Inputs, bytes, RuleSet], data: st.DataObject
) -> None:
    """Who can write here can write rules; what they write is data all the same."""
    file, read, good, _ = written
    key = good[len(cache._MAGIC) : len(cache._MAGIC) + 32]
    payload = bytearray(good[len(cache._MAGIC) + 64 :])
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    checksum = hashlib.blake2b(payload, key=key, digest_size=32).digest()
    file.write_bytes(cache._MAGIC + key + checksum + payload)
    with quiet():
        assert isinstance(load(read, file.parent), RuleSet)
    file.write_bytes(good)


def test_damage_is_said(rules: Path, tmp_path: Path, parsed: list[str], caplog: pytest.LogCaptureFixture) -> None:
    load_rules([rules], cache=tmp_path)
    (file,) = remembered(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    load_rules([rules], cache=tmp_path)
    assert "its checksum differs" in caplog.text
    assert len(parsed) == 2


def test_a_set_under_another_key_is_not_taken(rules: Path, tmp_path: Path, parsed: list[str]) -> None:
    load_rules([rules], cache=tmp_path)
    (file,) = remembered(tmp_path)
    load_rules([rules], "native", cache=tmp_path)
    (other,) = set(remembered(tmp_path)) - {file}
    shutil.copy(file, other)
    assert load_rules([rules], "native", cache=tmp_path).mode == "native"
    assert len(parsed) == 3


def test_one_too_large_is_not_read(
    rules: Path, tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_rules([rules], cache=tmp_path)
    monkeypatch.setattr(cache, "LARGEST", 100)
    load_rules([rules], cache=tmp_path)
    assert len(parsed) == 2


def test_a_full_or_forbidden_disk_is_only_said(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert load_rules([rules], cache=tmp_path / "file" / "cache").rules

    def full(self: Path, target: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert load_rules([rules], cache=tmp_path / "cache").rules
    assert "No space left on device" in caplog.text
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["lock"]


def test_what_cannot_be_packed_is_only_said(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(ruleset: RuleSet) -> bytes:
        raise TypeError("a strange thing")

    monkeypatch.setattr(cache, "pack", refuse)
    assert load_rules([rules], cache=tmp_path).rules
    assert "a strange thing" in caplog.text


def test_the_sets_used_last_are_kept(rules: Path, tmp_path: Path, parsed: list[str]) -> None:
    folder = tmp_path / "cache"

    def use(number: int) -> None:
        (rules / "one.yml").write_text(RULES + f"# {number}\n", "utf-8")
        load_rules([rules], cache=folder)
        for place, file in enumerate(sorted(remembered(folder), key=lambda file: file.stat().st_mtime_ns)):
            os.utime(file, (place, place))

    for number in range(cache.KEPT):
        use(number)
    use(0)
    (folder / "rules-x.1.tmp").write_bytes(b"left by one that was killed long ago")
    os.utime(folder / "rules-x.1.tmp", (0, 0))
    (folder / "rules-x.2.tmp").write_bytes(b"being written")
    use(cache.KEPT)
    assert len(remembered(folder)) == cache.KEPT
    assert [file.name for file in folder.glob("*.tmp")] == ["rules-x.2.tmp"]
    made = len(parsed)
    use(0)
    assert len(parsed) == made, "used of late"
    use(1)
    assert len(parsed) == made + 1, "the one used longest ago"


def _loads(rules: Path, folder: Path) -> None:
    assert load_rules([rules], cache=folder).rules


def test_many_at_once_end_with_one_whole_set(rules: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_loads, args=(rules, tmp_path / "cache")) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(remembered(tmp_path / "cache")) == 1
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_who_waits_for_another_takes_what_it_made(
    rules: Path, tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    with alone(tmp_path / "lock", 1):
        load_rules([rules], cache=tmp_path)  # who holds the lock hangs
    load_rules([rules], cache=tmp_path)
    assert len(parsed) == 1


def test_all_of_sigmahq_comes_back(sigmahq: RuleSet, sigmahq_ecs: RuleSet, tmp_path: Path) -> None:
    for mode, fresh in (("native", sigmahq), ("ecs", sigmahq_ecs)):
        for _ in range(2):
            again = load_rules([corpus("sigmahq/rules-994da16.tar.xz")], mode, cache=tmp_path)  # type: ignore[arg-type]
        assert again is not fresh
        assert same(fresh, again)
        assert [rule.fields for rule in again.rules] == [rule.fields for rule in fresh.rules]
        assert [rule.about for rule in again.rules] == [rule.about for rule in fresh.rules]


def test_verdicts_and_explanations_are_the_same(sigmahq: RuleSet, tmp_path: Path) -> None:
    import lzma

    for _ in range(2):
        again = load_rules([corpus("sigmahq/rules-994da16.tar.xz")], "native", cache=tmp_path)
    one, two = PlainEngine(sigmahq.rules), PlainEngine(again.rules)
    matched = 0
    with lzma.open(corpus("regression/events.ndjson.xz")) as file:
        events = [event for line in file for event in msgspec.json.decode(line)["events"]]
    for event in map(native_windows, events):
        left, right = one.match(event), two.match(event)
        assert [rule.id for rule in left] == [rule.id for rule in right]
        for mine, other in zip(left, right, strict=True):
            matched += 1
            assert explain(mine, View(event)) == explain(other, View(event))
    assert matched >= 86
