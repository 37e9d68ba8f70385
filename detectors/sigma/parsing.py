"""From one YAML document to a rule's expression: pySigma parses, this builds what is evaluated."""

from __future__ import annotations

import copy
import re
from itertools import islice
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
    unwrap_parse_result_operand,
)
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaRule

from almena.errors import RuleError
from detectors.sigma.expression import And, Expression, Named, Not, any_of, both, predicates
from detectors.sigma.modifiers import plain
from detectors.sigma.pipelines import Mapping
from detectors.sigma.predicates import expression_of
from detectors.sigma.regex import POLICY
from detectors.sigma.rules import LogSource

LONGEST_CONDITION = 10_000
"""Characters of a condition; longer ones are refused."""

MOST_VALUES = 20_000
"""Values of one rule, each counted as often as the condition asks it; the most of SigmaHQ's rules are 4,432."""

DEEPEST_CONDITION = 20
"""Parentheses within parentheses of a condition; deeper ones are refused."""

_LONG = re.compile(r"(\S{60})\S{20,}")
_OBJECT = re.compile(r"<[\w.]{0,80}?(?:Sigma)?(\w{1,80}) object at 0x[0-9a-f]{1,16}>", re.ASCII)
_READ = 20_000


def reason_of(error: Exception) -> str:
    """What a person is told about a rule that raised `error`."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    said = _OBJECT.sub(r"\1", _LONG.sub(r"\1…", str(error)[:_READ]))
    said = " ".join(said.split())[:500]
    if said and isinstance(error, (RuleError, SigmaError)):
        return said
    return f"malformed: {type(error).__name__}: {said}"


def logsource_of(content: dict[str, Any]) -> LogSource:
    """The log source a rule names, in lower case; raises RuleError."""
    stated = content.get("logsource")
    if not isinstance(stated, dict):
        raise RuleError("a rule needs a logsource with product, category or service")
    parts = [stated.get(key) for key in ("product", "category", "service")]
    if not any(parts) or not all(part is None or isinstance(part, str) for part in parts):
        raise RuleError("a logsource needs product, category or service, each a text")
    return LogSource(*(part.lower() if part else None for part in parts))


def parse_rule(content: dict[str, Any], mapping: Mapping, zone: str) -> tuple[Expression, str]:
    """What a rule asks and its condition as text; raises whatever its mistakes cause."""
    rule = SigmaRule.from_dict(_normal(content, "detection"), policy=POLICY)
    mapping.apply(rule)
    return _conditions(rule.detection, zone)


def parse_filter(content: dict[str, Any]) -> SigmaFilter:
    """The filter as pySigma reads it; raises whatever its mistakes cause."""
    stated = content.get("filter")
    if isinstance(stated, dict) and "rules" not in stated:
        raise RuleError("a filter says which rules it is for: 'rules: any', or their ids or names")
    return SigmaFilter.from_dict(_normal(content, "filter"), policy=POLICY)


def filtered(
    rule: Expression, condition: str, content: dict[str, Any], logsource: LogSource, mapping: Mapping, zone: str
) -> tuple[Expression, str]:
    """The rule's expression with one filter's behind it, read as if the filter were a rule of that log source."""
    detection = {key: value for key, value in content["filter"].items() if key != "rules"}
    named = {key: value for key in LogSource.__slots__ if (value := getattr(logsource, key))}
    as_rule = {"title": "filter", "logsource": named, "detection": detection}
    expression, text = parse_rule(as_rule, mapping, zone)
    return both(rule, expression), f"({condition}) and ({text})"


def _normal(content: dict[str, Any], key: str) -> dict[str, Any]:
    """The document without what pySigma passes over in silence."""
    stated = content.get(key)
    if not isinstance(stated, dict):
        raise RuleError(f"'{key}' is a mapping with selections and a condition")
    for name in stated:
        if not isinstance(name, str):
            raise RuleError(f"the selection name {name!r} is no text; write it in quotes")
    condition = stated.get("condition")
    for text in condition if isinstance(condition, list) else [condition]:
        _check_condition(text)
    normal = {
        name: value if name in ("condition", "rules") else plain(value, str(name))
        for name, value in stated.items()
        if name != "timeframe"
    }
    return {**content, key: normal}


def _check_condition(text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise RuleError("a rule needs a condition, a text or a list of texts")
    if len(text) > LONGEST_CONDITION:
        raise RuleError(f"a condition longer than {LONGEST_CONDITION} characters")
    depth = deepest = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    if deepest > DEEPEST_CONDITION:
        raise RuleError(f"a condition with more than {DEEPEST_CONDITION} parentheses within each other")


def _conditions(detections: SigmaDetections, zone: str) -> tuple[Expression, str]:
    selections: dict[str, Expression] = {}
    found = [_condition(condition, detections, selections, zone) for condition in detections.parsed_condition]
    texts = [condition.condition for condition in detections.parsed_condition]
    expression = any_of(found)
    if next(islice(predicates(expression), MOST_VALUES, None), None) is not None:
        raise RuleError(f"it asks for more than {MOST_VALUES} values; write several rules")
    return expression, texts[0] if len(texts) == 1 else " or ".join(f"({text})" for text in texts)


def _condition(
    condition: SigmaCondition, detections: SigmaDetections, selections: dict[str, Expression], zone: str
) -> Expression:
    def build(node: Any) -> Expression:
        node = unwrap_parse_result_operand(node)
        match node:
            case ConditionIdentifier():
                return _selection(node.identifier, detections, selections, zone)
            case ConditionSelector():
                chosen = [build(found) for found in node.resolve_referenced_detections(detections)]
                if not chosen:
                    raise RuleError(f"'{node.args[0]} of {node.pattern}' names no selection")
                return any_of(chosen) if node.cond_class is ConditionOR else _all_of(chosen)
            case ConditionNOT():
                return Not(build(node.args[0]))
            case ConditionAND():
                return _all_of([build(arg) for arg in node.args])
            case ConditionOR():
                return any_of([build(arg) for arg in node.args])
        raise RuleError(f"the condition holds {type(node).__name__}, which is not supported")

    return build(copy.copy(condition.parse(postprocess=False)))


def _selection(name: str, detections: SigmaDetections, selections: dict[str, Expression], zone: str) -> Expression:
    if name not in selections:
        if name not in detections.detections:
            raise RuleError(f"the condition names {name!r}, which the detection does not define")
        selections[name] = Named(name, _detection(detections[name], zone))
    return selections[name]


def _all_of(children: list[Expression]) -> Expression:
    return children[0] if len(children) == 1 else And(tuple(children))


def _detection(detection: SigmaDetection, zone: str) -> Expression:
    found = [
        _item(item, zone) if isinstance(item, SigmaDetectionItem) else _detection(item, zone)
        for item in detection.detection_items
    ]
    return _all_of(found) if detection.item_linking is ConditionAND else any_of(found)


def _item(item: SigmaDetectionItem, zone: str) -> Expression:
    if not item.value:
        raise RuleError(f"{item.field or 'a keyword'} has no value")
    found = [expression_of(item.field, value, zone) for value in item.value]
    linked = _all_of(found) if item.value_linking is ConditionAND else any_of(found)
    return Not(linked) if item.negated else linked
