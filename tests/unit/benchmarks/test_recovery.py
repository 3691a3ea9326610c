"""Recovery beside the truth: days cut off on purpose, and the simulated company."""

from __future__ import annotations

import numpy as np
import pytest

from restock.benchmarks.demo_recovery import find_unflagged, judge_silences, read_truth, run_demo_recovery
from restock.benchmarks.recovery import run_fresh_recovery, score_estimate
from restock.errors import DataError
from restock.simulation.company import simulate_demo_company

SMALL_COMPANY = {"n_skus": 24, "n_stores": 3, "n_days": 240}


def test_run_fresh_recovery_lies_closer_to_the_truth_than_sales(
    write_freshretailnet, write_hourly, small_params, silent
):
    data = write_freshretailnet()
    write_hourly(data)
    result, again = (run_fresh_recovery(data, small_params(), progress=silent) for _ in range(2))
    assert result.score == again.score
    sales = result.baselines["sales_as_they_are"]
    assert result.score["wape"] < 0.8 * sales["wape"]
    # Four of fourteen shares of the demand, at the most, were cut off.
    assert sales["wpe"] == pytest.approx(-2 / 14, abs=0.15)
    assert abs(result.score["wpe"]) < 0.5 * abs(sales["wpe"])
    assert sum(row["days"] for row in result.setting["by_demand_share_in_stock"]) == result.setting["scored_days"]


def test_run_fresh_recovery_without_hourly_sales_is_refused(write_freshretailnet, small_params, silent):
    with pytest.raises(DataError, match=r"hourly_train_sample.parquet is missing"):
        run_fresh_recovery(write_freshretailnet(), small_params(), progress=silent)


def test_run_demo_recovery_lies_closer_to_the_truth_than_sales(small_params, silent):
    result = run_demo_recovery(small_params(simulation=SMALL_COMPANY), progress=silent)
    sales, ratio = result.baselines["sales_as_they_are"], result.baselines["sales_per_share_of_hours"]
    assert result.score["wape"] < 0.85 * sales["wape"]
    assert abs(result.score["wpe"]) < 0.5 * abs(sales["wpe"])
    # Days sell out because they are good: sales over the share in stock overshoot.
    assert ratio["wpe"] > 0.1
    assert 0.7 < result.score["coverage_80"] < 0.92


def test_read_truth_is_sales_where_there_was_stock(small_params):
    company = read_truth(simulate_demo_company(small_params(simulation=SMALL_COMPANY).simulation, seed=3))
    sales = company.panel.sales_units[:, : company.panel.observed_periods]
    is_full = (company.panel.stockout_share[:, : company.panel.observed_periods] == 0) & (company.empty_share == 0)
    is_full &= ~np.isnan(sales)
    np.testing.assert_array_equal(company.demand_units[is_full], sales[is_full])
    is_silent, is_unflagged = find_unflagged(company)
    assert (is_silent | ~is_unflagged).all()
    assert (company.demand_units[is_unflagged] > 0).all()


def test_judge_silences_counts():
    judged = judge_silences(np.array([0.9, 0.8, 0.1, 0.75]), np.array([True, False, False, True]), threshold=0.7)
    assert (judged["precision"], judged["recall"], judged["days_found"]) == (0.667, 1.0, 3)
    assert [row["days"] for row in judged["reliability"]] == [1, 1, 2]
    assert judge_silences(np.array([0.1]), np.array([False]), threshold=0.7)["precision"] is None


def test_score_estimate_of_known_numbers():
    assert score_estimate(np.array([1.0, 4.0]), np.array([2.0, 2.0])) == {"wape": 0.75, "wpe": 0.25}
