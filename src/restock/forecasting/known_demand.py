"""Demand as far as it is known: sales where there was stock, recovered where there was for a part, unknown otherwise.

Two views of the same history. `known_demand` is causal: a period's value rests on periods up to it, so that features
may be made of it. `demand_in_hindsight` also knows how a silence ended: what a family learns to hit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.censoring import CensoringRule, mask_censored
from restock.forecasting.group_levels import season_position
from restock.forecasting.latent_demand import Floats, LatentDemand, recover_demand
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.forecasting.silences import SilenceProbabilities, find_silences
from restock.forecasting.usual_demand import UsualDemand, find_usual_demand


@dataclass(frozen=True, kw_only=True)
class KnownDemand:
    """Demand of every (series, observed period); shape (n_series, observed_periods).

    Attributes:
        units: expected demand, units; NaN where nothing is known.
        weight: 0-1, how much of it was told by sales; 0 where nothing is known.
        is_recovered: where the expectation holds more than what was sold.
        latent: the posterior behind it; None where nothing was recovered.
    """

    units: FloatArray
    weight: FloatArray
    is_recovered: NDArray[np.bool_]
    latent: LatentDemand | None

    def draw(self, series: NDArray[np.intp], periods: NDArray[np.intp], rng: np.random.Generator) -> FloatArray:
        """Return demand of some (series, period), units: as it was sold, and a draw where it is recovered.

        What is learned from draws has the spread of demand; expectations in their place would narrow it.

        Source: Rubin 1987, "Multiple Imputation for Nonresponse in Surveys", chapter 3.
        """
        units = self.units[series, periods]
        chosen = self.is_recovered[series, periods]
        if self.latent is None or not chosen.any():
            return units
        rows, columns = series[chosen], periods[chosen]
        units[chosen] = self.latent.at(rows, columns).draw(rng)
        return units


def known_demand(panel: DemandPanel, rule: CensoringRule) -> KnownDemand:
    """Return demand as it was known at the end of each period.

    Args:
        panel: history; nothing after its last observed period is read.
        rule: what counts as cut off, and from which share in stock it is recovered.
    """
    return _known(panel, rule, silence=silence_probabilities(panel).so_far if rule.finds_silences else None)


def demand_in_hindsight(panel: DemandPanel, rule: CensoringRule) -> KnownDemand:
    """Return demand as it is known at the end of the last observed period; arguments as for `known_demand`."""
    return _known(panel, rule, silence=silence_probabilities(panel).in_hindsight if rule.finds_silences else None)


def silence_probabilities(panel: DemandPanel) -> SilenceProbabilities:
    """Return how probable an unflagged stockout is in every observed period; a holiday without sales is no evidence."""
    sold, exposure = _sold(panel), in_stock_exposure(panel)
    return find_silences(
        sold,
        exposure=exposure,
        is_evidence=panel.is_holiday[:, : panel.observed_periods] == 0,
        usual=usual_demand(panel, exposure=exposure),
        period_days=panel.frequency.days,
    )


def usual_demand(panel: DemandPanel, *, exposure: Floats) -> UsualDemand:
    """Return what the series usually sold in such a period, for every observed one, from earlier periods.

    Args:
        panel: history.
        exposure: shape (n_series, observed_periods), 0-1: share of the usual demand that could be sold.
    """
    return find_usual_demand(
        _sold(panel),
        exposure=exposure,
        is_promoted=panel.is_promoted[:, : panel.observed_periods] > 0,
        season_positions=season_position(panel.start, np.arange(panel.observed_periods), frequency=panel.frequency),
    )


def in_stock_exposure(panel: DemandPanel) -> Floats:
    """Return the share of the usual demand that could be sold, 0-1; 0 before a series is listed, 1 where unknown."""
    observed = slice(0, panel.observed_periods)
    share = np.nan_to_num(panel.demand_share_in_stock()[:, observed].astype(np.float64), nan=1.0)
    return np.where(np.isnan(panel.sales_units[:, observed]), 0.0, np.clip(share, 0, 1))


def _known(panel: DemandPanel, rule: CensoringRule, *, silence: Floats | None) -> KnownDemand:
    """Return what is known, given how probable an unflagged stockout is; None where none is looked for."""
    uncensored = mask_censored(panel, max_stockout_share=rule.max_stockout_share)
    is_known = ~np.isnan(uncensored)
    weight, units = is_known.astype(np.float64), uncensored
    latent, is_recovered = None, np.zeros(units.shape, dtype=np.bool_)
    is_silent = np.zeros_like(is_recovered) if silence is None else silence >= rule.silence_probability
    if rule.recovers:
        exposure = in_stock_exposure(panel)
        usual = usual_demand(panel, exposure=exposure if silence is None else exposure * (1 - silence))
        is_cut_off = ~np.isnan(panel.sales_units[:, : panel.observed_periods]) & ~is_known
        is_recovered = is_cut_off & ~is_silent & (exposure >= rule.recover_from_share) & usual.is_known
        latent = recover_demand(
            _sold(panel), in_stock_share=exposure, usual_units=usual.units, lot_units=usual.lot_units
        )
        units = np.where(is_recovered, latent.mean_units.astype(np.float32), units)
        weight = np.where(is_recovered, latent.weight, weight)
    if silence is not None:
        weight = weight * (1 - silence)
    units = np.where(is_silent, np.float32(np.nan), units).astype(np.float32)
    return KnownDemand(
        units=units,
        weight=np.where(np.isnan(units), 0, weight).astype(np.float32),
        is_recovered=is_recovered,
        latent=latent,
    )


def _sold(panel: DemandPanel) -> Floats:
    """Return observed sales, 0 where not listed; returns that outweigh a day's sales are no demand."""
    sold: Floats = np.maximum(np.nan_to_num(panel.sales_units[:, : panel.observed_periods].astype(np.float64)), 0)
    return sold
