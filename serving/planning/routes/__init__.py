"""The routes of the planning API, one module an area."""

from __future__ import annotations

from fastapi import APIRouter

from serving.planning.routes import (
    alerts,
    analytics,
    audit,
    catalogue,
    counts,
    erp,
    events,
    exchange,
    identity,
    places,
    plan_questions,
    planning,
    purchase_orders,
    scan,
    stock,
    supply_analytics,
    transfers,
    webhooks,
)


def all_routers() -> tuple[APIRouter, ...]:
    """Return the routers of all areas."""
    return (
        alerts.router,
        analytics.router,
        audit.router,
        catalogue.router,
        counts.router,
        erp.router,
        events.router,
        exchange.router,
        identity.router,
        places.router,
        plan_questions.router,
        planning.router,
        purchase_orders.router,
        scan.router,
        stock.router,
        supply_analytics.router,
        transfers.router,
        webhooks.router,
    )
