import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from restock.adapters.plots import PICTURES, calibration_data, cutoff_data, residual_data, write_evaluation_plots
from restock.adapters.report_page import render_report_page
from restock.forecasting.panel import DemandPanel
from restock.timeline import Frequency

START = date(2024, 1, 1)
CUTOFFS = (40, 45)
HORIZON = 5
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def small_panel(n_series: int = 3) -> DemandPanel:
    sales = np.random.default_rng(2).poisson(4, (n_series, 55)).astype(np.float32)
    sales[:, 51:] = np.nan
    sales[0, :20] = np.nan
    zeros = np.zeros_like(sales)
    return DemandPanel(
        series=pl.DataFrame(
            {
                "sku": [f"S{i}" for i in range(n_series)],
                "location": ["L1"] * n_series,
                "category": "",
                "subcategory": "",
            }
        ).with_columns(region=pl.lit(""), list_price=pl.lit(1.0, dtype=pl.Float32)),
        start=START,
        frequency=Frequency.DAILY,
        observed_periods=51,
        sales_units=sales,
        stockout_share=zeros,
        unit_price=zeros + 1,
        is_promoted=zeros,
        is_holiday=zeros,
    )


def small_backtests(panel: DemandPanel, families: tuple[str, ...] = ("seasonal_naive", "neural")) -> pl.DataFrame:
    rows = [
        {
            "sku": sku,
            "location": location,
            "cutoff": START + timedelta(days=cutoff),
            "date": START + timedelta(days=cutoff + step),
            "horizon": step,
            "demand": float(panel.sales_units[row, cutoff + step]),
            "is_censored": step == 3,
            "family": family,
            "mean_units": 4.0,
            "q0.025": 0.5,
            "q0.1": 1.0,
            "q0.25": 2.0,
            "q0.5": 4.0,
            "q0.75": 5.0,
            "q0.9": 7.0,
            "q0.975": 9.0,
        }
        for family in families
        for cutoff in CUTOFFS
        for row, (sku, location) in enumerate(panel.series.select("sku", "location").iter_rows())
        for step in range(1, HORIZON + 1)
    ]
    return pl.DataFrame(rows)


def small_scores(families: tuple[str, ...] = ("seasonal_naive", "neural")) -> pl.DataFrame:
    rows = [
        {
            "family": family,
            "cutoff": cutoff,
            "segment": segment,
            "pinball": 1.0 - 0.25 * place,
            "wape": 0.5,
            "rmsse": 0.9 - 0.1 * place,
            "bias": 0.02,
            "coverage_80": 0.8,
        }
        for place, family in enumerate(families)
        for cutoff in (None, *(START + timedelta(days=c) for c in CUTOFFS))
        for segment in ("all", "A-smooth")
    ]
    return pl.DataFrame(rows)


def one_family(demand: list[float | None], *, is_censored: list[bool], low: float, high: float) -> pl.DataFrame:
    n = len(demand)
    return pl.DataFrame(
        {
            "family": ["neural"] * n,
            "horizon": [1, 2] * (n // 2),
            "demand": demand,
            "is_censored": is_censored,
            "mean_units": [3.0] * n,
            "q0.1": [low] * n,
            "q0.5": [3.0] * n,
            "q0.9": [high] * n,
        },
        schema_overrides={"demand": pl.Float64},
    )


def test_calibration_data_counts_known_uncensored_demand_inside_the_interval() -> None:
    rows = one_family([1, 2, 9, 5, None, 100], is_censored=[False] * 5 + [True], low=2, high=5)
    calibration = calibration_data(rows)
    # 2 and 5 lie on the bounds and count as inside; 1 and 9 outside; null and censored rows do not count.
    assert calibration.to_dicts() == [{"family": "neural", "nominal": 0.8, "observed": 0.5}]


def test_residual_data_averages_per_horizon() -> None:
    rows = one_family([1, 2, 9, 4, None, 100], is_censored=[False] * 5 + [True], low=2, high=5)
    assert residual_data(rows).to_dicts() == [
        {"family": "neural", "horizon": 1, "bias_units": -2.0, "mean_absolute_error_units": 4.0},
        {"family": "neural", "horizon": 2, "bias_units": 0.0, "mean_absolute_error_units": 1.0},
    ]


def test_cutoff_data_leaves_out_totals_and_segments() -> None:
    by_cutoff = cutoff_data(small_scores())
    assert by_cutoff.height == 4
    assert by_cutoff["cutoff"].null_count() == 0


def test_write_evaluation_plots_writes_pictures_series_and_report(tmp_path: Path) -> None:
    panel = small_panel()
    paths = write_evaluation_plots(small_backtests(panel), small_scores(), panel=panel, folder=tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)
    for name in PICTURES:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG_SIGNATURE)
    series = pl.read_csv(tmp_path / "series" / "calibration.csv")
    assert series.columns == ["family", "nominal", "observed"]
    assert series["nominal"].to_list() == [0.5, 0.8, 0.95] * 2


def test_write_evaluation_plots_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    panel = small_panel()
    first, second = (
        write_evaluation_plots(small_backtests(panel), small_scores(), panel=panel, folder=tmp_path / name)
        for name in ("a", "b")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("n_series", [1, 2, 9])
def test_write_evaluation_plots_any_number_of_series(tmp_path: Path, n_series: int) -> None:
    panel = small_panel(n_series)
    families = ("seasonal_naive", "an_unknown_family")
    write_evaluation_plots(small_backtests(panel, families), small_scores(families), panel=panel, folder=tmp_path)


def test_report_needs_no_network(tmp_path: Path) -> None:
    panel = small_panel()
    write_evaluation_plots(small_backtests(panel), small_scores(), panel=panel, folder=tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []
    assert page.count("data:image/png;base64,") == len(PICTURES)


def test_render_report_page_puts_the_best_first_beside_the_baseline() -> None:
    page = render_report_page(small_scores(), [], baseline="seasonal_naive")
    assert page.index("<td>neural</td>") < page.index("<td>seasonal_naive</td>")
    assert "0.750<small class=good>-25%</small>" in page
    assert "<td>A-smooth</td>" in page


def test_render_report_page_shows_the_spread_over_the_windows() -> None:
    scores = small_scores().with_columns(
        pinball=pl.when(pl.col("cutoff") == START + timedelta(days=CUTOFFS[0])).then(0.5).otherwise(pl.col("pinball"))
    )
    # Of neural: 0.5 and 0.75, their mean 0.625 and deviation 0.125 x sqrt(2).
    assert "0.625<small>± 0.177</small>" in render_report_page(scores, [], baseline="seasonal_naive")


def test_render_report_page_escapes_names() -> None:
    scores = small_scores(("seasonal_naive", "<b>"))
    assert "<td><b></td>" not in render_report_page(scores, [], baseline="seasonal_naive")
