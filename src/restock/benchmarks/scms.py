"""SCMS delivery history: how late order lines of a real supply chain will be, and how long they take from the order.

Back-tested on windows of a year, each after a cutoff of its own; what was delivered after a cutoff is not known at it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.adapters.sources.scms import read_scms_lines
from restock.adapters.storage import write_text
from restock.adapters.usage import peak_rss_mb
from restock.benchmarks.family_race import Score, ShowProgress
from restock.benchmarks.result import BenchmarkResult
from restock.benchmarks.scms_delays import LEVELS, DelayForecast, forecast_delays
from restock.benchmarks.scms_features import day_numbers
from restock.errors import DataError, InsufficientHistoryError
from restock.statistics.quantiles import pinball_loss

logger = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]

NAME = "scms"
FAMILY = "likeness_and_classes"
# Cutoffs before the last scheduled day, and how long the window after each is; they overlap.
_CUTOFFS_BEFORE_DAYS = (365, 548, 730, 913)
_WINDOW_DAYS = 365
_FEWEST_LINES = 30


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A back-test: what was known at its cutoff, and the lines after it."""

    cutoff: date
    past: pl.DataFrame
    new: pl.DataFrame


def run_scms(
    data: Path, *, lines: Path | None, out: Path | None, has_shipments: bool, seed: int, progress: ShowProgress
) -> BenchmarkResult:
    """Back-test on windows at the end of `data`; with `lines` and `out`, forecast these lines and write them.

    Args:
        data: folder or file of past order lines.
        lines: file of new order lines; how they were delivered is not read.
        out: CSV file of the forecasts.
        has_shipments: whether the numbers of shipping notices may be read. They are given when a shipment leaves, so
            this is for lines that are on their way; it forecasts nothing that has yet to be sent.
        seed: of the boosted classifier.
        progress: shows a step.

    Raises:
        DataError: a file can't be read as what it is meant to be, or lines are scheduled before the history ends.
        InsufficientHistoryError: no window has enough lines.
    """
    begun = time.monotonic()
    with progress("reading") as _:
        history = read_scms_lines(data, has_delivery=True)
        new = None if lines is None else read_scms_lines(lines, has_delivery=False)
    if new is not None:
        _check_later(history, new)
    windows = _split_windows(history)
    scores: dict[str, list[Score]] = {}
    with progress(f"back-test on {len(windows)} windows") as advance:
        for done, window in enumerate(windows):
            for name, score in _score_window(window, seed=seed, has_shipments=has_shipments).items():
                scores.setdefault(name, []).append(score)
            advance(done + 1, len(windows))
    mean = {name: _mean_score(of_windows) for name, of_windows in scores.items()}
    if new is not None and out is not None:
        with progress(f"forecasting {new.height} lines") as _:
            cutoff = _first_and_last(new)[0]
            forecast = forecast_delays(history, new, cutoff=cutoff, seed=seed, has_shipments=has_shipments)
            write_text(out, as_predictions(forecast, new).write_csv())
    return BenchmarkResult(
        benchmark=NAME,
        family=FAMILY,
        seed=seed,
        rows=history.height,
        seconds=time.monotonic() - begun,
        peak_rss_mb=peak_rss_mb(),
        score=mean[FAMILY],
        baselines={name: mean[name] for name in ("promised_date", "delays_of_the_vendor")},
        families={FAMILY: mean[FAMILY]},
        segments={
            f"cutoff_{window.cutoff.isoformat()}": {"n_lines": window.new.height, **scores[FAMILY][place]}
            for place, window in enumerate(windows)
        },
        setting={
            "has_written": new is not None and out is not None,
            "reads_shipping_notices": has_shipments,
            "n_new_lines": 0 if new is None else new.height,
            "window_days": _WINDOW_DAYS,
            "cutoffs": [window.cutoff.isoformat() for window in windows],
        },
    )


def score_delays(forecast: DelayForecast, lines: pl.DataFrame) -> Score:
    """Return how good forecasts of delivered lines were.

    - `delay_pinball`: mean over lines and levels, no factor 2, days.
    - `coverage_80`: share of lines with a delay from the lowest to the highest quantile.
    - `auc_late`: chance that a late line has a higher chance of lateness than one that is not; 0.5 where all are alike.
    - `lead_pinball`: the same of the days from order to delivery, over lines whose order day is known.

    Args:
        forecast: of the lines.
        lines: with their delivery, at least one.

    Source: Mann, Whitney (1947) for the area under the curve.
    """
    delay = day_numbers(lines["delivered_on"]) - day_numbers(lines["scheduled_on"])
    promised = day_numbers(lines["scheduled_on"]) - day_numbers(lines["ordered_on"])
    found = {
        "delay_pinball": float(pinball_loss(delay, forecast.quantiles, LEVELS).mean()),
        "coverage_80": float(((delay >= forecast.quantiles[:, 0]) & (delay <= forecast.quantiles[:, -1])).mean()),
        "auc_late": _area_under_curve(delay > 0, forecast.p_late),
    }
    told = ~np.isnan(promised)
    if told.any():
        lead = np.maximum(forecast.quantiles + promised[:, None], 0)[told]
        found["lead_pinball"] = float(pinball_loss((delay + promised)[told], lead, LEVELS).mean())
    return found


