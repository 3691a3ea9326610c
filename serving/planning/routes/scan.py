"""Scanning: what a code means here."""

from __future__ import annotations

from datetime import date
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from restock.ledger.scan import LONGEST_CODE
from restock.operations.catalogue.scan import LotState, ResolvedScan, resolve_scan
from restock.operations.stock.company import read_company
from serving.planning.context import Context
from serving.planning.values import Code, Exact, Reply, Request

router = APIRouter(tags=["scan"])


class ScanRequest(Request):
    """A scanned code."""

    code: str = Field(
        min_length=1,
        max_length=LONGEST_CODE,
        description="As the scanner sent it: barcode, GS1 element string (FNC1 as ASCII 29), GS1 Digital Link or sku.",
        examples=["(01)09506000134352(10)ABC(17)250200"],
    )
    location: Code | None = Field(default=None, description="Where the balance is asked for.")


class ElementReply(Reply):
    """Something else that the code says."""

    identifier: str = Field(description="GS1 application identifier.")
    name: str = Field(description="What GS1 calls it.")
    value: str = Field(description="As scanned.")


class ScanReply(Reply):
    """What a code means here."""

    read_as: Literal["gtin", "gs1_element_string", "gs1_digital_link", "sku"] = Field(
        description="As what it was read."
    )
    gtin: str | None = Field(description="GTIN, 14 digits; null where it was a sku.")
    sku: str = Field(description="The product.")
    name: str = Field(description="Its name.")
    is_active: bool = Field(description="Whether it is still bought or sold.")
    is_lot_tracked: bool = Field(description="Whether its stock is kept by lots: then a booking needs one.")
    unit: str = Field(description="Unit of measure that the code stands on.")
    factor: Exact = Field(description="Base units in one of it.")
    base_unit: str = Field(description="The base unit.")
    quantity: int | None = Field(description="How many of `unit` the code says; null where it does not.")
    base_quantity: Exact = Field(description="Base units that one scan stands for.")
    lot: str | None = Field(description="Lot; null where the code has none.")
    lot_state: LotState = Field(
        description="none: the code has no lot; untracked: the product is not kept by lots; unknown: not seen here; "
        "known; expired: not to be sold."
    )
    expires_on: date | None = Field(description="Expiry that the code says, else the one known here.")
    known_expires_on: date | None = Field(
        description="Expiry known here; where it differs from the code's, one is wrong."
    )
    serial: str | None = Field(description="Serial number.")
    others: list[ElementReply] = Field(description="What else the code says.")
    location: str | None = Field(description="Where the balance was asked for.")
    on_hand: Exact | None = Field(description="Base units there, of the lot where one was scanned.")


@router.post("/scan", summary="Read a scanned code.")
def post_scan(context: Context, request: ScanRequest) -> ScanReply:
    """Find product, unit, lot, expiry and quantity of a code; nothing is booked."""
    with context.reading() as connection:
        today = read_company(connection).day_of(context.now())
        return _reply(resolve_scan(connection, request.code, today=today, location=request.location))


def _reply(found: ResolvedScan) -> ScanReply:
    same = ("unit", "factor", "quantity", "base_quantity", "lot", "lot_state", "expires_on", "known_expires_on")
    return ScanReply.model_validate(
        {
            **{name: getattr(found, name) for name in (*same, "read_as", "gtin", "serial", "location", "on_hand")},
            **{
                name: getattr(found.product, name)
                for name in ("sku", "name", "is_active", "is_lot_tracked", "base_unit")
            },
            "others": [
                {"identifier": each.identifier, "name": each.name, "value": each.value} for each in found.others
            ],
        }
    )
