"""Remembers what rules became, by the hash of all they were made of: the second start reads no YAML.

A remembered set is a header (format, key, checksum) and plain data (`packing`). Whatever is not exactly what was
written, the rules are loaded from their YAML and remembered anew; nothing here ever keeps rules from loading.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from almena import __version__, yamlfile
from almena.locking import alone
from detectors.sigma.inputs import ZONE, Inputs, Mode, gather
from detectors.sigma.packing import collecting_later, pack, unpack
from detectors.sigma.rules import LogSource, RuleSet

log = logging.getLogger("almena.rules")

KEPT = 6
"""Rule sets that are remembered; beyond it the one used longest ago goes."""

LARGEST = 512 * 1024 * 1024
"""Bytes of a remembered set; a larger one is not read."""

PATIENCE = 10.0
"""Seconds to wait while another process makes the same set, before making it too."""

_MAGIC = b"almena rules 1\n"
_DIGEST = 32
_STALE = 600.0


def load_rules(
    paths: Sequence[Path],
    mode: Mode = "ecs",
    pipelines: Path | None = None,
    *,
    zone: str = ZONE,
    cache: Path | None = None,
) -> RuleSet:
    """As `loader.load_rules`; from the folder `cache`, in a tenth of the time, what was loaded before."""
    return load(gather(paths, mode, pipelines, zone=zone), cache)


def load(inputs: Inputs, cache: Path | None = None) -> RuleSet:
    """The rule set that `inputs` make, remembered in the folder `cache`; raises UsageError and RuleError."""
    if cache is None:
        return _parse(inputs)
    key = _key(inputs)
    file = cache / f"rules-{key.hex()[:32]}.bin"
    found = _recall(file, key, inputs)
    if found is not None:
        return found
    with alone(cache / "lock", PATIENCE):
        found = _recall(file, key, inputs)
        if found is None:
            found = _parse(inputs)
            _remember(file, key, found)
    return found


def _parse(inputs: Inputs) -> RuleSet:
    from detectors.sigma.loader import parse

    with collecting_later():
        return parse(inputs)


def _key(inputs: Inputs) -> bytes:
    return hashlib.blake2b(f"{inputs.key} {_makers()}".encode(), digest_size=_DIGEST).digest()


@lru_cache(maxsize=1)
def _makers() -> str:
    """A hash of all that turns YAML into rules: our own code, and the libraries it rests on."""
    found = hashlib.blake2b(_MAGIC, digest_size=16)
    for name in ("pysigma", "google-re2", "PyYAML", "msgspec"):
        with suppress(PackageNotFoundError):
            found.update(f"{name} {version(name)}\n".encode())
    found.update(f"almena {__version__} python {platform.python_version()}\n".encode())
    for source in [*sorted(Path(__file__).parent.glob("*.py")), Path(yamlfile.__file__)]:
        found.update(source.name.encode() + b"\n" + source.read_bytes())
    return found.hexdigest()


def _recall(file: Path, key: bytes, inputs: Inputs) -> RuleSet | None:
    """What is remembered under `key`; None when there is nothing, or nothing whole."""
    try:
        with file.open("rb") as handle:
            data = handle.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s: the remembered rules cannot be read: %s", file, error.strerror or error)
        return None
    try:
        ruleset = unpack(_checked(data, key), _field(inputs))
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        log.warning("%s: the remembered rules are damaged (%s); loading them from YAML", file, error)
        return None
    with suppress(OSError):
        os.utime(file)
    return ruleset


def _checked(data: bytes, key: bytes) -> memoryview:
    """The payload; raises ValueError unless it is whole and under its own key."""
    start = len(_MAGIC) + 2 * _DIGEST
    if len(data) > LARGEST or data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start - _DIGEST] != key:
        raise ValueError("another format, or under another key")
    payload = memoryview(data)[start:]
    if hashlib.blake2b(payload, key=key, digest_size=_DIGEST).digest() != data[start - _DIGEST : start]:
        raise ValueError("its checksum differs")
    return payload


def _field(inputs: Inputs) -> Callable[[str, LogSource], str]:
    """The mapping of the pipelines, made when it is first asked."""

    @lru_cache(maxsize=1)
    def mapping() -> Callable[[str, LogSource], str]:
        from detectors.sigma.pipelines import Mapping

        return Mapping(inputs.pipelines).field

    return lambda name, logsource: mapping()(name, logsource)


def _remember(file: Path, key: bytes, ruleset: RuleSet) -> None:
    """Write a set whole or not at all, and forget the oldest ones; a full or read-only disk is only said."""
    mine = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        payload = pack(ruleset)
        checksum = hashlib.blake2b(payload, key=key, digest_size=_DIGEST).digest()
        mine.unlink(missing_ok=True)
        with open(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:  # noqa: PTH123
            handle.write(_MAGIC + key + checksum)
            handle.write(payload)
        mine.replace(file)
        _forget(file.parent, _used(file))
    except (OSError, ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        log.warning("%s: the rules are not remembered: %s", file, error)
        with suppress(OSError):
            mine.unlink(missing_ok=True)


def _forget(folder: Path, now: float) -> None:
    """Keep the sets used last, and nothing that was half written long ago."""
    files = sorted(folder.glob("rules-*.bin"), key=_used, reverse=True)
    stale = [file for file in folder.glob("rules-*.tmp") if now - _used(file) > _STALE]
    for file in [*files[KEPT:], *stale]:
        file.unlink(missing_ok=True)


def _used(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
