"""Journal files of systemd for tests, written by `systemd-journal-remote` as another machine's would be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_BEGAN = 1_795_376_039_000_000
_REMOTE = "/lib/systemd/systemd-journal-remote"


def needed() -> None:
    """Skip the test where a journal can be neither written nor read; in CI that is an error."""
    missing = [name for name in (_REMOTE, "journalctl") if shutil.which(name) is None]
    if missing:
        told = f"no {', '.join(missing)} here: apt-get install systemd systemd-journal-remote"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


def write(file: Path, records: Sequence[Mapping[str, str | bytes]]) -> int:
    """Put records at the end of a journal file, and return how many it has by then.

    Without a time they come a microsecond one after the other.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    began = _BEGAN + _count(file)
    with _count_file(file).open("ab") as count:
        count.write(b"." * len(records))
    exported = b"".join(_exported(record, began + at) for at, record in enumerate(records))
    subprocess.run([_REMOTE, f"--output={file}", "-"], input=exported, check=True, capture_output=True)
    return began - _BEGAN + len(records)


def _count_file(file: Path) -> Path:
    return file.parent.parent / f"{file.name}.count"


def _count(file: Path) -> int:
    return _count_file(file).stat().st_size if _count_file(file).exists() else 0


def _exported(record: Mapping[str, str | bytes], moment: int) -> bytes:
    fields: dict[str, str | bytes] = {
        "__REALTIME_TIMESTAMP": str(moment),
        "__MONOTONIC_TIMESTAMP": str(moment % 10_000_000_000),
        "_BOOT_ID": "6f1d0c3e5b8a4f0e9d7c2b1a00112233",
        "_MACHINE_ID": "0123456789abcdef0123456789abcdef",
        "_HOSTNAME": "web1",
        "_TRANSPORT": "journal",
        **record,
    }
    return b"".join(_field(name, value) for name, value in fields.items()) + b"\n"


def _field(name: str, value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    if b"\n" not in data and data.isascii() and data.decode().isprintable():
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
