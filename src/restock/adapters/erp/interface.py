"""What an ERP must be able to do for restock, in words that are neither's: kinds, records, pages and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from restock.errors import TRY_AGAIN, RestockError


class ErpError(RestockError):
    """An ERP could not do what was asked of it."""

    http_status = 502
    title = "The ERP could not do this"


class ErpUnavailableError(ErpError):
    """An ERP can't be reached, is too slow or too busy: the same may work a little later."""

    exit_code = TRY_AGAIN
    http_status = 503
    title = "The ERP can't be reached now"


class ErpFaultError(ErpUnavailableError):
    """An ERP breaks (status 500) whenever it is asked this: an outage, or one record that it can't bear."""


class ErpAccessError(ErpError):
    """An ERP does not know the credentials, or they may not do this."""

    title = "The ERP refuses the credentials"


class ErpRefusedError(ErpError):
    """An ERP's own rules refuse one record; others may still go through."""

    title = "The ERP refuses the record"


class ErpReplyError(ErpError):
    """An ERP's reply is not what its protocol says."""

    title = "The ERP's reply can't be read"


class ErpKind(StrEnum):
    """What is exchanged, in the order in which one needs the other."""

    LOCATION = "location"
    SUPPLIER = "supplier"
    PRODUCT = "product"
    CUSTOMER = "customer"
    PURCHASE_ORDER = "purchase_order"
    CUSTOMER_ORDER = "customer_order"
    STOCK = "stock"


class OrderState(StrEnum):
    """What an ERP says of an order."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CLOSED = "closed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class ErpProduct:
    """A product.

    Attributes:
        theirs: identity in the ERP; empty where it is not there yet.
        code: what people know it by; our sku.
        name: for people.
        category_path: categories, outermost first, joined by "/"; empty if none.
        base_unit: the unit its stock is kept in.
        decimals: decimal places of the base unit that may occur.
        units: other units and how many base units one of them is.
        barcodes: barcode and the unit it stands on.
        unit_cost: of one base unit, in the company's currency; None where not known.
        unit_price: of one base unit, in the company's currency; None where not known.
        is_lot_tracked: whether stock is kept by lot or serial number.
        shelf_life_days: None where it does not expire.
        is_active: False once it is archived or disabled.
        changed_at: UTC.
    """

    theirs: str
    code: str
    name: str
    base_unit: str
    changed_at: datetime
    category_path: str = ""
    decimals: int = 0
    units: tuple[tuple[str, Decimal], ...] = ()
    barcodes: tuple[tuple[str, str], ...] = ()
    unit_cost: Decimal | None = None
    unit_price: Decimal | None = None
    is_lot_tracked: bool = False
    shelf_life_days: int | None = None
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class ErpLocation:
    """A warehouse; `is_virtual` where its goods are nobody's stock, such as in transit."""

    theirs: str
    code: str
    name: str
    changed_at: datetime
    is_active: bool = True
    is_virtual: bool = False


@dataclass(frozen=True, kw_only=True)
class ErpSupplier:
    """Who delivers."""

    theirs: str
    code: str
    name: str
    changed_at: datetime
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class ErpCustomer:
    """Who buys."""

    theirs: str
    code: str
    name: str
    changed_at: datetime
    region: str = ""
    is_active: bool = True


@dataclass(frozen=True, kw_only=True)
class ErpOrderLine:
    """A line of an order.

    Attributes:
        theirs: identity of the line in the ERP; empty where it is not there yet.
        product: identity of the product in the ERP.
        quantity: ordered, in `unit`.
        done: received or delivered of it, in `unit`.
        unit: as entered.
        factor: base units in one of `unit`.
        unit_amount: cost or price of one `unit`, in the company's currency.
    """

    theirs: str
    product: str
    quantity: Decimal
    unit: str
    unit_amount: Decimal
    factor: Decimal = Decimal(1)
    done: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class ErpPurchaseOrder:
    """An order to a supplier; `code` is its number there, `reference` what we wrote it under: empty if we did not."""

    theirs: str
    code: str
    supplier: str
    location: str
    state: OrderState
    lines: tuple[ErpOrderLine, ...]
    changed_at: datetime
    ordered_on: date
    promised_on: date | None = None
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class ErpCustomerOrder:
    """An order of a customer, firm: quotations are none; `code` is its number there."""

    theirs: str
    code: str
    customer: str
    location: str
    state: OrderState
    lines: tuple[ErpOrderLine, ...]
    changed_at: datetime
    ordered_on: date
    requested_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class ErpStockLevel:
    """What is on hand of a product at a location over all lots, in base units; one of possibly several parts.

    Attributes:
        product: identity of the product in the ERP.
        location: identity of the location in the ERP.
        quantity: on hand.
        unit_cost: what a unit is worth where the ERP has no value for it yet; None where not known.
    """

    product: str
    location: str
    quantity: Decimal
    unit_cost: Decimal | None = None


ErpRecord = ErpProduct | ErpLocation | ErpSupplier | ErpCustomer | ErpPurchaseOrder | ErpCustomerOrder


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A record whose content makes no sense to us: kept with the reason, and the rest goes on."""

    theirs: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some records, sorted by identity.

    Attributes:
        records: in the order of their identity.
        after: identity of the last one that was looked at; what the next page begins after.
        is_last: whether there are no more.
    """

    records: tuple[ErpRecord | Unreadable, ...]
    after: str
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class StockPage:
    """Some stock levels; `after` and `is_last` as in `Page`."""

    levels: tuple[ErpStockLevel, ...]
    after: str
    is_last: bool


class ErpClient(Protocol):
    """An ERP behind its own protocol. Records are told apart by their identity there.

    Changes are found by the time of change and read in the order of identity: that order does not move while one reads,
    and no record is missed because many were changed in the same second.
    """

    @property
    def system(self) -> str:
        """Which ERP it is, such as erpnext."""
        ...

    @property
    def settling(self) -> timedelta:
        """How long after an instant a change with that instant, or an earlier one, may still come to light."""
        ...

    def close(self) -> None:
        """Give its connections back."""
        ...

    def find_newest(self, kind: ErpKind) -> str:
        """Return the instant of the latest change of a kind, as the ERP writes it; empty where there is nothing."""
        ...

    def step_back(self, instant: str) -> str:
        """Return the instant that lies `settling` before another one, as the ERP writes it."""
        ...

    def read_page(self, kind: ErpKind, *, since: str, after: str, limit: int) -> Page:
        """Return records changed at `since` or later whose identity comes after `after`, at most `limit` of them."""
        ...

    def read_some(self, kind: ErpKind, identities: Sequence[str]) -> tuple[ErpRecord | Unreadable, ...]:
        """Return the records with these identities that are there."""
        ...

    def read_stock(self, *, after: str, limit: int) -> StockPage:
        """Return stock levels from a position on."""
        ...

    def write_product(self, product: ErpProduct, *, reference: str) -> ErpRecord | Unreadable:
        """Make the product, or bring the one that is there to it, and return it as it is there now."""
        ...

    def write_supplier(self, supplier: ErpSupplier, *, reference: str) -> ErpRecord | Unreadable:
        """Make the supplier, or bring the one that is there to it, and return it as it is there now."""
        ...

    def write_purchase_order(self, order: ErpPurchaseOrder, *, reference: str) -> ErpRecord | Unreadable:
        """Make and confirm the order, once for a reference, or cancel it, and return it as it is there now."""
        ...

    def write_stock(self, levels: Sequence[ErpStockLevel]) -> None:
        """Set what is on hand; a level that holds already is left alone."""
        ...
