"""What prices and promotions explain of a sku's sales, and how its last days sold beside that and beside the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.cross_section.history import Codes, PanelHistory
from restock.forecasting.panel import FloatArray

# Periods before the cutoff that the slopes are learned from; one this much older than the last counts half as much.
_PERIODS = 42
_HALF_LIFE_PERIODS = 20.0
# What a period that was wholly out of stock still tells.
_SMALLEST_CERTAINTY = 0.2
_LARGEST_RATIO = 5.0
_SMALLEST_EXPLAINED_RATIO = 0.15
# A price outside these shares of the usual one is a typing error.
_PRICE_SHARES = (0.2, 2.0)
# What the slopes of all skus are worth beside those of one, in squared log price or squared promotion x units.
_PRICE_PRIOR, _PROMOTION_PRIOR = 2.0, 8.0
# Units that a group's total is shrunk by.
_MOMENTUM_PRIOR_UNITS = 3.0
_MOMENTUM_PERIODS = (1, 2, 3, 5, 7, 14)
_MOMENTUM_GROUPS = ("sku", "sku_region")


@dataclass(frozen=True, kw_only=True)
class PlanResponse:
    """A linear response of sales to price and promotion, in units of the level, as of an origin.

    Attributes:
        price_slope: shape (n_series,), change of the ratio per log price; one value a sku.
        promotion_slope: same, between no promotion and one.
        usual_price: same, mean price of the last periods, never zero.
        usual_log_price: same, weighted mean of log(price / usual price).
        usual_promotion: same, weighted mean of promotions.
        usual_ratio: same, weighted mean of sales in units of the level.
        sold: shape (n_series, n_periods), units sold in the last periods.
        explained: same shape, units that the response gives for them.
    """

    price_slope: FloatArray
    promotion_slope: FloatArray
    usual_price: FloatArray
    usual_log_price: FloatArray
    usual_promotion: FloatArray
    usual_ratio: FloatArray
    sold: FloatArray
    explained: FloatArray

    def ratio(self, price: FloatArray, promoted: FloatArray) -> FloatArray:
        """Return expected sales in units of the level; `price` and `promoted` of shape (n_series,)."""
        change = self.price_slope * (_log_price(price, self.usual_price) - self.usual_log_price)
        change = change + self.promotion_slope * (promoted - self.usual_promotion)
        found: FloatArray = np.clip(self.usual_ratio + change, _SMALLEST_EXPLAINED_RATIO, _LARGEST_RATIO)
        return found


def plan_response(history: PanelHistory, origin: int, *, level: FloatArray) -> PlanResponse:
    """Return how the sales of every sku answer to its own prices and promotions up to and with `origin`.

    Least squares of sales / level on log price and promotion, both around each series' own mean: one pair of slopes a
    sku over all of its series, shrunk to the pair of all skus. A period weighs by its age, the level, and how surely
    its sales were demand.

    Args:
        history: of periods after `origin` nothing is read.
        origin: last known period.
        level: shape (n_series,), units per period, > 0.
    """
    past = slice(max(0, origin + 1 - _PERIODS), origin + 1)
    age = np.arange(origin - past.start, -1, -1, dtype=np.float32)
    sold = history.sales[:, past]
    certainty = _SMALLEST_CERTAINTY + (1 - _SMALLEST_CERTAINTY) * history.in_stock_share[:, past]
    weights = certainty * np.float32(0.5) ** (age / np.float32(_HALF_LIFE_PERIODS)) * level[:, None]
    usual_price = np.maximum(history.price[:, past].mean(axis=1), np.float32(1e-3))
    log_price = _log_price(history.price[:, past], usual_price[:, None])
    promoted = history.is_promoted[:, past]
    ratio = np.minimum(sold / level[:, None], np.float32(_LARGEST_RATIO))
    total = weights.sum(axis=1)
    usual = [(weights * values).sum(axis=1) / total for values in (log_price, promoted, ratio)]
    prices, promotions, ratios = (
        values - mean[:, None] for values, mean in zip((log_price, promoted, ratio), usual, strict=True)
    )
    price_slope, promotion_slope = _slopes(
        weights, prices, promotions=promotions, ratios=ratios, code=history.codes["sku"]
    )
    explained = usual[2][:, None] + price_slope[:, None] * prices + promotion_slope[:, None] * promotions
    return PlanResponse(
        price_slope=price_slope,
        promotion_slope=promotion_slope,
        usual_price=usual_price,
        usual_log_price=usual[0],
        usual_promotion=usual[1],
        usual_ratio=usual[2],
        sold=sold,
        explained=level[:, None] * np.clip(explained, _SMALLEST_EXPLAINED_RATIO, _LARGEST_RATIO),
    )


def momentum_columns(response: PlanResponse, codes: Mapping[str, Codes]) -> dict[str, FloatArray]:
    """Return how the last periods of a series' sku sold beside what was explained, and beside all skus.

    1 where the sku did as the market did. Beside the market, since a shock that all series share in the last periods
    tells little about the next ones and would steer every forecast.
    """
    market = response.sold.sum(axis=0) / np.maximum(response.explained.sum(axis=0), np.float32(1e-3))
    columns: dict[str, FloatArray] = {}
    for name in _MOMENTUM_GROUPS:
        code = codes[name]
        sold, explained = _totals(response.sold, code), _totals(response.explained, code) * market
        for periods in _MOMENTUM_PERIODS:
            columns[f"{name}_momentum_{periods}"] = _ratio(
                sold[:, -periods:].sum(axis=1), explained[:, -periods:].sum(axis=1)
            )[code]
        daily = np.log(_ratio(sold[:, -28:], explained[:, -28:]))
        columns[f"{name}_momentum_deviation"] = daily.std(axis=1)[code]
    return columns


def response_columns(
    response: PlanResponse, history: PanelHistory, *, target: int, known_ahead: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Return the slopes and what they give for the target; the usual price and promotion where no plan is known."""
    price = history.price[:, target] if "unit_price" in known_ahead else response.usual_price
    promoted = history.is_promoted[:, target] if "is_promoted" in known_ahead else response.usual_promotion
    return {
        "response_ratio": response.ratio(price, promoted),
        "price_slope": response.price_slope,
        "promotion_slope": response.promotion_slope,
    }


