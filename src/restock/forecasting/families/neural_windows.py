"""What the neural family reads: lookback windows, covariates known ahead and static codes, as dense arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.forecasting.censoring import CensoringRule
from restock.forecasting.known_demand import known_demand
from restock.forecasting.panel import DemandPanel, FloatArray
from restock.timeline import Frequency

IntArray = NDArray[np.int32]
IndexArray = NDArray[np.intp]

STATIC_ATTRIBUTES = ("category", "subcategory", "location", "region")
HISTORY_CHANNELS = 5  # log sales, observed, promoted, log price ratio, holiday
_ALIGNED_CHANNELS = 3  # log sales, observed, promoted at the same point of each past season
_SUMMARY_NUMBERS = 4  # log scale, age, share of observed periods, share of observed periods without sales
_UNSEEN_CODE = 0
# A series that never sold still needs a scale to divide by; well below one unit a period.
_SCALE_FLOOR_UNITS = 0.1
_AGE_CAP_PERIODS = 730
_MAX_ABS_LOG_PRICE_RATIO = 1.5
_YEAR_DAYS = 365.25


@dataclass(frozen=True, kw_only=True)
class WindowLayout:
    """How windows are laid out; fixed when the network is fitted.

    Attributes:
        horizon: periods forecast.
        lookback_periods: periods of history read.
        frequency: length of one period.
        known_ahead: which of is_promoted and unit_price may be read beyond the cutoff.
        censoring: what counts as cut off by a stockout, and what is recovered.
    """

    horizon: int
    lookback_periods: int
    frequency: Frequency
    known_ahead: tuple[str, ...]
    censoring: CensoringRule

    @property
    def n_past_seasons(self) -> int:
        """How many whole seasons the lookback holds."""
        return self.lookback_periods // self.frequency.season_periods

    @property
    def calendar_width(self) -> int:
        """How many calendar harmonics a period has."""
        return int(calendar_harmonics(np.zeros(1, dtype="datetime64[D]"), frequency=self.frequency).shape[1])

    @property
    def future_width(self) -> int:
        """How many numbers describe one period of the horizon."""
        return self.calendar_width + 4 + _ALIGNED_CHANNELS * self.n_past_seasons

    @property
    def number_width(self) -> int:
        """How many numbers describe a window as a whole."""
        return self.calendar_width + _SUMMARY_NUMBERS


def calendar_names(frequency: Frequency) -> tuple[str, ...]:
    """Return the names of what `calendar_harmonics` gives, in its order."""
    phases = ["year_1", "year_2"]
    if frequency is Frequency.DAILY:
        phases += ["week_1", "week_2", "week_3"]
    return tuple(f"{phase}_{wave}" for wave in ("sine", "cosine") for phase in phases)


def future_names(layout: WindowLayout) -> tuple[str, ...]:
    """Return the names of the numbers that describe one period of the horizon; `future_width` of them."""
    aligned = ("log_sales", "observed", "promoted")
    past = [f"past_season_{back}_{channel}" for back in range(1, layout.n_past_seasons + 1) for channel in aligned]
    return (*calendar_names(layout.frequency), "is_holiday", "is_promoted", "log_price_ratio", "step", *past)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows as the network reads them.

    Attributes:
        history: shape (n, lookback_periods, HISTORY_CHANNELS); sales are log1p of sales over the scale, masked
            periods 0.
        future: shape (n, horizon, future_width): calendar, holiday, promotion, price ratio, step, aligned past seasons.
        numbers: shape (n, number_width).
        codes: shape (n, len(STATIC_ATTRIBUTES)).
        scale_units: shape (n,), units per period; what the network's output is multiplied by.
    """

    history: FloatArray
    future: FloatArray
    numbers: FloatArray
    codes: IntArray
    scale_units: FloatArray

    def as_inputs(self, rows: slice | IndexArray) -> dict[str, NDArray[np.float32] | IntArray]:
        """Return the network's inputs for some of the windows, by name."""
        return {
            "history": self.history[rows],
            "future": self.future[rows],
            "numbers": self.numbers[rows],
            "codes": self.codes[rows],
        }


Vocabularies = Mapping[str, tuple[str, ...]]


