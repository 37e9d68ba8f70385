from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import almena.console
from almena.console.i18n import LANGUAGES, language_of, speaker

ROOT = Path(almena.console.__file__).parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "say": None, "mark": None}
PLACES = re.compile(r"%\(\w+\)s|\{\w*\}")


def messages() -> set[str]:
    found = extract_from_dir(
        ROOT,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        options_map={"templates/**.html": {"silent": "false", "newstyle_gettext": "true"}},
        keywords=KEYWORDS,
    )
    return {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}


@pytest.fixture(scope="module")
def english() -> Catalog:
    with (ROOT / "locale" / "en" / "LC_MESSAGES" / "console.po").open("rb") as file:
        return read_po(file, locale="en", abort_invalid=True)


def test_every_message_has_its_english(english: Catalog) -> None:
    wanted = messages()
    assert len(wanted) > 200
    for text in wanted:
        message = english.get(text)
        assert message is not None, text
        assert not message.fuzzy, text
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(said), text


def test_the_catalogue_has_nothing_that_nobody_says(english: Catalog) -> None:
    known = {
        message.id[0] if isinstance(message.id, (list, tuple)) else message.id for message in english if message.id
    }
    assert known == messages()
    assert not english.obsolete


def test_translations_keep_their_places(english: Catalog) -> None:
    for message in english:
        if message.id:
            ids = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
            strings = message.string if isinstance(message.string, tuple) else (message.string,)
            for source, said in zip(ids, strings, strict=True):
                assert sorted(PLACES.findall(source)) == sorted(PLACES.findall(str(said))), source


def test_spanish_stands_in_the_source() -> None:
    assert speaker("es")("Cola de alertas") == "Cola de alertas"
    assert speaker("en")("Cola de alertas") == "Alert queue"


def test_a_language_is_chosen_among_those_there_are() -> None:
    assert language_of(None, "en") == "en"
    assert language_of("xx", "../en", "") == "es"
    assert list(LANGUAGES) == ["es", "en"]
