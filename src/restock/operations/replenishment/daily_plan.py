"""The plan of a day, kept: what to order of everything, with what it stands on, one partition a day.

    data/plans/as_of=YYYY-MM-DD/plan.parquet            table plan
                                lines.parquet           what was known of every line: stock, terms, costs, segment
                                deliveries.parquet      the lead times that were drawn
                                open_orders.parquet     what was on its way, with draws of when it comes
                                skipped.parquet         what could not be planned, and why
                                plan.json               forecast, policy and data that made it; written last

The same day, data and versions give the same plan, and `explain` gives the same numbers later.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from restock.adapters.storage import read_json, read_table, sha256_of, write_frame, write_json
from restock.errors import DataError, NotFoundError
from restock.operations.replenishment.lines import LINE_TABLES
from restock.operations.replenishment.plan import PlannedLines, plan_lines, to_table
from restock.operations.replenishment.plan_inputs import PlanInputs, gather_inputs, read_inputs, write_inputs
from restock.operations.replenishment.policy import Policy, load_served_policy
from restock.params import Params, ReplenishmentParams
from restock.replenishment.walk_forward import FROM_OUTSIDE
from restock.settings import Settings
from restock.tables import PLAN, PURCHASE_ORDERS
from restock.timeline import Frequency

logger = logging.getLogger(__name__)

PLANS_FOLDER = "plans"
PLAN_FILE, SKIPPED_FILE, DESCRIPTION_FILE = "plan.parquet", "skipped.parquet", "plan.json"


@dataclass(frozen=True, kw_only=True)
class DailyPlan:
    """A plan that was made and kept.

    Attributes:
        as_of: its day.
        folder: its partition.
        table: table `plan`.
        skipped: columns sku, location, reason.
        description: as in plan.json.
    """

    as_of: date
    folder: Path
    table: pl.DataFrame
    skipped: pl.DataFrame
    description: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what a program wants to know, ready for JSON."""
        return self.description | {"path": str(self.folder / PLAN_FILE)}


@dataclass(frozen=True, kw_only=True)
class ReplayedPlan:
    """A kept plan, made again from what is kept beside it.

    Attributes:
        kept: the plan.
        inputs: what it stands on.
        planned: its lines.
        params: the section that it was made with.
        policy: likewise.
    """

    kept: DailyPlan
    inputs: PlanInputs
    planned: list[PlannedLines]
    params: ReplenishmentParams
    policy: Policy


def plan_folder(data_dir: Path, as_of: date) -> Path:
    """Return the folder of a day's plan, whether or not it exists."""
    return data_dir / PLANS_FOLDER / f"as_of={as_of.isoformat()}"


