from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from almena.clock import from_datetime
from almena.console.show import Look, values, visible

NOW = from_datetime(datetime(2026, 11, 22, 20, 7, 32, tzinfo=UTC))
SPANISH = Look("es", ZoneInfo("America/Mexico_City"), NOW)
ENGLISH = Look("en", ZoneInfo("America/Mexico_City"), NOW)


def test_times_are_the_rooms_with_a_date_when_not_today() -> None:
    assert ">14:07:32<" in SPANISH.time("2026-11-22T20:07:32.123456Z")
    assert 'datetime="2026-11-22T14:07:32.123456-06:00"' in SPANISH.time("2026-11-22T20:07:32.123456Z")
    assert ">21 nov 23:59:59<" in SPANISH.time("2026-11-22T05:59:59Z")
    assert ">21 Nov 23:59:59<" in ENGLISH.time("2026-11-22T05:59:59Z")
    assert ">31 dic 2025 18:00:00<" in SPANISH.time("2026-01-01T00:00:00Z")
    nothings: tuple[object, ...] = (None, "", "mañana", [], "2026-99-99T00:00:00Z")
    for nothing in nothings:
        assert "—" in SPANISH.time(nothing)


def test_how_long_ago_is_said_beside() -> None:
    assert SPANISH.ago("2026-11-22T20:04:32Z") == "hace 3 minutos"
    assert ENGLISH.ago("2026-11-22T17:07:32Z") == "3 hours ago"
    assert SPANISH.ago(None) == ""


def test_the_zone_is_said_with_its_offset() -> None:
    assert SPANISH.zone_label() == "Ciudad de México (UTC−06:00)"
    assert ENGLISH.zone_label() == "Mexico City (UTC−06:00)"
    assert Look("es", ZoneInfo("Asia/Kolkata"), NOW).zone_label() == "Kolkata (UTC+05:30)"
    assert Look("es", ZoneInfo("UTC"), NOW).zone_label() == "UTC (UTC+00:00)"


def test_lengths_of_time_are_words() -> None:
    assert [SPANISH.length(span) for span in ("10m", "1h", "24h", "30d", "1h30m", "90s", "500ms")] == [
        "10 min", "1 hora", "1 día", "30 días", "1 hora 30 min", "1 min 30 s", "0.5 s"
    ]  # fmt: skip
    assert ENGLISH.length("2d") == "2 days"
    assert SPANISH.length("pronto") == "pronto"
    assert SPANISH.length(None) == "None"


def test_numbers_have_separators() -> None:
    assert SPANISH.number(1284113) == "1,284,113"
    assert SPANISH.number("x\x00") == "x\\u0000"


def test_an_entity_is_its_kind_and_its_value() -> None:
    assert SPANISH.entity("source.ip=10.0.0.1") == ("origen", "10.0.0.1")
    assert ENGLISH.entity("source.ip=10.0.0.1") == ("source", "10.0.0.1")
    assert SPANISH.entity("almena.post.call=DOC-1") == ("convocatoria", "DOC-1")
    assert SPANISH.entity("x.y=a=b") == ("x.y", "a=b")
    assert SPANISH.entity("") == ("", "—")


def test_words_fall_back_to_the_other_language() -> None:
    alert = {"almena.alert.words": {"es": {"title": "Título", "what_to_do": "Haga"}, "en": {"title": "Title"}}}
    assert SPANISH.title(alert) == "Título"
    assert ENGLISH.title(alert) == "Title"
    assert ENGLISH.words(alert)["what_to_do"] == "Haga"
    assert SPANISH.title({"message": "Regla"}) == "Regla"
    assert SPANISH.title({"almena.alert.words": "x"}) == "—"


def test_dates_in_a_table_are_the_rooms() -> None:
    assert ">14:07:32<" in SPANISH.cell("event.ingested", "2026-11-22T20:07:32.123456Z")
    assert SPANISH.cell("user.name", "2026-11-22T20:07:32.123456Z") == "2026-11-22T20:07:32.123456Z"
    assert SPANISH.cell("event.ingested", "") == ""


def test_times_in_a_sentence_are_the_rooms_and_the_rest_is_text() -> None:
    said = SPANISH.sentence("La fuente <b> calla desde 2026-11-22T18:00:00.000001Z: revise.")
    assert "La fuente &lt;b&gt; calla desde <time" in said
    assert ">12:00:00</time>: revise." in said
    assert ">12:00:00</time>." in SPANISH.sentence("Calla desde 2026-11-22 18:00:00 UTC.")
    assert SPANISH.sentence("2026-99-99T00:00:00Z") == "2026-99-99T00:00:00Z"


def test_a_template_names_its_fields() -> None:
    assert SPANISH.template("{user.name} entró a {x.y}") == "‹usuario› entró a ‹x.y›"
    assert (SPANISH.heading("user.name"), SPANISH.heading("x.y")) == ("Usuario", "")


def test_whole_numbers_have_no_decimals() -> None:
    assert values(4624.0) == "4624"
    assert values([1, "a\x1b"]) == "1, a\\u001b"


@given(st.text())
def test_nothing_unseen_is_printed(text: str) -> None:
    shown = str(visible(text))
    assert not any((ord(char) < 32 and char != "\n") or ord(char) in range(0x7F, 0xA0) for char in shown)
    assert not any(0x202A <= ord(char) <= 0x202E or 0x2066 <= ord(char) <= 0x2069 for char in shown)
