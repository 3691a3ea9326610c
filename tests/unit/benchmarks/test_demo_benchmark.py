"""The benchmark of demo companies: what it compares, and that it compares it right."""

from __future__ import annotations

from contextlib import contextmanager

import polars as pl
import pytest

from restock.benchmarks.demo_company import run_demo, score_company
from restock.benchmarks.results_page import render_page
from restock.cli.benchmark import parse_seeds
from restock.errors import ConfigurationError

SMALL = {
    "simulation": {"n_skus": 12, "n_stores": 2, "n_days": 150},
    "forecasting": {"families": ["seasonal_naive", "statistical"], "horizon": 7},
    "backtest": {"n_windows": 2, "step_periods": 7},
}


@contextmanager
def no_progress(_step):
    yield lambda _done, _total: None


def test_demo_benchmark_compares_the_ensemble_with_seasonal_naive_by_segment(small_params):
    params = small_params(**SMALL)
    result = run_demo(params, seeds=[5, 6], progress=no_progress)
    found = result.as_json()
    assert found["setting"]["companies"] == [5, 6]
    assert set(found["families"]) == {"seasonal_naive", "statistical", "ensemble"}
    companies = [score_company(seed, params, progress=no_progress) for seed in (5, 6)]
    scores = pl.concat(company.scores for company in companies)
    for segment, figures in found["segments"].items():
        rows = scores.filter(pl.col("segment") == segment, pl.col("n_scored") > 0)
        totals = {
            family: (of_family["pinball"] * of_family["n_scored"]).sum() / of_family["n_scored"].sum()
            for (family,), of_family in rows.group_by(["family"])
        }
        assert figures["pinball"] == pytest.approx(totals["ensemble"], abs=1e-4)
        change = totals["ensemble"] / totals["seasonal_naive"] - 1
        assert figures["change"] == pytest.approx(change, abs=2e-4)
        assert figures["worst_company"] >= figures["change"] - 0.02
    listed = {name: values["change"] for name, values in found["segments"].items() if name != "all"}
    assert found["score"]["change_of_worst_segment"] == max(listed.values())
    assert len({name.split("-")[0] for name in listed}) == 3
    page = render_page({"machine": {}, "versions": {}}, [found], measured_on=params.simulation.first_day)
    assert "| all | 2 |" in page


def test_demo_benchmark_pairs_every_scored_window_of_a_series(small_params):
    company = score_company(5, small_params(**SMALL), progress=no_progress)
    assert company.paired.null_count().sum_horizontal().item() == 0
    assert company.paired.group_by("cluster").len()["len"].max() == 2
    assert company.paired["cluster"].str.starts_with("5 ").all()


def test_demo_benchmark_of_one_seed_is_the_same_twice(small_params):
    first, second = (run_demo(small_params(**SMALL), seeds=[7], progress=no_progress).as_json() for _ in range(2))
    assert first["segments"] == second["segments"]
    assert first["score"] == second["score"]


@pytest.mark.parametrize("given", ["", "a", "-1", "1.5", str(2**32)])
def test_parse_seeds_refuses_what_is_no_seed(given):
    with pytest.raises(ConfigurationError, match="whole numbers"):
        parse_seeds(given)


def test_parse_seeds_takes_each_once():
    assert parse_seeds("901, 902 901") == [901, 902]
