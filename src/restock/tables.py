"""Every table that crosses a module border, declared once; schemas, rules, suites and the data dictionary follow."""

from __future__ import annotations

from restock.schema import Column, ColumnOrder, ColumnType, Table

_TEXT, _INTEGER, _NUMBER = ColumnType.TEXT, ColumnType.INTEGER, ColumnType.NUMBER
_BOOLEAN, _DATE, _TIMESTAMP = ColumnType.BOOLEAN, ColumnType.DATE, ColumnType.TIMESTAMP_UTC

_SKU = Column(name="sku", type=_TEXT, description="Stock-keeping unit: the article as it is planned and counted.")
_LOCATION = Column(name="location", type=_TEXT, description="Where stock is held or sold: a store, a warehouse.")
_SUPPLIER = Column(name="supplier", type=_TEXT, description="Who delivers.")
_DATE_SOLD = Column(name="date", type=_DATE, description="First day of the period.", is_past_only=True)
_CUTOFF = Column(name="cutoff", type=_DATE, description="Last period whose data the forecast may use.")
_MODEL_VERSION = Column(
    name="model_version", type=_TEXT, description="Which model made it, as family or model_version_N."
)

SALES = Table(
    name="sales",
    description="What was sold, per sku, location and period; sales are cut off by stockouts and are not demand.",
    key=("sku", "location", "date"),
    columns=(
        _SKU,
        _LOCATION,
        _DATE_SOLD,
        Column(name="units_sold", type=_NUMBER, description="Units sold in the period.", unit="units", minimum=0),
        Column(
            name="unit_price",
            type=_NUMBER,
            description="Average price that customers paid per unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="is_promoted",
            type=_BOOLEAN,
            description="Whether a promotion ran in the period.",
            is_optional=True,
            default=False,
        ),
        Column(
            name="stockout_share",
            type=_NUMBER,
            description="Share of the period without stock; null means unknown.",
            unit="share 0-1",
            is_nullable=True,
            is_optional=True,
            minimum=0,
            maximum=1,
        ),
        Column(
            name="in_stock_demand_share",
            type=_NUMBER,
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

CALENDAR = Table(
    name="calendar",
    description="What is known ahead about a date: holidays and events; an empty location means everywhere.",
    key=("date", "location"),
    columns=(
        Column(name="date", type=_DATE, description="First day of the period; may lie ahead."),
        Column(
            name="location",
            type=_TEXT,
            description="Where it holds; empty means every location.",
            is_nullable=True,
            is_optional=True,
            default="",
        ),
        Column(name="is_holiday", type=_BOOLEAN, description="Whether it is a public or shopping holiday."),
        Column(
            name="event",
            type=_TEXT,
            description="Name of the holiday or event; null where there is none.",
            is_nullable=True,
            is_optional=True,
        ),
    ),
)

PRODUCTS = Table(
    name="products",
    description="The catalogue: what each sku is, costs and how it is packed.",
    key=("sku",),
    columns=(
        _SKU,
        Column(name="name", type=_TEXT, description="Name shown to people."),
        Column(name="category_path", type=_TEXT, description="Categories from broad to narrow, joined by ' > '."),
        Column(
            name="barcodes",
            type=ColumnType.TEXT_LIST,
            description="GTINs under which the sku is scanned.",
            is_nullable=True,
            is_optional=True,
        ),
        Column(
            name="unit_cost",
            type=_NUMBER,
            description="Purchase cost of one unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="unit_price",
            type=_NUMBER,
            description="List price of one unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="pack_units",
            type=_INTEGER,
            description="Units in one case pack.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="shelf_life_days",
            type=_INTEGER,
            description="Days from receipt until it can't be sold; null means it does not expire.",
            unit="days",
            is_nullable=True,
            is_optional=True,
            minimum=1,
        ),
        Column(
            name="unit_of_measure",
            type=_TEXT,
            description="The base unit that quantities count.",
            is_optional=True,
            default="piece",
        ),
    ),
)

LOCATIONS = Table(
    name="locations",
    description="Where stock is held or sold, and the virtual ends of movements.",
    key=("location",),
    columns=(
        _LOCATION,
        Column(
            name="kind",
            type=_TEXT,
            description="What the location is.",
            choices=("store", "warehouse", "virtual"),
            is_optional=True,
            default="store",
        ),
        Column(name="region", type=_TEXT, description="Region or city.", is_nullable=True, is_optional=True),
        Column(
            name="capacity_units",
            type=_NUMBER,
            description="How much it can hold; null means no limit is known.",
            unit="units",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
    ),
)

SUPPLY_TERMS = Table(
    name="supply_terms",
    description="On what terms a supplier delivers a sku to a location.",
    key=("sku", "location", "supplier"),
    columns=(
        _SKU,
        _LOCATION,
        _SUPPLIER,
        Column(
            name="unit_cost",
            type=_NUMBER,
            description="Agreed cost of one unit.",
            unit="currency per unit",
            minimum=0,
        ),
        Column(
            name="minimum_order_quantity",
            type=_INTEGER,
            description="Fewest units in an order line.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="order_multiple",
            type=_INTEGER,
            description="Order quantities are whole multiples of this.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="fixed_order_cost",
            type=_NUMBER,
            description="Cost of placing one order, whatever its size.",
            unit="currency per order",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="review_periods",
            type=_INTEGER,
            description="Periods between two chances to order.",
            unit="periods",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="quoted_lead_time_days",
            type=_INTEGER,
            description="Days from order to delivery that the supplier promises.",
            unit="days",
            minimum=0,
        ),
    ),
)

PURCHASE_ORDERS = Table(
    name="purchase_orders",
    description="Lines ordered from suppliers, with what was promised and what came.",
    key=("order", "line"),
    columns=(
        Column(name="order", type=_TEXT, description="Number of the purchase order."),
        Column(name="line", type=_INTEGER, description="Line within the order, from 1.", minimum=1),
        _SKU,
        _LOCATION,
        _SUPPLIER,
        Column(name="ordered_on", type=_DATE, description="Day the order was sent.", is_past_only=True),
        Column(name="promised_on", type=_DATE, description="Day the supplier promised.", is_nullable=True),
        Column(
            name="received_on",
            type=_DATE,
            description="Day the last delivery came; null while nothing or not all has come.",
            is_nullable=True,
            is_past_only=True,
        ),
        Column(name="quantity_ordered", type=_NUMBER, description="Units ordered.", unit="units", minimum=0),
        Column(name="quantity_received", type=_NUMBER, description="Units that came so far.", unit="units", minimum=0),
        Column(name="unit_cost", type=_NUMBER, description="Cost of one unit.", unit="currency per unit", minimum=0),
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
        Column(name="movement", type=_TEXT, description="Identifier, unique, in order of time."),
        Column(name="occurred_at_utc", type=_TIMESTAMP, description="When it was booked, UTC.", is_past_only=True),
        _SKU,
        _LOCATION,
        Column(
            name="kind",
            type=_TEXT,
            description="What kind of change.",
            choices=("sale", "return", "receipt", "adjustment", "transfer"),
        ),
        Column(
            name="quantity",
            type=_NUMBER,
            description="Signed change of the stock at the location, in unit_of_measure.",
            unit="unit_of_measure",
        ),
        Column(name="unit_of_measure", type=_TEXT, description="Unit as entered: piece or a pack of n pieces."),
        Column(
            name="unit_price",
            type=_NUMBER,
            description="Per piece: the price of sales and returns, the cost of receipts, else 0.",
            unit="currency per unit",
            minimum=0,
        ),
        Column(name="user", type=_TEXT, description="Who booked it."),
        Column(
            name="reference",
            type=_TEXT,
            description="Invoice, RET-note/invoice, purchase order, COUNT-week, ADJ-note, TR-n or OPENING.",
        ),
        Column(
            name="quantity_expected",
            type=_NUMBER,
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
        _SKU,
        _LOCATION,
        Column(name="as_of", type=_DATE, description="End of this day.", is_past_only=True),
        Column(name="on_hand", type=_NUMBER, description="Units physically there.", unit="units"),
        Column(
            name="on_order",
            type=_NUMBER,
            description="Units ordered and not yet received.",
            unit="units",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="backorders",
            type=_NUMBER,
            description="Units owed to customers.",
            unit="units",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="counted_at",
            type=_TIMESTAMP,
            description="When it was last counted, UTC; null means never.",
            is_nullable=True,
            is_optional=True,
        ),
    ),
)

QUANTILE_FORECAST = Table(
    name="quantile_forecast",
    description="Demand as a distribution: one row a quantile, the mean beside it.",
    key=("sku", "location", "cutoff", "date", "model_version", "quantile"),
    columns=(
        _SKU,
        _LOCATION,
        _CUTOFF,
        Column(name="date", type=_DATE, description="First day of the period that is forecast."),
        _MODEL_VERSION,
        Column(name="quantile", type=_NUMBER, description="Probability level.", unit="share 0-1", minimum=0, maximum=1),
        Column(
            name="demand_units",
            type=_NUMBER,
            description="Demand that is not exceeded with this probability.",
            unit="units per period",
            minimum=0,
        ),
        Column(
            name="mean_demand_units",
            type=_NUMBER,
            description="Expected demand (the same on every quantile's row).",
            unit="units per period",
            minimum=0,
        ),
    ),
    orders=(ColumnOrder(earlier="cutoff", later="date"),),
)

DEMAND_DEPENDENCE = Table(
    name="demand_dependence",
    description="How demand of one series hangs together across the horizon, per segment and lag.",
    key=("segment", "cutoff", "model_version", "lag"),
    columns=(
        Column(name="segment", type=_TEXT, description="ABC class and intermittence, such as A-smooth."),
        _CUTOFF,
        _MODEL_VERSION,
        Column(name="lag", type=_INTEGER, description="Periods between two demands.", unit="periods", minimum=1),
        Column(
            name="rank_correlation",
            type=_NUMBER,
            description="Rank correlation of the two demands given their forecasts.",
            minimum=-1,
            maximum=1,
        ),
    ),
)

DEMAND_COMOVEMENT = Table(
    name="demand_comovement",
    description="How demands of two series move together because of what they share, per lag.",
    key=("shared", "cutoff", "model_version", "lag"),
    columns=(
        Column(
            name="shared",
            type=_TEXT,
            description="What the two series share: all (everything), region, category, location or sku.",
            choices=("all", "region", "category", "location", "sku"),
        ),
        _CUTOFF,
        _MODEL_VERSION,
        Column(name="lag", type=_INTEGER, description="Periods between the two demands.", unit="periods", minimum=0),
        Column(
            name="rank_correlation",
            type=_NUMBER,
            description="Rank correlation, given their forecasts, that this and nothing else makes.",
            minimum=-1,
            maximum=1,
        ),
    ),
)

TOTAL_FORECAST = Table(
    name="total_forecast",
    description="Demand of many series together as a distribution: quantiles of summed paths, the sum of means beside.",
    key=("level", "name", "cutoff", "date", "periods", "model_version", "quantile"),
    columns=(
        Column(
            name="level",
            type=_TEXT,
            description="What is added up: all (everything), region, category or location.",
            choices=("all", "region", "category", "location"),
        ),
        Column(name="name", type=_TEXT, description='Which one of the level; "all" for everything, "" for unknown.'),
        _CUTOFF,
        Column(name="date", type=_DATE, description="First day of the first period."),
        Column(name="periods", type=_INTEGER, description="How many periods are added up.", unit="periods", minimum=1),
        _MODEL_VERSION,
        Column(name="quantile", type=_NUMBER, description="Probability level.", unit="share 0-1", minimum=0, maximum=1),
        Column(
            name="demand_units",
            type=_NUMBER,
            description="Demand that is not exceeded with this probability.",
            unit="units in all the periods",
            minimum=0,
        ),
        Column(
            name="mean_demand_units",
            type=_NUMBER,
            description="Expected demand: the sum of the series' (the same on every quantile's row).",
            unit="units in all the periods",
            minimum=0,
        ),
    ),
    orders=(ColumnOrder(earlier="cutoff", later="date"),),
)

PLAN = Table(
    name="plan",
    description="What to order, with its expected cost and its reasons.",
    key=("sku", "location", "as_of"),
    columns=(
        _SKU,
        _LOCATION,
        Column(name="as_of", type=_DATE, description="Day the plan was made for."),
        Column(
            name="reorder_point",
            type=_NUMBER,
            description="Inventory position at or below which to order.",
            unit="units",
        ),
        Column(
            name="order_up_to_level",
            type=_NUMBER,
            description="Inventory position to order up to.",
            unit="units",
        ),
        Column(name="order_quantity", type=_NUMBER, description="What to order now.", unit="units", minimum=0),
        Column(
            name="expected_cost",
            type=_NUMBER,
            description="Expected cost of the plan over the protection period.",
            unit="currency",
            is_nullable=True,
        ),
        Column(
            name="expected_fill_rate",
            type=_NUMBER,
            description="Expected share of demand units served from stock.",
            unit="share 0-1",
            is_nullable=True,
            minimum=0,
            maximum=1,
        ),
        Column(name="reasons", type=_TEXT, description="Why this quantity, as JSON.", is_nullable=True),
    ),
)

ALERTS = Table(
    name="alerts",
    description="What someone should look at, with the evidence and the suggested repair.",
    key=("alert",),
    columns=(
        Column(name="alert", type=_TEXT, description="Identifier of the alert."),
        Column(name="raised_at_utc", type=_TIMESTAMP, description="When it was raised, UTC."),
        Column(name="kind", type=_TEXT, description="What is wrong, in one word."),
        Column(
            name="severity", type=_TEXT, description="How much it matters.", choices=("info", "warning", "critical")
        ),
        Column(name="sku", type=_TEXT, description="The sku concerned.", is_nullable=True),
        Column(name="location", type=_TEXT, description="The location concerned.", is_nullable=True),
        Column(name="evidence", type=_TEXT, description="What was seen, as JSON."),
        Column(name="repair", type=_TEXT, description="What would mend it, as JSON.", is_nullable=True),
        Column(name="state", type=_TEXT, description="Where it stands.", choices=("open", "acknowledged", "resolved")),
    ),
)

REJECTED = Table(
    name="rejected",
    description="Rows that ingestion refused, with where they stood and why; nothing is lost.",
    key=("file", "line", "rule"),
    columns=(
        Column(name="table", type=_TEXT, description="Table the row was meant for."),
        Column(name="file", type=_TEXT, description="File it came from."),
        Column(
            name="line", type=_INTEGER, description="Line of the file (row number where it has no lines).", minimum=1
        ),
        Column(name="column", type=_TEXT, description="Column the rule blames."),
        Column(name="value", type=_TEXT, description="Value that was found, as text.", is_nullable=True),
        Column(name="reason", type=_TEXT, description="What was expected."),
        Column(name="rule", type=_TEXT, description="Name of the broken rule."),
        Column(name="row", type=_TEXT, description="The whole row as it was read, as JSON."),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        SALES,
        CALENDAR,
        PRODUCTS,
        LOCATIONS,
        SUPPLY_TERMS,
        PURCHASE_ORDERS,
        MOVEMENTS,
        STOCK,
        QUANTILE_FORECAST,
        DEMAND_DEPENDENCE,
        DEMAND_COMOVEMENT,
        TOTAL_FORECAST,
        PLAN,
        ALERTS,
        REJECTED,
    )
}

# What a company brings and ingestion reads; the other tables are made here.
SOURCE_TABLES: tuple[str, ...] = (
    "sales",
    "calendar",
    "products",
    "locations",
    "supply_terms",
    "purchase_orders",
    "movements",
    "stock",
)
