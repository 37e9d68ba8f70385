"""Rules that change while roles run: every event is judged once, by the set before or the one after."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from almena.app import operators_of
from almena.app.reloading import MOST_REFUSED, Reloading
from almena.bus import ALERTS, EVENTS, HITS, LEDGER, Bus, Position, Record, open_bus
from almena.clock import SECOND, format_time, now
from almena.config import Config
from almena.correlate import Correlate
from almena.detect import MARKER, Detect
from almena.errors import BusError
from almena.event import encode
from almena.hit import Hit
from almena.stage import Stage
from almena.state import Partition
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.rules import RuleSet

SINGLE = "11111111-1111-4111-8111-111111111111"
MANY = "22222222-2222-4222-8222-222222222222"

RULE = """
title: {title}
id: {id}
status: test
level: low
logsource: {{product: linux, service: syslog}}
detection:
  s: {{message|contains: {word}}}
  condition: s
"""

CORRELATION = f"""
title: Many
id: {MANY}
level: high
correlation:
  type: event_count
  rules: [{SINGLE}]
  group-by: [user.name]
  timespan: 1h
  condition: {{gte: THRESHOLD}}
  generate: true
"""

LATENESS = 2_000
"""Microseconds: hits are released while the test runs."""


class Place:
    """A folder of rules, a configuration and a bus."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "rules"
        self.rules.mkdir(parents=True)
        self.config = Config(data=str(folder / "data"), rules=[str(self.rules)])
        self.bus = open_bus("memory:", partitions=2)
        self.single("boom")

    def write(self, name: str, text: str) -> None:
        beside = self.rules / f"{name}.new"
        beside.write_text(text, "utf-8")
        beside.replace(self.rules / name)

    def single(self, word: str, title: str = "Single") -> None:
        self.broken = False
        self.write("single.yml", RULE.format(title=title, id=SINGLE, word=word))

    def break_it(self) -> None:
        self.broken = True
        self.write("single.yml", RULE.format(title="Single", id=SINGLE, word="x").replace("|contains", "|nonsense"))

    def many(self, threshold: int) -> None:
        self.write("many.yml", CORRELATION.replace("THRESHOLD", str(threshold)))

    def reloading(self, stage: str = "detect", bus: Bus | None = None) -> Reloading:
        return Reloading(self.config, stage, f"{stage}@here", bus or self.bus, interval=0.05)

    def told(self) -> list[dict[str, Any]]:
        return [entry for entry in read(self.bus, LEDGER) if entry["kind"] == "member"]


def read(bus: Bus, topic: str) -> list[dict[str, Any]]:
    return [
        msgspec.json.decode(stored.value)
        for partition in range(bus.partitions(topic))
        for stored in bus.read(Position(topic, partition, 0), 100_000)
    ]


def settle(reloading: Reloading) -> RuleSet | None:
    """Look often enough for what was written to count as at rest."""
    reloading.look()
    reloading.look()
    return reloading.take()


def failures(stage: str = "detect") -> float:
    return REGISTRY.get_sample_value("almena_rules_reload_failures_total", {"stage": stage}) or 0.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.bus.close()


def titles(ruleset: RuleSet | None) -> list[str]:
    assert ruleset is not None
    return [item.title for item in ruleset.everything]


def test_a_change_is_handed_over_once(place: Place) -> None:
    reloading = place.reloading()
    assert settle(reloading) is None
    place.single("boom", "Changed")
    reloading.look()
    assert reloading.take() is None, "it may be half written"
    reloading.look()
    assert titles(reloading.take()) == ["Changed"]
    assert reloading.take() is None
    assert titles(reloading.ruleset) == ["Changed"]


def test_what_is_touched_and_not_changed_is_no_news(place: Place) -> None:
    reloading = place.reloading()
    os.utime(place.rules / "single.yml", (1, 1))
    place.write("README.md", "no rule")
    assert settle(reloading) is None
    reloading.force()
    assert settle(reloading) is None


