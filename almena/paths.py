"""Where the project's own files lie: in the checkout when there is one, otherwise inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def rules_dir() -> Path:
    """The project's own Sigma rules."""
    return _share("rules")


def dashboards_dir() -> Path:
    """The project's own dashboards and Prometheus rules."""
    return _share("dashboards")


def _share(name: str) -> Path:
    checkout = _PACKAGE.parent
    return checkout / name if (checkout / "pyproject.toml").exists() else _PACKAGE / "share" / name
