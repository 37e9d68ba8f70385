"""The command line: every command's words, options and errors; the work is done elsewhere and imported late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from almena import __version__
from almena.cli.dead import dead_app
from almena.cli.operators import operators_app
from almena.cli.options import ConfigOption, RulesOption, loaded
from almena.cli.roles import roles_app
from almena.cli.rules import rules_app
from almena.cli.state import state_app
from almena.errors import AlmenaError

app = typer.Typer(
    name="almena",
    help="Almena: logs in, attacks and frauds out, in time.\n\nBegin with [bold]almena demo[/bold].",
    epilog="Example: almena demo --data data",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> NoReturn:
    """Run the command line; errors a person can act on are shown without a traceback."""
    try:
        app()
    except AlmenaError as error:
        print(f"almena: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        print(f"almena: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _version(show: bool) -> None:
    if show:
        print(f"almena {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Say what all commands share."""


@app.command(epilog="Example: almena demo --once")
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Play the scenes as fast as possible, then report and end.")
    ] = False,
    data: Annotated[Path, typer.Option(help="Folder for the demo's data.")] = Path("data"),
    port: Annotated[int, typer.Option(help="Port of the console on 127.0.0.1; 0 for any.", min=0, max=65_535)] = 8080,
    seed: Annotated[int, typer.Option(help="Seed of the simulated traffic.")] = 1,
    bus: Annotated[str, typer.Option(help="URL of a bus on Kafka, instead of a file.")] = "",
    store: Annotated[str, typer.Option(help="URL of a store on Elasticsearch, instead of a file.")] = "",
) -> None:
    """Run everything on this machine with simulated traffic, attacks and frauds."""
    from almena.app.demo import run
    from almena.demo.settings import Cluster

    cluster = Cluster(bus=bus, store=store) if bus or store else None
    raise typer.Exit(run(data=data, port=port, seed=seed, once=once, cluster=cluster))


@app.command(epilog="Example: almena replay access.log events.ndjson Security.evtx")
def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files or folders; .gz and .xz are opened.", show_default=False),
    ],
    rules: RulesOption = None,
    format_: Annotated[
        str, typer.Option("--format", help="auto, native, evtx, pcap, or a parser's name; native: records as they are.")
    ] = "auto",
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Only LINE<TAB>RULE_ID pairs, sorted.")] = False,
    config: ConfigOption = None,
) -> None:
    """Detect over files without any service: one alert per line as JSON."""
    from almena.app.offline import replay as run

    raise typer.Exit(run(paths, rules or [], format_, verdicts=verdicts, config=config))


@app.command(epilog="Example: almena backfill /srv/2025/auth --agency finanzas --name auth-2025")
def backfill(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Files or folders; .gz and .xz are opened.", show_default=False),
    ],
    rules: RulesOption = None,
    format_: Annotated[str, typer.Option("--format", help="As for `almena replay`.")] = "auto",
    name: Annotated[str, typer.Option(help="What its alerts are tagged with; made of the files if none.")] = "",
    agency: Annotated[str, typer.Option(help="Whose history it is; what the records say themselves if none.")] = "",
    config: ConfigOption = None,
) -> None:
    """Run history through the rules and store its alerts apart: tagged, and nobody is told.

    Windows and baselines see the whole input in event time, with a memory of
    their own; what runs live is not touched. Almena may run meanwhile, or not.

    The same files under the same name give the same alerts, so it may be run
    again, also after a kill; of changed rules the last run counts. A file is
    known by its content, wherever it lies; one that has grown is another.

    Alerts about what is older than the desk keeps them (`keep_alerts`) are left
    out. Records that cannot be read are dead letters until a later run
    understands them. Exit code 1 when there are any, or alerts were left out.
    """
    from almena.app.backfill import backfill as run

    raise typer.Exit(run(loaded(config), paths, rules=rules or [], format_=format_, name=name, agency=agency))


@app.command(epilog="Example: almena parse --parser nginx access.log")
def parse(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of records.", show_default=False)],
    parser: Annotated[str, typer.Option(help="A parser's name, evtx, pcap or auto.")] = "auto",
    zone: Annotated[str, typer.Option(help="Time zone of times written without one.")] = "America/Mexico_City",
    guess: Annotated[bool, typer.Option("--guess", help="Say what the file is made of instead.")] = False,
) -> None:
    """Print the ECS event of each record, masked as it would be stored; or say what formats a file is made of."""
    from almena.app import offline

    raise typer.Exit(offline.guess(file, zone) if guess else offline.parse(file, parser, zone))


app.add_typer(operators_app)
app.add_typer(rules_app, name="rules")
app.add_typer(state_app, name="state")
app.add_typer(dead_app, name="dead")
app.add_typer(roles_app, rich_help_panel="Roles")
