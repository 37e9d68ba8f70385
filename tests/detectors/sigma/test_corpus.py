"""SigmaHQ's rules: all of them load, and each fires on the real events recorded for it."""

from __future__ import annotations

import lzma
import re
import tarfile
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from corpora import corpus

from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.loader import load_rules
from detectors.sigma.native import native_windows
from detectors.sigma.rules import RuleSet

NOT_IN_THE_ARCHIVE = {
    "af688c76-4ce4-4309-bfdd-e896f01acf27",
    "8a2f4b1c-3d5e-4f7a-9b2c-1e4f6d8a9c2b",
    "e3c6d245-7b8f-4e2a-c17f-a9d0e5b38f62",
    "a7f3c891-2e4d-4b6a-9f8c-d5e2a1b04c73",
    "916eb839-895e-47f8-99ee-3008bf377a3e",
}
"""Five of the 91 rules with recorded events are no rule of the archive: SigmaHQ keeps them outside of `rules/`."""


def test_all_rules_load_without_rejection(sigmahq: RuleSet, sigmahq_ecs: RuleSet) -> None:
    for ruleset in (sigmahq, sigmahq_ecs):
        assert len(ruleset.rules) == 3_132
        assert ruleset.rejected == ()
    assert sum(rule.level == "informational" for rule in sigmahq.rules) == 25


def test_loading_takes_seconds() -> None:
    start = time.process_time()
    load_rules([corpus("sigmahq/rules-994da16.tar.xz")], mode="native")
    assert time.process_time() - start < 30


def regression() -> list[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with lzma.open(corpus("regression/events.ndjson.xz")) as file:
        return [decode(line) for line in file]


def test_the_archive_itself_lacks_five_of_the_recorded_rules() -> None:
    """Counted without our loader, so that no rule goes missing by a fault of ours."""
    with tarfile.open(corpus("sigmahq/rules-994da16.tar.xz")) as archive:
        texts = [file.read().decode() for member in archive if (file := archive.extractfile(member)) is not None]
    ids = re.findall(r"^id: *([0-9a-f-]{36})\b", "\n".join(texts), re.MULTILINE)
    assert len(ids) == len(set(ids)) == 3_132
    recorded = {case["rule_id"] for case in regression()}
    assert recorded - set(ids) == NOT_IN_THE_ARCHIVE
    assert len(recorded & set(ids)) == 86


def parsed(record: dict[str, Any]) -> dict[str, Any]:
    from collectors.base import Context
    from collectors.parsers.windows import convert

    return convert(record, Context(received=1_790_000_000_000_000))


@pytest.mark.parametrize(("mode", "read"), [("native", native_windows), ("ecs", parsed)])
def test_all_86_rules_fire_on_the_events_recorded_for_them(
    mode: str, read: Callable[[dict[str, Any]], dict[str, Any]], sigmahq: RuleSet, sigmahq_ecs: RuleSet
) -> None:
    ruleset = sigmahq if mode == "native" else sigmahq_ecs
    engine = PlainEngine(ruleset.rules)
    cases = [case for case in regression() if case["rule_id"] not in NOT_IN_THE_ARCHIVE]
    assert len(cases) == 86
    for case in cases:
        identity = case["rule_id"]
        fired = sum(any(rule.id == identity for rule in engine.match(read(event))) for event in case["events"])
        assert fired >= (case["match_count_min"] or 1), case["title"]


def test_windows_fields_in_ecs_mode_are_the_schema_s_or_the_event_s_own(sigmahq_ecs: RuleSet) -> None:
    from almena.ecs import fields

    strange = {
        name
        for rule in sigmahq_ecs.rules
        if rule.logsource.product == "windows"
        for name in rule.fields
        if name not in fields() and not name.startswith("winlog.")
    }
    assert strange == set()
