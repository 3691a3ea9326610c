"""Locations, suppliers and the terms on which they deliver."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from restock.operations.catalogue.fields import read_draft
from restock.operations.catalogue.places import (
    LocationDraft,
    LocationFilter,
    LocationKind,
    LocationRecord,
    list_locations,
    put_location,
    read_location,
)
from restock.operations.catalogue.suppliers import (
    SupplierDraft,
    SupplierRecord,
    list_suppliers,
    put_supplier,
    read_supplier,
)
from restock.operations.catalogue.supply_terms import (
    SupplyTermDraft,
    SupplyTermFilter,
    SupplyTermRecord,
    list_supply_terms,
    put_supply_term,
)
from restock.operations.stock.once import write_once
from serving.planning.context import Caller, Context, ExpectedVersion, IdempotencyKey
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import (
    Code,
    Exact,
    NonNegativeAmount,
    OptionalCode,
    PathCode,
    PositiveAmount,
    Reply,
    Request,
)
from serving.planning.writes import describe_write

router = APIRouter(tags=["catalogue"])


class LocationRequest(Request):
    """What a location is to be."""

    name: Code = Field(description="Name shown to people.", examples=["High Street"])
    kind: Literal["store", "warehouse"] = Field(default="store", description="What it is.")
    region: OptionalCode = Field(default="", description="Region or city.")
    capacity: Annotated[NonNegativeAmount, Field(le=10**11, decimal_places=3)] | None = Field(
        default=None, description="Units it can hold; null where no limit is known."
    )
    may_be_negative: bool = Field(
        default=False, description="Whether its stock may go below zero, as a till that must not stop needs."
    )
    is_active: bool = Field(default=True, description="Whether it is in use.")


class LocationReply(Reply):
    """A location."""

    location: str = Field(description="Its name in the ledger.")
    name: str = Field(description="Name shown to people.")
    kind: Literal["store", "warehouse", "virtual"] = Field(description="What it is.")
    region: str = Field(description="Region or city.")
    capacity: Exact | None = Field(description="Units it can hold; null where no limit is known.")
    may_be_negative: bool = Field(description="Whether its stock may go below zero.")
    is_active: bool = Field(description="Whether it is in use.")
    version: int = Field(description="Rises with every change; its ETag.")


class SupplierRequest(Request):
    """What a supplier is to be."""

    name: Code = Field(description="Name shown to people.", examples=["Dairy & Co"])
    is_active: bool = Field(default=True, description="Whether orders go to it.")
    minimum_order_value: NonNegativeAmount = Field(
        default=0, validate_default=True, description="Below it, an order is not accepted; company's currency."
    )


class SupplierReply(Reply):
    """A supplier."""

    supplier: str = Field(description="Its short name.")
    name: str = Field(description="Name shown to people.")
    is_active: bool = Field(description="Whether orders go to it.")
    minimum_order_value: Exact = Field(description="Below it, an order is not accepted; company's currency.")
    version: int = Field(description="Rises with every change; its ETag.")


class SupplyTermRequest(Request):
    """On what terms a supplier is to deliver a product to a location."""

    unit_cost: NonNegativeAmount = Field(description="Agreed cost of one base unit.", examples=["0.55"])
    minimum_order_quantity: NonNegativeAmount = Field(
        default=1, validate_default=True, description="Least of an order line, base units."
    )
    order_multiple: PositiveAmount = Field(
        default=1, validate_default=True, description="Order quantities are whole multiples of this; base units."
    )
    fixed_order_cost: NonNegativeAmount = Field(
        default=0, validate_default=True, description="Cost of placing one order."
    )
    review_periods: int = Field(default=1, ge=1, le=1000, description="Periods between two chances to order.")
    quoted_lead_time_days: int = Field(ge=0, le=3650, description="Days from order to delivery that are promised.")


class SupplyTermReply(Reply):
    """On what terms a supplier delivers a product to a location."""

    sku: str = Field(description="The product.")
    location: str = Field(description="Where it is delivered.")
    supplier: str = Field(description="Who delivers.")
    unit_cost: Exact = Field(description="Agreed cost of one base unit.")
    minimum_order_quantity: Exact = Field(description="Least of an order line, base units.")
    order_multiple: Exact = Field(description="Order quantities are whole multiples of this; base units.")
    fixed_order_cost: Exact = Field(description="Cost of placing one order.")
    review_periods: int = Field(description="Periods between two chances to order.")
    quoted_lead_time_days: int = Field(description="Days from order to delivery that are promised.")
    base_unit: str = Field(description="Unit of the quantities.")


@router.get("/locations", summary="Where stock is.")
def get_locations(
    context: Context,
    pages: Pages,
    kind: Annotated[Literal["store", "warehouse"] | None, Query(description="Of this kind.")] = None,
    region: Annotated[Code | None, Query(description="In this region.")] = None,
    is_active: Annotated[bool | None, Query(description="In use, or not.")] = None,
) -> ListReply[LocationReply]:
    """Locations by name."""
    chosen = LocationFilter(kind=None if kind is None else LocationKind(kind), region=region, is_active=is_active)
    with context.reading() as connection:
        records, after = list_locations(
            connection, chosen=chosen, after=check_cursor(pages.after, str), limit=pages.limit
        )
    return ListReply(items=[_location(record) for record in records], next_cursor=encode_cursor(after))


@router.get("/locations/{location}", summary="One location.")
def get_location(context: Context, response: Response, location: PathCode) -> LocationReply:
    """A location with its ETag."""
    with context.reading() as connection:
        record = read_location(connection, location)
    set_etag(response, record.version)
    return _location(record)


@router.put("/locations/{location}", summary="Create or replace a location.")
def put_whole_location(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    version: ExpectedVersion,
    response: Response,
    location: PathCode,
    request: LocationRequest,
) -> LocationReply:
    """Make a location what the request says; with If-Match, only where nobody changed it in between."""
    write = describe_write(f"PUT /locations/{location}", request, key=key, caller=caller, now=context.now())
    draft = read_draft(LocationDraft, {**_fields(request), "location": location})

    def perform() -> dict[str, Any]:
        record = put_location(connection, draft, actor=write.actor, now=write.now, expected_version=version)
        return _location(record).model_dump(mode="json")

    with context.writing() as connection:
        reply = LocationReply.model_validate(write_once(connection, write, perform))
    set_etag(response, reply.version)
    return reply


@router.get("/suppliers", summary="Who delivers.")
def get_suppliers(
    context: Context,
    pages: Pages,
    is_active: Annotated[bool | None, Query(description="With or without orders going to it.")] = None,
) -> ListReply[SupplierReply]:
    """Suppliers by short name."""
    with context.reading() as connection:
        records, after = list_suppliers(
            connection, is_active=is_active, after=check_cursor(pages.after, str), limit=pages.limit
        )
    return ListReply(items=[_supplier(record) for record in records], next_cursor=encode_cursor(after))


@router.get("/suppliers/{supplier}", summary="One supplier.")
def get_supplier(context: Context, response: Response, supplier: PathCode) -> SupplierReply:
    """A supplier with its ETag."""
    with context.reading() as connection:
        record = read_supplier(connection, supplier)
    set_etag(response, record.version)
    return _supplier(record)


@router.put("/suppliers/{supplier}", summary="Create or replace a supplier.")
def put_whole_supplier(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    version: ExpectedVersion,
    response: Response,
    supplier: PathCode,
    request: SupplierRequest,
) -> SupplierReply:
    """Make a supplier what the request says; with If-Match, only where nobody changed it in between."""
    write = describe_write(f"PUT /suppliers/{supplier}", request, key=key, caller=caller, now=context.now())
    draft = read_draft(SupplierDraft, {**_fields(request), "supplier": supplier})

    def perform() -> dict[str, Any]:
        record = put_supplier(connection, draft, actor=write.actor, now=write.now, expected_version=version)
        return _supplier(record).model_dump(mode="json")

    with context.writing() as connection:
        reply = SupplierReply.model_validate(write_once(connection, write, perform))
    set_etag(response, reply.version)
    return reply


@router.get("/supply-terms", summary="On what terms is delivered.")
def get_supply_terms(
    context: Context,
    pages: Pages,
    sku: Annotated[Code | None, Query(description="Of this product.")] = None,
    location: Annotated[Code | None, Query(description="To this location.")] = None,
    supplier: Annotated[Code | None, Query(description="By this supplier.")] = None,
) -> ListReply[SupplyTermReply]:
    """Supply terms by sku, location and supplier."""
    chosen = SupplyTermFilter(sku=sku, location=location, supplier=supplier)
    with context.reading() as connection:
        records, after = list_supply_terms(
            connection, chosen=chosen, after=check_cursor(pages.after, str, str, str), limit=pages.limit
        )
    return ListReply(items=[_term(record) for record in records], next_cursor=encode_cursor(after))


@router.put("/supply-terms/{sku}/{location}/{supplier}", summary="Create or replace a supply term.")
def put_whole_supply_term(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    sku: PathCode,
    location: PathCode,
    supplier: PathCode,
    request: SupplyTermRequest,
) -> SupplyTermReply:
    """Say on what terms a supplier delivers a product to a location."""
    route = f"PUT /supply-terms/{sku}/{location}/{supplier}"
    write = describe_write(route, request, key=key, caller=caller, now=context.now())
    values = {**_fields(request), "sku": sku, "location": location, "supplier": supplier}
    draft = read_draft(SupplyTermDraft, values)

    def perform() -> dict[str, Any]:
        record = put_supply_term(connection, draft, actor=write.actor, now=write.now)
        return _term(record).model_dump(mode="json")

    with context.writing() as connection:
        return SupplyTermReply.model_validate(write_once(connection, write, perform))


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in type(request).model_fields}


def _location(record: LocationRecord) -> LocationReply:
    return LocationReply.model_validate({name: getattr(record, name) for name in LocationReply.model_fields})


def _supplier(record: SupplierRecord) -> SupplierReply:
    return SupplierReply.model_validate({name: getattr(record, name) for name in SupplierReply.model_fields})


def _term(record: SupplyTermRecord) -> SupplyTermReply:
    return SupplyTermReply.model_validate({name: getattr(record, name) for name in SupplyTermReply.model_fields})
