"""Exponential smoothing of many series beside statsforecast's: seconds, and how good the forecasts are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restock.errors import ConfigurationError, InsufficientHistoryError
from restock.forecasting.panel import DemandPanel
from restock.statistics.smoothing import smooth_seasons

PEER = "statsforecast==2.1.1"
_PEER_FILE = Path(__file__).with_name("statsforecast_peer.py")
_PERIODS = 112
_HORIZON = 28
_MOST_SERIES = 300
_PEER_TIMEOUT_SECONDS = 600


def measure_smoothing_speed(panel: DemandPanel) -> dict[str, Any]:
    """Return the seconds of ETS(A,Ad,A) over the panel's series, ours and statsforecast's, and the WAPE of both.

    Both forecast the last 28 observed periods of up to 300 series from the 112 before, on one core; ours tries a grid
    of weights for all series at once, statsforecast optimises each series. statsforecast runs in an environment of its
    own, which `uv` makes: it asks for another pandas.

    Args:
        panel: history of at least 140 observed periods.

    Raises:
        ConfigurationError: uv or statsforecast can't be had.
        InsufficientHistoryError: no series is that long.
    """
    sales = panel.sales_units[:, : panel.observed_periods].astype(np.float64)
    is_long = ~np.isnan(sales[:, -(_PERIODS + _HORIZON) :]).any(axis=1)
    if panel.observed_periods < _PERIODS + _HORIZON or not is_long.any():
        raise InsufficientHistoryError(
            f"no series has {_PERIODS + _HORIZON} observed periods; smoothing can't be compared. Ingest more history."
        )
    long = sales[is_long][:_MOST_SERIES]
    known, actual = long[:, -(_PERIODS + _HORIZON) : -_HORIZON], long[:, -_HORIZON:]
    season = panel.frequency.season_periods
    begun = time.perf_counter()
    ours = smooth_seasons(known, season_periods=season, horizon=_HORIZON).forecast_units
    seconds = time.perf_counter() - begun
    theirs, peer_seconds = _run_peer(known, season=season)

    def wape(forecast: NDArray[np.float64]) -> float:
        return float(np.abs(np.maximum(forecast, 0) - actual).sum() / actual.sum())

    return {
        "series": len(long),
        "periods": _PERIODS,
        "horizon": _HORIZON,
        "seconds": round(seconds, 3),
        "statsforecast_seconds": round(peer_seconds, 3),
        "ratio": round(peer_seconds / seconds, 1),
        "wape": round(wape(ours), 4),
        "statsforecast_wape": round(wape(theirs), 4),
    }


def _run_peer(known: NDArray[np.float64], *, season: int) -> tuple[NDArray[np.float64], float]:
    """Return statsforecast's forecasts and the seconds that they took, without those of starting.

    Raises:
        ConfigurationError: it did not run.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise ConfigurationError("uv, which makes the environment of statsforecast, is not installed. Run: make setup.")
    with tempfile.TemporaryDirectory() as folder:
        values_file, forecast_file = Path(folder) / "values.npy", Path(folder) / "forecast.npy"
        np.save(values_file, known, allow_pickle=False)
        command = [uv, "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable, "--with", PEER]
        command += ["python", str(_PEER_FILE), str(values_file), str(forecast_file), str(season), str(_HORIZON)]
        try:
            done = subprocess.run(  # a fixed command over files of its own
                command, cwd=folder, capture_output=True, text=True, timeout=_PEER_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(f"{PEER} took longer than {error.timeout} s. Try a quiet machine.") from error
        if done.returncode or not forecast_file.exists():
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise ConfigurationError(f"{PEER} did not run in an own environment: {last}. Is the index reachable?")
        found: NDArray[np.float64] = np.load(forecast_file, allow_pickle=False)
        return found, float(done.stdout.strip())
