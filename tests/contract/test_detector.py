"""What every detector promises: the same final alerts however its events come, in bounded memory, in two languages."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from examples import examples
from harness import replay, run, select
from hypothesis import given
from hypothesis import strategies as st

from almena import correlate, detect
from almena.alert import Alert
from almena.clock import DAY, FOREVER, HOUR, MINUTE, SECOND, Span, format_time
from almena.ecs import check
from almena.event import Event
from almena.hit import Hit
from almena.state import Partition, State
from detectors import DETECTORS, base
from detectors._training import GROUPS
from detectors.base import Detector
from detectors.correlation import CorrelationOperator
from detectors.first_seen_network import EPISODES, FirstSeenNetwork
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_texts
from detectors.silence import Silence
from detectors.web_session import WebSession

START = 1_790_035_200 * SECOND
"""The beginning of a day, UTC."""

WORDS = {"title", "what_happened", "why_it_matters", "what_to_do", "false_positives"}


def event(number: int, time: int, **fields: Any) -> Event:
    """An event as detect hands it on; fields are named with `__` for a dot."""
    return {
        "@timestamp": format_time(time),
        "event.ingested": format_time(time + SECOND),
        "event.id": f"source:1:{number:07d}",
        "organization.id": "finanzas",
        "almena.source.name": "portal",
        "log.file.path": "/var/log/portal.log",
        "log.offset": number,
        **{name.replace("__", "."): value for name, value in fields.items()},
    }


class Sigma:
    """One correlation and the rules it reads as one detector."""

    def __init__(self, correlation: str) -> None:
        names = {name: f"{number}0000000-0000-4000-8000-000000000000" for number, name in enumerate("abcd", 1)}
        text = "\n---\n".join(
            f"title: Rule {name}\nid: {identity}\nname: {name}\nlogsource: {{product: app}}\n"
            f"detection: {{s: {{event.action: {name}}}, condition: s}}"
            for name, identity in names.items()
        )
        text += "\n---\ntitle: Many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [source.ip],"
        text += " timespan: 1m, condition: {gte: 3}}\n---\ntitle: Correlated\n"
        text += f"level: high\ncorrelation: {{{correlation}, group-by: [source.ip], timespan: 1m}}\n"
        text += "es: {titulo: T, que_paso: '{source.ip} {user.name}', por_que_importa: P, que_hacer: Q,"
        text += " falsos_positivos: F}\nen: {title: T, what_happened: '{source.ip}', why_it_matters: W,"
        text += " what_to_do: D, false_positives: F}\n"
        ruleset = load_texts([("rules.yml", text)], "ecs")
        assert not ruleset.rejected, ruleset.rejected[0].reason
        (found,) = [item for item in ruleset.correlations if item.title == "Correlated"]
        self._selector = SigmaDetector(ruleset)
        self._operator = CorrelationOperator(found, limit=400, longest=10 * MINUTE)

    @property
    def name(self) -> str:
        return self._operator.name

    @property
    def version(self) -> str:
        return self._operator.version

    @property
    def depth(self) -> int:
        return self._operator.depth

    def select(self, events: Sequence[Event]) -> Iterator[Hit | Alert]:
        for found in self._selector.select(events):
            if isinstance(found, Hit) and found.detector == self.name:
                yield found

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert | Hit]:
        return self._operator.observe(hits, state)

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert | Hit]:
        return self._operator.advance(now, due, state)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A detector and what is fed to it."""

    make: Callable[[], Detector]
    streams: st.SearchStrategy[list[Event]]
    alerting: list[Event]
    """Events that raise an alert."""
    flood: Callable[[int], list[Event]]
    """So many events of so many keys."""
    bound: int
    """Entries of state that no flood exceeds."""
    until: int = FOREVER
    any_order: bool = True
    """False where what counts is the time of the append, in which the bus keeps the order."""


