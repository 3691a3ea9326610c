"""How well demand is recovered: days whose demand is known, with the stock of other days laid over them.

FreshRetailNet's hourly sample tells what was sold in each hour. Some days that were in stock throughout get the stock
mask of a day that was not: the hours without stock are left out of its sales, and what is recovered from the rest is
laid beside what was really sold. Masks are drawn whatever the demand of the day, which real stockouts are not: where
the truth is simulated, in `demo_recovery`, the good days sell out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.freshretailnet import (
    FIRST_SELLING_HOUR,
    HOURLY_FILE,
    PROFILE_GROUP,
    SELLING_HOURS,
)
from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import Score, ShowProgress
from restock.benchmarks.freshretailnet import read_series
from restock.benchmarks.layout_panel import read_layout_columns
from restock.benchmarks.result import BenchmarkResult
from restock.errors import DataError
from restock.forecasting.censoring import CensoringRule
from restock.forecasting.intraday import fit_intraday_profiles, in_stock_demand_share
from restock.forecasting.known_demand import KnownDemand, known_demand
from restock.forecasting.latent_demand import Floats
from restock.forecasting.panel import DemandPanel
from restock.params import Params, change_params

NAME = "recovery"
POSTERIOR = "posterior"
# Of the days in stock, how many get another day's stock.
_HIDDEN_SHARE = 0.25
_FEWEST_HIDDEN_DAYS = 20
_HOURS = 24
# Everything is recovered, however little was in stock, so that the table by share has no gap.
_RECOVER_ALL = CensoringRule(max_stockout_share=0.0, recover_from_share=0.0)
_INTERVAL = (0.1, 0.9)
SHARE_BORDERS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class HourlySample:
    """Series whose sales are known by the hour.

    Attributes:
        panel: the same series by the day.
        hourly_units: shape (n_series, n_days, 24), units.
        is_in_stock: same shape.
        group: shape (n_series,): whose days share an intraday profile, 0 and up.
    """

    panel: DemandPanel
    hourly_units: Floats
    is_in_stock: Flags
    group: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class CutOffDays:
    """A history of which some days have been cut off, and what they really sold; shapes (n_series, n_days).

    Attributes:
        panel: as it would have been recorded.
        truth: sales of each day before any was cut off, units.
        is_hidden: which days were.
        demand_share: share of the usual demand that the hours in stock hold, 0-1.
    """

    panel: DemandPanel
    truth: Floats
    is_hidden: Flags
    demand_share: Floats


def run_fresh_recovery(data: Path, params: Params, *, progress: ShowProgress) -> BenchmarkResult:
    """Return how far recovered demand lies from the truth on days that were artificially cut off.

    Args:
        data: folder in FreshRetailNet's compact layout, with its hourly sample.
        params: seed.
        progress: shows a step.

    Raises:
        DataError: a file is missing or can't be read, or too few days can be cut off.
    """
    begun = time.monotonic()
    rng = np.random.default_rng(params.seed)
    with progress("reading") as _:
        daily_params = change_params(params, {"forecasting": {"frequency": "daily", "horizon": 1}})
        panel, series_ids = read_series(data, daily_params)
        sample = _read_sample(data, panel, series_ids=series_ids)
    with progress("recovering") as _:
        cut = cut_off_days(sample, rng)
        known = known_demand(cut.panel, _RECOVER_ALL)
    is_scored = cut.is_hidden & known.is_recovered
    hours_share = 1 - cut.panel.stockout_share[:, : cut.panel.observed_periods].astype(np.float64)
    estimates = estimates_beside(known, hours_share=hours_share, demand_share=cut.demand_share)
    return as_result(
        estimates,
        known=known,
        truth=cut.truth,
        is_scored=is_scored,
        demand_share=cut.demand_share,
        setting={
            "hidden_days": int(cut.is_hidden.sum()),
            "scored_days": int(is_scored.sum()),
            "data": "freshretailnet",
        },
        rows=cut.truth.size,
        seconds=time.monotonic() - begun,
        seed=params.seed,
    )


def as_result(
    estimates: dict[str, Floats],
    *,
    known: KnownDemand,
    truth: Floats,
    is_scored: Flags,
    demand_share: Floats,
    setting: dict[str, object],
    rows: int,
    seconds: float,
    seed: int,
) -> BenchmarkResult:
    """Return the scores of all estimates, of the posterior's interval, and the table by share in stock."""
    scores = {name: score_estimate(units[is_scored], truth[is_scored]) for name, units in estimates.items()}
    posterior = scores.pop(POSTERIOR) | {"coverage_80": _coverage(known, truth, rows=is_scored)}
    return BenchmarkResult(
        benchmark=NAME,
        family=POSTERIOR,
        seed=seed,
        rows=rows,
        seconds=seconds,
        peak_rss_mb=peak_rss_mb(),
        score=posterior,
        baselines=scores,
        families={POSTERIOR: posterior},
        setting=setting
        | {
            "by_demand_share_in_stock": scores_by_share(
                estimates, truth=truth, is_scored=is_scored, share=demand_share, known=known
            )
        },
    )


