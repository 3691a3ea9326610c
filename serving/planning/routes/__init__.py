"""The routes of the planning API, one module an area."""

from __future__ import annotations

from fastapi import APIRouter

from serving.planning.routes import (
    audit,
    catalogue,
    counts,
    places,
    planning,
    purchase_orders,
    scan,
    stock,
    transfers,
)


def all_routers() -> tuple[APIRouter, ...]:
    """Return the routers of all areas."""
    return (
        audit.router,
        catalogue.router,
        counts.router,
        places.router,
        planning.router,
        purchase_orders.router,
        scan.router,
        stock.router,
        transfers.router,
    )
