"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from almena.config import Config

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration; almena.toml of this folder when there is one."),
]
RulesOption = Annotated[
    list[Path] | None, typer.Option("--rules", help="A folder or archive of Sigma rules; may be given again.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Everything one by one, also when there is much of the same kind.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def loaded(path: Path | None) -> Config:
    """The configuration in `path`, or this folder's."""
    from almena.app import configuration

    return configuration(path)
