"""Silences: runs of periods without a sale that are improbable at the series' own rate, and what they may be.

A series is in stock, out of stock without anyone having said so, or no longer wanted. In the last two it sells nothing.
In stock, the probability of a run without sales follows from the rate before the run: with M expected lots in the run
and a gamma distributed rate of shape a it is (1 + M/a)^-a. Bayes' rule then weighs the three.

Source: Rabiner 1989, "A tutorial on hidden Markov models", Proceedings of the IEEE 77, section III (forward and
backward probabilities; here in closed form, because every sale proves that there is stock). Haldane 1945, "On a method
of estimating frequencies", Biometrika 33: a rate told by a run that ends with a sale leaves that sale out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restock.forecasting.latent_demand import RATE_SIZE, Floats
from restock.forecasting.usual_demand import UsualDemand

# Probability per day that stock runs out unflagged; that it is back; that the series is no longer wanted.
STOCKOUT_RATE = 0.0005
RETURN_RATE = 0.07
END_RATE = 0.00005
# A level is no better known than by so many lots: it wanders.
_MOST_LOTS_KNOWN = 8.0
# Before the first lots, the rate is anything.
_FEWEST_LOTS_KNOWN = 0.5


@dataclass(frozen=True, kw_only=True)
class SilenceProbabilities:
    """How probable it is that a period had no stock without anyone having said so; shape (n_series, n_periods).

    Attributes:
        so_far: from periods up to each period.
        in_hindsight: from all periods.
    """

    so_far: Floats
    in_hindsight: Floats


def find_silences(
    sold_units: Floats, *, exposure: Floats, is_evidence: NDArray[np.bool_], usual: UsualDemand, period_days: int
) -> SilenceProbabilities:
    """Return how probable an unflagged stockout is in every period.

    Args:
        sold_units: shape (n_series, n_periods), units; a run is broken by any sale.
        exposure: same shape, 0-1: share of the period's usual demand that could be sold; 0 where not listed.
        is_evidence: same shape; a period without sales that is none, such as a holiday, tells nothing.
        usual: of the same periods. The level before a run's first period holds throughout the run.
        period_days: length of a period.
    """
    rates = _Rates.of_periods(period_days)
    n_series, n_periods = sold_units.shape
    period = np.arange(n_periods)
    is_sale = sold_units > 0
    last_sale = np.maximum.accumulate(np.where(is_sale, period, -1), axis=1)
    is_silent = ~is_sale & (last_sale >= 0)
    row = np.arange(n_series)[:, None]
    begin = np.maximum(last_sale, 0)
    lots_known = np.minimum((usual.sold_units / usual.lot_units)[row, begin], _MOST_LOTS_KNOWN)
    shape = np.maximum(lots_known, _FEWEST_LOTS_KNOWN)
    # The window before the sale that begins the run, with that sale's own period as one more that was in stock.
    level = usual.sold_units[row, begin] / np.maximum(usual.full_periods[row, begin] + 1, 1)
    level = np.where(usual.is_known[row, begin], level, 0)
    expected = level * usual.factor * exposure / usual.lot_units[row, begin]
    expected = np.where(is_silent & is_evidence, expected, 0)
    expected = RATE_SIZE * np.log1p(expected / RATE_SIZE)
    total = np.cumsum(expected, axis=1)
    run_lots = total - total[row, begin]
    length = period - last_sale
    in_stock = (1 + run_lots / shape) ** -shape * rates.kept**length
    in_stock = np.where(is_silent, in_stock, 1.0)
    # Stock can run out before each period of the run, from the probability that it was there until then.
    before = np.where(is_silent, np.concatenate([np.ones((n_series, 1)), in_stock[:, :-1]], axis=1), 0)
    ended = np.cumsum(before, axis=1)
    ended = rates.ended * (ended - ended[row, begin])
    out = rates.ran_out * _decayed_sums(before, row=row, begin=begin, kept_share=1 - rates.back)
    return SilenceProbabilities(
        so_far=np.where(is_silent, out / (in_stock + out + ended), 0.0),
        in_hindsight=_in_hindsight(is_sale, is_silent, in_stock=in_stock, out=out, ended=ended, rates=rates),
    )


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """Probabilities per period: of running out unflagged, of being back, of not being wanted any more."""

    ran_out: float
    back: float
    ended: float

    @classmethod
    def of_periods(cls, days: int) -> _Rates:
        """Return those of periods of so many days."""
        ran_out, back, ended = (1 - (1 - rate) ** days for rate in (STOCKOUT_RATE, RETURN_RATE, END_RATE))
        return cls(ran_out=ran_out, back=back, ended=ended)

    @property
    def kept(self) -> float:
        """Probability that what is in stock and wanted stays so."""
        return 1 - self.ran_out - self.ended


def _decayed_sums(values: Floats, *, row: NDArray[np.intp], begin: NDArray[np.intp], kept_share: float) -> Floats:
    """Return each run's sum up to every period, of which a share is kept from period to period.

    Args:
        values: shape (n_series, n_periods), >= 0.
        row: shape (n_series, 1): 0, 1, ...
        begin: shape of values: the period before the run that each period lies in.
        kept_share: 0-1.
    """
    from scipy.signal import lfilter  # type: ignore[import-untyped]  # scipy ships no types

    sums: Floats = lfilter([1.0], [1.0, -kept_share], values, axis=1)
    age = np.arange(values.shape[1]) - begin
    # What was summed before the run has lost as much by now.
    before: Floats = kept_share ** age.astype(np.float64) * sums[row, begin]
    return np.maximum(sums - before, 0.0)


def _in_hindsight(
    is_sale: NDArray[np.bool_],
    is_silent: NDArray[np.bool_],
    *,
    in_stock: Floats,
    out: Floats,
    ended: Floats,
    rates: _Rates,
) -> Floats:
    """Return the probabilities given how each run went on and ended: with a sale, or not yet."""
    n_series, n_periods = is_sale.shape
    period, row = np.arange(n_periods), np.arange(n_series)[:, None]
    next_sale = np.minimum.accumulate(np.where(is_sale, period, n_periods)[:, ::-1], axis=1)[:, ::-1]
    is_over = next_sale < n_periods
    last = np.minimum(next_sale, n_periods) - 1
    # What had run out by a period was so throughout the rest of the run; then it came back, if the run is over.
    stays = (1 - rates.back) ** np.maximum(last - period, 0).astype(np.float64)
    comes_back = np.where(is_over, rates.back, 1.0)
    out_then = stays * out * comes_back
    out_at_last = out[row, last] * comes_back
    kept = in_stock[row, last] * np.where(is_over, rates.kept, 1.0)
    gone = np.where(is_over, 0.0, ended[row, last])
    return np.where(is_silent, out_then / (kept + out_at_last + gone), 0.0)
