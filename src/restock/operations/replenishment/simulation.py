"""Rules for ordering, judged by what they would have cost: each trades in the same replayed past.

The past is that of the back-test's windows, so every order is placed on a forecast that knew nothing of what it was to
meet. Lead times of the market are drawn from the whole history of deliveries; the planner draws its own from what was
delivered before the first window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.panel import DemandPanel
from restock.operations.replenishment.lead_times import draw_deliveries, learn_lead_times
from restock.operations.replenishment.lines import build_lines, trading_terms
from restock.operations.replenishment.replay import Replay, is_warehouse, replay_backtest
from restock.params import Params, ReplenishmentParams, ServiceTargets
from restock.replenishment.order_lines import Objective, OrderTerms, order_terms
from restock.replenishment.path_rule import PathRule
from restock.replenishment.policy_tuning import group_lines
from restock.replenishment.simulate import UnmetDemand
from restock.replenishment.walk_forward import Market, OrderRule, Trading, TradingTerms, trade
from restock.tables import PURCHASE_ORDERS, SUPPLY_TERMS
from restock.timeline import add_periods

Quantities = NDArray[np.float64]

# Whole skus are taken at even steps until there are about so many lines: costs of more say little more.
_MOST_LINES = 2_000
# Periods of demand, beyond lead time and review, that shelves hold when trading begins; the same for every rule.
_START_PERIODS = 3.0


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A past to trade in.

    Attributes:
        lines: of `build_lines`: whole skus, at most about 2,000 rows.
        replay: demand and forecasts.
        trading: who supplies whom and what it costs.
        market: what happens.
        lead_times: shape (n_lines, n_paths), what the planner expects of an order, periods.
        on_hand: shape (n_lines,), units at the start.
        season_periods: what repeats beyond the horizon of a forecast.
        params: in force.
    """

    lines: pl.DataFrame
    replay: Replay
    trading: TradingTerms
    market: Market
    lead_times: NDArray[np.int64]
    on_hand: Quantities
    season_periods: int
    params: Params

    @property
    def groups(self) -> NDArray[np.str_]:
        """Group of every line, shape (n_lines,)."""
        return group_lines(is_warehouse=is_warehouse(self.lines), is_perishable=self.trading.shelf_life_periods > 0)

    def planner(self, multiples: Quantities, *, terms: OrderTerms | None = None) -> PathRule:
        """Return the planner as a rule.

        Args:
            multiples: shape (n_lines,), of the shortage cost that it reckons with.
            terms: what it reckons with; None: `planner_terms`.
        """
        return PathRule(
            paths=self.replay.paths,
            forecast_from=self.replay.forecast_from,
            lead_times=self.lead_times,
            trading=self.trading,
            terms=terms
            or planner_terms(
                self.lines,
                params=self.params.replenishment,
                multiples=multiples,
                classes=line_classes(self.lines, self.replay.segments),
            ),
            season_periods=self.season_periods,
            unmet=UnmetDemand(self.params.replenishment.unmet_demand),
            objective=Objective(self.params.replenishment.objective),
        )

    def run(self, rule: OrderRule) -> Trading:
        """Return what a rule does."""
        return trade(rule, self.market, self.trading, on_hand=self.on_hand)

    def between(self, first_window: int, last_window: int) -> Simulation:
        """Return the same past from one window to another, both included; shelves begin as they would at the start."""
        starts = self.replay.forecast_from
        begin = int(starts[first_window]) + 1
        end = self.market.demand.shape[1] if last_window + 1 >= len(starts) else int(starts[last_window + 1]) + 1
        periods = slice(begin, end)
        return replace(
            self,
            replay=replace(
                self.replay,
                first=add_periods(self.replay.first, begin, frequency=self.params.forecasting.frequency),
                demand=self.replay.demand[:, periods],
                forecast_from=starts[first_window : last_window + 1] - begin,
                **{
                    name: getattr(self.replay, name)[first_window : last_window + 1]
                    for name in ("paths", "past_mean", "past_deviation")
                },
            ),
            market=Market(
                demand=self.market.demand[:, periods],
                lead_times=self.market.lead_times[:, periods],
                received_share=self.market.received_share[:, periods],
            ),
        )


