"""Recommendations for lines as they are now: the latest plan's, or planned anew where stock or terms have changed.

Changed lines are planned on the same sample paths, each on its own: what a day's lines share (budget, room, transport)
is in the kept plan only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError, NotFoundError
from restock.operations.replenishment.kept_lines import KeptLines, LineChoice, read_kept_lines
from restock.replenishment.order_lines import Objective, OrderLines, OrderTerms
from restock.replenishment.order_outcomes import order_outcomes
from restock.replenishment.order_plan import OrderPlan, plan_orders
from restock.settings import Settings

Quantities = NDArray[np.float64]

_CHANGES = (
    "on_hand",
    "lead_time_days",
    "review_periods",
    "minimum_order_quantity",
    "order_multiple",
    "fixed_order_cost",
    "service_target",
)


@dataclass(frozen=True, kw_only=True)
class AskedLine:
    """A line and what is different about it; None: as in the plan.

    Attributes:
        sku: the article.
        location: where to.
        on_hand: units there now.
        lead_time_days: what every order takes, days.
        review_periods: periods until the next order can be placed.
        minimum_order_quantity: units.
        order_multiple: units.
        fixed_order_cost: currency an order.
        service_target: share of demand to serve, 0-1, with the least that does.
    """

    sku: str
    location: str
    on_hand: float | None = None
    lead_time_days: int | None = None
    review_periods: int | None = None
    minimum_order_quantity: float | None = None
    order_multiple: float | None = None
    fixed_order_cost: float | None = None
    service_target: float | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything is different."""
        return any(getattr(self, name) is not None for name in _CHANGES)


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to order of one line.

    Attributes:
        sku: the article.
        location: where to.
        supplier: from whom.
        order_quantity: units.
        planned_quantity: units that the kept plan orders.
        is_changed: whether it was planned anew.
        reorder_point: units.
        order_up_to_level: units.
        safety_stock: units.
        inventory_position: units.
        protection_demand_mean: units until the order after this one is received.
        expected_cost: currency until then, with the order.
        unordered_cost: the same without it.
        fill_rate: expected share of demand served, with the order.
        stockout_probability: with the order.
        unordered_stockout_probability: the same without it.
        binding: what keeps the order from the quantity wanted.
    """

    sku: str
    location: str
    supplier: str
    order_quantity: float
    planned_quantity: float
    is_changed: bool
    reorder_point: float
    order_up_to_level: float
    safety_stock: float
    inventory_position: float
    protection_demand_mean: float
    expected_cost: float
    unordered_cost: float
    fill_rate: float
    stockout_probability: float
    unordered_stockout_probability: float
    binding: str


@dataclass(frozen=True, kw_only=True)
class Recommendations:
    """Recommendations with what made them.

    Attributes:
        as_of: day of the plan.
        forecast_version: of its forecast.
        policy_version: of its policy; None: none was promoted.
        lines: in the order asked for.
    """

    as_of: date
    forecast_version: str
    policy_version: str | None
    lines: tuple[Recommendation, ...]


def recommend(settings: Settings, asked: Sequence[AskedLine], *, as_of: date | None = None) -> Recommendations:
    """Return what to order of some lines.

    Args:
        settings: workspace with the plan.
        asked: lines, each once.
        as_of: day of the plan; None: the latest.

    Raises:
        NotFoundError: there is no plan, or it has no such line.
        DataError: a line is asked for twice, or the plan's forecast was replaced.
    """
    pairs = tuple((line.sku, line.location) for line in asked)
    if len(set(pairs)) != len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise DataError(f"{twice[0]} at {twice[1]} is asked for twice. Ask for each line once.")
    kept = read_kept_lines(settings, LineChoice(pairs=pairs), as_of=as_of)
    places = {pair: row for row, pair in enumerate(kept.lines.select("sku", "location").iter_rows())}
    missing = [pair for pair in pairs if pair not in places]
    if missing:
        raise NotFoundError(
            f"the plan of {kept.kept.as_of} has no line {missing[0][0]} at {missing[0][1]}"
            + (f" (and {len(missing) - 1} more)." if len(missing) > 1 else ".")
        )
    order = np.array([places[pair] for pair in pairs], dtype=np.intp)
    order_lines, terms = kept.order_lines.select(order), kept.terms.select(order)
    real = kept.real_terms.select(order)
    lines, table = kept.lines[order], kept.table[order]
    order_lines = _changed_lines(order_lines, asked, kept)
    terms, real = _changed_terms(terms, asked), _changed_terms(real, asked)
    found: list[Recommendation | None] = [None] * len(asked)
    has_target = np.array([line.service_target is not None for line in asked])
    groups = ((kept.objective, np.flatnonzero(~has_target)), (Objective.FILL_RATE, np.flatnonzero(has_target)))
    for objective, rows in groups:
        if rows.size:
            plan = plan_orders(order_lines.select(rows), terms.select(rows), objective=objective)
            some = _described(
                [asked[row] for row in rows.tolist()], lines[rows], table[rows], plan=plan,
                order_lines=order_lines.select(rows), real=real.select(rows),
            )  # fmt: skip
            for row, one in zip(rows.tolist(), some, strict=True):
                found[row] = one
    described = kept.kept.description
    return Recommendations(
        as_of=kept.kept.as_of,
        forecast_version=described["forecast"]["model_version"],
        policy_version=kept.policy.version,
        lines=tuple(one for one in found if one is not None),
    )


def _described(
    asked: Sequence[AskedLine],
    lines: pl.DataFrame,
    table: pl.DataFrame,
    *,
    plan: OrderPlan,
    order_lines: OrderLines,
    real: OrderTerms,
) -> list[Recommendation]:
    changed = np.array([line.is_changed for line in asked])
    planned = table["order_quantity"].to_numpy()
    order = np.where(changed, plan.order_quantity, planned)
    # What is not ordered can be at the next review: until then only is the lack of an order felt.
    covered = np.where(order > 0, plan.covered_reviews, 1)
    after, before = (
        order_outcomes(order_lines, real, covered_reviews=covered, order_quantity=quantity)
        for quantity in (order, np.zeros(len(order)))
    )
    columns: dict[str, Any] = {
        "order_quantity": order,
        "planned_quantity": planned,
        "reorder_point": plan.reorder_point,
        "order_up_to_level": plan.order_up_to_level,
        "safety_stock": plan.safety_stock,
        "inventory_position": plan.inventory_position,
        "protection_demand_mean": plan.protection_demand_mean,
        "expected_cost": after.cost,
        "unordered_cost": before.cost,
        "fill_rate": np.clip(after.fill_rate, 0.0, 1.0),
        "stockout_probability": after.stockout_probability,
        "unordered_stockout_probability": before.stockout_probability,
    }
    own = [binding.value for binding in plan.bindings]
    return [
        Recommendation(
            sku=line.sku,
            location=line.location,
            supplier=lines["supplier"][row],
            is_changed=line.is_changed,
            binding=own[row] if line.is_changed else table["binding"][row],
            **{name: round(float(values[row]), 6) for name, values in columns.items()},
        )
        for row, line in enumerate(asked)
    ]


def _changed_lines(order_lines: OrderLines, asked: Sequence[AskedLine], kept: KeptLines) -> OrderLines:
    """Return lines with the stock, lead times and reviews that were asked for."""
    on_hand = _given(asked, "on_hand", order_lines.on_hand)
    is_counted = np.array([line.on_hand is not None for line in asked])
    lead_times = np.array(order_lines.lead_times)
    for row, line in enumerate(asked):
        if line.lead_time_days is not None:
            # An order of tonight with a lead time of one day is there in period 0.
            lead_times[row] = max(1, -(-line.lead_time_days // kept.frequency.days)) - 1
    return replace(
        order_lines,
        on_hand=on_hand,
        # Whoever counts stock has served who was waiting.
        backorders=np.where(is_counted & (on_hand > 0), 0.0, order_lines.backorders),
        lead_times=lead_times,
        review_periods=_given(asked, "review_periods", order_lines.review_periods).astype(np.int64),
    )


def _changed_terms(terms: OrderTerms, asked: Sequence[AskedLine]) -> OrderTerms:
    targets = np.array([np.nan if line.service_target is None else line.service_target for line in asked])
    has_target = np.isfinite(targets)
    return replace(
        terms,
        minimum_order_quantity=_given(asked, "minimum_order_quantity", terms.minimum_order_quantity),
        order_multiple=_given(asked, "order_multiple", terms.order_multiple),
        fixed_order_cost=_given(asked, "fixed_order_cost", terms.fixed_order_cost),
        fill_rate=np.where(has_target, targets, terms.fill_rate),
        cycle_service_level=np.where(has_target, np.nan, terms.cycle_service_level),
    )


def _given(asked: Sequence[AskedLine], name: str, values: NDArray[Any]) -> Quantities:
    """Return values with those that were asked for in their place."""
    changed = np.array(values, dtype=np.float64)
    for row, line in enumerate(asked):
        value = getattr(line, name)
        if value is not None:
            changed[row] = value
    return changed
