"""History through the installed rules: stored apart, told to nobody, once however often it is run."""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from almena.app import backfill as module
from almena.app import bus_of, configuration, secret_of
from almena.app.backfill import backfill, default_name, digests_of
from almena.app.operate import dead_list, dead_show
from almena.bus import ALERTS as ALERT_TOPIC
from almena.bus import DEAD as DEAD_TOPIC
from almena.bus import EVENTS, HITS, Bus, Record, Step, open_bus
from almena.clock import DAY, SECOND, format_time, now
from almena.config import Config
from almena.desk import role
from almena.desk.desk import Desk
from almena.desk.ledger import Ledger
from almena.desk.notify import Common, Message
from almena.desk.suppressions import Suppressions
from almena.errors import AlmenaError, UsageError
from almena.replay import LONGEST_LINE
from almena.status import status
from almena.store import ALERTS, ALL, DEAD, OUTBOX, Query, open_store

FAILED, MANY, QUIET = (f"{number}1111111-1111-4111-8111-111111111111" for number in "123")

RULES = f"""
title: A login failed
name: failed
id: {FAILED}
level: critical
logsource: {{product: app, service: portal}}
detection: {{selection: {{event.action: login_failed}}, condition: selection}}
---
title: A login worked
id: {QUIET}
level: high
almena: {{shadow: true}}
logsource: {{product: app, service: portal}}
detection: {{selection: {{event.action: login}}, condition: selection}}
---
title: Many failed logins
id: {MANY}
level: critical
correlation:
  type: event_count
  rules: [failed]
  group-by: [source.ip]
  timespan: 10m
  condition: {{gte: 5}}
  generate: true
"""

TOML = """
rules = ["rules"]
partitions = 2
[agencies.fin]
name = "Finanzas"
[agencies.edu]
name = "Educación"
[collectors.diario]
type = "file"
paths = ["nothing"]
agency = "fin"
parser = "app"
"""

START = (now() // DAY - 30) * DAY
"""History of a month ago."""

CURP = "BOXW310820HNERXN09"


@dataclass(kw_only=True)
class Told(Common):
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMENA_SECRET", "5a" * 32)
    monkeypatch.setattr(module, "PATIENCE", 0.0)  # no desk runs unless a test says so


def installation(folder: Path, more: str = "") -> Config:
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "rules.yml").write_text(RULES)
    file = folder / "almena.toml"
    file.write_text(TOML + more)
    config = configuration(file)
    bus_of(config).close()
    open_store(config.store).close()
    return config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return installation(tmp_path / "almena")


def line(second: int, action: str = "login_failed", ip: str = "203.0.113.9", **more: str) -> str:
    moment = {"@timestamp": format_time(START + second * SECOND)}
    event = moment | {"event.dataset": "app.portal", "event.action": action, "source.ip": ip} | more
    return msgspec.json.encode(event).decode()


def write(path: Path, *lines: str | bytes) -> Path:
    data = b"".join((text.encode() if isinstance(text, str) else text) + b"\n" for text in lines)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def run(config: Config, *paths: Path, name: str = "enero", **options: Any) -> int:
    given: dict[str, Any] = {"rules": [], "format_": "ecs", "name": name} | options
    return backfill(config, list(paths), **given)


@contextmanager
def desk_of(config: Config, channel: Common) -> Iterator[None]:
    """The desk as it runs, beside what is done meanwhile; at the end it has stored everything."""
    bus, store = open_bus(config.bus), open_store(config.store)
    stop, failures = threading.Event(), []

    def target() -> None:
        try:
            role.run(bus, store, config.desk, member="desk", stop=stop, channels={"phone": channel})
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield
        deadline = time.monotonic() + 30
        while lag(bus) and time.monotonic() < deadline and not failures:
            time.sleep(0.02)
        assert not lag(bus)
    finally:
        stop.set()
        thread.join()
        bus.close()
        store.close()
    assert not failures


def lag(bus: Bus) -> int:
    return sum(sum(bus.lag(topic, "desk").values()) for topic in (ALERT_TOPIC, DEAD_TOPIC))


def store_all(config: Config) -> None:
    """Let the desk store everything that lies on the bus, at once."""
    with closing(open_bus(config.bus)) as bus, closing(open_store(config.store)) as store:
        desk = Desk(store, config.desk, Suppressions(None), {"phone": Told()})
        for topic in (ALERT_TOPIC, DEAD_TOPIC):
            stage = role._reader(
                bus, topic, "desk", desk, lambda number, state: Ledger(number, state, store), threading.Event()
            )
            while stage.step(timeout=0):
                pass
            stage._leave()


