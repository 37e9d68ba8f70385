"""The window that a correlation needs."""

from __future__ import annotations

from detectors.correlation.closing import Closing
from detectors.correlation.counting import Counting, Distinct
from detectors.correlation.order import Ordered
from detectors.correlation.together import Together
from detectors.correlation.values import Many, Values
from detectors.correlation.window import EXACT, Window
from detectors.sigma.rules import Correlation


def window_of(rule: Correlation, exact: int = EXACT) -> Window:
    """The window of a correlation; `exact` hits or values of a group are remembered one by one."""
    timespan, kind, condition = rule.timespan, rule.type, rule.condition
    if rule.ways:
        return Ordered(timespan, rule.ways) if kind == "temporal_ordered" else Together(timespan, rule.ways)
    assert condition is not None, "a correlation without ways has bounds"
    if not condition.sliding:
        rules = rule.rules if kind.startswith("temporal") else ()
        return Closing(timespan, kind, condition, rules=rules, percent=rule.percentile, exact=exact)
    if rule.numeric:
        return Values(timespan, kind, rule.percentile, condition, exact)
    if condition.smallest > exact:
        return Many(timespan, condition, distinct=kind == "value_count")
    if kind == "event_count":
        return Counting(timespan, condition.smallest)
    return Distinct(timespan, condition.smallest, rule.rules if kind == "temporal" else ())
