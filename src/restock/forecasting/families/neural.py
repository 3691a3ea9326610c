"""The neural family: fits the network on sampled windows and forecasts any panel with it.

The mean has a head of its own, trained by the Poisson deviance, which is least at the mean whatever the distribution;
the mean over the quantiles would leave out the tails beyond the outermost levels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import DataError, InsufficientHistoryError
from restock.forecasting.censoring import censoring_rule
from restock.forecasting.families.neural_network import build_network, import_keras, import_tensorflow, import_torch
from restock.forecasting.families.neural_training import TrainingTargets, train_network
from restock.forecasting.families.neural_windows import (
    HISTORY_CHANNELS,
    STATIC_ATTRIBUTES,
    IndexArray,
    IntArray,
    Vocabularies,
    WindowLayout,
    Windows,
    build_vocabularies,
    build_windows,
    encode_series,
    unseen_codes,
    vocabulary_size,
)
from restock.forecasting.forecast import DemandForecast, check_horizon
from restock.forecasting.known_demand import demand_in_hindsight
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.params import Params

logger = logging.getLogger(__name__)

# What keeps a forecast of many series within memory: the widest array is windows x horizon x hidden units.
_FORECAST_BATCH = 4_096
# Windows whose history is cut short in training, so that a product's first days are nothing new to the network.
_SHORTENED_SHARE = 0.1
# A window counts by its scale to this power: between 0 (every series alike) and 1 (every unit alike).
_SCALE_WEIGHT_POWER = 0.5

NetworkInputs = dict[str, NDArray[np.float32] | IntArray]
ServeFunction = Callable[[NetworkInputs], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, kw_only=True)
class NeuralForecaster:
    """A fitted network with what it needs to read a panel.

    Attributes:
        layout: how windows are laid out.
        quantiles: probability levels, increasing.
        vocabularies: known values of each static attribute.
        serve: scaled quantiles (n, horizon, n_quantiles) and mean (n, horizon) of the inputs of n windows.
        model: the Keras model after fitting; None after loading, where only `serve` is left.
    """

    layout: WindowLayout
    quantiles: tuple[float, ...]
    vocabularies: Vocabularies
    serve: ServeFunction = field(repr=False)
    model: Any = field(default=None, repr=False)

    @property
    def family(self) -> str:
        """Name of the family."""
        return "neural"

    @property
    def horizon(self) -> int:
        """The longest horizon it was fitted for, periods."""
        return self.layout.horizon

    def forecast(self, panel: DemandPanel, *, horizon: int) -> DemandForecast:
        """Return the forecast of every series of `panel` for the periods after its last observed one.

        Args:
            panel: history (and plans) of any series, one observed period or more.
            horizon: periods, 1 to `self.horizon`.

        Raises:
            HorizonError: `horizon` is longer than `self.horizon`.
            DataError: the panel's periods have another length than those it was fitted on.
        """
        check_horizon(horizon, longest=self.horizon)
        if panel.frequency is not self.layout.frequency:
            raise DataError(
                f"the panel is {panel.frequency}, expected {self.layout.frequency}: the neural model was fitted on "
                f"{self.layout.frequency} periods. Give {self.layout.frequency} sales, or train anew."
            )
        cutoff = panel.observed_periods - 1
        quantile_units = np.empty((panel.n_series, horizon, len(self.quantiles)), dtype=np.float32)
        mean_units = np.empty((panel.n_series, horizon), dtype=np.float32)
        for first in range(0, panel.n_series, _FORECAST_BATCH):
            rows = np.arange(first, min(first + _FORECAST_BATCH, panel.n_series))
            windows = self.windows_ahead(panel.select(rows))
            scaled_quantiles, scaled_mean = self.serve(windows.as_inputs(slice(None)))
            scale = windows.scale_units[:, None]
            mean_units[rows] = scaled_mean[:, :horizon] * scale
            quantile_units[rows] = np.maximum(scaled_quantiles[:, :horizon] * scale[:, :, None], 0)
        return DemandForecast(
            series=panel.series.select("sku", "location"),
            cutoff=panel.last_observed,
            dates=tuple(panel.date_of(cutoff + step) for step in range(1, horizon + 1)),
            quantiles=self.quantiles,
            quantile_units=quantile_units,
            mean_units=mean_units,
        )

    def windows_ahead(self, panel: DemandPanel) -> Windows:
        """Return the window of every series of `panel` that ends with its last observed period."""
        reaching = panel.extended(self.horizon)
        return build_windows(
            reaching,
            np.arange(panel.n_series),
            cutoffs=np.full(panel.n_series, panel.observed_periods - 1),
            layout=self.layout,
            codes=encode_series(reaching.series, self.vocabularies),
        )


def fit_neural(
    panel: DemandPanel, *, params: Params, seed: int, on_progress: Callable[[int, int], None] | None = None
) -> NeuralForecaster:
    """Return a network fitted on windows sampled from the observed part of `panel`.

    Args:
        panel: observed sales with their covariates.
        params: forecasting (horizon, quantiles), features (known_ahead, what is censored) and families.neural.
        seed: what the sample, the weights and their order follow from; the same seed gives the same forecasts.
        on_progress: called after each training step with steps done and steps in all.

    Raises:
        InsufficientHistoryError: no series has an observed period with a whole horizon of observations after it.
        ConfigurationError: the backend of Keras is not installed, or none that the network can be trained on.
    """
    neural = params.families.neural
    layout = WindowLayout(
        horizon=params.forecasting.horizon,
        lookback_periods=neural.lookback_periods,
        frequency=panel.frequency,
        known_ahead=params.features.known_ahead,
        censoring=censoring_rule(params.features),
    )
    vocabularies = build_vocabularies(panel.series)
    rng = np.random.default_rng(seed)
    windows, targets = _sample_windows(
        panel,
        layout=layout,
        vocabularies=vocabularies,
        n_windows=neural.training_windows,
        reach_periods=params.forecasting.training_periods,
        rng=rng,
    )
    logger.info(
        "fitting neural: %d windows, %d series, up to %s", len(windows.scale_units), panel.n_series, panel.last_observed
    )
    model = build_network(
        layout,
        neural,
        n_quantiles=len(params.forecasting.quantiles),
        n_codes=vocabulary_size(vocabularies),
        seed=int(rng.integers(2**31)),
    )
    train_network(
        model,
        windows,
        targets=targets,
        quantiles=params.forecasting.quantiles,
        params=neural,
        seed=int(rng.integers(2**31)),
        on_progress=on_progress,
    )
    return NeuralForecaster(
        layout=layout,
        quantiles=params.forecasting.quantiles,
        vocabularies=vocabularies,
        serve=_serve_of(model, layout),
        model=model,
    )


def input_signature(layout: WindowLayout) -> dict[str, Any]:
    """Return the named TensorFlow specs of the network's inputs, their batch dimension free."""
    tf = import_tensorflow()
    return {
        "history": tf.TensorSpec((None, layout.lookback_periods, HISTORY_CHANNELS), tf.float32, name="history"),
        "future": tf.TensorSpec((None, layout.horizon, layout.future_width), tf.float32, name="future"),
        "numbers": tf.TensorSpec((None, layout.number_width), tf.float32, name="numbers"),
        "codes": tf.TensorSpec((None, len(STATIC_ATTRIBUTES)), tf.int32, name="codes"),
    }


