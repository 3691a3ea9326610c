"""What `restock bench` and `restock benchmark` measured, as a page of Markdown."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from restock.errors import DataError

_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
# In the order in which a reader wants them.
_SCORES = {
    "wape_sales": "WAPE, sales, all days",
    "wpe_sales": "WPE, sales, all days",
    "wape_in_stock": "WAPE, demand, in-stock days",
    "wpe_in_stock": "WPE, demand, in-stock days",
    "pinball": "pinball loss, demand, in-stock days",
    "coverage_80": "days within q0.10 to q0.90, in stock",
    "wrmsse_level12": "WRMSSE, level 12",
    "bias": "bias",
    "scaled_pinball": "weighted scaled pinball loss",
    "wape": "WAPE",
    "wpe": "WPE",
    "rmsse": "RMSSE",
}


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the results in a file of what `restock benchmark` printed, one JSON object a line.

    Raises:
        DataError: the file can't be read, or a line is no result.
    """
    try:
        results = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as JSON lines: {error}.") from error
    if not all(isinstance(result, dict) and {"benchmark", "score", "baselines"} <= set(result) for result in results):
        raise DataError(f"{path} holds a line that is no result, expected what `restock benchmark` prints last.")
    return results


def render_page(figures: dict[str, Any], results: list[dict[str, Any]], *, measured_on: date) -> str:
    """Return the page.

    Args:
        figures: what `restock bench` measured, by name; `machine` and `versions` among it.
        results: of `restock benchmark`, may be empty.
        measured_on: the day.
    """
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {measured_on} by `restock bench --write docs/benchmarks.md`. Seconds are this machine's and",
        "depend on what else it does; ratios compare two things that took turns in the same run.",
        "",
        *_table(["machine", ""], [[name, value] for name, value in figures["machine"].items()]),
        "Versions: " + ", ".join(f"{name} {value}" for name, value in figures["versions"].items()) + ".",
        "",
        "## Speed against peers",
        "",
        *_table(["what", "ours", "peer", "ratio"], _speed_rows(figures)),
        *_growth_lines(figures.get("growth")),
    ]
    for result in results:
        lines += _result_lines(result)
    return "\n".join(lines).rstrip() + "\n"


def _speed_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return one row a comparison."""
    rows = [*_work_rows(figures), *_prediction_rows(figures), *_forecast_service_rows(figures)]
    for database, posting in figures.get("ledger", {}).items():
        rows += _posting_rows(_DATABASES[database], posting)
    rows += _booking_rows(figures)
    if repro := figures.get("no_op_repro"):
        rows.append(["`dvc repro` with nothing to do", f"{repro['seconds_median_of_5']:.2f} s", "-", "-"])
    return rows


def _work_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return the rows on features, smoothing and stocking policies."""
    rows = []
    if features := figures.get("features"):
        what = f"features of {features['rows']:,} rows ({features['features']} columns"
        rows.append(
            [
                what + f"; mlforecast: the {features['mlforecast_features']} of them that it has)",
                f"{features['rows_per_second']:,} rows/s",
                f"mlforecast: {features['mlforecast_rows_per_second']:,} rows/s",
                f"{features['ratio']:.2f} x the rows, {features['ratio_of_values']:.2f} x the values per second",
            ]
        )
    if smoothing := figures.get("smoothing"):
        rows.append(
            [
                f"ETS(A,Ad,A) of {smoothing['series']} series x {smoothing['periods']} periods (WAPE of 28 ahead)",
                f"{smoothing['seconds']:.2f} s ({smoothing['wape']:.4f})",
                f"statsforecast: {smoothing['statsforecast_seconds']:.2f} s ({smoothing['statsforecast_wape']:.4f})",
                f"{smoothing['ratio']:.1f} x faster",
            ]
        )
    for policy, speed in figures.get("policies", {}).items():
        rows.append(
            [
                f"{policy.replace('_', ' ')}, a textbook instance, the same cost",
                f"{speed['seconds'] * 1e3:.3f} ms",
                f"stockpyl: {speed['stockpyl_seconds'] * 1e3:.3f} ms",
                f"{speed['ratio']:.1f} x faster",
            ]
        )
    return [*rows, *_planning_rows(figures)]