def write_daily_plan(settings: Settings, params: Params, *, as_of: date) -> DailyPlan:
    """Plan a day on its kept forecast, keep the plan and return it.

    Args:
        settings: workspace with validated data, the day's forecast and promoted versions.
        params: seed, replenishment.
        as_of: the day; orders are placed at its end.

    Raises:
        NotFoundError: the day has no kept forecast.
        DataError: there are no supply terms, or nothing can be planned.
        InfeasiblePlanError: limits contradict each other.
        TamperedVersionError: a version is not what was promoted.
    """
    policy = load_served_policy(settings.models_dir)
    inputs = gather_inputs(settings.data_dir, settings.models_dir, params=params, as_of=as_of)
    planned = plan_lines(inputs, policy, params=params.replenishment)
    table = to_table(inputs, planned, policy)
    folder = plan_folder(settings.data_dir, as_of)
    folder.mkdir(parents=True, exist_ok=True)
    # First away: a partition counts while it is described, and what follows replaces it file by file.
    (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    write_frame(table, folder / PLAN_FILE)
    write_frame(inputs.skipped, folder / SKIPPED_FILE)
    write_inputs(inputs, folder)
    description = _describe(settings, params, inputs=inputs, planned=planned, policy=policy, table=table)
    description["sha256"] = {path.name: sha256_of(path) for path in sorted(folder.glob("*.parquet"))}
    write_json(folder / DESCRIPTION_FILE, description)
    logger.info(
        "plan as of %s: %d lines, %d to order, %d skipped",
        as_of,
        table.height,
        description["to_order"],
        inputs.skipped.height,
    )
    return DailyPlan(as_of=as_of, folder=folder, table=table, skipped=inputs.skipped, description=description)


def read_daily_plan(data_dir: Path, *, as_of: date) -> DailyPlan:
    """Return a kept plan.

    Raises:
        NotFoundError: the day has none.
        DataError: a file of it is not what was written.
    """
    folder = plan_folder(data_dir, as_of)
    try:
        description = read_json(folder / DESCRIPTION_FILE)
    except NotFoundError as error:
        kept = ", ".join(day.isoformat() for day in list_plans(data_dir)[-5:]) or "none"
        raise NotFoundError(
            f"no plan of {as_of} is kept (kept: {kept}). Make it: restock replenish plan --as-of {as_of}."
        ) from error
    changed = [name for name, digest in description["sha256"].items() if sha256_of(folder / name) != digest]
    if changed:
        raise DataError(
            f"{folder} is not what was planned: {', '.join(changed)} changed. Plan the day anew: restock replenish "
            f"plan --as-of {as_of}."
        )
    return DailyPlan(
        as_of=as_of,
        folder=folder,
        table=read_table(folder / PLAN_FILE, PLAN),
        skipped=pl.read_parquet(folder / SKIPPED_FILE),
        description=description,
    )


def list_plans(data_dir: Path) -> list[date]:
    """Return the days of all kept plans, ascending."""
    found = (data_dir / PLANS_FOLDER).glob(f"as_of=*/{DESCRIPTION_FILE}")
    return sorted(date.fromisoformat(path.parent.name.removeprefix("as_of=")) for path in found)


def replay_plan(settings: Settings, *, as_of: date) -> ReplayedPlan:
    """Return a kept plan made again, with the params and the policy of its day.

    Raises:
        NotFoundError: the day has no plan, or a file is missing.
        DataError: its forecast was replaced since.
    """
    kept = read_daily_plan(settings.data_dir, as_of=as_of)
    described = kept.description
    inputs = read_inputs(
        settings.data_dir,
        settings.models_dir,
        kept.folder,
        as_of=as_of,
        forecast=described["forecast"],
        frequency=Frequency(described["frequency"]),
    )
    params = ReplenishmentParams.model_validate(described["params"])
    policy = Policy.from_json(described["policy"])
    planned = plan_lines(inputs, policy, params=params)
    return ReplayedPlan(kept=kept, inputs=inputs, planned=planned, params=params, policy=policy)


def _describe(
    settings: Settings,
    params: Params,
    *,
    inputs: PlanInputs,
    planned: list[PlannedLines],
    policy: Policy,
    table: pl.DataFrame,
) -> dict[str, Any]:
    """Return what plan.json says, without the checksums."""
    ordered = table.filter(pl.col("order_quantity") > 0)
    # What one's own warehouse sends is not bought.
    bought = inputs.lines.filter(pl.col("source") == FROM_OUTSIDE).select("sku", "location", "unit_cost")
    value = ordered.join(bought, on=["sku", "location"], how="inner")
    paths = {
        table.name: settings.data_dir / "validated" / f"{table.name}.parquet"
        for table in (*LINE_TABLES, PURCHASE_ORDERS)
    }
    shared = [part.shared for part in planned if part.shared is not None]
    return {
        "as_of": inputs.as_of.isoformat(),
        "lines": table.height,
        "to_order": ordered.height,
        "skipped": inputs.skipped.height,
        "order_value": round(float((value["order_quantity"] * value["unit_cost"]).sum()), 2),
        "expected_cost": round(float(table["expected_cost"].sum()), 2),
        "unordered_cost": round(float(table["unordered_cost"].sum()), 2),
        "frequency": inputs.frequency.value,
        "forecast": inputs.forecast,
        "policy": policy.to_json(),
        "params": params.replenishment.model_dump(mode="json"),
        "seed": params.seed,
        "data_hashes": {name: sha256_of(path) for name, path in paths.items() if path.exists()},
        "limits": [
            {
                "kind": limit.kind.value,
                "name": limit.name,
                "used": round(limit.used, 4),
                "wanted": round(limit.wanted, 4),
                "most": limit.most,
                "shadow_price": round(limit.shadow_price, 6),
                "is_binding": limit.is_binding,
            }
            for one in shared
            for limit in one.limits
        ],
        "gap": max((one.gap for one in shared), default=0.0),
        "orchestration_run": settings.orchestration_run,
    }
