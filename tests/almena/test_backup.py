"""A backup taken under load comes back whole; a bad archive changes nothing."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path

import pytest

from almena.backup import load, save
from almena.bus import EVENTS, Position, Record, open_bus
from almena.config import Config
from almena.errors import UsageError
from almena.store import ALERTS, ALL, open_store


def installation(folder: Path) -> Config:
    folder.mkdir(exist_ok=True)
    return Config(
        bus=f"sqlite:{folder / 'bus.sqlite'}", store=f"sqlite:{folder / 'store.sqlite'}", data=str(folder), partitions=1
    )


def fill(config: Config) -> None:
    folder = Path(config.data)
    bus, store = open_bus(config.bus, partitions=1), open_store(config.store)
    bus.append(EVENTS, [Record("k", b"v%d" % number) for number in range(100)])
    store.create_many(ALERTS, {"202611-a": {"@timestamp": "2026-11-22T00:00:00.000000Z", "message": "x"}})
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "portal.json").write_text("{}")
    (folder / "secret.key").write_bytes(b"k" * 32)
    bus.close()
    store.close()


def test_everything_comes_back(tmp_path: Path) -> None:
    old, new = installation(tmp_path / "old"), installation(tmp_path / "new")
    fill(old)
    assert save(old, tmp_path / "a.tar.gz") == ["checkpoints", "bus.sqlite", "store.sqlite", "secret.key"]
    assert (tmp_path / "a.tar.gz").stat().st_mode & 0o077 == 0
    load(new, tmp_path / "a.tar.gz", force=False)
    bus, store = open_bus(new.bus), open_store(new.store)
    assert len(bus.read(Position(EVENTS, 0, 0), 1000)) == 100
    assert store.get(ALERTS, "202611-a", scope=ALL) is not None
    assert (tmp_path / "new" / "checkpoints" / "portal.json").exists()
    assert (tmp_path / "new" / "secret.key").stat().st_mode & 0o077 == 0


def test_a_backup_under_load_is_a_moment_of_the_bus(tmp_path: Path) -> None:
    old, new = installation(tmp_path / "old"), installation(tmp_path / "new")
    fill(old)
    stop = threading.Event()

    def write() -> None:
        bus = open_bus(old.bus)
        while not stop.is_set():
            bus.append(EVENTS, [Record("k", b"more"), Record("k", b"more")])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        save(old, tmp_path / "a.tar.gz")
    finally:
        stop.set()
        writer.join()
    load(new, tmp_path / "a.tar.gz", force=False)
    bus = open_bus(new.bus)
    found = bus.read(Position(EVENTS, 0, 0), 1_000_000)
    assert len(found) == bus.ends(EVENTS)[0]
    assert len(found) >= 100
    assert len(found) % 2 == 0


def test_what_is_there_is_not_written_over_unless_forced(tmp_path: Path) -> None:
    old = installation(tmp_path / "old")
    fill(old)
    save(old, tmp_path / "a.tar.gz")
    with pytest.raises(UsageError, match="is there already"):
        save(old, tmp_path / "a.tar.gz")
    with pytest.raises(UsageError, match="`--force` writes over it"):
        load(old, tmp_path / "a.tar.gz", force=False)
    open_bus(old.bus).append(EVENTS, [Record("k", b"later")])
    load(old, tmp_path / "a.tar.gz", force=True)
    assert open_bus(old.bus).ends(EVENTS) == {0: 100}


@pytest.mark.parametrize("kind", ["text", "empty", "escape", "damaged"])
def test_a_bad_archive_changes_nothing(tmp_path: Path, kind: str) -> None:
    config = installation(tmp_path / "new")
    archive = tmp_path / "bad.tar.gz"
    member = {"empty": "other", "escape": "../../outside", "damaged": "bus.sqlite"}.get(kind)
    if member is None:
        archive.write_text("no archive")
    else:
        with tarfile.open(archive, "w:gz") as tar:
            info = tarfile.TarInfo(member)
            content = b"SQLite format 3\x00 but not really" * 100
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(UsageError, match=r"bad\.tar\.gz"):
        load(config, archive, force=False)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == []
    assert not (tmp_path.parent / "outside").exists()


def test_nothing_to_back_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to back up"):
        save(installation(tmp_path / "none"), tmp_path / "a.tar.gz")
    assert list(tmp_path.glob("*.gz")) == []
