"""Demand of a period that was in stock for a part of it: what was sold, and what the rest would have brought.

A period's demand is a Poisson number of lots at a rate that is itself gamma distributed round the series' usual demand:
a negative binomial. Sales while there was stock are seen, so the rate's posterior is gamma again, and what the time
without stock would have brought is negative binomial under it. The likelihood of the rate is the same whether the time
with stock was fixed or ended by the last piece, so that selling out early needs no correction of its own.

Source: Gelman et al. 2013, "Bayesian Data Analysis", 3rd ed., section 2.6 (gamma prior of a Poisson rate with
exposure); Conrad 1976, "Sales data and the estimation of demand", Operational Research Quarterly 27 (sold-out periods).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Size r of the negative binomial: a period's rate varies by 1 / sqrt(r) round the usual demand.
RATE_SIZE = 8.0


@dataclass(frozen=True, kw_only=True)
class LatentDemand:
    """Posterior of demand: what was sold plus a negative binomial number of lots; arrays of one shape.

    Attributes:
        sold_units: what was sold while there was stock, units.
        missed_lots: mean number of lots that the time without stock would have brought.
        rate_size: shape of the rate's posterior gamma.
        lot_units: units of a lot: what variance has over mean for a known rate.
        weight: 0-1, share of the demand's variance that the sales have told; 1 where all of the period was in stock.
    """

    sold_units: Floats
    missed_lots: Floats
    rate_size: Floats
    lot_units: Floats
    weight: Floats

    @property
    def mean_units(self) -> Floats:
        """Expected demand, units; never below what was sold."""
        return self.sold_units + self.lot_units * self.missed_lots

    @property
    def variance_units(self) -> Floats:
        """Variance of demand, units squared; 0 where all of the period was in stock."""
        return np.square(self.lot_units) * self.missed_lots * (1 + self.missed_lots / self.rate_size)

    def at(self, series: NDArray[np.intp], periods: NDArray[np.intp]) -> LatentDemand:
        """Return the posterior of some (series, period) of arrays of shape (n_series, n_periods)."""
        return LatentDemand(
            sold_units=self.sold_units[series, periods],
            missed_lots=self.missed_lots[series, periods],
            rate_size=self.rate_size[series, periods],
            lot_units=self.lot_units[series, periods],
            weight=self.weight[series, periods],
        )

    def quantiles(self, levels: tuple[float, ...]) -> Floats:
        """Return quantiles of demand, units; shape (*shape, n_levels)."""
        from scipy.stats import nbinom  # type: ignore[import-untyped]  # scipy ships no types

        success = self.rate_size / (self.rate_size + self.missed_lots)
        lots = nbinom.ppf(np.array(levels), self.rate_size[..., None], success[..., None])
        found: Floats = self.sold_units[..., None] + self.lot_units[..., None] * lots
        return found

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return one draw of every demand, units."""
        rate = rng.gamma(self.rate_size, self.missed_lots / self.rate_size)
        return self.sold_units + self.lot_units * rng.poisson(rate)


def recover_demand(
    sold_units: Floats,
    *,
    in_stock_share: Floats,
    usual_units: Floats,
    lot_units: Floats,
    rate_size: float = RATE_SIZE,
) -> LatentDemand:
    """Return the posterior of demand, given what was sold while there was stock.

    With sales of S units in the share p of the demand, usual demand m, lots of u units and size r, the rate's posterior
    mean is m (r + S/u) / (r + p m/u): S/p where that is many lots, m where it is few. A share of 1 gives what was sold,
    a share of 0 the usual demand.

    Args:
        sold_units: >= 0, units; shape of all arrays.
        in_stock_share: 0-1, share of the period's usual demand that falls into its time with stock.
        usual_units: mean demand of such a period, >= 0, units.
        lot_units: > 0, units.
        rate_size: r, > 0.

    Example:
        >>> one = recover_demand(np.array([6.0]), in_stock_share=np.array([0.5]), usual_units=np.array([8.0]),
        ...                      lot_units=np.array([1.0]), rate_size=4.0)
        >>> one.mean_units.tolist()  # rate 8 * (4 + 6) / (4 + 4) = 10, half of it was missed
        [11.0]
    """
    share = np.clip(in_stock_share, 0, 1)
    usual_lots = np.maximum(usual_units, 0) / lot_units
    size = rate_size + np.maximum(sold_units, 0) / lot_units
    rate_lots = usual_lots * size / (rate_size + share * usual_lots)
    missed = (1 - share) * rate_lots
    prior_variance = usual_lots * (1 + usual_lots / rate_size)
    # Of the variance before the sales, what is left is at its usual rate: how much was sold does not make a day's
    # demand better known than another's.
    left_size = rate_size + share * usual_lots
    left = (1 - share) * usual_lots
    left_variance = left * (1 + left / left_size)
    told = np.where(prior_variance > 0, 1 - left_variance / np.where(prior_variance > 0, prior_variance, 1), share)
    return LatentDemand(
        sold_units=np.asarray(sold_units, dtype=np.float64),
        missed_lots=missed,
        rate_size=size,
        lot_units=np.broadcast_to(lot_units, missed.shape),
        weight=np.clip(told, 0, 1),
    )
