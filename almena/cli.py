"""The command line: every command's words, options and errors; the work is done elsewhere and imported late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from almena import __version__
from almena.errors import AlmenaError

if TYPE_CHECKING:
    from almena.config import Config

app = typer.Typer(
    name="almena",
    help="Almena: logs in, attacks and frauds out, in time.\n\nBegin with [bold]almena demo[/bold].",
    epilog="Example: almena demo --data data",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
rules_app = typer.Typer(
    no_args_is_help=True,
    help="Write, check, measure and install Sigma rules.",
    epilog="Example: almena rules check rules/",
)
dead_app = typer.Typer(
    no_args_is_help=True,
    help="Look at dead letters (records that were not understood) and put them back after a fix.",
    epilog="Example: almena dead list --limit 20",
)
state_app = typer.Typer(
    no_args_is_help=True,
    help="Look at what correlations and models remember.",
    epilog="Example: almena state show almena.web_session",
)
app.add_typer(rules_app, name="rules")
app.add_typer(state_app, name="state")
app.add_typer(dead_app, name="dead")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration; almena.toml of this folder when there is one."),
]
RulesOption = Annotated[
    list[Path] | None, typer.Option("--rules", help="A folder or archive of Sigma rules; may be given again.")
]


RulesArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR", help="A folder, file or archive of Sigma rules; the project's own when none is named."
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Everything one by one, also when there is much of the same kind.")
]
LetterArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The letter's id, as `almena dead list` shows it.", show_default=False)
]


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


@app.command(epilog="Example: almena up --config /etc/almena/almena.toml")
def up(config: ConfigOption = None) -> None:
    """Run all roles on this machine on real sources, restarting what dies."""
    from almena.app.operate import up as run

    raise typer.Exit(run(config))


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

    raise typer.Exit(run(_config(config), paths, rules=rules or [], format_=format_, name=name, agency=agency))


@app.command(epilog="Example: almena parse --parser nginx access.log")
def parse(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of records.", show_default=False)],
    parser: Annotated[str, typer.Option(help="A parser's name, evtx, pcap or auto.")] = "auto",
    zone: Annotated[str, typer.Option(help="Time zone of times written without one.")] = "America/Mexico_City",
) -> None:
    """Print the ECS event of each record, masked as it would be stored."""
    from almena.app.offline import parse as run

    raise typer.Exit(run(file, parser, zone))


@rules_app.command("check", epilog="Example: almena rules check rules/ --strict")
def rules_check(
    directory: RulesArgument = None,
    all_: AllOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, each warning with its kind.")] = False,
) -> None:
    """Load every rule and say which are rejected, and why, and what their authors should look at."""
    from almena.app.craft import rules_check as run

    raise typer.Exit(run(directory, every=all_, strict=strict, json=json))


@rules_app.command("test", epilog="Example: almena rules test rules/linux")
def rules_test(directory: RulesArgument = None, all_: AllOption = False) -> None:
    """Run every rule's own examples; for one that fails, show what was asked and what was seen."""
    from almena.app.craft import rules_test as run

    raise typer.Exit(run(directory, every=all_))


