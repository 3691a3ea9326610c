"""What a file may hold: each kind with its columns, which are those of the API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from restock.operations.exchange.cells import CellType


class ExchangeKind(StrEnum):
    """What the rows of a file are."""

    PRODUCTS = "products"
    LOCATIONS = "locations"
    SUPPLIERS = "suppliers"
    SUPPLY_TERMS = "supply_terms"
    PRICES = "prices"
    STOCK = "stock"
    MOVEMENTS = "movements"
    PURCHASE_ORDERS = "purchase_orders"
    CUSTOMERS = "customers"
    CUSTOMER_ORDERS = "customer_orders"
    ALERTS = "alerts"
    PLANS = "plans"
    AUDIT = "audit"


@dataclass(frozen=True, kw_only=True)
class ColumnOfFile:
    """A column.

    Attributes:
        name: ours.
        type: what its cells hold.
        description: for people.
        is_required: no row without a value.
        is_told_only: it is exported, and left alone in an import.
        aliases: what else it may be called, in lower case with underscores.
    """

    name: str
    type: CellType
    description: str
    is_required: bool = False
    is_told_only: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KindOfFile:
    """A kind with its columns.

    Attributes:
        kind: which.
        columns: in the order in which they are exported.
        signature: columns by which a file is recognised as of this kind.
        group: column whose equal values make rows one record, written as a whole or not at all; None: each row is one.
        description: for people.
    """

    kind: ExchangeKind
    columns: tuple[ColumnOfFile, ...]
    description: str
    signature: tuple[str, ...] = ()
    group: str | None = None

    @property
    def can_be_imported(self) -> bool:
        """Whether files of this kind are read; others are only written."""
        return bool(self.signature)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnOfFile:
        """Return one of the columns."""
        return next(column for column in self.columns if column.name == name)


def _column(
    name: str, cell_type: CellType, description: str, *aliases: str, required: bool = False, told: bool = False
) -> ColumnOfFile:
    return ColumnOfFile(
        name=name, type=cell_type, description=description, is_required=required, is_told_only=told, aliases=aliases
    )


_CODE, _TEXT, _INTEGER, _NUMBER = CellType.CODE, CellType.TEXT, CellType.INTEGER, CellType.NUMBER
_BOOLEAN, _DATE, _INSTANT, _LIST, _JSON = (
    CellType.BOOLEAN,
    CellType.DATE,
    CellType.INSTANT,
    CellType.LIST,
    CellType.JSON,
)
_SKU_NAMES = (
    "item",
    "item_id",
    "item_code",
    "product",
    "product_id",
    "product_code",
    "article",
    "sku_id",
    "stock_code",
)
_LOCATION_NAMES = ("store", "store_id", "shop", "location_id", "warehouse", "warehouse_id", "branch", "site")
_SUPPLIER_NAMES = ("vendor", "vendor_id", "supplier_id")
_SKU = _column("sku", _CODE, "The product.", *_SKU_NAMES, required=True)
_LOCATION = _column("location", _CODE, "The location.", *_LOCATION_NAMES, required=True)
_SUPPLIER = _column("supplier", _CODE, "The supplier.", *_SUPPLIER_NAMES, required=True)
_ACTIVE = _column("is_active", _BOOLEAN, "Whether it is in use.", "active")
_UNIT = _column("unit", _CODE, "Unit of the quantities; the base unit where left out.", "uom", "unit_of_measure")
_LOT = _column("lot", _CODE, "Lot; empty where lots are not kept.", "batch", "lot_number", "batch_no")
_EXPIRES = _column("expires_on", _DATE, "Last day the lot may be sold.", "expiry", "expiry_date", "best_before")
_COST = _column("unit_cost", _NUMBER, "Cost of one base unit.", "cost", "purchase_price")
_PRICE = _column("unit_price", _NUMBER, "Price of one base unit.", "price", "selling_price", "sales_price")
_NOTE = _column("note", _TEXT, "What else is to be known.", "remarks", "comment")
_LINE = _column("line", _INTEGER, "Number of the line, from 1; counted where left out.", "line_number")

_PRODUCTS = KindOfFile(
    kind=ExchangeKind.PRODUCTS,
    signature=("sku", "name"),
    description="The catalogue. An empty cell leaves what is there.",
    columns=(
        _SKU,
        _column("name", _TEXT, "Name shown to people.", "product_name", "item_name", "title", required=True),
        _column("category_path", _TEXT, "Categories from broad to narrow, joined by ` > `.", "category"),
        _column("base_unit", _CODE, "What quantities count.", "unit", "uom", "unit_of_measure"),
        _column("quantity_decimals", _INTEGER, "Decimal places of quantities, 0 to 6."),
        _column("is_lot_tracked", _BOOLEAN, "Whether it is kept by lots."),
        _column("shelf_life_days", _INTEGER, "Days from receipt until it can't be sold."),
        _column(
            "barcodes",
            _LIST,
            "GTINs, joined by a vertical bar; one of another unit is written `GTIN:unit`.",
            "barcode",
            "ean",
            "gtin",
            "upc",
        ),
        _column("units", _LIST, "Other units, as `case=12`, joined by a vertical bar."),
        _COST,
        _PRICE,
        _ACTIVE,
    ),
)
_LOCATIONS = KindOfFile(
    kind=ExchangeKind.LOCATIONS,
    signature=("location", "kind"),
    description="Where stock is.",
    columns=(
        _LOCATION,
        _column("name", _TEXT, "Name shown to people; the location itself where left out."),
        _column("kind", _CODE, "store or warehouse.", "type", "location_type"),
        _column("region", _CODE, "Region or city.", "city"),
        _column("capacity", _NUMBER, "Units it can hold."),
        _column("may_be_negative", _BOOLEAN, "Whether its stock may go below zero, as a till's must."),
        _ACTIVE,
    ),
)
_SUPPLIERS = KindOfFile(
    kind=ExchangeKind.SUPPLIERS,
    signature=("supplier", "name"),
    description="Who delivers.",
    columns=(
        _SUPPLIER,
        _column("name", _TEXT, "Name shown to people.", "supplier_name", required=True),
        _column("minimum_order_value", _NUMBER, "Below it, an order is not accepted."),
        _ACTIVE,
    ),
)
_SUPPLY_TERMS = KindOfFile(
    kind=ExchangeKind.SUPPLY_TERMS,
    signature=("sku", "location", "supplier", "unit_cost"),
    description="On what terms a supplier delivers a product to a location; quantities in base units.",
    columns=(
        _SKU,
        _LOCATION,
        _SUPPLIER,
        _column("unit_cost", _NUMBER, "Agreed cost of one base unit.", "cost", "purchase_price", required=True),
        _column("minimum_order_quantity", _NUMBER, "Fewest units of an order line.", "moq", "min_order_quantity"),
        _column("order_multiple", _NUMBER, "Order quantities are whole multiples of it.", "pack_size"),
        _column("fixed_order_cost", _NUMBER, "Cost of placing one order."),
        _column("review_periods", _INTEGER, "Periods between two chances to order."),
        _column("quoted_lead_time_days", _INTEGER, "Days from order to delivery.", "lead_time", "lead_time_days"),
    ),
)
_PRICES = KindOfFile(
    kind=ExchangeKind.PRICES,
    signature=("sku", "valid_from"),
    description="What products cost and sell for from a day on.",
    columns=(_SKU, _column("valid_from", _DATE, "First day.", "from", "date", required=True), _COST, _PRICE),
)
_STOCK = KindOfFile(
    kind=ExchangeKind.STOCK,
    signature=("sku", "location", "on_hand"),
    description="How much there is. An import books the difference from the books as an adjustment.",
    columns=(
        _SKU,
        _LOCATION,
        _LOT,
        _EXPIRES,
        _column(
            "on_hand",
            _NUMBER,
            "Units there are.",
            "stock",
            "inventory",
            "stock_on_hand",
            "quantity_on_hand",
            "qty_on_hand",
            "quantity",
            required=True,
        ),
        _UNIT,
    ),
)
_MOVEMENTS = KindOfFile(
    kind=ExchangeKind.MOVEMENTS,
    signature=("kind", "sku", "location", "quantity"),
    group="movement",
    description="Changes of stock. Rows with the same `movement` are its lines and sum to zero; a row alone is booked "
    "against the supplier, customer, loss or adjustment that its kind stands for.",
    columns=(
        _column("movement", _CODE, "Identifier; made where left out."),
        _LINE,
        _column(
            "kind",
            _CODE,
            "receipt, sale, return, adjustment, write_off, transfer_out, transfer_in, count or reversal.",
            required=True,
        ),
        _column("occurred_at_utc", _INSTANT, "When it happened.", "occurred_at", "date", "time", required=True),
        _SKU,
        _LOCATION,
        _LOT,
        _EXPIRES,
        _column("quantity", _NUMBER, "Signed change at the location.", "qty", required=True),
        _UNIT,
        _COST,
        _PRICE,
        _column("entered_quantity", _CODE, "As it was entered."),
        _column("entered_unit", _CODE, "Unit it was entered in."),
        _column("reference", _CODE, "Invoice, order, count or transfer it belongs to.", "document"),
        _column("reason", _TEXT, "Why; needed for adjustments, write-offs and reversals."),
        _column("reverses", _CODE, "The movement that it takes back."),
        _column("posted_at_utc", _INSTANT, "When it was booked here.", told=True),
        _column("posted_by", _CODE, "Who booked it here.", told=True),
    ),
)
_PURCHASE_ORDERS = KindOfFile(
    kind=ExchangeKind.PURCHASE_ORDERS,
    signature=("purchase_order", "supplier", "sku", "quantity_ordered"),
    group="purchase_order",
    description="Orders to suppliers, a row a line. What came before is kept as a number: an import books no stock.",
    columns=(
        _column("purchase_order", _CODE, "Number of the order.", "order", "po", "po_number", required=True),
        _SUPPLIER,
        _LOCATION,
        _column("state", _CODE, "draft, sent, partly_received, received, closed or cancelled.", "status"),
        _column("ordered_on", _DATE, "Day it was sent.", "order_date"),
        _column("promised_on", _DATE, "Day the supplier promised.", "promised_date", "due_date"),
        _NOTE,
        _LINE,
        _SKU,
        _column("quantity_ordered", _NUMBER, "Units ordered.", "quantity", "qty", required=True),
        _column("quantity_received", _NUMBER, "Units that came.", "received_quantity"),
        _UNIT,
        _column("unit_cost", _NUMBER, "Cost of one base unit.", "cost", "purchase_price"),
    ),
)
_CUSTOMERS = KindOfFile(
    kind=ExchangeKind.CUSTOMERS,
    signature=("customer", "name"),
    description="Who buys.",
    columns=(
        _column("customer", _CODE, "The customer.", "customer_id", required=True),
        _column("name", _TEXT, "Name shown to people.", "customer_name", required=True),
        _column("region", _CODE, "Region or city.", "city"),
        _ACTIVE,
    ),
)
_CUSTOMER_ORDERS = KindOfFile(
    kind=ExchangeKind.CUSTOMER_ORDERS,
    signature=("customer_order", "customer", "sku", "quantity_ordered"),
    group="customer_order",
    description="What customers have ordered, a row a line: demand that is known ahead.",
    columns=(
        _column("customer_order", _CODE, "Number of the order.", "sales_order", required=True),
        _column("customer", _CODE, "The customer.", "customer_id", required=True),
        _LOCATION,
        _column("state", _CODE, "open, partly_delivered, delivered or cancelled.", "status"),
        _column("ordered_on", _DATE, "Day it was ordered.", "order_date", required=True),
        _column("requested_on", _DATE, "Day it is wanted.", "delivery_date"),
        _LINE,
        _SKU,
        _column("quantity_ordered", _NUMBER, "Units ordered.", "quantity", "qty", required=True),
        _column("quantity_delivered", _NUMBER, "Units delivered so far."),
        _UNIT,
        _PRICE,
    ),
)
_ALERTS = KindOfFile(
    kind=ExchangeKind.ALERTS,
    description="What somebody should look at.",
    columns=(
        _column("alert", _CODE, "Identifier."),
        _column("kind", _CODE, "What is wrong."),
        _column("severity", _CODE, "info, warning or critical."),
        _column("state", _CODE, "open, acknowledged or resolved."),
        _column("sku", _CODE, "The product."),
        _column("location", _CODE, "The location."),
        _column("summary", _TEXT, "In words."),
        _column("created_at_utc", _INSTANT, "When it was raised."),
        _column("acknowledged_at_utc", _INSTANT, "When somebody took it on."),
        _column("acknowledged_by", _CODE, "Who."),
        _column("resolved_at_utc", _INSTANT, "When it was over."),
        _column("resolved_by", _CODE, "Who said so."),
        _column("note", _TEXT, "What they noted."),
        _column("evidence", _JSON, "What was seen."),
    ),
)
_PLANS = KindOfFile(
    kind=ExchangeKind.PLANS,
    description="What to order and why; empty until replenishment has planned.",
    columns=(
        _column("sku", _CODE, "The product."),
        _column("location", _CODE, "The location."),
        _column("as_of", _DATE, "Day the plan was made for."),
        _column("supplier", _CODE, "Who would deliver."),
        _column("reorder_point", _NUMBER, "Inventory position at or below which to order, base units."),
        _column("order_up_to_level", _NUMBER, "Inventory position to order up to, base units."),
        _column("order_quantity", _NUMBER, "What to order now, base units."),
        _column("safety_stock", _NUMBER, "What the level holds beyond expected demand, base units."),
        _column("expected_cost", _NUMBER, "Expected cost until the order after this one is received."),
        _column("unordered_cost", _NUMBER, "The same without the order."),
        _column("expected_fill_rate", _NUMBER, "Expected share of demand units served from stock, 0 to 1."),
        _column("stockout_probability", _NUMBER, "Chance of a stockout with the order, 0 to 1."),
        _column("binding", _CODE, "What keeps the order from the quantity that costs alone would choose."),
        _column("forecast_version", _CODE, "Version of the forecast behind it."),
        _column("policy_version", _CODE, "Version of the promoted policy; empty: none was."),
        _column("reasons", _JSON, "Why this quantity."),
    ),
)
_AUDIT = KindOfFile(
    kind=ExchangeKind.AUDIT,
    description="Who did what.",
    columns=(
        _column("position", _INTEGER, "Number of the entry."),
        _column("at_utc", _INSTANT, "When."),
        _column("actor", _CODE, "Who."),
        _column("action", _CODE, "What."),
        _column("subject", _CODE, "To what."),
        _column("details", _JSON, "What else is worth knowing."),
    ),
)
KINDS: dict[ExchangeKind, KindOfFile] = {
    each.kind: each
    for each in (
        _PRODUCTS, _LOCATIONS, _SUPPLIERS, _SUPPLY_TERMS, _PRICES, _STOCK, _MOVEMENTS, _PURCHASE_ORDERS, _CUSTOMERS,
        _CUSTOMER_ORDERS, _ALERTS, _PLANS, _AUDIT,
    )
}  # fmt: skip
