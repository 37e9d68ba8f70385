"""The console: the pages and the API through which people see alerts and decide about them."""

from __future__ import annotations

from almena.console.app import create_app, serve
from almena.console.rules import RuleInfo
from almena.console.settings import ConsoleSettings
from almena.console.users import ensure_admin

__all__ = ["ConsoleSettings", "RuleInfo", "create_app", "ensure_admin", "serve"]
