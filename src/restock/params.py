"""What changes results: params.yaml mirrored with types, bounds and units, so that a misspelt key fails by name."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restock.errors import ConfigurationError
from restock.timeline import Frequency

PARAMS_FILE = "params.yaml"

Share = Annotated[float, Field(ge=0, le=1)]
FamilyName = Literal["seasonal_naive", "statistical", "random_forest", "xgboost", "neural"]
# What can be promoted: a family, or what stage `combine` makes of them.
ModelName = Literal["seasonal_naive", "statistical", "random_forest", "xgboost", "neural", "ensemble"]


class Section(BaseModel):
    """A frozen part of params.yaml that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestParams(Section):
    """What a batch must keep to be accepted."""

    source: Literal["demo"] = Field(description="What the ingest stage reads where no batch has been ingested yet.")
    max_rejected_share: Share = Field(description="Share of rejected rows above which a batch is refused.")


class SimulationParams(Section):
    """Size of the demo company."""

    n_skus: int = Field(ge=5, le=100_000, description="Articles.")
    n_stores: int = Field(ge=1, le=1_000, description="Stores; one warehouse is added.")
    n_days: int = Field(ge=120, le=3_650, description="Days of history.")
    first_day: date = Field(description="First day of history.")


class FeatureParams(Section):
    """What the learned families see."""

    lags: tuple[Annotated[int, Field(ge=0)], ...] = Field(description="Periods before the cutoff; 0 is the cutoff.")
    rolling_windows: tuple[Annotated[int, Field(ge=2)], ...] = Field(description="Window lengths, periods.")
    known_ahead: tuple[Literal["is_promoted", "unit_price"], ...] = Field(
        description="Columns whose plan for the horizon is known at the cutoff."
    )
    max_stockout_share: Share = Field(
        description="A period with a larger known share of it without stock is masked as censored."
    )
    recover_from_share: Share = Field(
        description="In-stock share of a censored period's usual demand from which the rest of it is recovered; "
        "1 recovers nothing."
    )
    silence_probability: Share = Field(
        description="Probability of an unflagged stockout from which a period without sales is masked as censored; "
        "1 masks none."
    )


class ForecastingParams(Section):
    """What is forecast."""

    frequency: Frequency = Field(description="Length of one period.")
    horizon: int = Field(ge=1, le=366, description="Periods forecast after the cutoff.")
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        min_length=3, description="Probability levels, increasing, the median among them."
    )
    families: tuple[FamilyName, ...] = Field(min_length=1, description="Families to train; seasonal_naive among them.")
    training_rows: int = Field(ge=1_000, description="Rows sampled from all (series, cutoff, horizon).")
    training_periods: int = Field(ge=28, description="How far back training rows reach, periods.")

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if list(self.quantiles) != sorted(set(self.quantiles)) or 0.5 not in self.quantiles:
            raise ValueError("quantiles must increase, without repeats, and hold 0.5")
        if "seasonal_naive" not in self.families:
            raise ValueError("families must hold seasonal_naive: every metric is reported beside it")
        return self


class BacktestParams(Section):
    """The rolling-origin backtest."""

    n_windows: int = Field(ge=1, le=60, description="How many cutoffs.")
    step_periods: int = Field(ge=1, description="Periods between two cutoffs.")
    minimum_history_periods: int = Field(ge=14, description="Periods of history before the oldest cutoff.")
    refit: Literal["first", "each"] = Field(
        description="first: fit once before the oldest window; each: fit anew at every cutoff."
    )


class SeasonalNaiveParams(Section):
    """The baseline: the last season repeated, with the spread of its own past errors."""

    residual_periods: int = Field(ge=14, description="Periods of past errors that make the quantiles.")


class StatisticalParams(Section):
    """Exponential smoothing: by season, by theta where a series is short, by TSB where it is intermittent."""

    history_periods: int = Field(ge=14, le=3_660, description="How far back the methods look, periods.")
    seasonal_periods: int = Field(ge=2, description="Known periods below which a series has no season of its own.")


class RandomForestParams(Section):
    """scikit-learn's random forest with quantiles from its leaves."""

    n_trees: int = Field(ge=1, le=2_000, description="Trees.")
    min_samples_leaf: int = Field(ge=1, description="Fewest training rows in a leaf.")
    max_features: Share = Field(gt=0, description="Share of features tried at a split.")
    samples_per_leaf: int = Field(ge=1, le=256, description="Training targets kept per leaf for the quantiles.")


class XGBoostParams(Section):
    """Boosted trees: all quantiles in one model, the mean by a Tweedie objective."""

    n_rounds: int = Field(ge=1, le=10_000, description="Boosting rounds.")
    learning_rate: float = Field(gt=0, le=1, description="Shrinkage of each round.")
    max_depth: int = Field(ge=1, le=16, description="Deepest tree.")
    min_child_weight: float = Field(ge=0, description="Smallest sum of weights in a leaf.")
    subsample: Share = Field(gt=0, description="Share of rows per round.")
    colsample_bytree: Share = Field(gt=0, description="Share of features per tree.")
    tweedie_variance_power: float = Field(gt=1, lt=2, description="Tweedie power of the mean's objective.")
    fitted_quantiles: int = Field(
        ge=3, le=99, description="Levels that the trees are fitted for; those between are told by their neighbours."
    )
    half_life_periods: float = Field(gt=0, description="A target this much older counts half as much, periods.")


