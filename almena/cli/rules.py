"""`almena rules`: what authors of rules do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from almena.cli.options import AllOption, ConfigOption, JsonOption, RulesOption, loaded

rules_app = typer.Typer(
    no_args_is_help=True,
    help="Write, check, measure and install Sigma rules.",
    epilog="Example: almena rules check rules/",
)

RulesArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR", help="A folder, file or archive of Sigma rules; the project's own when none is named."
    ),
]


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
    json: JsonOption = False,
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

    raise typer.Exit(run(loaded(config), lift))
