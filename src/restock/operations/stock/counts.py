"""Cycle counts: counted, counted again where it differs, approved, posted as what is missing or too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from restock.adapters.database.identifiers import new_identifier
from restock.adapters.database.journal import append_audit
from restock.adapters.database.ledger_tables import BalanceRow
from restock.adapters.database.order_tables import CountLineRow, CountRow
from restock.adapters.database.product_facts import read_product_facts
from restock.errors import ConflictError, DataError, NotFoundError, PermissionDeniedError
from restock.ledger.movements import NO_LOT, Entry, settle_count
from restock.operations.stock.booking import describe_changes, post_part
from restock.operations.stock.once import Write, write_once
from restock.operations.stock.places import require_location

# Lines of one count: more are two counts.
MOST_LINES = 5_000


@dataclass(frozen=True, kw_only=True)
class CountDraft:
    """A count that is to be made.

    Attributes:
        location: where.
        skus: what; empty for everything that is booked there.
        note: what else is to be known.
    """

    location: str
    skus: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of a sku and lot.

    Attributes:
        sku: the product.
        quantity: in `unit`; 0 where nothing is there.
        unit: unit of measure; None for the base unit.
        lot: its lot.
    """

    sku: str
    quantity: Decimal
    unit: str | None = None
    lot: str = NO_LOT


def open_count(connection: Connection, draft: CountDraft, write: Write) -> dict[str, Any]:
    """Return the reply to a count that is opened: what is to be counted, without what is booked.

    Args:
        connection: in a write transaction; the caller commits.
        draft: where and what.
        write: key, request, who and when.

    Raises:
        NotFoundError: a sku or the location is unknown.
        DataError: there is nothing to count, or too much for one count.
    """

    def perform() -> dict[str, Any]:
        require_location(connection, draft.location)
        booked = connection.execute(
            select(BalanceRow.sku, BalanceRow.lot)
            .where(BalanceRow.location == draft.location, BalanceRow.quantity != 0)
            .order_by(BalanceRow.sku, BalanceRow.lot)
        ).all()
        wanted = set(draft.skus)
        read_product_facts(connection, wanted)
        keys = [(row.sku, row.lot) for row in booked if not wanted or row.sku in wanted]
        keys += [(sku, NO_LOT) for sku in sorted(wanted - {sku for sku, _ in keys})]
        if not 1 <= len(keys) <= MOST_LINES:
            raise DataError(f"a count has 1 to {MOST_LINES} lines, this one would have {len(keys)}. Name the skus.")
        count = f"CC-{new_identifier(write.now)}"
        connection.execute(
            insert(CountRow),
            {
                "count": count,
                "location": draft.location,
                "state": "open",
                "note": draft.note,
                "created_at_utc": write.now,
                "created_by": write.actor,
                "version": 1,
            },
        )
        connection.execute(insert(CountLineRow), [{"count": count, "sku": sku, "lot": lot} for sku, lot in keys])
        _note(connection, write, action="open_count", count=count, details={"lines": len(keys)})
        return {"count": count, "state": "open", "lines": [{"sku": sku, "lot": lot} for sku, lot in keys]}

    return write_once(connection, write, perform)


