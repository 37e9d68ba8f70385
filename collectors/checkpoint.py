"""Where collectors remember what they have handed on: small JSON files, replaced as a whole and durable."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from almena.errors import AlmenaError

log = logging.getLogger("almena.checkpoint")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds between attempts while the disk refuses

T = TypeVar("T")


def save(path: Path, content: object) -> None:
    """Put `content` in the place of what `path` held; durable when it returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, kind: type[T]) -> T | None:
    """What was saved, or None when nothing was; raises AlmenaError when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise AlmenaError(f"{path}: damaged ({error}); move it away to read everything from the start again") from None


async def patiently(action: Callable[[], T]) -> T:
    """Do it in a thread until the disk takes it: what is not remembered is read again, never lost."""
    wait = _FIRST_WAIT
    while True:
        try:
            return await asyncio.to_thread(action)
        except OSError as error:
            log.error("the place reached cannot be saved, and nothing more is read until it can: %s", error)
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
