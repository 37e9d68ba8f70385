"""Loads Sigma rules: files in, rules and correlations out, and a reason for each that is not in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

from almena.errors import RuleError
from detectors.sigma.documents import NAMESPACE, Broken, Document, documents
from detectors.sigma.inputs import ZONE, File, Inputs, Mode, gather
from detectors.sigma.logsource import known
from detectors.sigma.parsing import filtered, logsource_of, parse_filter, parse_rule, reason_of
from detectors.sigma.pipelines import Mapping
from detectors.sigma.relations import Draft, Relations, identifier, parse_correlation
from detectors.sigma.rules import LEVEL, LogSource, Rejection, Rule, RuleSet, digest

T = TypeVar("T")


def load_rules(
    paths: Sequence[Path], mode: Mode = "ecs", pipelines: Path | None = None, *, zone: str = ZONE
) -> RuleSet:
    """Every rule under `paths` (folders, files, tar archives), from its YAML; `cache.load_rules` remembers it.

    `ecs`: Sigma's field names become ECS by the pipelines of `pipelines`, or of `pipelines/` below a path, or those
    shipped; `native`: rules read fields by the names they use. Raises UsageError for a path that is missing and
    RuleError for a broken pipeline; a broken rule is only rejected.
    """
    return parse(gather(paths, mode, pipelines, zone=zone))


def parse(inputs: Inputs) -> RuleSet:
    """The rule set that `inputs` make; raises UsageError and RuleError as `load_rules` does."""
    loading = _Loading(Mapping(inputs.pipelines), inputs.zone)
    for file in inputs.rules:
        if file.reason:
            loading.refuse(file)
        else:
            loading.take(file.texts())
    return replace(loading.finish(inputs.mode), reading=inputs.reading)


def load_texts(texts: Sequence[tuple[str, str]], mode: Mode = "native", *, zone: str = ZONE) -> RuleSet:
    """Rules from (file name, YAML) pairs: for tests and for what a person is writing at this moment."""
    inputs = gather([], mode, zone=zone)
    files = tuple(File(name, text.encode("utf-8", "surrogatepass")) for name, text in texts)
    return parse(replace(inputs, rules=files))


@dataclass
class _Loading:
    """One loading: documents by kind, what they became, and what was refused."""

    mapping: Mapping
    zone: str
    rules: list[Document] = field(default_factory=list)
    correlations: list[Document] = field(default_factory=list)
    filters: list[Document] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    warnings: list[Rejection] = field(default_factory=list)
    filtering: list[Document] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def refuse(self, file: File) -> None:
        """Reject a file that could not be read."""
        self.rejected.append(Rejection(file.name, file.name, file.reason))

    def take(self, files: Iterator[tuple[str, str]]) -> None:
        """Sort the documents of `files` by kind."""
        for file, text in files:
            for document in documents(file, text):
                if isinstance(document, Broken):
                    self.rejected.append(Rejection(document.label, document.file, document.reason))
                elif "correlation" in document.content:
                    self.correlations.append(document)
                elif "filter" in document.content:
                    self.filters.append(document)
                else:
                    self.rules.append(document)

    def finish(self, mode: str) -> RuleSet:
        """Parse everything, rules before what reads them."""
        rules = {rule.id: rule for rule in self._parsed(self.rules, self._rule)}
        for changed in self._parsed(self.filters, partial(self._filter, rules)):
            rules.update(changed)
        drafts = list(self._parsed(self.correlations, self._draft))
        relations = Relations(rules, self.names, self.mapping, drafts)
        correlations = list(self._parsed([draft.document for draft in drafts], relations.resolve))
        return RuleSet(
            rules=tuple(rules.values()),
            correlations=tuple(correlations),
            rejected=tuple(self.rejected),
            warnings=tuple(self.warnings),
            mode=mode,
            field=self.mapping.field,
            muted=relations.muted(self.correlations),
            filters=tuple((document.label, document.file) for document in self.filtering),
        )

    def _parsed(self, found: list[Document], parse: Callable[[Document], T]) -> Iterator[T]:
        for document in found:
            try:
                yield parse(document)
            except Exception as error:  # pySigma raises what it likes; a broken rule costs itself alone
                self._reject(document, reason_of(error))

    def _reject(self, document: Document, reason: str) -> None:
        self.rejected.append(Rejection(document.label, document.file, reason))

    def _warn(self, document: Document, reason: str) -> None:
        self.warnings.append(Rejection(document.label, document.file, reason))

    def _identity(self, document: Document) -> dict[str, Any]:
        """What every kind of rule states; refuses an id or a name that is taken."""
        content = document.content
        title, name = content.get("title"), content.get("name") or ""
        if not isinstance(title, str) or not isinstance(name, str):
            raise RuleError("a rule needs a title, a text; its name is a text too")
        identity = str(UUID(content["id"]) if content.get("id") else uuid5(NAMESPACE, name or title))
        if identity in self.ids:
            raise RuleError(f"its id {identity} is taken by {self.ids[identity]}")
        if name and name in self.names:
            raise RuleError(f"its name {name!r} is taken by {self.ids[self.names[name]]}")
        level = str(content.get("level") or LEVEL).lower()
        return {
            "id": identity,
            "title": title,
            "name": name,
            "level": level,
            "file": document.file,
            "document": content,
        }

    def _taken(self, identity: dict[str, Any]) -> None:
        self.ids[identity["id"]] = f"{identity['title']!r} in {identity['file']}"
        if identity["name"]:
            self.names[identity["name"]] = identity["id"]

    def _rule(self, document: Document) -> Rule:
        logsource = logsource_of(document.content)
        expression, condition = parse_rule(document.content, self.mapping, self.zone)
        identity = self._identity(document)
        self._taken(identity)
        if not known(logsource):
            self._warn(document, f"no event reaches its log source {logsource}")
        version = digest([document.content["detection"], document.content["logsource"]])
        return Rule(**identity, logsource=logsource, expression=expression, condition=condition, version=version)

    def _draft(self, document: Document) -> Draft:
        parsed = parse_correlation(document.content)
        identity = self._identity(document)
        self._taken(identity)
        return Draft(document, parsed, identity)

    def _filter(self, rules: dict[str, Rule], document: Document) -> dict[str, Rule]:
        """The rules that a filter changes, changed."""
        content = document.content
        parsed = parse_filter(content)
        own = logsource_of(content)
        chosen = self._chosen(parsed.filter.rules, own, rules)
        if not chosen:
            self._warn(document, f"no loaded rule has the filter's log source {own}")
        changed = {}
        for rule in chosen:
            expression, condition = filtered(
                rule.expression, rule.condition, content, rule.logsource, self.mapping, self.zone
            )
            version = digest([rule.version, content["filter"]])
            changed[rule.id] = replace(rule, expression=expression, condition=condition, version=version)
        self.filtering.append(document)
        return changed

    def _chosen(self, wanted: Any, own: LogSource, rules: dict[str, Rule]) -> list[Rule]:
        if isinstance(wanted, str):
            return [rule for rule in rules.values() if _within(rule.logsource, own)]
        chosen = []
        for reference in wanted:
            rule = rules.get(identifier(reference.reference, self.names))
            if rule is None:
                raise RuleError(f"the filter names the rule {reference.reference!r}, which is not loaded")
            if not _within(rule.logsource, own):
                raise RuleError(
                    f"the filter is for {own}, and the rule {reference.reference!r} it names is for {rule.logsource}"
                )
            chosen.append(rule)
        return chosen


def _within(inner: LogSource, outer: LogSource) -> bool:
    return all(
        wanted is None or wanted == stated
        for wanted, stated in (
            (outer.product, inner.product),
            (outer.category, inner.category),
            (outer.service, inner.service),
        )
    )
