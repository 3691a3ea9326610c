"""Distributions of delays from thin, censored histories: each group's own orders on top of those of a wider group.

A group's prior is its parent's distribution, worth so many orders; what the group has seen itself outweighs it in time.
The posterior mean is the estimate of Susarla and Van Ryzin: without open orders the weighted average of own and wider
shares, with a prior worth nothing the estimate of Kaplan and Meier. How much the prior is worth is what makes the
groups' histories likeliest.

Delays are whole days on a grid; an order that is still open is known to have a delay above what it has reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln  # type: ignore[import-untyped]  # scipy ships no types

Floats = NDArray[np.floating[Any]]

# What a prior can be worth, in orders. The largest means: no group differs from the wider one.
STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_LEAST = 1e-12
# No order is expected to take more than this beyond the cutoff or the promise, days.
LONGEST_DAYS = 365


def orders_at_risk(came: Floats, open_above: Floats) -> NDArray[np.float64]:
    """Return the orders whose delay is known to be a grid day or more, same shape as `came`.

    Args:
        came: shape (n_groups, n_days), orders that came with each delay; fractions are allowed.
        open_above: same shape, orders still open that had reached each delay and not come.
    """
    known = np.asarray(came, dtype=np.float64) + np.asarray(open_above, dtype=np.float64)
    found: NDArray[np.float64] = np.cumsum(known[:, ::-1], axis=1)[:, ::-1]
    return found


def shrunken_shares(came: Floats, open_above: Floats, *, prior: Floats, strength: float) -> NDArray[np.float64]:
    """Return the share of orders with each delay, shape (n_groups, n_days); every row sums to 1.

    Assumptions: an order is open for a reason that its delay has nothing to do with: the day on which we look.

    Args:
        came: shape (n_groups, n_days), orders that came with each delay.
        open_above: same shape, orders that have reached each delay and are still open.
        prior: same shape or (1, n_days), shares of the wider group, rows sum to 1.
        strength: orders that the prior is worth, >= 0; at 0 it only fills what no order tells.

    Source:
        Susarla, Van Ryzin (1976), Nonparametric Bayesian estimation of survival curves from incomplete observations;
        as a beta-Stacy process: Walker, Muliere (1997). Kaplan, Meier (1958) at strength 0.

    Example:
        >>> came = np.array([[2.0, 1.0, 0.0]])
        >>> shrunken_shares(came, np.zeros((1, 3)), prior=np.array([[0.2, 0.2, 0.6]]), strength=1.0).round(3).tolist()
        [[0.55, 0.3, 0.15]]
    """
    if strength < 0:
        raise ValueError(f"strength must be >= 0, got {strength}")
    prior = np.broadcast_to(np.asarray(prior, dtype=np.float64), came.shape)
    still = np.cumsum(prior[:, ::-1], axis=1)[:, ::-1]
    weight = max(strength, _LEAST)
    at_risk = weight * still + orders_at_risk(came, open_above)
    hazard = np.where(at_risk > 0, (weight * prior + came) / np.maximum(at_risk, 1e-300), 1.0)
    # Nothing lies beyond the grid.
    hazard[:, -1] = 1.0
    survived = np.cumprod(1 - np.clip(hazard, 0, 1), axis=1)
    before = np.concatenate([np.ones((came.shape[0], 1)), survived[:, :-1]], axis=1)
    found: NDArray[np.float64] = before - survived
    return found


def log_likelihood(came: Floats, open_above: Floats, *, prior: Floats, strength: float) -> float:
    """Return the log of how likely the groups' histories are, with each group's own distribution integrated out.

    Every day's hazard is beta-distributed around the prior's, so each day gives a beta-binomial term.

    Args:
        came: shape (n_groups, n_days), orders that came with each delay.
        open_above: same shape, orders that have reached each delay and are still open.
        prior: same shape or (1, n_days), shares of the wider group.
        strength: orders that the prior is worth, > 0.

    Source: Walker, Muliere (1997), Beta-Stacy processes and a generalization of the Polya-urn scheme, section 4.
    """
    prior = np.broadcast_to(np.asarray(prior, dtype=np.float64), came.shape)
    still = np.cumsum(prior[:, ::-1], axis=1)[:, ::-1]
    beyond = np.concatenate([still[:, 1:], np.zeros((came.shape[0], 1))], axis=1)
    survivors = orders_at_risk(came, open_above) - came
    # Where a side's prior is nothing, so is the chance of ever seeing it: the day tells nothing of the strength.
    told = (came + survivors > 0) & (prior > _LEAST) & (beyond > _LEAST)
    here, later = strength * prior[told], strength * beyond[told]
    return float((betaln(here + came[told], later + survivors[told]) - betaln(here, later)).sum())


def likeliest_strength(
    came: Floats, open_above: Floats, *, prior: Floats, strengths: Sequence[float] = STRENGTHS
) -> float:
    """Return which strength of the prior makes the histories likeliest; the largest where there is no history.

    Args:
        came: shape (n_groups, n_days), orders that came with each delay.
        open_above: same shape, orders that have reached each delay and are still open.
        prior: same shape or (1, n_days), shares of the wider group.
        strengths: to choose from, > 0, rising.
    """
    if came.sum() <= 0:
        return strengths[-1]
    scores = [log_likelihood(came, open_above, prior=prior, strength=strength) for strength in strengths]
    best = max(scores)
    # Of those that are as good, the one that trusts a group's few orders least.
    return [strength for strength, score in zip(strengths, scores, strict=True) if score >= best - 1e-9][-1]


def starting_shares(days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what is taken of delays before any order, shape (n_days,): on time, or late with 1 / (2 (1 + d)) above d.

    With such a tail, an order that is d days late takes as likely as not d + 1 days more; what is above the last day
    is given to it.

    Args:
        days: delays of the grid, rising.

    Example:
        >>> starting_shares(np.array([-1, 0, 1, 3])).tolist()
        [0.0, 0.5, 0.25, 0.25]
    """
    above = np.where(days >= 0, 0.5 / (1.0 + np.maximum(days, 0)), 1.0)
    above[-1] = 0.0
    found: NDArray[np.float64] = np.concatenate([[1.0], above[:-1]]) - above
    return found


def longer_days(reached: Floats, uniforms: Floats) -> NDArray[np.float64]:
    """Return how many days more an order takes that is later than any before, same shape: the tail above, >= 1.

    Args:
        reached: days after the promise that it has taken, >= 0.
        uniforms: same shape, in [0, 1).
    """
    more = (1.0 + reached) * uniforms / np.maximum(1 - uniforms, _LEAST)
    found: NDArray[np.float64] = np.clip(np.ceil(more), 1, LONGEST_DAYS)
    return found
