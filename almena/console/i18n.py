"""The languages of the screens: Spanish stands in the source, English in a gettext catalogue."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LANGUAGES = {"es": "Español", "en": "English"}
"""The languages there are, each by its own name; the first is spoken when nothing else was chosen."""

Speak = Callable[[str], str]
"""Spanish in, the page's language out."""


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, read from its `.po` file; Spanish needs none."""
    if language == "es":
        return NullTranslations()
    source = files("almena.console").joinpath("locale", language, "LC_MESSAGES", "console.po")
    compiled = BytesIO()
    with source.open("rb") as po:
        write_mo(compiled, read_po(po, locale=language, abort_invalid=True))
    compiled.seek(0)
    return Translations(compiled)


def speaker(language: str) -> Speak:
    """Translates one message into `language`."""
    return translations(language).gettext


def mark(message: str) -> str:
    """Marks a Spanish text for the catalogue where it is written down, to be translated where it is shown."""
    return message


def language_of(*wishes: str | None) -> str:
    """The first wish that is a language, or Spanish."""
    return next((wish for wish in wishes if wish in LANGUAGES), "es")