def as_serve_function(endpoint: Callable[[Any], Any]) -> ServeFunction:
    """Return `endpoint` (a traced TensorFlow function with named outputs) as one from arrays to arrays."""
    tf = import_tensorflow()

    def serve(inputs: NetworkInputs) -> tuple[FloatArray, FloatArray]:
        outputs = endpoint({name: tf.constant(values) for name, values in inputs.items()})
        return outputs["quantiles"].numpy(), outputs["mean"].numpy()

    return serve


def _serve_of(model: Any, layout: WindowLayout) -> ServeFunction:
    """Return a model that was just trained as a function from arrays to arrays, on the backend that trained it."""
    if import_keras().config.backend() == "torch":
        return _without_gradients(model)
    tf = import_tensorflow()
    # A graph that is traced once: a call takes less than a millisecond, `predict` takes fifty.
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[input_signature(layout)])
    # Traced here and not at the first call, which TensorFlow would take for a function traced over and over.
    return as_serve_function(graph.get_concrete_function())


def _without_gradients(model: Any) -> ServeFunction:
    """Return a model on PyTorch as a function from arrays to arrays."""
    torch, keras = import_torch(), import_keras()

    def serve(inputs: NetworkInputs) -> tuple[FloatArray, FloatArray]:
        with torch.no_grad():
            outputs = model(dict(inputs), training=False)
        to_numpy = keras.ops.convert_to_numpy
        return to_numpy(outputs["quantiles"]), to_numpy(outputs["mean"])

    return serve


