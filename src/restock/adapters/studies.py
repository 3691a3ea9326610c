"""Hyper-parameter studies by Optuna in a SQLite file: each trial is kept as it ends, so a killed search goes on."""

from __future__ import annotations

import fcntl
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from restock.errors import ConfigurationError, ConflictError
from restock.forecasting.search_space import Dimension

if TYPE_CHECKING:
    import optuna

# Trials that are run to their end before any is pruned: there is no median before.
_TRIALS_BEFORE_PRUNING = 4
_IDENTITY = "restock.identity"
# Digits that a drawn number is tried and written with: more of them say nothing.
_DIGITS = 4
# How Optuna keeps the values of a trial that was asked for.
_ASKED_FOR = "fixed_params"

# (values to try, report(loss so far) -> whether to stop) -> loss
Objective = Callable[[Mapping[str, float], Callable[[float], bool]], float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One set of values that was tried.

    Attributes:
        number: from 0, in the order of trying.
        values: what was tried, by param: drawn numbers to four digits, those in force as they are.
        losses: what was reported, in order.
        loss: what came out; None where it was stopped early.
        seconds: how long it took.
    """

    number: int
    values: Mapping[str, float]
    losses: tuple[float, ...]
    loss: float | None
    seconds: float


class TrialStopped(Exception):  # noqa: N818  (an outcome, not an error)
    """Raised by an objective that was told to stop."""


@contextmanager
def open_study(file: Path, *, name: str, seed: int) -> Iterator[Study]:
    """Yield the study of that name, made where there is none; nobody else searches in the file meanwhile.

    Args:
        file: SQLite database, made where it is missing.
        name: of the study; give what makes trials comparable a name of its own.
        seed: what the draws follow from.

    Raises:
        ConfigurationError: Optuna is not installed.
        ConflictError: another process searches in the same file.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError(f"Optuna is not installed ({error}). Install it: make setup.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                f"another search works on {file}. Wait for it, or stop it: it can be gone on with."
            ) from error
        study = optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name=name,
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_TRIALS_BEFORE_PRUNING, n_warmup_steps=0),
        )
        # Nobody else holds the file: what runs by its own account was cut off.
        for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)
        # A search that goes on draws what it would have drawn next, not its first values again.
        study.sampler = optuna.samplers.TPESampler(seed=(seed + len(study.trials)) % 2**32)
        if _IDENTITY not in study.user_attrs:
            study.set_user_attr(_IDENTITY, uuid4().hex)
        yield Study(study)


class Study:
    """An open study; made by `open_study`."""

    def __init__(self, study: optuna.Study) -> None:
        """Hold an Optuna study that no other process works on."""
        from optuna.trial import TrialState

        self._study = study
        self._finished = (TrialState.COMPLETE, TrialState.PRUNED)
        self._waiting = TrialState.WAITING

    @property
    def identity(self) -> str:
        """What no other study has, kept with it."""
        return str(self._study.user_attrs[_IDENTITY])

    def trials(self) -> list[Trial]:
        """Return the trials that ended, in order; those that were cut off do not count."""
        return [_as_trial(frozen) for frozen in self._in_states(*self._finished)]

    def search(
        self,
        space: Mapping[str, Dimension],
        *,
        in_force: Mapping[str, float],
        objective: Objective,
        n_trials: int,
        timeout_seconds: float | None = None,
        on_trial: Callable[[Trial, int], None] | None = None,
    ) -> None:
        """Search until `n_trials` trials ended, those of earlier searches included.

        The values in force are tried first, and to their end. A trial whose losses so far are worse than the median of
        those that ended before, at the same point, is told to stop.

        Args:
            space: ranges by param.
            in_force: values to beat. They are tried even where they lie outside their range, or no trial is missing.
            objective: gives the loss of some values, a finite number; raises `TrialStopped` where its report says so.
            n_trials: how many.
            timeout_seconds: no trial begins after so long.
            on_trial: called with each trial that ended and how many there are now.

        Raises:
            ConfigurationError: a loss is no finite number; Optuna would drop the trial and end short without a word.
        """
        import optuna

        if not any(_values_of(frozen) == dict(in_force) for frozen in self._in_states(*self._finished, self._waiting)):
            self._study.enqueue_trial(dict(in_force))

        def evaluate(trial: optuna.Trial) -> float:
            drawn = {name: _suggest(trial, name, dimension=dimension) for name, dimension in space.items()}
            values = drawn if drawn == in_force else shortened(drawn)
            steps = count()

            def report(loss: float) -> bool:
                trial.report(_finite(loss, values), next(steps))
                return values != in_force and bool(trial.should_prune())

            try:
                return _finite(objective(values, report), values)
            except TrialStopped as stopped:
                raise optuna.TrialPruned from stopped

        def tell(_: optuna.Study, frozen: optuna.trial.FrozenTrial) -> None:
            if on_trial is not None and frozen.state in self._finished:
                on_trial(_as_trial(frozen), len(self.trials()))

        missing = max(n_trials - len(self.trials()), len(self._in_states(self._waiting)))
        if missing > 0:
            with warnings.catch_warnings():
                # What is in force may lie outside the range that is searched; it is tried as it is.
                warnings.filterwarnings("ignore", message=".*out of range.*")
                self._study.optimize(evaluate, n_trials=missing, timeout=timeout_seconds, callbacks=[tell])

    def _in_states(self, *states: optuna.trial.TrialState) -> list[optuna.trial.FrozenTrial]:
        """Return the trials in some states, in order."""
        found: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False, states=states)
        return found


def shortened(values: Mapping[str, float]) -> dict[str, float]:
    """Return drawn values as they are tried: whole numbers as they are, others to four digits.

    Example:
        >>> shortened({"max_depth": 6, "learning_rate": 0.0812345})
        {'max_depth': 6, 'learning_rate': 0.08123}
    """
    return {name: value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}") for name, value in values.items()}


def _finite(loss: float, values: Mapping[str, float]) -> float:
    """Return the loss.

    Raises:
        ConfigurationError: it is no finite number.
    """
    if not math.isfinite(loss):
        tried = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ConfigurationError(
            f"a trial's loss must be a finite number, got {loss} for {tried}. Search again, which goes on with other "
            "values, or narrow their ranges in src/restock/forecasting/search_space.py."
        )
    return loss


def _values_of(frozen: optuna.trial.FrozenTrial) -> dict[str, float]:
    """Return what a trial tries: what it was asked for, or what it drew."""
    asked_for = frozen.system_attrs.get(_ASKED_FOR)
    return shortened(frozen.params) if asked_for is None else dict(asked_for)


def _suggest(trial: optuna.Trial, name: str, *, dimension: Dimension) -> float:
    if dimension.is_integer:
        return int(trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.is_log))
    return float(trial.suggest_float(name, dimension.low, dimension.high, log=dimension.is_log))


def _as_trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    from optuna.trial import TrialState

    return Trial(
        number=frozen.number,
        values=_values_of(frozen),
        losses=tuple(loss for _, loss in sorted(frozen.intermediate_values.items())),
        loss=frozen.value if frozen.state == TrialState.COMPLETE else None,
        seconds=0.0 if frozen.duration is None else frozen.duration.total_seconds(),
    )
