"""The SCMS benchmark: scores against slow references, its contract on made-up lines, and what it must not read."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from restock.adapters.sources.scms import read_scms_lines
from restock.adapters.workspace import project_root
from restock.benchmarks.scms import as_predictions, run_scms, score_delays
from restock.benchmarks.scms_delays import LEVELS, DelayForecast, forecast_delays, known_delays
from restock.benchmarks.scms_features import line_features
from restock.cli import benchmark
from restock.errors import DataError, InsufficientHistoryError

COLUMNS = ["ID", "delay0.1", "delay0.5", "delay0.9", "q0.1", "q0.5", "q0.9", "p_late"]


@contextmanager
def silent(_):
    yield lambda done, total: None


def write_lines(path, *, first, days, seed, n=260, has_delivery=True):
    """Lines of three vendors: one is punctual, one always late by ten days or more, the warehouse early or late."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, offset in enumerate(np.sort(rng.integers(0, days, n)).tolist()):
        scheduled = first + timedelta(days=offset)
        vendor = ("Punctual", "Late", "SCMS from RDC")[number % 3]
        delay = {"Punctual": 0, "Late": 10 + int(rng.integers(0, 5))}.get(vendor, int(rng.choice([-20, -5, 0, 4])))
        ordered = scheduled - timedelta(days=60)
        row = {
            "ID": f"{seed}{number:04d}",
            "PO / SO #": f"{'SO' if vendor[0] == 'S' else 'SCMS'}-{1000 + number // 2}",
            "ASN/DN #": f"DN-{number}",
            "Country": ("Haiti", "Kenya")[number % 2],
            "Fulfill Via": "From RDC" if vendor[0] == "S" else "Direct Drop",
            "Shipment Mode": "Air",
            "Vendor": vendor,
            "PO Sent to Vendor Date": "N/A - From RDC" if vendor[0] == "S" else ordered.strftime("%m/%d/%y"),
            "Scheduled Delivery Date": scheduled.strftime("%d-%b-%y"),
            "Line Item Quantity": 100 + number,
        }
        if has_delivery:
            row["Delivered to Client Date"] = (scheduled + timedelta(days=delay)).strftime("%d-%b-%y")
        rows.append(row)
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scms")
    history = write_lines(folder / "history.csv", first=date(2010, 2, 1), days=1100, seed=1, n=480)
    new = write_lines(folder / "new.csv", first=date(2013, 3, 1), days=200, seed=2, n=90, has_delivery=False)
    return history, new


def test_score_delays_equal_the_slow_reference():
    rng = np.random.default_rng(3)
    n = 40
    delay, promised = rng.integers(-5, 8, n), rng.integers(20, 60, n)
    start = date(2012, 1, 1)
    lines = pl.DataFrame(
        {
            "scheduled_on": [start] * n,
            "delivered_on": [start + timedelta(days=int(days)) for days in delay],
            "ordered_on": [None if place % 2 else start - timedelta(days=int(d)) for place, d in enumerate(promised)],
        }
    )
    forecast = DelayForecast(quantiles=np.sort(rng.normal(0, 4, (n, 3)), axis=1), p_late=rng.random(n).round(1))
    found = score_delays(forecast, lines)
    losses = [
        max(level * (delay[row] - value), (level - 1) * (delay[row] - value))
        for row in range(n)
        for level, value in zip(LEVELS, forecast.quantiles[row], strict=True)
    ]
    pairs = [
        1.0
        if forecast.p_late[late] > forecast.p_late[other]
        else 0.5 * (forecast.p_late[late] == forecast.p_late[other])
        for late in range(n)
        for other in range(n)
        if delay[late] > 0 and delay[other] <= 0
    ]
    within = [forecast.quantiles[row, 0] <= delay[row] <= forecast.quantiles[row, 2] for row in range(n)]
    assert found["delay_pinball"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert found["auc_late"] == pytest.approx(np.mean(pairs), rel=1e-12)
    assert found["coverage_80"] == np.mean(within)
    # A promise of 20 days or more is never reached by the quantiles: leads and delays differ by a constant.
    assert found["lead_pinball"] == pytest.approx(np.mean(np.reshape(losses, (n, 3))[::2]), rel=1e-12)


def test_score_delays_of_the_promised_date_are_half_the_mean_absolute_delay():
    start = date(2012, 1, 1)
    lines = pl.DataFrame(
        {
            "scheduled_on": [start] * 3,
            "delivered_on": [start, start + timedelta(days=4), start - timedelta(days=5)],
            "ordered_on": pl.Series([None] * 3, dtype=pl.Date),
        }
    )
    found = score_delays(DelayForecast(quantiles=np.zeros((3, 3)), p_late=np.zeros(3)), lines)
    assert found == {"delay_pinball": pytest.approx(9 / 3 / 2), "coverage_80": pytest.approx(1 / 3), "auc_late": 0.5}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run `restock benchmark scms` in a workspace of its own."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (folder / name).write_text((project_root() / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("RESTOCK_WORKSPACE", str(folder))
    app = typer.Typer()
    benchmark.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["benchmark", "scms", *(str(part) for part in arguments)])


