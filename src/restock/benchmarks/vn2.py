"""VN2 Inventory Planning Challenge: a weekly order for every store and product, judged by holding and shortage cost.

An order placed at the end of week r is received at the start of week r + 3. Demand of the three weeks is sampled from a
boosted forecast, stock is projected along every path with sales lost on the way, and the order covers the third week on
a share of the paths.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import Score, ShowProgress
from restock.benchmarks.result import BenchmarkResult
from restock.benchmarks.vn2_features import HORIZON, WeeklyFeatures
from restock.benchmarks.vn2_forecast import all_features, demand_paths, fit_weeks, variance_ratios
from restock.benchmarks.vn2_replay import WeeklyPolicy, official_order, replay, usual_state
from restock.benchmarks.vn2_state import KEYS, GameState, WeeklySales
from restock.replenishment.path_orders import missing_units, order_to_cover

logger = logging.getLogger(__name__)

NAME = "vn2"
_FAMILY = "boosted_paths"
REPLAYED_WEEKS = 52
_REFIT_WEEKS = 20
_WARM_UP_WEEKS = 8
_MIN_TRAINING_WEEKS = 60
_PATHS = 240
# Orders of rounds 0 to 5 count; what the last one leaves after its week costs nothing more.
_LAST_ROUND = 5
# Share of paths an order covers: more for what sells more, as what is left of it is sold sooner. Tuned on the replay.
_SHARE_AT_ONE_UNIT = 0.68
_SHARE_PER_LOG_UNIT = 0.04
_SHARE_LIMITS = (0.64, 0.76)
_LAST_ROUND_EXTRA_SHARE = 0.08

Floats = NDArray[np.float64]


def run_vn2(state: GameState, *, seed: int, out: Path | None, progress: ShowProgress) -> BenchmarkResult:
    """Replay the end of the history; with `out`, learn from all of it and write the orders of this round.

    Args:
        state: at the end of a week.
        seed: of the trees' samples and the paths.
        out: CSV file of the orders.
        progress: shows a step.
    """
    begun = time.monotonic()
    history = state.history
    logger.info("read %d series x %d weeks, week %d of the game", *history.sales_units.shape, state.week)
    with progress("features") as _:
        features = all_features(history)
    replayed = replayed_weeks(history.n_weeks)
    score, baseline = back_test(history, features, weeks=replayed, seed=seed, progress=progress)
    if out is not None:
        with progress(f"learning from all {history.n_weeks} weeks") as _:
            orders = place_orders(state, features, seed=seed)
        as_submission(state, orders).write_csv(out)
    return BenchmarkResult(
        benchmark=NAME,
        family=_FAMILY,
        seed=seed,
        rows=int(history.sales_units.size),
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=score,
        baselines={"official_benchmark": baseline},
        families={_FAMILY: score},
        setting={
            "week": state.week,
            "n_series": len(state.names),
            "n_weeks": history.n_weeks,
            "replayed_weeks": replayed,
            "refit_every_weeks": _REFIT_WEEKS,
            "has_written_orders": out is not None,
        },
    )


def replayed_weeks(n_weeks: int) -> int:
    """Return how many of the last weeks can be replayed: at most 52, 0 where too little is left to learn from."""
    return max(0, min(REPLAYED_WEEKS, n_weeks - _WARM_UP_WEEKS - _MIN_TRAINING_WEEKS))


def back_test(
    history: WeeklySales, features: Mapping[int, WeeklyFeatures], *, weeks: int, seed: int, progress: ShowProgress
) -> tuple[Score, Score]:
    """Return the score of the policy and of the official benchmark, both replayed over the last weeks.

    Each begins some weeks before them with the same stock; those weeks don't count.

    - `cost_per_week`, `holding_per_week`, `shortage_per_week`: EUR.
    - `wape_1` to `wape_3`: sum of absolute errors / sum of sales, one to three weeks ahead, weeks in stock.

    Args:
        history: sales.
        features: by how many weeks are known.
        weeks: how many count; with 0 there is no score.
        seed: of the trees' samples and the paths.
        progress: shows a step.
    """
    if weeks == 0:
        return {}, {}
    begin = history.n_weeks - weeks - _WARM_UP_WEEKS
    with progress(f"replaying {weeks} weeks") as advance:
        means = means_by_cutoff(history, features, begin=begin, seed=seed, on_progress=advance)
    on_hand, on_order = usual_state(history.until(begin))

    def official(n_weeks: int, on_hand: Floats, on_order: Floats) -> Floats:
        return official_order(history.until(n_weeks), on_hand, on_order)

    def cost(policy: WeeklyPolicy) -> Score:
        costs = replay(history, policy, start=begin, weeks=weeks + _WARM_UP_WEEKS, on_hand=on_hand, on_order=on_order)
        holding, shortage = (float(value) for value in costs[_WARM_UP_WEEKS:].mean(axis=0))
        return {"cost_per_week": holding + shortage, "holding_per_week": holding, "shortage_per_week": shortage}

    ours = cost(boosted_policy(history, features, means=means, seed=seed))
    return ours | forecast_errors(history, means, begin=history.n_weeks - weeks), cost(official)


def means_by_cutoff(
    history: WeeklySales, features: Mapping[int, WeeklyFeatures], *, begin: int, seed: int, on_progress: object
) -> dict[int, Floats]:
    """Return the expected demand at every cutoff from `begin` on, by models learned anew every 20 weeks.

    No model has seen a week after the cutoff that it forecasts from.
    """
    means: dict[int, Floats] = {}
    cutoffs = range(begin, history.n_weeks, _REFIT_WEEKS)
    for done, cutoff in enumerate(cutoffs, start=1):
        fitted = fit_weeks(history, features, cutoff=cutoff, seed=seed)
        for n_weeks in range(cutoff, min(cutoff + _REFIT_WEEKS, history.n_weeks)):
            means[n_weeks] = fitted.forecast(features[n_weeks])
        if callable(on_progress):
            on_progress(done, len(cutoffs))
    return means


def boosted_policy(
    history: WeeklySales,
    features: Mapping[int, WeeklyFeatures],
    *,
    means: Mapping[int, Floats],
    seed: int,
    extra_share: float = 0.0,
) -> WeeklyPolicy:
    """Return the policy that orders by what `means` say at each cutoff, and covers an extra share of the paths."""

    def policy(n_weeks: int, on_hand: Floats, on_order: Floats) -> Floats:
        mean = means[n_weeks]
        ratio = variance_ratios(history, features, cutoff=n_weeks)
        paths = demand_paths(mean, ratio, n_paths=_PATHS, rng=np.random.default_rng((seed, n_weeks)))
        return order_to_cover(missing_units(on_hand, on_order, paths), covered_share(mean[:, -1]) + extra_share)

    return policy


def covered_share(mean: Floats) -> Floats:
    """Return the share of paths that an order covers.

    Args:
        mean: expected demand of the week it serves, shape (n_series,), units.
    """
    share = _SHARE_AT_ONE_UNIT + _SHARE_PER_LOG_UNIT * np.log(mean)
    found: Floats = np.clip(share, *_SHARE_LIMITS)
    return found


def place_orders(state: GameState, features: Mapping[int, WeeklyFeatures], *, seed: int) -> Floats:
    """Return the orders of this round, shape (n_series,), whole units."""
    history = state.history
    n_weeks = history.n_weeks
    fitted = fit_weeks(history, features, cutoff=n_weeks, seed=seed)
    means = {n_weeks: fitted.forecast(features[n_weeks])}
    extra = _LAST_ROUND_EXTRA_SHARE if state.week == _LAST_ROUND else 0.0
    policy = boosted_policy(history, features, means=means, seed=seed, extra_share=extra)
    return policy(n_weeks, state.on_hand, state.on_order)


def forecast_errors(history: WeeklySales, means: Mapping[int, Floats], *, begin: int) -> Score:
    """Return WAPE by weeks ahead of the forecasts from `begin` on: over weeks in stock whose sales are known."""
    errors, sold = np.zeros(HORIZON), np.zeros(HORIZON)
    for n_weeks, mean in means.items():
        for ahead in range(HORIZON if n_weeks >= begin else 0):
            if n_weeks + ahead < history.n_weeks:
                is_demand = history.is_in_stock[:, n_weeks + ahead]
                units = history.sales_units[is_demand, n_weeks + ahead]
                errors[ahead] += np.abs(mean[is_demand, ahead] - units).sum()
                sold[ahead] += units.sum()
    return {f"wape_{ahead + 1}": float(errors[ahead] / max(sold[ahead], 1e-9)) for ahead in range(HORIZON)}


def as_submission(state: GameState, orders: Floats) -> pl.DataFrame:
    """Return the orders as rows: Store, Product, order."""
    return state.names.select(KEYS).with_columns(order=pl.Series(orders.astype(np.int64)))
