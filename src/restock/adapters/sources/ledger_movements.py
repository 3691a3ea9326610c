"""Lines of a ledger as table `movements`: one row for each change of a physical location's stock, as it was booked."""

from __future__ import annotations

import polars as pl
from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import ProductRow
from restock.adapters.database.ledger_tables import MovementRow
from restock.adapters.database.order_tables import PurchaseOrderLineRow, PurchaseReceiptRow
from restock.adapters.sources.ledger_masters import Scales
from restock.ledger.movements import Kind
from restock.tables import MOVEMENTS

_KINDS = {
    Kind.SALE: "sale",
    Kind.RETURN: "return",
    Kind.RECEIPT: "receipt",
    Kind.TRANSFER_OUT: "transfer",
    Kind.TRANSFER_IN: "transfer",
    Kind.ADJUSTMENT: "adjustment",
    Kind.WRITE_OFF: "adjustment",
    Kind.COUNT: "adjustment",
    Kind.REVERSAL: "adjustment",
}
_DEFAULT_UNIT = "piece"
# More than quantities and money have in the ledger.
_DECIMALS = 8


def read_base_units(connection: Connection) -> dict[str, str]:
    """Return the base unit of every sku."""
    return {row.sku: row.base_unit for row in connection.execute(select(ProductRow.sku, ProductRow.base_unit))}


def read_expected(connection: Connection) -> pl.DataFrame:
    """Return by movement and line of a receipt what its order line had open before it, scaled base units."""
    receipt, line = PurchaseReceiptRow, PurchaseOrderLineRow
    rows = connection.execute(
        select(
            receipt.movement,
            receipt.movement_line,
            receipt.purchase_order,
            receipt.line,
            receipt.quantity,
            line.quantity_ordered,
        )
        .join(line, (line.purchase_order == receipt.purchase_order) & (line.line == receipt.line))
        .join(MovementRow, MovementRow.movement == receipt.movement)
        .order_by(MovementRow.occurred_at_utc, receipt.movement, receipt.movement_line)
    ).all()
    names = ("movement", "line", "order", "order_line", "quantity", "quantity_ordered")
    schema = dict(zip(names, (pl.String, pl.Int64, pl.String, pl.Int64, pl.Int64, pl.Int64), strict=True))
    frame = pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")
    before = pl.col("quantity").cum_sum().over("order", "order_line") - pl.col("quantity")
    return frame.select("movement", "line", scaled_expected=pl.col("quantity_ordered") - before)


def tell_movements(
    lines: pl.DataFrame, *, scales: Scales, base_units: dict[str, str], expected: pl.DataFrame
) -> pl.DataFrame:
    """Return table `movements`.

    A movement with one line keeps its identifier, others add the line's number. Where no one entered a quantity, it
    is in base units.

    Args:
        lines: as `restock.adapters.sources.ledger` reads them.
        scales: how integers become numbers.
        base_units: base unit of every sku.
        expected: see `read_expected`.
    """
    skus = lines["sku"].unique().to_list()
    per_sku = pl.DataFrame(
        {
            "sku": skus,
            "units_scale": [scales.units_of(sku) for sku in skus],
            "base_unit": [base_units.get(sku, _DEFAULT_UNIT) for sku in skus],
        },
        schema={"sku": pl.String, "units_scale": pl.Int64, "base_unit": pl.String},
    )
    entered = pl.col("entered_quantity").cast(pl.Float64, strict=False).abs() * pl.col("quantity").sign()
    is_entered = entered.is_not_null() & (pl.col("entered_unit") != "")
    money = pl.when(pl.col("kind") == Kind.RECEIPT.value).then("unit_cost").otherwise("unit_price").fill_null(0)
    is_single = pl.col("n_lines") == 1

    def units(column: str) -> pl.Expr:
        # Polars may divide by multiplying with the inverse: rounded, tenths are tenths again.
        return (pl.col(column) / pl.col("units_scale")).round(_DECIMALS)

    frame = (
        lines.join(per_sku, on="sku")
        .join(expected, on=["movement", "line"], how="left")
        .select(
            movement=pl.when(is_single).then("movement").otherwise(pl.format("{}-{}", "movement", "line")),
            occurred_at_utc=pl.col("booked_at_utc"),
            sku=pl.col("sku"),
            location=pl.col("location"),
            kind=pl.col("kind").replace_strict({kind.value: name for kind, name in _KINDS.items()}),
            quantity=pl.when(is_entered).then(entered).otherwise(units("quantity")),
            unit_of_measure=pl.when(is_entered).then("entered_unit").otherwise("base_unit"),
            unit_price=(money / scales.money).round(_DECIMALS),
            user=pl.col("user"),
            reference=pl.when(pl.col("reference") == "").then("movement").otherwise("reference"),
            quantity_expected=units("scaled_expected"),
        )
        .sort("occurred_at_utc", "movement")
    )
    return MOVEMENTS.conform(frame)
