"""Which rules a correlation reads, by id or by name, and which of their fields its names stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping as Names
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sigma.correlations import (
    CorrelationConditionAND,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from almena.clock import SECOND
from almena.errors import RuleError
from detectors.sigma.documents import Document
from detectors.sigma.parsing import reason_of
from detectors.sigma.pipelines import Mapping
from detectors.sigma.regex import POLICY
from detectors.sigma.rules import Correlation, Rule, digest

TYPES = ("event_count", "value_count", "temporal", "temporal_ordered")
"""The correlation types that run."""

LARGEST_THRESHOLD = 10_000
"""Largest count a correlation may wait for: as many hits are remembered per group."""

LONGEST_TIMESPAN = 400 * 86_400
"""Longest window in seconds."""

DEEPEST = 10
"""Correlations that may feed one another in a chain."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A correlation as written, before what it names is looked up."""

    document: Document
    sigma: SigmaCorrelationRule
    identity: dict[str, Any]


def identifier(reference: str, names: Names[str, str]) -> str:
    """The id a reference means: an id as it is, a name looked up, or itself when nobody has that name."""
    try:
        return str(UUID(reference))
    except ValueError:
        return names.get(reference, reference)


def parse_correlation(content: dict[str, Any]) -> SigmaCorrelationRule:
    """The correlation as pySigma reads it; raises RuleError for what does not run."""
    stated = content.get("correlation")
    if not isinstance(stated, dict):
        raise RuleError("'correlation' is a mapping with type, rules, timespan and condition")
    kind, condition = stated.get("type"), stated.get("condition")
    if kind in ("value_sum", "value_avg", "value_percentile", "value_median"):
        raise RuleError(f"not supported: the correlation type {kind}; supported are {', '.join(TYPES)}")
    if isinstance(condition, dict):
        operators = [key for key in condition if key not in ("field", "percentile")]
        if len(operators) > 1:
            raise RuleError(f"not supported: a range ({' and '.join(map(str, operators))}) in a correlation")
        if operators and operators[0] in ("lt", "lte", "eq", "neq"):
            raise RuleError(f"not supported: the condition {operators[0]} in a correlation; supported are gt and gte")
    parsed = SigmaCorrelationRule.from_dict(content, policy=POLICY)
    if parsed.timespan.seconds > LONGEST_TIMESPAN:
        raise RuleError(f"a timespan longer than {LONGEST_TIMESPAN // 86_400} days")
    return parsed


def _references(sigma: SigmaCorrelationRule) -> list[str]:
    if sigma.rules:
        return [reference.reference for reference in sigma.rules]
    if isinstance(sigma.condition, SigmaExtendedCorrelationCondition):
        return sigma.condition.get_referenced_rules()
    return []


def _threshold(sigma: SigmaCorrelationRule, rules: Sequence[str]) -> tuple[int, str, tuple[str, ...]]:
    """What `gte` compares with, the operator as written, and the fields whose values are counted."""
    kind, condition = sigma.type.name.lower(), sigma.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        parsed = condition.parsed
        everything = isinstance(parsed, SigmaRuleReference) or (
            isinstance(parsed, CorrelationConditionAND)
            and all(isinstance(arg, SigmaRuleReference) for arg in parsed.args)
        )
        if not everything:
            raise RuleError("not supported: 'or' and 'not' in a correlation's condition")
        return len(rules), "gte", ()
    if not isinstance(condition, SigmaCorrelationCondition):
        raise RuleError("a correlation needs a condition")
    operator = condition.op.name.lower()
    threshold = math.floor(condition.count) + 1 if operator == "gt" else math.ceil(condition.count)
    if not 1 <= threshold <= LARGEST_THRESHOLD:
        raise RuleError(f"a condition that counts to {threshold}; it must be between 1 and {LARGEST_THRESHOLD}")
    if kind == "temporal" and threshold > len(set(rules)):
        raise RuleError(f"its condition waits for {threshold} rules and it reads {len(set(rules))}")
    if kind == "temporal_ordered" and threshold != len(rules):
        raise RuleError("not supported: temporal_ordered with fewer rules than it reads")
    field = condition.fieldref
    fields = (field,) if isinstance(field, str) else tuple(field or ())
    return threshold, operator, fields if kind == "value_count" else ()


