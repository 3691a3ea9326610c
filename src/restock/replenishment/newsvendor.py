"""The newsvendor: how much to have for one period of uncertain demand, and the base stock that follows from it.

Costs are per unit left over (`holding_cost`) and per unit short (`shortage_cost`) at the end of the period. Holding
more lowers the one and raises the other; at the optimum the chance of being short is holding / (holding + shortage).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]  # scipy ships no types

from restock.replenishment.loss_functions import discrete_losses, normal_losses, normal_quantile, poisson_losses

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class BaseStock:
    """A level to order up to and what it is expected to cost.

    Attributes:
        order_up_to_level: units.
        expected_cost: holding and shortage, currency per period.
    """

    order_up_to_level: float
    expected_cost: float


def critical_ratio(*, holding_cost: float, shortage_cost: float) -> float:
    """Return the probability with which demand should be covered: shortage / (holding + shortage).

    Args:
        holding_cost: currency per unit left at the end of a period, > 0.
        shortage_cost: currency per unit short, > 0.

    Raises:
        ValueError: a cost is not above 0.

    Source: Snyder and Shen (2019), Fundamentals of Supply Chain Theory, 2nd ed., eq. 4.27.

    Example:
        >>> round(critical_ratio(holding_cost=0.18, shortage_cost=0.70), 3)
        0.795
    """
    if not (holding_cost > 0 and shortage_cost > 0):
        raise ValueError(f"costs must be > 0, got holding_cost={holding_cost}, shortage_cost={shortage_cost}.")
    return shortage_cost / (holding_cost + shortage_cost)


def normal_newsvendor(
    *,
    holding_cost: float,
    shortage_cost: float,
    demand_mean: float,
    demand_deviation: float,
    lead_time_periods: int = 0,
) -> BaseStock:
    """Return the best base stock for normal demand, independent between periods, with backorders.

    Args:
        holding_cost: currency per unit and period, > 0.
        shortage_cost: currency per unit short and period, > 0.
        demand_mean: units per period.
        demand_deviation: standard deviation, units per period, >= 0.
        lead_time_periods: whole periods between order and receipt; the protection is one period longer.

    Source: Snyder and Shen (2019), eq. 4.24 and 4.30; with a lead time their example 4.4.

    Example:
        >>> found = normal_newsvendor(holding_cost=0.18, shortage_cost=0.70, demand_mean=50, demand_deviation=8)
        >>> round(found.order_up_to_level, 1), round(found.expected_cost, 2)  # their examples 4.1 and 4.3
        (56.6, 2.0)
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    protection_periods = lead_time_periods + 1
    mean, deviation = demand_mean * protection_periods, demand_deviation * math.sqrt(protection_periods)
    level = mean + normal_quantile(ratio) * deviation
    shortage, leftover = normal_losses(level, mean=mean, deviation=deviation)
    return BaseStock(order_up_to_level=level, expected_cost=holding_cost * leftover + shortage_cost * shortage)


def poisson_newsvendor(
    *, holding_cost: float, shortage_cost: float, demand_mean: float, lead_time_periods: int = 0
) -> BaseStock:
    """Return the best whole base stock for Poisson demand with backorders; arguments as for `normal_newsvendor`.

    Source: Snyder and Shen (2019), section 4.3.2: the smallest level with F(S) >= shortage / (holding + shortage).

    Example:
        >>> poisson_newsvendor(holding_cost=1, shortage_cost=4, demand_mean=6).order_up_to_level  # example 4.7: y* = 8
        8
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    mean = demand_mean * (lead_time_periods + 1)
    level = poisson_quantile(ratio, mean=mean)
    shortage, leftover = poisson_losses(level, mean=mean)
    return BaseStock(order_up_to_level=level, expected_cost=holding_cost * leftover + shortage_cost * shortage)


def poisson_quantile(probability: float, *, mean: float) -> int:
    """Return the smallest whole number that Poisson demand stays within with at least this probability, < 1."""
    # The inverse of the incomplete gamma function is near; walking ends exactly on the definition.
    level = max(int(special.pdtrik(probability, mean)), 0) if mean > 0 else 0
    while special.pdtr(level, mean) < probability:
        level += 1
    while level > 0 and special.pdtr(level - 1, mean) >= probability:
        level -= 1
    return level


def lognormal_newsvendor(
    *, holding_cost: float, shortage_cost: float, log_mean: float, log_deviation: float
) -> BaseStock:
    """Return the best base stock for one period of lognormal demand, whose logarithm has the given moments.

    Source: the critical ratio, Snyder and Shen (2019), eq. 4.27; the partial expectation, Johnson, Kotz and
        Balakrishnan (1994), Continuous Univariate Distributions, vol. 1, section 14.3.
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    z = normal_quantile(ratio)
    level, mean = math.exp(log_mean + z * log_deviation), math.exp(log_mean + log_deviation**2 / 2)
    shortage = mean * float(special.ndtr(log_deviation - z)) - level * (1 - ratio)
    cost = holding_cost * (shortage + level - mean) + shortage_cost * shortage
    return BaseStock(order_up_to_level=level, expected_cost=cost)