def test_benchmark_scms_command_writes_its_contract_and_repeats_itself(files, tmp_path, command):
    history, new = files
    out = tmp_path / "predictions.csv"
    found = command("--data", history, "--lines", new, "--seed", 7, "--out", out)
    assert found.exit_code == 0, found.output
    result = json.loads(found.stdout.strip().splitlines()[-1])
    assert {"benchmark", "seconds", "peak_rss_mb", "rows", "score"} <= set(result)
    assert result["rows"] == 480
    assert result["score"]["delay_pinball"] < result["baselines"]["promised_date"]["delay_pinball"]
    assert result["score"]["auc_late"] > 0.55
    predictions = pl.read_csv(out, schema_overrides={"ID": pl.String})
    lines = read_scms_lines(new, has_delivery=False)
    assert predictions.columns == COLUMNS
    assert predictions["ID"].to_list() == lines["ID"].to_list()
    assert predictions["q0.5"].is_null().to_list() == lines["ordered_on"].is_null().to_list()
    assert (predictions["delay0.1"] <= predictions["delay0.5"]).all()
    assert (predictions["delay0.5"] <= predictions["delay0.9"]).all()
    late, punctual = (predictions.filter(lines["vendor"] == vendor) for vendor in ("Late", "Punctual"))
    assert (late["delay0.9"] >= 10).all()
    assert (punctual["delay0.5"] == 0).all()
    assert late["p_late"].min() > punctual["p_late"].max()
    assert late["q0.9"].to_list() == (late["delay0.9"] + 60).to_list()
    past, cutoff = read_scms_lines(history, has_delivery=True), lines["scheduled_on"].min()
    again = as_predictions(forecast_delays(past, lines, cutoff=cutoff, seed=7, has_shipments=False), lines)
    assert out.read_text() == again.write_csv()


def test_benchmark_scms_command_unreadable_data_and_half_an_order_exit_2(tmp_path, command):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    found = command("--data", tmp_path / "bad.csv")
    assert (found.exception.exit_code, str(found.exception)[:26]) == (2, "bad.csv lacks column 'ID';")
    found = command("--data", tmp_path / "bad.csv", "--lines", tmp_path / "bad.csv")
    assert (found.exception.exit_code, str(found.exception)[:32]) == (2, "--lines and --out belong togethe")


def test_run_scms_new_lines_before_the_end_of_the_history_raise(files, tmp_path):
    history, _ = files
    with pytest.raises(DataError, match=r"new lines are scheduled from 2010-02-0\d on, expected after 2013-02"):
        run_scms(history, lines=history, out=tmp_path / "o.csv", has_shipments=False, seed=1, progress=silent)


def test_run_scms_too_short_a_history_raises(tmp_path):
    path = write_lines(tmp_path / "short.csv", first=date(2012, 1, 1), days=40, seed=3, n=40)
    with pytest.raises(InsufficientHistoryError, match="no year at the end of the history has 30 lines"):
        run_scms(path, lines=None, out=None, has_shipments=False, seed=1, progress=silent)


def test_known_delays_what_comes_after_the_cutoff_is_only_known_to_be_late(files):
    lines = read_scms_lines(files[0], has_delivery=True)
    cutoff = date(2012, 6, 1)
    past = lines.filter(pl.col("scheduled_on") < cutoff)
    is_later = pl.col("delivered_on") >= cutoff
    assert past.filter(is_later).height > 0
    moved = past.with_columns(
        delivered_on=pl.when(is_later).then(pl.col("delivered_on") + pl.duration(days=300)).otherwise("delivered_on")
    )
    assert np.array_equal(known_delays(moved, cutoff=cutoff), known_delays(past, cutoff=cutoff))
    open_for = (cutoff - past.filter(is_later)["scheduled_on"].to_numpy()[0].astype(object)).days
    assert known_delays(past, cutoff=cutoff)[past.select(is_later.alias("x"))["x"].to_numpy()][0] >= open_for


def test_forecast_delays_shipping_notices_are_not_read_unless_asked(files):
    history, new = (read_scms_lines(path, has_delivery=flag) for path, flag in zip(files, (True, False), strict=True))
    other = [lines.with_columns(shipment=pl.col("shipment").reverse()) for lines in (history, new)]
    features = [line_features(lines, has_shipments=False) for lines in (history, other[0])]
    assert np.array_equal(features[0], features[1], equal_nan=True)
    cutoff = new["scheduled_on"].min()
    first = forecast_delays(history, new, cutoff=cutoff, seed=1, has_shipments=False)
    second = forecast_delays(*other, cutoff=cutoff, seed=1, has_shipments=False)
    assert np.array_equal(first.quantiles, second.quantiles)


def test_as_predictions_lead_times_are_never_negative():
    lines = pl.DataFrame(
        {"ID": ["1"], "scheduled_on": [date(2012, 1, 4)], "ordered_on": [date(2012, 1, 1)]},
    )
    forecast = DelayForecast(quantiles=np.array([[-9.0, 0.0, 2.0]]), p_late=np.array([0.25]))
    assert as_predictions(forecast, lines).row(0) == ("1", -9.0, 0.0, 2.0, 0.0, 3.0, 5.0, 0.25)
