"""`almena state show`: what a correlation or a model remembers, and why it has not fired yet."""

from __future__ import annotations

import dataclasses
import http.client
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from almena import metrics
from almena.app import detectors_of, opened, operators_of, ruleset
from almena.app.explaining import choose
from almena.app.limits import NAME, Limits
from almena.app.remembered import remembered
from almena.app.standing import Measured, Teller
from almena.clock import now
from almena.config import Config
from almena.errors import UsageError
from almena.words import safe

if TYPE_CHECKING:
    from detectors.sigma.rules import Correlation, RuleSet

_PATIENCE = 3.0


def show(config: Config, wanted: str, key: str = "", *, limit: int = 20, language: str = "", json: bool = False) -> int:
    """Print what the correlation or model `wanted` remembers, of the group `key` if there is one; 1 when nothing.

    Raises UsageError for a rule that is not there, and says which come near or why it was rejected.
    """
    language = language or config.language
    if language not in ("es", "en"):
        raise UsageError(f"no language {language!r}; there are es, en")
    rules, models = ruleset(config), detectors_of(config)
    operator, item = find(wanted, rules, models)
    with opened(config) as (bus, _):
        found = remembered(bus, operator, key=key)
        others = remembered(bus, operator) if key and not found.groups else found
    shadow = item is not None and item.id in _shadows(config, rules)
    if json:
        plain = {"rule": operator.name, "shadow": shadow, **dataclasses.asdict(found)}
        for group, shown in zip(found.groups, plain["groups"], strict=True):
            shown["past"] = group.past
        plain["groups"] = plain["groups"][:limit]
        sys.stdout.buffer.write(msgspec.json.encode(plain) + b"\n")
    else:
        known = None if found.groups or item is None else measured(config, item.id)
        about = operator.about() if item is not None else None
        teller = Teller(language, config.console.time_zone(), now(), rules, item, about, known)
        print("\n".join(teller.lines(operator.name, found, others, key, limit, shadow=shadow)))
    return 0 if found.groups or any(table.named if key else table.entries for table in found.tables) else 1


def find(wanted: str, rules: RuleSet, models: Sequence[Any]) -> tuple[Any, Correlation | None]:
    """The operator that `wanted` names, and its correlation unless it is a model; raises UsageError."""
    from detectors.sigma.rules import Correlation

    operators = operators_of(models, rules)
    names = {model.name for model in models}
    named = wanted.strip().lower().removeprefix("almena.")
    if named in names:
        return operators[named], None
    try:
        item = choose(rules, wanted)
    except UsageError as error:
        raise UsageError(f"{error}; models: {', '.join(sorted(names))}") from None
    if not isinstance(item, Correlation):
        raise UsageError(
            f"{safe(item.title)} ({item.id}) looks at one event at a time and remembers nothing; `almena rules "
            f"explain {item.id} EVENT` says why it matches or not{_readers(item.id, rules)}"
        )
    if item.id not in operators:
        raise UsageError(f"{safe(item.title)} ({item.id}) runs only inside another{_readers(item.id, rules)}")
    return operators[item.id], item


def _readers(rule: str, rules: RuleSet) -> str:
    found = [f"{safe(item.title)!r}" for item in rules.correlations if rule in item.rules]
    return f"; it is read by {', '.join(found[:5])}" if found else ""


def _shadows(config: Config, rules: RuleSet) -> Mapping[str, Any]:
    from detectors.sigma.shadow import shadows

    return shadows(rules, config.detect.shadow, Limits(Path(config.data) / NAME).read())


def measured(config: Config, correlation: str) -> Measured | None:
    """What was counted since Almena started, as its console on this machine says; None where it does not answer."""
    host, port = config.console.address()
    here = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104 (asked, not bound)
    connection = http.client.HTTPConnection(here, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read() if answer.status == http.client.OK else b""
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return measured_in(text, correlation) if text else None


def measured_in(text: bytes, correlation: str) -> Measured:
    """The same from the text of the metrics."""
    matches: dict[str, float] = {}
    skipped: dict[str, float] = {}
    for name, labels, value in metrics.read(text, "almena_rule_matches_total", "almena_correlation_skipped_total"):
        if name == "almena_rule_matches_total":
            matches[labels["rule_id"]] = matches.get(labels["rule_id"], 0) + value
        elif labels.get("rule_id") == correlation:
            skipped[labels["reason"]] = value
    return Measured(matches, skipped)
