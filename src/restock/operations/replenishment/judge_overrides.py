"""Plans and planners' decisions judged against what came: which of them was cheaper, and whose forecast was nearer.

What happened is one path: the demand of the days since, and how long an order really took. On it the planned quantity,
the decided one, and the order of a rule of averages are priced over the same window, from the same stock. Plan value
added is what the rule of averages would have cost more than the plan; an override's, what the plan would have cost more
than the decision; forecast value added, by how many units the forecast was nearer to demand than the average.

Source: Gilliland (2010), The Business Forecasting Deal, chapter 4 (forecast value added).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.storage import read_table
from restock.errors import DataError, NotFoundError
from restock.operations.daily_forecast import FORECAST_FILE, partition_folder
from restock.operations.replenishment.kept_lines import KeptLines, LineChoice, read_kept_lines
from restock.operations.stock.overrides import Decision
from restock.replenishment.order_lines import OpenOrders, OrderLines
from restock.replenishment.order_outcomes import order_outcomes
from restock.settings import Settings
from restock.tables import SALES

Quantities = NDArray[np.float64]

# Periods before the plan that the rule of averages looks at.
_AVERAGED_PERIODS = 56
# Of normal demand: 98 % of cycles without a stockout, as the rule of averages is usually set.
_NORMAL_SCORE = 2.054
_SCHEMA = {
    "sku": pl.String(),
    "location": pl.String(),
    "as_of": pl.Date(),
    "window_end": pl.Date(),
    "demand_units": pl.Float64(),
    "estimated_share": pl.Float64(),
    "planned_quantity": pl.Float64(),
    "average_rule_quantity": pl.Float64(),
    "planned_cost": pl.Float64(),
    "average_rule_cost": pl.Float64(),
    "forecast_error_units": pl.Float64(),
    "average_error_units": pl.Float64(),
}


@dataclass(frozen=True, kw_only=True)
class JudgedDecision:
    """A decision and what became of it.

    Attributes:
        decision: what was decided.
        waits_for: why it can't be judged yet; None: it is judged.
        planned_quantity: units; None where it is not judged.
        planned_cost: currency over the window, had the plan been followed.
        decided_cost: the same with the decision.
        demand_units: of the window.
        estimated_share: of the window's demand that a stockout hid.
        window_end: last day that counts.
    """

    decision: Decision
    waits_for: str | None = None
    planned_quantity: float | None = None
    planned_cost: float | None = None
    decided_cost: float | None = None
    demand_units: float | None = None
    estimated_share: float | None = None
    window_end: date | None = None

    @property
    def value_added(self) -> float | None:
        """Currency that the decision saved beside the plan; below 0: it cost more."""
        if self.planned_cost is None or self.decided_cost is None:
            return None
        return self.planned_cost - self.decided_cost

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        numbers = ("planned_quantity", "planned_cost", "decided_cost", "demand_units", "estimated_share", "value_added")
        decision = vars(self.decision) | {
            "as_of": self.decision.as_of.isoformat(),
            "created_at_utc": self.decision.created_at_utc.isoformat(),
        }
        return {
            **decision,
            "waits_for": self.waits_for,
            "window_end": None if self.window_end is None else self.window_end.isoformat(),
            **{name: None if getattr(self, name) is None else round(getattr(self, name), 4) for name in numbers},
        }


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What happened to lines of a plan, each of shape (n_lines,) but the lines themselves.

    Attributes:
        order_lines: with what came as the only path.
        covered: reviews until the order that follows.
        n_periods: length of the window from the plan on.
        demand: units of the window.
        estimated: share of it that a stockout hid.
        mean, deviation: of sales before the plan, units a period.
    """

    order_lines: OrderLines
    covered: NDArray[np.int64]
    n_periods: NDArray[np.int64]
    demand: Quantities
    estimated: Quantities
    mean: Quantities
    deviation: Quantities


