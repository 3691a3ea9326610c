"""What people act on: the plan, the alerts and the rows that ingestion refused."""

from __future__ import annotations

from restock.schema import Column, Table
from restock.tables.columns import DATE, INTEGER, LOCATION, NUMBER, SKU, TEXT, TIMESTAMP

PLAN = Table(
    name="plan",
    description="What to order, with its expected cost and its reasons.",
    key=("sku", "location", "as_of"),
    columns=(
        SKU,
        LOCATION,
        Column(name="as_of", type=DATE, description="Day the plan was made for."),
        Column(name="supplier", type=TEXT, description="From whom: a supplier, or the location that is its warehouse."),
        Column(
            name="reorder_point",
            type=NUMBER,
            description="Inventory position at or below which to order.",
            unit="units",
        ),
        Column(
            name="order_up_to_level",
            type=NUMBER,
            description="Inventory position to order up to.",
            unit="units",
        ),
        Column(
            name="safety_stock",
            type=NUMBER,
            description="What the level holds beyond expected demand over the protection period.",
            unit="units",
        ),
        Column(name="order_quantity", type=NUMBER, description="What to order now.", unit="units", minimum=0),
        Column(
            name="unordered_cost",
            type=NUMBER,
            description="Expected cost over the same periods without the order.",
            unit="currency",
        ),
        Column(
            name="expected_cost",
            type=NUMBER,
            description="Expected holding, shortage, waste and ordering until the order after this one is received.",
            unit="currency",
            is_nullable=True,
        ),
        Column(
            name="expected_fill_rate",
            type=NUMBER,
            description="Expected share of demand units served from stock.",
            unit="share 0-1",
            is_nullable=True,
            minimum=0,
            maximum=1,
        ),
        Column(
            name="stockout_probability",
            type=NUMBER,
            description="Probability of a stockout until the order after this one is received, with the order.",
            unit="share 0-1",
            minimum=0,
            maximum=1,
        ),
        Column(
            name="binding",
            type=TEXT,
            description="What keeps the order from the quantity that costs alone would choose.",
            choices=(
                "none",
                "minimum_order_quantity",
                "order_multiple",
                "storage",
                "service_floor",
                "shelf_life",
                "budget",
                "supplier_minimum",
                "transport",
                "warehouse_stock",
            ),
        ),
        Column(name="forecast_version", type=TEXT, description="The model version whose forecast it stands on."),
        Column(
            name="policy_version",
            type=TEXT,
            description="The promoted policy; null: none was, and the params decide alone.",
            is_nullable=True,
        ),
        Column(name="reasons", type=TEXT, description="Why this quantity, as JSON.", is_nullable=True),
    ),
)

ALERTS = Table(
    name="alerts",
    description="What someone should look at, with the evidence and the suggested repair.",
    key=("alert",),
    columns=(
        Column(name="alert", type=TEXT, description="Identifier of the alert."),
        Column(name="raised_at_utc", type=TIMESTAMP, description="When it was raised, UTC."),
        Column(name="kind", type=TEXT, description="What is wrong, in one word."),
        Column(name="severity", type=TEXT, description="How much it matters.", choices=("info", "warning", "critical")),
        Column(name="sku", type=TEXT, description="The sku concerned.", is_nullable=True),
        Column(name="location", type=TEXT, description="The location concerned.", is_nullable=True),
        Column(name="evidence", type=TEXT, description="What was seen, as JSON."),
        Column(name="repair", type=TEXT, description="What would mend it, as JSON.", is_nullable=True),
        Column(name="state", type=TEXT, description="Where it stands.", choices=("open", "acknowledged", "resolved")),
    ),
)

REJECTED = Table(
    name="rejected",
    description="Rows that ingestion refused, with where they stood and why; nothing is lost.",
    key=("file", "line", "rule"),
    columns=(
        Column(name="table", type=TEXT, description="Table the row was meant for."),
        Column(name="file", type=TEXT, description="File it came from."),
        Column(
            name="line", type=INTEGER, description="Line of the file (row number where it has no lines).", minimum=1
        ),
        Column(name="column", type=TEXT, description="Column the rule blames."),
        Column(name="value", type=TEXT, description="Value that was found, as text.", is_nullable=True),
        Column(name="reason", type=TEXT, description="What was expected."),
        Column(name="rule", type=TEXT, description="Name of the broken rule."),
        Column(name="row", type=TEXT, description="The whole row as it was read, as JSON."),
    ),
)
