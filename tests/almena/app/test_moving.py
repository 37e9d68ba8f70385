"""Documents carried from store to store: all of them, once, whatever happens on the way, and proved."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.app import configuration, moving, operate
from almena.app.moving import Notes, bare, everything, move
from almena.clock import SECOND, format_time
from almena.console import audit
from almena.errors import Refused, UsageError
from almena.store import ALERTS, ALL, AUDIT, KINDS, LEDGER, USERS, Document, Query, Store, open_store
from almena.store.memory import MemoryStore

START = 1_780_000_000 * SECOND


def document(number: int, **more: Any) -> Document:
    return {"@timestamp": format_time(START + number * SECOND), "organization.id": "sfa", "message": "ñ" * 20} | more


def filled(store: Store, count: int = 450) -> Store:
    for number in range(3):
        audit.record(store, time=START + number, action="signed-in", user="ana", facts={})
    store.create_many(USERS, {"ana": {"user.name": "ana"}})
    for start in range(0, count, 1_000):
        numbers = range(start, min(count, start + 1_000))
        store.create_many(ALERTS, {f"202605-{number:06d}": document(number) for number in numbers})
    store.create_many(LEDGER, {"rules": document(1, **{"almena.rules.loaded": 3})})
    return store


def notes(folder: Path) -> Notes:
    return Notes(folder / "move.json", "a", "b")


def contents(store: Store) -> dict[str, dict[str, Document]]:
    return {kind: {item.id: item.document for item in everything(store, kind)} for kind in KINDS}


def test_everything_is_carried_once_and_the_audit_knows(tmp_path: Path) -> None:
    source, target = filled(open_store(f"sqlite:{tmp_path / 'a'}")), MemoryStore()
    found = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert all(item.whole for item in found.values())
    assert (found[ALERTS].created, found[ALERTS].there, found[ALERTS].source.count) == (450, 0, 450)
    assert contents(source) == contents(target)
    moving.record(target, notes(tmp_path), "root", list(found.values()))
    assert audit.verify(target) == 4
    assert audit.verify(source) == 3
    entry = target.get(AUDIT, f"{4:012d}", scope=ALL)
    assert entry is not None
    assert entry.document["event.action"] == "store-moved"
    assert f"alerts 450 sha256 {found[ALERTS].source}" in entry.document["message"]
    again = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert all(item.whole for item in again.values())
    assert (again[ALERTS].created, again[ALERTS].there, again[AUDIT].only_there) == (0, 450, 1)
    moving.record(target, notes(tmp_path), "root", list(again.values()))
    assert audit.verify(target) == 4, "told once"
    source.close()


class Failing:
    """A store that ends the process that writes to it, at the n-th write."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store, self._left = store, writes

    def create_many(self, kind: str, documents: dict[str, Document]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return self._store.create_many(kind, documents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("writes", range(6))
def test_it_goes_on_where_it_was_interrupted(tmp_path: Path, writes: int) -> None:
    source, target = filled(MemoryStore()), MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        move(source, Failing(target, writes), notes(tmp_path))  # type: ignore[arg-type]
    before = len(list(everything(target, ALERTS)))
    found = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert all(item.whole for item in found.values())
    assert found[ALERTS].created == 450 - before
    assert contents(source) == contents(target)


def interrupted(tmp_path: Path) -> tuple[Store, MemoryStore]:
    """Two stores and a move between them that ended among the alerts."""
    source, target = filled(MemoryStore()), MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        move(source, Failing(target, 2), notes(tmp_path))  # type: ignore[arg-type]
    assert 0 < len(list(everything(target, ALERTS))) < 450
    return source, target


def test_what_went_from_the_target_meanwhile_is_carried_again(tmp_path: Path) -> None:
    source, target = interrupted(tmp_path)
    target.delete(ALERTS, "202605-000003")
    found = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert all(item.whole for item in found.values())
    assert contents(source) == contents(target)


@pytest.mark.parametrize("half", [False, True])
def test_a_tampered_document_is_found_and_left_as_it_is(tmp_path: Path, half: bool) -> None:
    if half:
        source, target = interrupted(tmp_path)
    else:
        source, target = filled(MemoryStore()), MemoryStore()
        move(source, target, notes(tmp_path))
    there = target.get(ALERTS, "202605-000007", scope=ALL)
    assert there is not None
    target.replace(ALERTS, there.id, there.document | {"message": "nothing happened"}, there.version)
    target.create_many(ALERTS, {"202605-x": document(1)})
    found = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert not found[ALERTS].whole
    assert found[ALERTS].different == ["202605-000007"]
    assert found[ALERTS].only_there == 1
    assert all(item.whole for kind, item in found.items() if kind != ALERTS)
    kept = target.get(ALERTS, "202605-000007", scope=ALL)
    assert kept is not None
    assert kept.document["message"] == "nothing happened"


class Choosy(MemoryStore):
    """A store that cannot keep one of the documents."""

    def create_many(self, kind: str, documents: Any) -> Any:
        if "202605-000009" in documents:
            raise Refused("alerts/202605-000009: too odd")
        return super().create_many(kind, documents)


def test_what_the_target_refuses_is_named_and_the_rest_is_carried(tmp_path: Path) -> None:
    source, target = filled(MemoryStore()), Choosy()
    found = {item.kind: item for item in move(source, target, notes(tmp_path))}
    assert found[ALERTS].refused == ["202605-000009: alerts/202605-000009: too odd"]
    assert (found[ALERTS].created, found[ALERTS].whole) == (449, False)


def test_notes_of_another_move_or_damaged_ones_count_for_nothing(tmp_path: Path) -> None:
    kept = notes(tmp_path)
    kept.progress.done.append(ALERTS)
    kept.save()
    assert notes(tmp_path).progress.done == [ALERTS]
    assert Notes(tmp_path / "move.json", "a", "c").progress.done == []
    (tmp_path / "move.json").write_bytes(b'{"source": 1')
    assert notes(tmp_path).progress.done == []


@given(st.dictionaries(st.integers(0, 99), st.dictionaries(st.text("ab", max_size=2), st.integers() | st.text())))
def test_the_hash_sees_every_change_and_no_order(documents: dict[int, Document]) -> None:
    def total(pairs: Iterable[tuple[int, Document]]) -> tuple[int, str]:
        store = MemoryStore()
        for number, content in pairs:
            store.create_many(ALERTS, {f"202605-{number}": content})
        found = moving.Moved(ALERTS)
        moving._compare(store, MemoryStore(), found)
        return found.source.count, str(found.source)

    whole = total(documents.items())
    assert whole[0] == len(documents)
    assert whole == total(reversed(documents.items()))
    for number, content in list(documents.items())[:5]:
        rest = [item for item in documents.items() if item[0] != number]
        assert whole != total(rest)
        assert whole != total([*rest, (number, content | {"more": 1})])
        assert whole != total([*rest, (number + 1_000, content)])


def test_urls_are_told_without_passwords() -> None:
    assert bare("https://ana:x@y@es1:9200,bob:z@es2:9200") == "https://es1:9200,es2:9200"
    assert bare("sqlite:data/a@b.sqlite") == "sqlite:data/a@b.sqlite"


@contextmanager
def moved(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "almena", "move", "--config", str(folder / "almena.toml"), *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()


def installation(folder: Path, count: int) -> Path:
    file = folder / "almena.toml"
    file.write_text('language = "en"\n')
    with closing(open_store(f"sqlite:{folder / 'data' / 'store.sqlite'}")) as store:
        filled(store, count)
    return file


@pytest.mark.timeout(120)
def test_killed_in_the_middle_it_goes_on_and_nothing_is_missing_or_twice(tmp_path: Path) -> None:
    installation(tmp_path, 12_000)
    target = f"sqlite:{tmp_path / 'b.sqlite'}"
    with moved(tmp_path, "--to", target) as process:
        assert process.stderr
        while "alerts" not in (line := process.stderr.readline()):
            assert line or process.poll() is None, "ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
    with closing(open_store(target)) as store:
        before = len(list(everything(store, ALERTS)))
    assert 0 < before < 12_000
    with moved(tmp_path, "--to", target, "--json") as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    alerts = next(item for item in msgspec.json.decode(said)["kinds"] if item["kind"] == ALERTS)
    assert alerts["documents"] == 12_000
    assert alerts["moved"] == 12_000 - before
    assert alerts["source_sha256"] == alerts["target_sha256"]
    with closing(open_store(target)) as store:
        assert audit.verify(store) == 4


def test_it_refuses_while_a_role_runs_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(installation(tmp_path, 3))
    target = f"sqlite:{tmp_path / 'b.sqlite'}"
    with operate.at_work(config):
        with pytest.raises(UsageError, match="a role of Almena runs there"):
            moving.run(config, "", target, live=False, json=False)
        assert not (tmp_path / "b.sqlite").exists()
        assert moving.run(config, "", target, live=True, json=False) == 0
    with operate.idle(config), pytest.raises(UsageError, match="restore or a move"), operate.at_work(config):
        pass
    assert "✓ alerts: 3 moved" in capsys.readouterr().out
    with pytest.raises(UsageError, match="both stores are the same"):
        moving.run(config, "", config.store, live=False, json=False)
    with pytest.raises(UsageError, match="there is no store"):
        moving.run(config, f"sqlite:{tmp_path / 'none'}", target, live=False, json=False)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("language", "said"), [("es", "falta en el destino o es distinto"), ("en", "missing in the target, or different")]
)
def test_differences_are_told_in_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str, said: str
) -> None:
    file = installation(tmp_path, 3)
    file.write_text(f'language = "{language}"\n')
    with closing(open_store(f"sqlite:{tmp_path / 'b'}")) as store:
        store.create_many(ALERTS, {"202605-000001": document(1, message="other")})
    assert moving.run(configuration(file), "", f"sqlite:{tmp_path / 'b'}", live=False, json=False) == 1
    shown = capsys.readouterr().out
    assert f"    {said}: 202605-000001" in shown
    assert "--live" not in shown


@pytest.mark.timeout(120)
def test_from_a_file_to_elasticsearch_and_back_killed_on_the_way(elasticsearch: str, tmp_path: Path) -> None:
    prefix = f"move{secrets.token_hex(4)}"
    file = installation(tmp_path, 3_000)
    file.write_text(f'language = "en"\n[elasticsearch]\nprefix = "{prefix}"\nreplicas = 0\n')
    settings = configuration(file).elasticsearch
    try:
        with moved(tmp_path, "--to", elasticsearch) as process:
            assert process.stderr
            while "alerts" not in (line := process.stderr.readline()):
                assert line or process.poll() is None, "ended before it was killed"
            os.kill(process.pid, signal.SIGKILL)
        assert moving.run(configuration(file), "", elasticsearch, live=False, json=False) == 0
        source = f"sqlite:{tmp_path / 'data' / 'store.sqlite'}"
        with closing(open_store(source)) as old, closing(open_store(elasticsearch, settings)) as new:
            assert audit.verify(new) == 4
            before = contents(old)
            assert {kind: list(contents(new)[kind]) for kind in (ALERTS, USERS)} == {
                kind: list(before[kind]) for kind in (ALERTS, USERS)
            }
            there = new.get(ALERTS, "202605-000007", scope=ALL)
            assert there is not None
            new.replace(ALERTS, there.id, there.document | {"message": "nothing happened"}, there.version)
            new.count(Query(kind=ALERTS, scope=ALL))  # what it wrote is now seen by all
        assert moving.run(configuration(file), "", elasticsearch, live=False, json=False) == 1
        back = f"sqlite:{tmp_path / 'back.sqlite'}"
        assert moving.run(configuration(file), elasticsearch, back, live=False, json=False) == 0
        with closing(open_store(back)) as again:
            found = again.get(ALERTS, "202605-000007", scope=ALL)
            assert found is not None
            assert found.document["message"] == "nothing happened"
            assert len(contents(again)[ALERTS]) == 3_000
    finally:
        for index in httpx.get(f"{elasticsearch}/_resolve/index/{prefix}-*").json()["indices"]:
            httpx.delete(f"{elasticsearch}/{index['name']}")
        httpx.delete(f"{elasticsearch}/_index_template/{prefix}-store")