class NeuralParams(Section):
    """A mixer-like network over the lookback window, with a quantile head."""

    lookback_periods: int = Field(ge=7, le=1_024, description="Periods of history the network reads.")
    hidden_units: int = Field(ge=4, le=4_096, description="Width of the blocks.")
    n_blocks: int = Field(ge=1, le=16, description="Mixer blocks.")
    dropout_share: Share = Field(lt=1, description="Share of units dropped in training.")
    epochs: int = Field(ge=1, description="Passes over the training windows.")
    batch_size: int = Field(ge=1, description="Windows per step.")
    learning_rate: float = Field(gt=0, description="Adam's step.")
    training_windows: int = Field(ge=100, description="Windows sampled from all (series, cutoff).")


class FamilyParams(Section):
    """One section a family."""

    seasonal_naive: SeasonalNaiveParams
    statistical: StatisticalParams
    random_forest: RandomForestParams
    xgboost: XGBoostParams
    neural: NeuralParams


class EnsembleParams(Section):
    """How the families' forecasts are weighted, segment by segment."""

    equal_weights_pull: float = Field(
        ge=0, le=100, description="Pull towards equal weights, in shares of the loss per squared distance."
    )
    smallest_weight: Share = Field(lt=0.5, description="A family with a smaller weight is left out of a segment.")
    smallest_segment_rows: int = Field(ge=1, description="Scored rows below which a segment has the weights of all.")


class ColdStartParams(Section):
    """How long a series is forecast by its attributes too."""

    attribute_periods: float = Field(
        gt=0, le=366, description="Known periods of its own that a series' attributes are worth."
    )
    young_periods: int = Field(ge=1, le=366, description="Known periods from which its own forecast stands alone.")


class CalibrationParams(Section):
    """How earlier back-test windows correct the quantiles and the mean."""

    strength: Share = Field(description="Share of the correction of the levels that is made; 0 makes none.")
    shrinkage_rows: float = Field(
        ge=0, description="Weight of the wider group's correction: segment and horizon to segment to all series, rows."
    )
    horizon_bins: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="Last horizon of each bin but the last, periods, increasing; empty for one bin."
    )
    mean_strength: Share = Field(description="Share of the weakest window's bias that is taken out of the mean.")
    mean_windows: int = Field(
        ge=1, description="Windows that must all err to the same side before the mean is changed."
    )

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if list(self.horizon_bins) != sorted(set(self.horizon_bins)):
            raise ValueError("horizon_bins must increase, without repeats")
        return self


class PathParams(Section):
    """Sample paths: how demand hangs together across the horizon and between series."""

    n_paths: int = Field(ge=50, le=10_000, description="Paths of every series where sums of demand are forecast.")
    shrinkage_pairs: float = Field(
        ge=0, description="Weight of all series' correlations in a segment's, pairs of periods."
    )


class ReconciliationParams(Section):
    """The back-test of totals: added up from the series, beside forecast on their own and reconciled."""

    family: FamilyName = Field(description="What forecasts totals on their own, to be compared with and reconciled.")


class ServiceTargets(Section):
    """One share a class of series, by revenue."""

    A: Share = Field(lt=1, description="Class A: the first share of revenue.")
    B: Share = Field(lt=1, description="Class B: the next.")
    C: Share = Field(lt=1, description="Class C: the rest.")


class ReplenishmentParams(Section):
    """What stock and its lack cost, what orders aim at, and what they must keep."""

    unmet_demand: Literal["lost", "backordered"] = Field(description="What becomes of demand that stock can't serve.")
    capital_cost_share: float = Field(ge=0, le=2, description="Price of money, share of the stock's value a year.")
    storage_cost_share: float = Field(
        ge=0, le=5, description="Space, handling, insurance and ageing, share of the stock's value a year."
    )
    shortage_margin_multiple: float = Field(
        gt=0, le=100, description="What a unit short costs, in margins: goodwill that is lost makes it more than 1."
    )
    default_margin_share: Share = Field(
        gt=0, lt=1, description="Margin where no price is known, share of the price; the plan's reasons say so."
    )
    objective: Literal["cost", "fill_rate", "cycle_service"] = Field(
        description="cost: least expected cost; else: least stock that reaches service_targets."
    )
    service_targets: ServiceTargets = Field(description="For objectives other than cost, by ABC class.")
    service_floors: ServiceTargets = Field(description="Fill rate that no order may aim below, by ABC class; 0: none.")
    budget: float | None = Field(gt=0, description="Most that one day's orders may cost together; null: no limit.")
    transport_units: dict[str, Annotated[float, Field(gt=0)]] = Field(
        description="Most units that one delivery of a supplier (or a warehouse) can carry, by name; empty: no limit."
    )
    supplier_minimum_values: dict[str, Annotated[float, Field(gt=0)]] = Field(
        description="What an order must be worth at least, currency, by supplier; empty: anything."
    )
    time_limit_seconds: float = Field(gt=0, le=3_600, description="For what many orders share (budget, truck, ...).")
    shortage_multiples: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        min_length=1, description="Of the shortage cost that the planner reckons with: what tuning tries, increasing."
    )
    simulated_paths: int = Field(ge=20, le=2_000, description="Paths of every series in walk-forward simulations.")

    @model_validator(mode="after")
    def _check_multiples(self) -> Self:
        if list(self.shortage_multiples) != sorted(set(self.shortage_multiples)):
            raise ValueError("shortage_multiples must increase, without repeats")
        return self


