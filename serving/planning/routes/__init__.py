"""The routes of the planning API, one module an area."""

from __future__ import annotations

from fastapi import APIRouter

from serving.planning.routes import stock


def all_routers() -> tuple[APIRouter, ...]:
    """Return the routers of all areas."""
    return (stock.router,)
