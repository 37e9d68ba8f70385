"""First-seen networks: who learns, who alerts, and that no order of delivery changes it."""

from __future__ import annotations

from typing import Any

import pytest
from harness import final, replay, run, select

from almena.clock import DAY, HOUR, SECOND, format_time
from almena.event import Event
from almena.state import Partition
from detectors.first_seen_network import EPISODES, OPEN, WORDS, FirstSeenNetwork, account, network, signed_in

START = 1_790_000_000 * SECOND
HOME, OFFICE, FOREIGN = "192.0.2.7", "198.51.100.40", "203.0.113.2"


def sign_in(number: int, time: int, user: str, address: str, **more: Any) -> Event:
    return {
        "@timestamp": format_time(time),
        "event.ingested": format_time(time + SECOND),
        "event.id": f"auth:1:{number:06d}",
        "event.dataset": "system.auth",
        "event.category": ["authentication"],
        "event.outcome": "success",
        "organization.id": "finanzas",
        "user.name": user,
        "source.ip": address,
        "host.name": "portal-3",
        **more,
    }


def days(user: str, address: str, count: int, first: int = 0) -> list[Event]:
    """One sign-in a day."""
    return [sign_in(first + day, START + day * DAY, user, address) for day in range(count)]


def make() -> FirstSeenNetwork:
    return FirstSeenNetwork()


def test_a_mature_account_from_a_foreign_network_alerts_and_explains_itself() -> None:
    events = [*days("Maria", HOME, 14), sign_in(900, START + 20 * DAY, "maria", FOREIGN)]
    (alert,) = run(make, events).values()
    assert alert["rule.id"] == "almena.first_seen_network"
    assert alert["almena.alert.level"] == "medium"
    assert alert["almena.alert.entity"] == "user.name=maria"
    assert alert["organization.id"] == "finanzas"
    assert alert["@timestamp"] == format_time(START + 20 * DAY)
    assert alert["almena.anomaly.observed"] == "203.0.113.0/24"
    assert alert["almena.anomaly.expected"] == "192.0.2.0/24 ×14"
    assert alert["almena.anomaly.history"] == 14
    assert alert["almena.anomaly.p"] == pytest.approx(0.5 / 15, abs=1e-6)
    assert alert["threat.technique.id"] == ["T1078"]
    assert alert["related.ip"] == [FOREIGN]
    features = alert["almena.alert.explanation"]["root"]["contributions"]
    assert features[0] == {
        "feature": "source.network",
        "observed": "203.0.113.0/24",
        "expected": "192.0.2.0/24 ×14",
    }
    assert len(features) == 3
    said = alert["almena.alert.words"]
    assert "maria entró desde 203.0.113.2" in said["es"]["what_happened"]
    assert "usan esa red: 0 de 0." in said["es"]["what_happened"]
    assert "maria signed in from 203.0.113.2" in said["en"]["what_happened"]
    assert set(said["es"]) == set(said["en"]) == set(WORDS["es"])
    assert not any("—" in text for words in said.values() for text in words.values())


@pytest.mark.parametrize(
    ("history", "day"),
    [
        pytest.param(days("maria", HOME, 9), 20, id="nine sign-ins are one too few"),
        pytest.param([sign_in(n, START + n * HOUR, "maria", HOME) for n in range(50)], 4, id="four days are too few"),
        pytest.param([], 0, id="nothing is known"),
    ],
)
def test_an_immature_account_learns_and_does_not_alert(history: list[Event], day: int) -> None:
    assert run(make, [*history, sign_in(900, START + day * DAY, "maria", FOREIGN)]) == {}


def test_days_zero_judges_on_the_first_day() -> None:
    events = [sign_in(n, START + n * SECOND, "maria", HOME) for n in range(10)]
    events.append(sign_in(900, START + 60 * SECOND, "maria", FOREIGN))
    assert run(make, events) == {}
    assert len(run(lambda: FirstSeenNetwork(days=0), events)) == 1
    assert len(run(lambda: FirstSeenNetwork(days=0, logins=4), [*events[:4], events[-1]])) == 1


def test_a_traveller_is_no_news() -> None:
    """An account that keeps coming from new networks makes one more expected."""
    events = [sign_in(n, START + n * DAY, "ventas", f"10.{n}.0.1") for n in range(30)]
    assert run(make, events) == {}


def test_a_network_many_colleagues_use_is_ordinary() -> None:
    events = []
    for number in range(10):
        events += days(f"colega{number}", OFFICE if number < 4 else HOME, 12, first=1000 * number)
    events += days("maria", HOME, 12, first=20_000)
    move = sign_in(90_000, START + 30 * DAY, "maria", OFFICE)
    assert run(make, [*events, move]) == {}
    (alert,) = run(make, [*events, {**move, "source.ip": FOREIGN}]).values()
    assert alert["almena.anomaly.peers"] == 0.0
    assert "usan esa red: 0 de 10." in alert["almena.alert.words"]["es"]["what_happened"]


def test_colleagues_of_another_agency_do_not_count() -> None:
    events = []
    for number in range(5):
        other = days(f"ajeno{number}", OFFICE, 12, first=1000 * number)
        events += [{**event, "organization.id": "salud"} for event in other]
    events += days("maria", HOME, 12, first=20_000)
    assert len(run(make, [*events, sign_in(90_000, START + 30 * DAY, "maria", OFFICE)])) == 1