def _planning_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return the rows on whole plans and on what their lines share."""
    rows = []
    if planning := figures.get("planning"):
        what = f"plan of {planning['lines']:,} lines x {planning['paths']} paths x {planning['horizon']} periods"
        parts = (
            f"orders {planning['plan_seconds']:.1f} s, cost curves {planning['curve_seconds']:.1f} s, budget "
            f"{planning['budget_seconds']:.1f} s (gap {planning['gap']:.0e})"
        )
        ours = f"{planning['seconds']:.1f} s ({planning['processor_seconds']:.1f} s of processors)"
        ours += f", {planning['peak_mb']:,} MB"
        rows.append([f"{what}, lost sales: {parts}", ours, "-", "-"])
    for shared, speed in figures.get("sharing", {}).items():
        what = f"30,000 lines x 16 quantities that share {shared.replace('_', ' ')}"
        rows.append([what, f"{speed['seconds']:.1f} s, gap {speed['gap']:.0e}", "-", "-"])
    return rows


def _prediction_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return the rows on the trees' forecast beside the bare library."""
    rows = []
    if prediction := figures.get("prediction"):
        what = (
            f"forecast of {prediction['series']:,} series ({prediction['rows']:,} rows, {prediction['quantiles']} "
            "quantiles and mean), XGBoost family: panel to quantiles"
        )
        for threads, words in (("one_thread", "one thread, as served"), ("all_cores", "all cores")):
            bare = f"`inplace_predict` of the same matrix, {words}"
            rows.append(
                [
                    what,
                    f"{prediction['seconds'] * 1e3:.0f} ms",
                    f"{bare}: {prediction[f'bare_{threads}_seconds'] * 1e3:.0f} ms",
                    f"{prediction[f'ratio_to_{threads}']:.2f} x the time",
                ]
            )
    return rows


def _forecast_service_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return the rows on the forecast service."""
    rows = []
    if forecast := figures.get("forecast"):
        bare = f"{forecast['bare_p50_ms']:.2f} ms ({forecast['bare_p99_ms']:.2f} ms)"
        rows.append(
            [
                f"`/forecast`, {forecast['horizon']} periods, family {forecast['family']}: p50 (p99)",
                f"{forecast['forecast_p50_ms']:.2f} ms ({forecast['forecast_p99_ms']:.2f} ms)",
                f"bare BentoML endpoint, same bytes: {bare}",
                f"{forecast['ratio_p50']:.2f} x the time",
            ]
        )
        rows.append(["the forecast inside `/forecast`, p50", f"{forecast['in_process_p50_ms']:.2f} ms", "-", "-"])
    return rows


def _booking_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Return the row on a sale booked through the planning service."""
    rows = []
    if posting := figures.get("posting"):
        bare = f"{posting['bare_p50_ms']:.2f} ms ({posting['bare_p99_ms']:.2f} ms)"
        bare = f"bare FastAPI endpoint, the same rows by SQL: {bare}"
        rows.append(
            [
                "one sale booked through `/api/v1/movements` on SQLite: p50 (p99)",
                f"{posting['post_p50_ms']:.2f} ms ({posting['post_p99_ms']:.2f} ms)",
                bare,
                f"{posting['ratio_p50']:.2f} x the time",
            ]
        )
    return rows