def _slopes(
    weights: FloatArray, prices: FloatArray, *, promotions: FloatArray, ratios: FloatArray, code: Codes
) -> tuple[FloatArray, FloatArray]:
    """Return the price and the promotion slope of each series' sku; all arrays are around their series' mean."""

    def by_sku(left: FloatArray, right: FloatArray) -> NDArray[np.float64]:
        summed: FloatArray = np.einsum("ij,ij,ij->i", weights, left, right)
        return np.bincount(code, summed).astype(np.float64)

    pp, pm, mm = by_sku(prices, prices), by_sku(prices, promotions), by_sku(promotions, promotions)
    pr, mr = by_sku(prices, ratios), by_sku(promotions, ratios)
    # Where prices never change, the prior keeps the equations solvable.
    market = np.array([[pp.sum() + 1, pm.sum()], [pm.sum(), mm.sum() + 1]])
    price_prior, promotion_prior = np.linalg.solve(market, [pr.sum(), mr.sum()])
    pp, mm = pp + _PRICE_PRIOR, mm + _PROMOTION_PRIOR
    pr, mr = pr + _PRICE_PRIOR * price_prior, mr + _PROMOTION_PRIOR * promotion_prior
    determinant = pp * mm - pm * pm
    price, promotion = (mm * pr - pm * mr) / determinant, (pp * mr - pm * pr) / determinant
    return price[code].astype(np.float32), promotion[code].astype(np.float32)


def _log_price(price: FloatArray, usual: FloatArray) -> FloatArray:
    found: FloatArray = np.log(np.clip(price / usual, *_PRICE_SHARES))
    return found


def _totals(values: FloatArray, code: Codes) -> FloatArray:
    """Return the sum over the series of each group; shape (n_groups, n_periods)."""
    return np.stack([np.bincount(code, column) for column in values.T], axis=1).astype(np.float32)


def _ratio(sold: FloatArray, explained: FloatArray) -> FloatArray:
    prior = np.float32(_MOMENTUM_PRIOR_UNITS)
    return (sold + prior) / (explained + prior)