def judge_plan(settings: Settings, *, as_of: date, choice: LineChoice | None = None) -> pl.DataFrame:
    """Return what became of a plan's lines whose window is over: one row a line, columns as `_SCHEMA`.

    A warehouse's lines are not judged: its customers are its stores.

    Args:
        settings: workspace with the plan, its forecast and sales since.
        as_of: day of the plan.
        choice: which lines; None: all.

    Raises:
        NotFoundError: the day has no plan, or no such lines.
        DataError: the plan's forecast was replaced since.
    """
    kept = read_kept_lines(settings, choice or LineChoice(), as_of=as_of)
    outcome = _happened(settings, kept)
    is_over = outcome.n_periods <= outcome.order_lines.demand_paths.shape[2]
    rows = np.flatnonzero(is_over & ~kept.is_warehouse)
    if not rows.size:
        return pl.DataFrame(schema=_SCHEMA)
    planned = kept.table["order_quantity"].to_numpy()
    average = _average_orders(kept, outcome)
    error, naive = _errors(settings, kept, outcome)
    ends = [_day_after(kept, int(periods)) for periods in outcome.n_periods[rows]]
    return pl.DataFrame(
        {
            "sku": kept.lines["sku"].to_numpy()[rows],
            "location": kept.lines["location"].to_numpy()[rows],
            "as_of": [as_of] * len(rows),
            "window_end": ends,
            "demand_units": outcome.demand[rows],
            "estimated_share": outcome.estimated[rows],
            "planned_quantity": planned[rows],
            "average_rule_quantity": average[rows],
            "planned_cost": _costs(kept, outcome, rows, planned[rows]),
            "average_rule_cost": _costs(kept, outcome, rows, average[rows]),
            "forecast_error_units": error[rows],
            "average_error_units": naive[rows],
        },
        schema=_SCHEMA,
    )


def summarise_judged(judged: pl.DataFrame) -> dict[str, Any]:
    """Return the value that plans and forecasts added, over all judged lines."""
    if judged.is_empty():
        return {"lines": 0, "plan_value_added": None, "forecast_value_added_units": None}
    total = judged.select(pl.selectors.float().sum()).row(0, named=True)
    return {
        "lines": judged.height,
        "planned_cost": round(total["planned_cost"], 2),
        "average_rule_cost": round(total["average_rule_cost"], 2),
        "plan_value_added": round(total["average_rule_cost"] - total["planned_cost"], 2),
        "forecast_error_units": round(total["forecast_error_units"], 2),
        "average_error_units": round(total["average_error_units"], 2),
        "forecast_value_added_units": round(total["average_error_units"] - total["forecast_error_units"], 2),
        "demand_units": round(total["demand_units"], 2),
    }


def judge_decisions(settings: Settings, decisions: Sequence[Decision]) -> list[JudgedDecision]:
    """Return what became of planners' decisions, in their order; those whose window is not over wait.

    Args:
        settings: workspace with the plans.
        decisions: what was decided.
    """
    by_day: dict[date, list[Decision]] = {}
    for decision in decisions:
        by_day.setdefault(decision.as_of, []).append(decision)
    found: dict[str, JudgedDecision] = {}
    for day, some in by_day.items():
        found |= _judge_day(settings, day, some)
    return [found[decision.override] for decision in decisions]


def summarise_decisions(judged: Sequence[JudgedDecision]) -> dict[str, dict[str, Any]]:
    """Return by planner: how many decisions were judged, how many were cheaper than the plan, and what they saved."""
    found: dict[str, dict[str, Any]] = {}
    for each in judged:
        one = found.setdefault(
            each.decision.created_by, {"decisions": 0, "judged": 0, "cheaper_than_plan": 0, "value_added": 0.0}
        )
        one["decisions"] += 1
        if each.value_added is not None:
            one["judged"] += 1
            one["cheaper_than_plan"] += each.value_added > 0
            one["value_added"] = round(one["value_added"] + each.value_added, 4)
    return found


def _judge_day(settings: Settings, day: date, decisions: Sequence[Decision]) -> Mapping[str, JudgedDecision]:
    choice = LineChoice(pairs=tuple({(decision.sku, decision.location) for decision in decisions}))
    try:
        kept = read_kept_lines(settings, choice, as_of=day)
        outcome = _happened(settings, kept)
    except (NotFoundError, DataError) as error:
        return {each.override: JudgedDecision(decision=each, waits_for=str(error)) for each in decisions}
    places = {pair: row for row, pair in enumerate(kept.lines.select("sku", "location").iter_rows())}
    found = {}
    for decision in decisions:
        row = places.get((decision.sku, decision.location))
        found[decision.override] = (
            JudgedDecision(decision=decision, waits_for=f"the plan of {day} has no such line.")
            if row is None
            else _judge_one(kept, outcome, decision, row)
        )
    return found


