"""Writes the reference pages from the code itself: options, commands, metrics, fields, rules and formats."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by `make docs` from the code; a test fails when it is not up to date. -->\n\n"


_ABOUT_CONFIGURATION = """\
Unknown options are errors with a suggestion. Lengths of time are written `500ms`, `30s`, `5m`, `1h30m`, `7d`.
`ALMENA_<OPTION>` in the environment wins over the file; `__` goes down a level: `ALMENA_CONSOLE__LISTEN`.
Relative paths are taken from the folder of the file.

"""


_ABOUT_FORMATS = """\
`parser = "auto"` finds the format of every record by itself, and `almena parse --guess FILE` says what a file is made
of. `syslog` reads a line's header and then any format that is known by its tag or its beginning; `json` goes by an
object's keys; `ecs`, `app` and `flow` take events as they are. Every other name takes its format alone, with or without
a syslog header. What no format understands under `auto` is kept whole as an event of the data set `unknown`, with a
template of its kind in `almena.template`; under another name it is a dead letter.

"""


def pages() -> dict[str, str]:
    """Every page's text by file name."""
    return {
        "configuration.md": configuration(),
        "commands.md": commands(),
        "metrics.md": metrics(),
        "fields.md": fields(),
        "rules.md": rules(),
        "formats.md": formats(),
    }


def configuration() -> str:
    """All options of `almena.toml`, section by section."""
    from almena.app import components
    from almena.bus.settings import KafkaSettings, SpoolSettings
    from almena.config import Agency, Config, CorrelateSettings, DetectSettings, WorkerSettings
    from almena.store.settings import ElasticsearchSettings, EventSettings

    kinds = components()
    parts = [
        "# Configuration: `almena.toml`\n\n" + _NOTE + _ABOUT_CONFIGURATION,
        _section(
            "At the top",
            Config,
            skip={"collectors", "detect", "correlate", "detectors", "desk", "console", "notify", "path", "agencies"},
        ),
        _section("`[agencies.<id>]`", Agency),
        _section("`[detect]`", DetectSettings),
        _section("`[correlate]`", CorrelateSettings),
        _section("`[workers]`", WorkerSettings),
        _section("`[kafka]`", KafkaSettings),
        _section("`[spool]`", SpoolSettings),
        _section("`[elasticsearch]`", ElasticsearchSettings),
        _section("`[events]`", EventSettings),
    ]
    for name, kind in kinds.collectors.items():
        parts.append(_section(f'`[collectors.<name>]` with `type = "{name}"`', kind))
    for name, kind in kinds.detectors.items():
        parts.append(_section(f"`[detectors.{name}]`", kind, skip={"expected"}))
    parts.append(_section("`[desk]`", kinds.desk))
    for name, kind in kinds.notify.items():
        parts.append(_section(f'`[notify.<name>]` with `type = "{name}"`', kind))
    parts.append(_section("`[console]`", kinds.console))
    return "".join(parts)


def _section(title: str, kind: type, skip: set[str] | None = None) -> str:
    text = f"## {title}\n\n{inspect.cleandoc(kind.__doc__ or '')}\n\n"
    text += "| option | type | default | meaning |\n| --- | --- | --- | --- |\n"
    nested = []
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        if item.name in (skip or set()) or not item.init or item.name.startswith("_"):
            continue
        text += f"| `{item.name}` | {_type(hints[item.name])} | {_default(item)} | {docstring_of(kind, item.name)} |\n"
        nested += [
            _section(f"{title}: `{item.name}.<name>`", typing.cast(type, argument))
            for argument in typing.get_args(hints[item.name])
            if dataclasses.is_dataclass(argument)
        ]
    return text + "\n" + "".join(nested)


def _type(kind: Any) -> str:
    text = getattr(kind, "__name__", str(kind)) if not typing.get_args(kind) else str(kind)
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text).replace("Span", "time").replace("|", "or")
    return text.replace("NoneType", "nothing").replace("None", "nothing")


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is not dataclasses.MISSING:
        value = item.default
    elif item.default_factory is not dataclasses.MISSING:
        value = item.default_factory()
    else:
        return "required"
    if value is None:
        return "none"
    text = str(value) if type(value).__name__ == "Span" else repr(value)
    return f"`{text}`"


def docstring_of(kind: type, field: str) -> str:
    """The string under a field, in its class or in one it inherits from; raises KeyError when there is none."""
    for base in kind.__mro__[:-1]:
        if field not in inspect.get_annotations(base):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(tree, ast.ClassDef)
        for statement, following in zip(tree.body, tree.body[1:], strict=False):
            named = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == field
            if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return " ".join(str(following.value.value).split()).replace("|", "\\|")
    raise KeyError(f"{kind.__name__}.{field} has no docstring under it")


