"""Parts of a number as a waterfall of unicode blocks, for a terminal: each begins where the one before it ended."""

from __future__ import annotations

from collections.abc import Sequence

_ADDED, _REMOVED = "█", "░"
_TOTAL = "total"


def terminal_waterfall(parts: Sequence[tuple[str, float]], *, width: int = 80) -> str:
    """Return one line a part and one for their sum: name, units with their sign, and a bar from sum to sum.

    Args:
        parts: name and units of each, in the order told, at least one; the first is where the sum begins.
        width: columns at most.

    Raises:
        ValueError: there are no parts, or `width` leaves no room for bars.
    """
    if not parts:
        raise ValueError("a waterfall needs at least one part")
    ends: list[float] = []
    for _, units in parts:
        ends.append((ends[-1] if ends else 0.0) + units)
    rows = [(name, units, end - units, end) for (name, units), end in zip(parts, ends, strict=True)]
    rows.append((_TOTAL, ends[-1], 0.0, ends[-1]))
    labels = [
        f"{units:,.1f}" if place in (0, len(rows) - 1) else f"{units:+,.1f}"
        for place, (_, units, *_) in enumerate(rows)
    ]
    names, figures = max(len(row[0]) for row in rows), max(len(label) for label in labels)
    room = width - names - figures - 4
    if room < 1:
        raise ValueError(f"width must be >= {width - room + 1} for these names and figures, got {width}")
    low, high = min(0.0, *ends), max(0.0, *ends)
    per_column = (high - low) / room or 1.0

    def bar(begin: float, end: float) -> str:
        first, last = (round((min(begin, end) - low) / per_column), round((max(begin, end) - low) / per_column))
        return " " * first + (_ADDED if end >= begin else _REMOVED) * (last - first)

    return "\n".join(
        f"{name:<{names}}  {label:>{figures}}  {bar(begin, end)}".rstrip()
        for (name, _, begin, end), label in zip(rows, labels, strict=True)
    )
