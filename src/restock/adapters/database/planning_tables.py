"""What planning leaves: forecasts, plans, alerts, and what planners decided otherwise."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from restock.adapters.database.base import Base, Code, Day, Instant, Json, Money, Quantity, Words


class ForecastRow(Base):
    """A quantile of demand in one period; filled by the daily forecast."""

    __tablename__ = "forecasts"
    __table_args__ = (Index(None, "cutoff"),)

    sku: Mapped[Code] = mapped_column(primary_key=True)
    location: Mapped[Code] = mapped_column(primary_key=True)
    cutoff: Mapped[Day] = mapped_column(primary_key=True)
    date: Mapped[Day] = mapped_column(primary_key=True)
    model_version: Mapped[Code] = mapped_column(primary_key=True)
    mean_units: Mapped[float]
    # By probability level, units in the period.
    quantile_units: Mapped[Json]


class PlanRow(Base):
    """What to order of a sku for a location, and why; filled by replenishment."""

    __tablename__ = "plans"

    sku: Mapped[Code] = mapped_column(primary_key=True)
    location: Mapped[Code] = mapped_column(primary_key=True)
    as_of: Mapped[Day] = mapped_column(primary_key=True)
    supplier: Mapped[Code]
    reorder_point: Mapped[Quantity]
    order_up_to_level: Mapped[Quantity]
    order_quantity: Mapped[Quantity]
    expected_cost: Mapped[Money]
    expected_fill_rate: Mapped[float]
    reasons: Mapped[Json]
    forecast_version: Mapped[Code]
    # Null in rows from before there were these columns.
    safety_stock: Mapped[Quantity | None]
    unordered_cost: Mapped[Money | None]
    stockout_probability: Mapped[float | None]
    binding: Mapped[Code | None]
    # Null where no policy was promoted, too.
    policy_version: Mapped[Code | None]
    created_at_utc: Mapped[Instant]


class OverrideRow(Base):
    """What a planner decided in place of a plan, with the reason: judged later against what came."""

    __tablename__ = "planner_overrides"
    __table_args__ = (Index(None, "sku", "location", "as_of"),)

    override: Mapped[Code] = mapped_column(primary_key=True)
    sku: Mapped[Code]
    location: Mapped[Code]
    as_of: Mapped[Day]
    # What was planned; null where there was no plan.
    planned_quantity: Mapped[Quantity | None]
    order_quantity: Mapped[Quantity]
    reason: Mapped[Words]
    created_at_utc: Mapped[Instant]
    created_by: Mapped[Code]
    withdrawn_at_utc: Mapped[Instant | None]


class AlertRow(Base):
    """Something that a person should look at."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name="state"),
        Index(None, "state", "severity"),
        # One at a time about the same thing.
        Index(
            "ix_alerts_about",
            "about",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
    )

    alert: Mapped[Code] = mapped_column(primary_key=True)
    kind: Mapped[Code]
    severity: Mapped[Code]
    state: Mapped[Code]
    # What it is about, such as negative_stock:SKU:LOCATION.
    about: Mapped[Words]
    sku: Mapped[Code | None]
    location: Mapped[Code | None]
    summary: Mapped[Words]
    evidence: Mapped[Json]
    repair: Mapped[Json | None]
    created_at_utc: Mapped[Instant]
    acknowledged_at_utc: Mapped[Instant | None]
    acknowledged_by: Mapped[Code | None]
    resolved_at_utc: Mapped[Instant | None]
    resolved_by: Mapped[Code | None]
    note: Mapped[Words]
    version: Mapped[int]
