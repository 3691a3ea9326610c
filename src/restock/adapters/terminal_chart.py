"""A forecast after its history as a chart of unicode blocks, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BARS = " ▁▂▃▄▅▆▇█"
_BAND, _MEDIAN = "░", "━"


def terminal_chart(
    history: Sequence[float | None],
    quantile_rows: Sequence[Sequence[float]],
    *,
    title: str = "",
    width: int = 80,
    height: int = 12,
) -> str:
    """Return a chart of unicode blocks: sales as bars, then the forecast's median in its band; one column a period.

    Args:
        history: units sold per period, oldest first, None where unknown; the newest that fit into `width` are drawn.
        quantile_rows: per forecast period its quantiles in rising order, >= 1 of them, units; the outermost make the
            band, the middle one the median.
        title: the first line, where given.
        width: columns at most, axis included.
        height: rows of the plot.

    Raises:
        ValueError: the forecast alone is wider than `width`, or a period has no quantiles.
    """
    if any(len(row) == 0 for row in quantile_rows):
        raise ValueError("every forecast period needs >= 1 quantile, got an empty row")
    bands = [(row[0], row[len(row) // 2], row[-1]) for row in quantile_rows]
    top = max([1.0, *(value for value in history if value is not None), *(high for _, _, high in bands)])
    labels = [f"{top:.4g}", f"{top / 2:.4g}", "0"]
    margin = max(len(label) for label in labels)
    room = width - margin - 2 - len(bands) - 1
    if room < 0:
        raise ValueError(f"width must be >= {width - room} for {len(bands)} forecast periods, got {width}")
    past = [value or 0.0 for value in history][-room:] if room else []

    lines = [title] if title else []
    for row in range(height, 0, -1):
        floor, step = (row - 1) * top / height, top / height
        bars = "".join(_BARS[int(np.clip(round((value - floor) / step * 8), 0, 8))] for value in past)
        fan = "".join(
            _fan_cell(low, median, high, floor=floor, step=step, is_top=row == height) for low, median, high in bands
        )
        label = labels[0] if row == height else labels[1] if row == height // 2 else ""
        lines.append(f"{label:>{margin}} ┤{bars}│{fan}".rstrip())
    lines.append(f"{labels[2]:>{margin}} └{'─' * len(past)}┴{'─' * len(bands)}")
    ahead = "forecast →"
    if len(bands) >= len(ahead):
        lines.append(f"{'sold ':>{margin + 2 + len(past)}} {ahead}")
    return "\n".join(lines)


def _fan_cell(low: float, median: float, high: float, *, floor: float, step: float, is_top: bool) -> str:
    """Return what one cell of the forecast shows: the median before the band before nothing."""
    ceiling = np.inf if is_top else floor + step
    if floor <= median < ceiling:
        return _MEDIAN
    return _BAND if low < floor + step / 2 <= high else " "
