"""Backups: bus, store, checkpoints and the secret key in one archive, taken while everything runs."""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from almena.config import Config
from almena.errors import UsageError

_PARTS = ("checkpoints", "bus.sqlite", "store.sqlite", "secret.key")


def save(config: Config, archive: Path) -> list[str]:
    """Write the archive and return what is in it.

    The order makes it whole: checkpoints before the bus (a source may repeat, never skip), the bus before the
    store (an alert may be stored again, never be missing).
    """
    data = Path(config.data)
    if archive.exists():
        raise UsageError(f"{archive}: is there already; choose another name")
    with tempfile.TemporaryDirectory(dir=archive.resolve().parent) as folder:
        part = Path(folder) / "archive.tar.gz"
        written = []
        with tarfile.open(part, "w:gz", compresslevel=3) as tar:
            for name in _PARTS:
                path = _database(config, name) or data / name
                if not path.exists():
                    continue
                if path.suffix == ".sqlite":
                    path = _copy(path, Path(folder) / name)
                tar.add(path, arcname=name)
                written.append(name)
        if not written:
            raise UsageError(f"{data}: there is nothing to back up; `--config FILE` names the installation")
        part.chmod(0o600)
        part.replace(archive)
    return written


def load(config: Config, archive: Path, *, force: bool) -> list[str]:
    """Put the archive's parts in their places and return them; raises UsageError when something is there already."""
    data = Path(config.data)
    with tempfile.TemporaryDirectory(dir=_made(data)) as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except FileNotFoundError:
            raise UsageError(f"{archive}: no such file; name an archive that `almena backup` wrote") from None
        except (OSError, tarfile.TarError, EOFError) as error:
            reason = str(error).partition("\n")[0].rstrip(":")
            raise UsageError(f"{archive}: no readable archive of `almena backup`: {reason}") from None
        parts = [name for name in _PARTS if (Path(folder) / name).exists()]
        if not parts:
            raise UsageError(f"{archive}: holds nothing that `almena backup` writes")
        targets = {name: _database(config, name) or data / name for name in parts}
        taken = [str(path) for path in targets.values() if path.exists()]
        if taken and not force:
            raise UsageError(f"{', '.join(taken)}: there already; `--force` writes over it")
        for name in parts:
            source = Path(folder) / name
            if source.suffix == ".sqlite":
                _verify(source, archive)
        for name, target in targets.items():
            _replace(Path(folder) / name, target)
    return parts


def _database(config: Config, name: str) -> Path | None:
    url = {"bus.sqlite": config.bus, "store.sqlite": config.store}.get(name)
    if url is None:
        return None
    scheme, _, path = url.partition(":")
    if scheme != "sqlite" or path == ":memory:":
        raise UsageError(f"{url}: only SQLite files are backed up here; use the server's own snapshots")
    return Path(path)


def _copy(source: Path, target: Path) -> Path:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=2_000)
    return target


def _verify(path: Path, archive: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as db:
            (answer,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        raise UsageError(f"{archive}: {path.name} is damaged: {answer}")


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (f"{target.name}-wal", f"{target.name}-shm"):
        (target.parent / leftover).unlink(missing_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for item in source.iterdir():
            item.replace(target / item.name)
        return
    source.replace(target)
    target.chmod(0o600)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
