"""The work of a day: forecast where there is none, plan, and where asked for store it and draft its orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.migrate import require_migrated
from restock.errors import ConflictError
from restock.operations.daily_forecast import list_partitions, write_daily_forecast
from restock.operations.replenishment.daily_plan import DailyPlan, write_daily_plan
from restock.operations.replenishment.store_plan import StoredPlan, store_plan
from restock.operations.stock.once import Write
from restock.operations.stock.purchase_orders import draft_from_plan
from restock.params import Params
from restock.settings import Settings


@dataclass(frozen=True, kw_only=True)
class DraftedOrders:
    """A plan in the ledger, and the orders drafted from it.

    Attributes:
        stored: what became of the plan in the database.
        purchase_orders: numbers of those that were drafted now.
        drafted_before: how many of the same plan were drafted before, and stay.
        warehouse_lines: lines that a warehouse of the company supplies.
    """

    stored: StoredPlan
    purchase_orders: tuple[str, ...]
    drafted_before: int
    warehouse_lines: int

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "stored": self.stored.to_json(),
            "purchase_orders": list(self.purchase_orders),
            "drafted_before": self.drafted_before,
            "warehouse_lines": self.warehouse_lines,
        }


def plan_day(
    settings: Settings, params: Params, *, as_of: date, on_progress: Callable[[int, int], None] | None = None
) -> DailyPlan:
    """Return the plan of a day, made anew; the day's forecast is made first where it is missing.

    Args:
        settings: workspace with validated data and promoted versions.
        params: seed, replenishment.
        as_of: the day.
        on_progress: called with (done, total) series of the forecast.

    Raises:
        NotFoundError: nothing is validated, or no promoted version may forecast that day.
        DataError: there are no supply terms, or nothing can be planned.
        InfeasiblePlanError: limits contradict each other.
    """
    if as_of not in list_partitions(settings.data_dir):
        write_daily_forecast(settings, as_of=as_of, on_progress=on_progress)
    return write_daily_plan(settings, params, as_of=as_of)


def draft_orders(settings: Settings, plan: DailyPlan, *, actor: str, now: datetime) -> DraftedOrders:
    """Store a plan in the ledger's database and draft an order per supplier and location, all or nothing.

    The same day again stores what changed and drafts no order twice.

    Args:
        settings: where the database is.
        plan: as kept.
        actor: who, for the audit log.
        now: when, UTC.

    Raises:
        NotReadyError: the database has no tables, or those of another version.
        NotFoundError: a supplier of the plan is not in the catalogue.
        DataError: a supplier has no terms for a sku there.
    """
    engine = require_migrated(open_database(settings.ledger_url))
    try:
        with write_transaction(engine) as connection:
            stored = store_plan(connection, plan, actor=actor, now=now)
            # One key a moment: what was drafted before is found by its plan, not by its key.
            key = f"plan-{plan.as_of.isoformat()}-{now.isoformat()}"
            request = {"route": "restock replenish plan", "as_of": plan.as_of.isoformat()}
            write = Write(key=key, request=request, actor=actor, now=now)
            try:
                reply = draft_from_plan(connection, write, as_of=plan.as_of, location=None)
            except ConflictError:
                # Nothing is to be ordered: the plan is stored all the same.
                reply = {"purchase_orders": [], "drafted_before": 0, "warehouse_lines": 0}
    finally:
        engine.dispose()
    return DraftedOrders(
        stored=stored,
        purchase_orders=tuple(order["purchase_order"] for order in reply["purchase_orders"]),
        drafted_before=reply["drafted_before"],
        warehouse_lines=reply["warehouse_lines"],
    )