def test_a_new_set_is_prepared_before_it_is_handed_over(place: Place) -> None:
    reloading = place.reloading()
    prepared: list[RuleSet] = []
    with reloading.watched(prepared.append):
        place.single("boom", "Changed")
        deadline = time.monotonic() + 30
        while (fresh := reloading.take()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert prepared == [fresh]


def test_a_set_that_cannot_be_prepared_is_refused(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    reloading = place.reloading()

    def fail(ruleset: RuleSet) -> None:
        raise ValueError("no engine takes this")

    reloading._prepare = fail
    place.single("boom", "Changed")
    assert settle(reloading) is None
    assert titles(reloading.ruleset) == ["Single"]
    assert [item.reason for item in reloading.refused] == ["ValueError: no engine takes this"]
    assert "no engine takes this" in caplog.text


def test_a_broken_rule_leaves_all_as_it_was_and_says_why(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    reloading = place.reloading()
    before = failures()
    place.break_it()
    place.many(3)
    with caplog.at_level(logging.ERROR):
        assert settle(reloading) is None
        assert settle(reloading) is None
    assert titles(reloading.ruleset) == ["Single"], "the new correlation waits too"
    assert failures() == before + 1, "once, however often it is looked at"
    assert "the changed rules are refused" in caplog.text
    assert "nonsense" in caplog.text
    entry = place.told()[-1]
    assert entry["hash"] == reloading.ruleset.hash
    assert [(item["rule"], Path(item["file"]).name) for item in entry["refused"]] == [
        (SINGLE, "single.yml"),
        (MANY, "many.yml"),
        ("", ""),
    ]
    place.single("boom", "Fixed")
    assert titles(settle(reloading)) == ["Fixed", "Many"]
    assert place.told()[-1]["refused"] == []
    assert place.told()[-1]["hash"] != reloading.ruleset.hash, "what runs is told, and this was not taken yet"
    reloading.look()
    assert place.told()[-1]["hash"] == reloading.ruleset.hash


def test_going_back_to_what_runs_ends_the_refusal(place: Place) -> None:
    reloading = place.reloading()
    place.break_it()
    settle(reloading)
    assert reloading.refused
    place.single("boom")
    assert settle(reloading) is None
    assert not reloading.refused
    assert place.told()[-1]["refused"] == []


def test_a_new_rule_that_is_broken_is_only_rejected(place: Place) -> None:
    reloading = place.reloading()
    place.write("new.yml", RULE.format(title="New", id=MANY, word="x").replace("|contains", "|nonsense"))
    fresh = settle(reloading)
    assert titles(fresh) == ["Single"]
    assert [item.rule for item in reloading.ruleset.rejected] == [MANY]
    assert not reloading.refused


def test_a_broken_pipeline_and_a_folder_that_is_gone_are_refused(place: Place) -> None:
    reloading = place.reloading()
    (place.rules / "pipelines").mkdir()
    place.write("pipelines/own.yml", "transformations: [{type: nonsense}]\n")
    assert settle(reloading) is None
    assert "own.yml" in reloading.refused[0].reason
    before = failures()
    away = place.rules.with_name("away")
    place.rules.rename(away)
    assert settle(reloading) is None
    assert "no such file or folder" in reloading.refused[0].reason
    assert failures() == before + 1
    (away / "pipelines" / "own.yml").unlink()
    (away / "pipelines").rmdir()
    away.rename(place.rules)
    assert settle(reloading) is None
    assert not reloading.refused


def test_at_the_start_a_broken_rule_is_only_rejected(place: Place) -> None:
    place.write("other.yml", RULE.format(title="Other", id=MANY, word="x"))
    place.break_it()
    assert titles(place.reloading().ruleset) == ["Other"]


def test_a_file_written_while_it_is_read_is_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from almena.app import reloading as module
    from detectors.sigma.inputs import gather

    reloading = place.reloading()
    place.single("half", "Half")
    read_all = gather

    def slow(folders: Any) -> Any:
        found = read_all(folders)
        monkeypatch.setattr(module, "gather", read_all)
        place.single("whole", "Whole")
        return found

    monkeypatch.setattr(module, "gather", slow)
    assert settle(reloading) is None
    assert titles(settle(reloading)) == ["Whole"]


def test_two_changes_before_one_is_taken_are_one(place: Place) -> None:
    reloading = place.reloading()
    for title in ("First", "Second"):
        place.single("boom", title)
        reloading.look()
        reloading.look()
    assert titles(reloading.take()) == ["Second"]
    assert reloading.take() is None


def test_who_runs_what_is_told_again_and_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("almena.app.reloading.time.monotonic", lambda: clock[0])
    reloading = place.reloading("correlate")
    for _ in range(3):
        reloading.look()
        clock[0] += 50
    first, second = place.told()
    assert first == second
    assert first | {"since": ""} == {
        "kind": "member",
        "member": "correlate@here",
        "stage": "correlate",
        "host": socket.gethostname(),
        "hash": reloading.ruleset.hash,
        "loaded": 1,
        "since": "",
        "refused": [],
    }


def test_only_so_many_refusals_are_told(place: Place) -> None:
    for number in range(MOST_REFUSED + 5):
        place.write(f"r{number:03}.yml", RULE.format(title=f"R{number}", id="", word="x"))
    reloading = place.reloading()
    for number in range(MOST_REFUSED + 5):
        place.write(f"r{number:03}.yml", f"title: R{number}\n")
    assert settle(reloading) is None
    assert len(place.told()[-1]["refused"]) == MOST_REFUSED


def test_a_bus_that_refuses_is_told_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    reloading = place.reloading()

    def refuse(topic: str, records: object) -> None:
        raise BusError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(place.bus, "append", refuse)
        reloading.look()
    assert place.told() == []
    reloading.look()
    assert len(place.told()) == 1


def test_a_signal_forces_a_reload(place: Place) -> None:
    reloading = place.reloading()
    looked = threading.Event()
    before = signal.getsignal(signal.SIGHUP)
    try:
        reloading._interval = reloading._pause = 3_600
        reloading.look = looked.set  # type: ignore[method-assign]
        with reloading.watched():
            os.kill(os.getpid(), signal.SIGHUP)
            assert looked.wait(10)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_the_first_start_loads_is_remembered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.reloading()
    monkeypatch.setattr("detectors.sigma.cache._parse", lambda inputs: pytest.fail("parsed again"))
    assert titles(place.reloading("correlate").ruleset) == ["Single"]


class Died(BaseException):
    """The process was killed here."""


class Member:
    """A role whose rules reload, which may die at any moment and is started again."""

    def __init__(self, place: Place, stage: str, rng: random.Random) -> None:
        self.place, self.name, self.rng = place, stage, rng
        self.start()

    def start(self) -> None:
        self.rules = self.place.reloading(self.name)
        self.sets = {self.rules.ruleset.hash}
        open_work = self.detect() if self.name == "detect" else self.correlate()
        topic = EVENTS if self.name == "detect" else HITS
        session = self.place.bus.session(topic, group=self.name, member=self.name)
        self.stage = Stage(self.name, session, open_work, self.between)

    def detect(self) -> Any:
        self.sigma = SigmaDetector(self.rules.ruleset)
        self.rules._prepare = self.sigma.prepare

        def open_work(partition: int, state: Partition) -> Detect:
            return Detect(
                partition,
                state,
                selectors=[self.sigma],
                hit_partitions=2,
                lateness={},
                default_lateness=LATENESS,
                seal=bytes.hex,
            )

        return open_work

    def correlate(self) -> Any:
        self.operators = operators_of([], self.rules.ruleset)

        def open_work(partition: int, state: Partition) -> Correlate:
            return Correlate(partition, state, operators=self.operators, event_partitions=2)

        return open_work

    def between(self) -> None:
        fresh = self.rules.take()
        if fresh is None:
            return
        if self.name == "detect":
            self.sigma.replace(fresh)
        else:
            self.operators = operators_of([], fresh)
            for work in self.stage.works:
                assert isinstance(work, Correlate)
                work.replace(self.operators)
        if self.rng.random() < 0.2 and not self.place.broken:
            raise Died

    def look(self) -> None:
        self.rules.look()

    def step(self) -> None:
        try:
            self.stage.step(timeout=0.0)
        except Died:
            self.start()


def send(bus: Bus, number: int) -> None:
    event = {
        "@timestamp": format_time(now()),
        "event.id": f"s:l{number % 3}:{number}",
        "event.dataset": "system.syslog",
        "organization.id": "a",
        "user.name": f"u{number % 2}",
        "message": "boom",
    }
    headers = {"source": "s", "agency": "a", "lane": f"l{number % 3}", "seq": str(number)}
    bus.append(EVENTS, [Record(f"s/l{number % 3}", encode(event), headers)])


def mark(bus: Bus, what: str = "idle") -> None:
    """Let time move on in both partitions."""
    bus.append(EVENTS, [Record("", b"", {MARKER: what}, partition=partition) for partition in range(2)])


def singles(bus: Bus) -> Counter[str]:
    return Counter(alert["event.id"] for alert in read(bus, ALERTS) if alert["rule.id"] == SINGLE)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_event_is_judged_once_while_rules_change_break_and_are_mended(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Both roles reload at moments of their own and die at some of them; the rule matches before and after."""
    rng = random.Random(seed)
    place = Place(tmp_path_factory.mktemp("rules"))
    place.many(3)
    members = [Member(place, "detect", rng), Member(place, "correlate", rng)]
    sent = 0
    changes: list[Callable[[], object]] = [
        lambda: place.single("boom", f"Single {sent}"),
        lambda: place.single("oom", f"Single {sent}"),
        place.break_it,
        lambda: place.many(rng.choice([2, 3, 4])),
        lambda: (place.rules / "many.yml").unlink(missing_ok=True),
        lambda: place.write("other.yml", RULE.format(title=f"Other {sent}", id="", word="nothing")),
        lambda: place.write("other.yml", "half: [writ"),
    ]
    for _ in range(40):
        match rng.choice(["send", "send", "change", "look", "look", "step", "step", "start"]):
            case "send":
                for _ in range(rng.randint(1, 4)):
                    send(place.bus, sent)
                    sent += 1
                mark(place.bus)
            case "change":
                rng.choice(changes)()
            case "look":
                rng.choice(members).look()
            case "step":
                rng.choice(members).step()
            case "start" if not place.broken:  # who starts with a broken rule does without it
                rng.choice(members).start()
    place.single("boom", "Last")
    place.many(2)
    (place.rules / "other.yml").unlink(missing_ok=True)
    for ahead in members:  # detect is ahead of correlate: some hits must wait
        for _ in range(3):
            ahead.look()
        send(place.bus, sent)
        sent += 1
        time.sleep(2 * LATENESS / SECOND)
        mark(place.bus)
        for member in members:
            member.step()
    for _ in range(6):
        for member in members:
            member.step()
    assert members[0].rules.ruleset.hash == members[1].rules.ruleset.hash
    mark(place.bus, "end")
    for _ in range(6):
        for member in members:
            member.step()
    assert singles(place.bus) == {f"s:l{number % 3}:{number}": 1 for number in range(sent)}
    assert [entry for entry in read(place.bus, LEDGER) if entry["kind"] == "drop"] == []
    for work in members[1].stage.works:
        assert isinstance(work, Correlate)
        waiting = [msgspec.convert(work._waiting.get(key), Hit) for key in work._waiting]
        running = {(operator.name, operator.version) for operator in work._operators.values()}
        assert not running & {(hit.detector, hit.version) for hit in waiting}, "what waited found its operator"
    place.bus.close()
