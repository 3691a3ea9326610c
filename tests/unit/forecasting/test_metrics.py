from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from restock.forecasting.metrics import row_losses, summarise_losses, summarise_windows

QUANTILES = (0.1, 0.5, 0.9)


@pytest.fixture
def scored():
    frame = pl.DataFrame(
        {
            "family": ["f"] * 4,
            "sku": ["A", "A", "B", "B"],
            "location": ["L"] * 4,
            "cutoff": [date(2024, 1, 1)] * 4,
            "demand": [10.0, 0.0, 4.0, None],
            "is_censored": [False, False, True, False],
            "mean_units": [8.0, 2.0, 9.0, 9.0],
            "q0.1": [5.0, 0.0, 1.0, 1.0],
            "q0.5": [8.0, 1.0, 2.0, 2.0],
            "q0.9": [9.0, 4.0, 3.0, 3.0],
            "difference_scale": [4.0, 4.0, 1.0, 1.0],
        }
    )
    return row_losses(frame, QUANTILES)


def test_row_losses_score_neither_censored_nor_unknown_demand(scored):
    assert scored["demand"].to_list() == [10.0, 0.0, None, None]
    assert scored["pinball"].null_count() == 2


def test_summarise_losses_equals_sums_by_hand(scored):
    row = summarise_losses(scored, ["family"]).row(0, named=True)
    assert row["n_scored"] == 2
    assert row["n_censored"] == 1
    assert row["wape"] == pytest.approx((2 + 2) / 10)
    assert row["bias"] == pytest.approx((-2 + 2) / 10)
    # Row 1: a tenth of 5, half of 2 and nine tenths of 1, over 3; row 2: half of 1 and a tenth of 4, over 3.
    assert row["pinball"] == pytest.approx((0.8 + 0.3) / 2, rel=1e-6)
    assert row["coverage_80"] == pytest.approx(0.5)
    # squared errors 4 and 4, scale 4: sqrt(4 / 4)
    assert row["rmsse"] == pytest.approx(1.0)
    assert "coverage_90" not in row


def test_summarise_losses_without_demand_has_no_wape(scored):
    row = summarise_losses(scored.filter(pl.col("sku") == "B"), ["family"]).row(0, named=True)
    assert (row["n_scored"], row["wape"], row["rmsse"]) == (0, None, None)


def test_summarise_windows_gives_mean_and_sample_deviation_over_the_windows():
    scores = pl.DataFrame(
        {
            "family": ["f", "f", "f", "f", "g"],
            "cutoff": [None, date(2024, 1, 1), date(2024, 2, 1), date(2024, 2, 1), date(2024, 1, 1)],
            "segment": ["all", "all", "all", "A-smooth", "all"],
            "pinball": [9.0, 1.0, 4.0, 100.0, 2.0],
        }
    )
    found = summarise_windows(scores).to_dicts()
    # Deviation of 1 and 4: sqrt((1.5^2 + 1.5^2) / 1).
    assert found == [
        {"family": "f", "n_windows": 2, "pinball": 2.5, "pinball_sd": pytest.approx(2.1213203)},
        {"family": "g", "n_windows": 1, "pinball": 2.0, "pinball_sd": None},
    ]
