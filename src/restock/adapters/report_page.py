"""The evaluation report: one HTML page with the comparison and the pictures inside it, readable without a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import polars as pl

from restock.forecasting.metrics import summarise_windows

RELATIVE_METRICS = ("pinball", "wape", "rmsse")
_SHARE_METRICS = ("wape", "bias")
_KEYS = ("family", "cutoff", "segment")

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2027; --quiet: #5d6470; --paper: #fbfbfc; --card: #ffffff; --line: #e1e4e9;
  --good: #0f7a4f; --bad: #b3261e; --mark: #eef6f1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ed; --quiet: #a2a9b5; --paper: #14171c; --card: #1d2128;
  --line: #333943; --good: #5cc89a; --bad: #ff8a80; --mark: #1b2f27; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p { margin: .25rem 0 1rem; color: var(--quiet); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } tr:last-child td { border-bottom: 0; }
th { color: var(--quiet); font-weight: 600; } tr.best td { background: var(--mark); font-weight: 600; }
small { margin-left: .4rem; } .good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 1.5rem 0 0; } figcaption { color: var(--quiet); margin-top: .5rem; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.picture { background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: .75rem; }
"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG file and one sentence about it."""

    path: Path
    caption: str


@dataclass(frozen=True, kw_only=True)
class SumScores:
    """How sums of demand fared: rows of `judge_paths` and of `judge_reconciliation`."""

    paths: pl.DataFrame
    reconciliation: pl.DataFrame


def render_report_page(
    scores: pl.DataFrame, pictures: Sequence[Picture], *, baseline: str, sums: SumScores | None = None
) -> str:
    """Return the report as HTML; style and pictures are inside, so it can be mailed and opened anywhere.

    Args:
        scores: one row a (family, cutoff, segment) with a column per metric; cutoff null means all windows, segment
            "all" means every series.
        pictures: PNG files, in order.
        baseline: the family that the others are compared with.
        sums: how sums over periods and series fared; None: no part about them.
    """
    overall = scores.filter(pl.col("cutoff").is_null())
    n_windows = scores["cutoff"].drop_nulls().n_unique()
    figures = "\n".join(_render_picture(picture) for picture in pictures)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demand forecasting: back-test</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Demand forecasting: back-test</h1>
<p>{n_windows} rolling-origin windows. Small figures: change against {escape(baseline)}; there, lower is better.</p>
<h2>Families</h2>
{_render_comparison(overall.filter(pl.col("segment") == "all"), baseline=baseline)}
<h2>From window to window</h2>
<p>Mean over the windows, each counting alike, and in small print the standard deviation between them.</p>
{_render_windows(summarise_windows(scores))}
<h2>Pinball loss by segment</h2>
<p>Class by revenue (A the most) and kind of demand.</p>
{_render_segments(overall.filter(pl.col("segment") != "all"), baseline=baseline)}
{_render_sums(sums)}<h2>Pictures</h2>
{figures}
</body>
</html>
"""


def _render_comparison(overall: pl.DataFrame, *, baseline: str) -> str:
    """Return one row a family, best first, one column a metric."""
    metrics = [name for name, dtype in overall.schema.items() if name not in _KEYS and dtype.is_float()]
    naive = overall.filter(pl.col("family") == baseline)
    rows = []
    for place, row in enumerate(overall.sort("pinball", "family").iter_rows(named=True)):
        cells = [
            _written(metric, row[metric])
            + (_change(row[metric], naive[metric][0]) if metric in RELATIVE_METRICS and naive.height else "")
            for metric in metrics
        ]
        rows.append((row["family"], cells, place == 0))
    return _table(["family", *metrics], rows)


def _render_windows(windows: pl.DataFrame) -> str:
    """Return one row a family, best first: mean and spread of each metric."""
    metrics = [name for name in windows.columns if f"{name}_sd" in windows.columns]
    rows = []
    for place, row in enumerate(windows.sort("pinball", "family").iter_rows(named=True)):
        cells = [
            _written(metric, row[metric])
            + (f"<small>± {_written(metric, row[f'{metric}_sd']).lstrip('+')}</small>" if row[f"{metric}_sd"] else "")
            for metric in metrics
        ]
        rows.append((row["family"], cells, place == 0))
    return _table(["family", *metrics], rows)


def _render_segments(overall: pl.DataFrame, *, baseline: str) -> str:
    """Return one row a segment, one column a family."""
    families = overall["family"].unique().sort().to_list()
    families.sort(key=lambda family: family != baseline)
    rows = []
    for (segment,), part in overall.sort("segment").group_by("segment", maintain_order=True):
        values = dict(zip(part["family"], part["pinball"], strict=True))
        cells = [
            _written("pinball", values.get(family))
            + (_change(values.get(family), values.get(baseline)) if family != baseline else "")
            for family in families
        ]
        rows.append((str(segment), cells, False))
    return _table(["segment", *families], rows)


def _render_sums(sums: SumScores | None) -> str:
    """Return the parts about sums; nothing where they were not judged, as where there is one window."""
    if sums is None or sums.paths.is_empty() or sums.reconciliation.is_empty():
        return ""
    return f"""<h2>Sums over sample paths</h2>
