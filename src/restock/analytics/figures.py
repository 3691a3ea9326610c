"""Key figures of stock: turnover, days of cover, gross margin return on investment, carrying cost; pure.

Money is in one currency, in whatever unit; quantities in base units. A figure that has no meaning (nothing sold,
nothing in stock) is None, never zero or infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

_DAYS_A_YEAR = 365


def turnover(cost_of_sales: float, average_value: float, *, days: int) -> float | None:
    """Return how often stock is sold and replaced in a year: cost of sales / average value, annualised.

    Source:
        Silver, Pyke, Thomas: Inventory and Production Management in Supply Chains, 4th ed., section 2.2.

    Example:
        >>> turnover(1000.0, 500.0, days=365)
        2.0
    """
    return None if average_value <= 0 or days <= 0 else cost_of_sales / average_value * _DAYS_A_YEAR / days


def days_of_cover(on_hand: float, sold: float, *, days: int) -> float | None:
    """Return for how many days stock lasts at the pace of a period: on hand / units sold a day.

    Example:
        >>> days_of_cover(30.0, 60.0, days=20)
        10.0
    """
    return None if sold <= 0 or days <= 0 else max(on_hand, 0.0) / (sold / days)


def gross_margin_return(revenue: float, cost_of_sales: float, average_value: float) -> float | None:
    """Return the gross margin return on inventory investment of a period: (revenue - cost of sales) / average value.

    Example:
        >>> gross_margin_return(1500.0, 1000.0, 250.0)
        2.0
    """
    return None if average_value <= 0 else (revenue - cost_of_sales) / average_value


@dataclass(frozen=True, kw_only=True)
class CarryingRates:
    """What it costs to keep stock for a year, as shares of its value.

    Attributes:
        capital: interest that the money would earn elsewhere.
        storage: space, handling, energy.
        risk: insurance, obsolescence, spoilage.
    """

    capital: float
    storage: float
    risk: float


def carrying_cost(average_value: float, rates: CarryingRates, *, days: int) -> dict[str, float]:
    """Return what keeping stock cost over a period, by part and in total.

    Example:
        >>> carrying_cost(1000.0, CarryingRates(capital=0.08, storage=0.05, risk=0.02), days=365)["total"]
        150.0
    """
    part_of_year = max(average_value, 0.0) * days / _DAYS_A_YEAR
    parts = {
        "capital": part_of_year * rates.capital,
        "storage": part_of_year * rates.storage,
        "risk": part_of_year * rates.risk,
    }
    return parts | {"total": round(sum(parts.values()), 10)}
