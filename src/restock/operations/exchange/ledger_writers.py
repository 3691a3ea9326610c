"""Writers of stock and movements: through the ledger, with keys that stand for a line of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

from sqlalchemy import Connection, select

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.ledger_store import Posting, post, read_movement
from restock.adapters.database.ledger_tables import BalanceRow, MovementRow
from restock.errors import DataError
from restock.ledger.movements import (
    NO_LOT,
    Entry,
    Kind,
    Line,
    Movement,
    MovementError,
    Virtual,
    adjust,
    arrive,
    checked,
    dispatch,
    is_virtual,
)
from restock.operations.exchange.records import Fate, Judged, TypedRecord, Values
from restock.operations.exchange.writing import Lookup, Writing, judge_each, look_up
from restock.operations.stock.booking import Draft, DraftLine, build_entries, build_movement, require_past
from restock.operations.stock.lots import note_expiry
from restock.operations.stock_watch import watch_balances

# Kinds of which a row alone says all, and the sign that its quantity must have.
_SIGNS: dict[Kind, int] = {
    Kind.RECEIPT: 1,
    Kind.RETURN: 1,
    Kind.TRANSFER_IN: 1,
    Kind.SALE: -1,
    Kind.WRITE_OFF: -1,
    Kind.TRANSFER_OUT: -1,
    Kind.ADJUSTMENT: 0,
}


def write_stock(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Bring the books to what a file says there is."""
    lookup = look_up(connection, records)
    _lock_balances(connection, records)
    today = lookup.company.day_of(writing.now)

    def write(record: TypedRecord) -> Fate:
        fates = [
            _write_level(connection, row, lookup, writing, today=today, place=f"{record.line}-{n}")
            for n, row in enumerate(record.rows, start=1)
        ]
        return Fate.WRITTEN if Fate.WRITTEN in fates else Fate.UNCHANGED

    return judge_each(connection, records, write)


def write_movements(connection: Connection, records: Sequence[TypedRecord], writing: Writing) -> list[Judged]:
    """Post movements that happened elsewhere."""
    lookup = look_up(connection, records)
    _lock_balances(connection, records)

    def write(record: TypedRecord) -> Fate:
        movement = _movement_of(connection, record, lookup, writing)
        identifier = record.first.get("movement")
        if identifier is not None:
            known = connection.execute(
                select(MovementRow.movement).where(MovementRow.movement == identifier)
            ).scalar_one_or_none()
            if known is not None:
                return _require_same(read_movement(connection, identifier), movement, identifier)
        return _post(connection, movement, writing, place=str(record.line), identifier=identifier)

    return judge_each(connection, records, write)


def _lock_balances(connection: Connection, records: Sequence[TypedRecord]) -> None:
    """Take the balances of the records' products in one order, so that imports and tills don't wait for one another."""
    if connection.dialect.name != "postgresql":
        return
    skus = sorted({row["sku"] for record in records for row in record.rows})
    connection.execute(
        select(BalanceRow.quantity)
        .where(BalanceRow.sku.in_(skus))
        .order_by(BalanceRow.sku, BalanceRow.location, BalanceRow.lot)
        .with_for_update()
    ).all()


def _write_level(
    connection: Connection, row: Values, lookup: Lookup, writing: Writing, *, today: date, place: str
) -> Fate:
    """Book the difference between what there is and what the books say."""
    product = lookup.product(row["sku"])
    location, lot = lookup.require_location(row["location"]), row.get("lot", NO_LOT)
    target = product.units.to_scaled(row["on_hand"], row.get("unit", product.units.base_unit))
    if lot and not product.is_lot_tracked:
        raise DataError(f"{row['sku']} is not kept by lots, got lot {lot!r}. Leave the lot out, or set is_lot_tracked.")
    if product.is_lot_tracked and not lot and target > 0:
        raise DataError(f"{row['sku']} is kept by lots, so its stock needs the lot.")
    if lot:
        note_expiry(connection, row["sku"], lot, expires_on=row.get("expires_on"))
    booked = connection.execute(
        select(BalanceRow.quantity)
        .where(BalanceRow.sku == row["sku"], BalanceRow.location == location, BalanceRow.lot == lot)
        .with_for_update()
    ).scalar_one_or_none()
    difference = target - (booked or 0)
    if difference == 0:
        return Fate.UNCHANGED
    entry = Entry(
        sku=row["sku"],
        quantity=difference,
        lot=lot,
        unit_cost=lookup.facts.cost(row["sku"], today),
        entered_quantity=f"{row['on_hand']:f}",
        entered_unit=row.get("unit", product.units.base_unit),
    )
    movement = adjust(
        [entry],
        location=location,
        occurred_at=writing.now,
        reason=f"stock as in {writing.filename}",
        reference=writing.import_id,
    )
    return _post(connection, movement, writing, place=place)


