"""Secrets of the configuration that stand in files of their own."""

from __future__ import annotations

import os
from pathlib import Path

from almena.errors import ConfigError


def secret_in(value: str, file: str, option: str) -> str:
    """The secret itself, or what the file holds; raises ConfigError naming the option."""
    if not file:
        return value
    try:
        text = Path(os.path.expandvars(file)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{option}: {file} cannot be read") from None
    if not text:
        raise ConfigError(f"{option}: {file} is empty")
    return text