# --- Sigma -----------------------------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 5, 20, 29, 30, 31, 59, 60, 61, 200]),
        st.sampled_from("aaabbcd"),
        st.sampled_from(["192.0.2.1", "192.0.2.1", "192.0.2.2"]),
        st.sampled_from("uvwx"),
    ),
    max_size=40,
)


def _sequence(steps: Sequence[tuple[int, str, str, str]]) -> list[Event]:
    events, second = [], 0
    for number, (gap, action, address, user) in enumerate(steps):
        second += gap
        fields = {"event__dataset": "app.x", "event__action": action, "source__ip": address, "user__name": user}
        fields["url__port"] = str(ord(user[0]) % 7 * 3 + number % 2)
        events.append(event(number, START + second * SECOND, **fields))
    return events


def _actions(count: int) -> list[Event]:
    return _sequence([(0, "abc"[n % 3], f"10.{n // 65_536}.{n // 256 % 256}.{n % 256}", f"u{n}") for n in range(count)])


_ATTACK = [(1, "a", "192.0.2.1", f"u{n}") for n in range(4)] + [(1, name, "192.0.2.1", "u") for name in "bc"]


def sigma(correlation: str) -> Case:
    shared = Sigma(correlation)  # loading rules takes longer than running them, and nothing in it changes
    return Case(
        make=lambda: shared,
        streams=_STEPS.map(_sequence),
        alerting=_sequence(_ATTACK),
        flood=_actions,
        bound=1_000,
    )


# --- Models ----------------------------------------------------------------------------------------------------------


def _sign_in(number: int, time: int, user: str, address: str) -> Event:
    fields = {"event__category": ["authentication"], "event__outcome": "success", "event__dataset": "system.auth"}
    return event(number, time, user__name=user, source__ip=address, **fields)


_SIGN_INS = st.lists(
    st.tuples(
        st.sampled_from(["ana", "luis", "a\x1eb", "Ñandú"]),
        st.sampled_from(["192.0.2.7", "198.51.100.40", "203.0.113.2", "2001:db8:9::1", "10.1.2.3", "10.9.2.3"]),
        st.integers(0, 40 * 24),
    ),
    min_size=20,
    max_size=120,
).map(lambda steps: [_sign_in(n, START + hour * HOUR, user, ip) for n, (user, ip, hour) in enumerate(steps)])

FIRST_SEEN = Case(
    make=lambda: FirstSeenNetwork(logins=3, days=0, max_p=0.4, networks=3, trust=2, users=40),
    streams=_SIGN_INS,
    alerting=[_sign_in(n, START + n * HOUR, "ana", "192.0.2.7" if n < 9 else "203.0.113.2") for n in range(12)],
    flood=lambda count: [
        _sign_in(n, START + n * SECOND, f"bot{n % (count // 8)}", f"10.{n % 251}.{n % 7}.1") for n in range(count)
    ],
    bound=40 + 10 + 160 + 2 * EPISODES,
)


def _request(number: int, second: float, client: str, path: int, status: int) -> Event:
    fields = {"event__dataset": "nginx.access", "url__path": f"/{path}", "http__response__status_code": status}
    time = START - 3 * MINUTE + round(second * SECOND)
    return event(number, time, source__ip=client, http__request__method="GET", **fields)


def _ordinary(rng: random.Random) -> list[Event]:
    return [
        _request(n, rng.randrange(300), f"198.51.100.{n % 12}", rng.randrange(4), 404 if rng.random() < 0.05 else 200)
        for n in range(240)
    ]


_REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 6 * 60),
        st.sampled_from(["203.0.113.1", "203.0.113.2", "198.51.100.3", "2001:db8:1::1", "2001:db8:1::2", "192.0.2.9"]),
        st.integers(0, 3),
        st.sampled_from([200, 404]),
    ),
    min_size=60,
    max_size=250,
).map(lambda steps: [_request(number, *step) for number, step in enumerate(steps)])
"""Six minutes around midnight, so that the table is frozen, renewed at the new day, and fitted again."""