class EvaluationParams(Section):
    """How series are put into segments."""

    abc_shares: tuple[Share, Share] = Field(description="Cumulative revenue shares at which class A and B end.")
    intermittence_interval: float = Field(ge=1, description="Mean periods between sales above which intermittent.")
    variability: float = Field(gt=0, description="Squared coefficient of variation above which erratic.")


class PromotionParams(Section):
    """The promotion gate's paired bootstrap."""

    confidence: Share = Field(gt=0.5, lt=1, description="Confidence that the candidate is better.")
    n_resamples: int = Field(ge=100, le=100_000, description="Bootstrap resamples.")


class MonitoringParams(Section):
    """When the served forecaster is no longer to be trusted."""

    window_periods: int = Field(ge=7, le=366, description="Latest periods that are judged.")
    reference_periods: int = Field(ge=7, le=3_660, description="Periods before the training cutoff to compare with.")
    minimum_periods: int = Field(ge=1, le=366, description="Fewest periods to judge on.")
    max_stale_periods: int = Field(ge=0, le=366, description="Periods that sales may end before the day judged.")
    max_psi: float = Field(gt=0, le=10, description="Population stability index of an input above which it drifted.")
    max_coverage_gap: Share = Field(gt=0, description="Largest distance of the 80 % interval's coverage from 80 %.")
    max_bias: float = Field(gt=0, le=10, description="Largest bias of past forecasts, share of demand.")
    retrain_cooldown_days: int = Field(ge=0, le=366, description="Days before the same version asks for it again.")


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, lt=2**32, description="Every random number follows from it.")
    ingest: IngestParams
    simulation: SimulationParams
    features: FeatureParams
    forecasting: ForecastingParams
    backtest: BacktestParams
    families: FamilyParams
    ensemble: EnsembleParams
    cold_start: ColdStartParams
    calibration: CalibrationParams
    paths: PathParams
    reconciliation: ReconciliationParams
    replenishment: ReplenishmentParams
    evaluation: EvaluationParams
    promotion: PromotionParams
    monitoring: MonitoringParams


def merge_values(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it, section by section; neither is changed.

    Example:
        >>> merge_values({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
        {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(base)
    for key, value in changes.items():
        kept = merged.get(key)
        merged[key] = merge_values(kept, value) if isinstance(kept, dict) and isinstance(value, dict) else value
    return merged


def read_param_values(path: Path, *, profile: str | None = None) -> dict[str, Any]:
    """Return the plain values of a params.yaml, with a profile of it laid over where one is named.

    Raises:
        ConfigurationError: the file is missing or not YAML, or has no such profile.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} is missing. Run the command in a restock checkout or workspace, or set RESTOCK_WORKSPACE."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold a mapping of sections, got {type(values).__name__}.")
    profiles = values.pop("profiles", {}) or {}
    if profile is None:
        return values
    if profile not in profiles:
        raise ConfigurationError(f"{path} has no profile {profile!r}, has {sorted(profiles)}.")
    return merge_values(values, profiles[profile])


def parse_params(values: dict[str, Any], *, origin: str = PARAMS_FILE) -> Params:
    """Return typed params from plain values.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is of the wrong type or out of bounds; every fault
            is named with its path.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']} (got {fault['input']!r:.80})"
            for fault in error.errors()
        )
        raise ConfigurationError(
            f"{origin} is not valid: {faults}. src/restock/params.py describes every key."
        ) from error


def read_params(path: Path, *, profile: str | None = None) -> Params:
    """Return the typed params of a params.yaml.

    Raises:
        ConfigurationError: see `read_param_values` and `parse_params`.
    """
    return parse_params(read_param_values(path, profile=profile), origin=str(path))


def change_params(params: Params, changes: dict[str, object]) -> Params:
    """Return `params` with `changes` laid over them, section by section.

    Raises:
        ConfigurationError: a change is unknown or out of bounds.
    """
    return parse_params(merge_values(params.model_dump(mode="json"), changes), origin="the changed params")
