"""What forecasting makes: distributions of demand, how demands hang together, and their totals."""

from __future__ import annotations

from restock.schema import Column, ColumnOrder, Table
from restock.tables.columns import (
    CUTOFF,
    DATE,
    INTEGER,
    LOCATION,
    MODEL_VERSION,
    NUMBER,
    QUANTILE,
    SKU,
    TEXT,
    demand_columns,
)

QUANTILE_FORECAST = Table(
    name="quantile_forecast",
    description="Demand as a distribution: one row a quantile, the mean beside it.",
    key=("sku", "location", "cutoff", "date", "model_version", "quantile"),
    columns=(
        SKU,
        LOCATION,
        CUTOFF,
        Column(name="date", type=DATE, description="First day of the period that is forecast."),
        MODEL_VERSION,
        QUANTILE,
        *demand_columns("units per period", mean="Expected demand (the same on every quantile's row)."),
    ),
    orders=(ColumnOrder(earlier="cutoff", later="date"),),
)


def _lag_columns(first: int, *, lag: str, value: str) -> tuple[Column, ...]:
    """Return the columns of a correlation by lag that a model version learned, lags counted from `first`."""
    return (
        CUTOFF,
        MODEL_VERSION,
        Column(name="lag", type=INTEGER, description=lag, unit="periods", minimum=first),
        Column(name="rank_correlation", type=NUMBER, description=value, minimum=-1, maximum=1),
    )


DEMAND_DEPENDENCE = Table(
    name="demand_dependence",
    description="How demand of one series hangs together across the horizon, per segment and lag.",
    key=("segment", "cutoff", "model_version", "lag"),
    columns=(
        Column(name="segment", type=TEXT, description="ABC class and intermittence, such as A-smooth."),
        *_lag_columns(
            1, lag="Periods between two demands.", value="Rank correlation of the two demands given their forecasts."
        ),
    ),
)

DEMAND_COMOVEMENT = Table(
    name="demand_comovement",
    description="How demands of two series move together because of what they share, per lag.",
    key=("shared", "cutoff", "model_version", "lag"),
    columns=(
        Column(
            name="shared",
            type=TEXT,
            description="What the two series share: all (everything), region, category, location or sku.",
            choices=("all", "region", "category", "location", "sku"),
        ),
        *_lag_columns(
            0,
            lag="Periods between the two demands.",
            value="Rank correlation, given their forecasts, that this and nothing else makes.",
        ),
    ),
)

TOTAL_FORECAST = Table(
    name="total_forecast",
    description="Demand of many series together as a distribution: quantiles of summed paths, the sum of means beside.",
    key=("level", "name", "cutoff", "date", "periods", "model_version", "quantile"),
    columns=(
        Column(
            name="level",
            type=TEXT,
            description="What is added up: all (everything), region, category or location.",
            choices=("all", "region", "category", "location"),
        ),
        Column(name="name", type=TEXT, description='Which one of the level; "all" for everything, "" for unknown.'),
        CUTOFF,
        Column(name="date", type=DATE, description="First day of the first period."),
        Column(name="periods", type=INTEGER, description="How many periods are added up.", unit="periods", minimum=1),
        MODEL_VERSION,
        QUANTILE,
        *demand_columns(
            "units in all the periods",
            mean="Expected demand: the sum of the series' (the same on every quantile's row).",
        ),
    ),
    orders=(ColumnOrder(earlier="cutoff", later="date"),),
)
