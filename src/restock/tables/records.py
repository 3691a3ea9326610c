"""What a company recorded of its past: sales, purchase orders, movements and counts of stock."""

from __future__ import annotations

from restock.schema import Column, ColumnOrder, Table
from restock.tables.columns import BOOLEAN, DATE, INTEGER, LOCATION, NUMBER, SKU, SUPPLIER, TEXT, TIMESTAMP

SALES = Table(
    name="sales",
    description="What was sold, per sku, location and period; sales are cut off by stockouts and are not demand.",
    key=("sku", "location", "date"),
    columns=(
        SKU,
        LOCATION,
        Column(name="date", type=DATE, description="First day of the period.", is_past_only=True),
        Column(name="units_sold", type=NUMBER, description="Units sold in the period.", unit="units", minimum=0),
        Column(
            name="unit_price",
            type=NUMBER,
            description="Average price that customers paid per unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="is_promoted",
            type=BOOLEAN,
            description="Whether a promotion ran in the period.",
            is_optional=True,
            default=False,
        ),
        Column(
            name="stockout_share",
            type=NUMBER,
            description="Share of the period without stock; null means unknown.",
            unit="share 0-1",
            is_nullable=True,
            is_optional=True,
            minimum=0,
            maximum=1,
        ),
        Column(
            name="in_stock_demand_share",
            type=NUMBER,
            description="Share of the period's usual demand that falls into its time with stock; null means that "
            "demand counts as spread evenly over the period.",
            unit="share 0-1",
            is_nullable=True,
            is_optional=True,
            minimum=0,
            maximum=1,
        ),
    ),
)

PURCHASE_ORDERS = Table(
    name="purchase_orders",
    description="Lines ordered from suppliers, with what was promised and what came.",
    key=("order", "line"),
    columns=(
        Column(name="order", type=TEXT, description="Number of the purchase order."),
        Column(name="line", type=INTEGER, description="Line within the order, from 1.", minimum=1),
        SKU,
        LOCATION,
        SUPPLIER,
        Column(name="ordered_on", type=DATE, description="Day the order was sent.", is_past_only=True),
        Column(name="promised_on", type=DATE, description="Day the supplier promised.", is_nullable=True),
        Column(
            name="received_on",
            type=DATE,
            description="Day the last delivery came; null while nothing or not all has come.",
            is_nullable=True,
            is_past_only=True,
        ),
        Column(name="quantity_ordered", type=NUMBER, description="Units ordered.", unit="units", minimum=0),
        Column(name="quantity_received", type=NUMBER, description="Units that came so far.", unit="units", minimum=0),
        Column(name="unit_cost", type=NUMBER, description="Cost of one unit.", unit="currency per unit", minimum=0),
    ),
    orders=(
        ColumnOrder(earlier="ordered_on", later="promised_on"),
        ColumnOrder(earlier="ordered_on", later="received_on"),
    ),
)

MOVEMENTS = Table(
    name="movements",
    description="Changes of stock as they were booked, in order of time; each is one line of the ledger.",
    key=("movement",),
    columns=(
        Column(name="movement", type=TEXT, description="Identifier, unique, in order of time."),
        Column(name="occurred_at_utc", type=TIMESTAMP, description="When it was booked, UTC.", is_past_only=True),
        SKU,
        LOCATION,
        Column(
            name="kind",
            type=TEXT,
            description="What kind of change.",
            choices=("sale", "return", "receipt", "adjustment", "transfer"),
        ),
        Column(
            name="quantity",
            type=NUMBER,
            description="Signed change of the stock at the location, in unit_of_measure.",
            unit="unit_of_measure",
        ),
        Column(name="unit_of_measure", type=TEXT, description="Unit as entered: piece or a pack of n pieces."),
        Column(
            name="unit_price",
            type=NUMBER,
            description="Per piece: the price of sales and returns, the cost of receipts, else 0.",
            unit="currency per unit",
            minimum=0,
        ),
        Column(name="user", type=TEXT, description="Who booked it."),
        Column(
            name="reference",
            type=TEXT,
            description="Invoice, RET-note/invoice, purchase order, COUNT-week, ADJ-note, TR-n or OPENING.",
        ),
        Column(
            name="quantity_expected",
            type=NUMBER,
            description="Receipts: what the order still has open; null elsewhere.",
            unit="units",
            is_nullable=True,
            is_optional=True,
        ),
    ),
)

STOCK = Table(
    name="stock",
    description="How much stock there was at the end of a day.",
    key=("sku", "location", "as_of"),
    columns=(
        SKU,
        LOCATION,
        Column(name="as_of", type=DATE, description="End of this day.", is_past_only=True),
        Column(name="on_hand", type=NUMBER, description="Units physically there.", unit="units"),
        Column(
            name="on_order",
            type=NUMBER,
            description="Units ordered and not yet received.",
            unit="units",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="backorders",
            type=NUMBER,
            description="Units owed to customers.",
            unit="units",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="counted_at",
            type=TIMESTAMP,
            description="When it was last counted, UTC; null means never.",
            is_nullable=True,
            is_optional=True,
        ),
    ),
)
