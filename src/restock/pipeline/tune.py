"""A family's hyper-parameters searched on inner windows, then compared with those in force on the back-test's own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from restock.adapters.experiments import experiment_names, queue_experiment, require_experiments
from restock.adapters.panel_files import load_features, load_panel
from restock.adapters.params_file import set_param_values
from restock.adapters.provenance import read_code_digest, read_library_versions
from restock.adapters.storage import read_json, write_json
from restock.adapters.studies import Objective, Study, Trial, TrialStopped, open_study
from restock.errors import ConfigurationError
from restock.forecasting.backtest import find_cutoffs, paired_pinball, run_backtest
from restock.forecasting.features import OriginFeatures
from restock.forecasting.panel import DemandPanel
from restock.forecasting.search_space import SEARCH_SPACES
from restock.forecasting.tuning import inner_cutoffs, inner_panel, judge_window, with_values
from restock.params import FamilyName, Params
from restock.pipeline.features import DATA_HASHES_FILE
from restock.pipeline.search_tracking import SearchTracking
from restock.pipeline.train import MODEL_TYPE, recipe_of
from restock.settings import Settings
from restock.statistics.bootstrap import paired_bootstrap

INNER_WINDOWS = 3
# Where what decides a trial's loss is coded.
_DECIDING_PACKAGES = ("forecasting", "statistics")
_OUTCOMES = ("pinball_in_force", "pinball_best", "relative_difference", "upper")


@dataclass(frozen=True, kw_only=True)
class _Histories:
    """What trials are judged on, and what only the comparison at the end sees.

    Attributes:
        panel: all history.
        features: its origin features.
        inner: the history up to the back-test's oldest cutoff.
        cutoffs: where trials are judged, oldest first.
    """

    panel: DemandPanel
    features: OriginFeatures
    inner: DemandPanel
    cutoffs: tuple[date, ...]


def run_tune(
    family: FamilyName,
    settings: Settings,
    params: Params,
    *,
    n_trials: int,
    timeout_seconds: float | None = None,
    is_applied: bool = False,
    n_queued: int = 0,
    on_trial: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Search the family's params, compare the best with those in force, and return and write the report.

    Trials are judged on windows that end before the back-test's oldest cutoff. Only then the best values and those in
    force are back-tested on its windows, which no trial has seen, and compared by a paired bootstrap over series. The
    promotion gate judges on the same windows: what is applied was chosen on them, if only between two.

    Args:
        family: a family with a search space.
        settings: workspace.
        params: those in force.
        n_trials: how many trials the study shall hold; those of an earlier, like search count.
        timeout_seconds: no trial begins after so long.
        is_applied: whether to write the best values into params.yaml where they are better on the back-test's windows,
            with the confidence of promotion.confidence.
        n_queued: how many of the best trials to put into DVC's queue as experiments.
        on_trial: called with (done, wanted).

    Raises:
        ConfigurationError: the family has nothing to search, no trial was finished, a loss is no finite number,
            experiments are asked for where DVC can't keep any, or both applying and experiments are.
        ConflictError: another search of the family runs in the workspace.
        NotFoundError: the features are missing.
        InsufficientHistoryError: the history can't hold both the back-test and the windows before it.
    """
    if is_applied and n_queued:
        raise ConfigurationError("--apply changes the params that queued experiments start from. Give one of the two.")
    family = require_space(family)
    if n_queued:
        require_experiments(settings.root)
    begun = time.monotonic()
    job = _prepare(family, settings, params)
    file = settings.data_dir / "tuning" / f"{family}.db"
    with open_study(file, name=f"{family}-{job.key}", seed=params.seed) as study:
        tracking = _begin_tracking(job, study)
        study.search(
            SEARCH_SPACES[family],
            in_force=job.in_force,
            objective=_judge(family, params, job.histories),
            n_trials=n_trials,
            timeout_seconds=timeout_seconds,
            on_trial=_teller(tracking, n_trials=n_trials, on_trial=on_trial),
        )
        trials = study.trials()
    return _conclude(job, trials, tracking=tracking, is_applied=is_applied, n_queued=n_queued, begun=begun)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A search: of which family, where, from which params, on what.

    Attributes:
        family: which family.
        settings: workspace.
        params: those in force.
        in_force: the values in force of what is searched.
        key: what makes trials comparable.
        histories: what trials are judged on, and what only the comparison at the end sees.
    """

    family: FamilyName
    settings: Settings
    params: Params
    in_force: Mapping[str, float]
    key: str
    histories: _Histories


def _prepare(family: FamilyName, settings: Settings, params: Params) -> _Job:
    """Return the search.

    Raises:
        NotFoundError: the features are missing.
        InsufficientHistoryError: the history can't hold both the back-test and the windows before it.
    """
    return _Job(
        family=family,
        settings=settings,
        params=params,
        in_force={name: getattr(getattr(params.families, family), name) for name in SEARCH_SPACES[family]},
        key=study_key(family, params, data_hashes=read_json(settings.data_dir / "features" / DATA_HASHES_FILE)),
        histories=_read_histories(settings, params),
    )


def _conclude(
    job: _Job, trials: Sequence[Trial], *, tracking: SearchTracking, is_applied: bool, n_queued: int, begun: float
) -> dict[str, Any]:
    """Write the report of what the trials found, put it to use as far as asked for, and return the report."""
    family, in_force = job.family, job.in_force
    file = job.settings.data_dir / "reports" / "tuning" / f"{family}.json"
    report = _report(family, job.params, job.histories, trials=trials, in_force=in_force)
    report |= {"study": job.key, "is_applied": False, "queued": [], "seconds": round(time.monotonic() - begun, 3)}
    # What was found is kept before anything is done with it, which may fail.
    write_json(file, report)
    tracking.log(trials)
    tracking.end({name: report["outer"][name] for name in _OUTCOMES})
    if is_applied and report["outer"]["upper"] < 0:
        set_param_values(job.settings.params_file, _changes(family, report["best"], in_force=in_force))
        report["is_applied"] = True
    names = {f"{family}-{job.key}-{trial.number}": trial for trial in _best_first(trials)}
    report["queued"] = _queue(family, job.settings, names, in_force=in_force, n_queued=n_queued)
    write_json(file, report)
    return report


def _begin_tracking(job: _Job, study: Study) -> SearchTracking:
    return SearchTracking.begin(
        job.settings,
        experiment=MODEL_TYPE,
        name=f"tune {job.family}",
        identity=study.identity,
        params=_shared_recipe(job.family, job.params),
    )


def _teller(
    tracking: SearchTracking, *, n_trials: int, on_trial: Callable[[int, int], None] | None
) -> Callable[[Trial, int], None]:
    """Return what is called with each trial that ended and how many there are now."""

    def tell(trial: Trial, done: int) -> None:
        tracking.log([trial])
        if on_trial is not None:
            on_trial(done, n_trials)

    return tell


def _best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that were judged on every window, the lowest loss first."""
    judged = [(trial.loss, trial.number, trial) for trial in trials if trial.loss is not None]
    return [trial for _, _, trial in sorted(judged, key=lambda each: each[:2])]


