"""How the neural family's network is trained: one loss, and a gradient step for each backend of Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.families.neural_network import import_keras, import_tensorflow, import_torch
from restock.forecasting.families.neural_windows import IntArray, Windows
from restock.forecasting.panel import FloatArray
from restock.params import NeuralParams

_EMA_MOMENTUM = 0.99
_CLIP_NORM = 1.0
_WARM_UP_SHARE = 0.05
# Static codes hidden in training, so that the unseen code stands for "an average one" and not for noise.
_HIDDEN_CODE_SHARE = 0.1
# The mean's loss is of the size of the pinball loss once multiplied by this.
_MEAN_LOSS_WEIGHT = 0.25

# (inputs, demand, weights) of a batch as tensors -> the variables are moved
Step = Callable[[dict[str, Any], Any, Any], None]
# (outputs, demand, weights) -> the batch's loss, differentiable
Loss = Callable[[Any, Any, Any], Any]


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
    evens out the seed's luck. The same seed, windows, backend and machine give the same weights.

    Args:
        model: from `build_network`.
        windows: training windows.
        targets: what they are trained against.
        quantiles: probability levels, increasing.
        params: epochs, batch size, learning rate.
        seed: what the order of windows follows from.
        on_progress: called after each step with steps done and steps in all.
    """
    keras = import_keras()
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
    make_step = _torch_step if keras.config.backend() == "torch" else _tensorflow_step
    step = make_step(model, optimizer, batch_loss(quantiles))
    as_tensor = keras.ops.convert_to_tensor

    rng = np.random.default_rng(seed)
    for done, rows in enumerate(_batches(n_windows, batch_size, epochs=params.epochs, rng=rng), start=1):
        inputs = windows.as_inputs(rows)
        is_hidden = rng.random(inputs["codes"].shape) < _HIDDEN_CODE_SHARE
        inputs["codes"] = np.where(is_hidden, targets.unseen_codes, inputs["codes"])
        step(
            {name: as_tensor(values) for name, values in inputs.items()},
            as_tensor(targets.scaled_demand[rows]),
            as_tensor(targets.weights[rows]),
        )
        if on_progress is not None:
            on_progress(done, n_steps)
    optimizer.finalize_variable_values(model.trainable_variables)


def batch_loss(quantiles: tuple[float, ...]) -> Loss:
    """Return the loss of a batch: weighted mean of the pinball loss plus the Poisson deviance of the mean.

    Args:
        quantiles: probability levels, increasing.
    """
    ops = import_keras().ops
    levels = ops.convert_to_tensor(np.array(quantiles, dtype=np.float32))

    def loss(outputs: Any, demand: Any, weights: Any) -> Any:
        error = ops.expand_dims(demand, -1) - outputs["quantiles"]
        pinball = ops.mean(ops.maximum(levels * error, (levels - 1) * error), axis=-1)
        mean = outputs["mean"] + 1e-4
        deviance = mean - demand * ops.log(mean)
        losses = pinball + _MEAN_LOSS_WEIGHT * deviance
        return ops.sum(weights * losses) / (ops.sum(weights) + 1e-6)

    return loss


def _tensorflow_step(model: Any, optimizer: Any, loss_of: Loss) -> Step:
    """Return a traced gradient step on TensorFlow."""
    tf = import_tensorflow()
    # Process-wide, but it changes no result except by making it repeatable.
    tf.config.experimental.enable_op_determinism()

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: dict[str, Any], demand: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), demand, weights)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return step  # type: ignore[no-any-return]


def _torch_step(model: Any, optimizer: Any, loss_of: Loss) -> Step:
    """Return a gradient step on PyTorch."""
    torch = import_torch()

    def step(inputs: dict[str, Any], demand: Any, weights: Any) -> None:
        model.zero_grad()
        loss_of(model(inputs, training=True), demand, weights).backward()
        variables = model.trainable_variables
        with torch.no_grad():
            optimizer.apply([variable.value.grad for variable in variables], variables)

    return step


def _batches(n_windows: int, batch_size: int, *, epochs: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of each step: every epoch in a new order, the remainder of an epoch left out."""
    for _ in range(epochs):
        order = rng.permutation(n_windows)
        for first in range(0, n_windows - batch_size + 1, batch_size):
            yield order[first : first + batch_size]
