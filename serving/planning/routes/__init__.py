"""The routes of the planning API, one module an area."""

from __future__ import annotations

from fastapi import APIRouter

from serving.planning.routes import alerts, audit, counts, events, planning, purchase_orders, stock, transfers, webhooks


def all_routers() -> tuple[APIRouter, ...]:
    """Return the routers of all areas."""
    return (
        alerts.router,
        audit.router,
        counts.router,
        events.router,
        planning.router,
        purchase_orders.router,
        stock.router,
        transfers.router,
        webhooks.router,
    )
