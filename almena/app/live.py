"""Sigma rules at work: measured, kept within their budget, exchanged between two events, and announced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from almena import metrics
from almena.alert import Alert
from almena.app.limits import Limits
from almena.bus import ALERTS, LEDGER, Bus, Record
from almena.clock import SECOND, format_time, now
from almena.config import DetectSettings
from almena.detect import alert_record
from almena.errors import BusError
from almena.event import Event
from almena.heap import settle
from almena.hit import Hit
from detectors.sigma.announce import over_budget
from detectors.sigma.budget import Budget, Costs
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.rules import RuleSet
from detectors.sigma.shadow import Over, entry, overdrawn, unknown

log = logging.getLogger("almena.detect")

WHYS = ("listed", "rule", "budget", "rests")

_EVERY = SECOND
_EXPORT_EVERY = 10 * SECOND
_OWED = 1_000


class LiveRules:
    """A selector that lets a detector see events, and looks after its rules when it is called in between."""

    def __init__(
        self,
        detector: SigmaDetector,
        bus: Bus,
        settings: DetectSettings,
        limits: Limits,
        *,
        changed: Callable[[], RuleSet | None] = lambda: None,
        clock: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
    ) -> None:
        """`changed` gives the new rules once when there are some; `clock` only moves forward, in microseconds."""
        self.detector = detector
        self._bus = bus
        self._settings = settings
        self._limits = limits
        self._changed = changed
        self._clock = clock
        self._budget = Budget(
            share=settings.budget_share, each=int(settings.budget_time), window=int(settings.budget_window)
        )
        self._looked = clock()
        self._events = self._spent = 0
        self._exported: Costs = {}
        self._exported_at = self._looked
        self._hash = ""
        self._owed: list[tuple[str, Record]] = []
        self._unsaved: dict[str, Over] = {}
        self._tell()

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        """What the detector finds."""
        began = time.perf_counter_ns()
        found = list(self.detector.select(events))
        self._spent += time.perf_counter_ns() - began
        self._events += len(events)
        return iter(found)

    def between(self) -> None:
        """Between two batches, at most once a second: what is due about the rules. Never raises."""
        moment = self._clock()
        if moment - self._looked < _EVERY:
            return
        self._looked = moment
        try:
            self.look(moment)
        except Exception:
            log.exception("rules go on as they were; what was due about them failed")

    def look(self, moment: int) -> None:
        """Take new rules and new decisions, judge what rules cost, and tell what is owed."""
        rules = self._changed()
        if rules is not None:
            self.replace(rules)
        if self._limits.changed():
            self._limit(self._limits.read() | self._unsaved)
        judged = self._budget.due(moment)
        if judged or moment - self._exported_at >= _EXPORT_EVERY:
            costs = self.detector.costs()
            self._exported_at = moment
            self._export(costs)
            if judged:
                self._judge(moment, costs)
        self._pay()

    def replace(self, rules: RuleSet) -> None:
        """Run another set from the next event on, and say so."""
        self.detector.replace(rules)
        settle()
        self._exported = {}
        log.info("rules exchanged: %d in use, %d rejected, set %s", *_sizes(rules), rules.hash)
        self._tell()

    def _judge(self, moment: int, costs: Costs) -> None:
        excesses = self._budget.judge(moment, self._events, self._spent, costs)
        rules = self.detector.ruleset.by_id
        since = format_time(now())
        decided = {rule: Over(rules[rule].version, since, each) for rule, each in excesses.items() if rule in rules}
        if not decided:
            return
        try:
            fresh = self._limits.add(decided)
        except OSError as error:
            log.error("%s; other workers and the next start will not know which rules are over budget", error)
            fresh = decided
            self._unsaved |= decided
        for rule, over in fresh.items():
            log.warning("rule %s (%s) is over its budget and moves to shadow: %s", rule, rules[rule].title, over.excess)
            alert = over_budget(
                rules[rule], over, share=self._settings.budget_share, each=int(self._settings.budget_time)
            )
            self._owe(ALERTS, alert_record(alert))
        self._limit(self._limits.read() | self._unsaved)

    def _limit(self, over: Mapping[str, Over]) -> None:
        before = overdrawn(self.detector.ruleset, over)
        shadow = self.detector.shadow
        self.detector.limit(over)
        if self.detector.shadow != shadow:
            self._exported = {}
            log.info("rules over budget that see a sample only: %s", ", ".join(sorted(before)) or "none")
            self._tell()

    def _tell(self) -> None:
        """Which rules run, which in shadow, which were refused: as metrics, in the log, and on the ledger."""
        rules, shadow = self.detector.ruleset, self.detector.shadow
        loaded, rejected = _sizes(rules)
        metrics.RULES_LOADED.set(loaded)
        metrics.RULES_REJECTED.set(rejected)
        for why in WHYS:
            metrics.RULES_SHADOW.labels(why).set(sum(item.why == why for item in shadow.values()))
        metrics.run_set(rules.hash, self._hash)
        self._hash = rules.hash
        for rejection in rules.rejected:
            log.warning("rule %s (%s) is rejected: %s", rejection.rule, rejection.file, rejection.reason)
        for name in unknown(rules, self._settings.shadow):
            log.warning("[detect] shadow names %s, but no rule in use has that id or name", name)
        told = {
            "kind": "rules",
            "loaded": loaded,
            "rejected": [{"rule": str(item.rule), "reason": str(item.reason)} for item in rules.rejected],
            "shadow": [entry(rules.by_id[rule], item) for rule, item in sorted(shadow.items())],
            "hash": rules.hash,
        }
        self._owe(LEDGER, Record("rules", msgspec.json.encode(told)))
        self._pay()

    def _export(self, costs: Costs) -> None:
        """Add to the metrics what rules cost since the last time."""
        for rule, cost in costs.items():
            before = self._exported.get(rule)
            if before is None or cost.nanoseconds < before.nanoseconds or cost.candidates < before.candidates:
                candidates, nanoseconds = cost.candidates, cost.nanoseconds
            else:
                candidates, nanoseconds = cost.candidates - before.candidates, cost.nanoseconds - before.nanoseconds
            if candidates or nanoseconds:
                metrics.RULE_CANDIDATES.labels(rule).inc(candidates)
                metrics.RULE_SECONDS.labels(rule).inc(nanoseconds / 1e9)
        self._exported = dict(costs)

    def _owe(self, topic: str, record: Record) -> None:
        self._owed = [*self._owed, (topic, record)][-_OWED:]

    def _pay(self) -> None:
        """Append what is owed; what the bus refuses stays owed."""
        try:
            while self._owed:
                topic, record = self._owed[0]
                self._bus.append(topic, [record])
                self._owed.pop(0)
        except BusError as error:
            log.warning("%s; %d announcements about rules wait", error, len(self._owed))


def _sizes(rules: RuleSet) -> tuple[int, int]:
    return len(rules.rules) + len(rules.correlations), len(rules.rejected)
