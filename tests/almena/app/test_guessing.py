from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from almena.app.guessing import UNREAD, guess
from almena.cli import app

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def test_a_file_of_one_format_is_named_with_its_fields() -> None:
    found = guess(GOLDEN / "nginx" / "access.log", "America/Mexico_City", lambda event: event)
    assert (found.records, found.understood, found.parser) == (13, 13, "nginx")
    assert found.fields["http.response.status_code"] == 13


def test_a_mixed_file_is_counted_by_format_and_what_is_unknown_by_template(tmp_path: Path) -> None:
    path = tmp_path / "mixed.log"
    web = (GOLDEN / "nginx" / "access.log").read_text().splitlines()[0]
    unknown = [f"conveyor {number} moved" for number in range(4)]
    path.write_text("\n".join([*unknown, web, "<38>Nov 22 13:34:00 h su: (to root) ana on pts/0", ""]))
    found = guess(path, "America/Mexico_City", lambda event: event)
    assert (found.formats[UNREAD], found.records, found.parser) == (4, 6, "auto")
    assert found.templates.most_common(1)[0][0] == "conveyor <*> moved"


@pytest.mark.parametrize(("name", "code"), [("nginx/access.log", 0), ("auto/mixed.log", 1)])
def test_the_command_says_it_in_spanish_and_by_its_exit_code(name: str, code: int) -> None:
    result = CliRunner().invoke(app, ["parse", "--guess", str(GOLDEN / name)])
    assert result.exit_code == code, result.output
    assert "registros, entendidos" in result.stdout
    assert "En la configuración de su fuente: parser" in result.stdout


def test_an_empty_file_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_bytes(b"")
    found = guess(tmp_path / "empty.log", "America/Mexico_City", lambda event: event)
    assert (found.records, found.understood, found.parser) == (0, 0, "auto")
