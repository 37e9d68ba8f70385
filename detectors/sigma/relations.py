"""Which rules a correlation reads, by id or by name, and which of their fields its names stand for."""

from __future__ import annotations

from collections.abc import Mapping as Names
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sigma.correlations import SigmaCorrelationRule

from almena.clock import SECOND, Span
from almena.errors import ConfigError, RuleError
from detectors.sigma.condition import Condition, parse_condition
from detectors.sigma.documents import Document
from detectors.sigma.parsing import reason_of
from detectors.sigma.pattern import Expression, Way, some_of
from detectors.sigma.pipelines import Mapping
from detectors.sigma.regex import POLICY
from detectors.sigma.rules import NUMERIC, Correlation, Rule, digest

TEMPORAL = ("temporal", "temporal_ordered")
"""The types over different rules."""

TYPES = ("event_count", "value_count", *TEMPORAL, *sorted(NUMERIC))
"""The correlation types."""

LARGEST_THRESHOLD = 1_000_000_000
"""Largest count a correlation may wait for."""

LONGEST_TIMESPAN = 400 * 86_400
"""Longest window in seconds."""

DEEPEST = 100
"""Correlations that may feed one another in a chain."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a correlation states."""

    sigma: SigmaCorrelationRule
    condition: Condition | None
    """Its bounds, where it has any."""
    expression: Expression | None
    """Its boolean condition, where it has one."""
    lateness: int
    """The lateness in microseconds of the feeds it waits for; 0 where it does not say."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A correlation as written, before what it names is looked up."""

    document: Document
    parsed: Parsed
    identity: dict[str, Any]


def identifier(reference: str, names: Names[str, str]) -> str:
    """The id a reference means: an id as it is, a name looked up, or itself when nobody has that name."""
    try:
        return str(UUID(reference))
    except ValueError:
        return names.get(reference, reference)


def parse_correlation(content: dict[str, Any]) -> Parsed:
    """The correlation as pySigma reads it, with what pySigma does not; raises RuleError for what does not run."""
    stated = content.get("correlation")
    if not isinstance(stated, dict):
        raise RuleError("'correlation' is a mapping with type, rules, timespan and condition")
    kind, written = stated.get("type"), stated.get("condition")
    condition, expression, plain = None, None, dict(stated)
    if isinstance(written, dict):
        condition = parse_condition(written)
        # pySigma knows one bound alone; the others are read above.
        first = condition.bounds[0]
        plain["condition"] = {key: value for key, value in written.items() if key in ("field", "percentile")}
        plain["condition"][first[0]] = first[1]
    elif isinstance(written, str) and kind in TEMPORAL:
        expression = Expression(written)
        del plain["condition"]
        plain.setdefault("rules", expression.references())
    parsed = SigmaCorrelationRule.from_dict(content | {"correlation": plain}, policy=POLICY)
    if parsed.timespan.seconds > LONGEST_TIMESPAN:
        raise RuleError(f"a timespan longer than {LONGEST_TIMESPAN // 86_400} days")
    return Parsed(parsed, condition, expression, _lateness(content))


def _lateness(content: dict[str, Any]) -> int:
    block = content.get("almena")
    stated = block.get("lateness") if isinstance(block, dict) else None
    if stated is None:
        return 0
    try:
        return int(Span.parse(stated))
    except ConfigError as error:
        raise RuleError(f"almena: lateness: {error}") from None


def _references(sigma: SigmaCorrelationRule) -> list[str]:
    return [reference.reference for reference in sigma.rules or ()]


def _percentile(kind: str, sigma: SigmaCorrelationRule) -> int:
    stated = getattr(sigma.condition, "percentile", None)
    if kind != "value_percentile":
        return 50
    if stated is None or not 1 <= stated <= 99:
        raise RuleError("a value_percentile needs 'percentile' in its condition, a whole number between 1 and 99")
    return int(stated)


def _counted(kind: str, sigma: SigmaCorrelationRule) -> tuple[str, ...]:
    """The fields whose values are counted."""
    if not kind.startswith("value_"):
        return ()
    stated = getattr(sigma.condition, "fieldref", None)
    fields = (stated,) if isinstance(stated, str) else tuple(stated or ())
    if not all(isinstance(name, str) and name for name in fields) or not fields:
        raise RuleError(f"a {kind} needs 'field' in its condition: a field's name, or for value_count a list of them")
    if kind in NUMERIC and len(fields) > 1:
        raise RuleError(f"a {kind} takes one field, not {len(fields)}")
    return tuple(dict.fromkeys(fields))