def test_one_alert_per_network_and_day_is_revised_and_trusted_after_three_days() -> None:
    events = days("maria", HOME, 12)
    for day in range(6):
        for hour in range(9):
            events.append(sign_in(500 + day * 20 + hour, START + (20 + 2 * day) * DAY + hour * HOUR, "maria", FOREIGN))
    alerts = run(make, events)
    assert [alert["almena.alert.count"] for alert in alerts.values()] == [9, 9, 9]
    assert all(alert["almena.anomaly.history"] == 12 for alert in alerts.values()), "what alerted does not train"
    hits = select(make(), events)
    assert len(replay(make, hits)) == 3 * 5, "revisions at 1, 2, 4, 8 and at the end of the day"


def test_alerted_sign_ins_never_make_an_account_mature_or_a_network_ordinary() -> None:
    """An attacker with passwords of many accounts does not turn the own network into an office."""
    events = []
    for number in range(12):
        events += days(f"colega{number}", HOME, 12, first=1000 * number)
        events.append(sign_in(1000 * number + 500, START + 20 * DAY + number * SECOND, f"colega{number}", FOREIGN))
    assert len(run(make, events)) == 12


def test_a_dormant_account_is_still_judged_by_what_was_known() -> None:
    events = [*days("maria", HOME, 12), sign_in(900, START + 400 * DAY, "maria", FOREIGN)]
    assert len(run(make, events)) == 1


def test_a_network_left_for_long_is_new_again() -> None:
    events = days("maria", HOME, 10) + [sign_in(100 + n, START + (20 + n) * DAY, "maria", OFFICE) for n in range(150)]
    back = sign_in(900, START + 175 * DAY, "maria", HOME)
    seen = run(make, [*events, back])
    assert [alert["almena.anomaly.observed"] for alert in seen.values()].count("192.0.2.0/24") == 1


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"event.outcome": "failure"}, False),
        ({"event.category": ["process"]}, False),
        ({"event.category": ["authentication"], "event.type": ["end"]}, False),
        ({"event.dataset": "app.tramites", "event.category": None, "event.action": "login"}, True),
        ({"event.dataset": "app.registry", "event.action": "notary_login"}, True),
        ({"event.dataset": "app.identity", "event.action": "logout"}, False),
        ({"event.dataset": "windows.security", "event.category": [], "event.code": "4624"}, True),
        ({"user.name": "PC-14$"}, False),
        ({"user.name": "ANONYMOUS LOGON"}, False),
        ({"user.name": None, "user.id": "u-9"}, True),
        ({"user.name": None}, False),
        ({"source.ip": "127.0.0.1"}, False),
        ({"source.ip": "::1"}, False),
        ({"source.ip": "-"}, False),
        ({"source.ip": 7}, False),
        ({"source.ip": "2001:db8:1:2::9"}, True),
        ({"almena.actor.kind": "citizen"}, False),
        ({"@timestamp": "yesterday"}, False),
        ({"@timestamp": None}, False),
    ],
)
def test_which_events_are_sign_ins(change: dict[str, Any], counts: bool) -> None:
    event = {**sign_in(1, START, "maria", HOME), **change}
    assert len(list(make().select([event]))) == int(counts)


def test_citizens_are_judged_when_asked() -> None:
    event = {**sign_in(1, START, "maria", HOME), "almena.actor.kind": "citizen"}
    assert len(list(FirstSeenNetwork(citizens=True).select([event]))) == 1


def test_networks_and_accounts() -> None:
    assert network("2001:db8:1:2::9") == "2001:db8:1::/48"
    assert network("::ffff:192.0.2.7") == "192.0.2.0/24"
    assert network("not an address") is None
    assert account({"user.name": "  MARIA "}) == "maria"
    assert account({"user.name": "a\x1eb\x1fc"}) == "a\\u001eb\\u001fc"
    assert not signed_in({})


def test_a_flood_of_names_and_networks_stays_within_bounds() -> None:
    def small() -> FirstSeenNetwork:
        return FirstSeenNetwork(logins=2, days=0, max_p=1.0, users=40, networks=4)

    loyal = [sign_in(n, START + n * SECOND, "maria", HOME) for n in range(30)]
    flood = [
        sign_in(1000 + n, START + HOUR + n * SECOND, f"bot{n % 500}", f"10.{n % 251}.{n % 7}.1") for n in range(4000)
    ]
    steal = [sign_in(9000 + n, START + 3 * DAY + n, "maria", f"45.{n % 250}.1.1") for n in range(1000)]
    partition = Partition()
    alerts = replay(small, select(small(), [*loyal, *flood, *steal]), partition=partition)
    (state,) = partition.states()
    assert state.entries() <= 40 + 10 + 160 + 2 * EPISODES
    assert state.evictions() > 0, "what was forgotten is counted"
    stolen = [alert for alert in final(alerts).values() if alert["almena.alert.entity"] == "user.name=maria"]
    assert len(stolen) == OPEN, "one account cannot open more"
    assert sum(alert["almena.alert.count"] for alert in stolen) == 1000


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="level"):
        FirstSeenNetwork(level="urgent")
    with pytest.raises(ValueError, match="at least"):
        FirstSeenNetwork(logins=0)
