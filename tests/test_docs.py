"""The documents are true: reference pages match the code, and what they name exists."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs import generate  # noqa: E402

PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md"]
PAGES += ["docs/cluster.md", "deploy/kafka/README.md", "deploy/elasticsearch/README.md"]


@pytest.mark.parametrize("name", ["configuration.md", "commands.md", "metrics.md", "fields.md", "rules.md"])
def test_reference_pages_are_up_to_date(name: str) -> None:
    written = (generate.REFERENCE / name).read_text("utf-8")
    assert written == generate.pages()[name].rstrip() + "\n", "run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_backticks_exist(page: str) -> None:
    folders = "almena|collectors|detectors|rules|dashboards|deploy|tests|bench|docs|requirements"
    for target in re.findall(rf"`((?:{folders})/[\w./-]*)`", (ROOT / page).read_text("utf-8")):
        assert (ROOT / target).exists(), f"{page} names {target}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_targets_named_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([a-z]+)`", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page} names make {target}"
    commands = generate.commands()
    for command in re.findall(r"`almena ((?:rules |dead )?[a-z]+)", text):
        assert f"`almena {command}" in commands, f"{page} names almena {command}"


def test_every_component_has_a_page_in_the_reference() -> None:
    from almena.app import components

    text = generate.configuration()
    kinds = components()
    for name in [*kinds.collectors, *kinds.notify]:
        assert f'`type = "{name}"`' in text
    for name in kinds.detectors:
        assert f"`[detectors.{name}]`" in text


def test_the_changelog_names_this_version() -> None:
    from almena import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_who_installs_the_package_gets_what_the_lock_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "requirements/run.in").read_text("utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "hatchling", "editables"))]
    assert sorted(project["dependencies"]) == sorted(wanted)


def test_the_project_names_no_machine() -> None:
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    banned = re.compile(r"/work/|/root/|https://pypi|files\.pythonhosted|pypi\.org/simple|\.shims/")
    for name in files:
        path = ROOT / name
        if path.suffix in {".png", ".evtx", ".xz", ".pcap"} or name == "tests/test_docs.py" or not path.exists():
            continue
        found = banned.search(path.read_text("utf-8", "replace"))
        assert not found, f"{name} says {found[0] if found else ''}"


def test_the_readme_shows_a_rule_as_it_is() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    rule = (ROOT / "rules" / "payments" / "refund_self_approved.yml").read_text("utf-8").splitlines()
    for line in shown.splitlines():
        assert line in rule, f"README.md shows {line!r}, which the rule does not say"


def test_the_cluster_page_shows_a_configuration_that_loads() -> None:
    import tomllib

    from almena.app import components
    from almena.config import parse

    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = parse(tomllib.loads(shown), components(), "docs/cluster.md")
    assert config.bus.startswith("kafka://")
    assert config.store.startswith("https://")
    assert config.kafka.tls


def test_roles_on_elasticsearch_are_well_formed_and_named() -> None:
    import json

    folder = ROOT / "deploy" / "elasticsearch"
    page = (folder / "README.md").read_text("utf-8")
    for path in sorted(folder.glob("*.json")):
        role = json.loads(path.read_text("utf-8"))
        assert set(role) == {"description", "cluster", "indices"}
        assert path.name in page
        for entry in role["indices"]:
            assert all(name.startswith("almena-") for name in entry["names"])
    assert len(list(folder.glob("*.json"))) == 4
