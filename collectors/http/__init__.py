"""Events over HTTP: from applications, and from shippers that believe they speak to Elasticsearch."""

from __future__ import annotations

from collectors.http.collector import Http
from collectors.http.tokens import Token

__all__ = ["Http", "Token"]