def commands() -> str:
    """Every command with its help."""
    from almena.cli import app

    text = "# Commands\n\n" + _NOTE
    for path, command in walk(typer.main.get_command(app), "almena"):
        text += f"## `{path}`\n\n{_plain(command.help)}\n\n"
        rows = [row for row in map(_parameter, command.params) if row]
        if rows:
            text += "| | meaning |\n| --- | --- |\n" + "".join(rows) + "\n"
        if command.epilog:
            text += f"{_plain(command.epilog).replace('Example: ', 'Example: `')}`\n\n"
    return text


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, by its whole name."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from walk(child, f"{path} {name}")


def _parameter(item: Any) -> str:
    if "--help" in item.opts:
        return ""
    if item.param_type_name == "option":
        names = ", ".join(f"`{name}`" for name in item.opts)
    else:
        names = f"`{item.metavar or item.name.upper()}`"
    return f"| {names} | {_plain(getattr(item, 'help', '') or '')} |\n"


def _plain(text: str | None) -> str:
    return re.sub(r"\[/?\w+\]", "", inspect.cleandoc(text or "")).replace("|", "\\|").replace("<", "\\<")


def metrics() -> str:
    """Every metric with its labels."""
    from prometheus_client.metrics import MetricWrapperBase

    from almena import metrics as module

    text = "# Metrics\n\n" + _NOTE + "Served at `/metrics` of the console, to loopback only.\n\n"
    text += "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
    for item in vars(module).values():
        if isinstance(item, MetricWrapperBase):
            (described,) = item.describe()
            suffix = "_total" if described.type == "counter" else ""
            labels = ", ".join(f"`{label}`" for label in item._labelnames)
            text += f"| `{described.name}{suffix}` | {described.type} | {labels} | {described.documentation} |\n"
    return text


def fields() -> str:
    """The fields of our own beside ECS."""
    text = "# Fields of Almena's own\n\n" + _NOTE
    text += "Everything else at the top level of a document is the Elastic Common Schema.\n\n"
    text += "| field | type |\n| --- | --- |\n"
    path = Path(__file__).parents[1] / "almena" / "fields.tsv"
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, kind, *array = line.split("\t")
            text += f"| `{name}` | {kind}{' (list)' if array else ''} |\n"
    return text


def rules() -> str:
    """The project's own rules, by service."""
    from almena.paths import rules_dir
    from almena.yamlfile import load_all

    text = "# Rules\n\n" + _NOTE + "| service | rule | regla | level | kind |\n| --- | --- | --- | --- | --- |\n"
    for path in sorted(rules_dir().rglob("*.yml")):
        for rule in load_all(path.read_text("utf-8")):
            if "es" in rule:
                kind = rule["correlation"]["type"] if "correlation" in rule else "event"
                cells = (path.parent.name, rule["title"], rule["es"]["titulo"], rule.get("level", "medium"), kind)
                text += f"| {' | '.join(cells)} |\n"
    return text


def formats() -> str:
    """Every format that is understood, by the name that `parser` takes."""
    from collectors.parsers.formats import FORMATS

    text = (
        "# Formats\n\n"
        + _NOTE
        + _ABOUT_FORMATS
        + "| parser | what it reads | `event.dataset`, at least | syslog tags |\n"
    )
    text += "| --- | --- | --- | --- |\n"
    for each in sorted(FORMATS, key=lambda each: each.name):
        module = inspect.getmodule(each.read or each.convert)
        about = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        tags = ", ".join(f"`{name}`" for name in each.programs[:8]) + (" …" if len(each.programs) > 8 else "")
        text += f"| `{each.name}` | {about} | `{each.dataset}` | {tags} |\n"
    return text


def lists() -> dict[str, str]:
    """The lists of rights under `deploy/`, by path from the root of the project."""
    from almena.app.rights import script, table

    return {"deploy/kafka/acls.tsv": table(), "deploy/kafka/acls.sh": script()}


def main() -> int:
    """Write the pages; with `--check` only say whether they are up to date."""
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    written = {REFERENCE / name: text for name, text in pages().items()}
    written |= {REFERENCE.parents[1] / name: text for name, text in lists().items()}
    for path, text in written.items():
        name = path.name
        text = text.rstrip() + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    print("up to date" if not stale else f"{'stale' if '--check' in sys.argv else 'written'}: {', '.join(stale)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