def documents(config: Config, kind: str = ALERTS) -> dict[str, dict[str, Any]]:
    """What is stored, without the time at which it was put."""
    with closing(open_store(config.store)) as store:
        found = store.search(Query(kind=kind, scope=ALL, limit=10_000)).items
    passing = ("event.ingested", "almena.dead.sealed")
    return {item.id: {name: value for name, value in item.document.items() if name not in passing} for item in found}


def essence(found: dict[str, dict[str, Any]]) -> set[tuple[Any, ...]]:
    names = ("rule.id", "@timestamp", "almena.alert.last_seen", "almena.alert.count", "almena.alert.entity")
    return {tuple(document[name] for name in names) for document in found.values()}


def test_history_is_stored_apart_and_nobody_is_told(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = [line(second, **{"@timestamp": format_time(now() - (60 - second) * SECOND)}) for second in range(6)]
    write(tmp_path / "old" / "a.ndjson.gz", *(line(n, message=f"CURP {CURP}") for n in range(6)), "{broken")
    write(tmp_path / "old" / "b.ndjson", line(7), line(8, "login"), "", *fresh)
    phone = Told()
    with desk_of(config, phone):
        assert run(config, tmp_path / "old", agency="fin") == 1
        live = {
            "rule.id": FAILED, "rule.name": "x", "@timestamp": format_time(now()), "almena.alert.level": "critical",
            "almena.alert.id": "202611-live", "almena.alert.entity": "source.ip=203.0.113.9", "organization.id": "fin",
        }  # fmt: skip
        with closing(open_bus(config.bus)) as bus:
            bus.append(ALERT_TOPIC, [Record("202611-live", msgspec.json.encode(live))])
    said = capsys.readouterr().err
    assert "15 records" in said
    assert "16 alerts" in said
    assert "enero: 16 alerts handed to the desk" in said
    assert "1 dead letter: " in said
    found = documents(config)
    assert found.pop("202611-live")["almena.alert.status"] == "open"
    assert len(found) == 16
    assert {document["almena.alert.status"] for document in found.values()} == {"history"}
    assert {document["almena.alert.backfill"] for document in found.values()} == {"enero"}
    assert {document["organization.id"] for document in found.values()} == {"fin"}
    tagged = {document["rule.id"] for document in found.values() if document.get("almena.alert.shadow")}
    assert tagged == {QUIET}, "a rule in shadow stays so"
    windows = [document for document in found.values() if document["rule.id"] == MANY]
    assert sorted(document["almena.alert.count"] for document in windows) == [6, 7]
    assert not any(CURP in str(document) for document in found.values())
    token = secret_of(config).derive("masking")
    assert any(masked(token) in str(document) for document in found.values()), "as what is stored live is masked"

    told = documents(config, OUTBOX)
    assert {document["almena.alert.id"] for document in told.values()} == {"202611-live"}
    with closing(open_store(config.store)) as store:
        assert status(store, None)["alerts"] == 1
    (letter,) = documents(config, DEAD)
    assert dead_list(config, limit=9, every=False) == 0
    assert letter in (listed := capsys.readouterr().out)
    assert "\tenero\tecs\topen\t" in listed
    dead_show(config, letter)
    assert capsys.readouterr().out.endswith("7 bytes:\n{broken\n")


def masked(key: bytes) -> str:
    from almena.masking import Masker

    return Masker(key).mask_text(CURP)


def test_the_same_again_creates_nothing_and_live_state_stays_as_it_was(config: Config, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", *(line(n) for n in range(8)), "{broken")
    with closing(open_bus(config.bus)) as bus:
        bus.append(EVENTS, [Record("s/l", b"{}", {"source": "s"})])
        for topic, group in ((EVENTS, "detect"), (HITS, "correlate")):
            session = bus.session(topic, group=group, member="m")
            session.poll(1, 0)
            session.commit({0: Step(0, {}, {"table": b"remembered", "watermark": b"7"})})
    before = live_part(config)
    assert run(config, path) == 1
    assert live_part(config) == before
    store_all(config)
    versions = stored_versions(config)
    assert len(versions) == 10
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "b.ndjson")
    assert run(config, moved) == 1
    moved.rename(path)
    assert run(config, path, path, tmp_path / "elsewhere" / ".." / "a.ndjson") == 1
    store_all(config)
    assert {name.partition("-")[2] for name in documents(config)} == {
        name.partition("-")[2] for kind, name in versions if kind == ALERTS
    }
    assert set(stored_versions(config)) == set(versions)
    assert live_part(config) == before
    (config_rules := Path(config.rules[0]) / "rules.yml").write_text(RULES.replace("A login failed", "No login"))
    assert run(config, path) == 1
    store_all(config)
    assert set(stored_versions(config)) == set(versions)
    names = {document["rule.name"] for document in documents(config).values()}
    assert names == {"No login", "Many failed logins"}, "of changed rules the last run counts"
    assert config_rules.exists()


def live_part(config: Config) -> dict[str, list[Any]]:
    """Everything on the bus but what was put on the topics of alerts and dead letters."""
    ours = (ALERT_TOPIC, DEAD_TOPIC)
    with closing(sqlite3.connect(config.bus.partition(":")[2])) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    return {name: sorted(row for row in found if row[0] not in ours) for name, found in rows.items()}


def stored_versions(config: Config) -> dict[tuple[str, str], int]:
    with closing(open_store(config.store)) as store:
        return {
            (kind, item.id): item.version
            for kind in (ALERTS, DEAD, OUTBOX)
            for item in store.search(Query(kind=kind, scope=ALL, limit=10_000)).items
        }


def test_killed_in_the_middle_and_run_again_gives_exactly_the_same(config: Config, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", *(line(n, ip=f"203.0.113.{n % 9}") for n in range(300)))
    code = "import almena.app.backfill as b; b.BATCH = 20; b.ROOM = 60; from almena.cli import main; main()"
    arguments = ["backfill", str(path), "--name", "enero", "--config", config.path]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    with closing(open_bus(config.bus)) as bus:
        deadline = time.monotonic() + 60
        while lag(bus) <= 60 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)  # it waits for the desk then, which does not run
        process.kill()
        process.communicate()
        put = lag(bus)
    assert 60 < put < 300
    store_all(config)
    assert len(documents(config)) == put
    assert run(config, path) == 0
    store_all(config)
    other = installation(tmp_path / "other")
    assert run(other, path) == 0
    store_all(other)
    assert documents(config) == documents(other)
    assert len(documents(other)) == 309


def test_neither_the_order_of_files_nor_that_of_lines_matters(config: Config, tmp_path: Path) -> None:
    lines = [line(n * 7, ip=f"203.0.113.{n % 3}") for n in range(30)]
    one = write(tmp_path / "one.ndjson", *lines[:15])
    two = write(tmp_path / "two.ndjson", *lines[15:])
    assert run(config, one, two, name="") == 0
    store_all(config)
    straight = documents(config)
    assert run(config, two, one, name="") == 0
    store_all(config)
    assert documents(config) == straight, "the files are the same, and so is the name that is made of them"
    assert {document["almena.alert.backfill"] for document in straight.values()} == {
        default_name(digests_of([two, one])[0].values())
    }
    mixed = installation(tmp_path / "mixed")
    assert run(mixed, write(tmp_path / "all.ndjson", *lines[::-1])) == 0
    store_all(mixed)
    assert essence(documents(mixed)) == essence(straight)
    assert len(straight) == 33


def test_copies_are_read_once(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line(n) for n in range(3)]
    write(tmp_path / "old" / "a.ndjson", *lines)
    write(tmp_path / "old" / "b.ndjson", *lines)
    assert run(config, tmp_path / "old") == 0
    said = capsys.readouterr().err
    assert "3 records" in said
    assert "b.ndjson: is the same as" in said


def test_absurd_times_and_bad_records_are_kept_up_to_a_bound(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LETTERS", 5)
    times = ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2038-01-01T00:00:00Z")
    lines: list[str | bytes] = [line(0, **{"@timestamp": moment}) for moment in times]
    lines += [line(0, **{"@timestamp": "1999-01-01T00:00:00Z"}), *(line(n) for n in range(4))]
    lines += [b"\xff\xfe", b"x" * (LONGEST_LINE + 9), '{"message": 1e999}', "{}"]
    path = write(tmp_path / "a.ndjson", *lines)
    assert run(config, path) == 1
    said = capsys.readouterr().err
    assert "2 × its time lies in the future" in said
    assert "2 × no time that can be believed" in said
    assert "5 of 8 dead letters are kept" in said
    assert "1 alert left out, about what happened before" in said
    assert "`[desk] keep_alerts` (400d)" in said
    store_all(config)
    assert len(documents(config, DEAD)) == 5
    found = documents(config)
    assert len(found) == 4
    with closing(open_store(config.store)) as store:
        Desk(store, config.desk, Suppressions(None), {}).expire(now())
    assert documents(config) == found, "what was stored is not removed at once"


def test_what_is_understood_after_a_fix_waits_no_longer(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.ndjson", line(0), line(1, **{"@timestamp": format_time(now() + DAY)}), "{broken")
    other = write(tmp_path / "b.ndjson", "{other")
    assert run(config, path, other) == 1
    store_all(config)
    monkeypatch.setattr(module, "SKEW", 2 * DAY)
    assert run(config, path) == 1
    states = {(letter["almena.dead.origin"], letter["almena.dead.seq"]): letter for letter in letters(config)}
    found = {place: letter["almena.dead.status"] for place, letter in states.items()}
    assert found == {(str(path), 2): "replayed", (str(path), 3): "open", (str(other), 1): "open"}


def letters(config: Config) -> list[dict[str, Any]]:
    return list(documents(config, DEAD).values())


def test_native_records_are_masked_and_cannot_speak_for_almena(config: Config, tmp_path: Path) -> None:
    claims = {"almena.alert.shadow": True, "almena.alert.id": "x", "event.id": "y", "message": f"CURP {CURP}"}
    event = msgspec.json.decode(line(0)) | claims
    path = write(tmp_path / "a.ndjson", msgspec.json.encode(event), b'{"event.action": "login_failed"}')
    assert run(config, path, format_="native") == 1
    store_all(config)
    (alert,) = documents(config).values()
    assert alert["almena.alert.status"] == "history"
    assert "almena.alert.shadow" not in alert
    assert CURP not in str(alert)
    (letter,) = documents(config, DEAD).values()
    assert letter["almena.dead.reason"] == "no time that can be believed"


def test_it_does_not_outrun_a_desk_that_works(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("BATCH", 10), ("ROOM", 20), ("PATIENCE", 60.0)):
        monkeypatch.setattr(module, name, value)
    path = write(tmp_path / "a.ndjson", *(line(n) for n in range(100)))
    most, done = [0], threading.Event()
    with closing(open_bus(config.bus)) as bus:

        def read() -> None:
            session = bus.session(ALERT_TOPIC, group="desk", member="m")
            while not done.is_set() or lag(bus):
                most[0] = max(most[0], lag(bus))
                batch = session.poll(5, 0.01)
                if batch.records:
                    session.commit({p: Step(records[-1].offset + 1) for p, records in batch.records.items()})

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert run(config, path) == 0
        finally:
            done.set()
            reader.join()
        assert sum(bus.ends(ALERT_TOPIC).values()) == 101
    assert 0 < most[0] <= 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a b"}, "--name 'a b': write up to 64 letters"),
        ({"name": "diario"}, "is a source's name; give the backfill one of its own"),
        ({"agency": "sfa"}, "--agency 'sfa' is not configured; there are edu, fin"),
        ({"format_": "xml"}, "no format 'xml'; there are auto"),
        ({"rules": [Path("/nowhere")]}, "/nowhere"),
    ],
)
def test_what_cannot_work_is_told_with_what_does(
    config: Config, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AlmenaError, match=message):
        run(config, write(tmp_path / "a.ndjson", line(0)), **options)


def test_an_installation_with_its_key_is_needed_and_files_that_stay(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.ndjson", line(0))
    with pytest.raises(UsageError, match="no such file or folder"):
        run(config, tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no file that can be read twice"):
        run(config, tmp_path / "pipe")
    monkeypatch.delenv("ALMENA_SECRET")
    with pytest.raises(UsageError, match=r"secret\.key: the installation's key is not there.*set ALMENA_SECRET"):
        run(config, path)
    assert not (Path(config.data) / "secret.key").exists()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "almena.toml").write_text(TOML)
    with pytest.raises(UsageError, match="there is no installation"):
        run(configuration(tmp_path / "empty" / "almena.toml"), path)
