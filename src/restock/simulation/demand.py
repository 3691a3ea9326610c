"""Latent demand: a rate per article, store and day from named effects, and the demand drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from restock.simulation.arrays import Floats, Ints
from restock.simulation.catalogue import Catalogue
from restock.simulation.categories import CATEGORIES, SUBCATEGORIES, WEEKLY_PROFILES
from restock.simulation.chain import Chain
from restock.simulation.prices import Prices
from restock.simulation.trading_days import TradingDays

_DAYS_PER_YEAR = 365.25
_SATURDAY = 5
_RAMP_DAYS = 25.0  # a new article reaches 63 % of its rate after so many days
_AFTER_PROMOTION_LOG = -0.16
# Slow local levels, stationary AR(1) on the log scale: (correlation from day to day, standard deviation).
_ARTICLE_LEVEL = (0.990, 0.14)
_CELL_LEVEL = (0.980, 0.16)
_STORE_SHOCK = (0.50, 0.07)


@dataclass(frozen=True, kw_only=True)
class KnownEffects:
    """Effects on log demand that a planner could know ahead, each of shape (n_skus, n_all_days)."""

    weekly: Floats
    season: Floats
    event: Floats
    promotion: Floats
    price: Floats


@dataclass(frozen=True, kw_only=True)
class LatentDemand:
    """What customers want, whether or not it is there; arrays of shape (n_skus, n_stores, n_days).

    Attributes:
        mean_units: the mean that each day's demand is drawn with, local levels included; 0 where not listed.
        demand_units: the demand drawn.
    """

    mean_units: Floats
    demand_units: Ints


def know_effects(catalogue: Catalogue, days: TradingDays, prices: Prices, *, rng: np.random.Generator) -> KnownEffects:
    """Return the effects of week, season, events, promotions and list prices on log demand."""
    n_skus = catalogue.n_skus
    profile = np.log([WEEKLY_PROFILES[CATEGORIES[index]] for index in catalogue.category])
    profile = profile + 0.05 * rng.standard_normal((n_skus, 7))
    traits = [SUBCATEGORIES[index] for index in catalogue.subcategory]
    amplitude = np.array([trait.season_amplitude for trait in traits]) * rng.uniform(0.7, 1.3, n_skus)
    peak = np.array([trait.season_peak_day for trait in traits]) + rng.normal(0, 8, n_skus)
    angle = 2 * np.pi * (days.day_of_year - peak[:, None]) / _DAYS_PER_YEAR
    discount_elasticity = rng.uniform(1.6, 2.8, n_skus)[:, None]
    display = rng.uniform(0.15, 0.40, n_skus)[:, None]
    list_elasticity = rng.uniform(0.6, 1.6, n_skus)[:, None]
    return KnownEffects(
        weekly=profile[:, days.weekday],
        season=amplitude[:, None] * np.cos(angle),
        event=days.event_effect[catalogue.category],
        promotion=-discount_elasticity * prices.discount_log
        + display * prices.is_promoted
        + _AFTER_PROMOTION_LOG * (prices.is_after_promotion & ~prices.is_promoted),
        price=-list_elasticity * prices.list_change_log,
    )


def latent_mean(
    catalogue: Catalogue, chain: Chain, *, days: TradingDays, effects: KnownEffects, rng: np.random.Generator
) -> Floats:
    """Return mean demand per article, store and day of history, units, shape (n_skus, n_stores, n_days).

    Assumptions: effects multiply; levels of articles, of article x store and of stores wander as independent AR(1).
    """
    n_skus, n_stores, n_days = catalogue.n_skus, chain.n_stores, days.n_days
    known = effects.weekly + effects.season + effects.event + effects.promotion + effects.price
    trend = rng.normal(0.02, 0.10, n_skus)[:, None] * np.arange(n_days) / _DAYS_PER_YEAR
    article = np.log(catalogue.base_rate)[:, None] + known[:, :n_days] + trend
    article = article + _wandering_level((n_skus, n_days), _ARTICLE_LEVEL, rng=rng)
    taste = rng.normal(0, 0.25, (n_skus, n_stores))
    is_weekend = days.weekday[:n_days] >= _SATURDAY
    store = np.log(chain.store_size)[:, None] + chain.weekend_tilt[:, None] * is_weekend
    store = store + _wandering_level((n_stores, n_days), _STORE_SHOCK, rng=rng)
    log_mean = article[:, None, :] + store[None, :, :] + taste[:, :, None]
    log_mean += _wandering_level((n_skus, n_stores, n_days), _CELL_LEVEL, rng=rng)
    age = np.arange(n_days) - catalogue.launch_day[:, None]
    ramp = np.where(catalogue.launch_day[:, None] > 0, 1 - np.exp(-(np.maximum(age, 0) + 2.0) / _RAMP_DAYS), 1.0)
    is_sold = (age >= 0)[:, None, :] & chain.is_listed[:, :, None]
    return np.where(is_sold, np.exp(log_mean) * ramp[:, None, :], 0.0)


def draw_demand(mean_units: Floats, catalogue: Catalogue, *, rng: np.random.Generator) -> LatentDemand:
    """Return demand drawn with the given means.

    Assumptions: given the mean, days are independent. Regular articles: negative binomial with variance
    mean + mean^2 / r. Intermittent ones: a Poisson number of customers, each taking a geometric batch.
    """
    demand = np.zeros(mean_units.shape, dtype=np.int64)
    regular, rare = ~catalogue.is_intermittent, catalogue.is_intermittent
    size = catalogue.dispersion[regular][:, None, None]
    demand[regular] = rng.poisson(mean_units[regular] * rng.gamma(size, 1 / size, mean_units[regular].shape))
    batch = np.broadcast_to(catalogue.batch_units[rare][:, None, None], mean_units[rare].shape)
    customers = rng.poisson(mean_units[rare] / batch)
    batches = customers.copy()
    comes = customers > 0
    batches[comes] += rng.negative_binomial(customers[comes], 1 / batch[comes])
    demand[rare] = batches
    return LatentDemand(mean_units=mean_units, demand_units=demand)


def _wandering_level(shape: tuple[int, ...], level: tuple[float, float], *, rng: np.random.Generator) -> Floats:
    """Return stationary AR(1) paths along the last axis."""
    correlation, deviation = level
    path = rng.standard_normal(shape)
    path[..., 0] *= deviation
    path[..., 1:] *= deviation * np.sqrt(1 - correlation**2)
    for day in range(1, shape[-1]):
        path[..., day] += correlation * path[..., day - 1]
    return path