def _report(
    family: FamilyName,
    params: Params,
    histories: _Histories,
    *,
    trials: Sequence[Trial],
    in_force: Mapping[str, float],
) -> dict[str, Any]:
    """Return what the trials say, and what the back-test says of the best of them.

    Raises:
        ConfigurationError: no trial was judged on every window.
    """
    judged = _best_first(trials)
    if not judged:
        raise ConfigurationError(f"no trial of {family} was finished. Give it more --timeout or --trials.")
    best = dict(judged[0].values)
    changes = _changes(family, best, in_force=in_force)
    return {
        "family": family,
        "trials": len(trials),
        "pruned": len(trials) - len(judged),
        "inner": {
            "cutoffs": [cutoff.isoformat() for cutoff in histories.cutoffs],
            "pinball_in_force": next((trial.loss for trial in trials if trial.values == in_force), None),
            "pinball_best": judged[0].loss,
        },
        "outer": _compare(histories, family=family, params=params, tuned=best),
        "best": best,
        "in_force": dict(in_force),
        "set": " ".join(f"-S {name}={value}" for name, value in changes.items()),
    }


def _read_histories(settings: Settings, params: Params) -> _Histories:
    """Return the workspace's history, and the part of it that trials may see.

    Raises:
        NotFoundError: the features are missing.
        InsufficientHistoryError: the history can't hold both the back-test and the windows before it.
    """
    folder = settings.data_dir / "features"
    panel = load_panel(folder)
    inner = inner_panel(panel, params)
    return _Histories(
        panel=panel,
        features=load_features(folder, n_series=panel.n_series),
        inner=inner,
        cutoffs=inner_cutoffs(inner, params, n_windows=INNER_WINDOWS),
    )


