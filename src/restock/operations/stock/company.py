"""The company: its currency and its day, which amounts and dates of the ledger are read by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, func, select, update

from restock.adapters.database.company_table import CompanyRow
from restock.adapters.database.journal import append_audit
from restock.adapters.database.ledger_tables import MovementRow
from restock.errors import DataError
from restock.ledger.quantities import to_minor_units

_MOST_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class Company:
    """Whose ledger it is.

    Attributes:
        currency: code of the one currency, such as EUR.
        currency_decimals: decimal places of money that are kept.
        time_zone: whose midnight ends a day of sales.
    """

    currency: str
    currency_decimals: int
    time_zone: str

    def to_minor(self, amount: Decimal | None) -> int | None:
        """Return money in minor units; None where there is none.

        Raises:
            QuantityError: it has more decimal places than are kept.
        """
        return None if amount is None else to_minor_units(amount, decimals=self.currency_decimals)

    def from_minor(self, amount: int | None) -> Decimal | None:
        """Return minor units as money; None where there is none."""
        return None if amount is None else Decimal(amount).scaleb(-self.currency_decimals)

    def day_of(self, instant: datetime) -> date:
        """Return the company's calendar day of an instant."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


def read_company(connection: Connection) -> Company:
    """Return the company."""
    row = connection.execute(select(CompanyRow.currency, CompanyRow.currency_decimals, CompanyRow.time_zone)).one()
    return Company(currency=row[0], currency_decimals=row[1], time_zone=row[2])


def change_company(connection: Connection, company: Company, *, actor: str, now: datetime) -> None:
    """Change the company's currency or day.

    Raises:
        DataError: the time zone or the decimals are not valid, or the decimals change though money has been booked.
    """
    try:
        ZoneInfo(company.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(
            f"time zone {company.time_zone!r} is unknown, expected one such as Europe/Berlin or UTC."
        ) from error
    if not 0 <= company.currency_decimals <= _MOST_DECIMALS:
        raise DataError(f"currency_decimals must be 0 to {_MOST_DECIMALS}, got {company.currency_decimals}.")
    before = read_company(connection)
    n_movements = int(connection.execute(select(func.count()).select_from(MovementRow)).scalar_one())
    if before.currency_decimals != company.currency_decimals and n_movements:
        raise DataError(
            f"the ledger holds {n_movements} movements with {before.currency_decimals} decimals of money, so the "
            "decimals can't change any more. Start a new ledger to change them."
        )
    values = {
        "currency": company.currency,
        "currency_decimals": company.currency_decimals,
        "time_zone": company.time_zone,
    }
    connection.execute(update(CompanyRow).values(values))
    append_audit(connection, actor=actor, action="change_company", subject="company", now=now, details=values)
