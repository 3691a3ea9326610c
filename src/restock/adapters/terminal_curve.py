"""A curve through points as text, for a terminal: what a quantity costs, what more service costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_POINT, _MARK, _LINE = "●", "◆", "·"


def terminal_curve(
    points: Sequence[tuple[float, float]],
    *,
    marked: tuple[float, float] | None = None,
    title: str = "",
    x_label: str = "",
    width: int = 80,
    height: int = 12,
    x_format: str = ",.4g",
    y_format: str = ",.4g",
) -> str:
    """Return points joined by straight lines, one of them or another marked, with the ends of both axes.

    Args:
        points: x and y, at least one, finite; in any order.
        marked: shown as a diamond, on the curve or off it.
        title: the first line, where given.
        x_label: beneath the axis.
        width: columns at most.
        height: rows of the plot.
        x_format: of the figures beneath.
        y_format: of the figures beside.

    Raises:
        ValueError: there are no points, or `width` leaves no room for them.
    """
    if not points:
        raise ValueError("a curve needs at least one point")
    shown = sorted(points)
    every = np.array([*shown, *([] if marked is None else [marked])], dtype=np.float64)
    (left, low), (right, high) = every.min(axis=0), every.max(axis=0)
    labels = [format(high, y_format), format((high + low) / 2, y_format), format(low, y_format)]
    margin = max(len(label) for label in labels)
    columns = width - margin - 2
    if columns < 2:
        raise ValueError(f"width must be >= {width - columns + 2} for these figures, got {width}")

    def place(x: float, y: float) -> tuple[int, int]:
        across = (x - left) / (right - left) if right > left else 0.0
        up = (y - low) / (high - low) if high > low else 0.0
        return height - 1 - round(up * (height - 1)), round(across * (columns - 1))

    cells = [[" "] * columns for _ in range(height)]
    xs, ys = np.array(shown).T
    for column in range(columns):
        x = left + (right - left) * column / max(columns - 1, 1)
        if xs[0] <= x <= xs[-1] and right > left:
            cells[place(x, float(np.interp(x, xs, ys)))[0]][column] = _LINE
    for x, y in shown:
        row, column = place(x, y)
        cells[row][column] = _POINT
    if marked is not None:
        row, column = place(*marked)
        cells[row][column] = _MARK
    lines = [title] if title else []
    beside = {0: labels[0], height // 2: labels[1], height - 1: labels[2]}
    lines += [f"{beside.get(row, ''):>{margin}} ┤{''.join(text)}".rstrip() for row, text in enumerate(cells)]
    lines.append(f"{'':>{margin}} └{'─' * columns}")
    begin, end = format(left, x_format), format(right, x_format)
    middle = x_label.center(max(columns - len(begin) - len(end), len(x_label)))
    lines.append(f"{'':>{margin}}  {begin}{middle}{end}")
    return "\n".join(lines)
