"""Why a kept plan orders what it orders of one sku at one location: the same numbers whenever they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from restock.operations.replenishment.kept_lines import KeptLines, LineChoice, read_kept_lines
from restock.replenishment.feasible_orders import Binding
from restock.replenishment.order_explanation import OrderExplanation, explain_order
from restock.replenishment.order_plan import plan_orders, with_orders
from restock.settings import Settings

# Sums of float32 on another machine differ in the last digits only; what a person reads stays.
_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class ExplainedLine:
    """Why a line's order is what it is.

    Attributes:
        sku: the article.
        location: where to.
        as_of: day of the plan.
        supplier: from whom.
        explanation: everything that the order stands on.
        shortage_cost: what a unit short costs, currency.
        shortage_multiple: of it that the promoted policy reckons with.
        segment: of its demand, such as A-smooth.
        is_reproduced: whether planning it anew gives the kept order; false where the code has changed since.
        stock_as_of: day of the stock that was known.
        policy_version: the promoted policy; None: none was.
        data_hashes: SHA-256 of every table behind forecast and plan.
    """

    sku: str
    location: str
    as_of: date
    supplier: str
    explanation: OrderExplanation
    shortage_cost: float
    shortage_multiple: float
    segment: str
    is_reproduced: bool
    stock_as_of: date
    policy_version: str | None
    data_hashes: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON, floats to the sixth decimal."""
        plain = asdict(self)
        explanation = plain.pop("explanation")
        for name in ("lead_time_quantiles", "protection_demand_quantiles"):
            explanation[name] = {str(share): value for share, value in explanation[name].items()}
        sentence = explanation.pop("sentence")
        rounded: dict[str, Any] = _rounded({**plain, "sentence": sentence, **explanation})
        return rounded


def explain_plan_line(
    settings: Settings, *, sku: str, location: str, as_of: date | None = None, lead_time_change: int = 2
) -> ExplainedLine:
    """Return why the plan of a day orders what it orders of one line.

    Args:
        settings: workspace with the plan.
        sku: the article.
        location: where to.
        as_of: day of the plan; None: the latest.
        lead_time_change: periods of lead time, fewer and more, that are tried.

    Raises:
        NotFoundError: the day has no plan, or the plan has no such line; the reason is named where it was left out.
        DataError: the forecast that it stands on was replaced since.
    """
    kept = read_kept_lines(settings, LineChoice(pairs=((sku, location),)), as_of=as_of)
    return explain_kept_line(kept, lead_time_change=lead_time_change)


def explain_kept_line(kept: KeptLines, *, lead_time_change: int = 2) -> ExplainedLine:
    """Return why the first of some kept lines is ordered as it is."""
    row, line = kept.table.row(0, named=True), kept.lines.row(0, named=True)
    first = np.array([0])
    order_lines, terms, real = kept.order_lines.select(first), kept.terms.select(first), kept.real_terms.select(first)
    plan = plan_orders(order_lines, terms, objective=kept.objective)
    own = (float(plan.order_quantity[0]), plan.bindings[0].value)
    in_force = with_orders(
        plan,
        order_lines,
        terms,
        order_quantity=np.array([row["order_quantity"]], dtype=np.float64),
        bindings=[Binding(row["binding"])],
    )
    described = kept.kept.description
    hashes = {**described["forecast"]["data_hashes"], **described["data_hashes"]}
    explanation = explain_order(
        order_lines,
        terms,
        0,
        objective=kept.objective,
        shared=in_force,
        valued=real,
        period_name=kept.period_name,
        lead_time_change=lead_time_change,
        # Orders are placed at the end of the plan's day; period 0 is the day after it.
        periods_before=1,
        forecast_version=described["forecast"]["model_version"],
        data_hash=_hash_of(hashes),
    )
    return ExplainedLine(
        sku=row["sku"],
        location=row["location"],
        as_of=kept.kept.as_of,
        supplier=row["supplier"],
        explanation=explanation,
        shortage_cost=float(line["shortage_cost"]),
        shortage_multiple=float(terms.shortage_cost[0] / line["shortage_cost"]),
        segment=line["segment"],
        # What lines share may take from what a line would order alone.
        is_reproduced=own == (row["order_quantity"], row["binding"]) or own[1] != row["binding"],
        stock_as_of=line["stock_as_of"],
        policy_version=row["policy_version"],
        data_hashes=hashes,
    )


def _hash_of(hashes: dict[str, str]) -> str:
    """Return one SHA-256 of those of all tables."""
    text = "\n".join(f"{name}={digest}" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
