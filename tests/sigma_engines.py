"""The engines that are held to the specification and to the naive evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from detectors.sigma.evaluator import Engine, PlainEngine
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.rules import Rule

ENGINES: list[Callable[[Sequence[Rule]], Engine]] = [PlainEngine, IndexEngine]
