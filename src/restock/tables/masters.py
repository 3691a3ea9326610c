"""What a company says of itself ahead of any day: its calendar, skus, locations and the terms of its suppliers."""

from __future__ import annotations

from restock.schema import Column, ColumnType, Table
from restock.tables.columns import BOOLEAN, DATE, INTEGER, LOCATION, NUMBER, SKU, SUPPLIER, TEXT

CALENDAR = Table(
    name="calendar",
    description="What is known ahead about a date: holidays and events; an empty location means everywhere.",
    key=("date", "location"),
    columns=(
        Column(name="date", type=DATE, description="First day of the period; may lie ahead."),
        Column(
            name="location",
            type=TEXT,
            description="Where it holds; empty means every location.",
            is_nullable=True,
            is_optional=True,
            default="",
        ),
        Column(name="is_holiday", type=BOOLEAN, description="Whether it is a public or shopping holiday."),
        Column(
            name="event",
            type=TEXT,
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
        SKU,
        Column(name="name", type=TEXT, description="Name shown to people."),
        Column(name="category_path", type=TEXT, description="Categories from broad to narrow, joined by ' > '."),
        Column(
            name="barcodes",
            type=ColumnType.TEXT_LIST,
            description="GTINs under which the sku is scanned.",
            is_nullable=True,
            is_optional=True,
        ),
        Column(
            name="unit_cost",
            type=NUMBER,
            description="Purchase cost of one unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="unit_price",
            type=NUMBER,
            description="List price of one unit.",
            unit="currency per unit",
            is_nullable=True,
            is_optional=True,
            minimum=0,
        ),
        Column(
            name="pack_units",
            type=INTEGER,
            description="Units in one case pack.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="shelf_life_days",
            type=INTEGER,
            description="Days from receipt until it can't be sold; null means it does not expire.",
            unit="days",
            is_nullable=True,
            is_optional=True,
            minimum=1,
        ),
        Column(
            name="unit_of_measure",
            type=TEXT,
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
        LOCATION,
        Column(
            name="kind",
            type=TEXT,
            description="What the location is.",
            choices=("store", "warehouse", "virtual"),
            is_optional=True,
            default="store",
        ),
        Column(name="region", type=TEXT, description="Region or city.", is_nullable=True, is_optional=True),
        Column(
            name="capacity_units",
            type=NUMBER,
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
        SKU,
        LOCATION,
        SUPPLIER,
        Column(
            name="unit_cost",
            type=NUMBER,
            description="Agreed cost of one unit.",
            unit="currency per unit",
            minimum=0,
        ),
        Column(
            name="minimum_order_quantity",
            type=INTEGER,
            description="Fewest units in an order line.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="order_multiple",
            type=INTEGER,
            description="Order quantities are whole multiples of this.",
            unit="units",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="fixed_order_cost",
            type=NUMBER,
            description="Cost of placing one order, whatever its size.",
            unit="currency per order",
            is_optional=True,
            default=0.0,
            minimum=0,
        ),
        Column(
            name="review_periods",
            type=INTEGER,
            description="Periods between two chances to order.",
            unit="periods",
            is_optional=True,
            default=1,
            minimum=1,
        ),
        Column(
            name="quoted_lead_time_days",
            type=INTEGER,
            description="Days from order to delivery that the supplier promises.",
            unit="days",
            minimum=0,
        ),
    ),
)
