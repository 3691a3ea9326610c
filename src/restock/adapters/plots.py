"""Pictures of an evaluation: what they show as small frames, and the frames as PNG.

The frames are written as CSV beside the pictures, so that a number in a picture can be read and compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from restock.adapters.report_page import Picture, SumScores, render_report_page
from restock.adapters.storage import write_text
from restock.adapters.terminal_chart import terminal_chart
from restock.forecasting.panel import DemandPanel

__all__ = ["PICTURES", "REPORT_FILE", "terminal_chart", "write_evaluation_plots"]

BASELINE = "seasonal_naive"
FANS, CALIBRATION = "forecast_fans", "calibration"
RESIDUALS, CUTOFFS = "residuals_by_horizon", "pinball_by_cutoff"
PICTURES = (FANS, CALIBRATION, RESIDUALS, CUTOFFS)
REPORT_FILE = "report.html"

_FAMILY_COLOURS = {
    BASELINE: "#8a8f98",
    "statistical": "#c29a1c",
    "random_forest": "#1b9e77",
    "xgboost": "#d95f02",
    "neural": "#6a51a3",
    "ensemble": "#22262e",
}
_OTHER_COLOURS = ("#1f78b4", "#b15928", "#e7298a", "#66a61e")
_INK, _QUIET, _GRID = "#22262e", "#6b7280", "#e6e8ec"
_FAN_COLOUR = "#1f5fa8"
# Lower level of each band and its colour, widest first.
_FAN_BANDS = {0.025: "#dbe8f6", 0.1: "#b3cfea", 0.25: "#84b0dc"}
_N_FANS = 6
# Wide enough that a month's season shows, narrow enough that the forecast does too.
_FAN_HISTORY_HORIZONS = 2
_DOTS_PER_INCH = 110


def write_evaluation_plots(
    backtests: pl.DataFrame,
    scores: pl.DataFrame,
    *,
    panel: DemandPanel,
    folder: Path,
    sums: SumScores | None = None,
) -> tuple[Path, ...]:
    """Write pictures (PNG), what they show (series/*.csv) and report.html into `folder`; return their paths.

    Every file stands alone: nothing is loaded from a network when it is looked at.

    Args:
        backtests: one row a (family, sku, location, cutoff, horizon): date, demand (null where unknown), is_censored,
            mean_units and a column `q<level>` per quantile.
        scores: one row a (family, cutoff, segment) with a column per metric; cutoff null means all windows, segment
            "all" means every series.
        panel: the history that the fans begin with.
        folder: made where missing.
        sums: how sums over periods and series fared, for the report; None: they were not judged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        CALIBRATION: calibration_data(backtests),
        RESIDUALS: residual_data(backtests),
        CUTOFFS: cutoff_data(scores),
    }
    best = _best_family(scores)
    draw_forecast_fans(backtests, panel=panel, family=best, path=folder / f"{FANS}.png")
    draw_calibration(frames[CALIBRATION], path=folder / f"{CALIBRATION}.png")
    draw_residuals(frames[RESIDUALS], path=folder / f"{RESIDUALS}.png")
    draw_cutoffs(frames[CUTOFFS], path=folder / f"{CUTOFFS}.png")
    paths = [folder / f"{name}.png" for name in PICTURES]
    for name, frame in frames.items():
        path = folder / "series" / f"{name}.csv"
        write_text(path, frame.write_csv(float_precision=6))
        paths.append(path)
    captions = {
        FANS: f"Forecasts of {best} at the newest cutoff: median and bands meant to hold 50, 80 and 95 % of demand.",
        CALIBRATION: "Share of demand inside each central interval; on the dotted line the intervals are right.",
        RESIDUALS: "How far and to which side the mean forecast is off, by periods after the cutoff.",
        CUTOFFS: "Pinball loss of every back-test window beside the seasonal naive; lower is better.",
    }
    pictures = [Picture(path=folder / f"{name}.png", caption=captions[name]) for name in PICTURES]
    report = folder / REPORT_FILE
    write_text(report, render_report_page(scores, pictures, baseline=BASELINE, sums=sums))
    return (*paths, report)


def quantile_columns(backtests: pl.DataFrame) -> dict[float, str]:
    """Return the quantile columns of a back-test by level, increasing.

    Example:
        >>> quantile_columns(pl.DataFrame({"q0.9": [2.0], "demand": [1.0], "q0.1": [0.0]}))
        {0.1: 'q0.1', 0.9: 'q0.9'}
    """
    columns = {float(name[1:]): name for name in backtests.columns if name.startswith("q") and name[1:2].isdigit()}
    return dict(sorted(columns.items()))


def calibration_data(backtests: pl.DataFrame) -> pl.DataFrame:
    """Return family, nominal and observed coverage (shares) of every central interval; known, uncensored demand only.

    With whole-numbered demand the observed share lies above the nominal one where many values are equal to a bound.
    """
    columns = quantile_columns(backtests)
    levels = [low for low in columns if low < 0.5 and round(1 - low, 6) in columns]
    inside = [
        pl.col("demand")
        .is_between(pl.col(columns[low]), pl.col(columns[round(1 - low, 6)]))
        .mean()
        .alias(f"{round(1 - 2 * low, 6)}")
        for low in levels
    ]
    wide = _scored(backtests).group_by("family").agg(inside)
    return (
        wide.unpivot(index="family", variable_name="nominal", value_name="observed")
        .with_columns(pl.col("nominal").cast(pl.Float64))
        .sort("family", "nominal")
    )


def residual_data(backtests: pl.DataFrame) -> pl.DataFrame:
    """Return family, horizon, bias_units (mean forecast less demand) and mean_absolute_error_units."""
    residual = pl.col("mean_units") - pl.col("demand")
    return (
        _scored(backtests)
        .group_by("family", "horizon")
        .agg(bias_units=residual.mean(), mean_absolute_error_units=residual.abs().mean())
        .sort("family", "horizon")
    )


def cutoff_data(scores: pl.DataFrame) -> pl.DataFrame:
    """Return cutoff, family and pinball of every window over all series."""
    return (
        scores.filter(pl.col("cutoff").is_not_null(), pl.col("segment") == "all")
        .select("cutoff", "family", "pinball")
        .sort("cutoff", "family")
    )


def draw_forecast_fans(backtests: pl.DataFrame, *, panel: DemandPanel, family: str, path: Path) -> None:
    """Draw history, quantile bands and what was sold then, for a handful of series from small to large."""
    cutoff = backtests["cutoff"].unique().sort()[-1]
    newest = backtests.filter(pl.col("family") == family, pl.col("cutoff") == cutoff)
    columns = quantile_columns(newest)
    bands = {low: colour for low, colour in _FAN_BANDS.items() if low in columns and round(1 - low, 6) in columns}
    chosen = _spread_by_volume(newest, _N_FANS)
    row_of = {key: row for row, key in enumerate(panel.series.select("sku", "location").iter_rows())}
    with _figure(path, rows=(len(chosen) + 1) // 2, columns=2, height=2.7) as (figure, axes):
        for axis, (sku, location) in zip(axes, chosen, strict=False):
            window = newest.filter(pl.col("sku") == sku, pl.col("location") == location).sort("date")
            _draw_history(axis, panel, row_of[sku, location], window=window)
            dates = window["date"].to_numpy()
            for low, colour in bands.items():
                axis.fill_between(
                    dates,
                    window[columns[low]].to_numpy(),
                    window[columns[round(1 - low, 6)]].to_numpy(),
                    color=colour,
                    linewidth=0,
                    label=f"{100 * (1 - 2 * low):g} % band",
                )
            if 0.5 in columns:
                axis.plot(dates, window[columns[0.5]].to_numpy(), color=_FAN_COLOUR, linewidth=1.8, label="median")
            for is_censored, filling in ((False, _INK), (True, "white")):
                sold = window.filter(pl.col("is_censored") == is_censored)
                axis.scatter(
                    sold["date"].to_numpy(),
                    sold["demand"].to_numpy(),
                    s=13,
                    facecolor=filling,
                    edgecolor=_INK,
                    linewidth=0.8,
                    zorder=4,
                    clip_on=False,
                    label="sold, out of stock" if is_censored else "sold",
                )
            axis.set_title(f"{sku} at {location}", fontsize=10)
            axis.set_ylim(bottom=0)
            axis.xaxis.set_major_locator(_date_locator())
            axis.xaxis.set_major_formatter(_date_formatter(axis))
        for axis in axes[len(chosen) :]:
            axis.set_visible(False)
        axes[0].set_ylabel("units per period")
        _legend_above(figure, axes[0], title=f"Forecasts of {family}, cutoff {cutoff}", n_columns=7)


def draw_calibration(calibration: pl.DataFrame, *, path: Path) -> None:
    """Draw observed against nominal coverage per family."""
    with _figure(path, rows=1, columns=1, height=4.8, width=5.6) as (figure, axes):
        axis = axes[0]
        axis.plot([0, 1], [0, 1], linestyle=(0, (1, 2)), color=_INK, linewidth=1.2, label="as promised")
        for family in _ordered_families(calibration):
            part = calibration.filter(pl.col("family") == family)
            axis.plot(
                part["nominal"].to_numpy(),
                part["observed"].to_numpy(),
                marker="o",
                markersize=3.5,
                label=family,
                **_line_style(family),
            )
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="nominal coverage", ylabel="observed coverage")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(_percent_formatter())
        _legend_above(figure, axis, title="Calibration of central intervals", n_columns=3)


def draw_residuals(residuals: pl.DataFrame, *, path: Path) -> None:
    """Draw bias and mean absolute error by horizon per family."""
    with _figure(path, rows=1, columns=2, height=3.6) as (figure, axes):
        axes[0].axhline(0, color=_INK, linewidth=0.9)
        for column, axis in zip(("bias_units", "mean_absolute_error_units"), axes, strict=True):
            for family in _ordered_families(residuals):
                part = residuals.filter(pl.col("family") == family)
                axis.plot(part["horizon"].to_numpy(), part[column].to_numpy(), label=family, **_line_style(family))
            axis.set_xlabel("periods after the cutoff")
            axis.xaxis.get_major_locator().set_params(integer=True)
        axes[0].set_ylabel("bias, units (above 0: too high)")
        axes[1].set_ylabel("mean absolute error, units")
        axes[1].set_ylim(bottom=0)
        _legend_above(figure, axes[0], title="Residuals by horizon")


def draw_cutoffs(by_cutoff: pl.DataFrame, *, path: Path) -> None:
    """Draw the pinball loss of every window as bars, the seasonal naive first."""
    families = _ordered_families(by_cutoff)
    cutoffs = by_cutoff["cutoff"].unique().sort().to_list()
    width = 0.8 / len(families)
    with _figure(path, rows=1, columns=1, height=3.6) as (figure, axes):
        axis = axes[0]
        for place, family in enumerate(families):
            part = by_cutoff.filter(pl.col("family") == family)
            at = (
                np.array([cutoffs.index(cutoff) for cutoff in part["cutoff"]])
                + (place - (len(families) - 1) / 2) * width
            )
            bars = axis.bar(at, part["pinball"].to_numpy(), width=width * 0.92, color=_colour_of(family), label=family)
            axis.bar_label(bars, fmt="%.3g", fontsize=7.5, color=_QUIET, padding=2)
        axis.set_xticks(range(len(cutoffs)), [str(cutoff) for cutoff in cutoffs])
        axis.set(xlabel="cutoff", ylabel="pinball loss, units per period")
        axis.grid(visible=False, axis="x")
        axis.margins(y=0.12)
        _legend_above(figure, axis, title="Pinball loss by cutoff")


def _scored(backtests: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose demand is known: not null and not cut off by a stockout."""
    return backtests.filter(pl.col("demand").is_not_null(), ~pl.col("is_censored"))


def _best_family(scores: pl.DataFrame) -> str:
    """Return the family with the lowest pinball loss over all windows and series."""
    overall = scores.filter(pl.col("cutoff").is_null(), pl.col("segment") == "all")
    return str(overall.sort("pinball", "family")["family"][0])


def _spread_by_volume(backtests: pl.DataFrame, n_series: int) -> list[tuple[str, str]]:
    """Return up to `n_series` series that sold something, spread evenly from the largest down.

    The idlest tenth is left out where there are enough: it has little to show.
    """
    totals = (
        backtests.group_by("sku", "location")
        .agg(total=pl.col("demand").sum())
        .sort(pl.col("total"), "sku", "location", descending=[True, False, False])
    )
    selling = totals.filter(pl.col("total") > 0)
    selling = totals if selling.is_empty() else selling
    smallest = max(int(0.9 * selling.height), min(n_series, selling.height)) - 1
    places = np.unique(np.linspace(0, smallest, min(n_series, selling.height)).round().astype(int))
    return [(str(selling["sku"][place]), str(selling["location"][place])) for place in places.tolist()]


def _draw_history(axis: Any, panel: DemandPanel, row: int, *, window: pl.DataFrame) -> None:
    """Draw what was sold up to the cutoff."""
    cutoff = panel.index_of(window["cutoff"][0])
    first = max(0, cutoff + 1 - _FAN_HISTORY_HORIZONS * window.height)
    dates = np.datetime64(panel.start, "D") + np.arange(first, cutoff + 1) * panel.frequency.days
    axis.plot(dates, panel.sales_units[row, first : cutoff + 1], color=_QUIET, linewidth=1.1, label="history")
    axis.set_xlim(dates[0], window["date"].to_numpy()[-1] + np.timedelta64(panel.frequency.days, "D"))
    axis.axvline(dates[-1], color=_QUIET, linewidth=0.8, linestyle=(0, (2, 2)))


def _ordered_families(frame: pl.DataFrame) -> list[str]:
    """Return the families in a fixed order: the baseline, those with a colour, then others by name."""
    known = list(_FAMILY_COLOURS)
    return sorted(
        frame["family"].unique().to_list(),
        key=lambda family: (known.index(family) if family in known else len(known), family),
    )


def _colour_of(family: str) -> str:
    if family in _FAMILY_COLOURS:
        return _FAMILY_COLOURS[family]
    return _OTHER_COLOURS[sum(family.encode()) % len(_OTHER_COLOURS)]


def _line_style(family: str) -> dict[str, Any]:
    """Return how a family's line is drawn: the baseline dashed, so that colour is not all that tells it apart."""
    return {"color": _colour_of(family), "linewidth": 1.8, "linestyle": (0, (4, 2)) if family == BASELINE else "-"}


@contextmanager
def _figure(
    path: Path, *, rows: int, columns: int, height: float, width: float = 9.6
) -> Iterator[tuple[Any, list[Any]]]:
    """Yield a figure and its axes in reading order, and write it as PNG at the end; `height` is inches per row."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "axes.edgecolor": _QUIET,
        "axes.grid": True,
        "axes.labelcolor": _QUIET,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": _INK,
        "axes.axisbelow": True,
        "font.size": 9,
        "grid.color": _GRID,
        "xtick.color": _QUIET,
        "ytick.color": _QUIET,
        "legend.frameon": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height * rows + 0.7), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        yield figure, list(axes.flat)
        path.parent.mkdir(parents=True, exist_ok=True)
        # No software version or date inside, so that the same data give the same bytes.
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Software": None})


def _legend_above(figure: Any, axis: Any, *, title: str, n_columns: int = 6) -> None:
    """Put the title, and under it the legend of `axis`, above all axes."""
    handles, labels = axis.get_legend_handles_labels()
    legend = figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=n_columns,
        title=title,
        title_fontproperties={"size": 12, "weight": "bold"},
        alignment="left",
        fontsize=9,
        labelcolor=_INK,
        borderpad=0.2,
        columnspacing=1.6,
    )
    legend.get_title().set_color(_INK)


def _date_locator() -> Any:
    from matplotlib.dates import AutoDateLocator

    return AutoDateLocator(minticks=3, maxticks=6)


def _date_formatter(axis: Any) -> Any:
    from matplotlib.dates import ConciseDateFormatter

    return ConciseDateFormatter(axis.xaxis.get_major_locator())


def _percent_formatter() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0)
