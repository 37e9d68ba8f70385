"""The command that shows which rules run in shadow, and takes one back that was over its budget."""

from __future__ import annotations

import sys
from pathlib import Path

from almena.app import ruleset
from almena.app.limits import NAME, Limits
from almena.config import Config
from almena.errors import UsageError
from almena.words import safe
from detectors.sigma.rules import RuleSet
from detectors.sigma.shadow import Shadow, shadows, unknown

_SAID = {
    "es": {
        "listed": "según la configuración",
        "rule": "según la propia regla",
        "budget": "costó {0} desde {1}; ve uno de cada 16 eventos",
        "rests": "se apoya en {0}",
        "none": "ninguna regla está en sombra",
        "unknown": "[detect] shadow nombra a {0}, y ninguna regla se llama así",
        "lifted": "{0} vuelve a avisar en cuanto detect lo note, a más tardar en un segundo",
        "still": "{0} sigue en sombra: {1}",
    },
    "en": {
        "listed": "as the configuration says",
        "rule": "as the rule itself says",
        "budget": "it cost {0} since {1}; it sees one event in 16",
        "rests": "it rests on {0}",
        "none": "no rule is in shadow",
        "unknown": "[detect] shadow names {0}, and no rule has that id or name",
        "lifted": "{0} alerts again as soon as detect notices, within a second",
        "still": "{0} stays in shadow: {1}",
    },
}


def rules_shadow(config: Config, lift: str | None) -> int:
    """Print the rules in shadow, or take back the one with this id or name; raises UsageError."""
    limits = Limits(Path(config.data) / NAME)
    rules = ruleset(config)
    if lift is not None:
        _lift(rules, limits, lift, config)
        return 0
    found = shadows(rules, config.detect.shadow, limits.read())
    say = _SAID[config.language]
    for rule, shadow in found.items():
        print(f"{safe(rule)}\t{safe(rules.by_id[rule].title)}\t{_why(shadow, rules, config.language)}")
    if not found:
        print(say["none"])
    for name in unknown(rules, config.detect.shadow):
        print(say["unknown"].format(safe(name)), file=sys.stderr)
    return 0


def _lift(rules: RuleSet, limits: Limits, wanted: str, config: Config) -> None:
    named = next((item.id for item in rules.everything if wanted in (item.id, item.name) and wanted), wanted)
    try:
        done = limits.lift(named)
    except OSError as error:
        raise UsageError(f"{config.data}/{NAME}: cannot be written: {error.strerror or error}") from None
    if not done:
        over = ", ".join(sorted(limits.read())) or "none is"
        raise UsageError(f"{wanted}: is not over its budget; of rules that are: {over}")
    say, left = _SAID[config.language], shadows(rules, config.detect.shadow, limits.read()).get(named)
    print(say["lifted"].format(safe(named)))
    if left is not None:
        print(say["still"].format(safe(named), _why(left, rules, config.language)))


def _why(shadow: Shadow, rules: RuleSet, language: str) -> str:
    detail = rules.by_id[shadow.detail].title if shadow.why == "rests" else shadow.detail
    return _SAID[language][shadow.why].format(safe(detail), shadow.since)