<p>How often the sum of demand over periods (level series), and over series too, lay within the central 80 % and not
above the upper quantiles of its paths, and what that scores. Small print: paths drawn as if all demands were
independent. The oldest window is left out: no dependence was known before it.</p>
{_render_paths(sums.paths)}
<h2>Totals: WAPE of the mean by level</h2>
<p>Forecast on their own, added up from the series, and reconciled; the oldest window is left out.</p>
{_render_levels(sums.reconciliation)}
"""


def _render_paths(path_scores: pl.DataFrame) -> str:
    """Return one row a kind of sum: with the estimated dependence, in small print without any."""
    names = [name for name in path_scores.columns if name not in ("drawn_with", "level", "periods", "n_scored")]
    keys = ["level", "periods"]
    both = path_scores.filter(pl.col("drawn_with") == "dependence").join(
        path_scores.filter(pl.col("drawn_with") == "independence"), on=keys, suffix="_alone"
    )
    rows = [
        (
            f"{row['level']}, {row['periods']} periods",
            [
                str(row["n_scored"]),
                *(f"{_shown(name, row[name])}<small>{_shown(name, row[f'{name}_alone'])}</small>" for name in names),
            ],
            False,
        )
        for row in both.sort(pl.col("level") != "series", *keys).iter_rows(named=True)
    ]
    return _table(["sum of", "n_scored", *names], rows)


def _render_levels(reconciled: pl.DataFrame) -> str:
    """Return one row a method, one column a level."""
    levels = reconciled["level"].unique(maintain_order=True).to_list()
    rows = []
    for (method,), part in reconciled.group_by("method", maintain_order=True):
        wape = dict(zip(part["level"], part["wape"], strict=True))
        rows.append((str(method), [_written("wape", wape[level]) for level in levels], False))
    return _table(["method", *levels], rows)


def _shown(name: str, value: float | None) -> str:
    return "" if value is None else _written("coverage" if name.startswith("upper") else name, value)


def _table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[str], bool]]) -> str:
    """Return a table; a row is its label, its ready-made cells and whether it is the best."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(
        f"{'<tr class=best>' if is_best else '<tr>'}<td>{escape(label)}</td>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for label, cells, is_best in rows
    )
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _written(metric: str, value: float | None) -> str:
    """Return a metric as text: shares as per cent, others with three decimals."""
    if value is None:
        return "n/a"
    if metric in _SHARE_METRICS or metric.startswith("coverage"):
        return f"{value:+.1%}" if metric == "bias" else f"{value:.1%}"
    return f"{value:.3f}"


def _change(value: float | None, baseline: float | None) -> str:
    """Return the change against the baseline as a small coloured figure; nothing where it is none."""
    if value is None or not baseline or value == baseline:
        return ""
    change = value / baseline - 1
    return f"<small class={'good' if change < 0 else 'bad'}>{change:+.0%}</small>"


def _render_picture(picture: Picture) -> str:
    """Return a picture with its caption, its bytes inside the page."""
    content = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure><div class="picture"><img alt="{caption}" src="data:image/png;base64,{content}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
