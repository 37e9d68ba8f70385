"""Real data for tests, which lies beside the repository and is no part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"


def corpus(name: str) -> Path:
    """The file `name` of the corpora; the test skips, saying so, where it is missing."""
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"the corpus {name} is not beside the repository")
    return path
