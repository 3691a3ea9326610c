"""A kept plan in the ledger's database, where people, orders and alerts find it: exact, one day as a whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl
from sqlalchemy import Connection, delete, insert, select

from restock.adapters.database.catalogue_tables import LocationRow
from restock.adapters.database.journal import append_audit
from restock.adapters.database.planning_tables import PlanRow
from restock.adapters.database.product_facts import ProductFacts, read_product_facts
from restock.operations.replenishment.daily_plan import DailyPlan
from restock.operations.stock.company import Company, read_company

_QUANTITIES = ("reorder_point", "order_up_to_level", "order_quantity", "safety_stock")
_AMOUNTS = ("expected_cost", "unordered_cost")
# Skus that are looked up at a time: databases take so many values in a query.
_CHUNK = 5_000


@dataclass(frozen=True, kw_only=True)
class StoredPlan:
    """What became of a plan in the database.

    Attributes:
        as_of: its day.
        n_lines: rows that are stored.
        is_unchanged: whether they were stored before, so that nothing was written.
        unknown: columns sku, location, what: lines that were not stored as their sku or location is not in the
            catalogue.
        rounded: columns sku, location, order_quantity: orders that were rounded up to what the product's unit of
            measure can hold.
    """

    as_of: date
    n_lines: int
    is_unchanged: bool
    unknown: pl.DataFrame
    rounded: pl.DataFrame

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "stored": self.n_lines,
            "is_unchanged": self.is_unchanged,
            "unknown": self.unknown.to_dicts(),
            "rounded": self.rounded.to_dicts(),
        }


def store_plan(connection: Connection, plan: DailyPlan, *, actor: str, now: datetime) -> StoredPlan:
    """Put a plan into the database in place of what is stored of its day; the same plan again changes nothing.

    Args:
        connection: in a write transaction; the caller commits.
        plan: as kept.
        actor: who, for the audit log.
        now: when, UTC.
    """
    facts = _facts_of(connection, plan.table["sku"].unique().to_list())
    places = set(connection.execute(select(LocationRow.location)).scalars())
    company = read_company(connection)
    rows, unknown, rounded = [], [], []
    for line in plan.table.iter_rows(named=True):
        known = facts.get(line["sku"])
        if known is None or line["location"] not in places:
            what = "sku" if known is None else "location"
            unknown.append({"sku": line["sku"], "location": line["location"], "what": what})
            continue
        row = _row_of(line, known, company)
        rows.append(row)
        if known.units.from_scaled(row["order_quantity"]) != _exact(line["order_quantity"]):
            rounded.append({name: line[name] for name in ("sku", "location", "order_quantity")})
    is_unchanged = _stored(connection, plan.as_of) == {(row["sku"], row["location"]): row for row in rows}
    if not is_unchanged:
        connection.execute(delete(PlanRow).where(PlanRow.as_of == plan.as_of))
        if rows:
            connection.execute(insert(PlanRow), [{**row, "created_at_utc": now} for row in rows])
        details = {"lines": len(rows), "unknown": len(unknown), "sha256": plan.description["sha256"]["plan.parquet"]}
        append_audit(
            connection, actor=actor, action="store_plan", subject=plan.as_of.isoformat(), now=now, details=details
        )
    return StoredPlan(
        as_of=plan.as_of,
        n_lines=len(rows),
        is_unchanged=is_unchanged,
        unknown=pl.DataFrame(unknown, schema={"sku": pl.String(), "location": pl.String(), "what": pl.String()}),
        rounded=pl.DataFrame(
            rounded, schema={"sku": pl.String(), "location": pl.String(), "order_quantity": pl.Float64()}
        ),
    )


def _facts_of(connection: Connection, skus: list[str]) -> dict[str, ProductFacts]:
    found: dict[str, ProductFacts] = {}
    for first in range(0, len(skus), _CHUNK):
        found |= read_product_facts(connection, skus[first : first + _CHUNK], must_be_known=False)
    return found


def _row_of(line: dict[str, Any], facts: ProductFacts, company: Company) -> dict[str, Any]:
    """Return the row of a line: levels and orders are rounded up to what its unit of measure can hold."""
    smallest = Decimal(1).scaleb(-facts.units.decimals)
    cent = Decimal(1).scaleb(-company.currency_decimals)
    copied = ("sku", "location", "as_of", "supplier", "expected_fill_rate", "stockout_probability", "binding")
    return {
        **{name: line[name] for name in (*copied, "forecast_version", "policy_version")},
        **{
            name: facts.units.to_scaled(
                _exact(line[name]).quantize(smallest, rounding=ROUND_CEILING), facts.units.base_unit
            )
            for name in _QUANTITIES
        },
        **{name: company.to_minor(_exact(line[name]).quantize(cent, rounding=ROUND_HALF_EVEN)) for name in _AMOUNTS},
        "reasons": json.loads(line["reasons"] or "{}"),
    }


def _exact(value: float) -> Decimal:
    """Return a quantity or an amount to the sixth decimal: what lies beyond is noise of floats."""
    return Decimal(repr(round(value, 6)))


def _stored(connection: Connection, as_of: date) -> dict[tuple[str, str], dict[str, Any]]:
    rows = connection.execute(select(PlanRow.__table__).where(PlanRow.as_of == as_of)).mappings()
    return {
        (row["sku"], row["location"]): {name: value for name, value in row.items() if name != "created_at_utc"}
        for row in rows
    }
