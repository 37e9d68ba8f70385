"""Web sessions: what alerts beside an ordinary service, what does not, and that no delivery changes it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from harness import replay, run, select

from almena.alert import Alert
from almena.clock import DAY, HOUR, MINUTE, SECOND, format_time
from almena.event import Event
from almena.hit import Hit
from almena.state import Partition
from detectors._training import GROUPS
from detectors._web_window import DISTINCT, client_of, group_of
from detectors.web_session import EPISODES, MOST, WORDS, WebSession

START = 1_790_035_200 * SECOND
"""The beginning of a day, UTC."""


def request(number: int, time: int, client: str, path: str, status: int = 200, /, **more: Any) -> Event:
    return {
        "@timestamp": format_time(time),
        "event.ingested": format_time(time + SECOND),
        "event.id": f"portal:1:{number:07d}",
        "event.dataset": "nginx.access",
        "event.category": ["web"],
        "organization.id": "finanzas",
        "almena.source.name": "portal",
        "source.ip": client,
        "http.request.method": "GET",
        "http.response.status_code": status,
        "http.response.body.bytes": 9_000,
        "url.path": path,
        "url.original": path,
        "user_agent.original": "Mozilla/5.0",
        **more,
    }


def visitors(rng: random.Random, minutes: Iterable[int], each: int = 20) -> list[Event]:
    """Ordinary citizens: a few pages a minute, now and then a page that is not there."""
    events: list[Event] = []
    for minute in minutes:
        for visitor in range(each):
            client = f"198.51.{rng.randrange(100)}.{visitor + 1}"
            for _ in range(1 + int(rng.lognormvariate(1.2, 0.8))):
                time = START + minute * MINUTE + rng.randrange(MINUTE)
                status = 404 if rng.random() < 0.04 else 200
                size = int(rng.lognormvariate(9, 1))
                path = f"/tramite/{rng.randrange(40)}"
                events.append(request(len(events), time, client, path, status, **{"http.response.body.bytes": size}))
    return events


def scan(minute: int, client: str = "203.0.113.9", count: int = 212, first: int = 500_000) -> list[Event]:
    """One that asks for many addresses, most of them not there."""
    step = MINUTE // count
    return [
        request(first + n, START + minute * MINUTE + n * step, client, f"/wp-{n}.php", 200 if n % 10 < 3 else 404)
        for n in range(count)
    ]


def quick() -> WebSession:
    return WebSession(minimum=100)


@pytest.fixture(scope="module")
def ordinary() -> list[Event]:
    return visitors(random.Random(7), range(14))


def test_a_scan_alerts_once_and_explains_itself(ordinary: list[Event]) -> None:
    (alert,) = run(quick, [*ordinary, *scan(13)]).values()
    assert alert["rule.id"] == "almena.web_session"
    assert alert["almena.alert.entity"] == "source.ip=203.0.113.9"
    assert alert["source.ip"] == "203.0.113.9"
    assert alert["organization.id"] == "finanzas"
    assert alert["almena.alert.count"] == 212
    assert alert["event.start"] == format_time(START + 13 * MINUTE)
    assert alert["almena.anomaly.p"] <= 1 / alert["almena.anomaly.history"]
    assert alert["almena.anomaly.history"] >= 100
    assert alert["almena.anomaly.peers"] == 0.0
    top = alert["almena.alert.explanation"]["root"]["contributions"]
    assert {"errors", "error_share"} <= {item["feature"] for item in top}
    assert len(top) == 3
    assert {"feature": "errors", "observed": 147, "expected": 0.0} in top
    said = alert["almena.alert.words"]
    assert "203.0.113.9 hizo 212 peticiones a portal en 1 min: 212 direcciones distintas" in said["es"]["what_happened"]
    assert "203.0.113.9 made 212 requests to portal" in said["en"]["what_happened"]
    assert set(said["es"]) == set(said["en"]) == set(WORDS["es"])
    assert not any("—" in text for words in said.values() for text in words.values())


def test_ordinary_days_are_all_but_silent() -> None:
    """Two stretches of two days, 2,250 windows of clients and then a scan: the scan, and at most one other."""
    rng = random.Random(3)
    alerts = run(WebSession, [*visitors(rng, [*range(90), *range(1440, 1500)], each=15), *scan(1501)])
    sources = [alert["source.ip"] for alert in alerts.values()]
    assert "203.0.113.9" in sources
    assert len(sources) <= 2


@pytest.mark.parametrize(
    ("events", "feature"),
    [
        pytest.param(
            [request(n, START + 13 * MINUTE + n, "203.0.113.9", "/login", 401) for n in range(400)],
            "errors",
            id="passwords tried",
        ),
        pytest.param(
            [request(n, START + 13 * MINUTE + n, "203.0.113.9", "/") for n in range(5000)], "requests", id="flood"
        ),
        pytest.param(
            [
                request(n, START + 13 * MINUTE + n, "203.0.113.9", "/x", **{"http.response.body.bytes": 10**10})
                for n in range(20)
            ],
            "bytes",
            id="a register copied: one extreme feature, to which a forest alone is blind",
        ),
        pytest.param(
            [
                request(n, START + 13 * MINUTE + n, "203.0.113.9", f"/{n % 7}", **{"user_agent.original": f"bot {n}"})
                for n in range(60)
            ],
            "agents",
            id="programs disguised",
        ),
    ],
)
def test_one_feature_suffices(ordinary: list[Event], events: list[Event], feature: str) -> None:
    (alert,) = run(quick, [*ordinary, *events]).values()
    assert feature in [item["feature"] for item in alert["almena.anomaly.contributions"]["top"]]


def test_nothing_alerts_before_the_minimum_or_below_the_fewest_requests(ordinary: list[Event]) -> None:
    assert run(lambda: WebSession(minimum=1000), [*ordinary, *scan(13)]) == {}
    assert run(quick, [*ordinary, *scan(13, count=19)]) == {}
    assert len(run(quick, [*ordinary, *scan(13, count=60)])) == 1


def test_a_baseline_with_attacks_in_it_still_sees_them() -> None:
    """One window in twenty of those learned from is a scan."""
    events = visitors(random.Random(7), range(12))
    for minute in range(12):
        events += scan(minute, client=f"203.0.113.{100 + minute}", first=600_000 + 1000 * minute)
    alerts = run(quick, [*events, *scan(13)])
    assert "203.0.113.9" in {alert["source.ip"] for alert in alerts.values()}


def test_a_client_that_goes_on_is_one_alert_and_one_that_returns_is_another(ordinary: list[Event]) -> None:
    events = [*ordinary]
    for place, minute in enumerate((13, 14, 16, 20, 60)):
        events += scan(minute, first=500_000 + 1000 * place)
    first, second = sorted(run(quick, events).values(), key=lambda alert: alert["@timestamp"])
    assert (first["almena.alert.count"], second["almena.alert.count"]) == (4 * 212, 212)
    assert first["event.end"] > format_time(START + 20 * MINUTE)
    assert len(replay(quick, select(quick(), events))) == 5, "one revision per unusual window"


def test_what_alerts_does_not_train(ordinary: list[Event]) -> None:
    """A scanner that stays for a day does not become the normal of the next."""
    events = [*ordinary]
    for minute in range(20, 200, 2):
        events += scan(minute, count=60, first=500_000 + 1000 * minute)
    events += visitors(random.Random(8), range(1440, 1450))
    events += scan(1460, first=900_000)
    alerts = run(quick, events)
    assert {alert["source.ip"] for alert in alerts.values()} == {"203.0.113.9"}
    assert max(alert["@timestamp"] for alert in alerts.values()) == format_time(START + 1460 * MINUTE)


def test_many_at_once_raise_the_strongest_and_say_how_many_more(ordinary: list[Event]) -> None:
    events = [*ordinary]
    for bot in range(60):
        events += scan(13, client=f"203.0.113.{bot}", count=40 + bot, first=500_000 + 1000 * bot)
    alerts = run(quick, events)
    assert len(alerts) == MOST
    for alert in alerts.values():
        assert {"feature": "other_unusual_clients", "observed": 59, "expected": 0} in alert[
            "almena.anomaly.contributions"
        ]["top"]
        assert alert["almena.anomaly.peers"] > 0.5


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"event.dataset": "apache.access", "event.category": None}, True),
        ({"event.dataset": "network.http", "event.category": None}, True),
        ({"event.dataset": "system.auth", "event.category": ["authentication"]}, False),
        ({"source.ip": None}, False),
        ({"source.ip": "127.0.0.1"}, False),
        ({"source.ip": "x"}, False),
        ({"source.ip": "2001:db8::7"}, True),
        ({"@timestamp": "??"}, False),
        ({"http.response.status_code": "404"}, True),
    ],
)
def test_which_events_are_requests(change: dict[str, Any], counts: bool) -> None:
    assert len(list(quick().select([{**request(1, START, "203.0.113.9", "/"), **change}]))) == int(counts)


def test_clients_and_groups() -> None:
    assert client_of({"source.ip": "2001:db8:1:2:3::9"}) == "2001:db8:1:2::/64"
    assert client_of({"source.ip": "203.0.113.9"}) == "203.0.113.9"
    assert group_of({"organization.id": "a", "service.name": "pagos", "almena.source.name": "x"}) == "a|pagos"
    assert group_of({"organization.id": "a\x1e|b"}) == "a\\\\u001e\\|b|"


def test_a_flood_of_clients_stays_within_bounds_and_hides_nobody(ordinary: list[Event]) -> None:
    def small() -> WebSession:
        return WebSession(minimum=100, clients=50, sample=128)

    flood = [
        request(600_000 + n, START + 13 * MINUTE + n * 1000, f"10.{n % 200}.{n // 200}.1", "/") for n in range(5000)
    ]
    partition = Partition()
    alerts = replay(small, select(small(), [*ordinary, *flood, *scan(13)]), partition=partition)
    assert {alert["source.ip"] for alert in alerts} == {"203.0.113.9"}
    (state,) = partition.states()
    assert state.evictions() >= 4000, "who was left out is counted"
    assert state.entries() <= 100 + 3 * GROUPS + EPISODES


def test_one_window_remembers_a_bounded_number_of_addresses(ordinary: list[Event]) -> None:
    (alert,) = run(quick, [*ordinary, *scan(13, count=2 * DISTINCT)]).values()
    assert f"{2 * DISTINCT} peticiones a portal en 1 min: {DISTINCT}+ direcciones distintas" in alert["event.reason"]
    partition = Partition()
    events = [request(n, START + n, "203.0.113.9", f"/{n}") for n in range(2 * DISTINCT)]
    replay(quick, select(quick(), events), until=START + 1000, partition=partition)
    (state,) = partition.states()
    sizes = [len(value or b"") for value in state.changes().values()]
    assert max(sizes, default=0) < 20_000


def test_services_beyond_the_bound_wait_for_an_idle_one() -> None:
    events = [request(n, START + n, "203.0.113.9", "/", **{"service.name": f"s{n}"}) for n in range(GROUPS + 5)]
    later = request(9_000, START + 8 * DAY, "203.0.113.9", "/", **{"service.name": "new"})
    partition = Partition()
    hits = select(quick(), [*events, later])
    replay(quick, hits, until=START + 8 * DAY, partition=partition)
    (state,) = partition.states()
    assert state.evictions() == 5
    groups = state.table("groups", limit=GROUPS)
    assert len(groups) == GROUPS
    assert "finanzas|new" in groups


def test_a_restart_scores_as_before(ordinary: list[Event]) -> None:
    """The model is no part of the state: it is fitted again from the saved rows, and agrees to the last digit."""
    hits = select(quick(), [*ordinary, *scan(13)])
    end = START + 12 * MINUTE + SECOND

    def upto(partition: Partition, last: bool) -> list[Alert]:
        chosen: list[Hit] = [hit for hit in hits if (hit.time > end) == last]
        return replay(quick, chosen, until=START + HOUR if last else end, partition=partition)

    whole = Partition()
    upto(whole, last=False)
    saved = _all(whole)
    expected = upto(whole, last=True)
    assert expected
    assert upto(Partition(saved), last=True) == expected


def _all(partition: Partition) -> dict[str, bytes]:
    for state in partition.states():
        for table in list(state._tables.values()):
            for key in table:
                table.put(key, table.get(key))
    return {key: value for key, value in partition.changes().items() if value is not None}


def test_scikit_learn_is_not_imported_before_a_model_is_fitted() -> None:
    code = "import sys, detectors.web_session as w; w.WebSession(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_are_checked() -> None:
    for wrong in ({"level": "urgent"}, {"window": 5}, {"minimum": 1}, {"sample": 10}, {"clients": 0}):
        with pytest.raises(ValueError):
            WebSession(**wrong)
