"""Rules in shadow in a whole installation: real roles, from events sent to what people see, and who is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from installation import Installation

from almena.clock import format_time, now
from almena.store import ALL, OUTBOX, Query, open_store

DEAR = "aaaaaaaa-0000-4000-8000-000000000001"
LISTED = "aaaaaaaa-0000-4000-8000-000000000002"
MANY = "aaaaaaaa-0000-4000-8000-000000000003"
PLAIN = "aaaaaaaa-0000-4000-8000-000000000004"

RULES = f"""\
title: Compares long texts
id: {DEAR}
logsource: {{product: app, service: identity}}
detection: {{s: {{message|fieldref|contains: event.reason}}, condition: s}}
level: high
---
title: Listed
id: {LISTED}
name: listed
logsource: {{product: app, service: identity}}
detection: {{s: {{event.action: role_granted}}, condition: s}}
level: high
---
title: Many listed
id: {MANY}
correlation:
  {{type: event_count, rules: [listed], group-by: [user.name], timespan: 1h, condition: {{gte: 2}}, generate: true}}
level: critical
---
title: Plain
id: {PLAIN}
logsource: {{product: app, service: identity}}
detection: {{s: {{event.action: role_revoked}}, condition: s}}
level: high
"""

SETTINGS = """
[detect]
shadow = ["listed"]
budget_time = "1us"
budget_share = 0
budget_window = "1s"
[notify.oficina]
type = "log"
min_level = "medium"
"""


def event(action: str, **fields: str) -> dict[str, Any]:
    return {
        "@timestamp": format_time(now()),
        "event.dataset": "app.identity",
        "event.action": action,
        "event.outcome": "success",
        "service.name": "identidad",
        "user.name": "ana",
        **fields,
    }


def by_rule(place: Installation) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for alert in place.alerts():
        found.setdefault(alert["rule.id"], []).append(alert["almena.alert.status"])
    return found


@pytest.mark.timeout(240)
def test_a_listed_rule_and_one_that_costs_too_much_are_seen_and_page_nobody(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i", roles=("collect", "detect", "correlate", "desk", "console"))
    (place.folder / "rules").mkdir()
    (place.folder / "rules" / "a.yml").write_text(RULES)
    text = place.file.read_text("utf-8")
    place.file.write_text(f'rules = ["rules"]\n{text}{SETTINGS}')
    with place.running():
        place.post([event("role_granted"), event("role_granted"), event("role_revoked")], "one")
        place.settle(3)
        found = by_rule(place)
        assert found == {LISTED: ["shadow", "shadow"], MANY: ["shadow"], PLAIN: ["open"]}

        sent = 3
        long = "x" * 400

        def moved() -> bool:
            nonlocal sent
            events = [
                event("logout", message=f"{long}{sent}{number}", **{"event.reason": f"{long}{number}z"})
                for number in range(300)
            ]
            place.post(events, f"dear-{sent}")
            sent += 300
            return "almena.rules.budget" in by_rule(place)

        place.wait_for(moved, "the rule to move to shadow", 90)
        place.settle(sent)
        status = place.status()
        why = {entry["rule"]: entry["why"] for entry in status["rules"]["shadow"]}
        assert why == {LISTED: "listed", MANY: "rests", DEAR: "budget"}
        assert any("Compares long texts" in problem and "--lift" in problem for problem in status["problems"])
        assert status["alerts"] == 2, "the plain one, and that a rule moved"

        metrics = httpx.get(f"http://127.0.0.1:{place.console}/metrics").text
        assert f'almena_rule_shadow{{rule_id="{DEAR}"}} 1.0' in metrics
        assert f'almena_rule_matches_total{{level="high",rule_id="{DEAR}"}} 0.0' in metrics
        assert 'almena_rules_shadow{why="budget"} 1.0' in metrics
        assert "almena_rules_info{hash=" in metrics
        told = place_told(place)
        assert set(told) == {"almena.rules.budget", PLAIN}

        lift = [sys.executable, "-m", "almena", "rules", "shadow", "--config", str(place.file), "--lift", DEAR]
        assert subprocess.run(lift, capture_output=True, check=False).returncode == 0
        place.wait_for(
            lambda: DEAR not in {entry["rule"] for entry in place.status()["rules"]["shadow"]},
            "the rule to come back",
        )


def place_told(place: Installation) -> list[str]:
    """The rules of the alerts that somebody was told of."""
    store = open_store(place.config.store)
    try:
        named = [item.document["almena.alert.id"] for item in store.search(Query(kind=OUTBOX, scope=ALL)).items]
    finally:
        store.close()
    return [alert["rule.id"] for alert in place.alerts() if alert["almena.alert.id"] in named]
