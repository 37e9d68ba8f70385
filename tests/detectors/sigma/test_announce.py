"""The alert about a rule that keeps quiet from now on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.alert import SEVERITY
from almena.ecs import check
from almena.words import safe
from detectors.sigma.announce import RULE, over_budget
from detectors.sigma.budget import Excess
from detectors.sigma.rules import Stated
from detectors.sigma.shadow import Over

OVER = Over("v1", "2026-11-22T10:00:00.000000Z", Excess(50.0, 0.5))


def rule(**parts: object) -> Stated:
    return Stated(**{"id": "r-1", "title": "Dear", "version": "v1", "level": "high"} | parts)  # type: ignore[arg-type]


def test_it_says_what_happened_in_both_languages() -> None:
    alert = over_budget(rule(document={"es": {"titulo": "Cara"}}), OVER, share=0.25, each=20)
    assert check(alert) == alert
    assert alert["rule.id"] == RULE
    assert alert["@timestamp"] == OVER.since
    assert "organization.id" not in alert, "rules belong to no agency"
    spanish, english = (alert["almena.alert.words"][language] for language in ("es", "en"))
    assert spanish.keys() == english.keys()
    assert "«Cara» tardó en promedio 50 µs por evento, 50% del tiempo" in spanish["what_happened"]
    assert "“Dear” took 50 µs per event on average, 50% of the time" in english["what_happened"]
    assert "`almena rules shadow --lift r-1`" in spanish["what_to_do"]
    assert alert["almena.alert.explanation"]["root"]["contributions"] == [
        {"feature": "time_per_event", "observed": "50 µs", "expected": "≤ 20us"},
        {"feature": "share_of_time", "observed": "50%", "expected": "≤ 25%"},
    ]


@pytest.mark.parametrize("level", SEVERITY)
def test_it_weighs_what_the_rule_weighs_and_is_never_overlooked(level: str) -> None:
    found = over_budget(rule(level=level), OVER, share=0.25, each=20)["almena.alert.level"]
    assert found == (level if level in ("high", "critical") else "medium")


def test_each_decision_is_one_alert_and_the_same_decision_the_same() -> None:
    def identity(over: Over = OVER, **parts: object) -> str:
        return str(over_budget(rule(**parts), over, share=0.25, each=20)["almena.alert.id"])

    later = Over("v1", "2026-11-22T11:00:00.000000Z", Excess(50.0, 0.5))
    assert identity() == identity(title="Reworded")
    assert len({identity(), identity(id="r-2"), identity(version="v2"), identity(later)}) == 4


@given(st.text(), st.text(), st.one_of(st.none(), st.text(), st.dictionaries(st.text(), st.text()), st.integers()))
def test_no_rule_however_named_breaks_it(identity: str, title: str, block: object) -> None:
    alert = over_budget(rule(id=identity, title=title, document={"es": block}), OVER, share=0.25, each=20)
    assert check(alert) == alert
    for texts in alert["almena.alert.words"].values():
        assert all(safe(text, 10_000) == text for text in texts.values())
