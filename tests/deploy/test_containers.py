"""The compose file and the image: shaped as their tools expect, closed to other machines, over files that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from almena.app import configuration
from almena.console import ConsoleSettings
from almena.yamlfile import load_all

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
(COMPOSE,) = load_all((DEPLOY / "compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

KNOWN = {
    "build", "cap_drop", "environment", "healthcheck", "image", "init", "mem_limit", "pids_limit", "ports", "profiles",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "ulimits", "volumes",
}  # fmt: skip
"""Options of the Compose specification that the file uses."""


def dockerfile() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_services_use_only_options_of_the_specification() -> None:
    assert set(COMPOSE) == {"name", "services", "volumes"}
    assert set(SERVICES) == {"almena", "kafka", "elasticsearch"}
    for name, service in SERVICES.items():
        assert set(service) <= KNOWN, name


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_watched_and_closed(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", service["image"])
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)
    for port in service["ports"]:
        assert port.startswith("127.0.0.1:"), "no other machine reaches it unless somebody decides so"
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
    assert all(isinstance(value, str) for value in service["environment"].values()), "YAML must not turn them"


def test_the_servers_that_almena_does_not_use_yet_start_only_when_asked() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["almena"]


def test_versions_are_those_the_project_works_with() -> None:
    assert SERVICES["kafka"]["image"].split(":")[1].startswith("4.")
    assert SERVICES["elasticsearch"]["image"].split(":")[1].startswith("8.19.")


def test_kafka_is_one_node_without_zookeeper() -> None:
    settings = SERVICES["kafka"]["environment"]
    named = {listener.split(":")[0] for listener in settings["KAFKA_LISTENERS"].split(",")}
    mapped = {entry.split(":")[0] for entry in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    advertised = {entry.split(":")[0] for entry in settings["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    assert named == mapped == advertised | {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert settings["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert settings["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised


def test_the_image_is_built_from_locked_wheels_and_runs_as_nobody_special() -> None:
    steps = dockerfile()
    text = "\n".join(" ".join(step) for step in steps)
    assert "--require-hashes" in text
    last = len(steps) - 1 - [word for word, _ in reversed(steps)].index("FROM")
    final = steps[last:]
    assert ("USER", "almena") in final
    assert [words for word, words in final if word == "ENTRYPOINT"] == ['["almena"]']
    for word, words in steps:
        if word == "COPY" and not words.startswith("--from") and words != ". .":
            assert (ROOT / words.split()[0]).exists()


def test_the_image_gets_what_the_build_needs_and_nothing_else() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert {"almena", "collectors", "detectors", "rules", "dashboards", "requirements", "pyproject.toml"} <= kept
    for name in kept:
        assert (ROOT / name).exists(), name


def test_the_example_configuration_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration(DEPLOY / "almena.toml")
    assert config.bus == "sqlite:/var/lib/almena/bus.sqlite"
    assert config.console.listen == "127.0.0.1:8080"
    for name, value in SERVICES["almena"]["environment"].items():
        monkeypatch.setenv(name, value)
    console: ConsoleSettings = configuration(DEPLOY / "almena.toml").console
    assert console.address() == ("0.0.0.0", 8080)
    assert "127.0.0.1" in console.allowed_hosts()


def test_docker_compose_reads_the_file() -> None:
    found = shutil.which("docker")
    probe = subprocess.run([found, "compose", "version"], capture_output=True) if found else None
    if probe is None or probe.returncode != 0:
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", "-f", str(DEPLOY / "compose.yml"), "--profile", "servers", "config", "--quiet"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert result.returncode == 0, result.stderr
