"""`almena state`: what correlations and models remember."""

from __future__ import annotations

from typing import Annotated

import typer

from almena.cli.options import ConfigOption, JsonOption, loaded

state_app = typer.Typer(
    no_args_is_help=True,
    help="Look at what correlations and models remember.",
    epilog="Example: almena state show almena.web_session",
)


@state_app.command("show", epilog="Example: almena state show 'Root shell through sudo' 203.0.113.9")
def state_show(
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE", help="A correlation's id, name or title, or a model's name.", show_default=False
        ),
    ],
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Only this group: one of its values, such as an address.")
    ] = "",
    limit: Annotated[int, typer.Option(help="How many groups at most, the nearest to firing first.", min=1)] = 20,
    language: Annotated[str, typer.Option(help="es or en; the configuration's if none.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a correlation has not fired yet: how far each group is, what is missing, and until when it counts."""
    from almena.app.statecmd import show as run

    raise typer.Exit(run(loaded(config), rule, key, limit=limit, language=language, json=json))