def _judge_one(kept: KeptLines, outcome: _Outcome, decision: Decision, row: int) -> JudgedDecision:
    if kept.is_warehouse[row]:
        return JudgedDecision(decision=decision, waits_for="a warehouse's customers are its stores: it is not judged.")
    end = _day_after(kept, int(outcome.n_periods[row]))
    if outcome.n_periods[row] > outcome.order_lines.demand_paths.shape[2]:
        return JudgedDecision(decision=decision, waits_for=f"sales up to {end} are not stored yet.", window_end=end)
    rows, planned = np.array([row]), float(kept.table["order_quantity"][row])
    decided = np.array([decision.order_quantity])
    return JudgedDecision(
        decision=decision,
        planned_quantity=planned,
        planned_cost=float(_costs(kept, outcome, rows, np.array([planned]))[0]),
        decided_cost=float(_costs(kept, outcome, rows, decided)[0]),
        demand_units=float(outcome.demand[row]),
        estimated_share=float(outcome.estimated[row]),
        window_end=end,
    )


def _costs(kept: KeptLines, outcome: _Outcome, rows: NDArray[np.intp], quantity: Quantities) -> Quantities:
    """Return what quantities cost on what came, holding, shortage, waste and ordering, currency."""
    return order_outcomes(
        outcome.order_lines.select(rows),
        kept.real_terms.select(rows),
        covered_reviews=outcome.covered[rows],
        order_quantity=quantity,
    ).cost


def _happened(settings: Settings, kept: KeptLines) -> _Outcome:
    """Return what came after a plan: demand, and lead times at their median, as an order's own is not told apart."""
    lines, order_lines = kept.lines, kept.order_lines
    sold, n_known = _sales_of(settings, kept)
    after = sold.filter(pl.col("period").is_between(0, n_known - 1))
    units, hidden = np.zeros((lines.height, n_known)), np.zeros((lines.height, n_known), dtype=np.bool_)
    place = (after["line"].to_numpy(), after["period"].to_numpy())
    units[place] = after["units_sold"].to_numpy()
    hidden[place] = after["stockout_share"].fill_null(0.0).to_numpy() > 0
    expected = order_lines.demand_paths.mean(axis=1, dtype=np.float64)
    common = min(n_known, expected.shape[1])
    # Where a stockout hid demand, at least what was expected of the period counts.
    raised = np.where(hidden[:, :common], np.maximum(units[:, :common], expected[:, :common]), units[:, :common])
    added = raised - units[:, :common]
    units[:, :common] = raised
    middle = np.rint(np.median(order_lines.lead_times, axis=1)).astype(np.int64)
    covered = np.array([json.loads(text)["covered_reviews"] for text in kept.table["reasons"]], dtype=np.int64)
    n_periods = np.maximum(covered * order_lines.review_periods + middle, middle + 1)
    inside = np.arange(n_known) < n_periods[:, None]
    demand = (units * inside).sum(axis=1)
    before = sold.filter(pl.col("period") < 0)
    history = np.zeros((lines.height, _AVERAGED_PERIODS))
    history[before["line"].to_numpy(), before["period"].to_numpy()] = before["units_sold"].to_numpy()
    return _Outcome(
        order_lines=_on_one_path(order_lines, units, middle),
        covered=covered,
        n_periods=n_periods,
        demand=demand,
        estimated=np.divide(
            (added * inside[:, :common]).sum(axis=1), demand, out=np.zeros(lines.height), where=demand > 0
        ),
        mean=history.mean(axis=1),
        deviation=history.std(axis=1),
    )