def _judge(family: FamilyName, params: Params, histories: _Histories) -> Objective:
    """Return what gives some values' mean pinball loss over the inner windows."""

    def objective(values: Mapping[str, float], report: Callable[[float], bool]) -> float:
        changed = with_values(params, family, values)
        losses: list[float] = []
        for cutoff in histories.cutoffs:
            losses.append(
                judge_window(histories.inner, cutoff=cutoff, family=family, params=changed, features=histories.features)
            )
            # All trials are judged on the same windows in the same order, so the means so far compare like with like.
            if report(float(np.mean(losses))) and len(losses) < len(histories.cutoffs):
                raise TrialStopped
        return float(np.mean(losses))

    return objective


def require_space(family: str) -> FamilyName:
    """Return `family` where it can be tuned.

    Raises:
        ConfigurationError: it has nothing to search, or is no family.
    """
    for name in SEARCH_SPACES:
        if name == family:
            return name
    raise ConfigurationError(f"{family!r} has nothing to search. Tune one of {', '.join(SEARCH_SPACES)}.")


def _changes(family: FamilyName, values: Mapping[str, float], *, in_force: Mapping[str, float]) -> dict[str, float]:
    """Return the values that differ from those in force, by the key they have in params.yaml."""
    return {f"families.{family}.{name}": value for name, value in values.items() if value != in_force[name]}


def _queue(
    family: FamilyName,
    settings: Settings,
    best_first: Mapping[str, Trial],
    *,
    in_force: Mapping[str, float],
    n_queued: int,
) -> list[str]:
    """Put the best trials into DVC's queue and return their names there; those that are there already stay.

    Raises:
        DvcError: DVC failed.
    """
    changed = {name: _changes(family, trial.values, in_force=in_force) for name, trial in best_first.items()}
    chosen = [name for name, changes in changed.items() if changes][:n_queued]
    known = experiment_names(settings.root) if chosen else set()
    for name in chosen:
        if name not in known:
            queue_experiment(settings.root, changed[name], name=name)
    return chosen


def _compare(
    histories: _Histories, *, family: FamilyName, params: Params, tuned: Mapping[str, float]
) -> dict[str, Any]:
    """Return the best values beside those in force, on the windows of the back-test."""
    panel, features = histories.panel, histories.features
    changed = with_values(params, family, tuned)
    theirs = run_backtest(panel, family=family, params=params, features=features)
    mine = theirs if changed == params else run_backtest(panel, family=family, params=changed, features=features)
    pairs = paired_pinball(mine, theirs, quantiles=params.forecasting.quantiles)
    result = paired_bootstrap(
        pairs["candidate"].to_numpy(),
        pairs["incumbent"].to_numpy(),
        clusters=pairs.select(series=pl.struct("sku", "location").rank("dense"))["series"].to_numpy(),
        n_resamples=params.promotion.n_resamples,
        confidence=params.promotion.confidence,
        seed=params.seed,
    )
    return {
        "cutoffs": [cutoff.isoformat() for cutoff in find_cutoffs(panel, params)],
        "pinball_in_force": round(float(pairs["incumbent"].to_numpy().mean()), 6),
        "pinball_best": round(float(pairs["candidate"].to_numpy().mean()), 6),
        "relative_difference": round(result.relative_difference, 6),
        "lower": round(result.lower, 6),
        "upper": round(result.upper, 6),
        "confidence": result.confidence,
    }


def study_key(family: FamilyName, params: Params, *, data_hashes: Mapping[str, str]) -> str:
    """Return what makes trials comparable: data, code, libraries, space, and every param but those that are searched.

    Args:
        family: which family.
        params: all params.
        data_hashes: SHA-256 of each validated table.
    """
    parts = {
        "data": dict(data_hashes),
        "code": read_code_digest(*_DECIDING_PACKAGES),
        "libraries": read_library_versions(),
        "recipe": _shared_recipe(family, params),
        "space": {name: str(dimension) for name, dimension in SEARCH_SPACES[family].items()},
        "windows": INNER_WINDOWS,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _shared_recipe(family: FamilyName, params: Params) -> dict[str, Any]:
    """Return the params that all trials of the family share."""
    recipe = recipe_of(params, family)
    own = recipe["families"][family]
    searched = SEARCH_SPACES[family]
    return recipe | {"families": {family: {name: value for name, value in own.items() if name not in searched}}}