def _judge(kind: str, condition: Condition | None, rules: Sequence[str]) -> Condition | None:
    """The condition, or for temporal types without one that all rules occur; raises RuleError for what never holds."""
    if condition is None:
        return Condition((("gte", len(rules) if kind == "temporal_ordered" else len(set(rules))),))
    if kind in NUMERIC:
        return condition
    smallest = condition.smallest
    if condition.sliding and condition.counts(0):
        raise RuleError(f"its condition {condition.text()} holds without any event")
    if not smallest:
        raise RuleError(f"no number of events fulfils its condition {condition.text()}")
    most = {"temporal": len(set(rules)), "temporal_ordered": len(rules)}.get(kind, LARGEST_THRESHOLD)
    if smallest > most:
        what = f"it reads {most}" if kind in TEMPORAL else f"{most} is the largest"
        raise RuleError(f"its condition {condition.text()} waits for {smallest}, and {what}")
    return condition


def _named(stated: Names[str, Any]) -> list[object]:
    """The rules that a correlation names, as far as that can be read."""
    rules = stated.get("rules")
    if rules is not None:
        return rules if isinstance(rules, list) else [rules]
    try:
        return list(Expression(str(stated.get("condition"))).references())
    except RuleError:
        return []


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

    def resolve(self, document: Document) -> Correlation:
        """The correlation of a document; raises RuleError with what it lacks."""
        return self._resolve(self._by_document[id(document)], ())

    def muted(self, documents: Sequence[Document]) -> frozenset[str]:
        """Ids that only feed correlations, rejected ones included: a broken correlation lets no flood through."""
        says: dict[str, bool] = {}
        for document in documents:
            stated = document.content["correlation"]
            if isinstance(stated, dict):
                for reference in _named(stated):
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
        sigma, kind = draft.parsed.sigma, draft.parsed.sigma.type.name.lower()
        read = [self._read(reference, path) for reference in _references(sigma)]
        if not read:
            raise RuleError("it names no rules")
        depth = max(item.depth + 1 if isinstance(item, Correlation) else 0 for item in read)
        if depth >= DEEPEST:
            raise RuleError(f"not supported: a chain of more than {DEEPEST} correlations")
        ids = tuple(item.id for item in read)
        group_by, counted = tuple(dict.fromkeys(sigma.group_by or ())), _counted(kind, sigma)
        names = tuple(dict.fromkeys(group_by + counted))
        sources = {item.id: self._sources(sigma, names, item) for item in read}
        condition, ways = self._asked(kind, draft.parsed, ids)
        return Correlation(
            **draft.identity,
            type=kind,
            rules=ids,
            group_by=group_by,
            timespan=sigma.timespan.seconds * SECOND,
            condition=condition,
            expression=str(draft.document.content["correlation"]["condition"]) if condition is None else "",
            named={} if draft.parsed.expression is None else self._expressed(draft.parsed.expression),
            ways=ways,
            counted=counted,
            percentile=_percentile(kind, sigma),
            generate=sigma.generate,
            sources=sources,
            depth=depth,
            lateness=max([draft.parsed.lateness, *(item.lateness for item in read if isinstance(item, Correlation))]),
            version=digest([draft.document.content["correlation"], [item.version for item in read], sources]),
        )

    def _asked(self, kind: str, parsed: Parsed, ids: tuple[str, ...]) -> tuple[Condition | None, tuple[Way, ...]]:
        """What numbers are held against, or the ways in which rules come together."""
        if parsed.expression is None:
            condition = _judge(kind, parsed.condition, ids)
            if kind != "temporal_ordered" or condition is None or not condition.sliding:
                return condition, ()
            return condition, some_of(ids, condition.smallest)
        named = {rule: reference for reference, rule in self._expressed(parsed.expression).items()}
        for rule in ids:
            if rule not in named:
                raise RuleError(f"its condition does not mention {rule!r}, which it reads")
        for rule, reference in named.items():
            if rule not in ids:
                raise RuleError(f"its condition mentions {reference!r}, which is not among its rules")
        return None, parsed.expression.ways(ids, self._identify)

    def _expressed(self, expression: Expression) -> dict[str, str]:
        return {reference: self._identify(reference) for reference in expression.references()}

    def _identify(self, reference: str) -> str:
        return identifier(reference, self._names)

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

    def _sources(
        self, sigma: SigmaCorrelationRule, names: Sequence[str], item: Rule | Correlation
    ) -> dict[str, dict[str, str]]:
        """The field behind each name in the events of each rule that `item` is or rests on."""
        leaves = [item.id] if isinstance(item, Rule) else list(item.leaves)
        return {leaf: {name: self._source(sigma, name, item, leaf) for name in names} for leaf in leaves}

    def _source(self, sigma: SigmaCorrelationRule, name: str, item: Rule | Correlation, leaf: str) -> str:
        """What `name` is called in the events of `leaf`, which `item` is or rests on."""
        alias = sigma.aliases.aliases.get(name)
        field = name
        if alias is not None:
            mapped = {self._identify(ref.reference): field for ref, field in alias.mapping.items()}
            if item.id not in mapped:
                raise RuleError(f"its alias {name!r} does not say which field of {item.title!r} it stands for")
            field = str(mapped[item.id])
        if isinstance(item, Correlation) and field in item.names:
            return item.field(field, leaf)
        return self._mapping.field(field, self._rules[leaf].logsource)
