"""What tests of Sigma share: rules from a few lines of YAML, and SigmaHQ's rules loaded once."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent
from typing import Any

import pytest
from corpora import corpus
from sigma_engines import ENGINES
from sigma_naive import NaiveEngine

from detectors.sigma.loader import load_rules, load_texts
from detectors.sigma.rules import Rule, RuleSet

IDENTITY = "11111111-1111-4111-8111-111111111111"


def yaml_of(detection: str, logsource: str, extra: str) -> str:
    return f"title: T\nid: {IDENTITY}\nlogsource: {logsource}\n{extra}detection:\n{indent(detection, '  ')}\n"


@pytest.fixture(scope="session")
def one_rule() -> Callable[..., Rule]:
    """The rule of a detection; fails with the reason when it is rejected."""

    def load(
        detection: str,
        logsource: str = "{product: windows}",
        *,
        extra: str = "",
        mode: Any = "native",
        zone: str = "America/Mexico_City",
    ) -> Rule:
        ruleset = load_texts([("rule.yml", yaml_of(detection, logsource, extra))], mode, zone=zone)
        assert not ruleset.rejected, ruleset.rejected[0].reason
        (rule,) = ruleset.rules
        return rule

    return load


@pytest.fixture(scope="session", params=[*ENGINES, NaiveEngine], ids=lambda engine: engine.__name__)
def match(request: pytest.FixtureRequest, one_rule: Callable[..., Rule]) -> Callable[..., bool]:
    """Whether a detection (its condition is `s` unless it says one) matches an event, by each engine in turn."""

    def ask(detection: str, event: dict[str, Any], *, zone: str = "America/Mexico_City") -> bool:
        if "condition:" not in detection:
            detection = f"s: {detection}\ncondition: s"
        rule = one_rule(detection, zone=zone)
        naive = {"zone": zone} if request.param is NaiveEngine else {}
        return bool(request.param([rule], **naive).match({"event.dataset": "windows.test"} | event))

    return ask


@pytest.fixture(scope="session")
def reason() -> Callable[..., str]:
    """Why a detection is rejected."""

    def ask(detection: str, logsource: str = "{product: windows}", *, extra: str = "") -> str:
        if "condition:" not in detection:
            detection = f"s: {detection}\ncondition: s"
        ruleset = load_texts([("rule.yml", yaml_of(detection, logsource, extra))])
        assert not ruleset.rules
        (rejection,) = ruleset.rejected
        assert rejection.file == "rule.yml"
        return rejection.reason

    return ask


@pytest.fixture(scope="session")
def sigmahq() -> RuleSet:
    """SigmaHQ's rules with their own field names."""
    return load_rules([corpus("sigmahq/rules-994da16.tar.xz")], mode="native")


@pytest.fixture(scope="session")
def sigmahq_ecs() -> RuleSet:
    """SigmaHQ's rules mapped to ECS."""
    return load_rules([corpus("sigmahq/rules-994da16.tar.xz")], mode="ecs")
