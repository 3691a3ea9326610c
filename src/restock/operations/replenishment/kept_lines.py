"""Some lines of a kept plan with all they were planned on: what explanations, what-if and recommendations start from.

Only what is asked for is read and drawn, as every line's paths follow from its own name; the numbers are those of the
plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from restock.errors import DataError, NotFoundError
from restock.forecasting.panel import CATEGORY_SEPARATOR
from restock.operations.replenishment.daily_plan import DailyPlan, list_plans, read_daily_plan
from restock.operations.replenishment.plan import order_lines_of
from restock.operations.replenishment.plan_inputs import LINES_FILE, PlanInputs, read_inputs
from restock.operations.replenishment.policy import Policy
from restock.operations.replenishment.replay import is_warehouse
from restock.operations.replenishment.simulation import planner_terms
from restock.params import ReplenishmentParams
from restock.replenishment.order_lines import Objective, OrderLines, OrderTerms
from restock.replenishment.policy_tuning import line_multiples
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.settings import Settings
from restock.timeline import Frequency

PERIOD_NAMES = {Frequency.DAILY: "day", Frequency.WEEKLY: "week"}


@dataclass(frozen=True, kw_only=True)
class LineChoice:
    """Which lines of a plan; what is left empty chooses all.

    Attributes:
        skus: any of these.
        location: there.
        supplier: from whom.
        category: path that the sku's category begins with.
        pairs: any of these skus at locations.
    """

    skus: tuple[str, ...] = ()
    location: str | None = None
    supplier: str | None = None
    category: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()

    def matches(self, lines: pl.DataFrame) -> NDArray[np.bool_]:
        """Return which lines are chosen, shape (n_lines,)."""
        conditions = []
        if self.skus:
            conditions.append(pl.col("sku").is_in(list(self.skus)))
        if self.location is not None:
            conditions.append(pl.col("location") == self.location)
        if self.supplier is not None:
            conditions.append(pl.col("supplier") == self.supplier)
        if self.category is not None:
            path = pl.col("category_path")
            conditions.append((path == self.category) | path.str.starts_with(self.category + CATEGORY_SEPARATOR))
        found = np.ones(lines.height, dtype=np.bool_)
        for condition in conditions:
            found &= lines.select(is_chosen=condition)["is_chosen"].to_numpy()
        if self.pairs:
            asked = set(self.pairs)
            found &= np.array([pair in asked for pair in lines.select("sku", "location").iter_rows()], dtype=np.bool_)
        return found


@dataclass(frozen=True, kw_only=True)
class KeptLines:
    """Some lines of a kept plan, in the order of its table.

    Attributes:
        kept: the whole plan.
        table: rows of table `plan`, of these lines.
        lines: what was known of them, as `PlanInputs.lines`; the source of a line whose warehouse is not chosen is -1.
        is_warehouse: shape (n_lines,), which supply others, chosen or not.
        is_bought: shape (n_lines,), which are ordered from outside.
        order_lines: with paths and stock; of a warehouse what its stores order now has left.
        terms: as planned: the shortage cost is that which the policy reckons with.
        real_terms: the same with the shortage cost that counts.
        params: section of the plan.
        policy: of the plan.
        frequency: length of one period.
    """

    kept: DailyPlan
    table: pl.DataFrame
    lines: pl.DataFrame
    is_warehouse: NDArray[np.bool_]
    is_bought: NDArray[np.bool_]
    order_lines: OrderLines
    terms: OrderTerms
    real_terms: OrderTerms
    params: ReplenishmentParams
    policy: Policy
    frequency: Frequency

    @property
    def objective(self) -> Objective:
        """What the plan aims at."""
        return Objective(self.params.objective)

    @property
    def period_name(self) -> str:
        """One period, in words."""
        return PERIOD_NAMES[self.frequency]


def latest_plan_day(data_dir: Path) -> date:
    """Return the day of the latest kept plan.

    Raises:
        NotFoundError: none is kept.
    """
    days = list_plans(data_dir)
    if not days:
        raise NotFoundError("no plan is kept yet. Make one: restock replenish plan --as-of DAY.")
    return days[-1]


def read_kept_lines(
    settings: Settings, choice: LineChoice, *, as_of: date | None = None, most_lines: int | None = None
) -> KeptLines:
    """Return the chosen lines of a kept plan.

    Args:
        settings: workspace with the plan, its forecast and the versions that made them.
        choice: which.
        as_of: day of the plan; None: the latest.
        most_lines: more are refused; None: any number.

    Raises:
        NotFoundError: the day has no plan, or no line of it is chosen.
        DataError: its forecast was replaced since, or too many lines are chosen.
    """
    day = as_of or latest_plan_day(settings.data_dir)
    kept = read_daily_plan(settings.data_dir, as_of=day)
    described = kept.description
    every = _read_lines(kept.folder)
    chosen = choice.matches(every)
    if not chosen.any():
        raise NotFoundError(f"no line of the plan of {day} is {_words(choice)}.{_why_skipped(kept, choice)}")
    if most_lines is not None and int(chosen.sum()) > most_lines:
        raise DataError(
            f"{int(chosen.sum()):,} lines are chosen, expected at most {most_lines:,}. Choose fewer: by sku, location, "
            "supplier or category."
        )
    supplies = is_warehouse(every)
    sources = every["source"].to_numpy()
    # A warehouse's demand is that of all it supplies, so these are read beside it.
    beside = chosen | np.isin(sources, np.flatnonzero(chosen & supplies))
    rows = np.flatnonzero(beside)
    inputs = read_inputs(
        settings.data_dir,
        settings.models_dir,
        kept.folder,
        as_of=day,
        forecast=described["forecast"],
        frequency=Frequency(described["frequency"]),
        wanted=lambda _: rows,
    )
    params = ReplenishmentParams.model_validate(described["params"])
    policy = Policy.from_json(described["policy"])
    own = np.flatnonzero(chosen[rows])
    return _assemble(kept, every, inputs, own=own, rows=rows, params=params, policy=policy)


def _assemble(
    kept: DailyPlan,
    every: pl.DataFrame,
    inputs: PlanInputs,
    *,
    own: NDArray[np.intp],
    rows: NDArray[np.intp],
    params: ReplenishmentParams,
    policy: Policy,
) -> KeptLines:
    """Return the lines `own` of the inputs, which are the rows `rows` of the plan's lines."""
    multiples = line_multiples(every["line_group"].to_numpy().astype(str), policy.shortage_multiples)
    classes = every["abc_class"].to_numpy().astype(str)
    terms, real = (
        planner_terms(every, params=params, multiples=each, classes=classes).select(rows[own])
        for each in (multiples, np.ones(every.height))
    )
    table = every.select("sku", "location").join(kept.table, on=["sku", "location"], how="left", maintain_order="left")
    sources = every["source"].to_numpy()
    inside = sources != FROM_OUTSIDE
    # What the stores order now leaves their warehouse at once.
    ordered = table["order_quantity"].to_numpy()
    asked = np.bincount(sources[inside], weights=ordered[inside], minlength=every.height).astype(np.float64)
    return KeptLines(
        kept=kept,
        table=table[rows[own]],
        lines=inputs.lines[own],
        is_warehouse=is_warehouse(every)[rows[own]],
        is_bought=~inside[rows[own]],
        order_lines=order_lines_of(inputs, own, params=params, asked=asked[rows]),
        terms=terms,
        real_terms=real,
        params=params,
        policy=policy,
        frequency=inputs.frequency,
    )


def _read_lines(folder: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(folder / LINES_FILE)
    except FileNotFoundError as error:
        raise NotFoundError(f"{folder / LINES_FILE} is missing: plan the day anew.") from error


def _words(choice: LineChoice) -> str:
    said = [f"of sku {', '.join(choice.skus[:3])}"] if choice.skus else []
    said += [f"{sku} at {location}" for sku, location in choice.pairs[:3]]
    for name in ("location", "supplier", "category"):
        value = getattr(choice, name)
        if value is not None:
            said.append(f"of {name} {value}")
    return " and ".join(said) or "there"


def _why_skipped(kept: DailyPlan, choice: LineChoice) -> str:
    """Return why what was asked for is not in the plan, where the plan says so."""
    skus, places = {sku for sku, _ in choice.pairs} | set(choice.skus), {location for _, location in choice.pairs}
    if choice.location is not None:
        places.add(choice.location)
    found = kept.skipped
    if skus:
        found = found.filter(pl.col("sku").is_in(list(skus)))
    if places:
        found = found.filter(pl.col("location").is_in(list(places)))
    return "" if found.is_empty() else f" It was left out: {found['reason'][0]}."
