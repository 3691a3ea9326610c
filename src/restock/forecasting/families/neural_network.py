"""The neural family's network: a small mixer over the horizon with monotone quantiles, the same on each backend.

Keras is imported inside the functions, so that nothing pays for it before a network is needed. All randomness comes
from the seed that is passed in; no global generator is seeded or read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from itertools import count
from typing import Any

from restock.errors import ConfigurationError
from restock.forecasting.families.neural_windows import (
    HISTORY_CHANNELS,
    STATIC_ATTRIBUTES,
    WindowLayout,
)
from restock.params import NeuralParams

_EMBEDDING_UNITS = 6
# What the network can be trained on; it is served by TensorFlow whichever it was.
BACKENDS = ("tensorflow", "torch")


def import_tensorflow() -> Any:
    """Return TensorFlow, imported without its start-up chatter.

    Raises:
        ConfigurationError: TensorFlow is not installed.
    """
    _set_up_tensorflow()
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ConfigurationError(
            "the neural family needs TensorFlow, which is not installed. Install it: pip install 'restock[pipeline]'."
        ) from error
    return tf


def _set_up_tensorflow() -> None:
    """Set what TensorFlow's native code reads once; whatever imports it first, Keras on PyTorch included, needs it."""
    # A user's own values win.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN orders sums by batch shape; without it the same series forecasts the same, alone or among others.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def import_keras() -> Any:
    """Return Keras on the backend that KERAS_BACKEND names, TensorFlow where it names none.

    Raises:
        ConfigurationError: the backend is not installed, or the network can't be trained on it.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise ConfigurationError(
            f"Keras runs on {backend!r}, expected one of {', '.join(BACKENDS)}. Set RESTOCK_KERAS_BACKEND."
        )
    _set_up_tensorflow()
    if backend == "torch":
        import_torch()
    else:
        import_tensorflow()
    import keras

    # Keras reads the variable once: another process of ours may have imported it before.
    if keras.config.backend() != backend:
        raise ConfigurationError(
            f"Keras runs on {keras.config.backend()!r} in this process already, expected {backend!r}. Set "
            f"RESTOCK_KERAS_BACKEND={backend} before it starts."
        )
    return keras


def import_torch() -> Any:
    """Return PyTorch.

    Raises:
        ConfigurationError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ConfigurationError(
            f"RESTOCK_KERAS_BACKEND is torch, and PyTorch can't be imported ({error}). It is not among restock's own "
            "packages: install torch into this environment, or set RESTOCK_KERAS_BACKEND=tensorflow."
        ) from error
    return torch


def build_network(layout: WindowLayout, params: NeuralParams, *, n_quantiles: int, n_codes: int, seed: int) -> Any:
    """Return the untrained Keras model: inputs as `Windows.as_inputs`, outputs by name, in scaled units.

    `quantiles`, shape (n, horizon, n_quantiles): the lowest quantile is free, each further one adds a softplus
    increment, so they can't cross. They may lie below 0 in training (a hard zero has no gradient); forecasts are
    clipped. `mean`, shape (n, horizon): its own head, through a softplus.

    Only layers and operations built into Keras are used, so that the file loads anywhere and safely.
    """
    keras = import_keras()
    horizon = layout.horizon
    make = _Layers(keras, params, seed=seed)
    inputs = {
        "history": keras.Input((layout.lookback_periods, HISTORY_CHANNELS), name="history"),
        "future": keras.Input((horizon, layout.future_width), name="future"),
        "numbers": keras.Input((layout.number_width,), name="numbers"),
        "codes": keras.Input((len(STATIC_ATTRIBUTES),), dtype="int32", name="codes"),
    }
    width = params.hidden_units
    state = _encode(inputs, make, width=width, n_codes=n_codes)
    steps = keras.layers.Add(name="steps")(
        [
            keras.layers.RepeatVector(horizon, name="state_repeat")(make.dense(width, "state_to_step")(state)),
            make.dense(width, "future_to_step")(inputs["future"]),
        ]
    )
    for block in range(params.n_blocks):
        steps = _mix(steps, make, prefix=f"mixer_{block}", horizon=horizon, width=width)
    steps = keras.layers.LayerNormalization(name="head_norm")(steps)
    lowest = make.dense(1, "lowest_quantile")(steps)
    # Biased so that the untrained quantiles span about 0 to 2 scales.
    increments = keras.layers.Dense(
        n_quantiles - 1,
        activation="softplus",
        kernel_initializer=make.normal(0.02),
        bias_initializer=keras.initializers.Constant(math.log(math.expm1(2 / n_quantiles))),
        name="quantile_increments",
    )(steps)
    parts = keras.layers.Concatenate(name="quantile_parts")([lowest, increments])
    quantiles = keras.ops.cumsum(parts, axis=-1)
    mean = keras.layers.Reshape((horizon,), name="mean")(make.dense(1, "mean_step", "softplus")(steps))
    return keras.Model(inputs, {"quantiles": quantiles, "mean": mean}, name="restock_neural")


