"""When in the day demand comes: profiles over the selling hours, and the share of it that the hours in stock hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.latent_demand import Floats

# Units that a group must have sold for its own profile to count as much as that of all.
PRIOR_UNITS = 100.0


def fit_intraday_profiles(
    hourly_units: Floats, *, group: NDArray[np.intp], n_groups: int, prior_units: float = PRIOR_UNITS
) -> Floats:
    """Return the share of demand that each hour holds, a group at a time, drawn towards that of all.

    Args:
        hourly_units: shape (n_days, n_hours), sales of days that were in stock throughout, units.
        group: shape (n_days,), 0 to n_groups - 1: whose days they are.
        n_groups: how many groups; one without a day has the profile of all.
        prior_units: what the profile of all is worth, units.

    Returns:
        shape (n_groups, n_hours); rows add up to 1. Even where nothing was sold at all.

    Example:
        >>> fit_intraday_profiles(np.array([[3.0, 1.0], [0.0, 4.0]]), group=np.array([0, 0]), n_groups=2).tolist()
        [[0.375, 0.625], [0.375, 0.625]]
    """
    n_hours = hourly_units.shape[1]
    totals = np.stack([np.bincount(group, hour, n_groups) for hour in hourly_units.T], axis=1)
    everywhere = totals.sum(axis=0)
    overall = everywhere / everywhere.sum() if everywhere.sum() > 0 else np.full(n_hours, 1 / n_hours)
    profiles: Floats = (totals + prior_units * overall) / (totals.sum(axis=1, keepdims=True) + prior_units)
    return profiles


def in_stock_demand_share(is_in_stock: NDArray[np.bool_], profiles: Floats, *, group: NDArray[np.intp]) -> Floats:
    """Return the share of a day's usual demand that falls into its hours in stock, 0-1; exactly 1 where all are.

    Args:
        is_in_stock: shape (n_days, n_hours).
        profiles: shape (n_groups, n_hours), rows add up to 1.
        group: shape (n_days,): whose day it is.

    Example:
        >>> hours = np.array([[True, False, True]])
        >>> in_stock_demand_share(hours, np.array([[0.5, 0.3, 0.2]]), group=np.array([0])).round(3).tolist()
        [0.7]
    """
    missing = np.zeros(len(is_in_stock))
    for hour in range(is_in_stock.shape[1]):
        missing += np.where(is_in_stock[:, hour], 0.0, profiles[group, hour])
    share: Floats = np.clip(1 - missing, 0, 1)
    return share