def as_predictions(forecast: DelayForecast, lines: pl.DataFrame) -> pl.DataFrame:
    """Return a row a line: ID, quantiles of delay and lead time, chance of lateness; no lead time without an order day.

    Args:
        forecast: of the lines.
        lines: in the order of the rows.
    """
    promised = day_numbers(lines["scheduled_on"]) - day_numbers(lines["ordered_on"])
    lead = np.maximum(forecast.quantiles + promised[:, None], 0)
    return pl.DataFrame(
        {
            "ID": lines["ID"],
            **{f"delay{level}": forecast.quantiles[:, place].round(3) for place, level in enumerate(LEVELS)},
            **{f"q{level}": pl.Series(lead[:, place].round(3)).fill_nan(None) for place, level in enumerate(LEVELS)},
            "p_late": forecast.p_late.round(6),
        }
    )


def vendor_delays(history: pl.DataFrame, new: pl.DataFrame, *, cutoff: date) -> DelayForecast:
    """Return quantiles of all delays of a line's vendor before the cutoff; on time for a vendor without any."""
    told = history.filter(pl.col("delivered_on") < cutoff)
    delay = day_numbers(told["delivered_on"]) - day_numbers(told["scheduled_on"])
    vendors, wanted = told["vendor"].fill_null("").to_numpy(), new["vendor"].fill_null("").to_numpy()
    quantiles, p_late = np.zeros((new.height, len(LEVELS))), np.zeros(new.height)
    for vendor in np.unique(wanted).tolist():
        own = delay[vendors == vendor]
        if own.size:
            quantiles[wanted == vendor] = np.quantile(own, LEVELS)
            p_late[wanted == vendor] = (own > 0).mean()
    return DelayForecast(quantiles=quantiles, p_late=p_late)


def _check_later(history: pl.DataFrame, new: pl.DataFrame) -> None:
    """Refuse new lines that are scheduled before the history ends.

    Raises:
        DataError: they are.
    """
    first, last = _first_and_last(new)[0], _first_and_last(history)[1]
    if first <= last:
        raise DataError(
            f"new lines are scheduled from {first} on, expected after {last}, the last scheduled day of the history."
        )


def _first_and_last(lines: pl.DataFrame) -> tuple[date, date]:
    days = lines["scheduled_on"].sort().to_list()
    return days[0], days[-1]


def _split_windows(history: pl.DataFrame) -> list[_Window]:
    last = _first_and_last(history)[1]
    windows = []
    for before in _CUTOFFS_BEFORE_DAYS:
        cutoff = last + timedelta(days=1 - before)
        past = history.filter(pl.col("scheduled_on") < cutoff)
        new = history.filter(
            pl.col("scheduled_on") >= cutoff, pl.col("scheduled_on") < cutoff + timedelta(days=_WINDOW_DAYS)
        )
        if min(past.height, new.height) >= _FEWEST_LINES:
            windows.append(_Window(cutoff=cutoff, past=past, new=new))
    if not windows:
        raise InsufficientHistoryError(
            f"no year at the end of the history has {_FEWEST_LINES} lines and as many before it. Give a longer history."
        )
    return windows


def _score_window(window: _Window, *, seed: int, has_shipments: bool) -> dict[str, Score]:
    """Return the scores of the forecast and of the baselines."""
    past, new, cutoff = window.past, window.new, window.cutoff
    on_time = DelayForecast(quantiles=np.zeros((new.height, len(LEVELS))), p_late=np.zeros(new.height))
    forecasts = {
        "promised_date": on_time,
        "delays_of_the_vendor": vendor_delays(past, new, cutoff=cutoff),
        FAMILY: forecast_delays(past, new, cutoff=cutoff, seed=seed, has_shipments=has_shipments),
    }
    return {name: score_delays(forecast, new) for name, forecast in forecasts.items()}


def _mean_score(scores: list[Score]) -> Score:
    return {name: float(np.mean([score[name] for score in scores if name in score])) for name in scores[0]}


def _area_under_curve(is_late: NDArray[np.bool_], chance: Floats) -> float:
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # scipy ships no types

    n_late, n_other = int(is_late.sum()), int((~is_late).sum())
    if not n_late or not n_other:
        return 0.5
    above = rankdata(chance)[is_late].sum() - n_late * (n_late + 1) / 2
    return float(above / (n_late * n_other))
