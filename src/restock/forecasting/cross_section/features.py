"""Rows of the cross-section model: a series' level and momentum, and how it and its peers sold in similar periods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from restock.forecasting.cross_section.history import Codes, PanelHistory, window_mean
from restock.forecasting.cross_section.response import PlanResponse, momentum_columns, response_columns
from restock.forecasting.panel import FloatArray

Columns = dict[str, FloatArray]

SEASON_PERIODS = 7
# Periods that a similar period is looked for in, before the cutoff.
_SIMILAR_PERIODS = 42
# A period this much older counts half as much: 0.965 ** 20.
_SIMILAR_DECAY = 0.965
_PRICE_BANDWIDTH = 0.05
_OTHER_PROMOTION_WEIGHT = 0.3
_OTHER_HOLIDAY_WEIGHT = 0.25
# What a period that was wholly out of stock still tells.
_SMALLEST_CERTAINTY = 0.2
# Periods that a series' own level is worth beside what was observed.
_PRIOR_PERIODS = 0.5
_SMALLEST_LEVEL_UNITS = 0.05
_LEVEL_WINDOWS = ((7, 0.3), (14, 0.4), (28, 0.3))
_SEASONS = 6


def level_units(history: PanelHistory, origin: int) -> FloatArray:
    """Return the recent level of every series as of `origin`, units per period, never zero; shape (n_series,)."""
    level = sum(weight * window_mean(history.sums["sales"], origin, periods) for periods, weight in _LEVEL_WINDOWS)
    return np.maximum(level, np.float32(_SMALLEST_LEVEL_UNITS)).astype(np.float32)


def origin_columns(history: PanelHistory, origin: int, *, level: FloatArray, response: PlanResponse) -> Columns:
    """Return what is known at the end of `origin`, in units of the series' level; each of shape (n_series,)."""
    sums = history.sums
    columns: Columns = {}
    for periods in (1, 2, 3, 5, 7, 14, 21, 28, 42):
        columns[f"mean_{periods}"] = window_mean(sums["sales"], origin, periods) / level
    for periods in (3, 7, 14, 28):
        in_stock = 1 - window_mean(sums["stockouts"], origin, periods)
        mean = window_mean(sums["sales"], origin, periods)
        columns[f"in_stock_mean_{periods}"] = (mean / np.maximum(in_stock, 0.1) / level).astype(np.float32)
    for lag in range(3):
        columns[f"lag_{lag}"] = history.sales[:, max(origin - lag, 0)] / level
    for periods in (1, 3, 7, 14, 28):
        columns[f"stockout_share_{periods}"] = window_mean(sums["stockouts"], origin, periods)
        columns[f"price_{periods}"] = window_mean(sums["price"], origin, periods)
    for periods in (7, 28):
        columns[f"zero_share_{periods}"] = window_mean(sums["zeros"], origin, periods)
    for periods in (1, 7, 28):
        columns[f"promoted_share_{periods}"] = window_mean(sums["promoted"], origin, periods)
    mean = window_mean(sums["sales"], origin, 28)
    variance = window_mean(sums["squares"], origin, 28) - mean * mean
    columns["deviation_28"] = (np.sqrt(np.maximum(variance, 0)) / level).astype(np.float32)
    columns["log_level"] = np.log(level)
    for decay in (0.8, 0.93):
        columns[f"smoothed_{decay}"] = _smoothed_level(history, origin, decay=decay) / level
    for name in ("sku", "location", "subcategory", "sku_region"):
        code = history.codes[name]
        peers = (np.bincount(code, level) / np.bincount(code))[code]
        columns[f"{name}_relative_level"] = np.log(level / peers).astype(np.float32)
    for name in ("category", "subcategory", "region"):
        columns[f"{name}_code"] = history.codes[name].astype(np.float32)
    return columns | momentum_columns(response, history.codes)


