"""How a hyper-parameter search hangs together in MLflow; a store that is away costs its runs, not the search."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Self

from restock.adapters.provenance import read_provenance
from restock.adapters.studies import Trial
from restock.adapters.tracking import TrackingError, tracking_place
from restock.adapters.tracking_search import SearchRun, close_search, find_logged, log_trials, open_search
from restock.pipeline.run_tracking import orchestration_tags
from restock.settings import Settings

logger = logging.getLogger(__name__)


class SearchTracking:
    """The run of a search, as long as MLflow takes it: the first failure is a warning and the end of tracking.

    Nothing is lost by that: the study keeps the trials, and the same search given again logs what has no run.
    """

    def __init__(self, run: SearchRun | None, *, logged: Iterable[int] = ()) -> None:
        """Hold a run, with the numbers of the trials that it has; None tracks nothing."""
        self._run = run
        self._logged = set(logged)

    @classmethod
    def begin(cls, settings: Settings, *, experiment: str, name: str, identity: str, params: dict[str, Any]) -> Self:
        """Return the tracking of a search.

        Args:
            settings: where runs are kept.
            experiment: the model type.
            name: of the run.
            identity: what no other search has.
            params: what all trials share.
        """
        try:
            run = open_search(
                tracking_place(settings),
                experiment=experiment,
                identity=identity,
                name=name,
                params=params,
                tags=orchestration_tags(settings),
                provenance=read_provenance(settings.root),
            )
            return cls(run, logged=find_logged(run))
        except TrackingError as error:
            logger.warning("the search is not tracked; given again it will be: %s", error)
            return cls(None)

    def log(self, trials: Sequence[Trial]) -> None:
        """Log those of the trials that have no run yet."""
        if self._run is not None:
            try:
                log_trials(self._run, [trial for trial in trials if trial.number not in self._logged])
                self._logged.update(trial.number for trial in trials)
            except TrackingError as error:
                self._give_up(error)

    def end(self, metrics: dict[str, float]) -> None:
        """Mark the search as finished, with its outcome."""
        if self._run is not None:
            try:
                close_search(self._run, metrics=metrics)
            except TrackingError as error:
                self._give_up(error)

    def _give_up(self, error: TrackingError) -> None:
        logger.warning("the search is not tracked any further; given again it will be: %s", error)
        self._run = None