def build_vocabularies(series: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the known values of each static attribute, sorted; code 0 is kept for values not among them."""
    return {name: tuple(series[name].unique().sort().to_list()) for name in STATIC_ATTRIBUTES}


def vocabulary_size(vocabularies: Vocabularies) -> int:
    """Return how many codes there are over all attributes, the unseen ones included."""
    return sum(len(vocabularies[name]) + 1 for name in STATIC_ATTRIBUTES)


def unseen_codes(vocabularies: Vocabularies) -> IntArray:
    """Return the code of a value that is not in the vocabulary, per attribute: shape (len(STATIC_ATTRIBUTES),)."""
    sizes = [len(vocabularies[name]) + 1 for name in STATIC_ATTRIBUTES]
    return np.array([*accumulate(sizes[:-1], initial=0)], dtype=np.int32)


def encode_series(series: pl.DataFrame, vocabularies: Vocabularies) -> IntArray:
    """Return the codes of every series: shape (n_series, len(STATIC_ATTRIBUTES)).

    All attributes share one code space, so that one embedding serves them: attribute i begins at `unseen_codes[i]`.

    Example:
        >>> known = {"category": ("bread",), "subcategory": ("",), "location": ("L1", "L2"), "region": ("",)}
        >>> encode_series(pl.DataFrame({"category": ["bread", "new"], "subcategory": ["", ""],
        ...                             "location": ["L2", "L9"], "region": ["", ""]}), known).tolist()
        [[1, 3, 6, 8], [0, 3, 4, 8]]
    """
    columns = []
    for name in STATIC_ATTRIBUTES:
        # Plain lookups: for one series, the service's case, a polars join costs more than the network.
        code_of = {value: code for code, value in enumerate(vocabularies[name], start=1)}
        columns.append([code_of.get(value, _UNSEEN_CODE) for value in series[name].to_list()])
    return np.array(columns, dtype=np.int32).T + unseen_codes(vocabularies)


def build_windows(
    panel: DemandPanel,
    series_rows: IndexArray,
    *,
    cutoffs: IndexArray,
    layout: WindowLayout,
    codes: IntArray,
    visible_periods: IndexArray | None = None,
) -> Windows:
    """Return the windows of some (series, cutoff) pairs; nothing of the sales after a cutoff is read.

    Args:
        panel: grid of at least cutoff + horizon periods for every cutoff.
        series_rows: shape (n,), rows of the panel.
        cutoffs: shape (n,), index of the last period whose sales may be read.
        layout: how windows are laid out.
        codes: shape (panel.n_series, len(STATIC_ATTRIBUTES)).
        visible_periods: shape (n,), how many periods up to the cutoff may be read, to show the network short
            histories in training; all where None.
    """
    lookback, horizon = layout.lookback_periods, layout.horizon
    n_visible = np.full(len(cutoffs), lookback) if visible_periods is None else visible_periods
    is_hidden = np.arange(lookback) < lookback - n_visible[:, None]

    def history_of(grid: FloatArray) -> FloatArray:
        values = _gather(grid, series_rows, first=cutoffs - lookback + 1, length=lookback)
        values[is_hidden] = np.nan
        return values

    def future_of(grid: FloatArray) -> FloatArray:
        return _gather(grid, series_rows, first=cutoffs + 1, length=horizon)

    sales, demand = history_of(panel.sales_units), history_of(known_demand(panel, layout.censoring).units)
    is_known, is_clean = np.isfinite(sales), np.isfinite(demand)
    scale = _scale_units(np.where(is_clean, demand, sales), is_known=is_known, is_clean=is_clean)
    price_ratio, price_ratio_ahead = _log_price_ratios(
        history_of(panel.unit_price), future_of(panel.unit_price), is_known_ahead="unit_price" in layout.known_ahead
    )
    promoted_ahead = np.nan_to_num(future_of(panel.is_promoted)) * float("is_promoted" in layout.known_ahead)
    history = np.stack(
        [
            _log_scaled(demand, scale),
            is_clean.astype(np.float32),
            np.nan_to_num(history_of(panel.is_promoted)),
            price_ratio,
            np.nan_to_num(history_of(panel.is_holiday)),
        ],
        axis=-1,
    )
    calendar = _calendar_of(panel, layout=layout)
    ahead = [np.nan_to_num(future_of(panel.is_holiday)), promoted_ahead, price_ratio_ahead]
    of_calendar = calendar[cutoffs[:, None] + np.arange(1, horizon + 1)]
    age = cutoffs + 1 - _first_known(panel)[series_rows]
    age = age if visible_periods is None else np.minimum(age, visible_periods)
    numbers = np.concatenate([calendar[cutoffs], _summary(history, scale, age=age)], axis=-1)
    return Windows(
        history=history.astype(np.float32),
        future=_future(history, ahead, calendar=of_calendar, layout=layout),
        numbers=numbers.astype(np.float32),
        codes=codes[series_rows],
        scale_units=scale,
    )


def _future(
    history: FloatArray, ahead: Sequence[FloatArray], *, calendar: FloatArray, layout: WindowLayout
) -> FloatArray:
    """Return what describes the periods of the horizon, shape (n, horizon, future_width).

    Args:
        history: the window's channels.
        ahead: holidays, promotions and price ratios, each of shape (n, horizon).
        calendar: harmonics of the same periods.
        layout: how windows are laid out.
    """
    step = np.broadcast_to(np.arange(1, layout.horizon + 1, dtype=np.float32) / layout.horizon, ahead[0].shape)
    aligned = _aligned_seasons(history[:, :, :_ALIGNED_CHANNELS], layout=layout)
    return np.concatenate([calendar, np.stack([*ahead, step], axis=-1), aligned], axis=-1).astype(np.float32)


def _log_scaled(demand: FloatArray, scale: FloatArray) -> FloatArray:
    """Return log(1 + demand over scale), 0 where demand is not known; shape (n, lookback)."""
    logs = np.log1p(np.maximum(np.nan_to_num(demand), 0) / scale[:, None])
    return np.where(np.isfinite(demand), logs, 0).astype(np.float32)


def _summary(history: FloatArray, scale: FloatArray, *, age: IndexArray) -> FloatArray:
    """Return what describes a window as a whole, shape (n, _SUMMARY_NUMBERS)."""
    log_sales, observed = history[:, :, 0], history[:, :, 1]
    n_clean = np.maximum(observed.sum(axis=1), 1)
    return np.stack(
        [
            np.log(scale),
            np.log1p(np.clip(age, 0, _AGE_CAP_PERIODS)) / np.log1p(_AGE_CAP_PERIODS),
            observed.mean(axis=1),
            (observed * (log_sales == 0)).sum(axis=1) / n_clean,
        ],
        axis=-1,
    )


def _gather(grid: FloatArray, rows: IndexArray, *, first: IndexArray, length: int) -> FloatArray:
    """Return `length` periods from `first` on of each row, shape (n, length); NaN before the grid's beginning."""
    padding = max(0, -int(first.min(initial=0)))
    padded = np.pad(grid, ((0, 0), (padding, 0)), constant_values=np.nan) if padding else grid
    view = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
    values: FloatArray = view[rows, first + padding]
    return values


def _scale_units(sales: FloatArray, *, is_known: NDArray[np.bool_], is_clean: NDArray[np.bool_]) -> FloatArray:
    """Return each window's mean uncensored sales plus a floor; where all are censored, the mean of what was sold."""
    use = np.where(is_clean.any(axis=1, keepdims=True), is_clean, is_known)
    total = np.where(use, np.maximum(np.nan_to_num(sales), 0), 0).sum(axis=1, dtype=np.float64)
    scale: FloatArray = (total / np.maximum(use.sum(axis=1), 1) + _SCALE_FLOOR_UNITS).astype(np.float32)
    return scale


def _log_price_ratios(past: FloatArray, ahead: FloatArray, *, is_known_ahead: bool) -> tuple[FloatArray, FloatArray]:
    """Return log price over the mean of the lookback, for history and horizon; 0 where there is no price."""
    usable = np.isfinite(past) & (past > 0)
    total = np.where(usable, past, 0).sum(axis=1, keepdims=True)
    mean = total / np.maximum(usable.sum(axis=1, keepdims=True), 1)

    def ratio(price: FloatArray) -> FloatArray:
        valid = np.isfinite(price) & (price > 0) & (mean > 0)
        logs = np.log(np.where(valid, price, 1.0)) - np.log(np.where(valid, mean, 1.0))
        limited: FloatArray = np.clip(logs, -_MAX_ABS_LOG_PRICE_RATIO, _MAX_ABS_LOG_PRICE_RATIO).astype(np.float32)
        return limited

    last = np.broadcast_to(past[:, -1:], ahead.shape)
    return ratio(past), ratio(ahead if is_known_ahead else last)


def _aligned_seasons(history: FloatArray, *, layout: WindowLayout) -> FloatArray:
    """Return, for every step of the horizon, the channels at the same point of each past season, newest first.

    Shape (n, horizon, n_channels * n_past_seasons); all seasons lie at or before the cutoff.
    """
    season = layout.frequency.season_periods
    steps = np.arange(1, layout.horizon + 1)
    periods_back = -(-steps // season) * season - steps
    at = layout.lookback_periods - 1 - periods_back[:, None] - season * np.arange(layout.n_past_seasons)
    aligned = history[:, at, :]
    flat: FloatArray = aligned.reshape(len(history), layout.horizon, -1)
    return flat


def _calendar_of(panel: DemandPanel, *, layout: WindowLayout) -> FloatArray:
    """Return the harmonics of every period of the grid, shape (n_periods, calendar_width)."""
    dates = np.datetime64(panel.start, "D") + np.arange(panel.n_periods) * layout.frequency.days
    return calendar_harmonics(dates, frequency=layout.frequency)


def calendar_harmonics(dates: NDArray[np.datetime64], *, frequency: Frequency) -> FloatArray:
    """Return sine and cosine of the week (days only: three harmonics hold any weekly shape) and of the year (two)."""
    days = dates.astype("datetime64[D]").astype(np.int64)
    year_start = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    phases = [(days - year_start) / _YEAR_DAYS * k for k in (1, 2)]
    if frequency is Frequency.DAILY:
        phases += [days % 7 / 7 * k for k in (1, 2, 3)]
    angles = 2 * np.pi * np.stack(phases, axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _first_known(panel: DemandPanel) -> IndexArray:
    """Return the index of each series' first observed period; the grid's length where there is none."""
    known = np.isfinite(panel.sales_units)
    first: IndexArray = np.where(known.any(axis=1), known.argmax(axis=1), panel.n_periods)
    return first
