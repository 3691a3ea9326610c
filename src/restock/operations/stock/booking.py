"""Booking: what a person or a scanner enters becomes a movement; units, lots and prices are looked up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from restock.adapters.database.catalogue_tables import LotRow
from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.ledger_store import Posted, Posting, read_movement, write_movement
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.product_facts import ProductFacts, read_product_facts
from restock.errors import DataError, VersionConflictError
from restock.ledger.balances import BalanceKey, Lot, choose_lots
from restock.ledger.movements import (
    NO_LOT,
    Entry,
    Kind,
    Movement,
    adjust,
    is_virtual,
    receive,
    reverse,
    sell,
    take_back,
    write_off,
)
from restock.operations.stock.booking_facts import BookingFacts, read_booking_facts
from restock.operations.stock.lots import note_expiry
from restock.operations.stock.once import Write, write_once
from restock.operations.stock.undoing import undo_receipts, undo_transfers
from restock.operations.stock_watch import watch_balances

# A scanner's clock may be ahead so much.
_CLOCK_SKEW = timedelta(minutes=5)
TAKES_STOCK = frozenset({Kind.SALE, Kind.WRITE_OFF, Kind.TRANSFER_OUT})


@dataclass(frozen=True, kw_only=True)
class DraftLine:
    """One product of a booking, as entered.

    Attributes:
        sku: the product.
        quantity: in `unit`; above 0, but of an adjustment, which has a sign.
        unit: unit of measure; None for the base unit.
        lot: lot; None where lots are not kept, or where the first to expire goes first.
        expires_on: last day that the lot may be sold; None where it is known or does not expire.
        unit_cost: cost of one base unit, major units of money; None: as in the catalogue that day.
        unit_price: price of one base unit, major units of money; None: as in the catalogue that day.
        expected_version: version of the balance that was seen; None where it does not matter.
    """

    sku: str
    quantity: Decimal
    unit: str | None = None
    lot: str | None = None
    expires_on: date | None = None
    unit_cost: Decimal | None = None
    unit_price: Decimal | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A booking as entered.

    Attributes:
        kind: receipt, sale, return, adjustment or write-off.
        location: whose stock changes.
        lines: what.
        occurred_at: when it happened, UTC.
        reference: invoice or order it belongs to.
        reason: why; needed for adjustments and write-offs.
    """

    kind: Kind
    location: str
    lines: tuple[DraftLine, ...]
    occurred_at: datetime
    reference: str = ""
    reason: str = ""


def book(connection: Connection, draft: Draft, write: Write) -> dict[str, Any]:
    """Return the reply to a booking, posted once for its key: the movement, its lines and the balances after it.

    Args:
        connection: in a write transaction; the caller commits.
        draft: what.
        write: key, request, who and when.

    Raises:
        IdempotencyError: the key came with another request before.
        NotFoundError: a sku or the location is unknown.
        QuantityError: a quantity is not exact in the base unit, or its unit is unknown.
        MovementError: the booking breaks a rule of its kind.
        InsufficientStockError: there is not so much.
        VersionConflictError: a balance has changed since it was seen.
    """

    def perform() -> dict[str, Any]:
        known = read_booking_facts(connection, (line.sku for line in draft.lines))
        movement = build_movement(connection, draft, now=write.now, known=known)
        return _post(connection, movement, write, products=known.products)

    return complete_reply(connection, write_once(connection, write, perform))


