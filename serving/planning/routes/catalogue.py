"""Products: the catalogue, its search and the product page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from restock.ledger.gtin import normalise_gtin
from restock.operations.catalogue.fields import read_draft
from restock.operations.catalogue.lots import LotDraft, list_lots, put_lot
from restock.operations.catalogue.page_parts import PageProduct, ProductPage
from restock.operations.catalogue.prices import ProductPrices, read_prices
from restock.operations.catalogue.product_page import describe_product, read_product_page
from restock.operations.catalogue.products import (
    ProductDraft,
    ProductFilter,
    ProductRecord,
    ProductSort,
    create_product,
    list_products,
    put_product,
    read_product,
)
from restock.operations.catalogue.search import LARGEST_ANSWER, LONGEST_QUERY
from restock.operations.catalogue.search_index import Hit
from restock.operations.stock.company import read_company
from restock.operations.stock.once import Write, write_once
from serving.planning.context import Caller, Context, ExpectedVersion, IdempotencyKey, PlanningContext
from serving.planning.etags import set_etag
from serving.planning.paging import ListReply, Pages, check_cursor, encode_cursor
from serving.planning.values import (
    Code,
    Day,
    Exact,
    Instant,
    NonNegativeAmount,
    OptionalCode,
    PathCode,
    PositiveAmount,
    Reply,
    Request,
    Words,
)
from serving.planning.writes import describe_write

router = APIRouter(tags=["catalogue"])

_Decimals = Annotated[int, Field(ge=0, le=6)]
_ShelfLife = Annotated[int, Field(ge=1, le=36_500)]
_SORTS: dict[str, tuple[ProductSort, tuple[type, ...]]] = {
    "sku": (ProductSort.SKU, (str,)),
    "name": (ProductSort.NAME, (str, str)),
    "category_path": (ProductSort.CATEGORY_PATH, (str, str)),
    "changed_at": (ProductSort.CHANGED_AT, (datetime, str)),
}


class BarcodeRequest(Request):
    """A GTIN and what is scanned under it."""

    gtin: Code = Field(description="GTIN-8, -12, -13 or -14 with its check digit.", examples=["4006381333931"])
    unit: OptionalCode = Field(default="", description="Unit of measure that it stands on; empty: the base unit.")


class UnitRequest(Request):
    """Another unit that a product is counted in."""

    unit: Code = Field(description="Its name.", examples=["case"])
    factor: PositiveAmount = Field(description="Base units in one of it.", examples=["12"])


_Barcodes = Annotated[tuple[BarcodeRequest, ...], Field(max_length=100)]
_Units = Annotated[tuple[UnitRequest, ...], Field(max_length=50)]


class ProductBody(Request):
    """What a product is to be, all of it: what is left out becomes what the default says."""

    name: Code = Field(description="Name shown to people.", examples=["Whole milk 1 l"])
    category_path: Words = Field(default="", description="Categories from broad to narrow, joined by ' > '.")
    base_unit: Code = Field(default="piece", description="Unit that the ledger counts in; fixed once booked.")
    quantity_decimals: _Decimals = Field(default=0, description="Decimal places of the base unit that are kept.")
    is_lot_tracked: bool = Field(default=False, description="Whether its stock is kept by lots.")
    shelf_life_days: _ShelfLife | None = Field(default=None, description="Days from receipt until it can't be sold.")
    barcodes: _Barcodes = Field(default=(), description="Under what it is scanned.")
    units: _Units = Field(default=(), description="Other units it is counted in.")
    is_active: bool = Field(default=True, description="Whether it is still bought or sold.")
    unit_cost: NonNegativeAmount | None = Field(default=None, description="Cost of a base unit; null: as it is.")
    unit_price: NonNegativeAmount | None = Field(default=None, description="Price of a base unit; null: as it is.")
    valid_from: Day | None = Field(default=None, description="First day of that cost and price; null: today.")


class ProductRequest(ProductBody):
    """A new product."""

    sku: Code = Field(description="Its number here.", examples=["SKU-0001"])


class ProductPatch(Request):
    """What is to change of a product; what is left out stays."""

    # Only fields that came count; a factory keeps its value out of the documentation.
    name: Code = Field(default_factory=str, description="Name shown to people.")
    category_path: Words = Field(default_factory=str, description="Categories from broad to narrow.")
    base_unit: Code = Field(default_factory=str, description="Unit that the ledger counts in; fixed once booked.")
    quantity_decimals: _Decimals = Field(default_factory=int, description="Decimal places of the base unit.")
    is_lot_tracked: bool = Field(default_factory=bool, description="Whether its stock is kept by lots.")
    shelf_life_days: _ShelfLife | None = Field(
        default=None, description="Days from receipt until it can't be sold; null: does not expire."
    )
    barcodes: _Barcodes = Field(default_factory=tuple, description="Under what it is scanned, all of them.")
    units: _Units = Field(default_factory=tuple, description="Other units it is counted in, all of them.")
    is_active: bool = Field(default_factory=bool, description="Whether it is still bought or sold.")
    unit_cost: NonNegativeAmount | None = Field(default=None, description="Cost of a base unit; null: as it is.")
    unit_price: NonNegativeAmount | None = Field(default=None, description="Price of a base unit; null: as it is.")
    valid_from: Day | None = Field(default=None, description="First day of that cost and price; null: today.")


class ProductReply(PageProduct):
    """A product with what it costs and sells for today."""

    unit_cost: Exact | None = Field(description="Cost of one base unit today, company's currency.")
    unit_price: Exact | None = Field(description="Price of one base unit today, company's currency.")


class LotRequest(Request):
    """What a lot is to be."""

    expires_on: Day | None = Field(description="Last day it may be sold; null: does not expire.")


class LotReply(Reply):
    """A lot."""

    sku: str = Field(description="The product.")
    lot: str = Field(description="Lot number.")
    expires_on: Day | None = Field(description="Last day it may be sold; null: does not expire, or not known.")


class HitReply(Reply):
    """A product that was found."""

    sku: str = Field(description="Its number here.")
    name: str = Field(description="Its name.")
    category_path: str = Field(description="Its categories.")
    is_active: bool = Field(description="Whether it is still bought or sold.")
    match: str = Field(description="How it was found: sku, barcode, beginning, words, fuzzy or some_words.")
    score: float = Field(description="Among equal matches, higher is better.")


class SearchReply(Reply):
    """What was found, the best first."""

    items: list[HitReply] = Field(description="Products, the best first.")


@router.get("/products", summary="The catalogue.")
def get_products(
    context: Context,
    pages: Pages,
    category: Annotated[Words | None, Query(description="In this category and below it.")] = None,
    barcode: Annotated[Code | None, Query(description="With this GTIN.")] = None,
    is_active: Annotated[bool | None, Query(description="Still bought or sold, or not.")] = None,
    is_lot_tracked: Annotated[bool | None, Query(description="Kept by lots, or not.")] = None,
    changed_since: Annotated[Instant | None, Query(description="Changed at or after it.")] = None,
    sort: Annotated[
        Literal["sku", "name", "category_path", "changed_at"], Query(description="What they are sorted by.")
    ] = "sku",
    order: Annotated[Literal["ascending", "descending"], Query(description="In which direction.")] = "ascending",
) -> ListReply[ProductReply]:
    """Products, a page at a time."""
    chosen = ProductFilter(
        category=category,
        gtin=None if barcode is None else normalise_gtin(barcode),
        is_active=is_active,
        is_lot_tracked=is_lot_tracked,
        changed_since=changed_since,
    )
    key, types = _SORTS[sort]
    with context.reading() as connection:
        records, after = list_products(
            connection,
            chosen=chosen,
            sort=key,
            is_descending=order == "descending",
            after=check_cursor(pages.after, *types),
            limit=pages.limit,
        )
        today = read_company(connection).day_of(context.now())
        prices = read_prices(connection, (record.sku for record in records), on=today)
    items = [_product_reply(record, prices[record.sku]) for record in records]
    return ListReply(items=items, next_cursor=encode_cursor(after))


@router.get("/products/{sku}", summary="One product.")
def get_product(context: Context, response: Response, sku: PathCode) -> ProductReply:
    """A product with its ETag."""
    with context.reading() as connection:
        reply = _read_reply(connection, read_product(connection, sku), now=context.now())
    set_etag(response, reply.version)
    return reply


@router.post("/products", status_code=201, summary="Create a product.")
def post_product(
    context: Context, caller: Caller, key: IdempotencyKey, response: Response, request: ProductRequest
) -> ProductReply:
    """Create a product; 409 where the sku is taken."""
    write = describe_write("POST /products", request, key=key, caller=caller, now=context.now())
    draft = read_draft(ProductDraft, _values(request))
    return _store(
        context,
        write,
        response,
        lambda connection: create_product(connection, draft, actor=write.actor, now=write.now),
    )


@router.put("/products/{sku}", summary="Create or replace a product.")
def put_whole_product(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    version: ExpectedVersion,
    response: Response,
    sku: PathCode,
    request: ProductBody,
) -> ProductReply:
    """Make a product what the request says; with If-Match, only where nobody changed it in between."""
    write = describe_write(f"PUT /products/{sku}", request, key=key, caller=caller, now=context.now())
    draft = read_draft(ProductDraft, {**_values(request), "sku": sku})
    return _store(
        context,
        write,
        response,
        lambda connection: put_product(connection, draft, actor=write.actor, now=write.now, expected_version=version),
    )


@router.patch("/products/{sku}", summary="Change parts of a product.")
def patch_product(
    context: Context,
    caller: Caller,
    key: IdempotencyKey,
    version: ExpectedVersion,
    response: Response,
    sku: PathCode,
    request: ProductPatch,
) -> ProductReply:
    """Change the fields that are sent; with If-Match, only where nobody changed it in between."""
    write = describe_write(f"PATCH /products/{sku}", request, key=key, caller=caller, now=context.now())
    changes = {name: value for name, value in _values(request).items() if name in request.model_fields_set}

    def change(connection: Connection) -> ProductRecord:
        before = read_product(connection, sku).to_draft()
        values = {name: getattr(before, name) for name in ProductDraft.model_fields}
        draft = read_draft(ProductDraft, values | changes)
        return put_product(
            connection,
            draft,
            actor=write.actor,
            now=write.now,
            expected_version=version,
        )

    return _store(context, write, response, change)


@router.get("/products/{sku}/page", summary="Everything about a product.")
def get_product_page(
    context: Context,
    sku: PathCode,
    location: Annotated[Code | None, Query(description="Only what is about this location.")] = None,
) -> ProductPage:
    """Stock by location and lot, on order, in transit, prices, forecast, plan, last movements, customers' orders."""
    with context.reading() as connection:
        today = read_company(connection).day_of(context.now())
        return read_product_page(connection, sku, today=today, location=location)


