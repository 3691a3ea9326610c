"""Servers that the tests marked `real` start for themselves, on loopback, and stop again."""

from __future__ import annotations

from restock.adapters.private_postgresql import free_port, run_postgresql

__all__ = ["free_port", "run_postgresql"]