def record_count(connection: Connection, count: str, found: Sequence[Found], write: Write) -> dict[str, Any]:
    """Return the reply to what was found; beside it is kept what was booked at that moment.

    In an open count it is the first result, in a recount the second. A sku or lot that was not on the list is added.

    Args:
        connection: in a write transaction; the caller commits.
        count: which.
        found: what was found.
        write: key, request, who and when.

    Raises:
        NotFoundError: there is no such count, or a sku is unknown.
        ConflictError: the count has ended.
        DataError: a quantity is below 0.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, count, states=("open", "recount"))
        facts = read_product_facts(connection, (one.sku for one in found))
        is_recount = row["state"] == "recount"
        for one in found:
            units = facts[one.sku].units
            quantity = units.to_scaled(one.quantity, one.unit or units.base_unit)
            if quantity < 0:
                raise DataError(f"{one.sku} was counted as {one.quantity}, expected 0 or more.")
            _record(connection, row, one, quantity=quantity, is_recount=is_recount, write=write)
        _note(connection, write, action="record_count", count=count, details={"lines": len(found)})
        return {"count": count, "state": row["state"], "recorded": len(found)}

    return write_once(connection, write, perform)


def ask_for_recount(connection: Connection, count: str, write: Write) -> dict[str, Any]:
    """Return the reply to asking for a second count: the lines that differ from what was booked.

    Raises:
        NotFoundError: there is no such count.
        ConflictError: it is not open, or something has not been counted yet.
    """

    def perform() -> dict[str, Any]:
        _lock(connection, count, states=("open",))
        lines = _read_counted(connection, count)
        different = [line for line in lines if line["quantity_counted"] != line["quantity_booked"]]
        _move(connection, count, {"state": "recount"})
        _note(connection, write, action="ask_for_recount", count=count, details={"lines": len(different)})
        return {
            "count": count,
            "state": "recount",
            "lines": [{"sku": line["sku"], "lot": line["lot"]} for line in different],
        }

    return write_once(connection, write, perform)


def approve_count(connection: Connection, count: str, write: Write) -> dict[str, Any]:
    """Return the reply to an approval: what differs is posted, with what happened since the count left as it is.

    Args:
        connection: in a write transaction; the caller commits.
        count: which.
        write: key, request, who and when.

    Raises:
        NotFoundError: there is no such count.
        ConflictError: it has ended, or something has not been counted.
        PermissionDeniedError: who approves has counted it.
    """

    def perform() -> dict[str, Any]:
        row = _lock(connection, count, states=("open", "recount"))
        lines = _read_counted(connection, count)
        counters = {line[key] for line in lines for key in ("counted_by", "recounted_by")}
        if write.actor in counters:
            raise PermissionDeniedError(
                f"{write.actor!r} counted {count}; somebody else approves it, so that no one corrects their own books."
            )
        pairs = [_result(line) for line in lines]
        movement = settle_count(
            [
                Entry(sku=line["sku"], lot=line["lot"], quantity=found)
                for line, (found, _) in zip(lines, pairs, strict=True)
            ],
            booked=[booked for _, booked in pairs],
            location=row["location"],
            occurred_at=write.now,
            reference=count,
        )
        posted = None if movement is None else post_part(connection, movement, write)
        identifier = None if posted is None else posted.reply["movement"]
        _move(
            connection,
            count,
            {"state": "approved", "approved_at_utc": write.now, "approved_by": write.actor, "movement": identifier},
        )
        _note(connection, write, action="approve_count", count=count, details={"movement": identifier})
        changes = [] if movement is None or posted is None else describe_changes(connection, movement, posted.balances)
        return {"count": count, "state": "approved", "movement": identifier, "lines": changes}

    return write_once(connection, write, perform)


def cancel_count(connection: Connection, count: str, write: Write) -> dict[str, Any]:
    """Return the reply to the end of a count that posts nothing.

    Raises:
        NotFoundError: there is no such count.
        ConflictError: it has ended.
    """

    def perform() -> dict[str, Any]:
        _lock(connection, count, states=("open", "recount"))
        _move(connection, count, {"state": "cancelled"})
        _note(connection, write, action="cancel_count", count=count, details={})
        return {"count": count, "state": "cancelled"}

    return write_once(connection, write, perform)


def _record(
    connection: Connection, count: dict[str, Any], found: Found, *, quantity: int, is_recount: bool, write: Write
) -> None:
    booked = connection.execute(
        select(BalanceRow.quantity).where(
            BalanceRow.sku == found.sku, BalanceRow.location == count["location"], BalanceRow.lot == found.lot
        )
    ).scalar_one_or_none()
    names = (
        ("quantity_recounted", "quantity_booked_at_recount", "recounted_at_utc", "recounted_by")
        if is_recount
        else ("quantity_counted", "quantity_booked", "counted_at_utc", "counted_by")
    )
    values = dict(zip(names, (quantity, int(booked or 0), write.now, write.actor), strict=True))
    key = (
        CountLineRow.count == count["count"],
        CountLineRow.sku == found.sku,
        CountLineRow.lot == found.lot,
    )
    changed = connection.execute(update(CountLineRow).where(*key).values(values))
    if changed.rowcount == 0:
        # Found where nobody looked for it; a recount is then its first count as well.
        first = {"quantity_counted": quantity, "quantity_booked": int(booked or 0), "counted_at_utc": write.now}
        row = {"count": count["count"], "sku": found.sku, "lot": found.lot, "counted_by": write.actor}
        connection.execute(insert(CountLineRow), {**row, **first, **values})


def _read_counted(connection: Connection, count: str) -> list[RowMapping]:
    """Return the lines of a count, once each of them has been counted."""
    lines = list(
        connection.execute(
            select(CountLineRow.__table__)
            .where(CountLineRow.count == count)
            .order_by(CountLineRow.sku, CountLineRow.lot)
        ).mappings()
    )
    open_lines = [line for line in lines if line["quantity_counted"] is None]
    if open_lines:
        first = open_lines[0]
        raise ConflictError(
            f"{len(open_lines)} lines of {count} have not been counted yet, the first is {first['sku']}. Count them, 0 "
            "where nothing is there."
        )
    return lines


def _result(line: RowMapping) -> tuple[int, int]:
    """Return what was found and what was booked at that moment: of the recount where there is one."""
    if line["quantity_recounted"] is not None:
        return int(line["quantity_recounted"]), int(line["quantity_booked_at_recount"])
    return int(line["quantity_counted"]), int(line["quantity_booked"])


def _lock(connection: Connection, count: str, *, states: tuple[str, ...]) -> dict[str, Any]:
    row = (
        connection.execute(select(CountRow.__table__).where(CountRow.count == count).with_for_update())
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"there is no count {count!r}.")
    if row["state"] not in states:
        raise ConflictError(f"count {count!r} is {row['state']}, expected {' or '.join(states)}.")
    return dict(row)


def _move(connection: Connection, count: str, values: dict[str, Any]) -> None:
    connection.execute(update(CountRow).where(CountRow.count == count).values(**values, version=CountRow.version + 1))


def _note(connection: Connection, write: Write, *, action: str, count: str, details: dict[str, Any]) -> None:
    append_audit(connection, actor=write.actor, action=action, subject=count, now=write.now, details=details)