class Relations:
    """Rules, correlations and who reads whom."""

    def __init__(
        self, rules: Names[str, Rule], names: Names[str, str], mapping: Mapping, drafts: Sequence[Draft]
    ) -> None:
        """`names` maps rule names to ids."""
        self._rules = rules
        self._names = names
        self._mapping = mapping
        self._drafts = {draft.identity["id"]: draft for draft in drafts}
        self._by_document = {id(draft.document): draft for draft in drafts}
        self._done: dict[str, Correlation | Exception] = {}
        self._depth: dict[str, int] = {}

    def resolve(self, document: Document) -> Correlation:
        """The correlation of a document; raises RuleError with what it lacks."""
        return self._resolve(self._by_document[id(document)], ())

    def muted(self, documents: Sequence[Document]) -> frozenset[str]:
        """Ids that only feed correlations, rejected ones included: a broken correlation lets no flood through."""
        says: dict[str, bool] = {}
        for document in documents:
            stated = document.content["correlation"]
            if isinstance(stated, dict):
                rules = stated.get("rules")
                for reference in rules if isinstance(rules, list) else [rules]:
                    found = identifier(str(reference), self._names)
                    says[found] = says.get(found, False) or stated.get("generate") is True
        return frozenset(found for found, generate in says.items() if not generate)

    def _resolve(self, draft: Draft, path: tuple[str, ...]) -> Correlation:
        own = draft.identity["id"]
        done = self._done.get(own)
        if done is None:
            if own in path:
                raise RuleError("it reads itself through the correlations it names")
            try:
                done = self._build(draft, (*path, own))
            except Exception as error:  # pySigma's data may be malformed in any way; it costs this rule alone
                done = error
            self._done[own] = done
        if isinstance(done, Exception):
            raise done
        return done

    def _build(self, draft: Draft, path: tuple[str, ...]) -> Correlation:
        sigma = draft.sigma
        references = _references(sigma)
        read = [self._read(reference, path) for reference in references]
        if not read:
            raise RuleError("it names no rules")
        depth = 1 + max(self._depth.get(item.id, 0) for item in read)
        if depth > DEEPEST:
            raise RuleError(f"not supported: a chain of more than {DEEPEST} correlations")
        self._depth[draft.identity["id"]] = depth
        ids = tuple(item.id for item in read)
        threshold, operator, counted = _threshold(sigma, ids)
        group_by = tuple(dict.fromkeys(sigma.group_by or ()))
        names = tuple(dict.fromkeys(group_by + counted))
        return Correlation(
            **draft.identity,
            type=sigma.type.name.lower(),
            rules=ids,
            group_by=group_by,
            timespan=sigma.timespan.seconds * SECOND,
            threshold=threshold,
            operator=operator,
            counted=counted,
            generate=sigma.generate,
            sources={item.id: {name: self._source(sigma, name, item) for name in names} for item in read},
            version=digest([draft.document.content["correlation"], [item.version for item in read]]),
        )

    def _read(self, reference: str, path: tuple[str, ...]) -> Rule | Correlation:
        found = identifier(str(reference), self._names)
        rule = self._rules.get(found)
        if rule is not None:
            return rule
        draft = self._drafts.get(found)
        if draft is None:
            raise RuleError(f"it reads the rule {reference!r}, which is not loaded")
        try:
            return self._resolve(draft, path)
        except Exception as error:
            raise RuleError(
                f"it reads the correlation {reference!r}, which is not loaded: {reason_of(error)}"
            ) from None

    def _source(self, sigma: SigmaCorrelationRule, name: str, item: Rule | Correlation) -> str:
        """What `name` is called in the events of `item`, or among the names of an inner correlation."""
        alias = sigma.aliases.aliases.get(name)
        field = name
        if alias is not None:
            mapped = {identifier(ref.reference, self._names): field for ref, field in alias.mapping.items()}
            if item.id not in mapped:
                raise RuleError(f"its alias {name!r} does not say which field of {item.title!r} it stands for")
            field = mapped[item.id]
        if isinstance(item, Rule):
            return self._mapping.field(field, item.logsource)
        if field not in item.group_by:
            raise RuleError(
                f"not supported: it uses {field!r} of the correlation {item.title!r}, which does not group by it"
            )
        return field
