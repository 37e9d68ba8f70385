"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# Speed is measured under bench/: a busy machine fails no test.
settings.register_profile("almena", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("almena")

pytest_plugins = ["servers"]
