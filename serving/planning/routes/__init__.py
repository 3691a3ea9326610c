"""The routes of the planning API, one module an area."""

from __future__ import annotations

from fastapi import APIRouter

from serving.planning.routes import audit, counts, exchange, planning, purchase_orders, stock, transfers


def all_routers() -> tuple[APIRouter, ...]:
    """Return the routers of all areas."""
    return (
        audit.router,
        counts.router,
        exchange.router,
        planning.router,
        purchase_orders.router,
        stock.router,
        transfers.router,
    )
