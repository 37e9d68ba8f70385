"""What is nearest to an alert, for the console: what `almena state show` shows, for one caller's agencies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from almena.app import operators_of, ruleset
from almena.app.explaining import title_of
from almena.app.reaching import reached
from almena.app.remembered import Group, remembered
from almena.app.standing import group_name
from almena.bus import Bus
from almena.clock import FOREVER
from almena.config import Config
from almena.console.nearest import MOST, Nearby, NearGroup
from almena.errors import AlmenaError
from almena.store import Scope
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation, RuleSet

log = logging.getLogger("almena.console")

LOOKED_AT = 20_000
"""Entries of one partition that a page looks at; `almena state show` looks at all."""


class Looker:
    """Looks at the groups of correlations, with the rules that the detectors say they run."""

    def __init__(self, config: Config, bus: Bus, seen: Callable[[], object]) -> None:
        """`seen` gives another value whenever the detectors run other rules."""
        self._config, self._bus, self._seen = config, bus, seen
        self._lock = threading.Lock()
        self._loaded: tuple[object, RuleSet, dict[str, Any]] | None = None

    def __call__(self, rule: str, scope: Scope, language: str) -> Nearby | None:
        """The groups of a correlation that `scope` may see; None where it does not run, or cannot be looked at."""
        try:
            rules, operators = self._rules()
            operator = operators.get(rule)
            item = next((each for each in rules.correlations if each.id == rule), None)
            if operator is None or item is None or not hasattr(operator, "progress"):
                return None
            found = remembered(self._bus, operator, scope=scope, limit=LOOKED_AT)
        except (AlmenaError, OSError) as error:
            log.warning("what is nearest to an alert of %s cannot be shown: %s", rule, error)
            return None
        marks = [clock.watermark for clock in found.clocks if clock.watermark < FOREVER]
        return Nearby(
            groups=tuple(_shown(group, item, rules, language) for group in found.groups[:MOST]),
            more=max(len(found.groups) - MOST, 0),
            whole=found.whole,
            watermark=min((mark for mark in marks if mark >= 0), default=-1),
            waiting=sum(clock.waiting for clock in found.clocks),
        )

    def _rules(self) -> tuple[RuleSet, dict[str, Any]]:
        """The rules and their operators, loaded again when the detectors run others."""
        seen = self._seen()
        with self._lock:
            if self._loaded is None or self._loaded[0] != seen:
                rules = ruleset(self._config)
                self._loaded = (seen, rules, operators_of((), rules))
            return self._loaded[1:]


def _shown(group: Group, item: Correlation, rules: RuleSet, language: str) -> NearGroup:
    progress = group.progress
    known = [rules.by_id.get(rule) for rule in progress.missing]
    return NearGroup(
        name=group_name(progress, language),
        agency=progress.agency,
        reached=reached(progress, item, language),
        missing=tuple(
            safe(title_of(found, language) if found else rule)
            for found, rule in zip(known, progress.missing, strict=True)
        ),
        first=progress.first,
        last=progress.last,
        closes=progress.closes,
        waits=progress.waits,
        past=group.past,
        alert="" if item.id in rules.muted else progress.alert,
    )
