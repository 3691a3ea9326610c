"""Why a forecast is what it is, for both doors: the one served on request, and the one kept for a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.registry import ModelType
from restock.adapters.storage import sha256_of
from restock.errors import DataError, NotFoundError
from restock.forecasting.explanation.drivers import Driver, Remainder
from restock.forecasting.explanation.explain import Explanation, explain_forecast
from restock.forecasting.explanation.inputs import InputParts, explain_by_inputs
from restock.forecasting.explanation.sentence import tell_forecast
from restock.forecasting.panel import DemandPanel
from restock.operations.daily_forecast import (
    DESCRIPTION_FILE,
    FORECAST_FILE,
    choose_version,
    list_partitions,
    read_description,
)
from restock.operations.forecast import SeriesRequest, plan_panel, plan_stored
from restock.operations.known_tables import panel_as_of, read_known_tables, with_listed, with_series
from restock.operations.served_model import ServedModel, load_served_model
from restock.operations.stored_history import StoredHistory, hash_history, near_matches
from restock.settings import Settings
from restock.statistics.attribution import round_to_sum

# As many digits as a served forecast has.
UNIT_DECIMALS = 4
# A kept forecast is the same number as the one made again, but for rounding of this share.
_SAME_SHARE = 1e-5


@dataclass(frozen=True, kw_only=True)
class InputEffects:
    """What the inputs of the boosted trees add over the whole horizon; all of it sums to the forecast.

    Attributes:
        average_row_units: what the trees say of an average row of those they learned from, at this series' scale.
        inputs: the strongest: name, driver and what it adds, units.
        other_inputs_units: what all the others add.
        other_members_units: what the trees do not say: other members, calibration, cold start, reconciliation.
    """

    average_row_units: float
    inputs: tuple[tuple[str, Driver, float], ...]
    other_inputs_units: float
    other_members_units: float

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "average_row": self.average_row_units,
            "inputs": [{"name": name, "driver": driver.value, "units": units} for name, driver, units in self.inputs],
            "other_inputs": self.other_inputs_units,
            "other_members": self.other_members_units,
        }


@dataclass(frozen=True, kw_only=True)
class ExplainedForecast:
    """The explanation of one series' forecast, rounded as forecasts are served, with what made it.

    Attributes:
        sku: the article.
        location: where it is sold.
        dates: the forecast periods.
        cutoff: last period whose data were used.
        mean_units: shape (horizon,), units per period.
        part_units: by driver and remainder, shape (horizon,): what each adds; they sum to `mean_units` digit by digit.
        sentence: all of it in one.
        model: what made the forecast.
        assumptions: what was assumed about the periods ahead, in words.
        data_hash: hash of the history that the forecast was made from.
        is_kept: whether it is the kept forecast of a day, and not one made for the occasion.
        input_effects: what the inputs of the boosted trees add; None where not asked for.
    """

    sku: str
    location: str
    dates: tuple[date, ...]
    cutoff: date
    mean_units: NDArray[np.float64]
    part_units: Mapping[Driver | Remainder, NDArray[np.float64]]
    sentence: str
    model: ServedModel
    assumptions: tuple[str, ...]
    data_hash: str
    is_kept: bool
    input_effects: InputEffects | None = None

    def total_units(self) -> float:
        """Return the mean over the whole horizon, units."""
        return _total(self.mean_units)

    def totals(self) -> dict[Driver | Remainder, float]:
        """Return what each part adds over the whole horizon, units."""
        return {part: _total(units) for part, units in self.part_units.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the explanation ready for JSON."""
        return {
            "sku": self.sku,
            "location": self.location,
            "sentence": self.sentence,
            "mean_units": self.total_units(),
            "parts": {part.value: units for part, units in self.totals().items()},
            "periods": [
                {
                    "date": day.isoformat(),
                    "mean_units": float(self.mean_units[ahead]),
                    "parts": {part.value: float(units[ahead]) for part, units in self.part_units.items()},
                }
                for ahead, day in enumerate(self.dates)
            ],
            "assumptions": list(self.assumptions),
            "model_version": self.model.version,
            "family": self.model.family,
            "cutoff": self.cutoff.isoformat(),
            "data_hash": self.data_hash,
            "is_kept": self.is_kept,
        } | ({} if self.input_effects is None else {"boosted_trees": self.input_effects.to_json()})