@router.get("/products/{sku}/lots", summary="The lots of a product.")
def get_product_lots(context: Context, pages: Pages, sku: PathCode) -> ListReply[LotReply]:
    """Lots by number, those without stock too."""
    with context.reading() as connection:
        lots, after = list_lots(connection, sku, after=check_cursor(pages.after, str), limit=pages.limit)
    items = [LotReply(sku=each.sku, lot=each.lot, expires_on=each.expires_on) for each in lots]
    return ListReply(items=items, next_cursor=encode_cursor(after))


@router.put("/products/{sku}/lots/{lot}", summary="Create a lot or correct its expiry.")
def put_product_lot(
    context: Context, caller: Caller, key: IdempotencyKey, sku: PathCode, lot: PathCode, request: LotRequest
) -> LotReply:
    """Say when a lot expires."""
    write = describe_write(f"PUT /products/{sku}/lots/{lot}", request, key=key, caller=caller, now=context.now())
    draft = read_draft(LotDraft, {"sku": sku, "lot": lot, "expires_on": request.expires_on})

    def perform() -> dict[str, Any]:
        record = put_lot(connection, draft, actor=write.actor, now=write.now)
        return LotReply(sku=record.sku, lot=record.lot, expires_on=record.expires_on).model_dump(mode="json")

    with context.writing() as connection:
        return LotReply.model_validate(write_once(connection, write, perform))