def _movement_of(connection: Connection, record: TypedRecord, lookup: Lookup, writing: Writing) -> Movement:
    """Return the movement that rows stand for: its lines, or one row that says what happened at a location."""
    first = record.first
    try:
        kind = Kind(first["kind"])
    except ValueError as error:
        raise MovementError(f"kind is {first['kind']!r}, expected one of {', '.join(Kind)}.") from error
    for row in record.rows:
        lookup.product(row["sku"])
        if not is_virtual(row["location"]):
            lookup.require_location(row["location"])
    if len(record.rows) == 1:
        return _booked_alone(connection, first, kind, lookup, writing)
    return _movement_of_lines(connection, record, kind, lookup, writing)


def _movement_of_lines(
    connection: Connection, record: TypedRecord, kind: Kind, lookup: Lookup, writing: Writing
) -> Movement:
    first = record.first
    shared = ("kind", "occurred_at_utc", "reference", "reason", "reverses")
    for name in shared:
        if any(row.get(name) != first.get(name) for row in record.rows):
            raise MovementError(f"{name} differs between the lines of movement {first['movement']!r}.")
    require_past(first["occurred_at_utc"], now=writing.now)
    if (kind is Kind.REVERSAL) != ("reverses" in first):
        raise MovementError("a reversal, and nothing else, says in `reverses` which movement it takes back.")
    rows = sorted(record.rows, key=lambda row: row.get("line", 0))
    for row in rows:
        if is_virtual(row["location"]) and row["location"] not in set(Virtual):
            raise MovementError(f"location is {row['location']!r}, expected one of {', '.join(Virtual)} or an own one.")
        if row.get("lot"):
            note_expiry(connection, row["sku"], row["lot"], expires_on=row.get("expires_on"))
    return checked(
        Movement(
            kind=kind,
            occurred_at=first["occurred_at_utc"],
            lines=tuple(_line_of(row, lookup) for row in rows),
            reference=first.get("reference", ""),
            reason=first.get("reason", ""),
            reverses=first.get("reverses"),
        )
    )


def _line_of(row: Values, lookup: Lookup) -> Line:
    units = lookup.product(row["sku"]).units
    return Line(
        sku=row["sku"],
        location=row["location"],
        quantity=units.to_scaled(row["quantity"], row.get("unit", units.base_unit)),
        lot=row.get("lot", NO_LOT),
        unit_cost=lookup.company.to_minor(row.get("unit_cost")),
        unit_price=lookup.company.to_minor(row.get("unit_price")),
        entered_quantity=row.get("entered_quantity", ""),
        entered_unit=row.get("entered_unit", ""),
    )


def _booked_alone(connection: Connection, row: Values, kind: Kind, lookup: Lookup, writing: Writing) -> Movement:
    """Return the movement that a row alone stands for."""
    if kind not in _SIGNS:
        raise MovementError(f"a {kind} is not told by a row alone: all its lines must come, with the same movement.")
    lookup.require_location(row["location"])
    sign = _SIGNS[kind]
    if sign and row["quantity"] * sign <= 0:
        change = "adds to the stock, expected more than 0" if sign > 0 else "takes from the stock, expected less than 0"
        raise MovementError(f"quantity is {row['quantity']}, but a {kind} {change}: it is the change at the location.")
    line = DraftLine(
        sku=row["sku"],
        quantity=abs(row["quantity"]) if sign else row["quantity"],
        unit=row.get("unit"),
        lot=row.get("lot"),
        expires_on=row.get("expires_on"),
        unit_cost=row.get("unit_cost"),
        unit_price=row.get("unit_price"),
    )
    occurred_at: datetime = row["occurred_at_utc"]
    if kind in (Kind.TRANSFER_IN, Kind.TRANSFER_OUT):
        require_past(occurred_at, now=writing.now)
        build: Callable[..., Movement] = arrive if kind is Kind.TRANSFER_IN else dispatch
        entries = build_entries(connection, [line], location=row["location"], kind=kind, occurred_at=occurred_at)
        return build(entries, location=row["location"], occurred_at=occurred_at, reference=row.get("reference", ""))
    draft = Draft(
        kind=kind,
        location=row["location"],
        lines=(line,),
        occurred_at=occurred_at,
        reference=row.get("reference", ""),
        reason=row.get("reason", ""),
    )
    return build_movement(connection, draft, now=writing.now, known=lookup.facts)


def _require_same(known: Movement, given: Movement, identifier: str) -> Fate:
    if known != given:
        raise DataError(
            f"movement {identifier!r} is posted already with other content. A movement is never changed: post its "
            "reversal and a new one."
        )
    return Fate.UNCHANGED


def _post(
    connection: Connection, movement: Movement, writing: Writing, *, place: str, identifier: str | None = None
) -> Fate:
    posting = Posting(
        movement=movement,
        identifier=identifier or new_identifier(writing.now),
        key=f"{writing.import_id}-{place}",
        request={"import": writing.import_id, "place": place},
        posted_by=writing.actor,
        posted_at=writing.now,
    )
    posted = post(connection, posting)
    if posted.is_repeated:
        return Fate.UNCHANGED
    watch_balances(connection, posted.balances, now=writing.now)
    return Fate.WRITTEN
