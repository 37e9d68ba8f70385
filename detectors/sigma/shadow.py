"""Which rules run in shadow, and why: they go on finding, what they find is tagged, and nobody is paged for it.

A rule is in shadow because the configuration lists it, because its own document says so, because it was over its
budget, or, for a correlation, because it rests on a rule that is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from detectors.sigma.budget import Excess
from detectors.sigma.rules import Correlation, RuleSet, Stated

KEY = "almena"
"""The key of a rule document under which `shadow: true` may stand."""

FIELD = "almena.alert.shadow"
"""True in every alert of a rule in shadow."""

SAMPLE = 16
"""A rule over budget sees one event in this many."""

Why = Literal["listed", "rule", "budget", "rests"]
"""`listed` in the configuration, by the `rule` itself, over `budget`, or a correlation that `rests` on such a rule."""


class Over(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision that a rule is over budget; it holds for that version of the rule only."""

    version: str
    since: str
    """RFC 3339."""
    excess: Excess


class Shadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why one rule is in shadow."""

    why: Why
    detail: str = ""
    """What it cost, or the id of the rule it rests on."""
    since: str = ""
    """RFC 3339, where that is known: the configuration and rules do not say."""


def shadows(
    ruleset: RuleSet, listed: Collection[str] = (), over: Mapping[str, Over] | None = None
) -> dict[str, Shadow]:
    """The rules and correlations in shadow, by id; `listed` are ids or names, `over` decisions by id."""
    found: dict[str, Shadow] = {}
    wanted = frozenset(listed)
    for item in ruleset.everything:
        decision = (over or {}).get(item.id)
        if decision is not None and decision.version == item.version:
            found[item.id] = Shadow("budget", decision.excess.short, decision.since)
        elif item.id in wanted or (item.name and item.name in wanted):
            found[item.id] = Shadow("listed")
        elif says_shadow(item.document):
            found[item.id] = Shadow("rule")
    _spread(ruleset.correlations, found)
    return found


def says_shadow(document: Mapping[str, Any]) -> bool:
    """Whether a rule document asks for shadow by `almena: {shadow: true}`; whatever else stands there does not."""
    block = document.get(KEY)
    return isinstance(block, Mapping) and block.get("shadow") is True


def unknown(ruleset: RuleSet, listed: Collection[str]) -> list[str]:
    """What is listed and names no rule that is in use."""
    known = {item.id for item in ruleset.everything} | {item.name for item in ruleset.everything if item.name}
    return sorted(set(listed) - known)


def overdrawn(ruleset: RuleSet, over: Mapping[str, Over]) -> frozenset[str]:
    """Ids of the rules that a decision holds for: they see only a sample of the events."""
    return frozenset(item.id for item in ruleset.rules if item.id in over and over[item.id].version == item.version)


def _spread(correlations: Collection[Correlation], found: dict[str, Shadow]) -> None:
    """A correlation that reads a rule in shadow is in shadow too, and so on along a chain."""
    left = [item for item in correlations if item.id not in found]
    while True:
        rests = {item.id: rule for item in left for rule in item.rules[::-1] if rule in found}
        if not rests:
            return
        for correlation, rule in rests.items():
            found[correlation] = Shadow("rests", rule, found[rule].since)
        left = [item for item in left if item.id not in found]


def entry(item: Stated, shadow: Shadow) -> dict[str, str]:
    """One rule in shadow as the ledger keeps it: `rule`, `title`, `why`, `detail`, `since`."""
    return {
        "rule": item.id,
        "title": item.title,
        "why": shadow.why,
        "detail": shadow.detail,
        "since": shadow.since,
    }