def target_columns(
    history: PanelHistory,
    origin: int,
    *,
    horizon: int,
    level: FloatArray,
    response: PlanResponse,
    known_ahead: tuple[str, ...],
) -> Columns:
    """Return what is known about the period `horizon` after `origin`; each of shape (n_series,).

    Of periods after the origin only holidays are read, and prices and promotions where `known_ahead` names them.

    Args:
        history: the panel's.
        origin: last known period.
        horizon: periods after it.
        level: of `level_units` at the origin.
        response: of `plan_response` at the origin.
        known_ahead: columns whose plan is known: `unit_price`, `is_promoted`.
    """
    target = origin + horizon
    columns = _season_columns(history, origin, target=target, level=level)
    columns |= {
        "horizon": np.full(history.n_series, horizon, dtype=np.float32),
        "season_position": np.full(history.n_series, target % SEASON_PERIODS, dtype=np.float32),
        "is_holiday": history.is_holiday[:, target],
        "is_holiday_before": history.is_holiday[:, target - 1],
        "is_holiday_after": history.is_holiday[:, min(target + 1, history.is_holiday.shape[1] - 1)],
        "holiday_share": np.full(history.n_series, history.is_holiday[:, target].mean(), dtype=np.float32),
    }
    if "unit_price" in known_ahead:
        columns |= _price_columns(history, origin, target=target)
    if "is_promoted" in known_ahead:
        planned = history.is_promoted[:, target]
        columns["is_promoted"] = planned
        columns["promotion_change"] = planned - window_mean(history.sums["promoted"], origin, SEASON_PERIODS)
        columns["was_promoted_before"] = history.is_promoted[:, target - 1]
        columns |= _group_promotion_columns(history, origin, target=target)
    columns |= response_columns(response, history, target=target, known_ahead=known_ahead)
    return columns | _similar_columns(history, origin, target=target, level=level, known_ahead=known_ahead)


def _season_columns(history: PanelHistory, origin: int, *, target: int, level: FloatArray) -> Columns:
    """Return the same place of the last seasons: of the series, and of its groups."""
    places = [place for place in range(target - SEASON_PERIODS, -1, -SEASON_PERIODS) if place <= origin][:_SEASONS]
    if not places:
        return {}
    sales, in_stock = history.sales[:, places], history.in_stock_share[:, places]
    certainty = _SMALLEST_CERTAINTY + (1 - _SMALLEST_CERTAINTY) * in_stock
    weights = certainty * np.float32(0.85) ** np.arange(len(places), dtype=np.float32)
    smoothed = ((weights * sales).sum(axis=1) + _PRIOR_PERIODS * level) / (weights.sum(axis=1) + _PRIOR_PERIODS)
    return {
        "season_1": sales[:, 0] / level,
        "season_2": sales[:, :2].mean(axis=1) / level,
        "season_4": sales[:, :4].mean(axis=1) / level,
        "in_stock_season_4": sales[:, :4].sum(axis=1) / np.maximum(in_stock[:, :4].sum(axis=1), 0.3) / level,
        "smoothed_season": (smoothed / level).astype(np.float32),
        "season_stockout_share": 1 - in_stock[:, :4].mean(axis=1),
        "season_price": history.price[:, places[0]],
        "season_price_4": history.price[:, places[:4]].mean(axis=1),
        "season_promoted": history.is_promoted[:, places[0]],
    }


def _price_columns(history: PanelHistory, origin: int, *, target: int) -> Columns:
    """Return the planned price beside the prices before, of the series and of its groups."""
    price = history.price[:, target]
    recent = {periods: window_mean(history.sums["price"], origin, periods) for periods in (7, 14, 28)}
    before = max(target - SEASON_PERIODS, 0)
    columns = {
        "target_price": price,
        "price_ratio_7": price / np.maximum(recent[7], np.float32(0.05)),
        "price_ratio_28": price / np.maximum(recent[28], np.float32(0.05)),
        "price_change_season": price - history.price[:, min(before, origin)],
        "price_change": price - history.price[:, target - 1],
        "planned_price_change": history.price[:, origin + 1 : target + 1].mean(axis=1) - recent[14],
    }
    for name in ("sku", "sku_region"):
        group_price, code = history.group_price[name], history.codes[name]
        change = group_price[:, target] - group_price[:, before]
        columns[f"{name}_price_change_season"] = change[code].astype(np.float32)
        columns[f"{name}_price_change_before"] = (group_price[:, target] - group_price[:, target - 1])[code].astype(
            np.float32
        )
        columns[f"price_beside_{name}"] = price - group_price[code, target].astype(np.float32)
    for name in ("sku", "sku_region", "location"):
        group_price, code = history.group_price[name], history.codes[name]
        usual = group_price[:, max(0, origin - 13) : origin + 1].mean(axis=1)
        columns[f"{name}_target_price"] = group_price[code, target].astype(np.float32)
        columns[f"{name}_price_change"] = (group_price[:, target] - usual)[code].astype(np.float32)
    return columns


