"""The roles, one process each: on one machine or on many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from almena.cli.options import ConfigOption, loaded

if TYPE_CHECKING:
    from almena.config import Config

roles_app = typer.Typer()

MemberOption = Annotated[
    str,
    typer.Option(
        "--member", help="This process's name among those that share the work, the host's when not given; keep it."
    ),
]


def _run(role: str, config: Config, member: str = "") -> int:
    from almena.app.operate import at_work
    from almena.app.roles import run_role

    with at_work(config):
        return run_role(role, config, member)


def _role(name: str, text: str) -> None:
    def command(config: ConfigOption = None) -> None:
        raise typer.Exit(_run(name, loaded(config)))

    command.__doc__ = text
    roles_app.command(name, epilog=f"Example: almena {name} --config almena.toml", rich_help_panel="Roles")(command)


def _stage(name: str, text: str) -> None:
    def command(config: ConfigOption = None, member: MemberOption = "") -> None:
        raise typer.Exit(_run(name, loaded(config), member))

    command.__doc__ = text
    roles_app.command(name, epilog=f"Example: almena {name} --member second", rich_help_panel="Roles")(command)


_role("collect", "Take records in, parse and mask them, and append them to the bus.")
_stage("detect", "Run rules and detectors over events.")
_stage("correlate", "Run correlations and baselines over hits, in event time.")
_stage("desk", "Group, suppress and store alerts, and tell people.")
_role("console", "Serve the console and the API.")
