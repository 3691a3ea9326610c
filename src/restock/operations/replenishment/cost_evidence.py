"""What a forecaster's back-test would have cost in replenishment, beside what it is compared with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from restock.adapters.storage import read_table
from restock.errors import RestockError
from restock.forecasting.panel import DemandPanel
from restock.operations.promotion_gate import SIMULATED_COST, Condition, Rules, compare_costs
from restock.operations.replenishment.judgement import COSTS, costs_by_sku
from restock.operations.replenishment.lines import LINE_TABLES
from restock.operations.replenishment.policy import load_served_policy
from restock.operations.replenishment.simulation import build_simulation
from restock.params import Params
from restock.replenishment.policy_tuning import line_multiples
from restock.tables import PURCHASE_ORDERS, SUPPLY_TERMS

logger = logging.getLogger(__name__)


def read_replenishment_tables(data_dir: Path) -> dict[str, pl.DataFrame]:
    """Return the validated tables that replenishment reads, by name; empty where one was never ingested."""
    paths = {table: data_dir / "validated" / f"{table.name}.parquet" for table in (*LINE_TABLES, PURCHASE_ORDERS)}
    return {table.name: read_table(path, table) if path.exists() else table.empty() for table, path in paths.items()}


def judge_simulated_cost(
    candidate: pl.DataFrame,
    incumbent: pl.DataFrame,
    panel: DemandPanel,
    tables: Mapping[str, pl.DataFrame],
    *,
    params: Params,
    models_dir: Path,
    rules: Rules,
    against: str,
) -> Condition:
    """Return whether replenishment on the candidate's forecasts costs no more than on the incumbent's.

    Both plan with the served policy, in the same past.

    Args:
        candidate: its back-test.
        incumbent: the other's, on the same windows.
        panel: the history that both were made from.
        tables: of `read_replenishment_tables`.
        params: seed, features, forecasting, evaluation, paths, replenishment.
        models_dir: the folder models/, for the policy.
        rules: confidence, resamples, seed.
        against: what the incumbent is called.
    """
    if tables[SUPPLY_TERMS.name].is_empty():
        return Condition(
            name=SIMULATED_COST,
            has_passed=None,
            detail="there are no supply terms, so no replenishment cost was simulated",
        )
    try:
        policy = load_served_policy(models_dir)
        costs = {}
        for name, backtest in (("candidate", candidate), ("incumbent", incumbent)):
            simulation = build_simulation(backtest, panel, tables, params=params)
            multiples = line_multiples(simulation.groups, policy.shortage_multiples)
            traded = simulation.run(simulation.planner(multiples))
            by_sku = costs_by_sku(simulation, traded, rule=name)
            costs[name] = by_sku.select("sku", pl.sum_horizontal(*COSTS).alias(name))
    except RestockError as error:
        # What can't be simulated must not keep a forecaster out: the gate says so, in words.
        logger.warning("no replenishment cost was simulated: %s", error)
        return Condition(
            name=SIMULATED_COST, has_passed=None, detail=f"no replenishment cost could be simulated: {error}"
        )
    together = costs["candidate"].join(costs["incumbent"], on="sku", how="inner").sort("sku")
    return compare_costs(SIMULATED_COST, together, rules=rules, against=against)