def _sample_windows(
    panel: DemandPanel,
    *,
    layout: WindowLayout,
    vocabularies: Vocabularies,
    n_windows: int,
    reach_periods: int,
    rng: np.random.Generator,
) -> tuple[Windows, TrainingTargets]:
    """Return training windows, each followed by a whole horizon of observed periods, and their targets."""
    rows, cutoffs = _sample_cutoffs(
        panel, horizon=layout.horizon, n_windows=n_windows, reach_periods=reach_periods, rng=rng
    )
    visible = np.full(len(rows), layout.lookback_periods)
    shortened = rng.random(len(rows)) < _SHORTENED_SHARE
    visible[shortened] = rng.integers(1, layout.lookback_periods, size=int(shortened.sum()))
    windows = build_windows(
        panel,
        rows,
        cutoffs=cutoffs,
        layout=layout,
        codes=encode_series(panel.series, vocabularies),
        visible_periods=visible,
    )
    ahead = cutoffs[:, None] + np.arange(1, layout.horizon + 1)
    known = demand_in_hindsight(panel, layout.censoring)
    series = np.broadcast_to(rows[:, None], ahead.shape)
    demand, told = known.draw(series, ahead, rng), known.weight[series, ahead]
    is_demand = np.isfinite(demand)
    # Returns can make a day's sales negative; demand is not.
    demand = np.where(is_demand, np.maximum(demand, 0), 0)
    importance = windows.scale_units**_SCALE_WEIGHT_POWER
    importance /= importance.mean()
    targets = TrainingTargets(
        scaled_demand=(demand / windows.scale_units[:, None]).astype(np.float32),
        weights=(told * importance[:, None]).astype(np.float32),
        unseen_codes=unseen_codes(vocabularies),
    )
    return windows, targets


def _sample_cutoffs(
    panel: DemandPanel, *, horizon: int, n_windows: int, reach_periods: int, rng: np.random.Generator
) -> tuple[IndexArray, IndexArray]:
    """Return rows and cutoffs of distinct windows, uniformly among all that have history and a horizon observed.

    Raises:
        InsufficientHistoryError: there is none.
    """
    newest = panel.observed_periods - horizon - 1
    oldest = max(0, newest + 1 - reach_periods)
    has_history = np.maximum.accumulate(np.isfinite(panel.sales_units), axis=1)
    eligible = np.flatnonzero(has_history[:, oldest : newest + 1]) if newest >= oldest else np.array([], dtype=np.intp)
    if not eligible.size:
        raise InsufficientHistoryError(
            f"the neural family needs a series with > {horizon} observed periods, the panel has "
            f"{panel.observed_periods}. Ingest more history, or lower params.yaml: forecasting.horizon."
        )
    chosen = rng.choice(eligible, size=min(n_windows, eligible.size), replace=False)
    rows, offsets = np.divmod(chosen, newest + 1 - oldest)
    return rows, offsets + oldest
