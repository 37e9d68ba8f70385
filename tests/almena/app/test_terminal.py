"""What the demo and `status` say on a terminal, in both languages and at any width."""

from __future__ import annotations

import io
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import console_seed as seed
import pytest
from rich.console import Console

from almena.app.roles import password_file, tell_password
from almena.app.terminal import Live, waiting_password
from almena.app.texts import SCENES, TEXTS, Texts
from almena.config import Config
from almena.console import ConsoleSettings, ensure_admin
from almena.console.users import set_password
from almena.demo.scenes import SCENES as PLAYED
from almena.store import Store, open_store
from almena.supervisor import Supervisor

FOUND: dict[str, Any] = {"events": 12_345, "alerts": 7, "dead_letters": 1, "drops": 0}


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory:")
    yield store
    store.close()


def screen(tmp_path: Path, store: Store, language: str, width: int, *, terminal: bool = True) -> str:
    """What a person sees of the live screen, password included."""
    config = Config(data=str(tmp_path), language=language, console=ConsoleSettings())  # type: ignore[arg-type]
    supervisor = Supervisor((), tmp_path / "almena.toml", tmp_path)
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=terminal, width=width, color_system=None, highlight=False)
    with Live(config, password="aaaa-bbbb", supervisor=supervisor, _console=console) as live:
        live.update(lambda: FOUND, store)
    return seen.getvalue()


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["es"].keys() == TEXTS["en"].keys()
    for name, text in TEXTS["es"].items():
        assert places(text) == places(TEXTS["en"][name]), name
    for language in TEXTS:
        assert list(SCENES[language]) == [scene.name for scene in PLAYED]
    assert Texts("es").scene("new_one") == "new_one"


def test_the_screen_says_where_who_and_what_is_new(tmp_path: Path, store: Store) -> None:
    seed.shift(store)
    spanish = screen(tmp_path, store, "es", 120)
    assert "consola en http://127.0.0.1:8080" in spanish
    assert "usuario admin, contraseña de un solo uso aaaa-bbbb" in spanish
    assert "horas de Ciudad de México (UTC−06:00)" in spanish
    assert "eventos 12,345 (0/s) · alertas 7 · sin entender 1 · perdidos 0" in spanish
    assert "◆ Crítica" in spanish
    assert "Un servidor web abre una consola" in spanish
    assert "usuario www-data" in spanish
    english = screen(tmp_path, store, "en", 120)
    assert "user admin, one-time password aaaa-bbbb" in english
    assert "◆ Critical" in english
    assert "A web server opens a shell" in english
    assert "user www-data" in english


def test_a_narrow_screen_has_one_line_for_each_alert(tmp_path: Path, store: Store) -> None:
    seed.shift(store)
    lines = [line for line in screen(tmp_path, store, "es", 80).splitlines() if "Crítica" in line or "Alta" in line]
    assert lines
    assert all(len(line) <= 80 for line in lines)
    assert any("◆ Crítica  Un servidor web abre una consola" in line for line in lines)
    assert any(line.rstrip().endswith("…") for line in lines)
    assert not any("www-data" in line for line in lines)


def test_before_the_first_alert_it_says_to_wait(tmp_path: Path, store: Store) -> None:
    assert "todavía no hay alertas" in screen(tmp_path, store, "es", 80)
    plain = screen(tmp_path, store, "en", 80, terminal=False)
    assert "events 12,345 (0/s)" in plain
    assert "no alerts yet" not in plain


def test_the_one_time_password_is_told_until_it_is_used(tmp_path: Path, store: Store) -> None:
    config = Config(data=str(tmp_path))
    assert waiting_password(config, store) is None
    password = ensure_admin(store)
    assert password is not None
    tell_password(config, password)
    assert waiting_password(config, store) == password
    set_password(store, "admin", "una frase larga y propia")
    assert waiting_password(config, store) is None
    assert not password_file(config).exists()