def _touchy() -> WebSession:
    return WebSession(
        minimum=5, sample=8, requests=4, z=1.0, z_alone=2.0, max_p=0.5, gap=Span(MINUTE), clients=30, days=2
    )


WEB = Case(
    make=_touchy,
    streams=_REQUESTS,
    alerting=[
        *_ordinary(random.Random(1)),
        *(_request(900 + n, 240 + n % 50, "203.0.113.9", n, 404) for n in range(200)),
    ],
    flood=lambda count: [
        _request(n, n / 100, f"10.{n // 256 % 256}.{n % 256}.1", n, 200)
        | {"service.name": f"s{n % (3 * GROUPS)}", "user_agent.original": f"bot {n}"}
        for n in range(count)
    ],
    bound=GROUPS * (1 + 60 + 1 + 2 + 2) + 2 * EPISODES,
)

_EXPECTED = {"portal": ("finanzas", 5 * MINUTE), "pagos": ("finanzas", HOUR)}


def _spoke(*told: tuple[str, float]) -> list[Event]:
    """Signs of life by source and minute of the append, in which order they come; their own time is a day older."""
    moments = sorted((round(minute * MINUTE), source) for source, minute in told)
    return [
        event(number, START - DAY + moment)
        | {"event.ingested": format_time(START + moment), "almena.source.name": source}
        for number, (moment, source) in enumerate(moments)
    ]


_MINUTES = st.lists(st.integers(0, 200), min_size=1, max_size=40)

SILENCE = Case(
    make=lambda: Silence(expected=_EXPECTED),
    streams=st.builds(
        lambda portal, pagos: _spoke(*(("portal", n) for n in portal), *(("pagos", n) for n in pagos), ("other", 0)),
        _MINUTES,
        _MINUTES,
    ),
    alerting=_spoke(("portal", 0), ("portal", 4), ("portal", 40), ("pagos", 0), ("pagos", 50)),
    flood=lambda count: _spoke(*((f"flood{number}", number / 100) for number in range(count))),
    bound=2 * len(_EXPECTED),
    until=START + 230 * MINUTE,
    any_order=False,
)

CASES = {
    "first_seen_network": FIRST_SEEN,
    "silence": SILENCE,
    "web_session": WEB,
    "sigma event_count": sigma("type: event_count, rules: [a], condition: {gte: 3}"),
    "sigma value_count": sigma("type: value_count, rules: [a], condition: {gte: 3, field: user.name}"),
    "sigma temporal": sigma("type: temporal, rules: [a, b]"),
    "sigma temporal_ordered": sigma("type: temporal_ordered, rules: [a, b, c]"),
    "sigma value_sum": sigma("type: value_sum, rules: [a], condition: {gte: 30, lt: 300, field: url.port}"),
    "sigma median": sigma("type: value_median, rules: [a], condition: {gt: 15, lt: 16, field: url.port}"),
    "sigma range": sigma("type: event_count, rules: [a], condition: {gte: 2, lt: 9}"),
    "sigma absence": sigma("type: temporal, rules: [a, b, d], condition: a and b and not d"),
    "sigma ordered absence": sigma("type: temporal_ordered, rules: [a, b, d], condition: a and b and not d"),
}

every = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])


def test_every_detector_is_held_to_the_contract() -> None:
    assert set(DETECTORS) == {name for name in CASES if not name.startswith("sigma ")}
    for name, kind in DETECTORS.items():
        made = CASES[name].make()
        assert isinstance(made, kind)
        assert made.name == kind().name == name, "hits reach a detector under its name in the configuration"
        assert kind().version


@every
@examples(10)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_no_batch_cut_restore_or_order_changes_a_final_alert(case: Case, data: st.DataObject, seed: int) -> None:
    events = data.draw(case.streams)
    rng = random.Random(seed)
    expected = run(case.make, events, until=case.until)
    delivered = events[:]
    if case.any_order:
        rng.shuffle(delivered)
    assert run(case.make, delivered, rng=rng, until=case.until) == expected