def explain_stored(
    model: ServedModel, history: StoredHistory, *, series: SeriesRequest, horizon: int | None
) -> ExplainedForecast:
    """Return why the forecast of a stored series is what it is.

    Args:
        model: what forecasts.
        history: what it forecasts from.
        series: which series, with its plan.
        horizon: periods after the last stored one; None means the longest the model gives.

    Raises:
        UnknownSeriesError: the sku or the location is not known.
        HorizonError: the horizon is longer than the model gives.
        PlanError: the plan does not fit the forecast periods.
        NotReadyError: the history is still being rebuilt for a model of another frequency.
    """
    planned = plan_stored(model, history, series=[series], horizon=horizon)
    explanation = explain_forecast(model.forecaster, planned.panel, horizon=planned.horizon)
    return _explained(
        explanation, model, assumptions=planned.assumptions[0], data_hash=history.data_hash, is_kept=False
    )


def explain_as_of(
    settings: Settings, *, sku: str, location: str, as_of: date, horizon: int | None = None, n_inputs: int = 0
) -> ExplainedForecast:
    """Return why the forecast of a series, as known at the end of `as_of`, is what it is.

    Where that day's forecast was kept (`restock forecast`), it is that one, by the version that made it. Should it
    differ from what is made now, the difference is a remainder of its own: by later changes of the stored tables, or
    unexplained where they are the same.

    Args:
        settings: workspace with validated data and promoted versions.
        sku: the article.
        location: where it is sold.
        as_of: the day.
        horizon: periods; None means the longest the model gives.
        n_inputs: how many inputs of the boosted trees to tell too; 0: none.

    Raises:
        NotFoundError: nothing is validated or promoted, no version may forecast that day, the series is not known, or
            inputs are asked for and no boosted trees are in the version.
        DataError: there are no sales up to that day, they no longer reach the cutoff of the kept forecast, its file is
            not the one that was kept, or the tables changed while they were read.
        HorizonError: the horizon is longer than the model gives.
        TamperedVersionError: the version is not what was promoted.
        GoldenReplayError: the version does not reproduce its golden outputs.
    """
    folder = list_partitions(settings.data_dir).get(as_of)
    described = None if folder is None else read_description(folder)
    version = (
        choose_version(settings.models_dir, as_of=as_of)
        if described is None
        else int(described["model_version"].removeprefix("model_version_"))
    )
    model = load_served_model(settings.models_dir, ModelType.DEMAND_FORECASTING, version)
    known = read_known_tables(settings.data_dir)
    panel = with_listed(panel_as_of(known, model, as_of=as_of), known)
    means = {} if folder is None or described is None else _kept_means(folder, described, sku=sku, location=location)
    if means:
        # Listed then and sold nowhere yet: terms, which have no date, no longer say so.
        panel = with_series(panel, pl.DataFrame({"sku": [sku], "location": [location]}), known=known)
    panel = _one_series(panel, sku, location=location)
    if described is not None:
        panel = _up_to(panel, date.fromisoformat(described["cutoff"]))
    planned = plan_panel(model, panel, plans=[()], horizon=horizon)
    explanation = explain_forecast(model.forecaster, planned.panel, horizon=planned.horizon)
    hashes = known.hashes if described is None else described["data_hashes"]
    if described is not None:
        is_same_history = all(known.hashes.get(name) == digest for name, digest in hashes.items())
        explanation = _as_kept(explanation, means, as_of=as_of, is_same_history=is_same_history)
    explained = _explained(
        explanation,
        model,
        assumptions=planned.assumptions[0],
        data_hash=hash_history(hashes),
        is_kept=described is not None,
    )
    if not n_inputs:
        return explained
    told = explain_by_inputs(model.forecaster, planned.panel, horizon=planned.horizon)
    return replace(explained, input_effects=_input_effects(told, explained.total_units(), n_inputs=n_inputs))


def _explained(
    explanation: Explanation, model: ServedModel, *, assumptions: tuple[str, ...], data_hash: str, is_kept: bool
) -> ExplainedForecast:
    """Return the explanation of its first series."""
    parts = explanation.parts()
    mean = np.round(explanation.mean_units[0], UNIT_DECIMALS)
    rounded = round_to_sum(np.stack([units[0] for units in parts.values()], axis=-1), mean, decimals=UNIT_DECIMALS)
    sku, location = explanation.series.select("sku", "location").row(0)
    return ExplainedForecast(
        sku=sku,
        location=location,
        dates=explanation.dates,
        cutoff=explanation.cutoff,
        mean_units=mean,
        part_units={part: rounded[:, place] for place, part in enumerate(parts)},
        sentence=tell_forecast(explanation, 0, frequency=model.frequency),
        model=model,
        assumptions=assumptions,
        data_hash=data_hash,
        is_kept=is_kept,
    )


