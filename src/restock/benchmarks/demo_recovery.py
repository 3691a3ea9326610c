"""How well demand is recovered where the truth is simulated: the demo company's sold-out days and its silent shelves.

Its stock runs out because demand is high, customers ask for other articles, and some stock vanishes without a trace in
the books, so that nobody flags the stockout.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.benchmarks.family_race import ShowProgress
from restock.benchmarks.recovery import Flags, as_result, estimates_beside
from restock.benchmarks.result import BenchmarkResult
from restock.errors import DataError
from restock.forecasting.censoring import CensoringRule
from restock.forecasting.known_demand import in_stock_exposure, known_demand, silence_probabilities
from restock.forecasting.latent_demand import Floats
from restock.forecasting.panel import DemandPanel, build_demand_panel
from restock.params import Params
from restock.simulation.company import DemoCompany, simulate_demo_company
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

PROBABILITY_BORDERS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
# From this probability on, a day without sales counts as a stockout that was found.
_FOUND_FROM = 0.7
_RECOVER_ALL = CensoringRule(max_stockout_share=0.0, recover_from_share=0.0)


@dataclass(frozen=True, kw_only=True)
class CompanyTruth:
    """The demo company's history and what was behind it; arrays of shape (n_series, observed_periods).

    Attributes:
        panel: what the books hold.
        demand_units: what was wanted of the article, substitutes for others included; NaN before it is listed.
        empty_share: 0-1, how much of the day there was truly nothing while something was wanted.
    """

    panel: DemandPanel
    demand_units: Floats
    empty_share: Floats


def run_demo_recovery(params: Params, *, progress: ShowProgress) -> BenchmarkResult:
    """Return how far recovered demand lies from the simulated truth, and how well silences are told.

    Args:
        params: simulation, seed.
        progress: shows a step.

    Raises:
        DataError: the company has no partly stocked day.
    """
    begun = time.monotonic()
    with progress("simulating") as _:
        company = read_truth(simulate_demo_company(params.simulation, seed=params.seed))
    with progress("recovering") as _:
        known = known_demand(company.panel, _RECOVER_ALL)
        share = in_stock_exposure(company.panel)
        silences = silence_probabilities(company.panel)
    is_scored = known.is_recovered & (share > 0) & ~np.isnan(company.demand_units)
    if not is_scored.any():
        raise DataError(
            "the demo company has no day that was in stock for a part of it. Raise params.yaml: simulation."
        )
    is_silent, is_unflagged = find_unflagged(company)
    return as_result(
        estimates_beside(known, hours_share=share, demand_share=share),
        known=known,
        truth=company.demand_units,
        is_scored=is_scored,
        demand_share=share,
        setting={
            "data": "demo company",
            "scored_days": int(is_scored.sum()),
            "silences_so_far": judge_silences(
                silences.so_far[is_silent], is_unflagged[is_silent], threshold=_FOUND_FROM
            ),
            "silences_in_hindsight": judge_silences(
                silences.in_hindsight[is_silent], is_unflagged[is_silent], threshold=_FOUND_FROM
            ),
        },
        rows=company.demand_units.size,
        seconds=time.monotonic() - begun,
        seed=params.seed,
    )


def read_truth(company: DemoCompany) -> CompanyTruth:
    """Return the company's history as a panel and the truth behind it, on the same grid."""
    panel = build_demand_panel(
        SALES.conform(company.tables["sales"]),
        PRODUCTS.conform(company.tables["products"]),
        locations=LOCATIONS.conform(company.tables["locations"]),
        calendar=CALENDAR.conform(company.tables["calendar"]),
        frequency=Frequency.DAILY,
        horizon=1,
    )
    demand = company.truth["demand"].select(
        "sku", "location", "date", value=pl.col("demand_units") + pl.col("substituted_in_units")
    )
    empty = company.truth["lost_sales"].select("sku", "location", "date", value="stockout_share")
    return CompanyTruth(
        panel=panel,
        demand_units=_on_grid(demand, panel, fill=np.nan),
        empty_share=_on_grid(empty, panel, fill=0.0),
    )


def find_unflagged(company: CompanyTruth) -> tuple[Flags, Flags]:
    """Return the days without sales and without a flag, and those of them that had no stock while it was wanted."""
    observed = slice(0, company.panel.observed_periods)
    is_silent = (company.panel.sales_units[:, observed] == 0) & (company.panel.stockout_share[:, observed] == 0)
    return is_silent, is_silent & (company.empty_share >= 1)


def judge_silences(probability: Floats, is_unflagged: Flags, *, threshold: float) -> dict[str, object]:
    """Return precision and recall at a threshold, and how often a stockout was there by probability given.

    Args:
        probability: shape (n_silent_days,).
        is_unflagged: same shape: the truth.
        threshold: probability from which a day counts as found.
    """
    found = probability >= threshold
    edges = np.searchsorted(PROBABILITY_BORDERS, probability, side="right") - 1
    place: NDArray[np.intp] = np.minimum(edges, len(PROBABILITY_BORDERS) - 2).astype(np.intp)
    reliability = [
        {
            "from": low,
            "to": high,
            "days": int((place == step).sum()),
            "mean_probability": round(float(probability[place == step].mean()), 3),
            "observed_share": round(float(is_unflagged[place == step].mean()), 3),
        }
        for step, (low, high) in enumerate(pairwise(PROBABILITY_BORDERS))
        if (place == step).any()
    ]
    n_true = int(is_unflagged.sum())
    return {
        "threshold": threshold,
        "days_without_stock": n_true,
        "days_found": int(found.sum()),
        "precision": round(float(is_unflagged[found].mean()), 3) if found.any() else None,
        "recall": round(float(found[is_unflagged].mean()), 3) if n_true else None,
        "reliability": reliability,
    }


def _on_grid(rows: pl.DataFrame, panel: DemandPanel, *, fill: float) -> Floats:
    """Return column `value` of rows by sku, location and date on the panel's grid."""
    placed = rows.join(
        panel.series.select("sku", "location").with_row_index("row"), on=["sku", "location"], how="inner"
    )
    grid = np.full((panel.n_series, panel.observed_periods), fill)
    column = (placed["date"] - panel.start).dt.total_days().to_numpy()
    grid[placed["row"].to_numpy(), column] = placed["value"].to_numpy()
    return grid