@every
@pytest.mark.parametrize("seed", range(5))
def test_an_attack_alerts_however_it_is_delivered(case: Case, seed: int) -> None:
    """The property above compares alerts, and not emptiness."""
    expected = run(case.make, case.alerting, until=case.until)
    assert expected
    rng = random.Random(seed)
    delivered = case.alerting[:]
    if case.any_order:
        rng.shuffle(delivered)
    assert run(case.make, delivered, rng=rng, until=case.until) == expected


@every
def test_alerts_are_complete_in_both_languages(case: Case) -> None:
    for alert in run(case.make, case.alerting, until=case.until).values():
        assert alert["event.kind"] == "alert"
        assert alert["organization.id"] == "finanzas"
        assert alert["rule.id"]
        assert alert["message"] == alert["rule.name"]
        assert alert["almena.alert.id"].startswith(alert["@timestamp"][:7].replace("-", ""))
        assert alert["almena.alert.first_seen"] <= alert["almena.alert.last_seen"]
        assert alert["almena.alert.entity"]
        assert alert["almena.alert.explanation"]["root"]["kind"] in ("model", "correlation")
        words = alert["almena.alert.words"]
        assert set(words["es"]) == set(words["en"]) == WORDS
        assert alert["event.reason"] == words["es"]["what_happened"]
        for text in (text for said in words.values() for text in said.values()):
            assert text.strip()
            assert "—" not in text, "a template names a field that is not there"
            assert "{" not in text
        if case is not SILENCE:
            first = next(item for item in case.alerting if item["event.id"] == alert["event.id"])
            assert first["@timestamp"] == alert["@timestamp"]
            assert (alert["log.file.path"], alert["log.offset"]) == (first["log.file.path"], first["log.offset"])


@every
@pytest.mark.parametrize("count", [2_000, 6_000])
def test_a_flood_of_keys_stays_within_bounds(case: Case, count: int) -> None:
    partition = Partition()
    events = case.flood(count)
    hits = select(case.make(), events)
    end = hits[-1].time if hits else case.until
    replay(case.make, hits, until=end, partition=partition)
    (state,) = partition.states()
    assert state.entries() <= case.bound


_HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=400),
    st.lists(st.text(max_size=50), max_size=5),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.sampled_from(["success", "authentication", "192.0.2.7", "nginx.access", "4624", "a", format_time(START), 2**70]),
)


@every
@examples(50)
@given(data=st.data())
def test_no_event_raises_and_its_hits_are_small_and_can_be_counted(case: Case, data: st.DataObject) -> None:
    """Whatever fields hold; what detect gives (times and identity) is as it is."""
    base = data.draw(st.sampled_from(case.alerting))
    names = st.sampled_from([*base, "event.code", "event.type", "almena.actor.kind", "url.original", "service.name"])
    changed = {**base, **data.draw(st.dictionaries(names, _HOSTILE))}
    given_by_detect = ("@timestamp", "event.ingested", "event.id")
    hits = select(case.make(), [changed | {name: base[name] for name in given_by_detect}])
    alerts = replay(case.make, hits)
    assert all(check(alert) == alert for alert in alerts), "what does not fit is put aside and costs no alert"


@pytest.mark.parametrize(
    ("core", "promised"),
    [(detect.Selector, base.Selector), (correlate.Operator, base.Operator)],
    ids=lambda kind: kind.__module__,
)
def test_the_core_asks_for_what_detectors_promise(core: type, promised: type) -> None:
    """The core knows no component, so it says once more what it needs of one; the two must not part."""

    def members(kind: type) -> dict[str, list[str]]:
        found = {name: item for name, item in vars(kind).items() if not name.startswith("_")}
        return {
            name: [] if isinstance(item, property) else list(inspect.signature(item).parameters)
            for name, item in found.items()
        }

    assert members(core) == members(promised)
