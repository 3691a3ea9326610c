"""What rules for ordering cost in the same past: the planner, the classical ones, and where its own cost comes from.

The policy is tuned on the earlier windows and judged on the later ones. Every difference between two rules is theirs
alone: demand, lead times and the stock at the start are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.operations.replenishment.replay import sum_into_warehouses
from restock.operations.replenishment.simulation import Simulation
from restock.replenishment.clairvoyant import KnownFuture, clairvoyant_orders
from restock.replenishment.policy_tuning import Attempt, LineGroup, line_multiples, tune_policy
from restock.replenishment.simulate import UnmetDemand
from restock.replenishment.walk_forward import FROM_OUTSIDE, OrderRule, Situation, Trading
from restock.timeline import add_periods

Quantities = NDArray[np.float64]

PLANNER, UNTUNED_PLANNER = "planner", "untuned_planner"
MIN_MAX, NORMAL_BASE_STOCK = "min_max", "normal_base_stock"
CLASSICAL = (MIN_MAX, NORMAL_BASE_STOCK)
KNOWN_DEMAND, KNOWN_DEMAND_AND_LEAD_TIME, UNCONSTRAINED = "known_demand", "known_demand_and_lead_time", "unconstrained"
BOUND = "clairvoyant_bound"
COSTS = ("holding", "shortage", "ordering", "waste")
# Windows that are judged, the first of them to fill the pipeline; the policy is tuned on those up to that one.
_JUDGED_WINDOWS = 3
# Of a rule that plans with averages: 98 % of cycles without a stockout, the usual in textbooks.
_NORMAL_SCORE = 2.054
# Periods of demand that a minimum holds beyond the lead time, and that lie between it and the maximum.
_MINIMUM_COVER, _MAXIMUM_COVER = 3.0, 7.0


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was found.

    Attributes:
        multiples: the tuned policy.
        attempts: of tuning.
        costs: columns rule, sku, holding, shortage, ordering, waste (currency), lost_units, demand_units, on_hand_value
            (currency, mean): every rule over the judged periods.
        first_judged: first period that counts.
        n_periods: how many periods were judged.
        tuned_on_judged: whether there were too few windows to keep tuning and judging apart.
    """

    multiples: dict[LineGroup, float]
    attempts: list[Attempt]
    costs: pl.DataFrame
    first_judged: date
    n_periods: int
    tuned_on_judged: bool

    def summary(self) -> dict[str, dict[str, float]]:
        """Return total cost, its parts, fill rate and mean stock value of every rule."""
        return summarise_costs(self.costs)


def judge_rules(simulation: Simulation, *, on_progress: Callable[[int, int], None] | None = None) -> Judgement:
    """Return the tuned policy and what it costs beside other rules.

    Args:
        simulation: the past to trade in.
        on_progress: called with (done, total), simulations.
    """
    early, late, is_apart = _spans(simulation)
    grid = simulation.params.replenishment.shortage_multiples
    rules = 7
    total = 1 + 2 * len(grid) + rules

    def cost(multiples: Quantities) -> Quantities:
        traded = early.run(early.planner(multiples))
        return traded.total_cost(early.trading, first_period=warm_up_of(early))

    multiples, attempts = tune_policy(
        cost,
        simulation.groups,
        grid=grid,
        on_progress=None if on_progress is None else lambda done, _: on_progress(done, total),
    )
    frames = []
    for done, (name, run) in enumerate(_runs(late, line_multiples(simulation.groups, multiples)), start=1):
        frames.append(costs_by_sku(late, run(), rule=name))
        if on_progress is not None:
            on_progress(total - rules + done, total)
    frames.append(clairvoyant_bound(late))
    return Judgement(
        multiples=multiples,
        attempts=attempts,
        costs=pl.concat(frames),
        first_judged=add_periods(
            late.replay.first, warm_up_of(late), frequency=simulation.params.forecasting.frequency
        ),
        n_periods=late.market.demand.shape[1] - warm_up_of(late),
        tuned_on_judged=not is_apart,
    )