class _Layers:
    """Makes layers whose first weights follow from one seed, in the order in which they are made."""

    def __init__(self, keras: Any, params: NeuralParams, *, seed: int) -> None:
        self.keras = keras
        self._dropout_share = params.dropout_share
        self._seeds = count(seed)

    def dense(self, units: int, name: str, activation: str | None = None) -> Any:
        initializer = self.keras.initializers.GlorotUniform(seed=next(self._seeds))
        return self.keras.layers.Dense(units, activation=activation, kernel_initializer=initializer, name=name)

    def dropout(self, name: str) -> Any:
        return self.keras.layers.Dropout(self._dropout_share, seed=next(self._seeds), name=name)

    def normal(self, deviation: float) -> Any:
        return self.keras.initializers.RandomNormal(stddev=deviation, seed=next(self._seeds))


def _encode(inputs: Mapping[str, Any], make: _Layers, *, width: int, n_codes: int) -> Any:
    """Return the state of a window: history, numbers and codes through one residual block; shape (n, width)."""
    layers = make.keras.layers
    embedding = layers.Embedding(n_codes, _EMBEDDING_UNITS, embeddings_initializer=make.normal(0.05), name="embedding")
    encoded = layers.Concatenate(name="window")(
        [
            layers.Flatten(name="history_flat")(inputs["history"]),
            inputs["numbers"],
            layers.Flatten(name="codes_flat")(embedding(inputs["codes"])),
        ]
    )
    state = make.dense(width, "encoder_in", "gelu")(encoded)
    inner = make.dense(width, "encoder_hidden", "gelu")(state)
    inner = make.dropout("encoder_dropout")(make.dense(width, "encoder_out")(inner))
    return layers.LayerNormalization(name="encoder_norm")(layers.Add(name="encoder_skip")([state, inner]))


def _mix(steps: Any, make: _Layers, *, prefix: str, horizon: int, width: int) -> Any:
    """Return the periods of the horizon, mixed with each other, then each within itself; shape (n, horizon, width)."""
    layers = make.keras.layers
    across = layers.LayerNormalization(name=f"{prefix}_time_norm")(steps)
    across = layers.Permute((2, 1), name=f"{prefix}_time_in")(across)
    across = make.dense(horizon, f"{prefix}_time", "gelu")(across)
    across = layers.Permute((2, 1), name=f"{prefix}_time_out")(across)
    steps = layers.Add(name=f"{prefix}_time_skip")([steps, make.dropout(f"{prefix}_time_dropout")(across)])
    within = layers.LayerNormalization(name=f"{prefix}_feature_norm")(steps)
    within = make.dense(width, f"{prefix}_feature_in", "gelu")(within)
    within = make.dropout(f"{prefix}_feature_dropout")(make.dense(width, f"{prefix}_feature_out")(within))
    return layers.Add(name=f"{prefix}_feature_skip")([steps, within])
