"""What a benchmark found, as one line of JSON and as a run in MLflow."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restock.adapters.provenance import read_provenance
from restock.adapters.storage import sha256_of
from restock.adapters.tracking import TrackingError, log_measurement, tracking_place
from restock.settings import Settings

logger = logging.getLogger(__name__)

EXPERIMENT = "benchmarks"


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """What a benchmark found on the end of the data that it was given.

    Attributes:
        benchmark: its name.
        family: which family forecasts.
        seed: what all random numbers follow from.
        rows: rows of history read.
        seconds: wall time from reading to writing.
        peak_rss_mb: peak memory of the process, MB.
        score: the family's score on the held-out days.
        baselines: score of each baseline on the same days.
        families: score of every family in the race.
        back_test_seconds: wall time of every family's back-test.
        skipped: why a family could not take part, by family.
        segments: figures by segment of the series, where a benchmark tells them.
        setting: what else decides the figures, such as how many days were held out.
    """

    benchmark: str
    family: str
    seed: int
    rows: int
    seconds: float
    peak_rss_mb: float
    score: dict[str, float]
    baselines: dict[str, dict[str, float]]
    families: dict[str, dict[str, float]]
    back_test_seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    segments: dict[str, dict[str, Any]] = field(default_factory=dict)
    setting: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values, figures rounded to what is worth reading."""
        return {
            "benchmark": self.benchmark,
            "seconds": round(self.seconds, 1),
            "peak_rss_mb": round(self.peak_rss_mb),
            "rows": self.rows,
            "score": _rounded(self.score),
            "baselines": {name: _rounded(score) for name, score in self.baselines.items()},
            "family": self.family,
            "families": {name: _rounded(score) for name, score in self.families.items()},
            "back_test_seconds": {name: round(value, 1) for name, value in self.back_test_seconds.items()},
            "skipped": self.skipped,
            "seed": self.seed,
            "segments": self.segments,
            "setting": self.setting,
        }


def track_result(settings: Settings, result: BenchmarkResult, *, files: list[Path], params: dict[str, Any]) -> None:
    """Log the result in MLflow's experiment `benchmarks`; where MLflow fails, that is logged as a warning.

    Args:
        settings: where runs are kept.
        result: what was found.
        files: what was read; their hashes are kept with the run.
        params: the params in force, nested.
    """
    values = result.as_json()
    metrics = {"seconds": result.seconds, "peak_rss_mb": result.peak_rss_mb, "rows": float(result.rows), **result.score}
    for name, score in result.baselines.items():
        metrics |= {f"{name}/{figure}": value for figure, value in score.items()}
    for name, score in result.families.items():
        metrics |= {f"{name}/{figure}": value for figure, value in score.items()}
    for name, figures in result.segments.items():
        metrics |= {f"{name}/{figure}": float(value) for figure, value in figures.items()}
    tags = {f"restock.sha256.{path.name}": sha256_of(path) for path in files}
    try:
        log_measurement(
            tracking_place(settings),
            experiment=EXPERIMENT,
            name=result.benchmark,
            params=params | {"family": result.family, "setting": values["setting"]},
            metrics=metrics,
            tags=tags,
            provenance=read_provenance(settings.root),
        )
    except TrackingError as error:
        logger.warning("the benchmark's run is not tracked: %s", error)


def _rounded(score: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in score.items()}