def discrete_newsvendor(*, holding_cost: float, shortage_cost: float, units: Floats, probability: Floats) -> BaseStock:
    """Return the best base stock where demand is one of a few numbers with known chances.

    Args:
        holding_cost: currency per unit left, > 0.
        shortage_cost: currency per unit short, > 0.
        units: shape (n,), possible demands, increasing.
        probability: shape (n,), their chances; they sum to 1.

    Source: Snyder and Shen (2019), section 4.3.2, the smallest demand with F >= the critical ratio.
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    # Chances that sum to the ratio but for rounding reach it.
    place = int(np.argmax(np.cumsum(probability) >= ratio - 1e-12))
    level = float(units[place])
    shortage, leftover = discrete_losses(level, units=units, probability=probability)
    return BaseStock(order_up_to_level=level, expected_cost=holding_cost * leftover + shortage_cost * shortage)


def expected_profit(
    *, revenue: float, purchase_cost: float, salvage_value: float, demand_mean: float, demand_deviation: float
) -> tuple[float, float]:
    """Return the quantity that earns most from one period of normal demand, and the profit expected of it.

    Args:
        revenue: currency per unit sold.
        purchase_cost: currency per unit bought, below the revenue.
        salvage_value: currency per unit left, below the purchase cost.
        demand_mean: units.
        demand_deviation: standard deviation, units.

    Source: Snyder and Shen (2019), example 4.2: holding = cost - salvage, shortage = revenue - cost.

    Example:
        >>> units, profit = expected_profit(
        ...     revenue=1, purchase_cost=0.3, salvage_value=0.12, demand_mean=50, demand_deviation=8
        ... )
        >>> round(units, 1), round(profit, 2)  # their example 4.2
        (56.6, 33.0)
    """
    lost_margin = revenue - purchase_cost
    found = normal_newsvendor(
        holding_cost=purchase_cost - salvage_value,
        shortage_cost=lost_margin,
        demand_mean=demand_mean,
        demand_deviation=demand_deviation,
    )
    return found.order_up_to_level, lost_margin * demand_mean - found.expected_cost


def quantile_newsvendor(
    forecast: Floats, quantiles: Sequence[float], *, holding_cost: Floats, shortage_cost: Floats
) -> NDArray[np.float64]:
    """Return the critical quantile of each forecast, linear between the quantiles that it has.

    Args:
        forecast: shape (n, n_quantiles), units, sorted along the last axis.
        quantiles: levels of the last axis, increasing.
        holding_cost: shape (n,) or (), currency per unit left, > 0.
        shortage_cost: shape (n,) or (), currency per unit short, > 0.

    Returns:
        shape (n,), units.

    Raises:
        ValueError: a critical ratio lies outside the quantiles; a tail can't be invented.

    Source: Arrow, Harris and Marschak (1951), Optimal Inventory Policy, section 4.

    Example:
        >>> levels, holding, shortage = np.array([[4.0, 6.0, 10.0]]), np.array(1.0), np.array(4.0)
        >>> quantile_newsvendor(levels, (0.5, 0.75, 0.9), holding_cost=holding, shortage_cost=shortage).round(4)
        array([7.3333])
    """
    known = np.asarray(quantiles, dtype=np.float64)
    ratio = np.broadcast_to(shortage_cost / (holding_cost + shortage_cost), forecast.shape[:1])
    outside = (ratio < known[0]) | (ratio > known[-1])
    if outside.any():
        raise ValueError(
            f"critical ratio {float(ratio[outside][0]):.4f} lies outside the forecast's quantiles {known[0]} to "
            f"{known[-1]}. Forecast more quantiles (params.yaml: forecasting.quantiles)."
        )
    after = np.clip(np.searchsorted(known, ratio, side="left"), 1, len(known) - 1)
    rows = np.arange(len(forecast))
    share = (ratio - known[after - 1]) / (known[after] - known[after - 1])
    level: NDArray[np.float64] = forecast[rows, after - 1] * (1 - share) + forecast[rows, after] * share
    return level


def conformal_newsvendor(errors: Floats, forecast: float, *, holding_cost: float, shortage_cost: float) -> float:
    """Return a quantity that covers demand with at least the critical ratio, whatever the distribution.

    Past errors of the same forecaster, exchangeable with the next one, stand in for a distribution: the
    ceil((n + 1) x ratio)-th smallest is added to the forecast. Demand stays below with probability at least the ratio
    and at most ratio + 1 / (n + 1).

    Args:
        errors: shape (n,), demand minus forecast in periods that the forecaster had not seen, units.
        forecast: of the period to order for, units.
        holding_cost: currency per unit left, > 0.
        shortage_cost: currency per unit short, > 0.

    Returns:
        Units, at least 0.

    Raises:
        ValueError: too few errors: with n of them no ratio above n / (n + 1) can be promised.

    Source: the split-conformal quantile, Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World,
        section 2.2; for the newsvendor arXiv 2412.13159.

    Example:
        >>> errors = np.arange(-4.0, 5.0)  # nine errors; ratio 0.8 asks for the eighth
        >>> conformal_newsvendor(errors, 20.0, holding_cost=1.0, shortage_cost=4.0)
        23.0
    """
    ratio = critical_ratio(holding_cost=holding_cost, shortage_cost=shortage_cost)
    # 10 x 0.8 is not to become the ninth for a rounding error.
    rank = math.ceil((len(errors) + 1) * ratio - 1e-9)
    if rank > len(errors):
        needed = math.ceil(ratio / (1 - ratio) - 1e-9)
        raise ValueError(f"a critical ratio of {ratio:.4f} needs at least {needed} errors, got {len(errors)}.")
    return max(float(forecast + np.sort(errors)[rank - 1]), 0.0)
