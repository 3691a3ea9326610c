"""How plans, explanations, scenarios and judgements look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from rich import box
from rich.table import Table

from restock.adapters.terminal_curve import terminal_curve
from restock.cli.console import messages, output
from restock.operations.replenishment.daily_plan import DailyPlan
from restock.operations.replenishment.explain_plan import ExplainedLine
from restock.operations.replenishment.frontier import ServiceFrontier
from restock.operations.replenishment.judge_overrides import JudgedDecision, summarise_decisions
from restock.operations.replenishment.plan_day import DraftedOrders
from restock.operations.replenishment.what_if import WhatIf

# More would scroll the rest away; the table in the file has all.
_SHOWN_ORDERS = 30
_SHOWN_SKIPPED = 5


def print_plan(plan: DailyPlan) -> None:
    """Print the orders that save most, and what was left out."""
    described = plan.description
    output.print(
        f"{described['lines']:,} lines planned as of {plan.as_of}, {described['to_order']:,} to order, worth "
        f"{described['order_value']:,.2f}; expected cost {described['expected_cost']:,.2f} instead of "
        f"{described['unordered_cost']:,.2f} without them",
        highlight=False,
    )
    saving = pl.col("unordered_cost") - pl.col("expected_cost")
    ordered = plan.table.filter(pl.col("order_quantity") > 0).with_columns(saved=saving)
    table = _table("The orders that save most")
    for column in ("sku", "at", "from", "order", "up to", "cost saved", "stockout", "binds"):
        table.add_column(column, justify="left" if column in ("sku", "at", "from", "binds") else "right")
    for row in ordered.sort("saved", descending=True).head(_SHOWN_ORDERS).iter_rows(named=True):
        figures = [f"{row['order_quantity']:,.6g}", f"{row['order_up_to_level']:,.6g}", f"{row['saved']:,.2f}"]
        binds = "" if row["binding"] == "none" else row["binding"]
        table.add_row(
            row["sku"], row["location"], row["supplier"], *figures, f"{row['stockout_probability']:.1%}", binds
        )
    if ordered.height:
        output.print(table)
    for limit in described["limits"]:
        if limit["is_binding"]:
            output.print(
                f"{limit['kind']} {limit['name']} binds: {limit['used']:,.2f} of {limit['wanted']:,.2f} wanted fit; "
                f"one more would save {limit['shadow_price']:,.4f}",
                highlight=False,
            )
    for row in plan.skipped.head(_SHOWN_SKIPPED).iter_rows(named=True):
        messages.print(f"left out: {row['sku']} at {row['location']}: {row['reason']}", highlight=False, markup=False)
    if plan.skipped.height > _SHOWN_SKIPPED:
        messages.print(f"… and {plan.skipped.height - _SHOWN_SKIPPED:,} more: skipped.parquet", highlight=False)
    output.print(f"kept in {plan.folder}", highlight=False, markup=False)
    output.print("why one line: restock replenish explain SKU LOCATION", highlight=False)


def print_drafted(drafted: DraftedOrders) -> None:
    """Print what became of a plan in the ledger."""
    stored = drafted.stored
    was = "unchanged" if stored.is_unchanged else "stored"
    output.print(
        f"in the ledger: {stored.n_lines:,} lines {was}; {len(drafted.purchase_orders)} purchase orders drafted, "
        f"{drafted.drafted_before} were before; {drafted.warehouse_lines:,} lines come from your own warehouses",
        highlight=False,
    )
    for row in stored.unknown.head(_SHOWN_SKIPPED).iter_rows(named=True):
        messages.print(
            f"not stored: {row['sku']} at {row['location']}, its {row['what']} is not in the catalogue",
            highlight=False,
            markup=False,
            style="yellow",
        )
    if stored.unknown.height > _SHOWN_SKIPPED:
        messages.print(f"… and {stored.unknown.height - _SHOWN_SKIPPED:,} more: --json lists them", highlight=False)
    if stored.rounded.height:
        messages.print(f"{stored.rounded.height:,} orders were rounded up to the unit of measure", highlight=False)


def print_explained(explained: ExplainedLine) -> None:
    """Print why one line is ordered as it is: sentence, facts, cost curve, what would change it."""
    told = explained.explanation
    output.print(told.sentence, style="bold", highlight=False, markup=False)
    table = _table(f"{explained.sku} at {explained.location}, from {explained.supplier}, as of {explained.as_of}")
    table.add_column("what")
    table.add_column("figure", overflow="fold")
    demand, lead = told.protection_demand_quantiles, told.lead_time_quantiles
    position = f"{told.on_hand:g} + {told.on_order:g} - {told.backorders:g} = {told.inventory_position:g}"
    rows = [
        ("on hand + on order - backorders", position),
        ("order", f"{told.order_quantity:g} ({told.wanted_quantity:g} without minimum, multiple and room)"),
        ("reorder point, order-up-to level", f"{told.reorder_point:g}, {told.order_up_to_level:g}"),
        ("safety stock", f"{told.safety_stock:.1f}"),
        ("demand until the next order is there", f"{told.protection_demand_mean:.1f}, {_spread(demand)}"),
        ("lead time, periods", f"{told.lead_time_mean:.1f}, {_spread(lead)}"),
        ("target", told.target),
        (
            "chance of a stockout",
            f"{told.unordered_stockout_probability:.1%} without, {told.stockout_probability:.1%} with",
        ),
        ("units lost", f"{told.unordered_missed:.2f} without, {told.expected_missed:.2f} with the order"),
        ("expected cost", f"{told.unordered_cost:,.2f} without, {told.expected_cost:,.2f} with the order"),
        ("binding", told.binding.value),
        ("forecast, policy", f"{told.forecast_version}, {explained.policy_version or 'none promoted'}"),
        ("data", told.data_hash[:16]),
    ]
    for row in rows:
        table.add_row(*row)
    output.print(table)
    points = [(point.order_quantity, point.expected_cost) for point in told.curve]
    if len(points) > 1:
        curve = terminal_curve(
            points,
            marked=(told.order_quantity, dict(points).get(told.order_quantity, told.expected_cost)),
            title="expected cost by order quantity (◆ the order)",
            x_label="units",
            width=72,
            height=10,
        )
        output.print(curve, highlight=False, markup=False)
    changes = _table("What would change it")
    for column in ("if there were", "order", "change", "level"):
        changes.add_column(column, justify="left" if column == "if there were" else "right")
    for change in told.changes:
        changes.add_row(
            change.what, f"{change.order_quantity:g}", f"{change.change_units:+g}", f"{change.level_change_units:+g}"
        )
    output.print(changes)
    if not explained.is_reproduced:
        messages.print("planned with today's code, the order would differ: the kept one is shown", style="yellow")


def print_frontier(drawn: ServiceFrontier) -> None:
    """Print the frontier as a picture and a table."""
    found = drawn.frontier
    points = list(zip((100 * found.fill_rate).tolist(), found.cost.tolist(), strict=True))
    # Beyond it each unit costs so much that the rest of the picture would be flat.
    steep = [point for point in points if point[1] <= 3 * max(points[0][1], found.current_cost) or len(points) < 4]
    picture = terminal_curve(
        steep or points,
        marked=(100 * found.current_fill_rate, found.current_cost),
        title=f"holding and waste until the next order, by fill rate: {drawn.n_lines:,} lines (◆ the plan)",
        x_label="% of demand served",
        width=76,
        x_format=".2f",
        y_format=",.2f",
    )
    output.print(picture, highlight=False, markup=False)
    table = _table(f"As of {drawn.as_of}")
    for column in ("fill rate", "cost", "units missed", "units ordered", "a unit more costs"):
        table.add_column(column, justify="right")
    for place in range(len(found.cost)):
        table.add_row(
            f"{found.fill_rate[place]:.3%}",
            f"{found.cost[place]:,.2f}",
            f"{found.missed_units[place]:,.2f}",
            f"{found.ordered_units[place]:,.0f}",
            f"{found.shortage_price[place]:,.4f}",
        )
    output.print(table)
    output.print(f"the plan: {found.current_fill_rate:.3%} at {found.current_cost:,.2f}", highlight=False)


def print_what_if(asked: WhatIf) -> None:
    """Print scenarios beside the plan."""
    table = _table(f"{asked.n_lines:,} lines as of {asked.as_of}, to {asked.dates[-1]}")
    for column in ("scenario", "orders now", "mean stock value", "lost units", "lost sales", "fill rate", "cash"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for one in asked.to_json()["scenarios"]:
        table.add_row(
            one["name"],
            f"{one['order_value']:,.2f}",
            f"{one['mean_stock_value']:,.2f}",
            f"{one['lost_units']:,.1f}",
            f"{one['lost_value']:,.2f}",
            f"{one['fill_rate']:.2%}",
            f"{one['final_cash']:,.2f}",
        )
    output.print(table)
    undelivered = [(one.name, float(one.undelivered_units.sum())) for one in asked.outcomes]
    if any(units > 0 for _, units in undelivered):
        said = ", ".join(f"{name}: {units:,.0f}" for name, units in undelivered)
        output.print(f"units that warehouses could not send in time: {said}", highlight=False)
    output.print("stock value, lost sales and cash of every period: --json", highlight=False)


def print_judged(plans: Mapping[date, Mapping[str, Any]], judged: Sequence[JudgedDecision]) -> None:
    """Print what plans and decisions were worth."""
    table = _table("Plans against a rule of averages")
    for column in ("plan of", "lines", "plan's cost", "averages' cost", "value added", "forecast nearer by, units"):
        table.add_column(column, justify="left" if column == "plan of" else "right")
    for day, figures in plans.items():
        if figures["lines"]:
            table.add_row(
                str(day),
                f"{figures['lines']:,}",
                f"{figures['planned_cost']:,.2f}",
                f"{figures['average_rule_cost']:,.2f}",
                f"{figures['plan_value_added']:+,.2f}",
                f"{figures['forecast_value_added_units']:+,.1f}",
            )
        else:
            table.add_row(str(day), "0", "", "", figures.get("problem", "its window is not over"), "")
    output.print(table)
    if not judged:
        output.print("no planner decided otherwise", highlight=False)
        return
    decisions = _table("Planners' decisions")
    for column in ("override", "sku", "at", "plan of", "planned", "decided", "value added", "reason"):
        decisions.add_column(column, justify="right" if column in ("planned", "decided", "value added") else "left")
    for each in judged:
        made = each.decision
        decisions.add_row(
            made.override,
            made.sku,
            made.location,
            str(made.as_of),
            "" if each.planned_quantity is None else f"{each.planned_quantity:g}",
            f"{made.order_quantity:g}",
            (each.waits_for or "") if each.value_added is None else f"{each.value_added:+,.2f}",
            made.reason,
        )
    output.print(decisions)
    for who, figures in summarise_decisions(judged).items():
        output.print(
            f"{who}: {figures['judged']} of {figures['decisions']} judged, {figures['cheaper_than_plan']} cheaper than "
            f"the plan, {figures['value_added']:+,.2f} together",
            highlight=False,
        )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.HEAVY_HEAD)


def _spread(quantiles: Mapping[float, float]) -> str:
    return ", ".join(f"{share:.0%}: {value:.4g}" for share, value in quantiles.items())
