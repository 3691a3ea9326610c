"""Run by statsforecast's own interpreter: ETS(A,Ad,A) of every series in a NumPy file. Imports nothing of restock.

statsforecast asks for pandas < 3 and can't share an environment with restock; `smoothing_speed` starts this file in one
of its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np


def main(values_file: Path, forecast_file: Path, season: int, horizon: int) -> None:
    """Write the forecasts, shape (n_series, horizon), and print the seconds that they took."""
    from statsforecast.models import AutoETS

    values = np.load(values_file, allow_pickle=False)
    model = AutoETS(season_length=season, model="AAA", damped=True)
    # The first call reads its library in.
    model.forecast(values[0], horizon)
    begun = time.perf_counter()
    found = [model.forecast(row, horizon)["mean"] for row in values]
    seconds = time.perf_counter() - begun
    np.save(forecast_file, np.array(found), allow_pickle=False)
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
