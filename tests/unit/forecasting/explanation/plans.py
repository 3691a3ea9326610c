"""Panels whose history is flat and whose plan is written cell by cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np


def flattened(panel, *, units):
    """Return the panel with so many units sold a period at 2.00, in stock, without promotions and holidays."""
    flat = np.zeros_like(panel.sales_units)
    sales = flat + units
    sales[:, panel.observed_periods :] = np.nan
    return replace(
        panel, sales_units=sales, stockout_share=flat, unit_price=flat + 2, is_promoted=flat, is_holiday=flat
    )


def written(panel, **cells):
    """Return the panel with cells of its first series written over: name={period: value}."""
    grids = {}
    for name, values in cells.items():
        grids[name] = getattr(panel, name).copy()
        for period, value in values.items():
            grids[name][0, period] = value
    return replace(panel, **grids)
