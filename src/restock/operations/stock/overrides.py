"""What planners decide in place of a plan, with the reason, so that it can be judged later against what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select, update

from restock.adapters.database.catalogue_tables import ProductRow
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit
from restock.adapters.database.planning_tables import OverrideRow, PlanRow
from restock.adapters.database.product_facts import read_product_facts
from restock.errors import ConflictError, DataError, NotFoundError
from restock.operations.stock.once import Write, write_once
from restock.operations.stock.places import require_location


@dataclass(frozen=True, kw_only=True)
class OverrideDraft:
    """A planner's decision.

    Attributes:
        sku: the product.
        location: where.
        as_of: day of the plan that it stands in place of.
        order_quantity: what to order, base units, at least 0.
        reason: why.
    """

    sku: str
    location: str
    as_of: date
    order_quantity: Decimal
    reason: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A planner's decision in place of a plan.

    Attributes:
        override: its identifier.
        sku: the article.
        location: where to.
        as_of: day of the plan.
        order_quantity: what was decided, base units.
        reason: why.
        created_by: by whom.
        created_at_utc: when.
    """

    override: str
    sku: str
    location: str
    as_of: date
    order_quantity: float
    reason: str
    created_by: str
    created_at_utc: datetime


def override_plan(connection: Connection, draft: OverrideDraft, write: Write) -> dict[str, Any]:
    """Return the reply to a planner's decision; what was planned is kept beside it.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what was decided.
        write: key, request, who and when.

    Raises:
        NotFoundError: the sku or the location is unknown.
        DataError: the quantity is below 0.
    """

    def perform() -> dict[str, Any]:
        require_location(connection, draft.location)
        units = read_product_facts(connection, [draft.sku])[draft.sku].units
        if draft.order_quantity < 0:
            raise DataError(f"order_quantity must be 0 or more, got {draft.order_quantity}.")
        planned = connection.execute(
            select(PlanRow.order_quantity).where(
                PlanRow.sku == draft.sku, PlanRow.location == draft.location, PlanRow.as_of == draft.as_of
            )
        ).scalar_one_or_none()
        override = f"OV-{new_identifier(write.now)}"
        connection.execute(
            insert(OverrideRow),
            {
                "override": override,
                "sku": draft.sku,
                "location": draft.location,
                "as_of": draft.as_of,
                "planned_quantity": planned,
                "order_quantity": units.to_scaled(draft.order_quantity, units.base_unit),
                "reason": draft.reason,
                "created_at_utc": write.now,
                "created_by": write.actor,
            },
        )
        details = {"sku": draft.sku, "location": draft.location, "reason": draft.reason}
        append_audit(
            connection, actor=write.actor, action="override_plan", subject=override, now=write.now, details=details
        )
        return {"override": override}

    return write_once(connection, write, perform)


def read_decisions(
    connection: Connection,
    *,
    as_of: date | None = None,
    sku: str | None = None,
    location: str | None = None,
    limit: int = 500,
) -> list[Decision]:
    """Return planners' decisions that were not withdrawn, the latest first, ready to be judged.

    Args:
        connection: in a transaction.
        as_of: only of plans of this day.
        sku: only of this product.
        location: only at this location.
        limit: at most so many.
    """
    asked = {OverrideRow.as_of: as_of, OverrideRow.sku: sku, OverrideRow.location: location}
    rows = connection.execute(
        select(OverrideRow.__table__, ProductRow.quantity_decimals)
        .join(ProductRow, ProductRow.sku == OverrideRow.sku)
        .where(OverrideRow.withdrawn_at_utc.is_(None))
        .where(*(column == value for column, value in asked.items() if value is not None))
        .order_by(OverrideRow.created_at_utc.desc(), OverrideRow.override.desc())
        .limit(limit)
    ).mappings()
    copied = ("override", "sku", "location", "as_of", "reason", "created_by", "created_at_utc")
    return [
        Decision(
            **{name: row[name] for name in copied},
            order_quantity=float(Decimal(row["order_quantity"]).scaleb(-row["quantity_decimals"])),
        )
        for row in rows
    ]


def withdraw_override(connection: Connection, override: str, write: Write) -> dict[str, Any]:
    """Return the reply to a decision that is taken back; it stays, marked.

    Raises:
        NotFoundError: there is no such override.
        ConflictError: it is withdrawn already.
    """

    def perform() -> dict[str, Any]:
        row = connection.execute(
            select(OverrideRow.withdrawn_at_utc).where(OverrideRow.override == override).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no override {override!r}.")
        if row.withdrawn_at_utc is not None:
            raise ConflictError(f"override {override!r} was withdrawn on {row.withdrawn_at_utc:%Y-%m-%d}.")
        connection.execute(
            update(OverrideRow).where(OverrideRow.override == override).values(withdrawn_at_utc=write.now)
        )
        append_audit(
            connection, actor=write.actor, action="withdraw_override", subject=override, now=write.now, details={}
        )
        return {"override": override}

    return write_once(connection, write, perform)
