"""Classical policies to compare with: min/max from averages, and base stock with normal safety stock.

Each reads history's averages and makes an `OrderUpTo`, so that it runs where any policy does. They are what most
planning software does: Silver, Pyke and Thomas (2017), Inventory and Production Management in Supply Chains, chapter 6.
"""

from __future__ import annotations

import numpy as np

from restock.replenishment.loss_functions import normal_quantile
from restock.replenishment.simulate import Floats, OrderUpTo


def min_max_from_averages(
    demand_mean: Floats,
    *,
    lead_time_periods: Floats,
    review_periods: Floats,
    safety_periods: Floats | float,
    cover_periods: Floats | float,
) -> OrderUpTo:
    """Return min/max levels in days of average demand, as spreadsheets have them.

    Min is what is sold on average over lead time, review and some safety periods, max as much more as an order is to
    cover. Neither the spread of demand nor that of lead times counts.

    Args:
        demand_mean: shape (n_series,), units per period.
        lead_time_periods: shape (n_series,), average.
        review_periods: shape (n_series,), between two reviews.
        safety_periods: periods of average demand held beyond.
        cover_periods: periods of average demand that an order is to cover; at least what one review is.

    Example:
        >>> found = min_max_from_averages(
        ...     np.array([5.0]), lead_time_periods=np.array([6.0]), review_periods=np.array([1.0]), safety_periods=3,
        ...     cover_periods=7,
        ... )
        >>> found.reorder_point.tolist(), found.order_up_to_level.tolist()
        ([50.0], [85.0])
    """
    lowest = np.ceil(demand_mean * (lead_time_periods + review_periods + safety_periods))
    # An order is one unit at least, or there is no level above the reorder point.
    more = np.maximum(np.ceil(demand_mean * np.maximum(cover_periods, review_periods)), 1)
    return OrderUpTo(reorder_point=lowest, order_up_to_level=lowest + more)


def base_stock_with_normal_safety(
    demand_mean: Floats,
    demand_deviation: Floats,
    *,
    lead_time_periods: Floats,
    lead_time_deviation: Floats,
    review_periods: Floats,
    cycle_service_level: float,
) -> OrderUpTo:
    """Return the base stock with z standard deviations of protection demand as safety stock, taken as normal.

    Args:
        demand_mean: shape (n_series,), units per period.
        demand_deviation: shape (n_series,), units per period.
        lead_time_periods: shape (n_series,), average.
        lead_time_deviation: shape (n_series,), periods.
        review_periods: shape (n_series,).
        cycle_service_level: probability that a cycle sees no stockout; the newsvendor's is shortage cost / (holding
            cost x review periods + shortage cost).

    Source: `protection_demand`, over lines.

    Example:
        >>> one = np.array([1.0])
        >>> base_stock_with_normal_safety(
        ...     100 * one, 30 * one, lead_time_periods=4 * one, lead_time_deviation=1.5 * one, review_periods=0 * one,
        ...     cycle_service_level=0.95,
        ... ).order_up_to_level.tolist()  # 400 + 1.645 x 161.55
        [666.0]
    """
    periods = lead_time_periods + review_periods
    deviation = np.sqrt(periods * demand_deviation**2 + (demand_mean * lead_time_deviation) ** 2)
    level = np.maximum(np.ceil(demand_mean * periods + normal_quantile(cycle_service_level) * deviation), 0)
    return OrderUpTo(reorder_point=level - 1, order_up_to_level=level)