@router.get("/search", summary="Find products.")
def get_search(
    context: Context,
    q: Annotated[
        str, Query(min_length=1, max_length=LONGEST_QUERY, description="Sku, barcode, words; mistakes are forgiven.")
    ],
    limit: Annotated[int, Query(ge=1, le=LARGEST_ANSWER, description="Products at most.")] = 20,
    is_active: Annotated[bool | None, Query(description="Still bought or sold, or not.")] = None,
) -> SearchReply:
    """Exact skus and barcodes first, then beginnings, then words, then what is nearly written so."""
    with context.reading() as connection:
        hits = context.search.search(connection, q, limit=limit, is_active=is_active)
    return SearchReply(items=[_hit_reply(hit) for hit in hits])


def _store(
    context: PlanningContext, write: Write, response: Response, put: Callable[[Connection], ProductRecord]
) -> ProductReply:
    """Return the reply to a change of a product, made once for its key."""
    with context.writing() as connection:
        content = write_once(
            connection,
            write,
            lambda: _read_reply(connection, put(connection), now=write.now).model_dump(mode="json"),
        )
    reply = ProductReply.model_validate(content)
    set_etag(response, reply.version)
    return reply


def _values(request: Request) -> dict[str, Any]:
    """Return the fields of a request as a draft takes them."""
    values = {name: getattr(request, name) for name in type(request).model_fields}
    pairs: Mapping[str, tuple[str, str]] = {"barcodes": ("gtin", "unit"), "units": ("unit", "factor")}
    parts = {
        name: tuple((getattr(each, first), getattr(each, second)) for each in values[name])
        for name, (first, second) in pairs.items()
    }
    return values | parts


def _read_reply(connection: Connection, record: ProductRecord, *, now: datetime) -> ProductReply:
    today = read_company(connection).day_of(now)
    return _product_reply(record, read_prices(connection, [record.sku], on=today)[record.sku])


def _product_reply(record: ProductRecord, prices: ProductPrices) -> ProductReply:
    product = describe_product(record)
    return ProductReply(
        **{name: getattr(product, name) for name in PageProduct.model_fields},
        unit_cost=prices.unit_cost,
        unit_price=prices.unit_price,
    )


def _hit_reply(hit: Hit) -> HitReply:
    return HitReply(
        sku=hit.entry.sku,
        name=hit.entry.name,
        category_path=hit.entry.category_path,
        is_active=hit.entry.is_active,
        match=hit.match.name.lower(),
        score=hit.score,
    )
