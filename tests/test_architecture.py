"""The tree is what ARCHITECTURE.md says: imports point down, tests mirror sources, modules introduce themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for package in ("almena", "collectors", "detectors") for path in (ROOT / package).rglob("*.py"))

UPWARD = {"almena/app", "almena/demo", "almena/cli", "almena/__main__.py"}
"""The composition root, the simulation that plays against it, and the command line: all that knows components."""

HEAVY = ("sklearn", "scipy", "numpy", "scapy", "sigma", "starlette", "uvicorn", "cryptography", "httpx", "evtx")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Every module a file names in an import, wherever it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def reaches(path: Path, *packages: str) -> list[str]:
    return sorted(
        item for item in imports(path) if any(item == package or item.startswith(package + ".") for package in packages)
    )


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_point_down(path: Path) -> None:
    place = name(path)
    if place.startswith("almena/"):
        if not any(place == top or place.startswith(top + "/") for top in UPWARD):
            assert not reaches(path, "collectors", "detectors"), "the core knows no component"
            assert not reaches(path, "almena.app", "almena.cli", "almena.demo"), "the core knows no command"
    elif place.startswith("collectors/"):
        assert not reaches(
            path, "detectors", "almena.app", "almena.cli", "almena.demo", "almena.desk", "almena.console"
        )
    else:
        assert not reaches(
            path, "collectors", "almena.app", "almena.cli", "almena.demo", "almena.desk", "almena.console"
        )
    assert not reaches(path, "tests", "hypothesis", "pytest"), "production code needs no test code"


@pytest.mark.parametrize("path", [path for path in SOURCES if "almena/console" in name(path)], ids=name)
def test_the_console_sees_documents_only(path: Path) -> None:
    assert not reaches(path, "almena.bus", "almena.detect", "almena.correlate")


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "parsers" in name(path) or "detectors/" in name(path)], ids=name
)
def test_parsers_and_detectors_read_no_clock_and_no_chance(path: Path) -> None:
    assert not reaches(path, "time", "random", "secrets", "socket", "threading", "asyncio", "subprocess")
    text = path.read_text("utf-8")
    assert "clock.now" not in text
    assert "import now" not in text


def test_only_one_process_imports_scapy() -> None:
    named = [name(path) for path in SOURCES if reaches(path, "scapy")]
    assert len(named) == 1
    (path,) = [path for path in SOURCES if name(path) in named]
    assert not reaches(path, "almena", "collectors"), "scapy's licence touches nothing else"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    opening = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert opening, "no docstring"
    assert opening.split("\n\n")[0].rstrip().endswith("."), "its first paragraph is no sentence"


def test_tests_mirror_sources() -> None:
    folders = {name(path.parent) for path in SOURCES}
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.parent.relative_to(ROOT / "tests").as_posix()
        if relative.split("/")[0] in ("almena", "collectors", "detectors"):
            assert relative in folders, f"{name(path)} mirrors no folder of the sources"
    assert not list((ROOT / "tests").rglob("__init__.py")), "a stray __init__.py hides the real packages"


def test_the_command_line_imports_nothing_heavy() -> None:
    script = "import sys, almena.cli; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_nothing_unpickles() -> None:
    for path in SOURCES:
        assert not reaches(path, "pickle", "joblib", "shelve", "marshal", "dill", "cloudpickle"), name(path)
