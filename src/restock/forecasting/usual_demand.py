"""What a series usually sells in such a period, from its own earlier periods: level, place in the season, promotion.

A period that was in stock for a share of its demand counts as that share of a period: sums of sales over sums of shares
are unbiased where sold-out days are left out are not, because it is the good days that sell out (Wald's identity).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.censoring import SCALE_PERIODS
from restock.forecasting.latent_demand import RATE_SIZE, Floats

# Full periods in stock before a series has a usual demand.
FEWEST_PERIODS = 3.0
# Full periods that "as usual" counts among those of a place of the season, and of promotions.
_SEASON_PRIOR_PERIODS = 14.0
_PROMOTION_PRIOR_PERIODS = 7.0
_LOT_PRIOR_PERIODS = 7.0
_DEFAULT_LOT_UNITS = 1.0


@dataclass(frozen=True, kw_only=True)
class UsualDemand:
    """Usual demand of every (series, period), each from earlier periods alone; shape (n_series, n_periods).

    Attributes:
        factor: how much season and promotion lift or lower the level.
        sold_units: units sold in the window that the level is taken from.
        full_periods: how many periods at the level that window was worth.
        lot_units: variance over mean of a period's sales at a known rate, units.
    """

    factor: Floats
    sold_units: Floats
    full_periods: Floats
    lot_units: Floats

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether enough periods were in stock."""
        known: NDArray[np.bool_] = self.full_periods >= FEWEST_PERIODS
        return known

    @property
    def units(self) -> Floats:
        """Mean demand of the period were it in stock; 0 where it is not known."""
        return np.where(self.is_known, self.sold_units / np.maximum(self.full_periods, FEWEST_PERIODS), 0) * self.factor


def find_usual_demand(
    sold_units: Floats,
    *,
    exposure: Floats,
    is_promoted: NDArray[np.bool_],
    season_positions: NDArray[np.intp],
) -> UsualDemand:
    """Return the usual demand of every period.

    Args:
        sold_units: shape (n_series, n_periods); 0 where not listed.
        exposure: same shape, 0-1: share of the period's usual demand that could be sold; 0 where not listed.
        is_promoted: same shape.
        season_positions: shape (n_periods,), place in the season.
    """
    sold = np.where(exposure > 0, sold_units, 0.0)
    level = _level(sold, exposure)
    factor = np.ones_like(sold)
    for position in np.unique(season_positions):
        columns = season_positions == position
        factor[:, columns] = _ratio(
            sold[:, columns],
            (exposure * level)[:, columns],
            prior=_SEASON_PRIOR_PERIODS * level[:, columns],
        )
    promoted = _ratio(
        np.where(is_promoted, sold, 0),
        np.where(is_promoted, exposure * factor * level, 0),
        prior=_PROMOTION_PRIOR_PERIODS * level,
    )
    factor = np.where(is_promoted, factor * promoted, factor)
    window_sold, window_periods = _before(_windowed(sold)), _before(_windowed(exposure * factor))
    unscaled = UsualDemand(
        factor=factor, sold_units=window_sold, full_periods=window_periods, lot_units=np.ones_like(sold)
    )
    return UsualDemand(
        factor=factor,
        sold_units=window_sold,
        full_periods=window_periods,
        lot_units=_lots(sold, exposure, usual=unscaled),
    )


def _lots(sold: Floats, exposure: Floats, *, usual: UsualDemand) -> Floats:
    """Return variance over mean at a known rate: that of whole periods in stock, less what the rate itself varies.

    Where few are known, a lot is the smallest sale that was seen: one piece, or what a source scales it to.
    """
    expected = np.where((exposure >= 1) & usual.is_known, usual.units, 0)
    square = np.where(expected > 0, np.square(sold - expected), 0)
    smallest = np.minimum.accumulate(np.where(sold > 0, sold, np.inf), axis=1)
    smallest = np.where(np.isfinite(smallest), smallest, _DEFAULT_LOT_UNITS)
    smallest = np.concatenate([np.full_like(smallest[:, :1], _DEFAULT_LOT_UNITS), smallest[:, :-1]], axis=1)
    weight = _LOT_PRIOR_PERIODS * np.maximum(usual.units, smallest / SCALE_PERIODS)
    excess = _before(_windowed(square)) - _before(_windowed(np.square(expected))) / RATE_SIZE
    found = (np.maximum(excess, 0) + weight * smallest) / (_before(_windowed(expected)) + weight)
    return np.maximum(found, smallest / 2)


def _level(sold: Floats, exposure: Floats) -> Floats:
    """Return mean sales of a full period before each period."""
    return _before(_windowed(sold)) / np.maximum(_before(_windowed(exposure)), 1)


def _ratio(sold: Floats, expected: Floats, *, prior: Floats) -> Floats:
    """Return sold over expected units of all earlier periods, as if `prior` units more had been sold as expected."""
    total = _before(np.cumsum(sold, axis=1)) + prior
    base = _before(np.cumsum(expected, axis=1)) + prior
    return np.where(base > 0, total / np.where(base > 0, base, 1), 1.0)


def _windowed(values: Floats) -> Floats:
    """Return sums over the last 56 periods, up to and with each."""
    total = np.cumsum(values, axis=1)
    total[:, SCALE_PERIODS:] -= total[:, :-SCALE_PERIODS].copy()
    return np.maximum(total, 0)


def _before(values: Floats) -> Floats:
    """Return every period's value of the period before; 0 at first."""
    return np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)