@rules_app.command("explain", epilog="Example: almena rules explain 'Root shell through sudo' auth.log --line 12")
def rules_explain(
    rule: Annotated[
        str,
        typer.Argument(metavar="RULE", help="An id or its beginning, a name, a title, or a file.", show_default=False),
    ],
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="A file, - for standard input, or the record in quotes.", show_default=False
        ),
    ],
    rules: RulesOption = None,
    format_: Annotated[
        str, typer.Option("--format", "--parser", help="As for `almena replay`: auto, native, or a parser's name.")
    ] = "auto",
    line: Annotated[int | None, typer.Option(help="Which record of several; the first if none.", min=1)] = None,
    language: Annotated[str, typer.Option(help="es or en; the configuration's if none.")] = "",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say why a rule matches an event, or what comes nearest when it does not; exit code 1 when it does not."""
    from almena.app.explaining import explain as run

    code = run(rule, event, rules=rules or (), format_=format_, line=line, language=language, json=json, config=config)
    raise typer.Exit(code)


@rules_app.command("coverage", epilog="Example: almena rules coverage rules/ --layer almena.json")
def rules_coverage(
    directory: RulesArgument = None,
    layer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a layer for ATT&CK Navigator (JSON, format 4.5).")
    ] = None,
) -> None:
    """Show which techniques of ATT&CK and which log sources the rules cover, and what is missing."""
    from almena.app.craft import rules_coverage as run

    raise typer.Exit(run(directory, layer))


@rules_app.command("bench", epilog="Example: almena rules bench events.ndjson.xz --rules sigma/ --top 20")
def rules_bench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file or folder of events.", show_default=False)],
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="A folder, file or archive of Sigma rules; the project's own if none."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="As for `almena replay`.")] = "auto",
    top: Annotated[int, typer.Option(help="How many rules to show, the dearest first; 0 for all.", min=0)] = 20,
    events: Annotated[int, typer.Option(help="Events that are read at most.", min=1)] = 50_000,
    json: Annotated[bool, typer.Option("--json", help="All rules, as JSON.")] = False,
) -> None:
    """Say what each rule costs on a file: events it sees, could match and matches, and the time it takes alone."""
    from almena.app.craft import rules_bench as run

    raise typer.Exit(run(file, rules, format_, top=top, most=events, json=json))


@rules_app.command("install", epilog="Example: almena rules install sigma_core.zip --to sigma --level high,critical")
def rules_install(
    source: Annotated[
        Path,
        typer.Argument(metavar="ARCHIVE|DIR", help="A tar (.gz, .bz2, .xz), a zip or a folder.", show_default=False),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder for these rules alone.")] = Path("sigma"),
    status: Annotated[str, typer.Option(help="Statuses to take, with commas between; or all.")] = "stable,test",
    level: Annotated[str, typer.Option(help="Levels to take, likewise.")] = "medium,high,critical",
    licence: Annotated[str, typer.Option(help="Licence of rules that state none, as an SPDX id.")] = "DRL-1.1",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Put back what was changed or deleted here.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; only say what would be done.")] = False,
    all_: AllOption = False,
) -> None:
    """Install other people's rules, such as SigmaHQ's, with their licence and origin; again for a newer release."""
    from almena.app.craft import rules_install as run

    raise typer.Exit(run(source, to, status, level, licence, overwrite=overwrite, dry=dry_run, every=all_))


@rules_app.command("shadow", epilog="Example: almena rules shadow --lift 0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10")
def rules_shadow(
    config: ConfigOption = None,
    lift: Annotated[
        str | None, typer.Option(metavar="RULE", help="Let this rule, that was over its budget, alert again.")
    ] = None,
) -> None:
    """Show which rules run in shadow, whose alerts nobody is told, and why; or take one back."""
    from almena.app.shadowing import rules_shadow as run

    raise typer.Exit(run(_config(config), lift))


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
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say why a correlation has not fired yet: how far each group is, what is missing, and until when it counts."""
    from almena.app.statecmd import show as run

    raise typer.Exit(run(_config(config), rule, key, limit=limit, language=language, json=json))


@app.command(epilog="Example: almena status --json | jq .lag")
def status(
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how the installation is doing; exit code 1 when something is wrong."""
    from almena.app.operate import show_status as run

    raise typer.Exit(run(_config(config), json=json))


@dead_app.command("list", epilog="Example: almena dead list --limit 20")
def dead_list(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were put back.")] = False,
) -> None:
    """List dead letters, newest first: id, when, source, parser, reason."""
    from almena.app.operate import dead_list as run

    raise typer.Exit(run(_config(config), limit=limit, every=all_))


@dead_app.command("show", epilog="Example: almena dead show 3f9a1c0d2e4b5a67")
def dead_show(letter: LetterArgument, config: ConfigOption = None) -> None:
    """Open one dead letter and show its original bytes; the look is written to the audit."""
    from almena.app.operate import dead_show as run

    raise typer.Exit(run(_config(config), letter))


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

    raise typer.Exit(run(_config(config), letters or [], source))


@app.command(epilog="Example: almena backup almena-2026-11-22.tar.gz")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Write bus, store, checkpoints and the secret key into one archive, while everything runs."""
    from almena.app.operate import backup as run

    raise typer.Exit(run(_config(config), file))


@app.command(epilog="Example: almena restore almena-2026-11-22.tar.gz")
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An archive that `almena backup` wrote.", show_default=False)
    ],
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Bring bus, store, checkpoints and the secret key back from an archive; the roles must not run."""
    from almena.app.operate import restore as run

    raise typer.Exit(run(_config(config), file, force=force))


def _config(path: Path | None) -> Config:
    from almena.app import configuration

    return configuration(path)


MemberOption = Annotated[
    str,
    typer.Option(
        "--member", help="This process's name among those that share the work, the host's when not given; keep it."
    ),
]


def _role(name: str, text: str) -> None:
    def command(config: ConfigOption = None) -> None:
        from almena.app.roles import run_role

        raise typer.Exit(run_role(name, _config(config)))

    command.__doc__ = text
    app.command(name, epilog=f"Example: almena {name} --config almena.toml", rich_help_panel="Roles")(command)


def _stage(name: str, text: str) -> None:
    def command(config: ConfigOption = None, member: MemberOption = "") -> None:
        from almena.app.roles import run_role

        raise typer.Exit(run_role(name, _config(config), member))

    command.__doc__ = text
    app.command(name, epilog=f"Example: almena {name} --member second", rich_help_panel="Roles")(command)


_role("collect", "Take records in, parse and mask them, and append them to the bus.")
_stage("detect", "Run rules and detectors over events.")
_stage("correlate", "Run correlations and baselines over hits, in event time.")
_stage("desk", "Group, suppress and store alerts, and tell people.")
_role("console", "Serve the console and the API.")