def complete_reply(connection: Connection, reply: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a booking with its lines, also where it was posted in a batch, which keeps only their number.

    The balances after it are not known any more then.
    """
    if isinstance(reply["lines"], list):
        return reply
    movement = read_movement(connection, str(reply["movement"]))
    return reply | {
        "occurred_at_utc": movement.occurred_at.isoformat(),
        "lines": describe_changes(connection, movement, None),
    }


def book_reversal(connection: Connection, movement: str, write: Write, *, reason: str) -> dict[str, Any]:
    """Return the reply to a reversal: the movement is taken back, and what it had received or sent with it.

    Args:
        connection: in a write transaction; the caller commits.
        movement: identifier of what is taken back.
        write: key, request, who and when.
        reason: why.

    Raises:
        NotFoundError: there is no such movement.
        MovementError: it is a reversal itself.
        ConflictError: it is reversed already.
        InsufficientStockError: what it brought is gone.
    """

    def perform() -> dict[str, Any]:
        original = read_movement(connection, movement)
        taken_back = reverse(original, posted_as=movement, occurred_at=write.now, reason=reason)
        reply = _post(connection, taken_back, write)
        undo_receipts(connection, movement, reversal=str(reply["movement"]), now=write.now)
        undo_transfers(connection, original)
        return reply

    return write_once(connection, write, perform)


def post_part(connection: Connection, movement: Movement, write: Write) -> Posted:
    """Post a movement that is part of a write whose key has been claimed: of an order, a transfer or a count."""
    identifier = new_identifier(write.now)
    posting = Posting(
        movement=movement,
        identifier=identifier,
        key=write.key,
        request=write.request,
        posted_by=write.actor,
        posted_at=write.now,
    )
    posted = write_movement(connection, posting)
    watch_balances(connection, posted.balances, now=write.now)
    return posted


def build_movement(
    connection: Connection, draft: Draft, *, now: datetime, known: BookingFacts | None = None
) -> Movement:
    """Return the movement that a booking stands for.

    Args:
        connection: in a write transaction.
        draft: as entered.
        now: the time, UTC.
        known: what was read of the products already; None: it is read now.

    Raises:
        NotFoundError: a sku is unknown.
        QuantityError: a quantity is not exact in the base unit, or its unit is unknown.
        MovementError: it breaks a rule of its kind.
        VersionConflictError: a balance has changed since it was seen.
        DataError: it lies in the future, or a lot has another expiry.
    """
    require_past(draft.occurred_at, now=now)
    entries = build_entries(
        connection,
        draft.lines,
        location=draft.location,
        kind=draft.kind,
        occurred_at=draft.occurred_at,
        known=known,
    )
    shared: dict[str, Any] = {"location": draft.location, "occurred_at": draft.occurred_at}
    builders: dict[Kind, Callable[[], Movement]] = {
        Kind.RECEIPT: lambda: receive(entries, reference=draft.reference, **shared),
        Kind.SALE: lambda: sell(entries, reference=draft.reference, **shared),
        Kind.RETURN: lambda: take_back(entries, reference=draft.reference, **shared),
        Kind.ADJUSTMENT: lambda: adjust(entries, reason=draft.reason, reference=draft.reference, **shared),
        Kind.WRITE_OFF: lambda: write_off(entries, reason=draft.reason, **shared),
    }
    if draft.kind not in builders:
        raise DataError(f"a {draft.kind} is not booked by itself; use transfers, counts or a reversal.")
    return builders[draft.kind]()


def build_entries(
    connection: Connection,
    lines: Sequence[DraftLine],
    *,
    location: str,
    kind: Kind,
    occurred_at: datetime,
    known: BookingFacts | None = None,
) -> list[Entry]:
    """Return entries for the lines of a booking: exact quantities, chosen lots, costs and prices of that day.

    Args:
        connection: in a write transaction.
        lines: as entered.
        location: whose stock changes.
        kind: the verb.
        occurred_at: when it happened, UTC.
        known: what was read of the products already, for many bookings at once; None: it is read now.

    Raises:
        NotFoundError: a sku is unknown.
        QuantityError: a quantity is not exact in the base unit, or its unit is unknown.
        DataError: a lot is missing, not kept or has another expiry.
        VersionConflictError: a balance has changed since it was seen.
    """
    known = known or read_booking_facts(connection, (line.sku for line in lines))
    company, day = known.company, known.company.day_of(occurred_at)
    taken: dict[tuple[str, str], int] = defaultdict(int)
    entries: list[Entry] = []
    for line in lines:
        product = known.product(line.sku)
        _require_version(connection, line, location=location)
        quantity = product.units.to_scaled(line.quantity, line.unit or product.units.base_unit)
        entry = Entry(
            sku=line.sku,
            quantity=quantity,
            unit_cost=known.cost(line.sku, day) if line.unit_cost is None else company.to_minor(line.unit_cost),
            unit_price=known.price(line.sku, day) if line.unit_price is None else company.to_minor(line.unit_price),
            entered_quantity=f"{line.quantity:f}",
            entered_unit=line.unit or product.units.base_unit,
        )
        entries += _with_lots(
            connection, entry, line, product=product, location=location, kind=kind, day=day, taken=taken
        )
    return entries


def require_past(occurred_at: datetime, *, now: datetime) -> None:
    """Refuse what has not happened yet.

    Raises:
        DataError: it lies in the future.
    """
    if occurred_at > now + _CLOCK_SKEW:
        raise DataError(
            f"occurred_at is {occurred_at.isoformat()}, which lies in the future (now {now.isoformat()}). Book it when "
            "it has happened, or set the clock right."
        )


def _post(
    connection: Connection, movement: Movement, write: Write, *, products: Mapping[str, ProductFacts] | None = None
) -> dict[str, Any]:
    posted = post_part(connection, movement, write)
    return {
        "movement": posted.reply["movement"],
        "kind": movement.kind.value,
        "occurred_at_utc": movement.occurred_at.isoformat(),
        "lines": describe_changes(connection, movement, posted.balances)
        if products is None
        else describe_lines(movement, posted.balances, products=products),
    }


def describe_changes(
    connection: Connection, movement: Movement, balances: Mapping[BalanceKey, int] | None
) -> list[dict[str, Any]]:
    """Return what a movement changed at the company's own locations, ready for JSON.

    Args:
        connection: in a transaction.
        movement: what was posted.
        balances: what it touched, after it; None where that is not known any more.
    """
    facts = read_product_facts(connection, {line.sku for line in movement.lines})
    return describe_lines(movement, balances, products=facts)


def describe_lines(
    movement: Movement, balances: Mapping[BalanceKey, int] | None, *, products: Mapping[str, ProductFacts]
) -> list[dict[str, Any]]:
    """Return what a movement changed at the company's own locations, ready for JSON; `products` by sku."""
    described = []
    for line in movement.lines:
        if is_virtual(line.location):
            continue
        units = products[line.sku].units
        balance = None if balances is None else f"{units.from_scaled(balances[line.balance_key]):f}"
        described.append(
            {
                "sku": line.sku,
                "location": line.location,
                "lot": line.lot,
                "quantity": f"{units.from_scaled(line.quantity):f}",
                "balance": balance,
                "unit": units.base_unit,
            }
        )
    return described


def _with_lots(
    connection: Connection,
    entry: Entry,
    line: DraftLine,
    *,
    product: ProductFacts,
    location: str,
    kind: Kind,
    day: date,
    taken: dict[tuple[str, str], int],
) -> list[Entry]:
    """Return an entry with its lot, or split over the lots that go first.

    Args:
        connection: in a write transaction.
        entry: without a lot.
        line: as entered.
        product: facts of the product.
        location: whose stock changes.
        kind: the verb.
        day: of the booking, for what has expired.
        taken: quantity that earlier lines of this booking took, by (sku, lot); brought up to date.
    """
    if not product.is_lot_tracked:
        if line.lot:
            raise DataError(
                f"{line.sku} is not kept by lots, got lot {line.lot!r}. Leave the lot out, or set is_lot_tracked."
            )
        return [entry]
    if line.lot:
        note_expiry(connection, line.sku, line.lot, expires_on=line.expires_on)
        taken[line.sku, line.lot] += entry.quantity
        return [replace(entry, lot=line.lot)]
    if kind not in TAKES_STOCK:
        raise DataError(f"{line.sku} is kept by lots, so a {kind} needs the lot. Scan or enter it.")
    lots = [
        replace(lot, quantity=lot.quantity - taken[line.sku, lot.lot])
        for lot in read_lots(connection, line.sku, location=location)
    ]
    # What has expired may be written off, but not sold.
    chosen = choose_lots(lots, entry.quantity, today=date.min if kind is Kind.WRITE_OFF else day)
    rest = entry.quantity - sum(quantity for _, quantity in chosen)
    shares = [*chosen, (NO_LOT, rest)] if rest else list(chosen)
    for lot, quantity in shares:
        taken[line.sku, lot] += quantity
    return [replace(entry, lot=lot, quantity=quantity) for lot, quantity in shares]


def read_lots(connection: Connection, sku: str, *, location: str) -> list[Lot]:
    """Return the lots of a sku at a location that hold stock, locked against other writers until the end."""
    rows = connection.execute(
        select(BalanceRow.lot, BalanceRow.quantity)
        .where(BalanceRow.sku == sku, BalanceRow.location == location, BalanceRow.quantity > 0)
        .order_by(BalanceRow.lot)
        .with_for_update()
    ).all()
    known = connection.execute(select(LotRow.lot, LotRow.expires_on).where(LotRow.sku == sku)).all()
    expiry = {row.lot: row.expires_on for row in known}
    return [Lot(lot=row.lot, quantity=int(row.quantity), expires_on=expiry.get(row.lot)) for row in rows]


def _require_version(connection: Connection, line: DraftLine, *, location: str) -> None:
    """Refuse a booking whose author saw another balance than there is."""
    if line.expected_version is None:
        return
    version = connection.execute(
        select(BalanceRow.version)
        .where(BalanceRow.sku == line.sku, BalanceRow.location == location, BalanceRow.lot == (line.lot or NO_LOT))
        .with_for_update()
    ).scalar_one_or_none()
    if (version or 0) != line.expected_version:
        raise VersionConflictError(
            f"the balance of {line.sku} at {location} is at version {version or 0}, expected {line.expected_version}: "
            "somebody booked in between. Read it again and decide anew."
        )