def _on_one_path(order_lines: OrderLines, units: Quantities, lead_times: NDArray[np.int64]) -> OrderLines:
    """Return lines with one path: the demand that came, orders received when the median of their draws says."""
    opened = order_lines.open_orders
    if opened is not None:
        arrivals = np.rint(np.median(opened.arrival_periods, axis=1)).astype(np.int64)[:, None]
        came = opened.units if opened.units.ndim == 1 else opened.units.mean(axis=1)
        opened = OpenOrders(series=opened.series, units=came, arrival_periods=arrivals)
    return replace(
        order_lines,
        demand_paths=units[:, None, :].astype(np.float32),
        lead_times=lead_times[:, None],
        next_lead_times=None,
        open_orders=opened,
    )


def _sales_of(settings: Settings, kept: KeptLines) -> tuple[pl.DataFrame, int]:
    """Return columns line, period (0: the first after the plan), units_sold, stockout_share, around a plan.

    And how many periods after it are known as a whole, of whatever was sold: a line without a row sold nothing.
    """
    days, first = kept.frequency.days, kept.kept.as_of + timedelta(days=1)
    path = settings.data_dir / "validated" / f"{SALES.name}.parquet"
    places = kept.lines.with_row_index("line").select("sku", "location", pl.col("line").cast(pl.Int64))
    sales = read_table(path, SALES)
    last = kept.kept.as_of if sales.is_empty() else sales.select(pl.col("date").max()).item()
    sold = (
        sales.filter(pl.col("date") >= first - timedelta(days=_AVERAGED_PERIODS * days))
        .join(places, on=["sku", "location"], how="inner")
        .with_columns(period=(pl.col("date") - pl.lit(first)).dt.total_days().floordiv(days))
        .filter(pl.col("period") >= -_AVERAGED_PERIODS)
        .group_by("line", "period")
        .agg(pl.col("units_sold").sum(), pl.col("stockout_share").max())
    )
    return sold, max(0, (last - kept.kept.as_of).days // days)


def _average_orders(kept: KeptLines, outcome: _Outcome) -> Quantities:
    """Return what the rule of averages would have ordered: up to average demand and a normal safety stock."""
    lead = kept.order_lines.lead_times
    periods = lead.mean(axis=1) + kept.order_lines.review_periods
    spread = np.sqrt(periods * outcome.deviation**2 + (outcome.mean * lead.std(axis=1)) ** 2)
    level = np.ceil(outcome.mean * periods + _NORMAL_SCORE * spread)
    wanted = np.maximum(level - kept.order_lines.inventory_position, 0.0)
    terms = kept.real_terms
    multiple, least = np.asarray(terms.order_multiple), np.asarray(terms.minimum_order_quantity)
    # 1e-6: positions are sums of floats.
    rounded = np.ceil(np.maximum(wanted, np.where(wanted > 0, least, 0.0)) / multiple - 1e-6) * multiple
    return np.asarray(rounded, dtype=np.float64)


def _errors(settings: Settings, kept: KeptLines, outcome: _Outcome) -> tuple[Quantities, Quantities]:
    """Return by how many units the window's demand differed from the forecast's mean and from the average of before."""
    horizon = kept.order_lines.demand_paths.shape[2]
    first = kept.kept.as_of + timedelta(days=1)
    places = kept.lines.with_row_index("line").select("sku", "location", pl.col("line").cast(pl.Int64))
    means = (
        pl.read_parquet(partition_folder(settings.data_dir, kept.kept.as_of) / FORECAST_FILE)
        .select("sku", "location", "date", "mean_demand_units")
        .unique(["sku", "location", "date"])
        .join(places, on=["sku", "location"], how="inner")
        .with_columns(period=(pl.col("date") - pl.lit(first)).dt.total_days().floordiv(kept.frequency.days))
        .filter(pl.col("period").is_between(0, horizon - 1))
    )
    expected = np.zeros((kept.lines.height, horizon))
    expected[means["line"].to_numpy(), means["period"].to_numpy()] = means["mean_demand_units"].to_numpy()
    inside = np.arange(horizon) < outcome.n_periods[:, None]
    forecast = (expected * inside).sum(axis=1)
    average = outcome.mean * np.minimum(outcome.n_periods, horizon)
    return np.abs(outcome.demand - forecast), np.abs(outcome.demand - average)


def _day_after(kept: KeptLines, periods: int) -> date:
    """Return the last day of so many periods after the plan's day."""
    return kept.kept.as_of + timedelta(days=periods * kept.frequency.days)
