"""The channels people are told on: one per file, and this list of them."""

from __future__ import annotations

from almena.desk.notify.base import Common, Message, Notifier
from almena.desk.notify.log import Log
from almena.desk.notify.webhook import Webhook

NOTIFIERS: dict[str, type[Common]] = {"log": Log, "webhook": Webhook}
"""Every channel by the name that `type` gives it in `[notify.<name>]`."""

__all__ = ["NOTIFIERS", "Common", "Log", "Message", "Notifier", "Webhook"]