def build_simulation(
    backtest: pl.DataFrame,
    panel: DemandPanel,
    tables: Mapping[str, pl.DataFrame],
    *,
    params: Params,
    on_progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Return the past of a back-test, ready to trade in.

    Args:
        backtest: rows of `run_backtest`, one model.
        panel: the history that it was made from.
        tables: those of `LINE_TABLES` and purchase_orders, by name.
        params: seed, features, forecasting, evaluation, paths, replenishment.
        on_progress: called with (done, total), windows.

    Raises:
        DataError: there are no supply terms.
        InsufficientHistoryError: the back-test has no window.
    """
    lines = build_lines(
        {**tables, SUPPLY_TERMS.name: _some_skus(tables[SUPPLY_TERMS.name])},
        params=params.replenishment,
        frequency=panel.frequency,
        as_of=panel.last_observed,
    )
    replay = replay_backtest(backtest, panel, lines, params=params, on_progress=on_progress)
    n_periods = replay.demand.shape[1]
    n_paths = params.replenishment.simulated_paths
    orders = tables[PURCHASE_ORDERS.name]
    cutoffs = sorted(set(backtest["cutoff"].to_list()))
    real, expected = (
        draw_deliveries(
            lines,
            learn_lead_times(orders, cutoff=cutoff),
            frequency=panel.frequency,
            n_draws=n_draws,
            seed=params.seed + is_real,
        )
        for cutoff, n_draws, is_real in ((panel.last_observed, n_periods, 1), (cutoffs[0], n_paths, 0))
    )
    trading = trading_terms(lines)
    mean = replay.paths[0].mean(axis=(1, 2), dtype=np.float64)
    cover = expected.lead_times.mean(axis=1) + trading.review_periods + _START_PERIODS
    # Fresh goods are never there for longer than they last.
    lasting = np.where(trading.shelf_life_periods > 0, trading.shelf_life_periods, np.inf)
    return Simulation(
        lines=lines,
        replay=replay,
        trading=trading,
        market=Market(demand=replay.demand, lead_times=real.lead_times, received_share=real.received_share),
        lead_times=expected.lead_times,
        on_hand=np.ceil(mean * np.minimum(cover, lasting)),
        season_periods=panel.frequency.season_periods,
        params=params,
    )


def planner_terms(
    lines: pl.DataFrame, *, params: ReplenishmentParams, multiples: Quantities, classes: NDArray[np.str_]
) -> OrderTerms:
    """Return what the planner reckons with.

    An order's fixed cost is shared by the lines that are usually ordered together.

    Args:
        lines: of `build_lines`.
        params: targets and floors.
        multiples: shape (n_lines,), of the shortage cost.
        classes: shape (n_lines,), of `line_classes`.
    """
    together = lines.select(pl.len().over("order_group"))["len"].to_numpy()
    targets, floors = (_by_class(classes, each) for each in (params.service_targets, params.service_floors))
    nothing = np.full(lines.height, np.nan)
    objective = Objective(params.objective)
    if objective is Objective.COST:
        share = {"fill_rate": np.where(floors > 0, floors, nothing), "cycle_service_level": nothing}
    elif objective is Objective.FILL_RATE:
        share = {"fill_rate": np.maximum(targets, floors), "cycle_service_level": nothing}
    else:
        share = {"fill_rate": np.where(floors > 0, floors, nothing), "cycle_service_level": targets}
    return order_terms(
        lines.height,
        holding_cost=lines["holding_cost"].to_numpy(),
        shortage_cost=lines["shortage_cost"].to_numpy() * multiples,
        fixed_order_cost=lines["fixed_order_cost"].to_numpy() / together,
        waste_cost=lines["unit_cost"].to_numpy(),
        shelf_life_periods=lines["shelf_life_periods"].to_numpy(),
        minimum_order_quantity=lines["minimum_order_quantity"].to_numpy(),
        order_multiple=lines["order_multiple"].to_numpy(),
        **share,
    )


def line_classes(lines: pl.DataFrame, segments: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the ABC class of every line, shape (n_lines,); a warehouse has the best of those it supplies.

    Args:
        lines: of `build_lines`.
        segments: of `line_segments`, such as "A-smooth".
    """
    letters = np.array([segment[0] for segment in segments.tolist()])
    sources = lines["source"].to_numpy()
    for warehouse in np.flatnonzero(is_warehouse(lines)):
        letters[warehouse] = min(letters[sources == warehouse].tolist())
    return letters


def _by_class(classes: NDArray[np.str_], shares: ServiceTargets) -> Quantities:
    """Return the share of every line's class."""
    return np.select([classes == "A", classes == "B"], [shares.A, shares.B], shares.C)


def _some_skus(terms: pl.DataFrame) -> pl.DataFrame:
    """Return the terms of whole skus at even steps, of all where there are not many."""
    skus = terms["sku"].unique().sort()
    kept = skus.gather_every(max(1, -(-terms.height // _MOST_LINES)))
    return terms.join(kept.to_frame(), on="sku", how="semi", maintain_order="left")
