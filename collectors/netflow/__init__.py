"""Flows over UDP, from datagrams to events: wire, layout, shape and meanings, what is remembered, and the socket."""

from __future__ import annotations

from collectors.netflow.collector import Netflow

__all__ = ["Netflow"]
