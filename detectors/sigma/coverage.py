"""Which techniques of ATT&CK and which log sources a rule set covers, as a table and as a layer of ATT&CK Navigator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.sigma.attack import VERSION, Technique, table, tactics_of, techniques_of
from detectors.sigma.logsource import known
from detectors.sigma.rules import Correlation, LogSource, Rule, RuleSet

LAYER = "4.5"
"""The version of Navigator's layer format."""

_NAVIGATOR = "4.9.0"
"""The first Navigator that reads it."""

_COLORS = ["#dbe9f6", "#2a6fb0"]
_UNTESTED, _GAP = "#f3d9a4", "#e8a3a3"


@dataclass
class Counts:
    """How many rules stand behind something, and how many of them prove themselves."""

    rules: list[str] = field(default_factory=list)
    """Titles."""
    tested: int = 0
    """Rules with an example that must alert."""

    def add(self, item: Rule | Correlation) -> None:
        """Count one rule."""
        self.rules.append(item.title)
        tests = item.document.get("tests")
        self.tested += bool(isinstance(tests, Mapping) and tests.get("alerts"))


@dataclass(frozen=True)
class Row:
    """One tactic."""

    tactic: str
    """Its name."""
    covered: int
    """Its techniques and sub-techniques that a rule names."""
    techniques: int
    """All of them."""
    rules: int
    tested: int
    gaps: tuple[Technique, ...]
    """Those often seen in intrusions that no rule names."""


@dataclass(frozen=True)
class Coverage:
    """What a rule set covers."""

    techniques: Mapping[str, Counts]
    """By id; only those that a rule names."""
    rows: tuple[Row, ...]
    """By tactic, in the order of the matrix."""
    sources: Mapping[LogSource, Counts]
    """By log source, those with most rules first."""
    untagged: int
    """Rules that name no technique and no tactic."""
    rules: int

    def reached(self, source: LogSource) -> bool:
        """True when some event can reach rules of `source`."""
        return known(source)


def coverage_of(ruleset: RuleSet) -> Coverage:
    """Count the rules and correlations of `ruleset`."""
    techniques: dict[str, Counts] = defaultdict(Counts)
    tactics: dict[str, Counts] = {tag: Counts() for tag in table().tactics}
    sources: dict[LogSource, Counts] = defaultdict(Counts)
    untagged = 0
    for item in ruleset.everything:
        tags = item.document.get("tags")
        named = list(techniques_of(tags))
        for technique in named:
            techniques[technique.id].add(item)
        found = tactics_of(tags) or list(dict.fromkeys(tag for technique in named for tag in technique.tactics))
        for tag in found:
            tactics[tag].add(item)
        untagged += not found
        if isinstance(item, Rule):
            sources[item.logsource].add(item)
    return Coverage(
        techniques=dict(sorted(techniques.items())),
        rows=tuple(_row(tag, tactics[tag], techniques) for tag in table().tactics),
        sources=dict(sorted(sources.items(), key=lambda item: (-len(item[1].rules), str(item[0])))),
        untagged=untagged,
        rules=len(ruleset.everything),
    )


def _row(tag: str, counts: Counts, covered: Mapping[str, Counts]) -> Row:
    own = [technique for technique in table().techniques.values() if tag in technique.tactics]
    return Row(
        tactic=table().tactics[tag],
        covered=sum(technique.id in covered for technique in own),
        techniques=len(own),
        rules=len(counts.rules),
        tested=counts.tested,
        gaps=tuple(technique for technique in own if technique.common and not _touched(technique, covered)),
    )


def _touched(technique: Technique, covered: Mapping[str, Counts]) -> bool:
    """True when a rule names it, what it is a part of, or a part of it."""
    return any(other in (technique.id, technique.parent) or other.startswith(technique.id + ".") for other in covered)


def layer(coverage: Coverage, name: str) -> dict[str, Any]:
    """The layer as Navigator reads it: a technique's score is its number of rules, gaps have a colour of their own."""
    most = max((len(counts.rules) for counts in coverage.techniques.values()), default=1)
    gaps = {technique.id for row in coverage.rows for technique in row.gaps}
    return {
        "name": name,
        "versions": {"attack": VERSION, "navigator": _NAVIGATOR, "layer": LAYER},
        "domain": "enterprise-attack",
        "description": f"{coverage.rules} Sigma rules; a technique's score is the number of rules that name it.",
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "expandedSubtechniques": "annotated"},
        "hideDisabled": False,
        "techniques": [*_scored(coverage), *(_gap(identity) for identity in sorted(gaps))],
        "gradient": {"colors": _COLORS, "minValue": 0, "maxValue": max(most, 1)},
        "legendItems": [
            {"label": "rules, the more the darker", "color": _COLORS[1]},
            {"label": "rules, none with a test", "color": _UNTESTED},
            {"label": "often seen in intrusions, no rule", "color": _GAP},
        ],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _scored(coverage: Coverage) -> Iterator[dict[str, Any]]:
    for identity, counts in coverage.techniques.items():
        titles = counts.rules[:20] + ([f"and {len(counts.rules) - 20} more"] if len(counts.rules) > 20 else [])
        yield {
            "techniqueID": identity,
            "score": len(counts.rules),
            "comment": "\n".join(titles),
            "enabled": True,
            "color": "" if counts.tested else _UNTESTED,
            "metadata": [
                {"name": "rules", "value": str(len(counts.rules))},
                {"name": "tested", "value": str(counts.tested)},
            ],
        }


def _gap(identity: str) -> dict[str, Any]:
    return {
        "techniqueID": identity,
        "color": _GAP,
        "comment": "Often seen in intrusions; no rule names it.",
        "enabled": True,
    }
