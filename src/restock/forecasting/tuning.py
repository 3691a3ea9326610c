"""Values of a family judged on windows that end before the back-test begins, so that its windows stay unseen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from restock.errors import InsufficientHistoryError
from restock.forecasting.backtest import find_cutoffs, run_backtest
from restock.forecasting.features import OriginFeatures
from restock.forecasting.metrics import row_losses
from restock.forecasting.panel import DemandPanel
from restock.params import FamilyName, Params, change_params
from restock.timeline import add_periods


def inner_panel(panel: DemandPanel, params: Params) -> DemandPanel:
    """Return the history as it was known at the oldest cutoff of the back-test.

    Raises:
        InsufficientHistoryError: the history can't hold the back-test.
    """
    return panel.observed_until(find_cutoffs(panel, params)[0])


def inner_cutoffs(inner: DemandPanel, params: Params, *, n_windows: int) -> tuple[date, ...]:
    """Return the cutoffs that values are judged at, oldest first.

    Args:
        inner: what `inner_panel` returned.
        params: forecasting.horizon, backtest.
        n_windows: how many.

    Raises:
        InsufficientHistoryError: the history before the back-test can't hold them.
    """
    return find_cutoffs(inner, change_params(params, {"backtest": {"n_windows": n_windows}}))


def with_values(params: Params, family: FamilyName, values: Mapping[str, float]) -> Params:
    """Return `params` with values of a family laid over.

    Raises:
        ConfigurationError: a value is out of bounds.
    """
    return change_params(params, {"families": {family: dict(values)}})


def judge_window(
    inner: DemandPanel,
    *,
    cutoff: date,
    family: FamilyName,
    params: Params,
    features: OriginFeatures | None = None,
) -> float:
    """Return the mean pinball loss of one window of the inner history, fitted on what was known at its cutoff.

    Args:
        inner: what `inner_panel` returned.
        cutoff: one of `inner_cutoffs`.
        family: which family.
        params: all params, with the values that are judged.
        features: origin features of the whole panel, where they are at hand.

    Returns:
        units per period.

    Raises:
        InsufficientHistoryError: the window holds no demand to score.
    """
    ends = add_periods(cutoff, params.forecasting.horizon, frequency=inner.frequency)
    known = inner.observed_until(ends)
    usable = (
        None
        if features is None
        else OriginFeatures(names=features.names, values=features.values[:, : known.observed_periods])
    )
    one_window = change_params(params, {"backtest": {"n_windows": 1}})
    rows = run_backtest(known, family=family, params=one_window, features=usable)
    losses = row_losses(rows, params.forecasting.quantiles)["pinball"].drop_nulls().cast(pl.Float64)
    if losses.is_empty():
        raise InsufficientHistoryError(
            f"no demand after {cutoff} can be scored: every period is censored or not listed. Ingest more history, or "
            "lower params.yaml: backtest.n_windows."
        )
    return float(losses.to_numpy().mean())