def estimates_beside(known: KnownDemand, *, hours_share: Floats, demand_share: Floats) -> dict[str, Floats]:
    """Return demand as four ways tell it, by name; shape (n_series, n_periods), units.

    Raises:
        ValueError: nothing was recovered.
    """
    if known.latent is None:
        raise ValueError("known_demand has no posterior: the rule recovers nothing")
    sold = known.latent.sold_units
    smallest = 1 / SELLING_HOURS / 2  # half of an hour: a share of 0 has no ratio
    return {
        "sales_as_they_are": sold,
        "sales_per_share_of_hours": sold / np.maximum(hours_share, smallest),
        "sales_per_share_of_profile": sold / np.maximum(demand_share, smallest),
        POSTERIOR: known.latent.mean_units,
    }


def score_estimate(estimate: Floats, truth: Floats) -> Score:
    """Return WAPE (sum of absolute errors / sum of demand) and WPE (sum of errors / sum of demand)."""
    error, total = estimate - truth, truth.sum()
    return {"wape": float(np.abs(error).sum() / total), "wpe": float(error.sum() / total)}


def scores_by_share(
    estimates: dict[str, Floats], *, truth: Floats, is_scored: Flags, share: Floats, known: KnownDemand
) -> list[dict[str, object]]:
    """Return the scores of the days of each class of `SHARE_BORDERS`, those that have any."""
    table = []
    for low, high in pairwise(SHARE_BORDERS):
        rows = is_scored & (share > low if low > 0 else share >= low) & (share <= high)
        if not truth[rows].sum() > 0:
            continue
        table.append(
            {
                "from": low,
                "to": high,
                "days": int(rows.sum()),
                "coverage_80": round(_coverage(known, truth, rows=rows), 4),
                **{
                    name: {
                        figure: round(value, 4) for figure, value in score_estimate(units[rows], truth[rows]).items()
                    }
                    for name, units in estimates.items()
                },
            }
        )
    return table


def _coverage(known: KnownDemand, truth: Floats, *, rows: Flags) -> float:
    """Return the share of days whose demand lies in the posterior's 80 % interval."""
    if known.latent is None:
        raise ValueError("known_demand has no posterior: the rule recovers nothing")
    quantiles = known.latent.at(*np.nonzero(rows)).quantiles(_INTERVAL)
    demand, slack = truth[rows], 1e-6  # lots are floats: a demand that equals a border lies within
    return float(((demand >= quantiles[:, 0] - slack) & (demand <= quantiles[:, 1] + slack)).mean())