def clairvoyant_bound(past: Simulation) -> pl.DataFrame:
    """Return what no orders can cost less than in the counted periods, by sku, columns as of `Judgement.costs`.

    All demand is known and served from one place, nothing expires, every order comes at once, and each line pays its
    share of an order of all lines: each of it makes the cost lower than any rule's (`clairvoyant_orders`).
    """
    trading, lines = past.trading, past.lines
    demand = sum_into_warehouses(lines, past.market.demand)[:, warm_up_of(past) :]
    together = lines.select(pl.len().over("order_group"))["len"].to_numpy()
    n_periods = demand.shape[1]
    rows = []
    for root in np.flatnonzero(trading.source == FROM_OUTSIDE).tolist():
        members = np.append(np.flatnonzero(trading.source == root), root)
        shortage_cost = float(trading.shortage_cost[members].min())
        found = clairvoyant_orders(
            KnownFuture(
                demand=demand[root],
                lead_times=np.zeros(n_periods, dtype=np.int64),
                can_order=np.ones(n_periods, dtype=np.bool_),
                arrivals=np.zeros(n_periods),
                on_hand=0.0,
                holding_cost=float(trading.holding_cost[members].min()),
                shortage_cost=shortage_cost,
                fixed_order_cost=float(trading.fixed_order_cost[root] / together[root]),
            ),
            unmet=UnmetDemand.LOST,
        )
        costs = found.holding_cost, found.shortage_cost, found.ordering_cost
        rows.append((lines["sku"][root], *costs, found.shortage_cost / shortage_cost, float(demand[root].sum())))
    columns = ["sku", "holding", "shortage", "ordering", "lost_units", "demand_units"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    nothing = pl.lit(0.0)
    return (
        frame.group_by("sku")
        .sum()
        .sort("sku")
        .with_columns(rule=pl.lit(BOUND), waste=nothing, on_hand_value=nothing)
        .select("rule", "sku", *COSTS, "lost_units", "demand_units", "on_hand_value")
    )


def cost_of_policy(simulation: Simulation, multiples: Mapping[LineGroup, float]) -> pl.DataFrame:
    """Return what the planner costs under a policy in the judged periods, columns as of `Judgement.costs`.

    Args:
        simulation: all windows.
        multiples: of the shortage cost, by group.
    """
    _, late, _ = _spans(simulation)
    traded = late.run(late.planner(line_multiples(late.groups, multiples)))
    return costs_by_sku(late, traded, rule=PLANNER)


def warm_up_of(simulation: Simulation) -> int:
    """Return the periods before those that count: the first window, where there are several."""
    starts = simulation.replay.forecast_from
    return int(starts[1] - starts[0]) if len(starts) > 1 else 0


def costs_by_sku(simulation: Simulation, traded: Trading, *, rule: str) -> pl.DataFrame:
    """Return what a rule cost by sku, columns as of `Judgement.costs`."""
    first = warm_up_of(simulation)
    trading, counted = simulation.trading, slice(first, None)
    held = traded.on_hand[:, counted].mean(axis=1) * trading.unit_cost
    return (
        simulation.lines.select("sku")
        .with_columns(
            rule=pl.lit(rule),
            **{name: pl.Series(value) for name, value in traded.costs(trading, first_period=first).items()},
            lost_units=pl.Series(traded.lost[:, counted].sum(axis=1)),
            demand_units=pl.Series(traded.demand[:, counted].sum(axis=1)),
            on_hand_value=pl.Series(held),
        )
        .group_by("rule", "sku")
        .sum()
        .sort("sku")
        .select("rule", "sku", *COSTS, "lost_units", "demand_units", "on_hand_value")
    )


def summarise_costs(costs: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Return total cost, its parts, fill rate and mean stock value by rule."""
    found: dict[str, dict[str, float]] = {}
    for row in costs.drop("sku").group_by("rule", maintain_order=True).sum().iter_rows(named=True):
        parts = {name: round(row[name], 2) for name in COSTS}
        asked = row["demand_units"]
        found[row["rule"]] = {
            "cost": round(sum(row[name] for name in COSTS), 2),
            **parts,
            "fill_rate": round(1 - row["lost_units"] / asked, 6) if asked else 1.0,
            "on_hand_value": round(row["on_hand_value"], 2),
        }
    return found


def cost_gap(rules: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return where the planner's cost beyond the clairvoyant bound comes from, currency; the parts add up to its cost.

    Args:
        rules: of `summarise_costs`.
    """
    chain = (PLANNER, KNOWN_DEMAND, KNOWN_DEMAND_AND_LEAD_TIME, UNCONSTRAINED, BOUND)
    steps = ("forecast_error", "lead_times", "minimums_and_multiples", "policy")
    costs = [rules[name]["cost"] for name in chain]
    found = {step: round(before - after, 2) for step, before, after in zip(steps, costs[:-1], costs[1:], strict=True)}
    return found | {"clairvoyant_bound": costs[-1]}


def _spans(simulation: Simulation) -> tuple[Simulation, Simulation, bool]:
    """Return the windows to tune on and those to judge on, and whether they are apart."""
    n_windows = len(simulation.replay.forecast_from)
    if n_windows < _JUDGED_WINDOWS + 1:
        return simulation, simulation, False
    first_judged = n_windows - _JUDGED_WINDOWS
    # The first of the judged windows fills the pipeline only, so tuning may know it.
    return simulation.between(0, first_judged), simulation.between(first_judged, n_windows - 1), True


def _runs(late: Simulation, multiples: Quantities) -> list[tuple[str, Callable[[], Trading]]]:
    """Return every rule by name, ready to run."""
    plain = np.ones(late.lines.height)
    known = _knowing_demand(late)
    sure = _with_sure_lead_times(known)
    free = _without_minimums(sure)
    rules: list[tuple[str, Simulation, OrderRule]] = [
        (PLANNER, late, late.planner(multiples)),
        (UNTUNED_PLANNER, late, late.planner(plain)),
        (MIN_MAX, late, _min_max(late)),
        (NORMAL_BASE_STOCK, late, _normal_base_stock(late)),
        (KNOWN_DEMAND, known, known.planner(plain)),
        (KNOWN_DEMAND_AND_LEAD_TIME, sure, sure.planner(plain)),
        (UNCONSTRAINED, free, free.planner(plain)),
    ]
    return [(name, partial(past.run, rule)) for name, past, rule in rules]


def _knowing_demand(late: Simulation) -> Simulation:
    """Return the past to a planner whose every forecast is what then happens."""
    demand = sum_into_warehouses(late.lines, late.market.demand)
    horizon, n_paths = late.replay.paths[0].shape[2], late.lead_times.shape[1]
    season = late.season_periods
    # Beyond the end of the past the last season is repeated, as beyond a forecast's horizon.
    padded = np.concatenate([demand, demand[:, -season + np.arange(horizon) % season]], axis=1)
    paths = tuple(
        np.repeat(padded[:, None, first + 1 : first + 1 + horizon], n_paths, axis=1).astype(np.float32)
        for first in late.replay.forecast_from.tolist()
    )
    return replace(late, replay=replace(late.replay, paths=paths))


def _with_sure_lead_times(past: Simulation) -> Simulation:
    """Return the past with every order taking its line's mean lead time, known to the planner."""
    usual = np.rint(past.lead_times.mean(axis=1)).astype(np.int64)[:, None]
    market = replace(past.market, lead_times=np.broadcast_to(usual, past.market.demand.shape))
    return replace(past, market=market, lead_times=np.broadcast_to(usual, past.lead_times.shape))


def _without_minimums(past: Simulation) -> Simulation:
    """Return the past with suppliers that send any number of whole units."""
    one, nothing = np.ones(past.lines.height), np.zeros(past.lines.height)
    return replace(
        past,
        lines=past.lines.with_columns(minimum_order_quantity=pl.Series(nothing), order_multiple=pl.Series(one)),
        trading=replace(past.trading, minimum_order_quantity=nothing, order_multiple=one),
    )


@dataclass(frozen=True, kw_only=True)
class _AverageRule:
    """Orders up to levels that follow from averages of past sales, as of the latest window.

    Attributes:
        levels: one a window: reorder point and order-up-to level, each of shape (n_lines,), units.
        forecast_from: when each window begins to count.
    """

    levels: tuple[tuple[Quantities, Quantities], ...]
    forecast_from: NDArray[np.intp]

    def __call__(self, situation: Situation) -> Quantities:
        """Return what is missing up to the level, where the position is at the reorder point or below."""
        latest = int(np.searchsorted(self.forecast_from, situation.period, side="right")) - 1
        point, level = self.levels[max(latest, 0)]
        position = situation.inventory_position
        return np.where(position <= point, level - position, 0.0)


def _min_max(past: Simulation) -> OrderRule:
    """Return the rule of most spreadsheets: so many periods of average sales as the minimum, so many as the maximum."""
    lead_time = past.lead_times.mean(axis=1)
    levels = tuple(
        (
            np.ceil(mean * (lead_time + past.trading.review_periods + _MINIMUM_COVER)),
            np.ceil(mean * (lead_time + past.trading.review_periods + _MINIMUM_COVER + _MAXIMUM_COVER)),
        )
        for mean in past.replay.past_mean
    )
    return _AverageRule(levels=levels, forecast_from=past.replay.forecast_from)


def _normal_base_stock(past: Simulation) -> OrderRule:
    """Return the textbook's base stock: average demand over the protection period and a normal safety stock."""
    mean_lead, lead_deviation = past.lead_times.mean(axis=1), past.lead_times.std(axis=1)
    levels = []
    for mean, deviation in zip(past.replay.past_mean, past.replay.past_deviation, strict=True):
        periods = mean_lead + past.trading.review_periods
        spread = np.sqrt(periods * deviation**2 + (mean * lead_deviation) ** 2)
        level = np.ceil(mean * periods + _NORMAL_SCORE * spread)
        levels.append((level - 1, level))
    return _AverageRule(levels=tuple(levels), forecast_from=past.replay.forecast_from)
