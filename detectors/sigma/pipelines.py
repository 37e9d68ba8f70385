"""pySigma processing pipelines from YAML: Sigma's field names to those that events have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaLogSource, SigmaRule
from sigma.types import SigmaString

from almena.errors import RuleError
from almena.yamlfile import load_all
from detectors.sigma.inputs import File
from detectors.sigma.regex import POLICY
from detectors.sigma.rules import LogSource


class Mapping:
    """Several pipelines as one; none of them changes nothing."""

    def __init__(self, files: Sequence[File] = ()) -> None:
        """One pipeline in each of `files`; raises RuleError naming the file that is wrong."""
        self._pipeline = ProcessingPipeline([])
        pipelines = [_load(file) for file in files]
        for pipeline in sorted(pipelines, key=lambda item: (item.priority, item.name or "")):
            self._pipeline = self._pipeline + pipeline
        self.field = lru_cache(maxsize=65_536)(self._field)

    def apply(self, rule: SigmaRule) -> SigmaRule:
        """The rule with its fields renamed, in place; raises SigmaError."""
        if self._pipeline.items:
            self._pipeline.apply(rule)
        return rule

    def _field(self, name: str, logsource: LogSource) -> str:
        """What events call a field of a rule of `logsource`; of several names the last, which is our own parsers'."""
        if not self._pipeline.items:
            return name
        item = SigmaDetectionItem(name, [], [SigmaString("x")])
        rule = SigmaRule(
            title="",
            logsource=SigmaLogSource(logsource.category, logsource.product, logsource.service),
            detection=SigmaDetections({"x": SigmaDetection([item])}, ["x"]),
        )
        self._pipeline.apply(rule)
        mapped = rule.detection.detections["x"].detection_items[0]
        while isinstance(mapped, SigmaDetection):
            mapped = mapped.detection_items[-1]
        if mapped.field is None:
            raise RuleError(f"{name} is mapped to no field and cannot be grouped by")
        return mapped.field


def _load(file: File) -> ProcessingPipeline:
    if file.reason:
        raise RuleError(f"{file.name}: {file.reason}")
    documents: Sequence[object] = [document for _, text in file.texts() for document in load_all(text)]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise RuleError(f"{file.name}: a pipeline is one YAML mapping")
    try:
        return ProcessingPipeline.from_dict(documents[0], policy=POLICY)
    except (SigmaError, TypeError, KeyError, ValueError) as error:
        raise RuleError(f"{file.name}: {error}") from None