def _input_effects(told: InputParts, total_units: float, *, n_inputs: int) -> InputEffects:
    """Return what the strongest inputs add to the first series over the whole horizon."""
    units = told.input_units[0].sum(axis=0)
    strongest = np.argsort(-np.abs(units), kind="stable")[:n_inputs]
    average = round(float(told.average_units[0].sum()), UNIT_DECIMALS)
    inputs = tuple((told.names[n], told.drivers[n], round(float(units[n]), UNIT_DECIMALS)) for n in strongest)
    others = round(float(units.sum()) - sum(added for *_, added in inputs), UNIT_DECIMALS)
    rest = total_units - average - others - sum(added for *_, added in inputs)
    return InputEffects(
        average_row_units=average,
        inputs=inputs,
        other_inputs_units=others,
        other_members_units=round(rest, UNIT_DECIMALS),
    )


def _total(units: NDArray[np.float64]) -> float:
    """Return the sum of rounded units, without the digits that adding them in binary makes up."""
    return round(float(units.sum()), UNIT_DECIMALS)


def _one_series(panel: DemandPanel, sku: str, *, location: str) -> DemandPanel:
    """Return the panel of one series.

    Raises:
        NotFoundError: it is not there.
    """
    row = panel.series.with_row_index("row").filter(pl.col("sku") == sku, pl.col("location") == location)["row"]
    if row.len():
        return panel.select(row.to_numpy().astype(np.intp))
    name, column = (sku, "sku") if sku not in panel.series["sku"] else (location, "location")
    near = ", ".join(near_matches(name, panel.series[column].unique().sort().to_list()))
    raise NotFoundError(
        f"there is no forecast of {sku} at {location} as of {panel.last_observed}, expected a series that was sold or "
        f"is listed by then.{f' Near: {near}.' if near else ''}"
    )


def _up_to(panel: DemandPanel, cutoff: date) -> DemandPanel:
    """Return the panel as it was at the cutoff of a kept forecast.

    Raises:
        DataError: it no longer reaches it.
    """
    if panel.last_observed < cutoff:
        raise DataError(
            f"stored sales end on {panel.last_observed}, the kept forecast was made from sales up to {cutoff}. Make it "
            "again: restock forecast --as-of."
        )
    return panel.observed_until(cutoff)


def _kept_means(folder: Path, described: Mapping[str, Any], *, sku: str, location: str) -> dict[date, float]:
    """Return the kept mean of every forecast period of a series, units; none where it is not in the partition.

    Raises:
        DataError: the file is missing, or is not the one that was kept.
    """
    path = folder / FORECAST_FILE
    remedy = f"Make it again: restock forecast --as-of {described['as_of']}."
    try:
        digest = sha256_of(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. {remedy}") from error
    if digest != described["sha256"]:
        raise DataError(
            f"{path} is not the file that {DESCRIPTION_FILE} describes: its SHA-256 is {digest[:12]}, expected "
            f"{described['sha256'][:12]}. {remedy}"
        )
    rows = (
        pl.scan_parquet(path)
        .filter(pl.col("sku") == sku, pl.col("location") == location)
        .select("date", "mean_demand_units")
        .unique()
        .collect()
    )
    return dict(rows.iter_rows())


def _as_kept(
    explanation: Explanation, means: Mapping[date, float], *, as_of: date, is_same_history: bool
) -> Explanation:
    """Return the explanation of the numbers that were kept.

    Raises:
        NotFoundError: they are not there for all of its periods.
    """
    if not set(explanation.dates) <= set(means):
        sku, location = explanation.series.select("sku", "location").row(0)
        raise NotFoundError(
            f"the forecast kept as of {as_of} has no {sku} at {location} for all of the {explanation.horizon} periods "
            f"from {explanation.dates[0]} on, expected one row a period. Ask for fewer: --horizon."
        )
    kept = np.array([[means[day] for day in explanation.dates]])
    if (np.abs(kept - explanation.mean_units) <= _SAME_SHARE * np.maximum(kept, 1)).all():
        return explanation
    return explanation.corrected_to(kept, Remainder.UNEXPLAINED if is_same_history else Remainder.LATER_CHANGES)
