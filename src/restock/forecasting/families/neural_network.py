"""The neural family's network: a small mixer over the horizon with monotone quantiles, and how it is trained.

TensorFlow is imported inside the functions, so that nothing pays for it before a network is needed. All randomness
comes from the seed that is passed in; no global generator is seeded or read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from restock.errors import ConfigurationError
from restock.forecasting.families.neural_windows import (
    HISTORY_CHANNELS,
    STATIC_ATTRIBUTES,
    IntArray,
    WindowLayout,
    Windows,
)
from restock.forecasting.panel import FloatArray
from restock.params import NeuralParams

_EMBEDDING_UNITS = 6
_EMA_MOMENTUM = 0.99
_CLIP_NORM = 1.0
_WARM_UP_SHARE = 0.05
# Static codes hidden in training, so that the unseen code stands for "an average one" and not for noise.
_HIDDEN_CODE_SHARE = 0.1
# The mean's loss is of the size of the pinball loss once multiplied by this.
_MEAN_LOSS_WEIGHT = 0.25


@dataclass(frozen=True, kw_only=True)
class TrainingTargets:
    """What the windows are trained against.

    Attributes:
        scaled_demand: shape (n, horizon), sales over the window's scale; any number where the weight is 0.
        weights: shape (n, horizon); 0 where demand is censored or unknown.
        unseen_codes: shape (len(STATIC_ATTRIBUTES),), the code that stands for a value not in the vocabulary.
    """

    scaled_demand: FloatArray
    weights: FloatArray
    unseen_codes: IntArray


def import_tensorflow() -> Any:
    """Return TensorFlow, imported without its start-up chatter.

    Raises:
        ConfigurationError: TensorFlow is not installed.
    """
    # Read once by TensorFlow's native code, so they must stand before the first import; a user's own values win.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN orders sums by batch shape; without it the same series forecasts the same, alone or among others.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ConfigurationError(
            "the neural family needs TensorFlow, which is not installed. Install it: pip install 'restock[pipeline]'."
        ) from error
    return tf


def import_keras() -> Any:
    """Return Keras on TensorFlow.

    Raises:
        ConfigurationError: TensorFlow is not installed, or Keras runs on another backend.
    """
    import_tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    if keras.config.backend() != "tensorflow":
        raise ConfigurationError(
            f"Keras runs on {keras.config.backend()!r}, expected 'tensorflow'. Set KERAS_BACKEND=tensorflow."
        )
    return keras


def build_network(layout: WindowLayout, params: NeuralParams, *, n_quantiles: int, n_codes: int, seed: int) -> Any:
    """Return the untrained Keras model: inputs as `Windows.as_inputs`, outputs by name, in scaled units.

    `quantiles`, shape (n, horizon, n_quantiles): the lowest quantile is free, each further one adds a softplus
    increment, so they can't cross. They may lie below 0 in training (a hard zero has no gradient); forecasts are
    clipped. `mean`, shape (n, horizon): its own head, through a softplus.

    Only layers and operations built into Keras are used, so that the file loads anywhere and safely.
    """
    keras = import_keras()
    layers = keras.layers
    horizon, width = layout.horizon, params.hidden_units
    seeds = count(seed)

    def dense(units: int, name: str, activation: str | None = None) -> Any:
        initializer = keras.initializers.GlorotUniform(seed=next(seeds))
        return layers.Dense(units, activation=activation, kernel_initializer=initializer, name=name)

    def dropout(name: str) -> Any:
        return layers.Dropout(params.dropout_share, seed=next(seeds), name=name)

    inputs = {
        "history": keras.Input((layout.lookback_periods, HISTORY_CHANNELS), name="history"),
        "future": keras.Input((horizon, layout.future_width), name="future"),
        "numbers": keras.Input((layout.number_width,), name="numbers"),
        "codes": keras.Input((len(STATIC_ATTRIBUTES),), dtype="int32", name="codes"),
    }
    embedding = layers.Embedding(
        n_codes,
        _EMBEDDING_UNITS,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05, seed=next(seeds)),
        name="embedding",
    )
    encoded = layers.Concatenate(name="window")(
        [
            layers.Flatten(name="history_flat")(inputs["history"]),
            inputs["numbers"],
            layers.Flatten(name="codes_flat")(embedding(inputs["codes"])),
        ]
    )
    state = dense(width, "encoder_in", "gelu")(encoded)
    inner = dense(width, "encoder_hidden", "gelu")(state)
    inner = dropout("encoder_dropout")(dense(width, "encoder_out")(inner))
    state = layers.LayerNormalization(name="encoder_norm")(layers.Add(name="encoder_skip")([state, inner]))

    steps = layers.Add(name="steps")(
        [
            layers.RepeatVector(horizon, name="state_repeat")(dense(width, "state_to_step")(state)),
            dense(width, "future_to_step")(inputs["future"]),
        ]
    )
    for block in range(params.n_blocks):
        prefix = f"mixer_{block}"
        across = layers.LayerNormalization(name=f"{prefix}_time_norm")(steps)
        across = layers.Permute((2, 1), name=f"{prefix}_time_in")(across)
        across = dense(horizon, f"{prefix}_time", "gelu")(across)
        across = layers.Permute((2, 1), name=f"{prefix}_time_out")(across)
        steps = layers.Add(name=f"{prefix}_time_skip")([steps, dropout(f"{prefix}_time_dropout")(across)])
        within = layers.LayerNormalization(name=f"{prefix}_feature_norm")(steps)
        within = dense(width, f"{prefix}_feature_in", "gelu")(within)
        within = dropout(f"{prefix}_feature_dropout")(dense(width, f"{prefix}_feature_out")(within))
        steps = layers.Add(name=f"{prefix}_feature_skip")([steps, within])

    steps = layers.LayerNormalization(name="head_norm")(steps)
    lowest = dense(1, "lowest_quantile")(steps)
    # Biased so that the untrained quantiles span about 0 to 2 scales.
    increments = layers.Dense(
        n_quantiles - 1,
        activation="softplus",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=next(seeds)),
        bias_initializer=keras.initializers.Constant(math.log(math.expm1(2 / n_quantiles))),
        name="quantile_increments",
    )(steps)
    quantiles = keras.ops.cumsum(layers.Concatenate(name="quantile_parts")([lowest, increments]), axis=-1)
    mean = layers.Reshape((horizon,), name="mean")(dense(1, "mean_step", "softplus")(steps))
    return keras.Model(inputs, {"quantiles": quantiles, "mean": mean}, name="restock_neural")


def train_network(
    model: Any,
    windows: Windows,
    *,
    targets: TrainingTargets,
    quantiles: tuple[float, ...],
    params: NeuralParams,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Train `model` in place: pinball loss of the quantiles plus Poisson deviance of the mean, by Adam.

    Censored targets have weight 0. Weights are averaged over the last steps (exponential moving average), which
    evens out the seed's luck. The same seed, windows and machine give the same weights.

    Args:
        model: from `build_network`.
        windows: training windows.
        targets: what they are trained against.
        quantiles: probability levels, increasing.
        params: epochs, batch size, learning rate.
        seed: what the order of windows follows from.
        on_progress: called after each step with steps done and steps in all.
    """
    tf, keras = import_tensorflow(), import_keras()
    # Process-wide, but it changes no result except by making it repeatable.
    tf.config.experimental.enable_op_determinism()
    n_windows = len(windows.scale_units)
    batch_size = min(params.batch_size, n_windows)
    n_steps = params.epochs * (n_windows // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        params.learning_rate / 10,
        decay_steps=max(1, n_steps - int(_WARM_UP_SHARE * n_steps)),
        warmup_target=params.learning_rate,
        warmup_steps=int(_WARM_UP_SHARE * n_steps),
    )
    optimizer = keras.optimizers.Adam(schedule, clipnorm=_CLIP_NORM, use_ema=True, ema_momentum=_EMA_MOMENTUM)
    optimizer.build(model.trainable_variables)
    levels = tf.constant(quantiles, dtype=tf.float32)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: Any, demand: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            error = demand[:, :, None] - outputs["quantiles"]
            pinball = tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error), axis=-1)
            mean = outputs["mean"] + 1e-4
            deviance = mean - demand * tf.math.log(mean)
            losses = pinball + _MEAN_LOSS_WEIGHT * deviance
            loss = tf.reduce_sum(weights * losses) / (tf.reduce_sum(weights) + 1e-6)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    rng = np.random.default_rng(seed)
    for done, rows in enumerate(_batches(n_windows, batch_size, epochs=params.epochs, rng=rng), start=1):
        inputs = windows.as_inputs(rows)
        is_hidden = rng.random(inputs["codes"].shape) < _HIDDEN_CODE_SHARE
        inputs["codes"] = np.where(is_hidden, targets.unseen_codes, inputs["codes"])
        step(
            {name: tf.constant(values) for name, values in inputs.items()},
            tf.constant(targets.scaled_demand[rows]),
            tf.constant(targets.weights[rows]),
        )
        if on_progress is not None:
            on_progress(done, n_steps)
    optimizer.finalize_variable_values(model.trainable_variables)


def _batches(
    n_windows: int, batch_size: int, *, epochs: int, rng: np.random.Generator
) -> Iterator[np.ndarray[Any, np.dtype[np.intp]]]:
    """Yield the rows of each step: every epoch in a new order, the remainder of an epoch left out."""
    for _ in range(epochs):
        order = rng.permutation(n_windows)
        for first in range(0, n_windows - batch_size + 1, batch_size):
            yield order[first : first + batch_size]
