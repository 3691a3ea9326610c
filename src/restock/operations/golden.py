"""Golden forecasts: a few series with what the model gave for them, replayed wherever a version is loaded."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError, GoldenReplayError, RestockError
from restock.forecasting.forecast import DemandForecast, DemandForecaster
from restock.forecasting.panel import build_demand_panel
from restock.schema import Table
from restock.tables import CALENDAR, LOCATIONS, PRODUCTS, SALES
from restock.timeline import Frequency

_SCHEMA_VERSION = 1
_TABLES: tuple[Table, ...] = (SALES, PRODUCTS, LOCATIONS, CALENDAR)
_N_SERIES = 5
# Reaches beyond every lag, rolling window and lookback of the default params, so that each has something to read.
_HISTORY_PERIODS = 120
# Other processors add float32 numbers in another order, and a network carries that on; a wrong model errs far more.
_RELATIVE_TOLERANCE = 1e-3
_ABSOLUTE_TOLERANCE_UNITS = 1e-3


def make_golden(
    forecaster: DemandForecaster, tables: dict[str, pl.DataFrame], *, frequency: Frequency, horizon: int
) -> dict[str, Any]:
    """Return golden inputs and outputs of `forecaster`, ready for JSON.

    The series are those at even steps from the best to the least selling; their history is cut to its last 120 periods.

    Args:
        forecaster: fitted.
        tables: sales, products, locations and calendar, by name.
        frequency: length of one period.
        horizon: periods, 1 to the forecaster's.
    """
    inputs = _choose_inputs(tables, frequency=frequency, horizon=horizon)
    forecast = _forecast(forecaster, inputs, frequency=frequency, horizon=horizon)
    return {
        "schema_version": _SCHEMA_VERSION,
        "frequency": frequency.value,
        "horizon": horizon,
        "relative_tolerance": _RELATIVE_TOLERANCE,
        "absolute_tolerance_units": _ABSOLUTE_TOLERANCE_UNITS,
        "inputs": {table.name: _to_records(inputs[table.name]) for table in _TABLES},
        "outputs": {
            "cutoff": forecast.cutoff.isoformat(),
            "series": forecast.series.select("sku", "location").to_dicts(),
            "dates": [day.isoformat() for day in forecast.dates],
            "quantiles": list(forecast.quantiles),
            "quantile_units": _to_lists(forecast.quantile_units),
            "mean_units": _to_lists(forecast.mean_units),
        },
    }


def replay_golden(forecaster: DemandForecaster, golden: Any) -> None:
    """Forecast the golden inputs again and return if the golden outputs come back, within the stated tolerance.

    Args:
        forecaster: as loaded.
        golden: from `make_golden`.

    Raises:
        GoldenReplayError: an output differs, the model can't forecast the inputs, or `golden` is not what `make_golden`
            writes.
    """
    try:
        if golden["schema_version"] != _SCHEMA_VERSION:
            raise ValueError(f"schema_version must be {_SCHEMA_VERSION}, got {golden['schema_version']}")
        outputs = golden["outputs"]
        inputs = {table.name: _from_records(golden["inputs"][table.name], table) for table in _TABLES}
        horizon, frequency = int(golden["horizon"]), Frequency(golden["frequency"])
        tolerances = float(golden["relative_tolerance"]), float(golden["absolute_tolerance_units"])
        expected = {name: np.array(outputs[name], dtype=np.float64) for name in ("mean_units", "quantile_units")}
        labels = {name: outputs[name] for name in ("cutoff", "series", "dates", "quantiles")}
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise GoldenReplayError(
            f"golden.json is not what promotion writes: {error!r}. Promote the model anew."
        ) from error
    try:
        forecast = _forecast(forecaster, inputs, frequency=frequency, horizon=horizon)
    except (RestockError, ValueError) as error:
        raise GoldenReplayError(f"the model can't forecast its golden inputs: {error}") from error
    _compare_labels(forecast, labels)
    for name, got in (("mean_units", forecast.mean_units), ("quantile_units", forecast.quantile_units)):
        _compare_values(name, got.astype(np.float64), expected[name], forecast=forecast, tolerances=tolerances)


def _choose_inputs(tables: dict[str, pl.DataFrame], *, frequency: Frequency, horizon: int) -> dict[str, pl.DataFrame]:
    """Return the four tables, cut to the golden series and their last periods."""
    sales = tables[SALES.name]
    last = sales["date"].max()
    if not isinstance(last, date):
        raise DataError("table sales has no rows, expected at least one to make golden forecasts from.")
    first = last - timedelta(days=_HISTORY_PERIODS * frequency.days)
    reach = last + timedelta(days=horizon * frequency.days)
    # Skus that stopped selling would only show zeros: the series are chosen among those sold lately.
    recent = sales.filter(pl.col("date") > first)
    ranked = (
        recent.group_by("sku", "location")
        .agg(pl.col("units_sold").sum())
        .sort("units_sold", "sku", "location", descending=[True, False, False])
    )
    places = np.unique(np.linspace(0, ranked.height - 1, num=_N_SERIES).round().astype(int))
    chosen = ranked[places].select("sku", "location")
    golden_sales = recent.join(chosen, on=["sku", "location"], how="semi").sort("sku", "location", "date")
    return {
        SALES.name: SALES.conform(golden_sales),
        PRODUCTS.name: PRODUCTS.conform(tables[PRODUCTS.name].join(chosen, on="sku", how="semi").sort("sku")),
        LOCATIONS.name: LOCATIONS.conform(
            tables[LOCATIONS.name].join(chosen, on="location", how="semi").sort("location")
        ),
        CALENDAR.name: CALENDAR.conform(
            tables[CALENDAR.name].filter(pl.col("date").is_between(first, reach)).sort("date", "location")
        ),
    }


def _forecast(
    forecaster: DemandForecaster, inputs: dict[str, pl.DataFrame], *, frequency: Frequency, horizon: int
) -> DemandForecast:
    panel = build_demand_panel(
        inputs[SALES.name],
        inputs[PRODUCTS.name],
        locations=inputs[LOCATIONS.name],
        calendar=inputs[CALENDAR.name],
        frequency=frequency,
        horizon=horizon,
    )
    return forecaster.forecast(panel, horizon=horizon)


def _to_records(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values that JSON holds: dates as ISO 8601."""
    return frame.with_columns(pl.col(pl.Date).dt.to_string("iso")).to_dicts()


