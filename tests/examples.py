"""How many examples a property gets: few in `make test`, ten times as many in `make faults` (`ALMENA_EXAMPLES=10`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

_FACTOR = int(os.environ.get("ALMENA_EXAMPLES", "1"))


def examples(few: int) -> Callable[[Any], Any]:
    """Decorate a property that is heavy and deserves more examples than `make test` has time for."""
    return lambda test: pytest.mark.properties(settings(max_examples=few * _FACTOR, deadline=None)(test))
