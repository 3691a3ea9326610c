"""What orders refer to: their partners, warehouses and products, as ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from restock.adapters.database.erp_store import read_links
from restock.adapters.erp.interface import (
    ErpCustomerOrder,
    ErpKind,
    ErpPurchaseOrder,
    ErpRecord,
    Unreadable,
)
from restock.errors import DataError

References = Mapping[ErpKind, frozenset[str]]
_MARK = "restock"


def reference_of(kind: ErpKind, ours: str) -> str:
    """Return what a record of ours is written under in an ERP, the same at every try."""
    return f"{_MARK}:{kind.value}:{ours}"


def ours_of(reference: str, kind: ErpKind) -> str | None:
    """Return which record of ours was written under a reference; None where it is not one of ours."""
    head = reference_of(kind, "")
    return reference.removeprefix(head) if reference.startswith(head) else None


def find_references(records: Iterable[ErpRecord | Unreadable]) -> References:
    """Return what orders among the records refer to, by kind."""
    found: dict[ErpKind, set[str]] = {}
    for record in records:
        if not isinstance(record, ErpPurchaseOrder | ErpCustomerOrder):
            continue
        is_purchase = isinstance(record, ErpPurchaseOrder)
        partner = record.supplier if isinstance(record, ErpPurchaseOrder) else record.customer
        found.setdefault(ErpKind.SUPPLIER if is_purchase else ErpKind.CUSTOMER, set()).add(partner)
        found.setdefault(ErpKind.LOCATION, set()).add(record.location)
        found.setdefault(ErpKind.PRODUCT, set()).update(line.product for line in record.lines)
    return {kind: frozenset(identities) for kind, identities in found.items()}


def find_unlinked(connection: Connection, system: str, references: References) -> References:
    """Return the references that are nothing of ours yet."""
    unlinked = {
        kind: identities - set(ours_by_theirs(connection, system, kind, sorted(identities)))
        for kind, identities in references.items()
    }
    return {kind: frozenset(identities) for kind, identities in unlinked.items() if identities}


def ours_by_theirs(connection: Connection, system: str, kind: ErpKind, theirs: Sequence[str]) -> dict[str, str]:
    """Return ours by theirs, of those that are linked."""
    return {link.theirs: link.ours for link in read_links(connection, system, kind, theirs=theirs)}


def require_ours(connection: Connection, system: str, kind: ErpKind, theirs: Sequence[str]) -> dict[str, str]:
    """Return ours by theirs.

    Raises:
        DataError: one is nothing of ours.
    """
    found = ours_by_theirs(connection, system, kind, theirs)
    missing = sorted(set(theirs) - set(found))
    if missing:
        raise DataError(
            f"{kind} {missing[0]!r} of the ERP is nothing of ours: it was rejected or is not exchanged. See "
            "`restock erp status` for why."
        )
    return found


def require_theirs(connection: Connection, system: str, kind: ErpKind, ours: Sequence[str]) -> dict[str, str]:
    """Return theirs by ours.

    Raises:
        DataError: one is not in the ERP.
    """
    found = {link.ours: link.theirs for link in read_links(connection, system, kind, ours=ours)}
    missing = sorted(set(ours) - set(found))
    if missing:
        raise DataError(f"{kind} {missing[0]!r} is not in the ERP, or is not linked yet. Exchange {kind}s first.")
    return found