def _group_promotion_columns(history: PanelHistory, origin: int, *, target: int) -> Columns:
    """Return how much of a series' sku is promoted, beside the last periods and the same place of the last season."""
    columns: Columns = {}
    for name in ("sku", "sku_region"):
        promoted, code = history.group_promoted[name], history.codes[name]
        planned = promoted[:, target]
        usual = promoted[:, max(0, origin - 13) : origin + 1].mean(axis=1)
        before = promoted[:, max(target - SEASON_PERIODS, 0)]
        columns[f"{name}_promoted_share"] = planned[code].astype(np.float32)
        columns[f"{name}_promoted_change"] = (planned - usual)[code].astype(np.float32)
        columns[f"{name}_promoted_change_season"] = (planned - before)[code].astype(np.float32)
    return columns


def _similar_columns(
    history: PanelHistory, origin: int, *, target: int, level: FloatArray, known_ahead: tuple[str, ...]
) -> Columns:
    """Return the mean sales of past periods that are like the target: in price, promotion, and being a holiday.

    A kernel regression on the last periods, each weighted by its age, by how surely its sales were demand, and by how
    near it is to what is planned; over the series itself and over the series of the same sku.
    """
    past = slice(max(0, origin + 1 - _SIMILAR_PERIODS), origin + 1)
    age = np.arange(origin - past.start, -1, -1, dtype=np.float32)
    sales = history.sales[:, past]
    certainty = _SMALLEST_CERTAINTY + (1 - _SMALLEST_CERTAINTY) * history.in_stock_share[:, past]
    recent = certainty * np.float32(_SIMILAR_DECAY) ** age
    same_day = history.is_holiday[:, past] == history.is_holiday[:, target, None]
    by_day = recent * np.where(same_day, np.float32(1), np.float32(_OTHER_HOLIDAY_WEIGHT))
    columns: Columns = {}
    columns |= _similar_means("day", by_day, sales=sales, level=level, groups={})
    if "unit_price" not in known_ahead:
        return columns
    gap = (history.price[:, past] - history.price[:, target, None]) / np.float32(_PRICE_BANDWIDTH)
    nearness = np.exp(-gap * gap)
    groups = {name: history.codes[name] for name in ("sku", "sku_region")}
    columns |= _similar_means("price", recent * nearness, sales=sales, level=level, groups=groups)
    columns |= _similar_means("price_day", by_day * nearness, sales=sales, level=level, groups=groups)
    if "is_promoted" in known_ahead:
        same = history.is_promoted[:, past] == history.is_promoted[:, target, None]
        weights = recent * nearness * np.where(same, np.float32(1), np.float32(_OTHER_PROMOTION_WEIGHT))
        columns |= _similar_means("price_promotion", weights, sales=sales, level=level, groups={})
    return columns


def _similar_means(
    name: str, weights: FloatArray, *, sales: FloatArray, level: FloatArray, groups: Mapping[str, Codes]
) -> Columns:
    """Return the weighted mean of `sales` by series, shrunk to the level, and by group, in units of the level."""
    total, weight = np.einsum("ij,ij->i", weights, sales), weights.sum(axis=1)
    mean = (total + _PRIOR_PERIODS * level) / (weight + _PRIOR_PERIODS)
    columns = {f"similar_{name}": mean / level, f"similar_{name}_weight": weight}
    for group, code in groups.items():
        ratio = (np.bincount(code, total) + 1) / (np.bincount(code, weight * level) + 1)
        columns[f"{group}_similar_{name}"] = ratio[code].astype(np.float32)
    return columns


def _smoothed_level(history: PanelHistory, origin: int, *, decay: float) -> FloatArray:
    """Return the exponentially weighted mean of the last 28 periods, each by how surely its sales were demand."""
    past = slice(max(0, origin - 27), origin + 1)
    age = np.arange(origin - past.start, -1, -1, dtype=np.float32)
    certainty = _SMALLEST_CERTAINTY + (1 - _SMALLEST_CERTAINTY) * history.in_stock_share[:, past]
    weights = certainty * np.float32(decay) ** age
    smoothed: FloatArray = (weights * history.sales[:, past]).sum(axis=1) / weights.sum(axis=1)
    return smoothed