def _growth_lines(growth: dict[str, Any] | None) -> list[str]:
    """Return how the cost of the XGBoost family grows with the number of series."""
    if growth is None:
        return []
    steps = ("features_seconds", "fit_seconds", "forecast_seconds", "seconds", "cpu_seconds")
    rows = [[f"{size['series']:,}", *(f"{size[step]:.1f} s" for step in steps)] for size in growth["sizes"]]
    return [
        "## Growth with the number of series",
        "",
        f"XGBoost family, {growth['periods']} periods, {growth['quantiles']} quantiles, {growth['horizon']} ahead.",
        f"Slope of log(seconds) over log(series): {growth['slope']:.2f}, where 1 is linear growth; that of the",
        f"processor's seconds: {growth['cpu_slope']:.2f}. Peak memory of the process {growth['peak_rss_mb']:,} MB.",
        "",
        *_table(["series", "features", "fit", "forecast", "in all", "processor"], rows),
    ]


def _posting_rows(database: str, posting: dict[str, Any]) -> list[list[str]]:
    """Return the rows on one database of the ledger."""
    return [
        [
            f"movements posted to {database}, {posting['batch']} a transaction",
            f"{posting['movements_per_second']:,} movements/s",
            f"raw executemany of the same rows: {posting['raw_movements_per_second']:,} movements/s",
            f"{posting['ratio']:.2f} x the movements per second",
        ],
        [
            f"one movement posted to {database}: p50 (p99)",
            f"{posting['single_p50_ms']:.2f} ms ({posting['single_p99_ms']:.2f} ms)",
            f"its raw rows: {posting['raw_single_p50_ms']:.2f} ms ({posting['raw_single_p99_ms']:.2f} ms)",
            f"{posting['single_p50_ms'] / posting['raw_single_p50_ms']:.2f} x the time",
        ],
    ]


def _result_lines(result: dict[str, Any]) -> list[str]:
    """Return one data set's back-test: the chosen family beside its baselines and the other families."""
    # What is nested, such as the parameters of every policy, stays in the JSON.
    plain = {name: value for name, value in result["setting"].items() if not isinstance(value, dict)}
    setting = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in plain.items())
    others = {name: score for name, score in result["families"].items() if name not in result["baselines"]}
    columns = result["baselines"] | others
    # Scores of policies carry lead time and penalty in their names and explain themselves.
    names = [name for name in _SCORES if name in result["score"]] or list(result["score"])
    rows = [
        [
            _SCORES.get(name, name.replace("_", " ")),
            *(f"{score[name]:.4f}" if name in score else "-" for score in columns.values()),
        ]
        for name in names
    ]
    figures = f"{result['rows']:,} rows in {result['seconds']:.0f} s, peak memory {result['peak_rss_mb']:,} MB"
    heading = [name.replace("_", " ") + (" (chosen)" if name == result["family"] else "") for name in columns]
    return [
        f"## Back-test: {result['benchmark']}, {result['family'].replace('_', ' ')}",
        "",
        f"`restock benchmark {result['benchmark']}`: {figures}, seed {result['seed']}; {setting}.",
        "",
        *_table(["", *heading], rows),
        *_segment_lines(result.get("segments", {}), result["family"]),
        *(f"Left out: {name}, because {why}\n" for name, why in result["skipped"].items()),
    ]


def _segment_lines(segments: dict[str, dict[str, Any]], family: str) -> list[str]:
    """Return pinball loss by segment beside seasonal naive; empty where a benchmark tells none."""
    heading = ["segment", "companies", "series", family, "seasonal naive", "change", "spread", "worst company"]
    rows = [
        [
            name,
            str(found["companies"]),
            str(found["series"]),
            f"{found['pinball']:.4f}",
            f"{found['seasonal_naive']:.4f}",
            f"{found['change']:+.1%}",
            f"{found['change_sd']:.1%}",
            f"{found['worst_company']:+.1%}",
            f"{found['upper_95']:+.1%}",
            f"{found['wpe']:+.1%}" if "wpe" in found else "-",
            f"{found['coverage_80']:.3f}" if "coverage_80" in found else "-",
        ]
        for name, found in segments.items()
    ]
    return _table([*heading, "at most, 95 %", "WPE", "in 80 % band"], rows) if rows else []


def _table(heading: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table and an empty line."""
    return [
        "| " + " | ".join(heading) + " |",
        "|" + " --- |" * len(heading),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]
