"""Rules from detections, and the index held to the plain engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigma_strategies import written

from almena.event import Batch, Event
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.index.engine import IndexEngine
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Rule

WINDOWS = {"product": "windows"}


def rules_of(
    detections: Sequence[dict[str, Any]], logsources: Sequence[dict[str, str]] | None = None
) -> Sequence[Rule]:
    """A rule of each detection, whose condition is `s` unless it says one; `logsources` of each, or Windows."""
    documents = [
        {
            "title": f"T{number}",
            "logsource": WINDOWS if logsources is None else logsources[number],
            "detection": {"condition": "s"} | detection,
        }
        for number, detection in enumerate(detections)
    ]
    ruleset = load_texts([("x.yml", "---\n".join(map(written, documents)))])
    assert not ruleset.rejected, ruleset.rejected[0].reason
    return ruleset.rules


def titles(verdicts: Sequence[Sequence[Rule]]) -> list[list[str]]:
    """The titles of the rules that match each event."""
    return [[rule.title for rule in verdict] for verdict in verdicts]


def agree(rules: Sequence[Rule], events: Sequence[Event], lines: Sequence[bytes] | None = None) -> IndexEngine:
    """Hold the index, new and with a memory, to the plain engine; returns the one with the memory."""
    expected = titles(PlainEngine(rules).match_all(events))
    engine = IndexEngine(rules)
    for given in [events] if lines is None else [Batch(events, lines), events]:
        assert titles(IndexEngine(rules).match_all(given)) == expected
        for _ in range(2):
            assert titles(engine.match_all(given)) == expected
    return engine
