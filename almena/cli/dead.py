"""`almena dead`: what becomes of records that were not understood."""

from __future__ import annotations

from typing import Annotated

import typer

from almena.cli.options import ConfigOption, loaded

dead_app = typer.Typer(
    no_args_is_help=True,
    help="Look at dead letters (records that were not understood) and put them back after a fix.",
    epilog="Example: almena dead list --limit 20",
)

LetterArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The letter's id, as `almena dead list` shows it.", show_default=False)
]


@dead_app.command("list", epilog="Example: almena dead list --limit 20")
def dead_list(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were put back.")] = False,
) -> None:
    """List dead letters, newest first: id, when, source, parser, reason."""
    from almena.app.operate import dead_list as run

    raise typer.Exit(run(loaded(config), limit=limit, every=all_))


@dead_app.command("show", epilog="Example: almena dead show 3f9a1c0d2e4b5a67")
def dead_show(letter: LetterArgument, config: ConfigOption = None) -> None:
    """Open one dead letter and show its original bytes; the look is written to the audit."""
    from almena.app.operate import dead_show as run

    raise typer.Exit(run(loaded(config), letter))


@dead_app.command("replay", epilog="Example: almena dead replay --source portal-nginx")
def dead_replay(
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Letters' ids; all that wait when none is named.")
    ] = None,
    config: ConfigOption = None,
    source: Annotated[str, typer.Option(help="Only this source's.")] = "",
) -> None:
    """Parse dead letters again and put those that are understood now on the bus."""
    from almena.app.operate import dead_replay as run

    raise typer.Exit(run(loaded(config), letters or [], source))
