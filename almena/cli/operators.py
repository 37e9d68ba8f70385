"""The commands of those who run an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from almena.cli.options import ConfigOption, JsonOption, loaded

operators_app = typer.Typer()


@operators_app.command(epilog="Example: almena up --config /etc/almena/almena.toml")
def up(config: ConfigOption = None) -> None:
    """Run all roles on this machine on real sources, restarting what dies."""
    from almena.app.operate import up as run

    raise typer.Exit(run(config))


@operators_app.command(epilog="Example: almena status --json | jq .lag")
def status(
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Say how the installation is doing; exit code 1 when something is wrong."""
    from almena.app.operate import show_status as run

    raise typer.Exit(run(loaded(config), json=json))


@operators_app.command(epilog="Example: almena check --config almena.toml --create")
def check(
    config: ConfigOption = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make topics and templates that are missing, with the rights at hand.")
    ] = False,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="Only the rights of this role's user; of all roles if none.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Say whether a configuration will work on the servers as they are, and what to fix.

    Files, keys and rules of this machine; brokers, topics, rights and clocks of
    Kafka; nodes, template, rights, room and clocks of Elasticsearch;
    certificates that end soon. To see rights and clocks it writes a record that
    nobody will read, and a document that it removes. Nothing else is changed
    without `--create`.

    ✓ is well, ! works and deserves a look, ✗ must be fixed: then the exit code is 1.
    """
    from almena.app import ROLES
    from almena.app.checking import run
    from almena.app.rights import ADMINISTRATOR

    if role and role not in (*ROLES, ADMINISTRATOR):
        raise typer.BadParameter(f"no role {role!r}; there are {', '.join((*ROLES, ADMINISTRATOR))}")
    raise typer.Exit(run(loaded(config), create=create, role=role, json=json))


@operators_app.command(epilog="Example: almena backup almena-2026-11-22.tar.gz")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Write bus, store, checkpoints and the secret key into one archive, while everything runs."""
    from almena.app.operate import backup as run

    raise typer.Exit(run(loaded(config), file))


@operators_app.command(epilog="Example: almena restore almena-2026-11-22.tar.gz")
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An archive that `almena backup` wrote.", show_default=False)
    ],
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Bring bus, store, checkpoints and the secret key back from an archive; the roles must not run."""
    from almena.app.operate import restore as run

    raise typer.Exit(run(loaded(config), file, force=force))


@operators_app.command(
    epilog="Example: almena move --from sqlite:data/store.sqlite --to https://es1:9200 --config almena.toml"
)
def move(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="The store to carry to, best an empty one.", show_default=False)
    ],
    from_: Annotated[
        str, typer.Option("--from", metavar="URL", help="The store to carry from; the configuration's if none.")
    ] = "",
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="Also while roles run; what changes meanwhile differs.")] = False,
    json: JsonOption = False,
) -> None:
    """Carry every document from one store to another, and verify count and hash of each kind.

    What is there already stays; a move that was interrupted goes on where it
    stopped when the command is given again. The source is only read. How both
    are reached stands under [elasticsearch] in the configuration.

    Exit code 1 when something in the target is not what the source has.
    """
    from almena.app.moving import run

    raise typer.Exit(run(loaded(config), from_, to, live=live, json=json))
