"""Recompute a ledger from its lines: balances, double entry and the audit chain; the first difference has a name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from restock.adapters.database.audit_chain import find_broken_seal
from restock.adapters.database.engine import read_transaction
from restock.adapters.database.ledger_store import find_differences, find_unbalanced
from restock.adapters.database.ledger_tables import AuditSealRow, BalanceRow, MovementRow
from restock.errors import RestockError


class LedgerDifferenceError(RestockError):
    """The ledger is not what its lines add up to, or its audit log was tampered with."""

    exit_code = 6
    title = "The ledger does not balance"


@dataclass(frozen=True, kw_only=True)
class VerifiedLedger:
    """What was recomputed and found to be right.

    Attributes:
        n_movements: movements.
        n_balances: balances.
        n_seals: seals of the audit chain.
    """

    n_movements: int
    n_balances: int
    n_seals: int


def verify_ledger(engine: Engine) -> VerifiedLedger:
    """Return what was verified, all of it in one state of the database.

    Raises:
        LedgerDifferenceError: something differs; the message names the first difference.
    """
    with read_transaction(engine) as connection:
        unbalanced = find_unbalanced(connection)
        if unbalanced is not None:
            movement, sku, lot, total = unbalanced
            raise LedgerDifferenceError(
                f"movement {movement}: its lines of {sku}{f' lot {lot}' if lot else ''} sum to {total}, expected 0. "
                "Restore the database from a backup before it, and look for who wrote to it."
            )
        difference = next(iter(find_differences(connection)), None)
        if difference is not None:
            (sku, location, lot), recorded, total = difference
            raise LedgerDifferenceError(
                f"the balance of {sku} at {location}{f' lot {lot}' if lot else ''} is recorded as {recorded}, its "
                f"lines add up to {total}. Something wrote past the ledger; restore the balance from the lines."
            )
        broken = find_broken_seal(connection)
        if broken is not None:
            raise LedgerDifferenceError(
                f"the audit log up to entry {broken} is not what was sealed: an entry was changed, removed or added. "
                "Compare it with a backup."
            )
        counts = [
            int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in (MovementRow, BalanceRow, AuditSealRow)
        ]
    return VerifiedLedger(n_movements=counts[0], n_balances=counts[1], n_seals=counts[2])
