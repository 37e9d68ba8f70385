"""A client of the console for tests, and what it sends."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette advises another client than the one it was made with
    from starlette.testclient import TestClient as TestClient

PASSWORD = "correcta bateria grapa"
SECRET = b"secret of the tests, 32 bytes ok"
BASE = "http://127.0.0.1:8080"


@dataclass
class Clock:
    """A clock that tests move."""

    time: int

    def __call__(self) -> int:
        return self.time


def form_token(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="sello" value="([0-9a-f]{64})"', page)
    assert found is not None, page[:500]
    return found[1]