def _read_sample(data: Path, panel: DemandPanel, *, series_ids: NDArray[np.int64]) -> HourlySample:
    """Return the series of the hourly sample, on the panel's grid.

    Raises:
        DataError: the file is missing or does not hold whole days of the panel's series.
    """
    path = data / HOURLY_FILE
    if not path.exists():
        raise DataError(f"{path} is missing: without sales by the hour no day's truth is known. Name a folder with it.")
    names = [f"h{hour:02d}" for hour in range(_HOURS)]
    hourly = read_layout_columns(path, ["series_id", "day", *names]).sort("series_id", "day")
    ids = hourly["series_id"].unique().sort()
    n_days = panel.observed_periods
    if hourly.height != len(ids) * n_days or hourly["day"].n_unique() != n_days:
        raise DataError(f"{HOURLY_FILE} holds {hourly.height} rows, expected {len(ids)} series x {n_days} days.")
    daily = read_layout_columns(data / "daily_train.parquet", ["series_id", "day", "stockout_mask"])
    masks = daily.join(hourly.select("series_id", "day"), on=["series_id", "day"], how="semi").sort("series_id", "day")
    series = read_layout_columns(data / "series.parquet", ["series_id", PROFILE_GROUP])
    place = {int(one): row for row, one in enumerate(series_ids)}
    known = [int(one) for one in ids if int(one) in place]
    if len(known) < len(ids) or masks.height != hourly.height:
        raise DataError(f"{HOURLY_FILE} holds series or days that daily_train.parquet lacks. Take both from one copy.")
    group = pl.DataFrame({"series_id": ids}).join(series, on="series_id", how="left")[PROFILE_GROUP].rank("dense") - 1
    shape = (len(ids), n_days, _HOURS)
    bits = masks["stockout_mask"].to_numpy()[:, None] >> np.arange(_HOURS, dtype=np.int32) & 1
    return HourlySample(
        panel=panel.select(np.array([place[one] for one in known], dtype=np.intp)),
        hourly_units=hourly.select(names).to_numpy().reshape(shape).astype(np.float64) / 100,
        is_in_stock=(bits == 0).reshape(shape),
        group=group.to_numpy().astype(np.intp),
    )


def cut_off_days(sample: HourlySample, rng: np.random.Generator) -> CutOffDays:
    """Return the sample with a quarter of its days in stock cut off, by the stock of other days drawn at random.

    The intraday profiles are those of the days that stay as they were.

    Raises:
        DataError: too few days can be cut off, or none has a mask to lend.
    """
    selling = slice(FIRST_SELLING_HOUR, FIRST_SELLING_HOUR + SELLING_HOURS)
    is_whole = sample.is_in_stock[:, :, selling].all(axis=2)
    has_part = ~is_whole & sample.is_in_stock[:, :, selling].any(axis=2)
    is_hidden = is_whole & (rng.random(is_whole.shape) < _HIDDEN_SHARE)
    lenders = np.flatnonzero(has_part)
    if is_hidden.sum() < _FEWEST_HIDDEN_DAYS or not lenders.size:
        raise DataError(
            f"{int(is_hidden.sum())} days in stock can be cut off by the stock of {lenders.size} other days, needs "
            f">= {_FEWEST_HIDDEN_DAYS} and 1. Give more data."
        )
    in_stock = sample.is_in_stock.copy()
    in_stock[is_hidden] = sample.is_in_stock.reshape(-1, _HOURS)[rng.choice(lenders, int(is_hidden.sum()))]
    group = np.broadcast_to(sample.group[:, None], is_whole.shape)
    kept = is_whole & ~is_hidden
    profiles = fit_intraday_profiles(
        sample.hourly_units[kept][:, selling], group=group[kept], n_groups=int(sample.group.max()) + 1
    )
    hours = in_stock[:, :, selling].reshape(-1, SELLING_HOURS)
    share = in_stock_demand_share(hours, profiles, group=group.reshape(-1)).reshape(is_whole.shape)
    truth = sample.hourly_units.sum(axis=2)
    panel, observed = sample.panel, sample.panel.observed_periods
    sales, stockout = panel.sales_units.copy(), panel.stockout_share.copy()
    sales[:, :observed] = np.where(is_hidden, (sample.hourly_units * in_stock).sum(axis=2), sales[:, :observed])
    stockout[:, :observed] = 1 - in_stock[:, :, selling].mean(axis=2)
    shares = np.full(sales.shape, np.nan, dtype=np.float32)
    shares[:, :observed] = share
    cut = replace(panel, sales_units=sales, stockout_share=stockout, in_stock_demand_share=shares)
    return CutOffDays(panel=cut, truth=truth, is_hidden=is_hidden, demand_share=share)
