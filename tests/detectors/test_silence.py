"""Silence: who is missed, since when, and until when, whatever the batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from harness import final, replay, run, select
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.clock import DAY, HOUR, MINUTE, SECOND, format_time
from almena.event import Event
from almena.state import Partition
from detectors._anomaly import length
from detectors.silence import RESUMED, WORDS, Silence

START = 1_790_035_200 * SECOND
EXPECTED = {"portal": ("finanzas", 5 * MINUTE), "pagos": ("finanzas", HOUR)}


def spoke(source: str, *minutes: float) -> list[Event]:
    """Events of a source by the minute of their append; their own time is a day older."""
    return [
        {
            "@timestamp": format_time(START - DAY + round(minute * MINUTE)),
            "event.ingested": format_time(START + round(minute * MINUTE)),
            "event.id": f"{source}:1:{minute}",
            "almena.source.name": source,
            "organization.id": "finanzas",
        }
        for minute in minutes
    ]


def make() -> Silence:
    return Silence(expected=EXPECTED)


def until(minutes: float) -> int:
    return START + round(minutes * MINUTE)


def in_order(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event["event.ingested"], event["event.id"]))


def test_a_silent_source_alerts_and_says_since_when() -> None:
    events = in_order([*spoke("portal", 0, 4, 8), *spoke("pagos", 0)])
    (alert,) = run(make, events, until=until(20)).values()
    assert alert["rule.id"] == "almena.silence"
    assert alert["almena.alert.level"] == "high"
    assert alert["almena.source.name"] == "portal"
    assert alert["organization.id"] == "finanzas"
    assert alert["almena.alert.entity"] == "almena.source.name=portal"
    assert alert["@timestamp"] == format_time(until(13) + 1)
    assert alert["event.start"] == format_time(until(8))
    assert alert["event.action"] == "source-silent"
    assert alert["almena.anomaly.observed"] == "5 min"
    assert alert["almena.anomaly.expected"] == "≤ 5 min"
    said = alert["almena.alert.words"]
    assert said["es"]["what_happened"] == (
        "La fuente portal calla desde 2026-09-22 00:08:00 UTC; se espera que hable cada 5 min."
    )
    assert "portal has been silent since" in said["en"]["what_happened"]
    assert not any("—" in text for words in said.values() for text in words.values())


def test_the_alert_ends_when_the_source_speaks_again() -> None:
    events = in_order([*spoke("portal", 0, 72, 75), *spoke("pagos", 0, 50)])
    hits = select(make(), events)
    opened, closed = replay(make, hits, until=until(78))
    assert opened["almena.alert.id"] == closed["almena.alert.id"]
    assert opened["almena.alert.revision"] < closed["almena.alert.revision"]
    assert closed["event.action"] == "source-resumed"
    assert closed["event.end"] == format_time(until(72))
    assert closed["event.start"] == opened["event.start"] == format_time(until(0))
    assert "volvió a hablar" in closed["almena.alert.words"]["es"]["what_happened"]
    assert "1 h 12 min" in closed["event.reason"]


def test_a_source_that_keeps_its_term_is_silent_about() -> None:
    events = in_order([*spoke("portal", *range(0, 60, 5)), *spoke("pagos", 0, 60)])
    assert run(make, events, until=until(59)) == {}


def test_a_source_that_never_speaks_is_missed() -> None:
    (alert,) = run(make, spoke("portal", *range(0, 90, 4)), until=until(89)).values()
    assert alert["almena.source.name"] == "pagos"
    assert "no ha hablado nunca" in alert["almena.alert.words"]["es"]["what_happened"]
    assert "never spoken" in alert["almena.alert.words"]["en"]["what_happened"]
    assert alert["@timestamp"] == format_time(until(60) + 1)


def test_a_restart_of_detect_does_not_hide_a_silence() -> None:
    """Announcements start the clock of unknown sources only."""
    before = select(make(), in_order([*spoke("portal", 0, 3), *spoke("pagos", 0)]))
    after = select(make(), spoke("pagos", 4, 6, 9, 14))
    alerts = final(replay(make, sorted([*before, *after], key=lambda hit: (hit.time, hit.id)), until=until(14)))
    assert [alert["event.start"] for alert in alerts.values()] == [format_time(until(3))]


def test_sources_without_an_expectation_are_left_alone() -> None:
    assert run(make, [*spoke("other", 0), {"event.ingested": "?"}, {"almena.source.name": 7}], until=until(4)) == {}
    assert list(Silence().select(spoke("portal", 0))) == []


def test_an_expectation_that_changes_or_goes() -> None:
    def patient() -> Silence:
        return Silence(expected={"portal": ("finanzas", HOUR)})

    hits = select(make(), spoke("portal", 0))
    partition = Partition()
    assert replay(make, hits, until=until(1), partition=partition) == []
    alerts = replay(patient, [], until=until(61), partition=partition)
    assert [alert["@timestamp"] for alert in alerts] == [format_time(until(60) + 1)], "what is expected now counts"
    partition = Partition()
    assert replay(make, hits, until=until(1), partition=partition) == []
    assert replay(Silence, [], until=until(600), partition=partition) == []


def test_an_older_batch_of_events_is_speech() -> None:
    """Yesterday's events appended today are no silence: append times count."""
    events = in_order([*spoke("portal", 0, 4, 8, 12), *spoke("pagos", 0)])
    assert run(make, events, until=until(16)) == {}


MINUTES = st.lists(st.integers(0, 200), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(portal=MINUTES, pagos=MINUTES)
def test_every_true_pause_is_one_alert(portal: list[int], pagos: list[int]) -> None:
    events = in_order([*spoke("portal", *portal), *spoke("pagos", *pagos), *spoke("other", 0)])
    expected = run(make, events, until=until(230))
    silences = _silences(sorted(portal), 5, 230) + _silences(sorted(pagos), 60, 230)
    assert len(expected) == silences


def _silences(minutes: Sequence[int], expect: int, end: int) -> int:
    """Counted by hand: pauses longer than expected, from the first append (at minute 0) to the end."""
    moments = [0, *minutes, end]
    return sum(later - earlier > expect for earlier, later in pairwise(moments))


@pytest.mark.parametrize(
    ("micros", "said"),
    [(0, "0 s"), (999_999, "0 s"), (5 * MINUTE, "5 min"), (HOUR + 12 * MINUTE + SECOND, "1 h 12 min"), (DAY, "1 d")],
)
def test_lengths(micros: int, said: str) -> None:
    assert length(micros) == said


def test_words_are_complete_in_both_languages() -> None:
    assert set(WORDS["es"]) == set(WORDS["en"])
    assert set(RESUMED) == set(WORDS)
    with pytest.raises(ValueError, match="level"):
        Silence(level="loud")
