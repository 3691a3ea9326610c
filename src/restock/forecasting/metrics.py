"""How good a forecast was: each figure from sums, so that it can be pooled over any group of rows."""

from __future__ import annotations

import polars as pl

from restock.statistics.quantiles import pinball_loss

ALL_SEGMENTS = "all"
METRICS = ("wape", "bias", "pinball", "rmsse", "coverage_80", "coverage_90")
COVERAGES: dict[str, tuple[float, float]] = {"coverage_80": (0.1, 0.9), "coverage_90": (0.05, 0.95)}


def quantile_column(quantile: float) -> str:
    """Return the column of a wide forecast frame that holds a quantile.

    Example:
        >>> quantile_column(0.05)
        'q0.05'
    """
    return f"q{quantile:g}"


def row_losses(forecasts: pl.DataFrame, quantiles: tuple[float, ...]) -> pl.DataFrame:
    """Return `forecasts` with the losses of every row beside it; null where demand is unknown or censored.

    Args:
        forecasts: columns demand, is_censored, mean_units and one per quantile (`q0.5`), units per period.
        quantiles: levels of the quantile columns.

    Returns:
        the same rows with `demand` null where it can't be scored, and the columns `pinball` (mean over the quantiles,
        no factor 2), `error`, `absolute_error`, `squared_error`, and `coverage_80`, `coverage_90` (1 where demand lies
        within the central interval, where the quantiles hold its ends).
    """
    columns = [quantile_column(quantile) for quantile in quantiles]
    scored = forecasts.with_columns(demand=pl.when(~pl.col("is_censored")).then(pl.col("demand")))
    demand = scored["demand"].fill_null(float("nan")).to_numpy()
    losses = pinball_loss(demand, scored.select(columns).to_numpy(), quantiles).mean(axis=1)
    error = pl.col("mean_units") - pl.col("demand")
    covered = [
        pl.col("demand")
        .is_between(pl.col(quantile_column(low)), pl.col(quantile_column(high)))
        .cast(pl.Float64)
        .alias(name)
        for name, (low, high) in COVERAGES.items()
        if low in quantiles and high in quantiles
    ]
    return scored.with_columns(pl.Series("pinball", losses).fill_nan(None)).with_columns(
        error.alias("error"), error.abs().alias("absolute_error"), error.pow(2).alias("squared_error"), *covered
    )


def summarise_losses(losses: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return the metrics of every group of rows.

    - `wape`: sum of absolute errors of the mean / sum of demand.
    - `bias`: sum of errors of the mean / sum of demand; positive is over-forecasting.
    - `pinball`: mean pinball loss over rows and quantiles, units.
    - `rmsse`: mean over series and cutoffs of sqrt(mean squared error / mean squared one-period difference of the
      history up to the cutoff).
    - `coverage_80`, `coverage_90`: share of demands within the central interval.

    Args:
        losses: from `row_losses`, with columns sku, location, cutoff and `difference_scale` (mean squared one-period
            difference of the series' history up to the cutoff, units squared).
        by: columns to group by.

    Returns:
        one row a group: `by`, `n_scored`, `n_censored` and the metrics; null where nothing could be scored.

    Source: RMSSE: Makridakis, Spiliotis and Assimakopoulos (2022), The M5 Accuracy Competition, eq. 1.
    """
    is_scored = pl.col("demand").is_not_null()
    demand = pl.col("demand").sum()
    share_of_demand = pl.when(demand > 0)
    pooled = losses.group_by(by).agg(
        is_scored.sum().alias("n_scored"),
        pl.col("is_censored").sum().alias("n_censored"),
        share_of_demand.then(pl.col("absolute_error").sum() / demand).alias("wape"),
        share_of_demand.then(pl.col("error").sum() / demand).alias("bias"),
        pl.col("pinball").mean(),
        *(pl.col(name).mean() for name in COVERAGES if name in losses.columns),
    )
    per_series = (
        losses.filter(is_scored, pl.col("difference_scale") > 0)
        .group_by([*by, *({"sku", "location", "cutoff"} - set(by))])
        .agg(rmsse=(pl.col("squared_error").mean() / pl.col("difference_scale").first()).sqrt())
        .group_by(by)
        .agg(pl.col("rmsse").mean())
    )
    return pooled.join(per_series, on=by, how="left", nulls_equal=True).sort(by)


def summarise_windows(scores: pl.DataFrame) -> pl.DataFrame:
    """Return how each family's metrics vary from window to window: a mean hides how far one window may lie from it.

    Args:
        scores: one row a (family, cutoff, segment) with one column a metric; cutoff null means all windows, segment
            "all" every series.

    Returns:
        one row a family: n_windows and, for each metric, its mean over the windows and `<metric>_sd`, the sample
        standard deviation (null for a single window). Every window counts alike.
    """
    windows = scores.filter(pl.col("cutoff").is_not_null(), pl.col("segment") == ALL_SEGMENTS)
    names = [name for name in METRICS if name in scores.columns]
    return (
        windows.group_by("family")
        .agg(
            pl.len().alias("n_windows"),
            *(pl.col(name).mean() for name in names),
            *(pl.col(name).std().alias(f"{name}_sd") for name in names),
        )
        .sort("family")
    )
