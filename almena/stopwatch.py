"""Measures how long something takes; what takes long decides no verdict."""

from __future__ import annotations

from time import perf_counter_ns

__all__ = ["perf_counter_ns"]