def _from_records(records: list[dict[str, Any]], table: Table) -> pl.DataFrame:
    schema = {
        column.name: pl.String() if column.type.polars == pl.Date() else column.type.polars for column in table.columns
    }
    frame = pl.DataFrame(records, schema=schema)
    dates = [column.name for column in table.columns if column.type.polars == pl.Date()]
    return table.conform(frame.with_columns(pl.col(name).str.to_date("%Y-%m-%d") for name in dates))


def _to_lists(values: NDArray[np.float32]) -> Any:
    """Return nested lists with the shortest digits that give the same float32 back."""
    return np.array([float(str(value)) for value in values.reshape(-1)]).reshape(values.shape).tolist()


def _compare_labels(forecast: DemandForecast, labels: dict[str, Any]) -> None:
    got = {
        "cutoff": forecast.cutoff.isoformat(),
        "series": forecast.series.select("sku", "location").to_dicts(),
        "dates": [day.isoformat() for day in forecast.dates],
        "quantiles": list(forecast.quantiles),
    }
    for name, expected in labels.items():
        if got[name] != expected:
            raise GoldenReplayError(f"golden replay gave other {name}: expected {expected}, got {got[name]}.")


def _compare_values(
    name: str,
    got: NDArray[np.float64],
    expected: NDArray[np.float64],
    *,
    forecast: DemandForecast,
    tolerances: tuple[float, float],
) -> None:
    """Refuse values outside the tolerance, and name the worst."""
    relative, absolute = tolerances
    if got.shape != expected.shape:
        raise GoldenReplayError(f"golden replay gave {name} of shape {got.shape}, expected {expected.shape}.")
    is_close = np.isclose(got, expected, rtol=relative, atol=absolute)
    if is_close.all():
        return
    excess = np.nan_to_num(np.abs(got - expected), nan=np.inf)
    place = np.unravel_index(int(np.argmax(np.where(is_close, -1.0, excess))), got.shape)
    sku, location = forecast.series.select("sku", "location").row(int(place[0]))
    quantile = f", quantile {forecast.quantiles[int(place[2])]:g}" if len(place) == 3 else ""
    raise GoldenReplayError(
        f"golden replay differs in {np.count_nonzero(~is_close)} of {got.size} {name}, most for sku={sku}, "
        f"location={location}, date={forecast.dates[int(place[1])]}{quantile}: expected {expected[place]:.6g}, got "
        f"{got[place]:.6g} (tolerance {relative:g} of the value plus {absolute:g} units). The model or a library it "
        "runs on is not the one that was promoted."
    )
